"""Identifiers, verdicts on returned parts, life plan, fleet at equal duty."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInputError
from core.lifecycle import identifiers
from core.lifecycle.plan import Interval, equal_duty, life_plan
from core.lifecycle.remanufacturing import Grade, Limits, Returned, assess
from core.time import DAY, HOUR


def test_a_gs1_link_and_how_scanners_spell_it() -> None:
    # GTIN of the examples in GS1 Digital Link Standard: URI Syntax
    link = identifiers.digital_link("9520123456788", "12345")
    assert link == "https://id.gs1.org/01/09520123456788/21/12345"
    assert identifiers.canonical("http://ID.GS1.org/01/09520123456788/21/12345?17=270101") == link
    with pytest.raises(InvalidInputError, match="check digit"):
        identifiers.digital_link("9520123456789", "12345")
    with pytest.raises(InvalidInputError, match="serial"):
        identifiers.digital_link("9520123456788", "ü")
    with pytest.raises(InvalidInputError, match="domain"):
        identifiers.identification_link("no domain", "pump", "1")


LIMITS = Limits(design_hours=40_000, wear={"bore ovality µm": (10.0, 30.0, 80.0)})


@pytest.mark.parametrize(
    ("part", "grade", "said"),
    [
        (Returned(8_000, 1, 95, measured={"bore ovality µm": 4}, inspected=True), Grade.REUSE, "20 %"),
        (Returned(24_000, 1, 95, measured={"bore ovality µm": 4}, inspected=True), Grade.REPAIR, "wearing parts"),
        (Returned(38_000, 1, 95, measured={"bore ovality µm": 4}, inspected=True), Grade.REMANUFACTURE, "95 %"),
        (Returned(38_000, 3, 95, measured={"bore ovality µm": 4}, inspected=True), Grade.SCRAP, "life 4"),
        (Returned(8_000, 1, 40, measured={"bore ovality µm": 4}, inspected=True), Grade.REMANUFACTURE, "health 40"),
        (Returned(8_000, 1, 95, measured={"bore ovality µm": 90}, inspected=True), Grade.SCRAP, "from 80"),
        (Returned(8_000, 1, 95, damage=("crack",), inspected=True), Grade.SCRAP, "crack"),
        (Returned(8_000, 1, 95), Grade.REPAIR, "not known"),
    ],
)
def test_what_becomes_of_a_part_and_why(part: Returned, grade: Grade, said: str) -> None:
    found = assess(part, LIMITS)
    assert found.grade is grade
    assert said in found.reasons[0].text
    assert found.provisional == (not part.inspected or "bore ovality µm" not in part.measured)


def test_a_life_plan_by_hours_and_by_calendar() -> None:
    now = 1000 * DAY
    intervals = [Interval("oil", "Oil", 8000, 365 * DAY), Interval("major", "Major overhaul", 50_000)]
    oil, major = life_plan(intervals, 30_000, 0.5, {"oil": (26_000, 900 * DAY)}, 0, now)
    # 4 000 h left at half an hour per hour are 8 000 h; a year since day 900 is over before that
    assert (oil.key, oil.because, oil.at) == ("oil", "calendar", 1265 * DAY)
    assert (major.hours_left, major.at) == (20_000, now + 40_000 * HOUR)
    assert life_plan(intervals[1:], 51_000, 0.5, {}, 0, now)[0].at == now
    assert life_plan(intervals[1:], 100, 0.0, {}, 0, now)[0].at is None


def test_a_machine_with_hard_duty_is_not_called_bad() -> None:
    rng = np.random.default_rng(1)
    fleet = {}
    for name, hard, worse in (("easy", 0.2, 0.0), ("hard", 0.8, 0.0), ("worn", 0.2, 5.0)):
        duty = np.where(rng.random(400) < hard, 90.0, 50.0)
        fleet[name] = (duty, 0.5 * duty + worse + rng.normal(0, 0.1, 400))
    found = {c.machine: c for c in equal_duty(fleet, [0, 70, 110])}
    assert found["hard"].raw > found["worn"].raw + 3
    assert found["hard"].standardised == pytest.approx(found["easy"].standardised, abs=0.1)
    assert found["worn"].standardised == pytest.approx((found["easy"].standardised or 0) + 5, abs=0.1)
    assert all(c.covered == 1.0 for c in found.values())
