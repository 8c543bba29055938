"""Readings later than L, and older than what their point has sent: they reopen nothing, but nothing goes unmonitored.

Such a reading is checked against limits that are *absolute* and have no on-delay (one reading proves no duration), with
the machine's state as it was at its time. A crossing is told at its own time; where the point's newest good value is
back on the right side it is told as raised and cleared, and not announced.

A crossing within a stretch in which the condition is known to have held says nothing new. Above all that is so of
readings that come *again*: whatever a broker delivers a second time, after a lost connection or its own restart, was
told when it came first.
"""

from __future__ import annotations

import numpy as np

from core.condition import Change
from stream_processors.pipeline import states
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.fleet import TypeState
from stream_processors.pipeline.manipulation import Readings


def remember(state: TypeState, row: int, j: int, change: Change, at: int) -> None:
    """Keep when the condition of limit ``j`` held: newest first, (from, until), until −1 while it still does."""
    episodes = state.episodes[row, j]
    if change is Change.RAISED:
        episodes[1:] = episodes[:-1].copy()
        episodes[0] = at, -1
    elif change is Change.CLEARED and episodes[0, 0] >= 0:
        episodes[0, 1] = at


def told(state: TypeState, row: int, j: int, at: int) -> bool:
    """Whether the condition of limit ``j`` is known to have held at ``at``."""
    since, until = state.episodes[row, j, :, 0], state.episodes[row, j, :, 1]
    return bool(((since >= 0) & (since <= at) & ((until < 0) | (at < until))).any())


def check(state: TypeState, readings: Readings, out: Findings) -> None:
    """Late crossings of old readings; state changes only by a condition that nothing newer has cleared."""
    layout, limits = state.layout, state.layout.limits
    readings = readings.take(readings.good)
    if not len(readings) or not limits.absolute.any():
        return
    code, in_set, since = states.then(state, readings.row, readings.ts)
    at = readings.ts[:, None]
    sets = limits.state_set
    settled = in_set[:, sets] & ((sets == 0) | (at - since[:, sets] >= limits.settle))
    d = (readings.value[:, None] - limits.value[code]) * limits.sign
    mine = limits.column == readings.column[:, None]
    mine &= np.take_along_axis(in_set, layout.columns.gate_set[readings.column][:, None], axis=1)
    crossed = mine & limits.absolute & settled & (d > 0) & ~state.vetoed[readings.row] & ~state.active[readings.row]
    for i, j in np.argwhere(crossed).tolist():
        row, instance = int(readings.row[i]), layout.limit_instances[j]
        if state.active[row, j]:
            continue
        if told(state, row, int(j), int(readings.ts[i])):
            continue
        ts, value, limit = int(readings.ts[i]), float(readings.value[i]), float(limits.value[code[i], j])
        newer = float(state.value[row, instance.point.column])
        newer_at = int(state.good_at[row, instance.point.column])
        cleared = newer_at > ts and limits.sign[j] * (newer - limit) <= 0
        out.limit(state, row, instance, Change.RAISED, ts, value, limit, late=True, announce=not cleared)
        remember(state, row, int(j), Change.RAISED, ts)
        if cleared:
            remember(state, row, int(j), Change.CLEARED, newer_at)
            out.limit(state, row, instance, Change.CLEARED, newer_at, newer, limit, late=True, announce=False)
        else:
            state.active[row, j] = True
            state.pending[row, j] = -1
            state.refresh(np.array([row]))
