"""The processor: one record of the stream in, its outcome out. Pure of I/O and clocks; the same records give the same
outcomes.

Order of work in a record: readings are judged by themselves, watermarks move, what is behind them is released and
looked at frame by frame, all equipment side by side; then ticks; at last alarms that belong together are grouped.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core import quality as q
from core.condition import Change
from core.outcome import Outcome
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch, Tick
from core.time import SECOND
from stream_processors.pipeline import blocks, derived, detection, late, manipulation, plausibility, snapshot, states
from stream_processors.pipeline.codes import Codes
from stream_processors.pipeline.findings import Finding, Findings
from stream_processors.pipeline.fleet import Fleet, TypeState
from stream_processors.pipeline.grouping import Grouping
from stream_processors.pipeline.manipulation import IN_TIME, LATE_NEWEST, LATE_OLD, Readings
from stream_processors.pipeline.normal import NormalScorer
from stream_processors.pipeline.parcels import Parcels
from stream_processors.pipeline.repairs import Repairs, forget

IDLE: Final = 2 * SECOND
"""An equipment silent for its lateness and this much more: what waits is looked at, its last frame closes."""


class Processor:
    """State of one stream; :meth:`step` changes it in place.

    >>> Processor(RegistrySnapshot(1, {}, {}, {})).step(StreamRecord(TelemetryBatch.empty())).transitions
    ()
    """

    def __init__(self, registry: RegistrySnapshot) -> None:
        self.registry_version = registry.version
        self.fleet = Fleet(registry)
        self.parcels = Parcels(registry)
        self.codes = Codes(registry)
        self.repairs = Repairs()
        self.grouping = Grouping()
        self.ticks: dict[int, int] = {}
        self._windows = self._consequence_windows()
        self._farewells: list[Finding] = []

    # --- a record ---

    def step(self, record: StreamRecord) -> Outcome:
        """Effects of one record; the processor's state is the one after it."""
        out = Findings(transitions=self._farewells)
        self._farewells = []
        if record.events:
            self.repairs.take(record.events, out)
        batch, own = self.parcels.insert(record, out)
        quality = self._readings(batch, out)
        for tick in record.ticks:
            self._tick(tick, out)
        if record.events:
            self.codes.take(record.events, out)
        if self.codes.waiting:
            self.codes.release(self._behind, out)
        readings = batch
        if quality is not batch.quality:
            readings = TelemetryBatch(batch.point_id, batch.ts, batch.value, quality, batch.received_at)
        made = _derived_batch(out, batch.received_at)
        if own is not None:
            made = TelemetryBatch.concatenate([made, readings.take(~own)], batch.received_at)
            readings = readings.take(own)
        transitions = self.grouping.arrange(out.transitions, self._windows) if out.transitions else ()
        self._count(record, quality, out, len(transitions))
        return Outcome(
            readings,
            made,
            transitions,
            tuple(sorted(out.states, key=lambda s: (s.at, s.equipment_id))),
            tuple(out.health),
            out.counts,
            prognoses=tuple(sorted(out.prognoses, key=lambda p: (p.at, p.equipment_id, p.model, p.version))),
            scores=tuple(sorted(out.scores, key=lambda s: (s.at, s.equipment_id, s.model, s.version, s.component))),
            drifts=tuple(sorted(out.drifts, key=lambda d: (d.at, d.equipment_id, d.model, d.version))),
        )

    def _readings(self, batch: TelemetryBatch, out: Findings) -> NDArray[np.uint8]:
        quality = batch.quality
        if not len(batch):
            return quality
        fleet = self.fleet
        point = np.minimum(np.maximum(batch.point_id, -1), len(fleet.type_of) - 1)
        type_of = fleet.type_of[point]  # the last entry, also for −1, is nobody's
        present = np.unique(type_of)
        for t in present.tolist():
            if t < 0:
                out.count("core.unknown_point", int((type_of < 0).sum()))
                continue
            mine: Any = slice(None) if len(present) == 1 else np.flatnonzero(type_of == t)
            judged = self._of_type(fleet.types[t], batch, mine, point[mine], out)
            if len(present) == 1:
                quality = judged
            else:
                if quality is batch.quality:
                    quality = quality.copy()
                quality[mine] = judged
        return quality

    def _of_type(
        self, state: TypeState, batch: TelemetryBatch, mine: Any, point: NDArray[Any], out: Findings
    ) -> NDArray[np.uint8]:
        row, column = self.fleet.row_of[point], self.fleet.column_of[point]
        ts, value = batch.ts[mine], batch.value[mine]
        quality = manipulation.judge(state.layout.columns, column, value, batch.quality[mine])
        now = (quality & q.LATE) == 0
        if now.all():
            return self._arrive(state, row, column, ts, value, quality, out)
        # late by the sender's own word (history that was kept while nobody listened): stored, and nothing else
        if now.any():
            quality = quality.copy()
            quality[now] = self._arrive(state, row[now], column[now], ts[now], value[now], quality[now], out)
        return quality

    def _arrive(
        self,
        state: TypeState,
        row: NDArray[Any],
        column: NDArray[Any],
        ts: NDArray[np.int64],
        value: NDArray[np.float64],
        quality: NDArray[np.uint8],
        out: Findings,
    ) -> NDArray[np.uint8]:
        """Move the watermarks and look at what they release; the quality of what arrived, late ones marked."""
        key, kind = manipulation.receive(state, row, column, ts)
        if kind.any():
            quality = np.where(kind == IN_TIME, quality, quality | q.LATE).astype(np.uint8)
        watched = column >= 0
        if not watched.all():
            row, column, ts, value = row[watched], column[watched], ts[watched], value[watched]
            key, kind = key[watched], kind[watched]
            if not len(row):
                return quality
        classes = q.rank(quality if watched.all() else quality[watched])
        np.maximum.at(state.seen.ravel(), row * state.seen.shape[1] + column, ts)
        good = (classes != q.BAD) & np.isfinite(value)
        arrived = Readings(row, column, ts, value, good, classes, key, kind)
        self._look_at(state, manipulation.release(state, arrived), out)
        return quality

    def _look_at(self, state: TypeState, released: Readings, out: Findings) -> None:
        for row, repair in self.repairs.due(state) if self.repairs.waiting else ():
            before = (released.row == row) & (released.ts <= repair[0])
            if before.any():
                self._advance(state, released.take(before), out)
                released = released.take(~before)
            if 0 <= state.open[row] <= repair[0]:
                out.step += 1
                derived.close(state, np.array([row]), out)
            forget(state, row, repair, out)
        self._advance(state, released, out)
        complete = (state.open >= 0) & (state.open <= state.behind)
        if complete.any():
            out.step += 1
            derived.close(state, np.flatnonzero(complete), out)

    def _advance(self, state: TypeState, released: Readings, out: Findings) -> None:
        rounds = manipulation.rounds(state, released)
        k = 0
        while k < len(rounds):
            taken = blocks.advance(state, rounds, k, out)
            if not taken:
                self._round(state, rounds[k], out)
            k += max(taken, 1)

    def _round(self, state: TypeState, r: Readings, out: Findings) -> None:
        at, key = np.zeros(state.n, np.int64), np.zeros(state.n, np.int64)
        at[r.row], key[r.row] = r.ts, r.key
        rows = np.flatnonzero(key)
        earlier = rows[(state.open[rows] >= 0) & (4 * state.open[rows] + 1 < key[rows])]
        if len(earlier):
            out.step += 1
            derived.close(state, earlier, out)
        out.step += 1
        plausibility.back(state, rows, at, out)
        kinds = r.kind.any()
        in_time = r.take(r.kind == IN_TIME) if kinds else r
        if len(in_time):
            in_rows = rows if not kinds else np.unique(in_time.row)
            state.open[in_rows] = at[in_rows]
            self._own_values(state, in_time, in_rows, at, out, late_ones=False)
        if kinds:
            newest = r.take(r.kind == LATE_NEWEST)
            if len(newest):
                self._own_values(state, newest, np.unique(newest.row), at, out, late_ones=True)
            late.check(state, r.take(r.kind == LATE_OLD), out)

    def _own_values(
        self,
        state: TypeState,
        r: Readings,
        rows: NDArray[np.intp],
        at: NDArray[np.int64],
        out: Findings,
        *,
        late_ones: bool,
    ) -> None:
        """Plausibility and limits of measured points, by the machine's state from frames strictly earlier. A feature
        of a waveform that its type wants in other states only is as if it had not come, but for being stored."""
        layout = state.layout
        place = np.zeros(state.n, np.intp)
        place[rows] = np.arange(len(rows))
        i = place[r.row]
        if late_ones:
            code, in_set, set_since = states.then(state, rows, at[rows])
        else:
            code, in_set, set_since = state.state[rows], state.in_set[rows], state.set_since[rows]
        if layout.columns.gated:
            says = in_set[i, layout.columns.gate_set[r.column]]
            if not says.all():
                out.count("core.gated", int((~says).sum()))
                r, i = r.take(says), i[says]
                if not len(r):
                    return
        usable, gap = plausibility.check(state, r, in_set[i], out, late=late_ones)
        if not len(layout.measured_limits):
            return
        values = np.full((len(rows), len(layout.points)), np.nan)
        values[i, r.column] = r.value if usable.all() else np.where(usable, r.value, np.nan)
        gaps = None
        if gap.any():
            gaps = np.zeros(values.shape, np.bool_)
            gaps[i, r.column] = gap
        detection.check(
            state, layout.measured_limits, rows, at[rows], values, gaps, code, in_set, set_since, out, late=late_ones
        )

    # --- ticks ---

    def _tick(self, tick: Tick, out: Findings) -> None:
        self.ticks[tick.tenant_id] = tick.at
        for state in self.fleet.types:
            rows = np.flatnonzero(state.tenants == tick.tenant_id)
            if not len(rows):
                continue
            fresh = state.idle_since[rows] < 0
            state.idle_since[rows[fresh]] = tick.at
            idle = tick.at - state.idle_since[rows] >= state.layout.type.lateness + IDLE
            idle &= state.behind[rows] < state.newest[rows]
            if idle.any():
                state.behind[rows[idle]] = state.newest[rows[idle]]
                nothing = Readings(
                    *(
                        np.empty(0, dtype)
                        for dtype in (np.intp, np.intp, np.int64, float, np.bool_, np.uint8, np.int64, np.int8)
                    )
                )
                self._look_at(state, manipulation.release(state, nothing), out)
            out.step += 1
            plausibility.silence(state, rows, tick.at, out)

    def _behind(self, equipment: int) -> int:
        """Nothing that is not late can come at or before this instant (µs) of the equipment's time."""
        for state in self.fleet.types:
            row = int(np.searchsorted(state.ids, equipment))
            if row < state.n and int(state.ids[row]) == equipment:
                idle = self.ticks.get(int(state.tenants[row]), 0) - state.layout.type.lateness - IDLE
                return max(int(state.behind[row]), idle)
        return 0

    # --- counts, state, registry ---

    def _count(self, record: StreamRecord, quality: NDArray[np.uint8], out: Findings, transitions: int) -> None:
        n = len(quality)
        out.count("core.readings_in", n)
        if n:
            out.count("core.late", int(np.count_nonzero(quality & q.LATE)))
            out.count("core.bad", int(np.count_nonzero((quality & q.CLASS_MASK) == q.BAD)))
        out.count("core.derived", sum(len(ids) for ids, _, _ in out.derived))
        out.count("core.ticks", len(record.ticks))
        out.count("core.transitions", transitions)

    def _consequence_windows(self) -> dict[int, int]:
        return {int(e): s.layout.type.consequence_window for s in self.fleet.types for e in s.ids}

    def snapshot(self) -> bytes:
        """The state after the last record; :meth:`restore` goes on from it as if nothing had happened."""
        types = {state.layout.type.key: snapshot.image_of(state) for state in self.fleet.types}
        image = {"types": types, "groups": self.grouping.dump(), "ticks": list(self.ticks.items())}
        return snapshot.pack(image | {"repairs": self.repairs.dump(), "codes": self.codes.dump()})

    @classmethod
    def restore(cls, data: bytes, registry: RegistrySnapshot) -> Processor:
        """A processor with the state of a snapshot, for what the registry knows now."""
        image = snapshot.unpack(data)
        processor = cls(registry)
        snapshot.carry_over(processor.fleet, image["types"])
        processor.grouping.load(image["groups"])
        processor.codes.load(image.get("codes", {}))
        processor.repairs.load(image.get("repairs", {}))
        processor.ticks = {int(tenant): int(at) for tenant, at in image["ticks"]}
        return processor

    def reconfigure(self, registry: RegistrySnapshot) -> None:
        """Go on with another registry: what stays keeps its state, what is new starts fresh."""
        if registry.version == self.registry_version:
            return
        before = self.fleet
        images = {state.layout.type.key: snapshot.image_of(state) for state in before.types}
        self.fleet = Fleet(registry)
        self.parcels = Parcels(registry)
        self.codes.reconfigure(registry)
        snapshot.carry_over(self.fleet, images)
        self._farewells += _farewells(before, self.fleet)
        self.registry_version = registry.version
        self._windows = self._consequence_windows()


def _farewells(before: Fleet, after: Fleet) -> list[Finding]:
    """Conditions that were active on limits which are no more: nobody else would ever clear them."""
    out = Findings()
    watched = {(int(e), c) for state in after.types for e in state.ids for c in state.labels("lim") or ()}
    alive = {int(e) for state in after.types for e in state.ids}
    for state in before.types:
        for row, j in np.argwhere(state.active).tolist():
            instance, equipment = state.layout.limit_instances[j], int(state.ids[row])
            if equipment in alive and (equipment, instance.condition) not in watched:
                out.limit(state, row, instance, Change.CLEARED, int(state.newest[row]), float("nan"), float("nan"))
    _change_of_models(before, after, alive, out)
    return out.transitions


def _change_of_models(before: Fleet, after: Fleet, alive: set[int], out: Findings) -> None:
    """What a champion held against a machine goes with it; what its successor holds already is said."""
    stood, stands = _held(before), _held(after)
    for held, others, change in ((stood, stands, Change.CLEARED), (stands, stood, Change.RAISED)):
        for key in sorted(held.keys() - others.keys()):
            state, row, scorer = held[key]
            if key[0] in alive:
                out.add(scorer.transition(state, row, change, int(state.newest[row])))


def _held(fleet: Fleet) -> dict[tuple[int, str], tuple[TypeState, int, NormalScorer]]:
    """By equipment and condition: what champions of normal behaviour hold against machines."""
    return {
        (int(state.ids[row]), stands.condition): (state, row, scorer)
        for state in fleet.types
        for scorer in state.learned.normal
        for row in range(state.n)
        if (stands := scorer.standing(row)) is not None
    }


def _derived_batch(out: Findings, received_at: int) -> TelemetryBatch:
    if not out.derived:
        return TelemetryBatch.empty(received_at)
    ids, ts, values = (np.concatenate([part[i] for part in out.derived]) for i in range(3))
    return TelemetryBatch(ids.astype(np.int32), ts, values, np.full(len(ids), q.GOOD, np.uint8), received_at)
