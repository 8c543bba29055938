"""The outbox to Kafka: every numbered event on a topic of its own, at least once, in order per equipment.

Any number of workers run a publisher; the database lets one lead. It publishes a batch, waits until Kafka has all of
it, then moves the position; one that dies in between leaves the batch to the next, which publishes it again under the
same numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import psycopg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from storage.keeping import Keeping
from storage.outbox import OutboxReader
from stream_processors.kafka.events import publish
from stream_processors.kafka.topics import KafkaSettings

log = structlog.get_logger(__name__)

SEQ_HEADER: Final = "seq"
_LOOK_SECONDS: Final = 1.0
_LEAD_SECONDS: Final = 3.0
"""Between questions of those who do not lead; so long nothing is published after the leader has died."""
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0)


class OutboxPublisher:
    """A thread from :meth:`start` to :meth:`stop`. ``published`` counts since the start, repeats too."""

    def __init__(self, dsn: str, settings: KafkaSettings, client_id: str) -> None:
        self._dsn = dsn
        self._settings = settings
        self._client_id = f"{client_id}-outbox"
        self._keeping = Keeping(
            "the outbox to Kafka", self._session, failures=(psycopg.Error, KafkaError, OSError), pauses=_PAUSES
        )
        self.start, self.stop = self._keeping.start, self._keeping.stop
        self.published = 0
        self.leads = False

    def _session(self) -> None:
        try:
            asyncio.run(self._publish())
        finally:
            self.leads = False

    async def _publish(self) -> None:
        reader = OutboxReader(self._dsn)
        try:
            while not reader.lead():
                if self._keeping.wait(_LEAD_SECONDS):
                    return
            self.leads = True
            producer = AIOKafkaProducer(**self._settings.client(self._client_id), acks="all", enable_idempotence=True)
            await producer.start()
            try:
                await self._follow(reader, producer)
            finally:
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(producer.stop(), 2.0)
        finally:
            reader.close()

    async def _follow(self, reader: OutboxReader, producer: AIOKafkaProducer) -> None:
        position = reader.position()
        log.info("outbox.leads", after=position)
        while not self._keeping.stopping:
            rows = reader.after(position)
            self._keeping.well()
            if not rows:
                await asyncio.to_thread(reader.wait, _LOOK_SECONDS)
                continue
            sent = []
            for row in rows:
                message = publish(row)
                sent.append(
                    await producer.send(
                        self._settings.topic(message.topic),
                        message.value,
                        key=message.key,
                        headers=[(SEQ_HEADER, str(row.seq).encode())],
                    )
                )
            await asyncio.gather(*sent)
            position = rows[-1].seq
            reader.published(position)
            self.published += len(rows)
