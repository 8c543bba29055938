"""From quantities to amounts: tiers, what is included, minimums."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from core.contracts.numbers import rounded
from core.contracts.terms import Tier, TierMode, Usage


@dataclass(frozen=True, slots=True)
class Priced:
    """One line: ``what`` says which part of the quantity it is."""

    what: str
    quantity: Decimal
    price: Decimal
    amount: Decimal
    rule: str


def scaled(terms: Usage, share: Fraction) -> Usage:
    """The terms for a part of a period: bounds, what is included and minimums times its share of the period's days,
    rounded to the meter's resolution (amounts: left to the line)."""
    if share == 1 or not terms.prorated:
        return terms
    step = terms.meter.resolution

    def part(value: Decimal) -> Decimal:
        return rounded(Fraction(value) * share, step)

    return Usage(
        terms.key,
        terms.title,
        terms.meter,
        tuple(Tier(None if t.up_to is None else part(t.up_to), t.price) for t in terms.tiers),
        terms.mode,
        terms.pool,
        part(terms.included),
        part(terms.minimum_quantity),
        terms.minimum_amount,
        terms.prorated,
    )


def price(terms: Usage, quantity: Decimal, share: Fraction, cent: Decimal) -> list[Priced]:
    """Lines for a quantity; amounts rounded to ``cent`` line by line, so that a statement adds up as it is printed."""
    terms = scaled(terms, share)
    lines: list[Priced] = []
    free = min(quantity, terms.included)
    if free:
        lines.append(Priced("included", free, Decimal(0), Decimal(0).quantize(cent), "included in the contract"))
    billable = quantity - free
    charged = max(billable, terms.minimum_quantity)
    lines += _tiers(terms, billable, charged, cent)
    total = sum((line.amount for line in lines), Decimal(0))
    least = rounded(Fraction(terms.minimum_amount) * (share if terms.prorated else 1), cent)
    if total < least:
        rule = f"at least {least} for this part of the period, {total} so far"
        lines.append(Priced("minimum", Decimal(1), least - total, least - total, rule))
    return lines


def _tiers(terms: Usage, used: Decimal, charged: Decimal, cent: Decimal) -> list[Priced]:
    padding = f"; {charged - used} of it to the minimum of {charged}" if charged > used else ""
    if terms.mode is TierMode.VOLUME:
        reached = next(t for t in terms.tiers if t.up_to is None or charged <= t.up_to)
        rule = f"whole quantity at the price of the tier reached{padding}"
        return [Priced("used", charged, reached.price, rounded(charged * reached.price, cent), rule)]
    lines = []
    low = Decimal(0)
    for number, tier in enumerate(terms.tiers, 1):
        high = charged if tier.up_to is None else min(charged, tier.up_to)
        part = high - low
        if part > 0:
            bound = "" if tier.up_to is None else f" to {tier.up_to}"
            rule = f"tier {number}: from {low}{bound}{padding if high == charged else ''}"
            lines.append(Priced(f"tier {number}", part, tier.price, rounded(part * tier.price, cent), rule))
        if high == charged:
            break
        low = high
    return lines
