"""Is it the instrument? Checks of a reading against its own past: stuck, jumping, bad, silent. Never a word about the
machine.

Stored quality says only what a reading shows by itself (range, device); what needs its neighbours becomes a condition
of the instrument, and the reading is kept from rules and formulas.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.condition import Change
from core.time import MINUTE
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.fleet import TypeState
from stream_processors.pipeline.layout import BAD, IMPLAUSIBLE, STALE, STUCK, BoolArray, IntArray
from stream_processors.pipeline.manipulation import Readings

RUN: Final = 3
"""So many bad (good) readings in a row raise (clear) the bad instrument: one hiccup is no fault."""

RECOVERY: Final = 10 * MINUTE
"""That long without another jump, and the instrument counts as sound again."""


def check(
    state: TypeState, r: Readings, in_set: BoolArray, out: Findings, *, late: bool
) -> tuple[BoolArray, BoolArray]:
    """(usable, after a gap) [m] of readings that are newer than all their points had; steps the instruments' states.

    ``in_set`` [m, sets]: the machine's sets of states at each reading's own time.
    """
    columns = state.layout.columns
    at = r.row * state.value.shape[1] + r.column
    last_at = state.last_at.ravel()[at]
    raw = state.raw.ravel()[at]
    good_at = state.good_at.ravel()[at]
    seconds = (r.ts - last_at) * 1e-6
    with np.errstate(invalid="ignore"):
        jumped = r.good & (last_at > 0) & (np.abs(r.value - raw) > columns.max_rate[r.column] * seconds)
    moved = r.good & (r.value != raw)
    moved_at = np.where(moved, r.ts, state.moved_at.ravel()[at])
    running = in_set[np.arange(len(r)), columns.flatline_set[r.column]]
    # What nobody saw did not stand still: after a gap the clock of "not the least movement" begins anew.
    apart = r.ts - last_at > columns.stale[r.column]
    moved_at = np.where(running & ~apart, moved_at, r.ts)
    stuck = r.good & running & (r.ts - moved_at >= columns.flatline[r.column])
    run = state.bad_run.ravel()[at]
    stepped = np.where(r.good, np.minimum(run, 0) - 1, np.maximum(run, 0) + 1).clip(-RUN, RUN)
    run = np.where(r.ts > last_at, stepped, run)  # the same instant once more is no other reading
    usable = r.good & ~jumped
    _put(state, at, r, usable, moved_at, run)

    flags = state.flags.reshape(-1, 4)[at]
    change = np.zeros_like(flags)
    change[:, STUCK] = np.where(flags[:, STUCK], moved & (raw == raw), stuck)
    bad = np.where(flags[:, BAD], run <= -RUN, run >= RUN)
    change[:, BAD] = bad
    change[:, STALE] = flags[:, STALE]
    jumping = flags[:, IMPLAUSIBLE]
    if jumped.any() or jumping.any():
        state.jumped_at.ravel()[at[jumped]] = r.ts[jumped]
        recovered = r.good & ~jumped & (r.ts - state.jumped_at.ravel()[at] >= RECOVERY)
        change[:, IMPLAUSIBLE] = np.where(jumping, recovered, jumped)
    if change.any():
        _tell(state, r, flags, change, out, late=late)
    gap = (good_at > 0) & (r.ts - good_at > columns.stale[r.column])
    return usable, gap


def _put(
    state: TypeState, at: NDArray[np.intp], r: Readings, usable: BoolArray, moved_at: IntArray, run: NDArray[np.int32]
) -> None:
    state.last_at.ravel()[at] = r.ts
    state.moved_at.ravel()[at] = moved_at
    state.bad_run.ravel()[at] = run
    if usable.all():
        state.raw.ravel()[at] = r.value
        state.value.ravel()[at] = r.value
        state.good_at.ravel()[at] = r.ts
    else:
        good = at[r.good]
        state.raw.ravel()[good] = r.value[r.good]
        state.value.ravel()[at] = np.where(usable, r.value, np.nan)
        state.good_at.ravel()[at[usable]] = r.ts[usable]


def _tell(state: TypeState, r: Readings, flags: BoolArray, change: BoolArray, out: Findings, *, late: bool) -> None:
    for i, kind in np.argwhere(change).tolist():
        what = Change.CLEARED if flags[i, kind] else Change.RAISED
        row, column = int(r.row[i]), int(r.column[i])
        state.flags[row, column, kind] = not flags[i, kind]
        out.instrument(state, row, column, kind, what, int(r.ts[i]), float(r.value[i]), late=late)
    state.refresh(np.unique(r.row[change.any(axis=1)]))


def silence(state: TypeState, rows: NDArray[np.intp], at: int, out: Findings) -> None:
    """At a tick: points that stopped while the equipment goes on, and equipment of which nothing comes any more."""
    layout = state.layout
    if not layout.measured or not len(rows):
        return
    seen = state.seen[rows, : layout.measured]
    known = seen > 0
    stale = layout.columns.stale[: layout.measured]
    old = known & (at - seen > stale)
    if not old.any():
        return
    silent: BoolArray = np.logical_and(known.any(axis=1), (old | ~known).all(axis=1))
    begins = silent & ~state.silent[rows]
    for row in rows[begins].tolist():
        out.silent(state, row, Change.RAISED, at)
    state.silent[rows[begins]] = True
    alone = (
        old
        & (state.newest[rows][:, None] - seen > stale)
        & ~silent[:, None]
        & ~state.flags[rows, : layout.measured, STALE]
    )
    for i, column in np.argwhere(alone).tolist():
        row = int(rows[i])
        state.flags[row, column, STALE] = True
        out.instrument(state, row, column, STALE, Change.RAISED, at, float(state.raw[row, column]))


def back(state: TypeState, rows: NDArray[np.intp], at: IntArray, out: Findings) -> None:
    """Readings came of these equipment, at ``at`` [n by row]: the silent ones are silent no more."""
    for row in rows[state.silent[rows]].tolist():
        state.silent[row] = False
        out.silent(state, row, Change.CLEARED, int(at[row]))
