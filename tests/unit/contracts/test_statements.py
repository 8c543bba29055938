"""Statements against calculations by hand (cases.yaml), to the cent; and what holds for every statement."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from core.contracts.correction import correct
from core.contracts.statement import Line, Statement, compute, line_of
from tests.unit.contracts.harness import CASES, Case, read

pytestmark = pytest.mark.statements

WITH_LATER = [case for case in CASES if "later" in case]


def shown(lines: tuple[Line, ...]) -> list[tuple[Any, ...]]:
    return [(line.term, line.part, line.equipment, Decimal(line.quantity), str(line.amount)) for line in lines]


def wanted(lines: list[Any]) -> list[tuple[Any, ...]]:
    return [(term, part, machine, Decimal(quantity), amount) for term, part, machine, quantity, amount in lines]


def computed(case: dict[str, Any], part: dict[str, Any] | None = None) -> tuple[Case, Statement]:
    ready = read(case)
    return ready, compute(ready.contract, ready.period, ready.evidence(part or case))


def test_there_are_at_least_twenty_four() -> None:
    assert len(CASES) >= 24
    assert all(case["hand"].strip() for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_as_calculated_by_hand(case: dict[str, Any]) -> None:
    ready, statement = computed(case)
    expect = case["expect"]
    assert shown(statement.lines) == wanted(expect["lines"])
    assert str(statement.total) == expect["total"]
    assert sum(line.amount for line in statement.lines) == statement.total
    measured = {result["term"]: result["measured"] for result in statement.results}
    for term, percent in expect.get("results", {}).items():
        assert measured[term] == percent
    for machine, gaps in expect.get("gaps", {}).items():
        trace = statement.lines[0].trace["machines"][machine]
        assert [(g["from"], g["to"]) for g in trace["gaps"]] == [(ready.us(a), ready.us(b)) for a, b in gaps]


@pytest.mark.parametrize("case", WITH_LATER, ids=lambda case: case["case"])
def test_what_comes_after_closing_is_a_reversal_and_a_new_line(case: dict[str, Any]) -> None:
    _, closed = computed(case)
    _, now = computed(case, case["later"])
    correction = correct(closed.lines, now, 1, "late data")
    assert correction is not None
    assert shown((*correction.reversed_lines, *correction.new_lines)) == wanted(case["later"]["expect"]["lines"])
    assert str(correction.total) == case["later"]["expect"]["total"]
    assert closed.total + correction.total == now.total
    assert correct(now.lines, now, 2, "again") is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_computed_again_it_is_the_same_to_the_letter(case: dict[str, Any]) -> None:
    _, one = computed(case)
    _, other = computed(case)
    assert one.digest() == other.digest()
    kept = json.loads(json.dumps(one.document()))
    assert tuple(line_of(line) for line in kept["lines"]) == one.lines


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_every_figure_leads_back_to_something(case: dict[str, Any]) -> None:
    _, statement = computed(case)
    for line in statement.lines:
        assert line.rule
        assert line.trace
        for machine in line.trace.get("machines", {}).values():
            assert {"sha256", "changes", "entered", "events", "down", "output"} & set(machine)
