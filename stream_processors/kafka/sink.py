"""Ingest's side of the cluster: records to Kafka, messages acknowledged once Kafka has them (``acks=all``).

A record is taken apart by partition; parts for one partition travel together for up to :data:`LINGER` so that records
stay large however many partitions there are. A message is durable when all parts of its record are. What was sent and
not confirmed is kept: whatever goes wrong, the producer is made anew and all of it is sent again in the same order. A
record may so lie in the log twice, which changes no table (readings have identities), but never out of order.

Bounded: beyond :data:`MAX_PENDING` readings on the way, :meth:`KafkaSink.submit` blocks, so the session stops reading,
so the broker keeps what comes while Kafka is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from core.errors import UnavailableError
from core.parcels import CycleRecord
from core.ports import RecordCodec
from core.registry import RegistrySnapshot
from core.telemetry import MAX_BATCH_READINGS, StreamRecord, TelemetryBatch
from ingest.ledger import Handle
from ingest.sink import Durable, Resumed
from stream_processors.checkpoint import Checkpoint
from stream_processors.commits import ServiceEndedError
from stream_processors.kafka.partitions import Partitioning, merge, mergeable, split
from stream_processors.kafka.tail import Known, read_tail
from stream_processors.kafka.topics import MAX_MESSAGE, TELEMETRY, KafkaSettings, ensure_topics
from stream_processors.tracing import Publication, Tracing

log = structlog.get_logger(__name__)

LINGER: Final = 0.2
"""Seconds that a part waits for company from the next records; adds to what an alarm takes."""
FULL: Final = 2_000
"""Readings at which a partition's part is large enough: more gains little per reading (design: figures)."""
MAX_PENDING: Final = 400_000
"""Readings given and not confirmed: ten seconds of a full machine, about 10 MB."""
_RECORD_WEIGHT: Final = 50
"""What a record without readings counts for."""
_REQUEST_MS: Final = 15_000
_BATCH_BYTES: Final = 1 << 20
"""What the client sends of a partition at once; records of a partition that wait for each other go together."""
_BACKOFF: Final = (0.1, 0.5, 1.0, 2.0)
_GRACE: Final = 2.0
"""For an orderly end of a producer; one whose server is away never gets there."""

_LARGEST: Final = MAX_MESSAGE - 64 * 1024
"""Of a record; the rest is for what the client puts around it."""
REGISTRY_HEADER: Final = "registry"
"""The version of the registry by which a record's readings are named: who reads it must know that one or a newer."""

Checkpoints = Callable[[], dict[int, tuple[int, Checkpoint]]]
"""The workers' checkpoints by partition, with their offsets; raises UnavailableError while the database is away."""


class _Given:
    """The messages of one record, until all its parts are confirmed."""

    __slots__ = ("handles", "parts")

    def __init__(self, handles: Sequence[Handle], parts: int) -> None:
        self.handles = handles
        self.parts = parts


class _Waiting:
    """Parts of one partition that travel together."""

    __slots__ = ("given", "records", "registry", "since")

    def __init__(self, registry: int, since: float) -> None:
        self.registry = registry
        self.records: list[StreamRecord] = []
        self.given: list[_Given] = []
        self.since = since


class _Sent:
    __slots__ = ("data", "given", "headers", "partition", "trace", "weight")

    def __init__(
        self,
        partition: int,
        data: bytes,
        registry: int,
        given: list[_Given],
        weight: int,
        trace: Publication | None = None,
    ) -> None:
        self.partition = partition
        self.data = data
        self.headers = [(REGISTRY_HEADER, str(registry).encode())]
        if trace is not None and trace.header is not None:
            self.headers.append(trace.header)
        self.given = given
        self.weight = weight
        self.trace = trace


class KafkaSink:
    """Implements :class:`ingest.sink.Sink`. ``client_id`` is the ingest process's name, the same for ever."""

    def __init__(
        self,
        settings: KafkaSettings,
        codec: RecordCodec,
        checkpoints: Checkpoints,
        *,
        client_id: str = "servitize-ingest",
        linger: float = LINGER,
        max_pending: int = MAX_PENDING,
        tracing: Tracing | None = None,
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._checkpoints = checkpoints
        self._client_id = client_id
        self._linger = linger
        self._max_pending = max_pending
        self._tracing = tracing
        self._topic = settings.topic(TELEMETRY)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="kafka", daemon=True)
        self._room = threading.Condition()
        self._pending = 0
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        # only touched in the loop's thread
        self._waiting: dict[int, _Waiting] = {}
        self._sent: deque[_Sent] = deque()
        self._unconfirmed: dict[int, _Sent] = {}
        self._number = 0
        self._producer: AIOKafkaProducer | None = None
        self._broken, self._work = asyncio.Event(), asyncio.Event()
        self.records = self.readings = self.resent = 0

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self, registry: RegistrySnapshot, durable: Durable, failed: Callable[[BaseException], None]) -> Resumed:
        """Make topics, see what the log holds, connect. Waits while Kafka or the database is away."""
        self._durable: Durable = durable
        self._failed = failed
        self._partitioning = Partitioning(registry)
        known = self._until_there(self._prepare)
        self._thread.start()
        return Resumed(known.sequences, known.clocks)

    def _until_there(self, attempt: Callable[[], Known]) -> Known:
        failures = 0
        while True:
            try:
                return attempt()
            except (KafkaError, UnavailableError, OSError) as error:
                if not failures:
                    log.warning("kafka.unreachable", problem=str(error) or repr(error))
                if self._ended.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)]):
                    raise ServiceEndedError from error
                failures += 1

    def _prepare(self) -> Known:
        checkpoints = self._checkpoints()

        async def ask() -> Known:
            await ensure_topics(self._settings)
            return await read_tail(self._settings, self._codec, checkpoints, f"{self._client_id}-tail")

        return asyncio.run(ask())

    def close(self, timeout: float) -> bool:
        """Send what waits and have it confirmed; False where that takes longer than ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        self._call(self._flush_all)
        with self._room:
            kept = self._room.wait_for(lambda: self._pending == 0 or self._ended.is_set(), timeout)
        self.abandon()
        if self._thread.is_alive():
            self._thread.join(max(_GRACE, deadline - time.monotonic()))
        return kept and self._pending == 0 and self._failure is None

    def abandon(self) -> None:
        """What is not confirmed was never acknowledged and comes again."""
        self._ended.set()
        with self._room:
            self._room.notify_all()
        self._call(self._wake)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(function, *arguments)

    # --- ingest's core thread -----------------------------------------------------------------------------------

    def submit(self, record: StreamRecord, handles: Sequence[Handle]) -> None:
        """Take one record; blocks while too much is on the way."""
        parts = split(record, self._partitioning)
        weight = sum(_weight(part) for part in parts.values())
        with self._room:
            self._room.wait_for(lambda: self._pending < self._max_pending or self._ended.is_set())
            if self._ended.is_set():
                raise ServiceEndedError from self._failure
            self._pending += weight
        self._call(self._add, parts, self._partitioning.registry.version, _Given(handles, len(parts)))

    def reconfigure(self, registry: RegistrySnapshot) -> None:
        """Where equipment lies never changes; there may be more of it."""
        self._partitioning = Partitioning(registry)

    @property
    def pending(self) -> int:
        """Readings given and not confirmed."""
        return self._pending

    # --- the loop's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._failure = error
            self._ended.set()
            with self._room:
                self._room.notify_all()
            self._failed(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        while not self._ended.is_set():
            self._producer = await self._connected()
            if self._producer is None:
                return
            self._broken.clear()
            again = list(self._unconfirmed.values())
            self._unconfirmed.clear()
            self._sent.extendleft(reversed(again))
            self.resent += len(again)
            try:
                await self._pump(self._producer)
            except (KafkaError, OSError) as error:
                self._trouble(error)
            finally:
                producer, self._producer = self._producer, None
                with contextlib.suppress(Exception):
                    await asyncio.wait_for(producer.stop(), _GRACE)

    async def _connected(self) -> AIOKafkaProducer | None:
        """A producer that is connected; None where we were told to end. Says once that Kafka is away, once that it is
        back."""
        failures, since = 0, time.monotonic()
        while not self._ended.is_set():
            producer = AIOKafkaProducer(
                **self._settings.client(self._client_id),
                acks="all",
                enable_idempotence=True,
                max_request_size=MAX_MESSAGE,
                max_batch_size=_BATCH_BYTES,
                request_timeout_ms=_REQUEST_MS,
                retry_backoff_ms=200,
            )
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                with contextlib.suppress(Exception):
                    await producer.stop()
                if not failures:
                    log.warning("kafka.unreachable", problem=str(error) or repr(error))
                await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
                failures += 1
                continue
            if failures or self._unconfirmed:
                log.info("kafka.works_again", seconds=round(time.monotonic() - since, 1), again=len(self._unconfirmed))
            return producer
        return None

    async def _pump(self, producer: AIOKafkaProducer) -> None:
        """Send what is due until something breaks or we are told to end."""
        while not self._ended.is_set() and not self._broken.is_set():
            now = self._loop.time()
            for partition in [p for p, waiting in self._waiting.items() if now - waiting.since >= self._linger]:
                self._flush(partition)
            while self._sent and not self._broken.is_set():
                await self._send(producer, self._sent[0])
            if self._sent or self._broken.is_set():
                continue
            self._work.clear()
            first = min((waiting.since for waiting in self._waiting.values()), default=None)
            timeout = None if first is None else max(0.001, first + self._linger - self._loop.time())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), timeout)

    async def _send(self, producer: AIOKafkaProducer, item: _Sent) -> None:
        self._number += 1
        number = self._number
        self._sent.popleft()
        self._unconfirmed[number] = item  # before the wait inside: a send that breaks off there is sent again
        confirmed = await producer.send(self._topic, item.data, partition=item.partition, headers=item.headers)
        confirmed.add_done_callback(lambda future: self._confirmed(producer, number, future))

    def _confirmed(self, producer: AIOKafkaProducer, number: int, future: asyncio.Future[Any]) -> None:
        if future.cancelled() or future.exception() is not None:
            if producer is self._producer and not self._broken.is_set():
                self._trouble(None if future.cancelled() else future.exception())
            return
        item = self._unconfirmed.pop(number, None)
        if item is None:
            return
        self.records += 1
        if item.trace is not None:
            item.trace.confirmed()
        handles: list[Handle] = []
        for given in item.given:
            given.parts -= 1
            if not given.parts:
                handles += given.handles
        with self._room:
            self._pending -= item.weight
            self._room.notify_all()
        if handles:
            self._durable(handles)

    def _trouble(self, error: BaseException | None) -> None:
        log.warning("kafka.interrupted", problem=str(error) or repr(error), unconfirmed=len(self._unconfirmed))
        self._broken.set()
        self._work.set()

    def _wake(self) -> None:
        self._work.set()

    def _add(self, parts: dict[int, StreamRecord], registry: int, given: _Given) -> None:
        now = self._loop.time()
        for partition, part in parts.items():
            waiting = self._waiting.get(partition)
            if waiting is not None and (
                waiting.registry != registry
                or not mergeable(waiting.records, len(part.batch), MAX_BATCH_READINGS, across_ticks=True)
            ):
                self._flush(partition)
                waiting = None
            if waiting is None:
                waiting = self._waiting[partition] = _Waiting(registry, now)
            waiting.records.append(part)
            waiting.given.append(given)
            if sum(len(record.batch) for record in waiting.records) >= FULL:
                self._flush(partition)
        self._wake()

    def _flush(self, partition: int) -> None:
        waiting = self._waiting.pop(partition)
        weight = sum(map(_weight, waiting.records))
        record = merge(waiting.records)
        self.readings += len(record.batch)
        *others, last = encoded(record, self._codec)
        self._sent += [_Sent(partition, data, waiting.registry, [], 0) for data in others]
        trace = None
        if self._tracing is not None:
            waited = self._loop.time() - waiting.since
            trace = self._tracing.publish(self._topic, partition, len(record.batch), waited)
        self._sent.append(_Sent(partition, last, waiting.registry, waiting.given, weight, trace))

    def _flush_all(self) -> None:
        for partition in list(self._waiting):
            self._flush(partition)
        self._wake()


def _weight(record: StreamRecord) -> int:
    letters = sum(len(letter.payload) for letter in record.dead_letters) // 20
    samples = sum(waveform.samples.nbytes for waveform in record.waveforms) // 20
    return len(record.batch) + _RECORD_WEIGHT + letters + samples


def encoded(record: StreamRecord, codec: RecordCodec, limit: int = _LARGEST) -> list[bytes]:
    """The record as bytes that Kafka takes: in several where its dead letters or waveforms are too large together, the
    readings and the counters with the last. Of a letter that is too large by itself the beginning is kept."""
    data = codec.encode(record)
    if len(data) <= limit or not (record.dead_letters or len(record.waveforms) > 1):
        return [data]
    if len(record.waveforms) > 1:
        middle = len(record.waveforms) // 2
        place = record.waveforms[middle - 1].after
        batch = record.batch
        before = StreamRecord(
            batch.take(slice(0, place)), waveforms=record.waveforms[:middle], cycles=_until(record, place)
        )
        behind = replace(
            record,
            batch=batch.take(slice(place, None)),
            waveforms=tuple(replace(w, after=w.after - place) for w in record.waveforms[middle:]),
            cycles=tuple(replace(y, after=y.after - place) for y in record.cycles if y.after > place),
        )
        return [*encoded(before, codec, limit), *encoded(behind, codec, limit)]
    letters = record.dead_letters
    if len(letters) == 1:
        cut = replace(letters[0], payload=letters[0].payload[: limit // 4])
        return [codec.encode(replace(record, dead_letters=(cut,)))]
    half = len(letters) // 2
    first = StreamRecord(TelemetryBatch.empty(record.batch.received_at), dead_letters=letters[:half])
    return [*encoded(first, codec, limit), *encoded(replace(record, dead_letters=letters[half:]), codec, limit)]


def _until(record: StreamRecord, cut: int) -> tuple[CycleRecord, ...]:
    return tuple(cycle for cycle in record.cycles if cycle.after <= cut)
