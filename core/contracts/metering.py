"""Usage out of telemetry. Every quantity comes with its trace: which readings, states and events, which gaps there were
and what the meter's rule made of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from core.contracts.evidence import EMPTY, Machine, Series, StateAt
from core.contracts.intervals import Span, Spans, common, length, tidy, without
from core.contracts.numbers import hours, of_reading, rounded
from core.contracts.terms import GapRule, Meter, MeterKind
from core.time import HOUR

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Metered:
    """``quantity`` rounded to the meter's resolution, ``exact`` before that."""

    quantity: Decimal
    exact: Fraction
    trace: Mapping[str, Any]


def meter(terms: Meter, machine: Machine, span: Span) -> Metered:
    """What the machine used in [from, to).

    Neighbouring spans share nothing and miss nothing: a counter's rise belongs to the span in which the later of its
    two readings lies (a reading at the boundary to the earlier span), a state to the moments it lasts, an event to its
    moment.
    """
    if terms.kind is MeterKind.COUNTER:
        exact, trace = _counter(terms, machine.series.get(terms.point, EMPTY), span)
    elif terms.kind is MeterKind.INTEGRAL:
        exact, trace = _integral(terms, machine.series.get(terms.point, EMPTY), span)
    elif terms.kind is MeterKind.STATE:
        exact, trace = _hours_in_state(terms, machine, span)
    else:
        exact, trace = _count(terms, machine, span)
    exact *= Fraction(terms.factor)
    trace |= {"kind": terms.kind.value, "unit": terms.unit, "gap_rule": terms.gap.value, "from": span[0], "to": span[1]}
    if terms.factor != 1:
        trace["factor"] = str(terms.factor)
    return Metered(rounded(exact, terms.resolution), exact, trace)


# --- counters --------------------------------------------------------------------------------------------------------


def _counter(terms: Meter, series: Series, span: Span) -> tuple[Fraction, Trace]:
    low, high = span
    first = max(int(np.searchsorted(series.ts, low, "right")) - 1, 0)
    last = int(np.searchsorted(series.ts, high, "right"))
    ts, value = series.ts[first:last], series.value[first:last]
    trace: Trace = {
        "point": terms.point,
        "point_id": series.point_id,
        "readings": len(ts),
        "sha256": Series(series.point_id, ts, value).digest(),
    }
    if len(ts):
        trace["opening"] = {"ts": int(ts[0]), "value": repr(float(value[0]))}
        trace["closing"] = {"ts": int(ts[-1]), "value": repr(float(value[-1]))}
    rise, step = np.diff(value), np.diff(ts)
    falls, wide = rise < 0, step > terms.max_gap
    skipped = falls | (wide if terms.gap is not GapRule.HOLD else np.zeros(len(wide), bool))
    counted = _sum_of_runs(value, np.flatnonzero(skipped))
    resets = [
        {"ts": int(ts[i + 1]), "from": repr(float(value[i])), "to": repr(float(value[i + 1]))}
        for i in np.flatnonzero(falls).tolist()
    ]
    gaps = [
        {
            "from": max(int(ts[i]), low),
            "to": int(ts[i + 1]),
            "rise": repr(float(rise[i])),
            "counted": terms.gap is GapRule.HOLD and not bool(falls[i]),
        }
        for i in np.flatnonzero(wide).tolist()
    ]
    tail = int(ts[-1]) if len(ts) else low
    if high - max(tail, low) > terms.max_gap:
        # What it rose by since is not known yet; the span of the next reading has it.
        gaps.append({"from": max(tail, low), "to": high, "rise": None, "counted": False})
    if resets:
        trace["resets"] = resets
    if gaps:
        trace["gaps"] = gaps
    if terms.gap is GapRule.AVERAGE and gaps:
        missing: list[Span] = [(int(str(g["from"])), int(str(g["to"]))) for g in gaps]
        counted += _average(counted, span, tidy(missing), trace)
    return counted, trace


def _sum_of_runs(value: np.ndarray[Any, np.dtype[np.float64]], cuts: np.ndarray[Any, Any]) -> Fraction:
    """Rise over stretches without a cut, from the decimals as read: nothing is lost to binary fractions."""
    total = Fraction(0)
    start = 0
    for end in [*cuts.tolist(), len(value) - 1]:
        if end > start:
            total += Fraction(of_reading(value[end])) - Fraction(of_reading(value[start]))
        start = end + 1
    return total


def _average(counted: Fraction, span: Span, gaps: Spans, trace: Trace) -> Fraction:
    """What the gaps count for where they are taken to be like the rest."""
    missing = length(common(gaps, (span,)))
    observed = span[1] - span[0] - missing
    added = counted * missing / observed if observed > 0 else Fraction(0)
    trace["averaged"] = {"observed_us": observed, "missing_us": missing}
    return added


# --- rates -----------------------------------------------------------------------------------------------------------


def _integral(terms: Meter, series: Series, span: Span) -> tuple[Fraction, Trace]:
    low, high = span
    first = max(int(np.searchsorted(series.ts, low, "right")) - 1, 0)
    last = min(int(np.searchsorted(series.ts, high, "left")) + 1, len(series.ts))
    ts, value = series.ts[first:last], series.value[first:last]
    begin, end = np.maximum(ts[:-1], low), np.minimum(ts[1:], high)
    wide = np.diff(ts) > terms.max_gap
    keep = (end > begin) & ~(wide if terms.gap is not GapRule.HOLD else np.zeros(len(wide), bool))
    slope = np.diff(value) / np.maximum(np.diff(ts), 1)
    middle = value[:-1] + slope * ((begin + end) / 2 - ts[:-1])
    # fsum rounds once, at the end: the same readings give the same sum wherever it is computed
    amount = Fraction(of_reading(math.fsum((middle * (end - begin) / HOUR)[keep].tolist())))
    silent = _silence(ts, span, terms.max_gap)
    trace: Trace = {
        "point": terms.point,
        "point_id": series.point_id,
        "readings": len(ts),
        "sha256": Series(series.point_id, ts, value).digest(),
    }
    if silent:
        trace["gaps"] = [{"from": a, "to": b, "counted": terms.gap is GapRule.HOLD} for a, b in silent]
        if terms.gap is GapRule.AVERAGE:
            amount += _average(amount, span, silent, trace)
    return amount, trace


def _silence(ts: np.ndarray[Any, np.dtype[np.int64]], span: Span, longest: int) -> Spans:
    low, high = span
    edges = [
        *([low] if not len(ts) or ts[0] > low else []),
        *ts.tolist(),
        *([high] if not len(ts) or ts[-1] < high else []),
    ]
    wide = ((a, b) for a, b in itertools.pairwise(edges) if b - a > longest)
    return common(tidy(wide), (span,))


# --- states and events -----------------------------------------------------------------------------------------------


def spans_in(states: Iterable[StateAt], wanted: tuple[str, ...], span: Span) -> Spans:
    """When one of the wanted states held, inside [from, to). Before the first state nothing is known."""
    changes = list(states)
    found: list[Span] = []
    for now, following in itertools.zip_longest(changes, changes[1:]):
        if now.state in wanted:
            found.append((now.ts, following.ts if following else span[1]))
    return common(tidy(found), (span,))


def _witness(terms: Meter, machine: Machine, span: Span) -> Spans:
    """Gaps of the point that shows that the machine reports; none where the meter names none."""
    if not terms.point:
        return ()
    return machine.series.get(terms.point, EMPTY).gaps(span, terms.max_gap)


def _shown(changes: Iterable[StateAt], span: Span) -> list[dict[str, Any]]:
    """The states of a span: that which held when it began, and the changes in it."""
    before = [c for c in changes if c.ts <= span[0]][-1:]
    return [{"ts": c.ts, "state": c.state} for c in [*before, *(c for c in changes if span[0] < c.ts < span[1])]]


def _hours_in_state(terms: Meter, machine: Machine, span: Span) -> tuple[Fraction, Trace]:
    held = spans_in(machine.states, terms.states, span)
    gaps = _witness(terms, machine, span)
    seen = without(held, gaps)
    counted = held if terms.gap is GapRule.HOLD else seen
    trace: Trace = {
        "states": list(terms.states),
        "spans": [list(s) for s in counted],
        "changes": _shown(machine.states, span),
    }
    amount = hours(length(counted))
    if gaps:
        trace["point"] = terms.point
        trace["gaps"] = [
            {"from": a, "to": b, "counted_us": length(common(held, ((a, b),))) if terms.gap is GapRule.HOLD else 0}
            for a, b in gaps
        ]
        if terms.gap is GapRule.AVERAGE:
            amount += _average(amount, span, gaps, trace)
    return amount, trace


def _count(terms: Meter, machine: Machine, span: Span) -> tuple[Fraction, Trace]:
    low, high = span
    trace: Trace
    if terms.event:
        found = sorted({(e.ts, e.identity) for e in machine.events if e.kind == terms.event and low <= e.ts < high})
        trace = {"event": terms.event, "events": [{"ts": ts, "identity": identity} for ts, identity in found]}
        amount = Fraction(len(found))
    else:
        entered = [
            after.ts
            for before, after in zip(machine.states, machine.states[1:], strict=False)
            if after.state in terms.entering and before.state not in terms.entering and low <= after.ts < high
        ]
        trace = {"entering": list(terms.entering), "entered": entered}
        amount = Fraction(len(entered))
    gaps = _witness(terms, machine, span)
    if gaps:
        trace["gaps"] = [{"from": a, "to": b, "counted": False} for a, b in gaps]
        if terms.gap is GapRule.AVERAGE:
            amount += _average(amount, span, gaps, trace)
    return amount, trace
