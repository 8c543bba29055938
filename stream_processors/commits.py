"""The writer thread that every host has: units in, groups of them into one transaction each, durability out.

What is queued while one commit runs goes into the next, so groups grow with the load. A full queue blocks who submits:
back-pressure without a further mechanism. A commit that failed leaves nothing and is tried again; what the database
refuses for good is put aside as dead letters, so that nothing blocks behind it.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

import orjson
import structlog

from core.errors import ConflictError, FencedError, UnavailableError
from core.outcome import CommitUnit, Outcome
from core.ports import RecordCodec, WriterPort
from core.telemetry import DeadLetter, StreamRecord, TelemetryBatch
from core.time import isoformat

log = structlog.get_logger(__name__)

MAX_QUEUED: Final = 32
"""Units between core and writer; two full group commits, more would only wait."""
GROUP_UNITS: Final = 16
GROUP_READINGS: Final = 40_000
LONGEST_BACKOFF: Final = 2.0
"""One database is asked, by one process: waiting longer only lengthens the outage."""
_ATTEMPTS_BEFORE_QUARANTINE: Final = 5

_T = TypeVar("_T")


class StreamWriter(WriterPort, Protocol):
    """A writer with the two calls that belong to a long-running host."""

    def flush_latest(self) -> None:
        """Write latest values that are due; called when there is nothing to commit."""
        ...

    def close(self) -> None: ...


class ServiceEndedError(RuntimeError):
    """The writer thread has failed or was given up; nothing more is taken."""


class Queued:
    """A unit on its way, and what its durability means to who submitted it."""

    __slots__ = ("attempts", "tag", "unit")

    def __init__(self, unit: CommitUnit, tag: Any = None) -> None:
        self.unit = unit
        self.tag = tag
        self.attempts = 0


class _Call:
    __slots__ = ("done", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done: Future[Any] = Future()


class Committer:
    """Owns ``writer`` and the thread that uses it, from :meth:`start` to :meth:`close`.

    ``durable`` is called from that thread with what a commit stored, ``failed`` once when it can never go on.
    ``fenced``: told of a stream that was lost; its units fall away and the others go on. Without it that is a failure.
    """

    def __init__(
        self,
        writer: StreamWriter,
        codec: RecordCodec,
        *,
        durable: Callable[[Sequence[Queued]], None],
        failed: Callable[[BaseException], None],
        fenced: Callable[[str], None] | None = None,
        max_queued: int = MAX_QUEUED,
        group_units: int = GROUP_UNITS,
    ) -> None:
        self._writer = writer
        self._codec = codec
        self._durable = durable
        self._failed = failed
        self._fenced = fenced
        self._group_units = group_units
        self._queue: queue.Queue[Queued | _Call | None] = queue.Queue(max_queued)
        self._ahead: _Call | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._abandon = threading.Event()
        self.failure: BaseException | None = None
        self.commits = 0
        self.committed_readings = 0

    # --- called by the host -------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def submit(self, unit: CommitUnit, tag: Any = None, deadline: float | None = None) -> None:
        """Queue a unit; blocks while the queue is full, :class:`queue.Full` past ``deadline`` (monotonic seconds)."""
        self._put(Queued(unit, tag), deadline)

    def call(self, work: Callable[[], _T]) -> Future[_T]:
        """Do ``work`` in the writer's thread after all that was submitted before; for what else the writer can do."""
        item = _Call(work)
        self._put(item, None)
        return item.done

    @property
    def queued(self) -> int:
        return self._queue.qsize()

    def close(self, timeout: float) -> bool:
        """Commit what is queued and close the writer; False where that did not succeed in time."""
        deadline = time.monotonic() + timeout
        try:
            self._put(None, deadline)
        except (queue.Full, ServiceEndedError):
            self._abandon.set()
        self._thread.join(max(0.1, deadline - time.monotonic()))
        if self._thread.is_alive():
            # the database is away; what is queued was never acknowledged and comes again
            self._abandon.set()
            self._thread.join(1.0)
            return False
        return self.failure is None and not self._abandon.is_set()

    def abandon(self) -> None:
        """Give up what is queued; who waits in :meth:`submit` gets :class:`ServiceEndedError`."""
        self._abandon.set()

    def join(self) -> None:
        """Until the thread has ended."""
        self._thread.join()

    def _put(self, item: Queued | _Call | None, deadline: float | None) -> None:
        while True:
            if self.failure is not None or self._abandon.is_set():
                raise ServiceEndedError from self.failure
            try:
                self._queue.put(item, timeout=0.2)
                return
            except queue.Full:
                if deadline is not None and time.monotonic() >= deadline:
                    raise

    # --- the writer thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._abandon.is_set():
                group, last = self._group()
                if group:
                    self._commit(group)
                if self._ahead is not None:
                    self._do(self._ahead)
                elif not group and not last:
                    self._idle()
                if last:
                    break
        except BaseException as error:
            self.failure = error
            self._abandon.set()
            self._failed(error)
        finally:
            self._refuse_calls()
            try:
                self._writer.close()
            except Exception as error:
                log.warning("writer.close_failed", problem=str(error))

    def _group(self) -> tuple[list[Queued], bool]:
        """What is queued, up to one group commit or a call, and whether the end came with it."""
        group: list[Queued] = []
        readings = 0
        try:
            item = self._queue.get(timeout=1.0)
            while item is not None:
                if isinstance(item, _Call):
                    self._ahead = item
                    return group, False
                group.append(item)
                readings += len(item.unit.record.batch)
                if len(group) >= self._group_units or readings >= GROUP_READINGS:
                    return group, False
                item = self._queue.get_nowait()
            return group, True
        except queue.Empty:
            return group, False

    def _do(self, call: _Call) -> None:
        self._ahead = None
        try:
            call.done.set_result(call.work())
        except Exception as error:
            call.done.set_exception(error)

    def _refuse_calls(self) -> None:
        waiting: list[Queued | _Call | None] = [self._ahead]
        while not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        for item in waiting:
            if isinstance(item, _Call):
                item.done.set_exception(ServiceEndedError())

    def _idle(self) -> None:
        try:
            self._writer.flush_latest()
        except UnavailableError as error:
            log.debug("latest.not_flushed", problem=str(error))
        except FencedError as error:
            self._lost(error, [])

    def _commit(self, group: list[Queued]) -> None:
        delay, failing_since = 0.1, 0.0
        while group:
            try:
                report = self._writer.commit([item.unit for item in group])
            except FencedError as error:
                group = self._lost(error, group)
                continue
            except Exception as error:
                if not failing_since:
                    failing_since = time.monotonic()
                    log.warning("commit.failed", problem=str(error), kind=type(error).__name__, units=len(group))
                if not isinstance(error, (UnavailableError, ConflictError)):
                    group = self._isolate(group, error)
                if self._abandon.wait(random.uniform(0.5, 1.0) * delay):
                    return
                delay = min(delay * 2, LONGEST_BACKOFF)
                continue
            if failing_since:
                log.info("commit.works_again", seconds=round(time.monotonic() - failing_since, 1))
            self.commits += 1
            self.committed_readings += report.stored
            self._durable(group)
            return

    def _lost(self, error: FencedError, group: list[Queued]) -> list[Queued]:
        """What of the group is still ours; nothing of a lost stream was stored, its new owner reads it again."""
        if self._fenced is None or not error.stream:
            raise error
        self._fenced(error.stream)
        return [item for item in group if item.unit.stream != error.stream]

    def _isolate(self, group: list[Queued], error: Exception) -> list[Queued]:
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
            log.error("commit.quarantined", stream=item.unit.stream, offset=item.unit.offset, problem=str(error))
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
        count = max(1, len(record.batch) + len(record.events) + len(record.waveforms) + len(record.cycles))
        letter = DeadLetter(topic, self._codec.encode(record), "unstorable", detail, received_at, readings=count)
        emptied = StreamRecord(TelemetryBatch.empty(received_at), dead_letters=(letter,), counts=record.counts)
        nothing = TelemetryBatch.empty(received_at)
        return replace(unit, record=emptied, outcome=Outcome(nothing, nothing))
