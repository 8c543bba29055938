"""Health assessment (ISO 13374): an index 0–100 per component from what is wrong and what comes near a limit, with
reasons.

A component's index is 100 · Π(1 − takes/100) over the conditions on it. An active machine condition takes 60, 40, 20 or
10 by its priority, also while it is suppressed: a machine does not heal by being stopped. A value past 85 % of its
limit takes up to 10 (smoothed: noise is no reason). The equipment's index is 100 − (0.7 · worst + 0.3 · mean) of its
components' losses, weighed by criticality, so the worst counts most. Instruments' conditions are named and take
nothing.

Assessed when a frame closes, at most once a minute; told when an index moved by a point or its reasons changed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.condition import HealthAssessment, HealthReason, Priority
from core.time import MINUTE
from stream_processors.pipeline import normal
from stream_processors.pipeline.findings import Findings, figure, instrument_condition
from stream_processors.pipeline.fleet import TypeState
from stream_processors.pipeline.layout import BoolArray, FloatArray, IntArray, TypeLayout, point_label

Index = NDArray[np.intp]

TAKES: Final = {Priority.URGENT: 60.0, Priority.HIGH: 40.0, Priority.MEDIUM: 20.0, Priority.LOW: 10.0}
NEAR: Final = 10.0
"""What a value right at its limit takes."""
NEAR_FROM: Final = 0.85
_SMOOTHING: Final = 0.2
_MAX_REASONS: Final = 5
"""On the equipment; its components name them all."""


def assess(state: TypeState, rows: Index, at: IntArray, out: Findings) -> None:
    """Assess those of ``rows`` that were not assessed for a minute of their own time."""
    due = at - state.health_at[rows] >= MINUTE
    if not due.any():
        return
    rows, at = rows[due], at[due]
    state.health_at[rows] = at
    layout = state.layout
    if not layout.components:
        return
    takes = _takes(state, rows)
    on = _membership(layout)
    with np.errstate(divide="ignore"):
        index = 100.0 * np.exp(np.log1p(-takes / 100.0) @ on)
    for scorer in state.learned.normal:
        for ill, where in scorer.losses(rows):
            index[ill, where] *= 1.0 - normal.TAKES / 100.0
    was = state.reasons[rows]
    # a reason that is there stays until it is gone: the figure at the edge decides nothing
    reasons = (takes >= 2.0) | (was & (takes >= 1.0)) | (state.active[rows] & layout.limits.machine)
    flags: BoolArray = np.logical_or.reduce(state.flags[rows], axis=-1)
    changed = (np.abs(index - state.health[rows]) >= 1.0) | np.isnan(state.health[rows])
    changed |= ((reasons != was) @ on) > 0
    different = flags != state.reason_flags[rows]
    if different.any():
        changed |= (different @ _column_components(layout)) > 0
    state.reasons[rows], state.reason_flags[rows] = reasons, flags
    if not changed.any():
        return
    for i, component in np.argwhere(changed).tolist():
        _tell(
            state, int(rows[i]), component, int(at[i]), float(index[i, component]), takes[i], reasons[i], flags[i], out
        )
    state.health[rows] = np.where(changed, index, state.health[rows])
    _roll_up(state, rows, at, changed, takes, reasons, out)


def _takes(state: TypeState, rows: Index) -> FloatArray:
    """[r, limit instances] how many points of 100 each takes away."""
    layout, limits = state.layout, state.layout.limits
    taken = np.array([TAKES[x.definition.priority] for x in layout.limit_instances])
    active = state.active[rows] & limits.machine
    value = state.value[rows][:, limits.column]
    limit = limits.value[state.state[rows]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((limits.sign > 0) == (limit > 0), value / limit, limit / value)
        ratio = np.where(limit == 0, np.nan, ratio)
        # a low limit below zero, or a value across zero, has no "near"
        ratio = np.where((value > 0) == (limit > 0), ratio, np.nan)
    near = np.clip((ratio - NEAR_FROM) / (1.0 - NEAR_FROM), 0.0, 1.0) * NEAR
    counts = limits.machine & state.in_set[rows][:, limits.state_set] & ~state.vetoed[rows] & (near == near)
    smooth = state.near[rows]
    smooth = np.where(counts, smooth + _SMOOTHING * (near - smooth), smooth * (1.0 - _SMOOTHING))
    state.near[rows] = smooth
    result: FloatArray = np.where(active, taken, smooth)
    return result


def _membership(layout: TypeLayout) -> FloatArray:
    """[limit instances, components] 1 where the condition is on the component."""
    on = np.zeros((len(layout.limit_instances), len(layout.components)))
    on[np.arange(len(on)), layout.limits.component] = 1.0
    return on


def _column_components(layout: TypeLayout) -> FloatArray:
    on = np.zeros((len(layout.points), len(layout.components)))
    place = {key: i for i, key in enumerate(layout.components)}
    for point in layout.points:
        on[point.column, place[point.component]] = 1.0
    return on


def _reasons(
    state: TypeState, row: int, component: int, takes: FloatArray, reasons: BoolArray, flags: BoolArray
) -> list[HealthReason]:
    layout = state.layout
    found = []
    for j in np.flatnonzero(reasons & (layout.limits.component == component)).tolist():
        instance = layout.limit_instances[j]
        active = bool(state.active[row, j])
        value = float(state.value[row, instance.point.column])
        limit = float(layout.limits.value[state.state[row], j])
        text = instance.title.replace("{value}", figure(value)).replace("{limit}", figure(limit))
        if not active:
            text = f"near its limit: {text}"
        found.append(
            HealthReason(instance.condition, text, round(float(takes[j]), 1), instance.definition.failure_mode)
        )
    key = layout.components[component]
    for column in np.flatnonzero(flags).tolist():
        point = layout.points[column]
        if point.component == key:
            for kind in np.flatnonzero(state.flags[row, column]).tolist():
                text = f"{point_label(point)}: the instrument is suspect"
                found.append(HealthReason(instrument_condition(point, kind), text, 0.0))
    found += [normal.reason(stands) for stands in state.learned.standing(row) if stands.component == key]
    return sorted(found, key=lambda r: (-r.takes, r.condition))


def _tell(
    state: TypeState,
    row: int,
    component: int,
    at: int,
    index: float,
    takes: FloatArray,
    reasons: BoolArray,
    flags: BoolArray,
    out: Findings,
) -> None:
    why = _reasons(state, row, component, takes, reasons, flags)
    key = state.layout.components[component]
    out.health.append(HealthAssessment(int(state.ids[row]), key, at, round(index, 1), tuple(why)))


def _roll_up(
    state: TypeState,
    rows: Index,
    at: IntArray,
    changed: BoolArray,
    takes: FloatArray,
    reasons: BoolArray,
    out: Findings,
) -> None:
    layout = state.layout
    weight = layout.criticality / layout.criticality.max()
    loss = (100.0 - state.health[rows]) * weight
    overall = 100.0 - (0.7 * loss.max(axis=1) + 0.3 * loss.sum(axis=1) / weight.sum())
    tell = changed.any(axis=1)
    state.health_all[rows[tell]] = overall[tell]
    for i in np.flatnonzero(tell).tolist():
        worst = np.flatnonzero(loss[i] > 0.5)
        worst = worst[np.argsort(-loss[i][worst], kind="stable")][:_MAX_REASONS]
        nothing = np.zeros(len(layout.points), np.bool_)
        why = [
            reason for c in worst.tolist() for reason in _reasons(state, int(rows[i]), c, takes[i], reasons[i], nothing)
        ]
        index = round(float(overall[i]), 1)
        out.health.append(HealthAssessment(int(state.ids[rows[i]]), "", int(at[i]), index, tuple(why[:_MAX_REASONS])))
