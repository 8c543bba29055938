"""Records that expired before they were stored, and a log that is another one: a worker stops there and says so."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from core.errors import ConflictError
from storage.cluster import give_up
from stream_processors.kafka.host import stream_name
from stream_processors.kafka.topics import TELEMETRY
from tests.integration.cluster.test_flow import publish, stored
from tests.support.cluster import Cluster

pytestmark = [pytest.mark.kafka, pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]


def expire(cluster: Cluster, partition: int, before: int) -> None:
    """What retention does, at once."""

    async def ask() -> None:
        admin = AIOKafkaAdminClient(**cluster.kafka.client("test"))
        await admin.start()
        try:
            place = TopicPartition(cluster.kafka.topic(TELEMETRY), partition)
            await admin.delete_records({place: RecordsToDelete(before_offset=before)})
        finally:
            await admin.close()

    asyncio.run(ask())


def test_a_partition_whose_records_expired_stops_until_somebody_gives_them_up(cluster: Cluster) -> None:
    cluster.start("ingest-0", "worker-0")
    sent = publish(cluster, "a", range(20))
    cluster.settle(lambda: stored(cluster) == sent)
    cluster.stop("worker-0")
    before = cluster.positions()
    publish(cluster, "b", range(20, 40))
    cluster.settle(lambda: any(end > before[p] for p, end in cluster.log_ends().items()))
    ends = cluster.log_ends()
    partition = max(ends, key=lambda p: ends[p] - before[p])
    expire(cluster, partition, ends[partition])

    cluster.start("worker-0")

    def why() -> str:
        return str(cluster.status("worker-0").get("stopped", {}).get(str(partition), ""))

    cluster.settle(lambda: bool(why()))
    assert "retention has overtaken us" in why()
    assert cluster.positions()[partition] == before[partition]
    assert "partition.stopped" in cluster.log("worker-0")
    others = {p: end for p, end in ends.items() if p != partition}
    cluster.settle(lambda: cluster.caught_up(others))
    assert cluster.caught_up(others)  # the others go on

    cluster.stop("worker-0")
    lost = give_up(cluster.dsn, stream_name(partition), ends[partition], "somebody")
    assert lost == ends[partition] - before[partition]
    with pytest.raises(ConflictError):
        give_up(cluster.dsn, stream_name(partition), 1, "somebody")
    audited = cluster.all("SELECT actor, action, object, (detail->>'records')::bigint FROM servitize.audit_log")
    assert ("somebody", "stream.records_given_up", stream_name(partition), lost) in audited
    cluster.start("worker-0")
    assert cluster.status("worker-0")["stopped"] == {}
    publish(cluster, "c", range(40, 60))
    cluster.drain()
    assert cluster.positions()[partition] > ends[partition]
