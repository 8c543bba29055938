"""An independent judge of train health: what breaks is named, in time and in its place; what looks alike is not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.judges.train.bench import Played, complaints, play
from tests.judges.train.laws import Case, Shape, ramp, step

SHAPE = Shape()
DAY = 24.0


def doubling(first: float, minutes: float, low: float, most: float):
    """0 before ``first``, then ``low`` K, twice as much every so many minutes, ``most`` at last."""
    return lambda h: np.where(h < first, 0.0, np.minimum(low * 2.0 ** ((h - first) * 60.0 / minutes), most))


# --- doors, over three weeks -----------------------------------------------------------------------------------------

DOORS = [
    Case(
        "friction",
        {"car3.door5 friction": ramp(4 * DAY, 20 * DAY, 1.0, 3.0)},
        "car3.door5",
        "machine",
        ("door_friction",),
        4 * DAY,
        12 * DAY,
    ),
    Case(
        "crowds and frost",
        {"train obstructions": step(5 * DAY, -1.0, 0.10), "train weather": ramp(6 * DAY, 12 * DAY, 9.0, -15.0)},
    ),
    Case(
        "belt",
        {"car2.door2 slack": step(8 * DAY, 1.0, 3.0)},
        "car2.door2",
        "machine",
        ("door_belt",),
        8 * DAY,
        12 * DAY,
    ),
    Case(
        "roller",
        {"car5.door7 roller": step(9 * DAY, 0.0, 0.25)},
        "car5.door7",
        "machine",
        ("door_roller",),
        9 * DAY,
        11 * DAY,
    ),
    Case(
        "lock switch",
        {"car6.door1 switch": ramp(6 * DAY, 10 * DAY, 0.0, 0.06)},
        "car6.door1",
        "machine",
        ("door_lock_switch",),
        6 * DAY,
        18 * DAY,
    ),
    Case(
        "something in the guide",
        {"car4.door3 object": step(10 * DAY, 0.0, 0.6)},
        "car4.door3",
        "machine",
        ("door_obstruction",),
        10 * DAY,
        13 * DAY,
    ),
    Case(
        "friction in frost",
        {
            "car1.door8 friction": ramp(5 * DAY, 17 * DAY, 1.0, 3.0),
            "train weather": ramp(3 * DAY, 8 * DAY, 5.0, -15.0),
            "train obstructions": step(0, -1.0, 0.10),
        },
        "car1.door8",
        "machine",
        ("door_friction",),
        5 * DAY,
        11 * DAY,
    ),
]


@pytest.fixture(scope="module")
def doors() -> Played:
    return play(SHAPE, DOORS, 21, seed=41_001, period_s=120, every=6, only_stops=True)


@pytest.mark.parametrize("case", DOORS, ids=lambda case: case.name)
def test_doors(case, doors):
    assert complaints(case, doors.said[case.name]) == []


# --- two days, telegram by telegram -----------------------------------------------------------------------------------

TROUBLES = {
    "car5.bogie1 drag": ramp(30.0, 31.0, 0.0, 0.3),
    **{f"car4.axle2.box_{side} position": step(27.0, 0.0, 5.0) for side in "lr"},
    "car3 vehicle": step(27.0, 613.0, 748.0),
    **{f"car3.axle{a}.box_{side} position": step(27.0, 0.0, 2.0 * (-1) ** a) for a in range(1, 5) for side in "lr"},
}
"""A brake that drags, a wheelset changed at night, another car in the third place."""
DRAGS = {"car5.bogie1": ("sticking_brake",)}

TRAINS = [
    Case(
        "leak grows",
        {"train leak": ramp(26.0, 47.0, 15.0, 200.0)},
        "main_reservoir",
        "machine",
        ("air_leak",),
        26,
        35.6,
    ),
    Case("leak of 70", {"train leak": step(21.0, 14.0, 70.0)}, "main_reservoir", "machine", ("air_leak",), 21, 28),
    Case("leak of 160", {"train leak": step(21.0, 14.0, 160.0)}, "main_reservoir", "machine", ("air_leak",), 21, 26),
    Case(
        "compressor wears",
        {"car1.air delivery": ramp(26.0, 44.0, 1.0, 0.68)},
        "car1.air",
        "machine",
        ("compressor_wear",),
        26,
        43.5,
    ),
    Case("dryer", {"car1.air wet": ramp(32.0, 33.5, 0.0, 30.0)}, "car1.air", "machine", ("air_dryer",), 32, 36),
    Case(
        "brake", {"car4.bogie2 drag": ramp(30.0, 32.0, 0.0, 0.3)}, "car4.bogie2", "machine", ("sticking_brake",), 30, 34
    ),
    Case(
        "hot box among troubles",
        {**TROUBLES, "car2.axle3.box_l heat": doubling(36.0, 9.0, 1.5, 260.0)},
        "car2.axle3.box_l",
        "machine",
        ("hot_box",),
        36,
        37.5,
        also=DRAGS,
    ),
    Case("troubles alone", TROUBLES, "car5.bogie1", "machine", ("sticking_brake",), 30, 34),
    Case(
        "loose thermometer",
        {"car1.axle4.box_r loose": step(33.0, 0.0, 1.0)},
        "car1.axle4.box_r",
        "instrument",
        ("sensor_error",),
        33,
        35,
    ),
    Case(
        "fan",
        {"car2.converter resistance": step(32.0, 1.0, 2.4)},
        "car2.converter",
        "machine",
        ("converter_fan",),
        32,
        34,
    ),
    Case(
        "converter filter",
        {"car4.converter resistance": ramp(26.0, 42.0, 1.0, 1.6)},
        "car4.converter",
        "machine",
        ("converter_cooling",),
        26,
        42,
    ),
    Case(
        "refrigerant",
        {"car3.hvac charge": ramp(26.0, 42.0, 0.0, 0.3)},
        "car3.hvac",
        "machine",
        ("hvac_charge",),
        26,
        44,
        mean_c=27.0,
    ),
    Case(
        "air filter",
        {"car6.hvac blocked": ramp(26.0, 42.0, 0.0, 0.7)},
        "car6.hvac",
        "machine",
        ("hvac_filter",),
        26,
        42,
        mean_c=25.0,
    ),
    Case("healthy in frost", mean_c=-12.0),
]


@pytest.fixture(scope="module")
def trains() -> Played:
    watch = ("main_reservoir.leak_parked", "main_reservoir.leak_in_service")
    return play(SHAPE, TRAINS, 2, seed=41_002, watch=watch)


@pytest.mark.parametrize("case", TRAINS, ids=lambda case: case.name)
def test_trains(case, trains):
    assert complaints(case, trains.said[case.name]) == []


def test_a_hot_box_is_told_of_a_quarter_of_an_hour_before_110_degrees(trains):
    case = next(c for c in TRAINS if c.name.startswith("hot box"))
    box = trains.truth[case.name][:, SHAPE.components("box").index(case.component)]
    burnt = (1 + int(np.argmax(box >= 110.0))) * 30 / 3600.0
    assert box.max() >= 110.0
    first = min(s.hour for s in trains.said[case.name] if s.component == case.component)
    assert burnt - first >= 0.25


@pytest.mark.parametrize(("name", "true"), [("leak of 70", 70.0), ("leak of 160", 160.0)])
def test_a_leak_is_estimated(name, true, trains):
    hours, parked = trains.courses[name]["main_reservoir.leak_parked"]
    night = (hours > 23.5) & (hours < 28.5)
    assert night.any()
    assert np.abs(parked[night] / true - 1).max() <= 0.20
    hours, service = trains.courses[name]["main_reservoir.leak_in_service"]
    day = hours > 33.0
    assert day.any()
    assert np.abs(service[day] / true - 1).max() <= 0.35
