"""From MQTT over Kafka and Faust into the tables: everything once, in order, and on from where it stopped."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.support.cluster import Cluster
from tests.support.conservation import accounted

pytestmark = [pytest.mark.kafka, pytest.mark.integration, pytest.mark.timeout(600)]

RIGS, POINTS = 12, 8


def publish(cluster: Cluster, name: str, frames: range, *, value: float = 1.0) -> int:
    """Frames of all rigs, numbered by ``frames``, a second apart and ending about now; how many readings."""
    begin = int(time.time() * 1000) - 60_000
    with cluster.publisher(name) as publisher:
        for frame in frames:
            for rig in range(RIGS):
                values = {f"p{n}": value + frame + n / 10 for n in range(POINTS)}
                payload = {"ts": begin + frame * 100, "seq": frame, "values": values}
                publisher.publish(f"servitize/v1/acme/rig-{rig}/telemetry", json.dumps(payload).encode())
        publisher.drain()
    return len(frames) * RIGS * POINTS


def stored(cluster: Cluster) -> int:
    return int(cluster.one("SELECT count(*) FROM servitize.reading"))


def test_everything_arrives_once_over_kills_of_every_process(cluster: Cluster) -> None:
    cluster.start("ingest-0", "worker-0", "worker-1")
    sent = publish(cluster, "a", range(100))
    cluster.settle(lambda: stored(cluster) == sent, 60)
    assert stored(cluster) == sent

    cluster.stop("worker-1", signal.SIGKILL)
    sent += publish(cluster, "b", range(100, 200))
    cluster.stop("ingest-0", signal.SIGKILL)
    cluster.launch("worker-1")
    cluster.start("ingest-0")
    sent += publish(cluster, "c", range(200, 300))
    cluster.settle(lambda: stored(cluster) == sent, 90)
    assert stored(cluster) == sent

    assert cluster.stop("worker-0") == 0
    sent += publish(cluster, "d", range(300, 400), value=200.0)
    cluster.settle(lambda: stored(cluster) == sent, 90)
    assert stored(cluster) == sent
    cluster.settle(lambda: cluster.one("SELECT count(*) FROM servitize.alarm WHERE active") == RIGS, 30)
    assert cluster.one("SELECT count(*) FROM servitize.alarm WHERE active") == RIGS
    assert cluster.one("SELECT count(*) FROM servitize.event WHERE kind = 'sequence_gap'") == 0
    cluster.drain()
    assert not accounted(cluster.counts())
