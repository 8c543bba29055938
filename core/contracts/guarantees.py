"""Availability by a contract's own definition, and clocks of service levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from core.contracts.calendars import days, local_day, moment
from core.contracts.evidence import EMPTY, Evidence, Exclusion, Machine
from core.contracts.intervals import Span, Spans, common, first_part, holds, length, tidy, without
from core.contracts.metering import meter, spans_in
from core.contracts.numbers import hours, rounded
from core.contracts.terms import (
    Availability,
    AvailabilityKind,
    ClockEnd,
    Consequence,
    GapVerdict,
    ServiceLevel,
)
from core.time import HOUR

_HUNDRED = Fraction(100)


@dataclass(frozen=True, slots=True)
class Measured:
    """``percent`` rounded as the contract says; None where nothing was required. ``good`` of ``wanted`` in ``unit``."""

    percent: Decimal | None
    good: Fraction
    wanted: Fraction
    unit: str
    trace: Mapping[str, Any]


def availability(
    terms: Availability, machines: Sequence[str], evidence: Evidence, span: Span, timezone: str, share: Fraction
) -> Measured:
    """Of the machines together over [from, to). ``share``: of the period's days, for the planned-hours allowance."""
    good = wanted = Fraction(0)
    trace: dict[str, Any] = {"definition": terms.kind.value, "machines": {}}
    for name in machines:
        machine = evidence.machines.get(name, Machine())
        required, shown = _required(terms, name, evidence, span, timezone, share)
        if terms.kind is AvailabilityKind.TIME:
            part = _time(terms, machine, required, span)
        elif terms.kind is AvailabilityKind.OUTPUT:
            part = _output(terms, machine, required, span)
        else:
            part = _starts(terms, machine, required, span, timezone)
        good += part[0]
        wanted += part[1]
        trace["machines"][name] = shown | part[2]
    unit = {"time": "h", "output": terms.output.unit if terms.output else "", "starts": "1"}[terms.kind.value]
    percent = None if wanted == 0 else rounded(_HUNDRED * min(good, wanted) / wanted, terms.resolution)
    return Measured(percent, good, wanted, unit, trace)


def _required(
    terms: Availability, name: str, evidence: Evidence, span: Span, timezone: str, share: Fraction
) -> tuple[Spans, dict[str, Any]]:
    """The calendar's time less what the contract excludes; planned stops only up to their allowance, the earliest
    first."""
    window = terms.calendar.spans(span, timezone)
    found = evidence.excluded(name, terms.excludes)
    others = tidy((e.low, e.high) for e in found if e.cause != "planned" or terms.planned_hours is None)
    planned: Spans = ()
    if terms.planned_hours is not None:
        stops = without(common(tidy((e.low, e.high) for e in found if e.cause == "planned"), window), others)
        planned = first_part(stops, round(Fraction(terms.planned_hours) * share * HOUR))
    excluded = common(tidy([*others, *planned]), window)
    shown = {
        "calendar_us": length(window),
        "excluded_us": length(excluded),
        "exclusions": [_exclusion(e) for e in found if e.low < span[1] and e.high > span[0]],
    }
    return without(window, excluded), shown


def _exclusion(e: Exclusion) -> dict[str, Any]:
    return {"from": e.low, "to": e.high, "cause": e.cause, "reference": e.reference}


def _unseen(terms: Availability, machine: Machine, span: Span) -> Spans:
    return machine.series.get(terms.alive, EMPTY).gaps(span, terms.max_gap) if terms.alive else ()


def _down(terms: Availability, machine: Machine, span: Span) -> tuple[Spans, Spans, dict[str, Any]]:
    """(down, unknown and to be left out, trace)."""
    gaps = _unseen(terms, machine, span)
    down = spans_in(machine.states, terms.down, span)
    left_out: Spans = ()
    if terms.gap is GapVerdict.AVAILABLE:
        down = without(down, gaps)
    elif terms.gap is GapVerdict.UNAVAILABLE:
        down = tidy([*down, *gaps])
    else:
        down, left_out = without(down, gaps), gaps
    trace: dict[str, Any] = {"down": [list(s) for s in down]}
    if gaps:
        trace |= {"gaps": [list(g) for g in gaps], "gap_rule": terms.gap.value}
    return down, left_out, trace


def _time(
    terms: Availability, machine: Machine, required: Spans, span: Span
) -> tuple[Fraction, Fraction, dict[str, Any]]:
    down, left_out, trace = _down(terms, machine, span)
    required = without(required, left_out)
    lost = common(down, required)
    trace |= {"required_us": length(required), "down_us": length(lost)}
    return hours(length(required) - length(lost)), hours(length(required)), trace


def _output(
    terms: Availability, machine: Machine, required: Spans, span: Span
) -> tuple[Fraction, Fraction, dict[str, Any]]:
    assert terms.output is not None
    made = meter(terms.output, machine, span)
    possible = hours(length(required)) * Fraction(terms.rate)
    trace = {"required_us": length(required), "rate": str(terms.rate), "output": dict(made.trace)}
    return Fraction(made.quantity), possible, trace


def _starts(
    terms: Availability, machine: Machine, required: Spans, span: Span, timezone: str
) -> tuple[Fraction, Fraction, dict[str, Any]]:
    down, left_out, trace = _down(terms, machine, span)
    required = without(required, left_out)
    due = [
        at
        for day in days(local_day(span[0], timezone), date.fromordinal(local_day(span[1], timezone).toordinal() + 1))
        for minute in terms.service_starts
        if span[0] <= (at := moment(day, minute, timezone)) < span[1] and holds(required, at)
    ]
    missed = [at for at in due if holds(down, at)]
    trace |= {"starts": len(due), "missed": missed}
    return Fraction(len(due) - len(missed)), Fraction(len(due)), trace


@dataclass(frozen=True, slots=True)
class Verdict:
    """``percent`` of the base: damages below zero, a bonus above; ``rule`` says how it came about."""

    percent: Decimal
    rule: str


def judge(terms: Availability, measured: Decimal | None) -> Verdict:
    """What the contract says to an availability."""
    if measured is None:
        return Verdict(Decimal(0), "nothing was required in this period")
    points = measured - terms.target
    if points < 0:
        percent = _percent(terms.damages, measured, -points)
        return Verdict(-percent, _because("below", -points, terms.damages, percent))
    percent = _percent(terms.bonus, measured, points)
    return Verdict(percent, _because("above", points, terms.bonus, percent))


def _percent(consequence: Consequence, measured: Decimal, points: Decimal) -> Decimal:
    if consequence.bands:
        return next((percent for at_least, percent in consequence.bands if measured >= at_least), consequence.cap)
    return min(points * consequence.per_point, consequence.cap)


def _because(side: str, points: Decimal, consequence: Consequence, percent: Decimal) -> str:
    if consequence.bands:
        return f"{points} points {side} target: band of {percent} %"
    capped = f", capped at {consequence.cap} %" if points * consequence.per_point > consequence.cap else ""
    return f"{points} points {side} target × {consequence.per_point} %{capped}"


# --- service levels --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clock:
    """One incident's clock: hours taken, and what is due for a breach (before the period's cap)."""

    reference: str
    equipment: str
    taken: Fraction
    over: Fraction
    due: Decimal
    trace: Mapping[str, Any]


def clocks(terms: ServiceLevel, machines: Sequence[str], evidence: Evidence, span: Span, timezone: str) -> list[Clock]:
    """Clocks of the incidents opened in [from, to), by when they opened. One still running is read at
    ``evidence.known_until``."""
    found = []
    for incident in sorted(evidence.incidents, key=lambda i: (i.opened, i.reference)):
        if incident.equipment not in machines or not span[0] <= incident.opened < span[1]:
            continue
        end = incident.responded if terms.until is ClockEnd.RESPONSE else incident.restored
        stop = end if end is not None else max(evidence.known_until, incident.opened)
        counting = terms.calendar.spans((incident.opened, stop), timezone) if stop > incident.opened else ()
        pauses = evidence.excluded(incident.equipment, terms.pauses)
        running = without(counting, tidy((e.low, e.high) for e in pauses))
        taken = hours(length(running))
        over = max(taken - Fraction(terms.target), Fraction(0))
        due = terms.per_breach + terms.per_hour * -(-over.numerator // over.denominator) if over else Decimal(0)
        trace = {
            "opened": incident.opened,
            "ended": end,
            "read_at": stop,
            "counted": [list(s) for s in running],
            "pauses": [_exclusion(e) for e in pauses if e.low < stop and e.high > incident.opened],
        }
        found.append(Clock(incident.reference, incident.equipment, taken, over, due, trace))
    return found
