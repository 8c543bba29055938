"""Limits: raised, cleared, suppressed. One truth table over [equipment, limit instances]; only crossings leave it.

d is the distance beyond the limit (positive is beyond). Unknown d decides nothing and changes nothing.
    not active: d > 0 runs the on-delay, d ≤ 0 stops it; raised when it has run out
    active:     d ≤ −deadband runs the off-delay, d > −deadband stops it; cleared when it has run out
    suppressed: at the first known d once the machine is back in the limit's states and settled: holds on →
    unsuppressed, else cleared
A reading after a gap longer than the point's ``stale`` starts a running delay anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.condition import Change, Concern
from stream_processors.pipeline import late as late_
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.fleet import TypeState
from stream_processors.pipeline.layout import BoolArray, FloatArray, IntArray

Index = NDArray[np.intp]


def distance(
    state: TypeState,
    which: Index,
    rows: Index,
    at: IntArray,
    values: FloatArray,
    code: IntArray,
    in_set: BoolArray,
    set_since: IntArray,
) -> FloatArray:
    """d [r, limits] of ``values`` [r, columns]; NaN where the limit means nothing: other state, not settled, suspect
    instrument."""
    limits = state.layout.limits
    d: FloatArray = (values[:, limits.column[which]] - limits.value[:, which][code]) * limits.sign[which]
    sets = limits.state_set[which]
    if sets.any():
        settled = at[:, None] - set_since[:, sets] >= limits.settle[which]
        np.copyto(d, np.nan, where=~(in_set[:, sets] & (settled | (sets == 0))))
    if state.any_vetoed:
        np.copyto(d, np.nan, where=state.vetoed[rows[:, None], which])
    return d


def check(
    state: TypeState,
    which: Index,
    rows: Index,
    at: IntArray,
    values: FloatArray,
    gap: BoolArray | None,
    code: IntArray,
    in_set: BoolArray,
    set_since: IntArray,
    out: Findings,
    *,
    late: bool = False,
) -> None:
    """Step the limits ``which`` of ``rows`` with new ``values`` [r, columns] (NaN: none) at ``at`` [r].

    ``gap`` [r, columns]: the value comes after a gap. ``code``, ``in_set``, ``set_since``: the machine's state that
    counts.
    """
    limits = state.layout.limits
    d = distance(state, which, rows, at, values, code, in_set, set_since)
    place = (rows[:, None], which)
    active = state.active[place]
    pending = state.pending[place]
    beyond = d > 0.0
    back = d <= -limits.deadband[which]
    concerned = (beyond & ~active) | (back & active) | ((pending >= 0) & (d == d))
    suppressed = state.suppressed[place]
    concerned |= suppressed & (d == d)
    if not concerned.any():
        return
    i, k = np.nonzero(concerned)
    j, row, t = which[k], rows[i], at[i]
    active, pending, beyond, back = active[i, k], pending[i, k], beyond[i, k], back[i, k]
    suppressed = suppressed[i, k]
    if gap is not None:
        pending = np.where(gap[i, limits.column[j]], -1, pending)
    runs = np.where(active, back, beyond & ~state.unless[row, j]) & ~suppressed
    pending = np.where(runs, np.where(pending < 0, t, pending), -1)
    due = runs & (t - pending >= np.where(active, limits.off_delay[j], limits.on_delay[j]))
    state.active[row, j] = np.where(suppressed, ~back, active ^ due)
    state.suppressed[row, j] = False
    state.pending[row, j] = np.where(due, -1, pending)
    told = np.flatnonzero(due | suppressed)
    if len(told):
        _tell(
            state, told, row, j, t, values[i, limits.column[j]], code[i], active, suppressed, back, pending, out, late
        )


def _tell(
    state: TypeState,
    told: Index,
    row: Index,
    j: Index,
    t: IntArray,
    value: FloatArray,
    code: IntArray,
    active: BoolArray,
    suppressed: BoolArray,
    back: BoolArray,
    pending: IntArray,
    out: Findings,
    late: bool,
) -> None:
    layout = state.layout
    instruments = []
    for i in told.tolist():
        instance = layout.limit_instances[j[i]]
        if suppressed[i]:
            change = Change.CLEARED if back[i] else Change.UNSUPPRESSED
        else:
            change = Change.CLEARED if active[i] else Change.RAISED
        since = None if suppressed[i] else int(pending[i])
        limit = float(layout.limits.value[code[i], j[i]])
        late_.remember(state, int(row[i]), int(j[i]), change, int(t[i]))
        out.limit(state, int(row[i]), instance, change, int(t[i]), float(value[i]), limit, since=since, late=late)
        if instance.definition.concern is not Concern.MACHINE:
            instruments.append(int(row[i]))
    if instruments:
        state.refresh(np.unique(np.array(instruments, np.intp)))
