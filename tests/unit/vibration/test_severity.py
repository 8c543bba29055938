"""Zones equal the tables at every boundary."""

from __future__ import annotations

import pytest

from core.errors import InvalidInputError
from models.vibration import severity

HOUSING = [
    ("velocity", 1, "rigid", (2.3, 4.5, 7.1)), ("velocity", 1, "flexible", (3.5, 7.1, 11.0)),
    ("velocity", 2, "rigid", (1.4, 2.8, 4.5)), ("velocity", 2, "flexible", (2.3, 4.5, 7.1)),
    ("displacement", 1, "rigid", (29, 57, 90)), ("displacement", 1, "flexible", (45, 90, 140)),
    ("displacement", 2, "rigid", (22, 45, 71)), ("displacement", 2, "flexible", (37, 71, 113)),
]  # fmt: skip
PUMPS = [(1, 100, (2.5, 4.0, 6.6)), (1, 201, (3.5, 5.0, 7.6)), (2, 200, (3.2, 5.1, 8.5)), (2, 500, (4.2, 6.1, 9.5))]


def check(limits: tuple[float, float, float], zone) -> None:
    for i, limit in enumerate(limits):
        assert zone(limit * (1 - 1e-9)) == "ABC"[i]
        assert zone(limit) == "BCD"[i]
        assert zone(limit * (1 + 1e-9)) == "BCD"[i]


@pytest.mark.parametrize(("quantity", "group", "foundation", "limits"), HOUSING)
def test_housings(quantity: str, group: int, foundation: str, limits: tuple[float, float, float]) -> None:
    check(limits, lambda v: severity.judge(v, quantity=quantity, group=group, foundation=foundation).zone)


@pytest.mark.parametrize(("category", "power", "limits"), PUMPS)
def test_pumps(category: int, power: float, limits: tuple[float, float, float]) -> None:
    check(limits, lambda v: severity.judge(v, "iso10816-7", category=category, power=power).zone)


@pytest.mark.parametrize("speed", [1500.0, 3600.0, 10_728.0])
@pytest.mark.parametrize("clearance", [None, 150.0])
def test_shafts(speed: float, clearance: float | None) -> None:
    limits = tuple(n / speed**0.5 for n in (4800, 9000, 13_200))
    if clearance is not None:
        limits = tuple(min(a, s * clearance) for a, s in zip(limits, (0.4, 0.6, 0.7), strict=True))
    check(limits, lambda v: severity.judge(v, "shaft-displacement", speed=speed, clearance=clearance).zone)


def test_a_change_counts_up_and_down_and_not_at_exactly_a_quarter() -> None:
    assert not severity.change(2.0 + 0.25 * 4.0, 2.0, 4.0).significant
    assert severity.change(3.001, 2.0, 4.0).significant
    assert severity.change(0.9, 2.0, 4.0).significant


def test_alarm_and_trip_are_capped() -> None:
    assert severity.alarm(1.0, 4.0) == 2.0
    assert severity.alarm(4.9, 4.0) == 5.0
    assert severity.judge(1.0, group=1).trip == pytest.approx(1.25 * 7.1)
    assert severity.acceptance(16_000) == pytest.approx(25.4 * (12 / 16) ** 0.5)


def test_what_no_table_has_is_refused() -> None:
    for wrong in ({"group": 3}, {"foundation": "soft"}, {"quantity": "noise"}):
        with pytest.raises(InvalidInputError):
            severity.judge(1.0, **wrong)
    with pytest.raises(InvalidInputError):
        severity.judge(1.0, "iso-nothing")
