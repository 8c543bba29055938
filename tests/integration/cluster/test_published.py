"""What others subscribe to: alarms on a Kafka topic of their own, numbered without a gap, whoever publishes them."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from storage.caretaker import Caretaker
from stream_processors.kafka.topics import ALARMS
from tests.integration.cluster.conftest import RIGS
from tests.support.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.integration, pytest.mark.timeout(300)]


def readings(cluster: Cluster, number: int, value: float) -> None:
    """The same value of every rig, ten frames a second apart, later by ``number`` times ten seconds."""
    begin = int(time.time() * 1000) - 60_000 + number * 10_000
    with cluster.publisher(f"device-{number}") as publisher:
        for frame in range(10):
            for rig in range(RIGS):
                payload = {"ts": begin + frame * 1000, "values": {"p0": value}}
                publisher.publish(f"servitize/v1/acme/rig-{rig}/telemetry", json.dumps(payload).encode())
        publisher.drain()


def published(cluster: Cluster, least: int, seconds: float = 30.0) -> list[dict[str, Any]]:
    """What a stranger who reads the topic from its start has seen once there are ``least`` numbers."""

    async def read() -> list[dict[str, Any]]:
        consumer = AIOKafkaConsumer(
            cluster.kafka.topic(ALARMS), bootstrap_servers=cluster.kafka.bootstrap, auto_offset_reset="earliest"
        )
        await consumer.start()
        seen: list[dict[str, Any]] = []
        until = time.monotonic() + seconds
        try:
            while len({event["seq"] for event in seen}) < least and time.monotonic() < until:
                for messages in (await consumer.getmany(timeout_ms=500)).values():
                    seen.extend(json.loads(message.value) for message in messages)
        finally:
            await consumer.stop()
        return seen

    return asyncio.run(read())


def of_the_outbox(cluster: Cluster) -> set[int]:
    rows = cluster.all("SELECT seq FROM servitize.outbox WHERE kind IN ('alarm', 'alarm_change') AND seq IS NOT NULL")
    return {int(seq) for (seq,) in rows}


def test_alarms_reach_subscribers_also_when_their_publisher_is_killed(cluster: Cluster) -> None:
    with Caretaker(cluster.writer_dsn, lambda: time.time_ns() // 1_000):
        cluster.start("ingest-0", "worker-0", "worker-1")
        readings(cluster, 0, 500.0)
        cluster.settle(lambda: len(of_the_outbox(cluster)) >= RIGS, 60)
        raised = published(cluster, len(of_the_outbox(cluster)))
        assert {event["equipment"] for event in raised if event["active"]} == {f"rig-{n}" for n in range(RIGS)}
        assert all(event["schema"] == "alarm.v1" and event["tenant"] == "acme" for event in raised)

        cluster.stop("worker-0", signal.SIGKILL)  # one of the two is the publisher, whichever
        cluster.launch("worker-0")
        cluster.stop("worker-1", signal.SIGKILL)
        cluster.wait("worker-0")
        readings(cluster, 1, 1.0)
        cluster.settle(lambda: cluster.one("SELECT count(*) FROM servitize.alarm WHERE active") == 0, 90)
        cluster.settle(lambda: cluster.one("SELECT count(*) FROM servitize.outbox WHERE seq IS NULL") == 0, 30)
        numbered = of_the_outbox(cluster)
        told = published(cluster, len(numbered))

    assert {event["seq"] for event in told} == numbered
    firsts = list({event["seq"]: None for event in told})
    for rig in range(RIGS):
        of_one = [seq for seq in firsts if any(e["seq"] == seq and e["equipment"] == f"rig-{rig}" for e in told)]
        assert of_one == sorted(of_one), "events of one equipment come in order"
