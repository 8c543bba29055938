"""Many frames at once, as long as nothing happens: catching up and looking back over history.

Frame by frame, a numpy call costs its overhead, not its arithmetic. While no instrument turns suspect, no limit is
crossed and no alarm comes or goes, what each frame does to the next is simple enough to be computed for hundreds of
frames in the same calls: last values are carried forward, formulas run on all moments (what has memory steps through
them, :meth:`models.expressions.operators.Operator.scan`), delays are followed where one runs. Where something does
happen the block ends before that frame, which goes the slow way; so what comes out is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.condition import StateChange
from core.time import MINUTE
from models.expressions import Frame
from stream_processors.pipeline import derived, health, plausibility
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.fleet import HISTORY, TypeState
from stream_processors.pipeline.layout import (
    BAD,
    EVERYWHERE,
    IMPLAUSIBLE,
    STALE,
    STUCK,
    BoolArray,
    FloatArray,
    IntArray,
)
from stream_processors.pipeline.manipulation import Rounds
from stream_processors.pipeline.states import HOLD

Index = NDArray[np.intp]
LEAST: Final = 4
"""Fewer frames are as cheap one by one."""
_MOST: Final = 512
_MOST_CELLS: Final = 8192
"""Frames × equipment of a block: larger arrays leave the processor's cache and gain nothing."""


@dataclass(slots=True)
class _Arrivals:
    """What the readings of a block say by themselves, [moments, equipment, measured] unless said; known without
    formulas. ``…_after``: carried forward, this moment's reading included; ``…_before``: without it."""

    at: IntArray
    """[moments, equipment]."""
    present: BoolArray
    good: BoolArray
    usable: BoolArray
    jumped: BoolArray
    moved: BoolArray
    """Or its clock of "not the least movement" begins anew for a gap."""
    value: FloatArray
    """Of this moment; NaN: none that is usable."""
    value_after: FloatArray
    raw_after: FloatArray
    last_at_after: IntArray
    good_at_before: IntArray
    good_at_after: IntArray
    run_after: NDArray[np.int32]
    jumped_at_after: IntArray
    change: BoolArray
    """An instrument's condition comes or goes, other than "stuck"; or a reading comes that only some states let in."""

    def first(self, moments: int) -> _Arrivals:
        """The first moments only."""
        return _Arrivals(*(getattr(self, f.name)[:moments] for f in fields(self)))


@dataclass(slots=True)
class _States:
    """The machine's state, [moments + 1, equipment, …]: row 0 as before the block, row k + 1 as after frame k."""

    code: IntArray
    since: IntArray
    in_set: BoolArray
    set_since: IntArray
    unproven: IntArray


def advance(state: TypeState, rounds: Rounds, first: int, out: Findings) -> int:
    """Look at as many rounds from ``first`` as go in one block, closing their frames; how many that were, 0 if none.

    Only rounds that have a next one for all their equipment: that it comes is what closes a frame.
    """
    if first == rounds.apart or len(rounds) - first <= LEAST or rounds.readings.kind.any():
        return 0
    rows = np.flatnonzero(rounds.of_row > first)
    moments = min(int(rounds.of_row[rows].min()) - 1 - first, _MOST, max(_MOST_CELLS // len(rows), LEAST))
    if moments < LEAST:
        return 0
    arrivals = _arrivals(state, rounds, first, moments, rows, out)
    calm = _calm(arrivals.change)
    if calm < moments:
        rounds.apart = first + calm
        if calm < LEAST:
            return 0
        arrivals = arrivals.first(calm)
    block = _Block(state, rows, arrivals)
    memory = state.layout.program.memory(rows)
    block.run()
    calm = block.calm()
    if calm < block.moments:
        # what has memory went too far: back, and only as far as nothing happens
        state.layout.program.recall(rows, memory)
        rounds.apart = first + calm
        if calm < LEAST:
            return 0
        block = _Block(state, rows, arrivals.first(calm))
        block.run()
        block.calm()
    block.commit(out)
    return block.moments


def _calm(happens: BoolArray) -> int:
    """How many moments pass before the first in which something ``happens`` [moments, …]."""
    at = np.flatnonzero(happens.reshape(happens.shape[0], -1).any(axis=1))
    return int(at[0]) if at.size else int(happens.shape[0])


def _carried(known: BoolArray, values: Any, before: Any) -> Any:
    """``values`` where ``known``, else the last known one, else ``before`` [the shape of a moment]."""
    if known.all():
        return values
    moment = np.arange(len(known)).reshape(-1, *([1] * (known.ndim - 1)))
    last = np.maximum.accumulate(np.where(known, moment, -1), axis=0)
    return np.where(last < 0, before, np.take_along_axis(values, np.maximum(last, 0), axis=0))


def _shifted(after: Any, before: Any) -> Any:
    """What held before each moment, of what holds after each."""
    return np.concatenate((before[None], after[:-1]))


def _arrivals(state: TypeState, rounds: Rounds, first: int, moments: int, rows: Index, out: Findings) -> _Arrivals:
    layout, columns = state.layout, state.layout.columns
    m = slice(layout.measured)
    r, k = rounds.span(first, first + moments), rounds.number(first, first + moments)
    place = np.zeros(state.n, np.intp)
    place[rows] = np.arange(len(rows))
    i = place[r.row]
    shape = (moments, len(rows), layout.measured)
    at = np.zeros(shape[:2], np.int64)
    at[k, i] = r.ts
    _close_earlier(state, rows, at[0], out)
    reading, present, good = np.full(shape, np.nan), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    cell = (k, i, r.column)
    reading[cell], present[cell], good[cell] = r.value, True, r.good

    ts = np.broadcast_to(at[:, :, None], shape)
    last_at_after = _carried(present, ts, state.last_at[rows, m])
    last_at = _shifted(last_at_after, state.last_at[rows, m])
    raw_after = _carried(good, reading, state.raw[rows, m])
    raw = _shifted(raw_after, state.raw[rows, m])
    with np.errstate(invalid="ignore"):
        faster = np.abs(reading - raw) > columns.max_rate[m] * ((ts - last_at) * 1e-6)
    jumped = good & (last_at > 0) & faster
    usable = good & ~jumped
    good_at_after = _carried(usable, ts, state.good_at[rows, m])
    value = np.where(usable, reading, np.nan)
    jumped_at_after = _carried(jumped, ts, state.jumped_at[rows, m])
    fresh = present & (ts > last_at)
    run_after = _runs(fresh, good & fresh, state.bad_run[rows, m])

    flags = state.flags[rows, m]
    change = present & flags[..., STALE]
    change |= present & np.where(flags[..., BAD], run_after <= -plausibility.RUN, run_after >= plausibility.RUN)
    recovered = usable & (ts - jumped_at_after >= plausibility.RECOVERY)
    change |= np.where(flags[..., IMPLAUSIBLE], recovered, jumped)
    # whether such a reading counts is a matter of the state, which is not known here yet
    change |= present & (columns.gate_set[m] != EVERYWHERE)
    apart = ts - last_at > columns.stale[m]
    return _Arrivals(
        at=at,
        present=present,
        good=good,
        usable=usable,
        jumped=jumped,
        moved=present & ((good & (reading != raw)) | apart),
        value=value,
        value_after=_carried(present, value, state.value[rows, m]),
        raw_after=raw_after,
        last_at_after=last_at_after,
        good_at_before=_shifted(good_at_after, state.good_at[rows, m]),
        good_at_after=good_at_after,
        run_after=run_after,
        jumped_at_after=jumped_at_after,
        change=change,
    )


def _close_earlier(state: TypeState, rows: Index, at: IntArray, out: Findings) -> None:
    """What the first frames of a block find open is over; who was silent is so no more."""
    earlier = rows[(state.open[rows] >= 0) & (state.open[rows] < at)]
    if len(earlier):
        out.step += 1
        derived.close(state, earlier, out)
    out.step += 1
    begins = np.zeros(state.n, np.int64)
    begins[rows] = at
    plausibility.back(state, rows, begins, out)


def _runs(present: BoolArray, good: BoolArray, before: NDArray[np.int32]) -> NDArray[np.int32]:
    """Bad readings in a row (positive), good ones (negative), up to three."""
    most = plausibility.RUN
    runs = np.empty(present.shape, np.int32)
    if (good == present).all():
        so_far = np.cumsum(present, axis=0)
        runs[:] = np.where(so_far > 0, np.maximum(np.minimum(before, 0) - so_far, -most), before)
        return runs
    run = before
    for k in range(len(present)):
        stepped = np.where(good[k], np.minimum(run, 0) - 1, np.maximum(run, 0) + 1).clip(-most, most)
        run = np.where(present[k], stepped, run)
        runs[k] = run
    return runs


class _Block:
    """One block: :meth:`run` computes, :meth:`calm` says how far it may be believed, :meth:`commit` makes it so."""

    def __init__(self, state: TypeState, rows: Index, arrivals: _Arrivals) -> None:
        self.state = state
        self.rows = rows
        self.arrivals = arrivals
        self.at = arrivals.at
        self.moments: int = self.at.shape[0]
        self.r: int = self.at.shape[1]
        layout = state.layout
        self.m = layout.measured
        self.values: FloatArray = np.full((self.moments, self.r, len(layout.points)), np.nan)
        self.unless: BoolArray = np.zeros((self.moments, self.r, len(layout.limit_instances)), np.bool_)
        self.states = self._unchanged()
        self.pending: dict[tuple[int, int], list[int]] = {}

    # --- formulas

    def run(self) -> None:
        """Known values of every moment, and what the type's formulas make of them."""
        state, rows, a = self.state, self.rows, self.arrivals
        stale = state.layout.columns.stale[: self.m]
        unknown = self.at[:, :, None] - a.good_at_after > stale
        if state.any_blocked:
            unknown |= state.blocked[rows, : self.m]
        self.values[:, :, : self.m] = np.where(unknown, np.nan, a.value_after)
        if state.layout.has_frames:
            self._formulas()

    def _formulas(self) -> None:
        state, rows = self.state, self.rows
        cells = self.moments * self.r
        where: Index | slice = slice(None) if self.r == state.n else rows
        steps = [
            Frame(rows=where, index=rows, t=t[:, None], values=v) for t, v in zip(self.at, self.values, strict=True)
        ]
        t = self.at.reshape(cells, 1)

        def resolve(truths: FloatArray) -> None:
            self._resolve(truths.reshape(self.moments, self.r, -1))
            frame.state = self.states.code[1:].reshape(cells, 1)
            frame.state_since = self.states.since[1:].reshape(cells, 1)

        gates: dict[tuple[tuple[str, ...], int], BoolArray | None] = {}

        def gate(names: tuple[str, ...], settle: int) -> BoolArray | None:
            asked = (names, settle)
            if asked not in gates:
                which = state.layout.sets[tuple(sorted(set(names)))]
                is_open = self.states.in_set[1:, :, which]
                if settle and which != EVERYWHERE:
                    is_open = is_open & (self.at - self.states.set_since[1:, :, which] >= settle)
                gates[asked] = None if is_open.all() else is_open.reshape(cells, 1)
            return gates[asked]

        frame = Frame(
            rows=where,
            index=np.tile(rows, self.moments),
            t=t,
            values=self.values.reshape(cells, -1),
            resolve=resolve,
            gate=gate,
            state=self.states.code[1:].reshape(cells, 1),
            state_since=self.states.since[1:].reshape(cells, 1),
            active=np.broadcast_to(state.active[rows], self.unless.shape).reshape(cells, -1),
            unless=self.unless.reshape(cells, -1),
            fresh=self.arrivals.usable.reshape(cells, -1),
            steps=steps,
        )
        state.layout.program.run(frame)

    # --- states

    def _unchanged(self) -> _States:
        state, rows = self.state, self.rows

        def ever(values: Any) -> Any:
            return np.broadcast_to(values, (self.moments + 1, *values.shape))

        return _States(
            ever(state.state[rows]),
            ever(state.state_since[rows]),
            ever(state.in_set[rows]),
            ever(state.set_since[rows]),
            ever(state.unproven_since[rows]),
        )

    def _resolve(self, truths: FloatArray) -> None:
        """As :func:`stream_processors.pipeline.states.resolve`, for all moments."""
        before = self.states
        true = truths == 1.0
        proven = true.any(axis=-1)
        code = np.where(proven, true.argmax(axis=-1) + 1, 0)
        doubtful = ~proven & np.isnan(truths).any(axis=-1)
        unproven = before.unproven
        if doubtful.any() or (unproven[0] >= 0).any():
            unproven = unproven.copy()
            for k in range(self.moments):
                old = code[k - 1] if k else before.code[0]
                since = np.where(unproven[k] < 0, self.at[k], unproven[k])
                unproven[k + 1] = np.where(doubtful[k], since, -1)
                code[k] = np.where(doubtful[k] & (self.at[k] - since < HOLD), old, code[k])
        codes = np.concatenate((before.code[:1], code))
        changed = codes[1:] != codes[:-1]
        if not changed.any():
            self.states.unproven = unproven
            return
        in_set = self.state.layout.member[codes]
        in_set[0] = before.in_set[0]
        entered = in_set[1:] & ~in_set[:-1]
        times = np.broadcast_to(self.at[:, :, None], entered.shape)
        self.states = _States(
            codes,
            np.concatenate((before.since[:1], _carried(changed, self.at, before.since[0]))),
            in_set,
            np.concatenate((before.set_since[:1], _carried(entered, times, before.set_since[0]))),
            unproven,
        )

    # --- does anything happen?

    def calm(self) -> int:
        """How many moments pass before something does."""
        calm: int = min(self.moments, _calm(self._stuck()))
        which = self.state.layout
        if not len(which.limit_instances):
            return calm
        a, m = self.arrivals, self.m
        limits = which.limits
        outside = ~self.states.in_set[1:][:, :, limits.state_set]
        changed = self.states.code[1:] != self.states.code[:-1]
        leaving = changed[:, :, None] & outside
        quiet = self.state.active[self.rows] & ~self.state.suppressed[self.rows]
        calm = min(calm, _calm(leaving & quiet))
        stale = which.columns.stale
        if len(which.measured_limits):
            before = self.state.unless[self.rows]
            gap = (a.good_at_before > 0) & (self.at[:, :, None] - a.good_at_before > stale[:m])
            unless = _shifted(self.unless, before) if which.has_frames else np.broadcast_to(before, self.unless.shape)
            calm = self._limits(which.measured_limits, a.value, gap, unless, leaving, calm, closed=False)
        if len(which.derived_limits):
            known = self.values[:, :, m:] == self.values[:, :, m:]
            then = self.state.good_at[self.rows, m:]
            after = _carried(known, np.broadcast_to(self.at[:, :, None], known.shape), then)
            earlier = _shifted(after, then)
            gap = np.zeros(self.values.shape, np.bool_)
            gap[:, :, m:] = (earlier > 0) & (self.at[:, :, None] - earlier > stale[m:])
            calm = self._limits(which.derived_limits, self.values, gap, self.unless, leaving, calm, closed=True)
        return calm

    def _stuck(self) -> BoolArray:
        a, columns, m = self.arrivals, self.state.layout.columns, self.m
        running = self.states.in_set[:-1][:, :, columns.flatline_set[:m]]
        times = np.broadcast_to(self.at[:, :, None], a.present.shape)
        anew = a.moved | (a.present & ~running)
        self.moved_at = _carried(anew, times, self.state.moved_at[self.rows, :m])
        stuck = a.good & running & (times - self.moved_at >= columns.flatline[:m])
        raw = _shifted(a.raw_after, self.state.raw[self.rows, :m])
        freed = a.good & (raw == raw) & (a.raw_after != raw)
        change: BoolArray = np.where(self.state.flags[self.rows, :m, STUCK], freed, stuck)
        return change

    def _limits(
        self,
        which: Index,
        values: FloatArray,
        gap: BoolArray,
        unless: BoolArray,
        leaving: BoolArray,
        calm: int,
        *,
        closed: bool,
    ) -> int:
        """Follow the limits ``which`` on ``values``; the moments before one of them is raised, cleared or
        unsuppressed. ``closed``: by the state after the frame, not before it."""
        state, rows, limits = self.state, self.rows, self.state.layout.limits
        s = slice(1, None) if closed else slice(-1)
        code, in_set, set_since = self.states.code[s], self.states.in_set[s], self.states.set_since[s]
        d: FloatArray = (values[:, :, limits.column[which]] - limits.value[:, which][code]) * limits.sign[which]
        sets = limits.state_set[which]
        if sets.any():
            settled = self.at[:, :, None] - set_since[:, :, sets] >= limits.settle[which]
            np.copyto(d, np.nan, where=~(in_set[:, :, sets] & (settled | (sets == 0))))
        if state.any_vetoed:
            np.copyto(d, np.nan, where=state.vetoed[rows[:, None], which])
        place = (rows[:, None], which)
        active, pending = state.active[place], state.pending[place]
        known = d == d
        calm = min(calm, _calm(known & state.suppressed[place]))
        runs = np.where(active, d <= -limits.deadband[which], d > 0.0)
        for i, w in np.argwhere((runs.any(axis=0) | (pending >= 0)) & ~state.suppressed[place]).tolist():
            j = int(which[w])
            delay = int(limits.off_delay[j] if active[i, w] else limits.on_delay[j])
            vetoed = np.zeros(self.moments, np.bool_) if active[i, w] else unless[:, i, j]
            calm = self._follow(
                (i, j), runs[:, i, w] & ~vetoed, known[:, i, w], gap[:, i, limits.column[j]], leaving[:, i, j],
                delay, int(pending[i, w]), calm, closed=closed,
            )  # fmt: skip
        return calm

    def _follow(
        self,
        limit: tuple[int, int],
        runs: BoolArray,
        known: BoolArray,
        gap: BoolArray,
        leaving: BoolArray,
        delay: int,
        pending: int,
        calm: int,
        *,
        closed: bool,
    ) -> int:
        """One limit's delay, moment by moment; ``pending`` after each is kept for the end of the block."""
        history = []
        moments = zip(
            runs.tolist(), known.tolist(), gap.tolist(), leaving.tolist(), self.at[:, limit[0]].tolist(), strict=True
        )
        for k, (run, is_known, after_gap, leaves, t) in enumerate(moments):
            if k >= calm:
                break
            if leaves and closed:
                pending = -1
            if is_known:
                if not run:
                    pending = -1
                else:
                    pending = t if pending < 0 or after_gap else pending
                    if t - pending >= delay:
                        calm = k
                        break
            if leaves and not closed:
                pending = -1
            history.append(pending)
        self.pending[limit] = history
        return calm

    # --- so be it

    def commit(self, out: Findings) -> None:
        """The state after the last moment, and what the block has to say: states, derived values, health."""
        state, rows, a = self.state, self.rows, self.arrivals
        m = slice(self.m)
        self._store(out)
        self._say_states(out)
        for (i, j), history in self.pending.items():
            state.pending[rows[i], j] = history[self.moments - 1]
        state.last_at[rows, m] = a.last_at_after[-1]
        state.moved_at[rows, m] = self.moved_at[-1]
        state.bad_run[rows, m] = a.run_after[-1]
        state.raw[rows, m] = a.raw_after[-1]
        state.good_at[rows, m] = a.good_at_after[-1]
        state.jumped_at[rows, m] = a.jumped_at_after[-1]
        if state.layout.has_frames:
            state.unless[rows] = self.unless[-1]
        state.open[rows] = -1
        self._look_and_assess(out)
        self._stand_at(self.moments - 1, slice(None))
        state.state_since[rows] = self.states.since[-1]
        state.set_since[rows] = self.states.set_since[-1]
        state.unproven_since[rows] = self.states.unproven[-1]

    def _stand_at(self, k: int, which: Any) -> None:
        """Values and state as they were once frame ``k`` was closed, of the block's rows ``which``."""
        state, rows = self.state, self.rows[which]
        state.value[rows, : self.m] = self.arrivals.value_after[k, which]
        state.value[rows, self.m :] = self.values[k, which, self.m :]
        state.state[rows] = self.states.code[k + 1, which]
        state.in_set[rows] = self.states.in_set[k + 1, which]

    def _say_states(self, out: Findings) -> None:
        state, layout = self.state, self.state.layout
        for k, i in np.argwhere(self.states.code[1:] != self.states.code[:-1]).tolist():
            row, code, at = self.rows[i], int(self.states.code[k + 1, i]), int(self.at[k, i])
            state.history_at[row] = np.concatenate(([at], state.history_at[row, : HISTORY - 1]))
            state.history_state[row] = np.concatenate(([code], state.history_state[row, : HISTORY - 1]))
            out.states.append(StateChange(int(state.ids[row]), at, layout.codes[code]))

    def _store(self, out: Findings) -> None:
        """As :func:`stream_processors.pipeline.derived._store`: the first known value in each interval."""
        state, rows = self.state, self.rows
        if not state.value.shape[1] > self.m:
            return
        fresh = self.values[:, :, self.m :]
        known = fresh == fresh
        times = np.broadcast_to(self.at[:, :, None], known.shape)
        then = state.good_at[rows, self.m :]
        state.good_at[rows, self.m :] = _carried(known, times, then)[-1]
        every = state.layout.columns.store[self.m :]
        ids = state.point_ids[rows, self.m :]
        spacing = np.maximum(every, 1)
        interval = np.where(known & (every > 0) & (ids >= 0), times // spacing, -1)
        stored = state.stored_at[rows, self.m :] // spacing
        due = interval > np.maximum(_shifted(np.maximum.accumulate(interval, axis=0), stored), stored)
        if not due.any():
            return
        k, i, j = np.nonzero(due)
        state.stored_at[rows, self.m :] = _carried(due, times, state.stored_at[rows, self.m :])[-1]
        out.derived.append((ids[i, j], times[k, i, j], fresh[k, i, j]))

    def _look_and_assess(self, out: Findings) -> None:
        """Learned models, where a step of theirs is over; health, of each equipment once a minute of its own time."""
        state, rows = self.state, self.rows
        ended: dict[int, list[Any]] = {}
        if state.learned:
            running = self.states.in_set[1:, :, state.learned.running_set]
            ended = state.learned.block(rows, self.at, self.values, running)
        if not ended and not (self.at[-1] - state.health_at[rows] >= MINUTE).any():
            return
        last = state.health_at[rows].copy()
        for k in range(self.moments):
            for clock, steps in ended.get(k, ()):
                out.step += 1
                self._stand_at(k, slice(None))
                clock.tell(state, steps, out)
            due = self.at[k] - last >= MINUTE
            if due.any():
                last[due] = self.at[k][due]
                self._stand_at(k, due)
                health.assess(state, rows[due], self.at[k][due], out)
