"""A worker's partitions: each a stream of its own through the core into the database. Knows nothing of Faust.

Event loop: :meth:`PartitionHost.arrived` looks at a record's place and keeps its bytes. Core thread: what a partition
has waiting is decoded, put together (results do not depend on how a stream is cut) and stepped; its unit goes to the
writer thread, where units of all partitions share transactions. A full queue there blocks the core thread, what waits
fills up, and :attr:`PartitionHost.full` tells the loop to read no more.

Kafka is the journal: a partition starts at its newest checkpoint, steps through what was committed after it without
effects, and goes on. Where a record belongs is the database's word, never Kafka's:

=====================  ========================================================
its offset             what happens
=====================  ========================================================
is the next            it is taken
lies below             it is skipped: it is stored already
lies above             it is not touched; whoever reads goes back to the next
=====================  ========================================================
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from core.errors import FencedError, UnavailableError
from core.ports import RecordCodec, RegistryPort, StreamPosition
from core.registry import RegistrySnapshot
from core.telemetry import MAX_BATCH_READINGS, DeadLetter, StreamRecord, TelemetryBatch
from formats.record import DamagedRecordError
from stream_processors.commits import LONGEST_BACKOFF, Committer, Queued, ServiceEndedError, StreamWriter
from stream_processors.kafka.partitions import Partitioning, merge, mergeable
from stream_processors.stream import SNAPSHOT_SECONDS, ProcessorFactory, StreamCore
from stream_processors.tracing import Tracing, sampled

if TYPE_CHECKING:
    from opentelemetry.trace import Span

log = structlog.get_logger(__name__)

MAX_WAITING_BYTES: Final = 32 * 1024 * 1024
"""Of records read and not yet stepped, over all partitions."""
IDLE_SNAPSHOT: Final = 60.0
"""A partition that falls silent gets a last checkpoint, so that its log may expire without taking state along."""
_REST_EVERY: Final = 5.0
_TOO_LARGE_TO_KEEP: Final = 1 << 20
_QUEUED_UNITS: Final = 128
"""Two for each partition that a worker may have: units are small where there are many."""
_REGISTRY_SECONDS: Final = 1.0
_DRAIN_SECONDS: Final = 5.0


class PartitionWriter(StreamWriter, Protocol):
    """What the host asks of :class:`storage.writer.Writer`."""

    def acquire_all(self, streams: Sequence[str]) -> list[StreamPosition]: ...

    def leave(self, stream: str) -> None: ...


class Place(Enum):
    """Where a record that arrived belongs."""

    TAKEN = "taken"
    BELOW = "below"
    ABOVE = "above"
    NOBODYS = "nobody's"
    """The partition is not held (any more, or not yet)."""


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that could not be used, for whoever keeps such things beside the database."""

    partition: int
    offset: int
    data: bytes
    reason: str


@dataclass(slots=True, eq=False)
class _Held:
    """``arrives``: the next offset to be read; ``live``: the first that is not committed."""

    partition: int
    core: StreamCore
    live: int
    arrives: int
    waiting: deque[tuple[int, bytes, int]] = field(default_factory=deque)
    queued: bool = False
    leaving: bool = False
    careful_until: int = -1
    active_at: float = 0.0
    traces: dict[int, bytes] = field(default_factory=dict)
    """Of records that wait and are traced."""
    spans: deque[tuple[int, Span]] = field(default_factory=deque)
    """Of units on their way into the database, with the first offset behind each."""


def stream_name(partition: int) -> str:
    """The stream of a partition, as the database knows it."""
    return f"telemetry-{partition}"


class PartitionHost:
    """Starts with :meth:`start`, ends with :meth:`stop`.

    ``lost`` is called with a partition that another worker took or whose core failed (it is to be acquired again if it
    is still ours), ``failed`` when nothing can go on, ``poison`` with what was put aside; all from other threads.
    """

    def __init__(
        self,
        writer: PartitionWriter,
        processor: ProcessorFactory,
        codec: RecordCodec,
        registry: RegistryPort,
        *,
        topic: str,
        lost: Callable[[int], None],
        failed: Callable[[BaseException], None],
        poison: Callable[[Poison], None] = lambda poison: None,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
        tracing: Tracing | None = None,
    ) -> None:
        self._tracing = tracing
        self._writer = writer
        self._factory = processor
        self._codec = codec
        self._registry_port = registry
        self._topic = topic
        self._lost = lost
        self._failed = failed
        self._poison = poison
        self._snapshot_seconds = snapshot_seconds
        self._committer = Committer(
            writer,
            codec,
            durable=self._committed,
            failed=self._fail,
            fenced=self._fenced,
            max_queued=_QUEUED_UNITS,
            group_units=_QUEUED_UNITS,
        )
        self._lock = threading.Lock()
        self._held: dict[int, _Held] = {}
        self._work: queue.SimpleQueue[_Held | Callable[[], None] | None] = queue.SimpleQueue()
        self._core = threading.Thread(target=self._run, name="core", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="registry", daemon=True)
        self._ended = threading.Event()
        self._waiting_bytes = 0
        self._failures: dict[tuple[int, int], int] = {}
        self._adopting = False
        self._partitioning = Partitioning(RegistrySnapshot(-1, {}, {}, {}))
        self.committed: dict[int, int] = {}
        """By partition, the first offset not committed; for lag, and for Kafka's own book."""
        self.failure: BaseException | None = None
        self.skipped = self.stepped = self.replayed = self.fencings = 0

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Load the registry (waits while the database is away) and start the threads."""
        self._partitioning = Partitioning(self._patiently(self._registry_port.load))
        self._committer.start()
        self._core.start()
        self._watcher.start()

    def stop(self, timeout: float) -> bool:
        """Commit what was taken, a checkpoint of each partition, and leave them in order; False where that did not
        succeed in time: then it is done again by who comes next."""
        deadline = time.monotonic() + timeout
        clean = self.release(list(self._held), timeout)
        self._ended.set()
        self._work.put(None)
        self._core.join(max(0.1, deadline - time.monotonic()))
        kept = self._committer.close(max(0.1, deadline - time.monotonic()))
        return clean and kept and self.failure is None

    def abandon(self) -> None:
        """Give up at once what is not committed."""
        self._ended.set()
        self._work.put(None)
        self._committer.abandon()

    @property
    def commits(self) -> int:
        return self._committer.commits

    @property
    def committed_readings(self) -> int:
        return self._committer.committed_readings

    @property
    def full(self) -> bool:
        """So much waits for the core that nothing more should be read."""
        return self._waiting_bytes > MAX_WAITING_BYTES

    @property
    def partitions(self) -> list[int]:
        """Those held."""
        with self._lock:
            return sorted(self._held)

    # --- taking and giving back partitions (any thread but the core's and the loop's: they wait) -----------------

    def acquire(self, partitions: Iterable[int]) -> None:
        """Take these, fencing out whoever held them, and restore their state. Waits while the database is away."""
        wanted = [partition for partition in partitions if partition not in self._held]
        if not wanted:
            return
        began = time.monotonic()
        names = [stream_name(partition) for partition in wanted]
        found = self._patiently(lambda: self._committer.call(lambda: self._acquire(names)).result())
        partitioning = self._partitioning
        for partition, position in zip(wanted, found, strict=True):
            core = StreamCore(position, partitioning.only(partition), self._factory, self._snapshot_seconds)
            start = position.snapshot_offset + 1 if position.snapshot is not None else 0
            held = _Held(partition, core, position.next_offset, start, active_at=time.monotonic())
            held.careful_until = 1 + max((o for p, o in self._failures if p == partition), default=-1)
            if held.arrives >= held.live:
                core.go_live()
            with self._lock:
                self._held[partition] = held
                self.committed[partition] = position.next_offset
        if partitioning is not self._partitioning:  # it changed while we restored
            self._work.put(lambda: self._catch_up(wanted))
        log.info("partitions.acquired", partitions=wanted, seconds=round(time.monotonic() - began, 2))

    def _acquire(self, names: Sequence[str]) -> list[StreamPosition]:
        """In the writer's thread. After a lost connection it may turn out there that one of the others is lost."""
        while True:
            try:
                return self._writer.acquire_all(names)
            except FencedError as error:
                if not error.stream:
                    raise
                self._fenced(error.stream)

    def release(self, partitions: Iterable[int], timeout: float = _DRAIN_SECONDS) -> bool:
        """Commit what was stepped, store a checkpoint, leave. What only waits is dropped: its next owner reads it.
        False where that took longer than ``timeout`` seconds; the partitions are given back all the same."""
        leaving: list[Future[Any]] = []
        for partition in partitions:
            with self._lock:
                held = self._held.get(partition)
                if held is None or held.leaving:
                    continue
                held.leaving = True
            done: Future[Any] = Future()
            leaving.append(done)
            self._work.put(lambda held=held, done=done: self._leave(held, done))  # type: ignore[misc]
        deadline = time.monotonic() + timeout
        clean = True
        for done in leaving:
            try:
                done.result(max(0.0, deadline - time.monotonic()))
            except Exception as error:
                clean = False
                log.warning("partition.not_left_in_order", problem=str(error) or type(error).__name__)
        with self._lock:
            for partition in partitions:
                self._forget(partition)
        return clean

    def _forget(self, partition: int) -> None:
        held = self._held.pop(partition, None)
        self.committed.pop(partition, None)
        if held is not None:
            held.leaving = True
            self._waiting_bytes -= sum(len(data) for _, data, _ in held.waiting)
            held.waiting.clear()

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        delay = 0.2
        while True:
            try:
                return ask()
            except UnavailableError as error:
                if delay == 0.2:
                    log.warning("database.unreachable", problem=str(error))
                if self._ended.wait(random.uniform(0.5, 1.0) * delay):
                    raise ServiceEndedError from error
                delay = min(delay * 2, LONGEST_BACKOFF)

    # --- the event loop's thread ---------------------------------------------------------------------------------

    def arrived(self, partition: int, offset: int, data: bytes, registry: int, trace: bytes | None = None) -> Place:
        """A record was read; ``registry`` is the version it was named by, ``trace`` the span that sent it. Never
        waits."""
        with self._lock:
            held = self._held.get(partition)
            if held is None or held.leaving:
                return Place.NOBODYS
            if offset < held.arrives:
                self.skipped += 1
                return Place.BELOW
            if offset > held.arrives:
                return Place.ABOVE
            held.arrives = offset + 1
            held.waiting.append((offset, data, registry))
            if trace is not None and self._tracing is not None and sampled(trace):
                held.traces[offset] = trace
            self._waiting_bytes += len(data)
            if not held.queued:
                held.queued = True
                self._work.put(held)
            return Place.TAKEN

    def next_offset(self, partition: int) -> int | None:
        """Where to read on; None where the partition is not held."""
        with self._lock:
            held = self._held.get(partition)
            return None if held is None else held.arrives

    def first_uncommitted(self, partition: int) -> int | None:
        """Records from here on are in no table yet; those before it are only read for their state."""
        with self._lock:
            held = self._held.get(partition)
            return None if held is None else max(held.live, self.committed.get(partition, 0))

    def skip_replay_to(self, partition: int, offset: int) -> None:
        """Records that are committed already are no longer there to be replayed: go on at ``offset``."""
        with self._lock:
            held = self._held[partition]
            assert held.arrives <= offset <= held.live
            held.arrives = offset

    # --- the core thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            rested = time.monotonic()
            while not self._ended.is_set():
                if time.monotonic() - rested > _REST_EVERY:
                    self._rest()
                    rested = time.monotonic()
                try:
                    item = self._work.get(timeout=1.0)
                except queue.Empty:
                    continue
                if item is None:
                    return
                if isinstance(item, _Held):
                    self._step(item)
                else:
                    item()
        except ServiceEndedError:
            pass
        except BaseException as error:
            self._fail(error)

    def _step(self, held: _Held) -> None:
        batch = self._take(held)
        if not batch:
            return
        first, registry = batch[0][0], max(version for _, _, version in batch)
        try:
            if registry > self._partitioning.registry.version:
                self._adopt(at_least=registry)
            records = [self._decoded(held, offset, data) for offset, data, _ in batch]
            if first < held.live:
                self._replay(held, first, records[0])
            else:
                self._live(held, records)
        except ServiceEndedError:
            raise
        except Exception as error:
            self._defect(held, batch, error)
        with self._lock:
            held.queued = bool(held.waiting) and not held.leaving
            if held.queued:
                self._work.put(held)

    def _take(self, held: _Held) -> list[tuple[int, bytes, int]]:
        """What may go through the core at once, of what waits; one at a time where care is needed."""
        with self._lock:
            if held.leaving or not held.waiting:
                held.queued = False
                return []
            most = 1 if held.waiting[0][0] < max(held.live, held.careful_until) else len(held.waiting)
            batch: list[tuple[int, bytes, int]] = []
            size = 0
            while held.waiting and len(batch) < most:
                # compressed records are about 8 bytes per reading; the exact bound is kept after decoding
                if batch and size + len(held.waiting[0][1]) > MAX_BATCH_READINGS * 12:
                    break
                batch.append(held.waiting.popleft())
                size += len(batch[-1][1])
            self._waiting_bytes -= size
            return batch

    def _live(self, held: _Held, records: list[StreamRecord]) -> None:
        group: list[StreamRecord] = []
        for record in records:
            if not mergeable(group, len(record.batch), MAX_BATCH_READINGS):
                self._submit(held, group)
                group = []
            group.append(record)
        self._submit(held, group)

    def _submit(self, held: _Held, group: list[StreamRecord]) -> None:
        core = held.core
        if not core.live:
            core.go_live()
        record = _forward(merge(group), core.processor.ticks)
        place = core.offset
        if held.traces:
            self._trace(held, place + len(group), len(record.batch))
        try:
            unit = core.step(record, span=len(group))
        except Exception as error:
            raise _StepError(place, len(group)) from error
        self.stepped += len(group)
        held.active_at = time.monotonic()
        self._committer.submit(unit)

    def _trace(self, held: _Held, end: int, readings: int) -> None:
        """What waits before ``end`` is under way from now on."""
        with self._lock:
            traces = [held.traces.pop(offset) for offset in sorted(held.traces) if offset < end]
            if traces and self._tracing is not None:
                span = self._tracing.process(self._topic, held.partition, held.core.offset, readings, traces)
                held.spans.append((end, span))

    def _replay(self, held: _Held, offset: int, record: StreamRecord) -> None:
        try:
            held.core.replay(_forward(record, held.core.processor.ticks))
        except Exception:
            log.exception("core.defect_in_replay", partition=held.partition, offset=offset)
        self.replayed += 1
        if offset + 1 == held.live:
            held.core.go_live()
            log.info("partition.replayed", partition=held.partition, upto=held.live)

    def _decoded(self, held: _Held, offset: int, data: bytes) -> StreamRecord:
        if self._failures.get((held.partition, offset), 0) > 1:
            return self._put_aside(held, offset, data, "internal-error", "a defect of servitize, see its log")
        try:
            return self._codec.decode(data)
        except DamagedRecordError as error:
            return self._put_aside(held, offset, data, error.code, str(error))

    def _put_aside(self, held: _Held, offset: int, data: bytes, reason: str, detail: str) -> StreamRecord:
        if offset >= held.live:
            log.error("record.put_aside", partition=held.partition, offset=offset, reason=reason)
            self._poison(Poison(held.partition, offset, data, reason))
        now = time.time_ns() // 1_000
        topic = f"$kafka/{self._topic}/{held.partition}/{offset}"
        letter = DeadLetter(topic, data[:_TOO_LARGE_TO_KEEP], reason, detail, now)
        counts = {"ingest.readings": 1, f"ingest.refused.{reason}": 1}
        return StreamRecord(TelemetryBatch.empty(now), dead_letters=(letter,), counts=counts)

    def _defect(self, held: _Held, batch: list[tuple[int, bytes, int]], error: Exception) -> None:
        """The core raised: its state may be half changed, so it is made anew from the database; what was in the way
        goes through alone then, and is put aside when it is in the way again."""
        first, last = batch[0][0], batch[-1][0]
        if isinstance(error, _StepError):
            first, last = error.offset, error.offset + error.span - 1
        log.error("core.defect", partition=held.partition, first=first, last=last, exc_info=error)
        for offset in range(first, last + 1):
            key = (held.partition, offset)
            self._failures[key] = self._failures.get(key, 0) + (2 if first == last else 1)
        with self._lock:
            self._forget(held.partition)
        self._lost(held.partition)

    def _leave(self, held: _Held, done: Future[Any]) -> None:
        try:
            core = held.core
            with self._lock:
                ours = self._held.get(held.partition) is held
            if ours and core.since_snapshot and core.live:
                self._committer.submit(core.step(StreamRecord(TelemetryBatch.empty(0)), span=0, snapshot=True))
            left = self._committer.call(lambda: self._writer.leave(core.name) if ours else None)
            left.add_done_callback(lambda f: done.set_exception(e) if (e := f.exception()) else done.set_result(None))
        except BaseException as error:
            done.set_exception(error)
            if isinstance(error, ServiceEndedError):
                raise

    def _rest(self) -> None:
        """Nothing to do: who has been silent for long gets a last checkpoint."""
        now = time.monotonic()
        with self._lock:
            silent = [
                held
                for held in self._held.values()
                if held.core.since_snapshot and held.core.live and not held.leaving and not held.waiting
                and now - held.active_at > IDLE_SNAPSHOT
            ]  # fmt: skip
        for held in silent:
            held.active_at = now
            self._committer.submit(held.core.step(StreamRecord(TelemetryBatch.empty(0)), span=0, snapshot=True))

    # --- the registry --------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        failing = False
        while not self._ended.wait(_REGISTRY_SECONDS):
            try:
                if not self._adopting and self._registry_port.version() != self._partitioning.registry.version:
                    self._adopting = True
                    self._work.put(self._adopt)
                failing = False
            except Exception as error:  # whatever it is, the registry we have goes on serving
                if not failing:
                    log.warning("registry.unreachable", problem=str(error))
                failing = True

    def _adopt(self, at_least: int = 0) -> None:
        """Go on with today's registry; waits for ``at_least``, by which a record that is here already was named."""
        while not self._ended.is_set():
            registry: RegistrySnapshot = self._patiently(self._registry_port.load)
            if registry.version >= at_least:
                break
            self._ended.wait(0.1)  # a replica that is behind, or a database that was set back
        before, self._partitioning = self._partitioning, Partitioning(registry)
        self._adopting = False
        with self._lock:
            held_now = list(self._held.values())
        for held in held_now:
            was, now = before.only(held.partition), self._partitioning.only(held.partition)
            if (was.equipment, was.types, was.models) != (
                now.equipment,
                now.types,
                now.models,
            ):  # most changes are of other partitions
                held.core.reconfigure(now)

    def _catch_up(self, partitions: Iterable[int]) -> None:
        """These were restored by a registry that is no longer today's."""
        for partition in partitions:
            with self._lock:
                held = self._held.get(partition)
            if held is not None:
                held.core.reconfigure(self._partitioning.only(partition))

    # --- the writer thread ---------------------------------------------------------------------------------------

    def _committed(self, group: Sequence[Queued]) -> None:
        with self._lock:
            for item in group:
                partition = int(item.unit.stream.rpartition("-")[2])
                held = self._held.get(partition)
                if held is not None and held.core.epoch == item.unit.epoch:
                    self.committed[partition] = item.unit.end
                    while held.spans and held.spans[0][0] <= item.unit.end:
                        held.spans.popleft()[1].end()

    def _fenced(self, stream: str) -> None:
        partition = int(stream.rpartition("-")[2])
        self.fencings += 1
        log.warning("partition.lost", partition=partition, why="another worker has taken it")
        self._writer.leave(stream)
        with self._lock:
            self._forget(partition)
        self._lost(partition)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            log.error("worker.failed", problem=str(error), kind=type(error).__name__)
        self._ended.set()
        self._failed(error)


class _StepError(Exception):
    def __init__(self, offset: int, span: int) -> None:
        super().__init__(f"at offset {offset}, {span} records")
        self.offset = offset
        self.span = span


def _forward(record: StreamRecord, ticks: dict[int, int]) -> StreamRecord:
    """Without ticks that go back: a record sent again, or a tenant that two ingests tick for."""
    if all(tick.at > ticks.get(tick.tenant_id, -1) for tick in record.ticks):
        return record
    return replace(record, ticks=tuple(tick for tick in record.ticks if tick.at > ticks.get(tick.tenant_id, -1)))
