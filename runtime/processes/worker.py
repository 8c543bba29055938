"""A worker of the cluster: ``python -m runtime.processes.worker HOME NUMBER``.

Kafka → processing core → database. On SIGTERM it commits what it has taken, stores checkpoints and leaves its group;
on SIGKILL it loses nothing either, and its partitions go to others or wait for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ingest.told import StopSignal


def main() -> int:
    with StopSignal() as told:  # before the imports, which take a second
        return _run(told)


def _run(told: StopSignal) -> int:
    import structlog

    from runtime.bootstrap import MODEL_SIGNING, WRITER
    from runtime.cluster.supervisor import ready_file, status_path
    from runtime.endpoints import read_endpoints
    from runtime.local.paths import DataDirectory
    from runtime.processes.logs import log_as_lines
    from stream_processors.faust_app import GroupSettings
    from stream_processors.kafka.topics import KafkaSettings
    from stream_processors.worker_main import WorkerConfig, run

    log_as_lines()
    data, name = DataDirectory(Path(sys.argv[1])), f"worker-{int(sys.argv[2])}"
    endpoints = read_endpoints(data)
    assert endpoints.kafka is not None
    config = WorkerConfig(
        database=endpoints.databases[WRITER],
        kafka=KafkaSettings(endpoints.kafka),
        group=GroupSettings(name),
        status_file=str(status_path(data.root, name)),
        model_key=data.secret(MODEL_SIGNING),
    )
    code = run(config, told, ready=ready_file(data.root, name).touch)
    structlog.get_logger(__name__).info("worker.stopped", code=code)
    return code


if __name__ == "__main__":
    sys.exit(main())
