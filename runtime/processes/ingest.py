"""The ingest process of the embedded host: ``python -m runtime.processes.ingest HOME``.

MQTT session → processing core → database, acknowledged after the commit. On SIGTERM it takes no more, commits what it
has taken, flushes latest values and leaves its stream in order; on SIGKILL it loses nothing either, and its next
start takes longer. Told to stop it is gone within seconds, also where the database or the broker is away.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from ingest.told import StopSignal

_CARETAKER_SECONDS = 2.0
"""For what it is doing; a transaction of it that takes longer is done again by the next one."""


def main() -> int:
    with StopSignal() as told:  # before the imports, which take a second
        return _run(told)


def _run(told: StopSignal) -> int:
    import structlog

    from ingest.sparkplug.limits import SparkplugSettings
    from runtime.bootstrap import MODEL_SIGNING, WRITER, status_file
    from runtime.endpoints import read_endpoints
    from runtime.local.paths import DataDirectory
    from runtime.processes.logs import log_as_lines
    from runtime.processes.memory import settle
    from runtime.recordings import service_session
    from runtime.settings import SPARKPLUG_HOST_ID
    from storage.caretaker import Caretaker
    from stream_processors.embedded_main import EmbeddedConfig, run

    log_as_lines()
    data = DataDirectory(Path(sys.argv[1]))
    endpoints = read_endpoints(data)
    dsn = endpoints.databases[WRITER]
    config = EmbeddedConfig(
        database=dsn,
        mqtt=service_session(endpoints),
        status_file=str(status_file(data)),
        heartbeat_url=os.environ.get("SERVITIZE_HEARTBEAT_URL") or None,
        heartbeat_seconds=float(os.environ.get("SERVITIZE_HEARTBEAT_SECONDS") or 60),
        model_key=data.secret(MODEL_SIGNING),
        sparkplug=SparkplugSettings(host_id=os.environ.get(SPARKPLUG_HOST_ID) or SparkplugSettings().host_id),
    )

    def serves() -> None:
        settle()
        (data.root / "run" / "ingest.ready").touch()

    caretaker = Caretaker(dsn, _now)
    caretaker.start()
    try:
        code = run(config, told, ready=serves)
    finally:
        caretaker.stop(_CARETAKER_SECONDS)
    structlog.get_logger(__name__).info("ingest.stopped", code=code)
    return code


def _now() -> int:
    return time.time_ns() // 1_000


if __name__ == "__main__":
    sys.exit(main())
