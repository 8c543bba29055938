"""The outbox to Kafka: every numbered event on a topic of its own, at least once, in order per equipment.

Any number of workers run a publisher; the database lets one lead. It publishes a batch, waits until Kafka has all of
it, then moves the position; one that dies in between leaves the batch to the next, which publishes it again under the
same numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Final

import psycopg
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

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
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self.published = 0
        self.leads = False

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                asyncio.run(self._publish())
                failures = 0
            except (psycopg.Error, KafkaError, OSError) as error:
                if not failures:
                    log.warning("outbox.interrupted", problem=str(error).strip() or repr(error))
                self._stop.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1
            finally:
                self.leads = False

    async def _publish(self) -> None:
        reader = OutboxReader(self._dsn)
        try:
            while not reader.lead():
                if self._stop.wait(_LEAD_SECONDS):
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
        while not self._stop.is_set():
            rows = reader.after(position)
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
