"""What a restarted ingest must know: how far each device's numbering and each tenant's clock had come.

The workers' checkpoints say so up to their offsets, and the records behind them say the rest, whether a worker has seen
them yet or not. So a restart is exact also while the workers are down; it then reads what waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from core.ports import RecordCodec
from core.telemetry import StreamRecord
from formats.record import DamagedRecordError
from stream_processors.checkpoint import Checkpoint
from stream_processors.kafka.topics import MAX_MESSAGE, PARTITIONS, TELEMETRY, KafkaSettings

log = structlog.get_logger(__name__)

_POLL_MS: Final = 1_000


@dataclass(slots=True)
class Known:
    """Highest number of each device with its event time, last tick of each tenant (µs)."""

    sequences: dict[int, tuple[int, int]] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)

    def add_checkpoint(self, checkpoint: Checkpoint) -> None:
        self.sequences.update(checkpoint.sequences)
        self._passed(checkpoint.clocks)

    def add_record(self, record: StreamRecord) -> None:
        """The next one of a partition."""
        self.sequences.update(record.sequences)
        for tick in record.ticks:
            self._passed({tick.tenant_id: tick.at})

    def _passed(self, clocks: Mapping[int, int]) -> None:
        for tenant, at in clocks.items():
            self.clocks[tenant] = max(at, self.clocks.get(tenant, at))


async def read_tail(
    settings: KafkaSettings, codec: RecordCodec, checkpoints: Mapping[int, tuple[int, Checkpoint]], client_id: str
) -> Known:
    """``checkpoints`` by partition, with the offset after which each was taken. Raises what aiokafka raises while Kafka
    is away."""
    known = Known()
    topic = settings.topic(TELEMETRY)
    consumer = AIOKafkaConsumer(
        **settings.client(client_id), enable_auto_commit=False, max_partition_fetch_bytes=MAX_MESSAGE
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        consumer.assign(places)
        first, end = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        left: dict[TopicPartition, int] = {}
        for place in places:
            after, checkpoint = checkpoints.get(place.partition, (-1, None))
            if checkpoint is not None:
                known.add_checkpoint(checkpoint)
            start = max(first[place], after + 1)
            if start < end[place]:
                consumer.seek(place, start)
                left[place] = end[place]
            else:
                consumer.pause(place)
        read = 0
        while left:
            for place, records in (await consumer.getmany(*left, timeout_ms=_POLL_MS)).items():
                for message in records:
                    read += 1
                    try:
                        known.add_record(codec.decode(message.value))
                    except DamagedRecordError:
                        continue  # the worker that comes to it puts it aside
                if await consumer.position(place) >= left[place]:
                    del left[place]
                    consumer.pause(place)
        log.info("kafka.tail_read", records=read)
    finally:
        await consumer.stop()
    return known
