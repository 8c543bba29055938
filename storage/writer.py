"""The one way into the database for streams: consecutive units of each in one transaction, all or nothing.

Order inside the transaction:

1. the positions move, if epoch and offset are ours (else nothing else happens);
2. readings newer than their point's newest go by binary COPY, all others by a merge that knows the winner of a key;
   the hours they touch are noted for the rollups;
3. events, waveforms, cycles, dead letters, states, health, condition transitions (which reduce alarms and fill the
   outbox);
4. conservation counters; journal and snapshot of the processor; a slice of latest values;
5. commit.

A crash before 5 leaves nothing of it. A crash in 5 leaves all or nothing, and the position says which: the same
units given again
are skipped or stored, never doubled.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import errors

from core.errors import ConflictError, FencedError, UnavailableError
from core.outcome import CommitUnit
from core.ports import CommitReport, StreamPosition
from core.time import to_datetime
from storage import effects
from storage.errors import is_outage, translate
from storage.latest import LatestCache
from storage.merge import gather, merge
from storage.packing import (
    COPY_HEADER,
    COPY_TRAILER,
    ByteaArray,
    Int4Array,
    Rows,
    TimeArray,
    array_parameters,
    pack,
    register,
    unpack,
)
from storage.partitions import CoveredTime
from storage.queries import load
from storage.rollups import Touched, TouchedHours

COPY_CHUNK: Final = 1 << 18
"""Bytes handed to the driver at once; more gains nothing, less costs calls."""
_NOTHING: Final = CommitReport(0, 0, 0)


def _monotonic() -> int:
    return time.monotonic_ns() // 1000


def _together(connection: psycopg.Connection[Any]) -> contextlib.AbstractContextManager[object]:
    """Statements whose answers nobody waits for go out at once, and so does the commit behind them: each answer waited
    for is a way to the server and back, and a turn at the interpreter's lock. The first error is raised in the end, and
    what stood behind it did not happen."""
    return connection.pipeline() if psycopg.Pipeline.is_supported() else contextlib.nullcontext()


@dataclass(slots=True)
class _Held:
    epoch: int
    next: int


class Writer:
    """Implements :class:`core.ports.WriterPort` for the streams it holds (one in the embedded host, a worker's
    partitions in the cluster), used by one thread.

    ``dsn`` is a login of the writer role. ``clock`` gives monotonic microseconds and only paces the flushing of
    latest values.
    The connection is made on first use and again after it was lost; what was known of the streams is then read anew.
    """

    def __init__(self, dsn: str, *, clock: Callable[[], int] = _monotonic) -> None:
        self._dsn = dsn
        self._clock = clock
        self._queries = load("writer")
        self._connection: psycopg.Connection[Any] | None = None
        self._latest = LatestCache()
        self._covered = CoveredTime(self._ensure_partitions)
        self._touched = TouchedHours()
        self._held: dict[str, _Held] = {}
        self._certain = True
        """False after a connection was lost: the last commit may or may not have happened."""

    # -- taking and leaving streams ------------------------------------------------------------------------------

    def acquire(self, stream: str) -> StreamPosition:
        return self.acquire_all([stream])[0]

    def acquire_all(self, streams: Sequence[str]) -> list[StreamPosition]:
        """As :meth:`acquire` for several at once: what is known of latest values is read once. Those already held are
        kept; who holds one of ``streams`` already loses its units under way, as anybody else would."""
        try:
            connection = self._connected()
            if self._held and not self._certain:
                self._resume(connection)
            self._flush_all(connection)
            # one order for all: two writers that take the same streams never wait for each other in a circle
            clean = [self._take(connection, stream) for stream in sorted(streams)]
            if not all(clean):
                self._queries.repair_latest(connection)
            positions = [self._position(connection, stream) for stream in streams]
            self._load_latest(connection)
            connection.commit()
        except psycopg.Error as error:
            self._drop()
            for stream in streams:
                self._held.pop(stream, None)
            raise translate(error) from error
        self._certain = True
        return positions

    def _position(self, connection: psycopg.Connection[Any], stream: str) -> StreamPosition:
        held = self._held[stream]
        snapshot = self._queries.snapshot(connection, stream=stream)
        place, state = (int(snapshot[0]), bytes(snapshot[1])) if snapshot else (-1, None)
        journal = [
            (int(offset), bytes(record))
            for offset, record in self._queries.journal(connection, stream=stream, after=place, before=held.next)
        ]
        return StreamPosition(stream, held.epoch, held.next, state, place, journal)

    def _take(self, connection: psycopg.Connection[Any], stream: str) -> bool:
        self._queries.open_stream(connection, stream=stream)
        clean = bool(self._queries.lock_stream(connection, stream=stream))
        epoch, place = map(int, self._queries.take_stream(connection, stream=stream))
        self._held[stream] = _Held(epoch, place)
        # at once, not with the rest: from here on the old holder is fenced out, however long the loading takes
        connection.commit()
        return clean

    def _load_latest(self, connection: psycopg.Connection[Any]) -> None:
        with connection.cursor() as cursor, cursor.copy(self._queries.copy_latest.sql) as copy:
            data = b"".join(bytes(chunk) for chunk in copy)
        self._latest.load(unpack(data))

    def leave(self, stream: str) -> None:
        """Leave one stream in order, go on with the others; nothing for one that is not held."""
        held = self._held.pop(stream, None)
        if held is not None and self._connection is not None and self._certain:
            self._part(self._connection, {stream: held})

    def _part(self, connection: psycopg.Connection[Any], held: Mapping[str, _Held]) -> None:
        try:
            self._flush_all(connection)
            for stream, mine in held.items():
                self._queries.leave_stream(connection, stream=stream, epoch=mine.epoch)
            connection.commit()
        except psycopg.Error as error:
            self._recover()
            if not is_outage(error):
                raise

    def close(self) -> None:
        """Flush the latest values and leave the streams in order. Safe to call twice; after a lost connection it only
        lets go."""
        if self._connection is not None and self._held and self._certain:
            self._part(self._connection, self._held)
        self._held = {}
        self._drop()
        self._certain = True

    # -- committing ------------------------------------------------------------------------------------------------

    def commit(self, units: Sequence[CommitUnit]) -> CommitReport:
        if not self._held:
            raise UnavailableError("no stream is held", hint="acquire it first")
        try:
            connection = self._connected()
            if not self._certain:
                self._resume(connection)
            todo = self._check(units)
            if not todo:
                return _NOTHING
            try:
                return self._commit(connection, todo, trust=True)
            except errors.UniqueViolation:
                # A key was there that the cache did not know (somebody else wrote, a replay by hand): what is known
                # is read anew and
                # every row asks for its key this time.
                connection.rollback()
                report = self._commit(connection, todo, trust=False)
                self._load_latest(connection)
                connection.commit()
                return report
        except psycopg.Error as error:
            self._recover()
            raise translate(error) from error
        except BaseException:
            self._recover()
            raise

    def _check(self, units: Sequence[CommitUnit]) -> tuple[CommitUnit, ...]:
        """The units that are not stored yet; each stream's are consecutive from its position on."""
        todo, places = [], {stream: held.next for stream, held in self._held.items()}
        for unit in units:
            held = self._held.get(unit.stream)
            if held is None or unit.epoch != held.epoch:
                raise FencedError(
                    f"a unit of {unit.stream} epoch {unit.epoch}, while "
                    + (f"epoch {held.epoch} is held" if held else "that stream is not held"),
                    stream=unit.stream,
                )
            if unit.offset < held.next:
                continue
            if unit.offset != places[unit.stream]:
                raise ConflictError(
                    f"offset {unit.offset} of {unit.stream} where {places[unit.stream]} is next",
                    hint="pause, and read the stream again from the next offset",
                )
            places[unit.stream] = unit.end
            todo.append(unit)
        return tuple(todo)

    def _commit(
        self, connection: psycopg.Connection[Any], units: tuple[CommitUnit, ...], *, trust: bool
    ) -> CommitReport:
        rows, equal, unequal = merge(gather(units))
        self._covered.need(rows.ts)
        self._advance(connection, units)
        fast = rows.ts > self._latest.ts_of(rows.point_id) if trust and len(rows) else None
        stored, known_equal, known_unequal = self._store(connection, rows, fast)
        touched = self._note(connection, rows)
        counts = self._count(units, stored, equal + known_equal, unequal + known_unequal)
        self._effects(connection, units, counts)
        now = self._clock()
        due = self._latest.due(now)
        with _together(connection):
            # of a transaction for several streams the counters go with the first: only their sums mean anything
            self._queries.count(connection, stream=units[0].stream, **effects.count_parameters(counts))
            for stream in dict.fromkeys(unit.stream for unit in units):
                self._journal(connection, stream, [unit for unit in units if unit.stream == stream])
            if due is not None:
                self._queries.flush_latest(connection, **array_parameters(due))
            connection.commit()
        for unit in units:
            self._held[unit.stream].next = unit.end
        if due is not None:
            self._latest.written(due, now)
        self._latest.update(rows)
        if touched is not None:
            self._touched.noted(touched)
        return CommitReport(stored, equal + known_equal, unequal + known_unequal)

    def _advance(self, connection: psycopg.Connection[Any], units: tuple[CommitUnit, ...]) -> None:
        ends = {unit.stream: unit.end for unit in units}
        for stream in sorted(ends):  # in one order everywhere, as they are acquired
            held = self._held[stream]
            moved = self._queries.advance(
                connection, stream=stream, epoch=held.epoch, first=held.next, next=ends[stream]
            )
            if moved is None:
                connection.rollback()
                self._resume(connection)
                raise ConflictError(
                    f"{stream} has moved to {self._held[stream].next} without this writer", hint="give the units again"
                )

    def _store(self, connection: psycopg.Connection[Any], rows: Rows, fast: Any) -> tuple[int, int, int]:
        if not len(rows):
            return 0, 0, 0
        slow = rows
        stored = equal = unequal = 0
        if fast is not None and fast.any():
            direct, slow = (rows, rows.take(fast[:0])) if fast.all() else (rows.take(fast), rows.take(~fast))
            self._copy(connection, direct)
            stored = len(direct)
        if len(slow):
            parameters = array_parameters(slow)
            fresh = int(self._queries.insert_readings(connection, **parameters))
            stored += fresh
            if fresh < len(slow):
                low, high = to_datetime(int(slow.ts.min())), to_datetime(int(slow.ts.max()))
                equal, unequal = self._queries.settle_readings(connection, **parameters, low=low, high=high)
                equal -= fresh  # what has just been inserted equals itself
        return stored, equal, unequal

    def _copy(self, connection: psycopg.Connection[Any], rows: Rows) -> None:
        data = memoryview(pack(rows))
        with connection.cursor() as cursor, cursor.copy(self._queries.copy_readings.sql) as copy:
            copy.write(COPY_HEADER)
            for start in range(0, len(data), COPY_CHUNK):
                copy.write(data[start : start + COPY_CHUNK])
            copy.write(COPY_TRAILER)

    def _note(self, connection: psycopg.Connection[Any], rows: Rows) -> Touched | None:
        """Note the hours whose rollups change; None where the engine sees to that itself."""
        generation = self._queries.rollup_generation(connection) if len(rows) else None
        if generation is None:
            return None
        touched = self._touched.of(int(generation), rows)
        if len(touched):
            self._queries.note_hours(
                connection,
                generation=touched.generation,
                points=Int4Array.of(touched.points),
                hours=TimeArray.of(touched.hours),
            )
        return touched

    def _count(self, units: tuple[CommitUnit, ...], stored: int, equal: int, unequal: int) -> Counter[str]:
        counts: Counter[str] = Counter()
        for unit in units:
            counts.update(unit.record.counts)
            counts.update(unit.outcome.counts)
            counts["storage.in_measured"] += len(unit.outcome.readings)
            counts["storage.in_derived"] += len(unit.outcome.derived)
        counts.update({"storage.stored": stored, "storage.duplicates": equal, "storage.conflicts": unequal})
        return counts

    def _effects(
        self, connection: psycopg.Connection[Any], units: tuple[CommitUnit, ...], counts: Counter[str]
    ) -> None:
        queries = self._queries
        if events := [(e, u.record.batch.received_at) for u in units for e in u.record.events]:
            fresh = queries.store_events(connection, **effects.event_parameters(events))
            counts.update({"storage.events_in": len(events), "storage.events_stored": int(fresh)})
        if waveforms := [(w, u.record.batch.received_at) for u in units for w in u.record.waveforms]:
            fresh = queries.store_waveforms(connection, **effects.waveform_parameters(waveforms))
            counts.update({"storage.waveforms_in": len(waveforms), "storage.waveforms_stored": int(fresh)})
        if cycles := [(c, u.record.batch.received_at) for u in units for c in u.record.cycles]:
            fresh = queries.store_cycles(connection, **effects.cycle_parameters(cycles))
            counts.update({"storage.cycles_in": len(cycles), "storage.cycles_stored": int(fresh)})
        if letters := [letter for u in units for letter in u.record.dead_letters]:
            queries.store_dead_letters(connection, **effects.dead_letter_parameters(letters))
            counts["storage.dead_letters"] += len(letters)
            counts["storage.dead_letter_readings"] += sum(letter.readings for letter in letters)
        if states := [s for u in units for s in u.outcome.states]:
            queries.store_states(connection, **effects.state_parameters(states))
        if health := [h for u in units for h in u.outcome.health]:
            queries.record_health(connection, assessments=effects.health_document(health))
        if prognoses := [p for u in units for p in u.outcome.prognoses]:
            queries.record_prognoses(connection, prognoses=effects.prognosis_document(prognoses))
        if scores := [s for u in units for s in u.outcome.scores]:
            queries.record_scores(connection, scores=effects.score_document(scores))
        if drifts := [d for u in units for d in u.outcome.drifts]:
            queries.record_drifts(connection, drifts=effects.drift_document(drifts))
        if transitions := [t for u in units for t in u.outcome.transitions]:
            fresh, announced = queries.apply_transitions(
                connection, transitions=effects.transition_document(transitions)
            )
            counts.update(
                {
                    "storage.transitions_in": len(transitions),
                    "storage.transitions_stored": int(fresh),
                    "storage.alarms_announced": int(announced),
                }
            )

    def _journal(self, connection: psycopg.Connection[Any], stream: str, units: Sequence[CommitUnit]) -> None:
        snapshot = next((u for u in reversed(units) if u.snapshot is not None), None)
        kept_after = -1 if snapshot is None else snapshot.end - 1
        records = [(u.offset, u.journal) for u in units if u.journal is not None and u.offset > kept_after]
        if records:
            self._queries.write_journal(
                connection,
                stream=stream,
                offsets=[offset for offset, _ in records],
                records=ByteaArray.of_bytes([record for _, record in records]),
            )
        if snapshot is not None:
            self._queries.write_snapshot(connection, stream=stream, place=kept_after, state=snapshot.snapshot)
            self._queries.cut_journal(connection, stream=stream, place=kept_after)

    # -- latest values -------------------------------------------------------------------------------------------

    def flush_latest(self) -> None:
        """Write what is due of the latest values; for moments without units, when no commit carries them."""
        if self._connection is None or not self._held or not self._certain:
            return
        try:
            while (due := self._latest.due(now := self._clock())) is not None:
                self._queries.flush_latest(self._connection, **array_parameters(due))
                self._connection.commit()
                self._latest.written(due, now)
        except psycopg.Error as error:
            self._recover()
            raise translate(error) from error

    def _flush_all(self, connection: psycopg.Connection[Any]) -> None:
        rows = self._latest.dirty()
        if len(rows):
            self._queries.flush_latest(connection, **array_parameters(rows))
            connection.commit()
        self._latest.all_written()

    # -- the connection --------------------------------------------------------------------------------------------

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(self._dsn, connect_timeout=10, application_name="servitize writer")
            register(connection)
            self._connection = connection
            self._covered = CoveredTime(self._ensure_partitions)
            self._touched = TouchedHours()
        return self._connection

    def _ensure_partitions(self, first: int, last: int) -> tuple[int, int]:
        connection = self._connected()
        low, high = self._queries.ensure_partitions(connection, first=to_datetime(first), last=to_datetime(last))
        # a transaction of its own: partitions of a batch that then fails do no harm, and their locks are gone at once
        connection.commit()
        return int(low), int(high)

    def _resume(self, connection: psycopg.Connection[Any]) -> None:
        """After a loss: are the streams still ours, how far did we come, what is newest?"""
        for stream, held in self._held.items():
            row = self._queries.position(connection, stream=stream)
            if row is None or int(row[0]) != held.epoch:
                connection.rollback()
                raise FencedError(
                    f"{stream} was taken over by another writer", hint="drop the state and acquire again", stream=stream
                )
            held.next = int(row[1])
        self._queries.repair_latest(connection)
        self._load_latest(connection)
        connection.commit()
        self._certain = True

    def _recover(self) -> None:
        """Back to a state in which the same units can be given again."""
        connection = self._connection
        if connection is None:
            self._certain = False
            return
        with contextlib.suppress(psycopg.Error):
            connection.rollback()
        if connection.closed or connection.broken:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._certain = False
