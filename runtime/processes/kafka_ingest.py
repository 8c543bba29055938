"""An ingest of the cluster: ``python -m runtime.processes.kafka_ingest HOME ORDINAL OF``.

MQTT session → Kafka, acknowledged once Kafka has it. The first one also looks after the database (rollups, retention,
numbering of events), as the embedded host's ingest does.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from ingest.told import StopSignal

_CARETAKER_SECONDS = 2.0


def main() -> int:
    with StopSignal() as told:  # before the imports, which take a second
        return _run(told)


def _run(told: StopSignal) -> int:
    import structlog

    from ingest.share import Share
    from ingest.sparkplug.limits import SparkplugSettings
    from runtime.bootstrap import WRITER
    from runtime.cluster.supervisor import ready_file, status_path
    from runtime.endpoints import read_endpoints
    from runtime.local.paths import DataDirectory
    from runtime.processes.logs import log_as_lines
    from runtime.recordings import service_session
    from runtime.settings import SPARKPLUG_HOST_ID
    from storage.caretaker import Caretaker
    from stream_processors.ingest_main import IngestConfig, run
    from stream_processors.kafka.topics import KafkaSettings

    log_as_lines()
    data, share = DataDirectory(Path(sys.argv[1])), Share(int(sys.argv[2]), int(sys.argv[3]))
    name, endpoints = f"ingest-{share.ordinal}", read_endpoints(data)
    dsn = endpoints.databases[WRITER]
    assert endpoints.kafka is not None
    config = IngestConfig(
        database=dsn,
        mqtt=service_session(endpoints),
        kafka=KafkaSettings(endpoints.kafka),
        share=share,
        status_file=str(status_path(data.root, name)),
        heartbeat_url=os.environ.get("SERVITIZE_HEARTBEAT_URL") or None,
        heartbeat_seconds=float(os.environ.get("SERVITIZE_HEARTBEAT_SECONDS") or 60),
        sparkplug=SparkplugSettings(host_id=os.environ.get(SPARKPLUG_HOST_ID) or SparkplugSettings().host_id),
    )
    with contextlib.ExitStack() as stack:
        if share.ordinal == 0:
            caretaker = Caretaker(dsn, lambda: time.time_ns() // 1_000)
            caretaker.start()
            stack.callback(caretaker.stop, _CARETAKER_SECONDS)
        code = run(config, told, ready=ready_file(data.root, name).touch)
    structlog.get_logger(__name__).info("ingest.stopped", code=code)
    return code


if __name__ == "__main__":
    sys.exit(main())
