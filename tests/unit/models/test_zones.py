"""ISO 20816-3 as limits: at every boundary of every table, just below says nothing and just above speaks."""

from __future__ import annotations

import math

import pytest

from core.errors import TypeDefinitionError
from models.types import load_type
from models.vibration.zones import boundaries, shaft_boundaries

# Written down a second time, from the standard's tables and not from the data file.
VELOCITY = {
    (1, "rigid"): (2.3, 4.5, 7.1),
    (1, "flexible"): (3.5, 7.1, 11.0),
    (2, "rigid"): (1.4, 2.8, 4.5),
    (2, "flexible"): (2.3, 4.5, 7.1),
}
DISPLACEMENT = {
    (1, "rigid"): (29, 57, 90),
    (1, "flexible"): (45, 90, 140),
    (2, "rigid"): (22, 45, 71),
    (2, "flexible"): (37, 71, 113),
}
CASES = [
    *(("velocity", "mm/s", *k, v) for k, v in VELOCITY.items()),
    *(("displacement", "um", *k, v) for k, v in DISPLACEMENT.items()),
]


def fan(unit: str, zones: str) -> str:
    return f"""
type: fan
name: Fan
components: [{{key: fan, name: Fan}}]
points:
  - {{key: v, component: fan, unit: {unit}, description: velocity DE}}
  - {{key: speed, component: fan, unit: r/min}}
states: [{{name: runs, when: speed > 100}}]
limits: [{{{zones}, point: v, states: [runs], settle: 1 min, failure_mode: unbalance}}]
"""


@pytest.mark.parametrize(("quantity", "unit", "group", "support", "table"), CASES)
def test_limits_stand_at_the_boundaries_of_the_table(quantity, unit, group, support, table):
    assert boundaries(quantity, group, support) == table
    type_ = load_type(fan(unit, f"zones: iso20816-3, group: {group}, support: {support}"))
    limits = {x.key: x for x in type_.limits}
    _, bc, cd = table
    assert (limits["zone_c"].value, limits["zone_d"].value) == (bc, cd)
    assert (limits["up"].value, limits["down"].value) == (0.25 * bc, -0.25 * bc)
    assert {x.point for x in type_.limits} == {"v", "v_change"}
    assert all(x.states == ("runs",) and x.failure_mode == "unbalance" for x in type_.limits)


@pytest.mark.parametrize("speed", [600, 1500, 3000, 10_728, 30_000])
def test_shaft_displacement_falls_with_the_root_of_the_speed(speed):
    assert shaft_boundaries(speed) == pytest.approx([n / math.sqrt(speed) for n in (4800, 9000, 13200)])
    clearance = 100.0
    capped = [min(n / math.sqrt(speed), s * clearance) for n, s in ((4800, 0.4), (9000, 0.6), (13200, 0.7))]
    assert shaft_boundaries(speed, clearance) == pytest.approx(capped)


def test_shaft_displacement_is_judged_by_the_speed_it_turns_at():
    type_ = load_type(fan("um", "zones: shaft-displacement, speed: speed, clearance: 180"))
    formulas = {p.key: p.formula for p in type_.points if p.formula}
    assert formulas["v_of_zone_c"] == "v / min(9000 / sqrt(speed), 108.0)"
    assert formulas["v_of_zone_d"] == "v / min(13200 / sqrt(speed), 126.0)"
    assert {x.key: x.value for x in type_.limits} == {"zone_c": 1.0, "zone_d": 1.0, "up": 0.25, "down": -0.25}


@pytest.mark.parametrize(
    ("unit", "zones", "says"),
    [
        ("mm/s", "zones: iso20816-3, support: rigid", "need 'group'"),
        ("bar", "zones: iso20816-3, group: 1, support: rigid", "is in 'bar'"),
        ("um", "zones: shaft-displacement", "need 'speed'"),
        ("mm/s", "zones: shaft-displacement, speed: speed", "is in 'mm/s'"),
    ],
)
def test_what_cannot_be_judged_is_refused(unit, zones, says):
    with pytest.raises(TypeDefinitionError, match=says):
        load_type(fan(unit, zones))
