"""The embedded host: ingest's records through the core into the database, in one process.

Core thread: :meth:`EmbeddedSink.submit` steps the processor and queues a commit unit. Writer thread: what is queued
goes into one transaction, and after it the messages are acknowledged. A full queue blocks the core thread, so the
messages stay unacknowledged, so the session stops reading: back-pressure without a further mechanism.

Recovery: fence out whoever held the stream, restore the newest snapshot, step through the journal behind it with the
effects discarded (they are in the tables already), go on. A commit that failed leaves nothing and is tried again.
The journal is stepped through with the types of then (:mod:`stream_processors.checkpoint`); so that there is one such
set of types per journal, the first record after a change of meaning brings a snapshot.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import orjson
import structlog

from core.errors import ConflictError, FencedError, UnavailableError
from core.outcome import CommitUnit, Outcome
from core.ports import RecordCodec, StreamPosition, WriterPort
from core.registry import RegistrySnapshot
from core.telemetry import DeadLetter, StreamRecord, TelemetryBatch
from core.time import isoformat
from ingest.ledger import Handle
from ingest.sink import Durable, Resumed
from stream_processors.checkpoint import Basis, Packer, unpack

log = structlog.get_logger(__name__)

STREAM: Final = "embedded"
SNAPSHOT_SECONDS: Final = 5.0
"""A recovery steps through at most about this much journal."""
SNAPSHOT_SHARE: Final = 20
"""A snapshot is taken no oftener than twenty times what the last one took: large states must not stop the stream."""
MAX_QUEUED: Final = 32
"""Units between core and writer; two full group commits, more would only wait."""
GROUP_UNITS: Final = 16
GROUP_READINGS: Final = 40_000
_LONGEST_BACKOFF: Final = 2.0
"""One database is asked, by one process: waiting longer only lengthens the outage."""
_ATTEMPTS_BEFORE_QUARANTINE: Final = 5


class ProcessorLike(Protocol):
    """What the host needs of :class:`stream_processors.pipeline.processor.Processor`."""

    ticks: dict[int, int]
    """The last tick of each tenant's timeline."""

    def step(self, record: StreamRecord) -> Outcome: ...

    def snapshot(self) -> bytes: ...

    def reconfigure(self, registry: RegistrySnapshot) -> None: ...


class ProcessorFactory(Protocol):
    """The class itself: called it makes a new processor, ``restore`` one in an earlier state."""

    def __call__(self, registry: RegistrySnapshot, /) -> ProcessorLike: ...

    def restore(self, data: bytes, registry: RegistrySnapshot, /) -> ProcessorLike: ...


class StreamWriter(WriterPort, Protocol):
    """A writer with the two calls that belong to a long-running host."""

    def flush_latest(self) -> None:
        """Write latest values that are due; called when there is nothing to commit."""
        ...

    def close(self) -> None: ...


class _Queued:
    __slots__ = ("attempts", "handles", "unit")

    def __init__(self, unit: CommitUnit, handles: Sequence[Handle]) -> None:
        self.unit = unit
        self.handles = handles
        self.attempts = 0


class EmbeddedSink:
    """Implements :class:`ingest.sink.Sink`."""

    def __init__(
        self,
        writer: StreamWriter,
        processor: ProcessorFactory,
        codec: RecordCodec,
        *,
        stream: str = STREAM,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
    ) -> None:
        self._writer = writer
        self._factory = processor
        self._codec = codec
        self._stream = stream
        self._snapshot_seconds = snapshot_seconds
        self._queue: queue.Queue[_Queued | None] = queue.Queue(MAX_QUEUED)
        self._thread = threading.Thread(target=self._write, name="writer", daemon=True)
        self._abandon = threading.Event()
        self._failure: BaseException | None = None
        self._processor: ProcessorLike | None = None
        self._epoch = self._offset = 0
        self._since_snapshot = 0
        self._next_snapshot = 0.0
        self._packer = Packer()
        self._basis: Basis | None = None
        self._sequences: dict[int, tuple[int, int]] = {}
        self.commits = 0
        self.committed_readings = 0

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self, registry: RegistrySnapshot, durable: Durable, failed: Any) -> Resumed:
        """Take the stream and recover. Waits while the database is away."""
        self._durable: Durable = durable
        self._failed = failed
        position = self._acquire()
        began = time.monotonic()
        self._processor = self._recovered(position, registry)
        self._epoch, self._offset = position.epoch, position.next_offset
        self._since_snapshot = len(position.journal)
        self._rest_on(registry)
        log.info(
            "stream.acquired",
            stream=self._stream,
            epoch=self._epoch,
            next_offset=self._offset,
            replayed=len(position.journal),
            seconds=round(time.monotonic() - began, 2),
        )
        self._thread.start()
        return Resumed(dict(self._sequences), dict(self._processor.ticks))

    def _acquire(self) -> StreamPosition:
        delay = 0.2
        while True:
            try:
                return self._writer.acquire(self._stream)
            except UnavailableError as error:
                if delay == 0.2:
                    log.warning("database.unreachable", problem=str(error))
                if self._abandon.wait(random.uniform(0.5, 1.0) * delay):
                    raise
                delay = min(delay * 2, _LONGEST_BACKOFF)

    def _recovered(self, position: StreamPosition, registry: RegistrySnapshot) -> ProcessorLike:
        """State after the last commit, by the registry of now."""
        if position.snapshot is None:
            processor, then = self._factory(registry), registry
        else:
            checkpoint = unpack(position.snapshot)
            self._sequences.update(checkpoint.sequences)
            same = checkpoint.basis is None or checkpoint.basis.means_the_same(registry)
            then = registry if same or checkpoint.basis is None else checkpoint.basis.as_it_was(registry)
            processor = self._factory.restore(checkpoint.state, then)
        for _, data in position.journal:
            record = self._codec.decode(data)
            processor.step(record)
            self._sequences.update(record.sequences)
        if then is not registry:
            processor.reconfigure(registry)
        return processor

    def close(self, timeout: float) -> bool:
        """Commit what is queued and a last snapshot."""
        deadline = time.monotonic() + timeout
        try:
            if self._since_snapshot and self._failure is None:
                self._submit(StreamRecord(TelemetryBatch.empty(0)), (), snapshot=True, deadline=deadline)
            self._put(None, deadline)
        except (queue.Full, ServiceEndedError):
            self._abandon.set()
        self._thread.join(max(0.1, deadline - time.monotonic()))
        if self._thread.is_alive():
            # the database is away; what is queued was never acknowledged and comes again
            self._abandon.set()
            self._thread.join(1.0)
            return False
        return self._failure is None and not self._abandon.is_set()

    def abandon(self) -> None:
        """What is queued was never acknowledged and comes again."""
        self._abandon.set()

    # --- the core thread ----------------------------------------------------------------------------------------

    def submit(self, record: StreamRecord, handles: Sequence[Handle]) -> None:
        """Step the processor, queue the unit; blocks while the queue is full."""
        self._submit(record, handles, snapshot=time.monotonic() >= self._next_snapshot)

    def _submit(
        self, record: StreamRecord, handles: Sequence[Handle], *, snapshot: bool, deadline: float | None = None
    ) -> None:
        assert self._processor is not None
        outcome = self._processor.step(record)
        self._sequences.update(record.sequences)
        state = self._take_snapshot() if snapshot else None
        unit = CommitUnit(self._stream, self._epoch, self._offset, record, outcome, self._codec.encode(record), state)
        self._offset += 1
        self._since_snapshot += 1
        if snapshot:
            self._since_snapshot = 0
        self._put(_Queued(unit, handles), deadline)

    def _take_snapshot(self) -> bytes:
        assert self._processor is not None
        began = time.monotonic()
        state = self._packer.pack(self._processor.snapshot(), self._sequences)
        took = time.monotonic() - began
        self._next_snapshot = began + took + max(self._snapshot_seconds, SNAPSHOT_SHARE * took)
        return state

    def reconfigure(self, registry: RegistrySnapshot) -> None:
        """From the next record on."""
        assert self._processor is not None
        self._processor.reconfigure(registry)
        self._rest_on(registry)

    def _rest_on(self, registry: RegistrySnapshot) -> None:
        """Checkpoints rest on this registry; at once where what is journalled from now on means something else."""
        if not self._basis or not self._basis.means_the_same(registry):
            self._next_snapshot = 0.0
        self._basis = Basis.of(registry)
        self._packer.use(self._basis)

    def _put(self, item: _Queued | None, deadline: float | None) -> None:
        while True:
            if self._failure is not None or self._abandon.is_set():
                raise ServiceEndedError from self._failure
            try:
                self._queue.put(item, timeout=0.2)
                return
            except queue.Full:
                if deadline is not None and time.monotonic() >= deadline:
                    raise

    # --- the writer thread --------------------------------------------------------------------------------------

    def _write(self) -> None:
        try:
            while not self._abandon.is_set():
                group, last = self._group()
                if group:
                    self._commit(group)
                elif not last:
                    self._idle()
                if last:
                    break
        except BaseException as error:
            self._failure = error
            self._abandon.set()
            self._failed(error)
        finally:
            try:
                self._writer.close()
            except Exception as error:
                log.warning("writer.close_failed", problem=str(error))

    def _group(self) -> tuple[list[_Queued], bool]:
        """What is queued, up to one group commit, and whether the end came with it."""
        group: list[_Queued] = []
        readings = 0
        try:
            item = self._queue.get(timeout=1.0)
            while item is not None:
                group.append(item)
                readings += len(item.unit.record.batch)
                if len(group) >= GROUP_UNITS or readings >= GROUP_READINGS:
                    return group, False
                item = self._queue.get_nowait()
            return group, True
        except queue.Empty:
            return group, False

    def _idle(self) -> None:
        try:
            self._writer.flush_latest()
        except UnavailableError as error:
            log.debug("latest.not_flushed", problem=str(error))

    def _commit(self, group: list[_Queued]) -> None:
        delay, failing_since = 0.1, 0.0
        while group:
            try:
                report = self._writer.commit([item.unit for item in group])
            except FencedError:
                raise
            except Exception as error:
                if not failing_since:
                    failing_since = time.monotonic()
                    log.warning("commit.failed", problem=str(error), kind=type(error).__name__, units=len(group))
                if not isinstance(error, (UnavailableError, ConflictError)):
                    group = self._isolate(group, error)
                if self._abandon.wait(random.uniform(0.5, 1.0) * delay):
                    return
                delay = min(delay * 2, _LONGEST_BACKOFF)
                continue
            if failing_since:
                log.info("commit.works_again", seconds=round(time.monotonic() - failing_since, 1))
            self.commits += 1
            self.committed_readings += report.stored
            self._durable([handle for item in group for handle in item.handles])
            return

    def _isolate(self, group: list[_Queued], error: Exception) -> list[_Queued]:
        """The database refuses something for good: find the unit, then put aside what it will not take.

        Units go singly, the others with them on return of the first; a unit that fails so often alone is replaced.
        """
        if len(group) > 1:
            for item in group:
                self._commit([item])
                if self._abandon.is_set():
                    break
            return []
        item = group[0]
        item.attempts += 1
        if item.attempts >= _ATTEMPTS_BEFORE_QUARANTINE:
            item.unit = self._without_poison(item.unit, error, whole=item.attempts > _ATTEMPTS_BEFORE_QUARANTINE)
            log.error("commit.quarantined", offset=item.unit.offset, problem=str(error))
        return group

    def _without_poison(self, unit: CommitUnit, error: Exception, *, whole: bool) -> CommitUnit:
        """The unit with its events as dead letters; if that was not it, all of the record as one."""
        record, received_at = unit.record, unit.record.batch.received_at
        detail = f"the database refused it: {error}"[:400].replace("\0", "")
        topic = f"$record/{unit.stream}/{unit.offset}"
        if not whole and record.events:
            letters = tuple(
                DeadLetter(
                    topic,
                    orjson.dumps({"ts": isoformat(event.ts), "kind": event.kind, "body": event.body}),
                    "unstorable",
                    detail,
                    received_at,
                    equipment_id=event.equipment_id,
                )
                for event in record.events
            )
            return replace(unit, record=replace(record, events=(), dead_letters=record.dead_letters + letters))
        count = max(1, len(record.batch) + len(record.events))
        letter = DeadLetter(topic, self._codec.encode(record), "unstorable", detail, received_at, readings=count)
        emptied = StreamRecord(TelemetryBatch.empty(received_at), dead_letters=(letter,), counts=record.counts)
        nothing = TelemetryBatch.empty(received_at)
        return replace(unit, record=emptied, outcome=Outcome(nothing, nothing))


class ServiceEndedError(RuntimeError):
    """The sink has failed or was given up; nothing more is taken."""
