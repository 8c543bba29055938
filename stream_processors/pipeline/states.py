"""The machine's operating state: the first of the type's expressions that is true; what it gates, and its history.

Where none is true and some are unknown, the last state stands for five minutes of event time (a sensor's hiccup stops
no machine) and is ``unknown`` after that. Where all are false it is ``unknown`` at once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.condition import Change, StateChange
from core.time import MINUTE
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.fleet import HISTORY, TypeState
from stream_processors.pipeline.layout import EVERYWHERE, BoolArray, FloatArray, IntArray

Index = NDArray[np.intp]
HOLD: Final = 5 * MINUTE


def resolve(state: TypeState, rows: Index, at: IntArray, truths: FloatArray, out: Findings) -> None:
    """Take over the truths [r, states] of the expressions at ``at`` [r] as states; suppress what means nothing in
    them."""
    true = truths == 1.0
    proven = true.any(axis=1)
    unknown = np.isnan(truths).any(axis=1)
    code = np.where(proven, true.argmax(axis=1) + 1, 0)
    old = state.state[rows]
    since = state.unproven_since[rows]
    doubtful = ~proven & unknown
    if doubtful.any() or (since >= 0).any():
        since = np.where(doubtful, np.where(since < 0, at, since), -1)
        state.unproven_since[rows] = since
        code = np.where(doubtful & (at - since < HOLD), old, code)
    changed = code != old
    if changed.any():
        _enter(state, rows[changed], at[changed], code[changed], out)


def _enter(state: TypeState, rows: Index, at: IntArray, code: IntArray, out: Findings) -> None:
    layout = state.layout
    state.state[rows] = code
    state.state_since[rows] = at
    state.history_at[rows] = np.concatenate((at[:, None], state.history_at[rows][:, : HISTORY - 1]), axis=1)
    state.history_state[rows] = np.concatenate((code[:, None], state.history_state[rows][:, : HISTORY - 1]), axis=1)
    member = layout.member[code]
    entered = member & ~state.in_set[rows]
    state.set_since[rows] = np.where(entered, at[:, None], state.set_since[rows])
    state.in_set[rows] = member
    for row, code_now, when in zip(rows.tolist(), code.tolist(), at.tolist(), strict=True):
        out.states.append(StateChange(int(state.ids[row]), when, layout.codes[code_now]))
    if not layout.limit_instances:
        return
    outside = ~member[:, layout.limits.state_set]
    state.pending[rows] = np.where(outside, -1, state.pending[rows])
    quiet = outside & state.active[rows] & ~state.suppressed[rows]
    if not quiet.any():
        return
    for i, j in np.argwhere(quiet).tolist():
        row = int(rows[i])
        instance = layout.limit_instances[j]
        value = float(state.value[row, instance.point.column])
        limit = float(layout.limits.value[state.state[row], j])
        out.limit(state, row, instance, Change.SUPPRESSED, int(at[i]), value, limit)
    state.suppressed[rows] |= quiet
    state.refresh(rows)


def gate(state: TypeState, rows: Index | slice, at: IntArray, state_set: int, settle: int) -> BoolArray:
    """[r, 1]: in the set of states at ``at`` [r, 1], and ``settle`` µs since entering it."""
    inside: BoolArray = state.in_set[rows, state_set][:, None]
    if settle and state_set != EVERYWHERE:
        inside = inside & (at - state.set_since[rows, state_set][:, None] >= settle)
    return inside


def then(state: TypeState, rows: Index, at: IntArray) -> tuple[IntArray, BoolArray, IntArray]:
    """(state codes [r], set membership [r, sets], since when [r, sets]) as they were just before ``at``, from the last
    changes.

    Before the oldest change remembered the state is unknown.
    """
    layout = state.layout
    times = state.history_at[rows]
    earlier = (times >= 0) & (times < at[:, None])
    code = np.zeros(len(rows), np.int64)
    found = earlier.any(axis=1)
    first = earlier.argmax(axis=1)  # the newest of the earlier ones: newest stand first
    here = np.arange(len(rows))
    code[found] = state.history_state[rows][here[found], first[found]]
    members = layout.member[state.history_state[rows]]
    inside = layout.member[code]
    # walk back from the change in force while the set still held: when was it entered?
    since = np.zeros((len(rows), layout.member.shape[1]), np.int64)
    unbroken = inside.copy()
    for k in range(HISTORY):
        counts = earlier[:, k][:, None]
        unbroken &= ~counts | members[:, k]
        since = np.where(counts & unbroken, times[:, k][:, None], since)
    return code, inside, since
