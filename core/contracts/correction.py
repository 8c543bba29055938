"""What changes behind a closed statement is never changed in it: the old lines are reversed, the new ones stand beside
them, and the difference is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from core.contracts.numbers import text
from core.contracts.statement import Line, Statement


@dataclass(frozen=True, slots=True)
class Correction:
    """``reversed_lines``: lines in force until now, negated; ``new_lines`` take their place. ``total``: what is due
    beyond what was stated before (below zero: paid back). ``after``: the statement as it is now right."""

    contract: str
    period: str
    currency: str
    number: int
    reversed_lines: tuple[Line, ...]
    new_lines: tuple[Line, ...]
    total: Decimal
    after: Statement
    reason: str

    def document(self) -> dict[str, Any]:
        return {
            "contract": self.contract,
            "period": self.period,
            "currency": self.currency,
            "number": self.number,
            "reason": self.reason,
            "lines": [{**line.figures(), "trace": line.trace} for line in (*self.reversed_lines, *self.new_lines)],
            "total": text(self.total),
            "after": self.after.document(),
        }


def correct(in_force: Sequence[Line], now: Statement, number: int, reason: str) -> Correction | None:
    """The correction that turns what is in force (the closed statement's lines, as corrected since) into ``now``; None
    where every figure is the same.

    A line whose figures agree stays as it is, even where later evidence stands behind it.
    """
    old = {line.identity: line for line in in_force}
    new = {line.identity: line for line in now.lines}
    gone = [line for key, line in old.items() if key not in new or not _same(line, new[key])]
    come = [line for key, line in new.items() if key not in old or not _same(line, old[key])]
    if not gone and not come:
        return None
    reversed_lines = tuple(_reversal(line) for line in gone)
    total = sum((line.amount for line in (*reversed_lines, *come)), now.total * 0)
    return Correction(now.contract, now.period, now.currency, number, reversed_lines, tuple(come), total, now, reason)


def _same(one: Line, other: Line) -> bool:
    return (one.quantity, one.price, one.amount) == (other.quantity, other.price, other.amount)


def _reversal(line: Line) -> Line:
    return replace(
        line,
        part=f"reversal of {line.part}",
        quantity=-line.quantity,
        amount=-line.amount,
        rule=f"reversed: {line.rule}",
    )
