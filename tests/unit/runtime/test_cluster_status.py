"""How far behind a cluster is, said in one line, from what its processes wrote last."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from runtime.cluster.status import ClusterStatus, WorkerLine, cluster_status
from runtime.endpoints import Endpoints
from runtime.local.paths import DataDirectory


def line(name: str, lag: int, stopped: dict[str, str] | None = None) -> WorkerLine:
    return WorkerLine(name, True, 32, lag, 1_000, stopped or {})


def test_a_cluster_that_keeps_up_is_well() -> None:
    status = ClusterStatus(True, "127.0.0.1:9092", (line("worker-0", 2), line("worker-1", 1)), ())
    assert status.sentence == "Kafka 127.0.0.1:9092; lag 3 records; well"
    assert status.as_document()["lag"] == 3


def test_a_partition_that_has_stopped_is_told() -> None:
    status = ClusterStatus(True, "k:1", (line("worker-0", 900, {"7": "its log is gone"}),), ())
    assert status.sentence == "Kafka k:1; lag 900 records, 1 partitions have stopped; NOT WELL"


def test_lag_is_summed_over_what_the_workers_wrote_and_silence_is_seen(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "worker-0.json").write_text(json.dumps({"partitions": [1, 2], "lag": 5, "stored": 10}))
    (run / "worker-1.json").write_text(json.dumps({"partitions": [3], "lag": 7, "stored": 20}))
    then = time.time() - 60
    os.utime(run / "worker-1.json", (then, then))
    Endpoints(kafka="k:1").write(DataDirectory(tmp_path))
    status = cluster_status(DataDirectory(tmp_path))
    assert status.lag == 12
    assert [worker.fresh for worker in status.workers] == [True, False]
    assert not status.well
