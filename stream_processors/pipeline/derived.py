"""A frame closes: the type's formulas run once for all equipment whose frame is complete, then the limits on what they
gave."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.expressions import Frame
from stream_processors.pipeline import detection, health, states
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.fleet import TypeState
from stream_processors.pipeline.layout import BoolArray, FloatArray, IntArray

Index = NDArray[np.intp]


def close(state: TypeState, rows: Index, out: Findings) -> None:
    """Close the open frames of ``rows`` (unique): state, derived points, their limits, learned models, health."""
    at = state.open[rows]
    state.open[rows] = -1
    if state.layout.has_frames or state.learned:
        values = known_values(state, rows, at)
    if state.layout.has_frames:
        _run(state, rows, at, values, out)
        if len(state.layout.points) > state.layout.measured:
            _derived(state, rows, at, values, out)
    if state.learned:
        state.learned.frame(state, rows, at, values, out)
    health.assess(state, rows, at, out)


def known_values(state: TypeState, rows: Index, at: IntArray) -> FloatArray:
    """[r, columns] as formulas may see them: NaN where stale at ``at``, or the instrument is suspect; derived ones
    NaN."""
    values = state.value[rows]
    values[:, state.layout.measured :] = np.nan
    old = at[:, None] - state.good_at[rows] > state.layout.columns.stale
    if state.any_blocked:
        old |= state.blocked[rows]
    np.copyto(values, np.nan, where=old)
    return values


def _run(state: TypeState, rows: Index, at: IntArray, values: FloatArray, out: Findings) -> None:
    layout = state.layout
    t = at[:, None]
    # all of them: slices give the operators views instead of copies
    where: Index | slice = slice(None) if len(rows) == state.n else rows

    def resolve(truths: FloatArray) -> None:
        states.resolve(state, rows, at, truths, out)
        frame.state = state.state[rows][:, None]
        frame.state_since = state.state_since[rows][:, None]

    gates: dict[tuple[tuple[str, ...], int], BoolArray | None] = {}

    def gate(names: tuple[str, ...], settle: int) -> BoolArray | None:
        asked = (names, settle)
        if asked not in gates:
            is_open = states.gate(state, where, t, layout.sets[tuple(sorted(set(names)))], settle)
            gates[asked] = None if is_open.all() else is_open
        return gates[asked]

    frame = Frame(
        rows=where,
        index=rows,
        t=t,
        values=values,
        resolve=resolve,
        gate=gate,
        state=state.state[rows][:, None],
        state_since=state.state_since[rows][:, None],
        active=state.active[rows],
        unless=np.zeros((len(rows), len(layout.limit_instances)), np.bool_),
        fresh=state.good_at[rows, : layout.measured] == t,
    )
    layout.program.run(frame)
    state.unless[rows] = frame.unless


def _derived(state: TypeState, rows: Index, at: IntArray, values: FloatArray, out: Findings) -> None:
    layout = state.layout
    derived = slice(layout.measured, None)
    fresh = values[:, derived]
    known = fresh == fresh
    before = state.good_at[rows]
    state.value[rows, derived] = fresh
    state.good_at[rows, derived] = np.where(known, at[:, None], before[:, derived])
    _store(state, rows, at, fresh, known, out)
    if len(layout.derived_limits):
        gap = (before > 0) & (at[:, None] - before > layout.columns.stale)
        detection.check(
            state,
            layout.derived_limits,
            rows,
            at,
            values,
            gap,
            state.state[rows],
            state.in_set[rows],
            state.set_since[rows],
            out,
        )


def _store(state: TypeState, rows: Index, at: IntArray, values: FloatArray, known: BoolArray, out: Findings) -> None:
    """Hand derived values on for storing: the first known one in each interval of ``store``."""
    layout = state.layout
    derived = slice(layout.measured, None)
    every = layout.columns.store[derived]
    ids = state.point_ids[rows, derived]
    spacing = np.maximum(every, 1)
    due = known & (every > 0) & (ids >= 0) & (at[:, None] // spacing > state.stored_at[rows, derived] // spacing)
    if not due.any():
        return
    i, j = np.nonzero(due)
    state.stored_at[rows[i], layout.measured + j] = at[i]
    out.derived.append((ids[i, j], at[i], values[i, j]))
