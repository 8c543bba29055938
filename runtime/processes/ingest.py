"""The ingest process of the embedded host: ``python -m runtime.processes.ingest HOME``.

MQTT session → processing core → database, acknowledged after the commit. On SIGTERM it takes no more, commits what it
has taken, flushes latest values and leaves its stream in order; on SIGKILL it loses nothing either, and its next
start takes longer.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import structlog

from ingest.session import MqttSettings
from runtime.bootstrap import WRITER
from runtime.endpoints import read_endpoints
from runtime.local.paths import DataDirectory
from runtime.processes.logs import log_as_lines
from storage.caretaker import Caretaker
from stream_processors.embedded_main import EmbeddedConfig, run

STOP_SECONDS = 45.0
"""Enough to commit the whole of what may wait for durability on a slow disk."""


def main() -> int:
    log_as_lines()
    data = DataDirectory(Path(sys.argv[1]))
    endpoints = read_endpoints(data)
    assert endpoints.broker is not None
    broker, dsn = endpoints.broker, endpoints.databases[WRITER]
    config = EmbeddedConfig(
        database=dsn,
        mqtt=MqttSettings(
            host=broker.host,
            port=broker.port,
            username=broker.username,
            password=broker.password,
            tls=broker.tls,
            ca_file=broker.ca,
        ),
        status_file=str(data.root / "run" / "ingest.json"),
        stop_timeout=STOP_SECONDS,
        heartbeat_url=os.environ.get("SERVITIZE_HEARTBEAT_URL") or None,
        heartbeat_seconds=float(os.environ.get("SERVITIZE_HEARTBEAT_SECONDS") or 60),
    )
    with Caretaker(dsn, _now):
        code = run(config, ready=(data.root / "run" / "ingest.ready").touch)
    structlog.get_logger(__name__).info("ingest.stopped", code=code)
    return code


def _now() -> int:
    return time.time_ns() // 1_000


if __name__ == "__main__":
    sys.exit(main())
