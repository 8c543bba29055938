"""A statement: what a period costs, line by line, each with its rule and the way back to what it was computed from.

Same terms and same evidence give the same document to the letter; its SHA-256 is what a closed statement is held to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from core.contracts.calendars import Period
from core.contracts.evidence import Evidence, Machine
from core.contracts.guarantees import availability, clocks, judge
from core.contracts.intervals import Span
from core.contracts.metering import Metered, meter
from core.contracts.numbers import minor_unit, rounded, text
from core.contracts.pricing import price
from core.contracts.terms import Availability, Contract, Fee, Pool, ServiceLevel, Usage, Version
from core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. ``term`` and ``part`` say which rule of which ``version`` (its first day) made it; ``equipment`` is
    empty where it is about several machines. ``trace`` leads to readings, states, events and records."""

    term: str
    part: str
    equipment: str
    version: str
    title: str
    quantity: Decimal
    unit: str
    price: Decimal | None
    amount: Decimal
    rule: str
    trace: Mapping[str, Any]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What stays the same when the figure changes."""
        return self.version, self.term, self.equipment, self.part

    def figures(self) -> dict[str, Any]:
        """All but the trace, as JSON."""
        return {
            "term": self.term,
            "part": self.part,
            "equipment": self.equipment,
            "version": self.version,
            "title": self.title,
            "quantity": text(self.quantity),
            "unit": self.unit,
            "price": text(self.price),
            "amount": text(self.amount),
            "rule": self.rule,
        }


@dataclass(frozen=True, slots=True)
class Statement:
    """``from_us``, ``to_us``: the period's moments. ``results``: what guarantees came to, whether or not they cost."""

    contract: str
    period: str
    currency: str
    timezone: str
    from_us: int
    to_us: int
    lines: tuple[Line, ...]
    total: Decimal
    results: tuple[Mapping[str, Any], ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "contract": self.contract,
            "period": self.period,
            "currency": self.currency,
            "timezone": self.timezone,
            "from": self.from_us,
            "to": self.to_us,
            "lines": [{**line.figures(), "trace": line.trace} for line in self.lines],
            "total": text(self.total),
            "results": list(self.results),
        }

    def digest(self) -> str:
        return digest(self.document())


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no blanks)."""
    packed = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(packed.encode()).hexdigest()


def line_of(document: Mapping[str, Any]) -> Line:
    """A line back from its document."""
    return Line(
        **{
            **document,
            "quantity": Decimal(document["quantity"]),
            "price": None if document["price"] is None else Decimal(document["price"]),
            "amount": Decimal(document["amount"]),
        }
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a period under one version; ``share`` of the period's days."""

    version: Version
    part: Period
    share: Fraction


def segments(contract: Contract, period: Period) -> list[Segment]:
    """The period cut at the days on which another version begins, or the contract ends."""
    found = []
    last = period.end if contract.ends is None else min(period.end, contract.ends)
    for version, following in zip(contract.versions, [*contract.versions[1:], None], strict=True):
        first = max(version.effective, period.first)
        end = last if following is None else min(last, following.effective)
        if first < end:
            part = Period(first, end)
            found.append(Segment(version, part, Fraction(part.days, period.days)))
    return found


def needed(contract: Contract, period: Period) -> dict[str, tuple[set[str], set[str]]]:
    """By machine: the points and the kinds of events that the period's figures rest on."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for segment in segments(contract, period):
        points, kinds = set(), set()
        for usage in segment.version.usage:
            points.add(usage.meter.point)
            kinds.add(usage.meter.event)
        for guarantee in segment.version.availability:
            points |= {guarantee.alive, guarantee.output.point if guarantee.output else ""}
        for name in segment.version.equipment:
            wanted = found.setdefault(name, (set(), set()))
            wanted[0].update(points - {""})
            wanted[1].update(kinds - {""})
    return found


def lookback(contract: Contract) -> int:
    """µs before a period from which readings are wanted: the longest gap that any rule still bridges, and a day."""
    longest = 0
    for version in contract.versions:
        longest = max([longest, *(u.meter.max_gap for u in version.usage), *(a.max_gap for a in version.availability)])
    return longest + 86_400_000_000


def compute(contract: Contract, period: Period, evidence: Evidence) -> Statement:
    """The period's statement. Raises :class:`~core.errors.InvalidInputError` where the contract has no terms then."""
    parts = segments(contract, period)
    if not parts:
        raise InvalidInputError(
            f"contract {contract.key} has no terms in {period.label()}",
            hint=f"it begins on {contract.versions[0].effective}",
        )
    lines: list[Line] = []
    results: list[Mapping[str, Any]] = []
    for segment in parts:
        own = list(_charges(contract, segment, evidence))
        extra, said = _guarantees(contract, segment, evidence, own)
        lines += [*own, *extra]
        results += said
    span = period.span(contract.timezone)
    total = sum((line.amount for line in lines), minor_unit(contract.currency) * 0)
    return Statement(
        contract.key, period.label(), contract.currency, contract.timezone, *span, tuple(lines), total, tuple(results)
    )


# --- charges ---------------------------------------------------------------------------------------------------------


def _charges(contract: Contract, segment: Segment, evidence: Evidence) -> Iterator[Line]:
    span = segment.part.span(contract.timezone)
    for fee in segment.version.fees:
        yield from _fee(contract, segment, fee)
    for usage in segment.version.usage:
        yield from _usage(contract, segment, usage, evidence, span)


def _fee(contract: Contract, segment: Segment, fee: Fee) -> Iterator[Line]:
    cent = minor_unit(contract.currency)
    share = segment.share if fee.prorated else Fraction(1)
    amount = rounded(Fraction(fee.amount) * share, cent)
    rule = "whole period" if share == 1 else f"{share.numerator}/{share.denominator} of the period by days"
    trace = {"first": segment.part.first.isoformat(), "end": segment.part.end.isoformat(), "fee": text(fee.amount)}
    for name in segment.version.equipment if fee.pool is Pool.EACH else ("",):
        yield Line(
            fee.key, "fee", name, _day(segment), fee.title, Decimal(segment.part.days), "d", None, amount, rule, trace
        )


def _usage(contract: Contract, segment: Segment, usage: Usage, evidence: Evidence, span: Span) -> Iterator[Line]:
    metered = {
        name: meter(usage.meter, evidence.machines.get(name, Machine()), span) for name in segment.version.equipment
    }
    if usage.pool is Pool.EACH:
        groups = [(name, [name]) for name in segment.version.equipment]
    else:
        groups = [("", list(segment.version.equipment))]
    for name, members in groups:
        quantity = sum((metered[m].quantity for m in members), Decimal(0))
        trace = _usage_trace(metered, members, quantity)
        lines = price(usage, quantity, segment.share, minor_unit(contract.currency))
        for line in lines:
            unit = "1" if line.what == "minimum" else usage.meter.unit
            yield Line(
                usage.key, line.what, name, _day(segment), usage.title, line.quantity, unit, line.price, line.amount,
                line.rule, trace,
            )  # fmt: skip
        if not lines:
            # Nothing used is a figure too, and has its evidence.
            yield Line(
                usage.key, "used", name, _day(segment), usage.title, Decimal(0), usage.meter.unit, None,
                Decimal(0).quantize(minor_unit(contract.currency)), "nothing used", trace,
            )  # fmt: skip


def _usage_trace(metered: Mapping[str, Metered], members: Sequence[str], quantity: Decimal) -> dict[str, Any]:
    return {
        "metered": text(quantity),
        "machines": {m: {"quantity": text(metered[m].quantity), **metered[m].trace} for m in members},
    }


def _day(segment: Segment) -> str:
    return segment.version.effective.isoformat()


# --- guarantees ------------------------------------------------------------------------------------------------------


def _guarantees(
    contract: Contract, segment: Segment, evidence: Evidence, charges: Sequence[Line]
) -> tuple[list[Line], list[Mapping[str, Any]]]:
    lines: list[Line] = []
    results: list[Mapping[str, Any]] = []
    for guarantee in segment.version.availability:
        groups = (
            [(name, (name,)) for name in segment.version.equipment]
            if guarantee.pool is Pool.EACH
            else [("", segment.version.equipment)]
        )
        for name, members in groups:
            line, result = _availability(contract, segment, guarantee, evidence, charges, name, members)
            lines += [line] if line else []
            results.append(result)
    for level in segment.version.service_levels:
        line, result = _service_level(contract, segment, level, evidence)
        lines += [line] if line else []
        results.append(result)
    return lines, results


def _availability(
    contract: Contract,
    segment: Segment,
    terms: Availability,
    evidence: Evidence,
    charges: Sequence[Line],
    name: str,
    members: Sequence[str],
) -> tuple[Line | None, dict[str, Any]]:
    span = segment.part.span(contract.timezone)
    measured = availability(terms, members, evidence, span, contract.timezone, segment.share)
    verdict = judge(terms, measured.percent)
    base = sum(
        (
            line.amount
            for line in charges
            if (not terms.base or line.term in terms.base) and (not name or line.equipment in ("", name))
        ),
        Decimal(0),
    )
    amount = rounded(base * verdict.percent / 100, minor_unit(contract.currency))
    result = {
        "term": terms.key,
        "equipment": name,
        "version": _day(segment),
        "title": terms.title,
        "target": text(terms.target),
        "measured": text(measured.percent),
        "good": str(measured.good),
        "wanted": str(measured.wanted),
        "unit": measured.unit,
        "percent": text(verdict.percent),
        "amount": text(amount),
        "rule": verdict.rule,
        "trace": measured.trace,
    }
    if verdict.percent == 0:
        return None, result
    kind = "bonus" if verdict.percent > 0 else "damages"
    trace = {"base": text(base), "of": [list(line.identity) for line in charges if line.amount], **measured.trace}
    rule = f"{verdict.rule} = {verdict.percent} % of {base}"
    line = Line(
        terms.key,
        kind,
        name,
        _day(segment),
        terms.title,
        measured.percent or Decimal(0),
        "%",
        None,
        amount,
        rule,
        trace,
    )
    return line, result


def _service_level(
    contract: Contract, segment: Segment, terms: ServiceLevel, evidence: Evidence
) -> tuple[Line | None, dict[str, Any]]:
    span = segment.part.span(contract.timezone)
    read = clocks(terms, segment.version.equipment, evidence, span, contract.timezone)
    cent = minor_unit(contract.currency)
    due = sum((clock.due for clock in read), Decimal(0))
    owed = due if terms.cap is None else min(due, terms.cap)
    amount = -rounded(owed, cent)
    breaches = [clock for clock in read if clock.over]
    trace = {
        "incidents": [
            {
                "reference": c.reference,
                "equipment": c.equipment,
                "hours": text(rounded(c.taken, Decimal("0.01"))),
                "over": text(rounded(c.over, Decimal("0.01"))),
                "due": text(c.due),
                **c.trace,
            }
            for c in read
        ]
    }
    rule = f"{len(breaches)} of {len(read)} over {terms.target} h"
    if terms.cap is not None and due > terms.cap:
        rule += f"; {due} due, capped at {terms.cap}"
    result = {
        "term": terms.key,
        "equipment": "",
        "version": _day(segment),
        "title": terms.title,
        "target": text(terms.target),
        "measured": str(len(read) - len(breaches)),
        "wanted": str(len(read)),
        "unit": "1",
        "amount": text(amount),
        "rule": rule,
        "trace": trace,
    }
    if not amount:
        return None, result
    line = Line(
        terms.key, "damages", "", _day(segment), terms.title, Decimal(len(breaches)), "1", None, amount, rule, trace
    )
    return line, result


def first_period(contract: Contract) -> date:
    """The first day of the first billing period: the month in which the first version begins."""
    return contract.versions[0].effective.replace(day=1)
