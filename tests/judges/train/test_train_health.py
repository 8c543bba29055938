"""An independent judge of train health: what breaks is named, in time and in its place; what looks alike is not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.judges.train.bench import Played, complaints, play
from tests.judges.train.laws import Case, Owed, Shape, ramp, step

pytestmark = pytest.mark.timeout(1200)  # days of several trains: half a minute of CPU, on a busy machine far more

SHAPE = Shape()
DAY = 24.0


def doubling(first: float, minutes: float, low: float, most: float, lasts: float):
    """From ``first`` on ``low`` K, twice as much every so many minutes up to ``most``; nothing before, and nothing
    after ``lasts`` hours: nobody runs a train with a burnt bearing."""
    grown = lambda h: np.minimum(low * 2.0 ** ((h - first) * 60.0 / minutes), most)  # noqa: E731
    return lambda h: np.where((h < first) | (h > first + lasts), 0.0, grown(h))


# --- doors, over two weeks -------------------------------------------------------------------------------------------

FROST = {"train obstructions": step(5 * DAY, -1.0, 0.10), "train weather": ramp(6 * DAY, 12 * DAY, 9.0, -15.0)}
DOORS = [
    Case(
        "friction",
        {"car3.door5 friction": ramp(4 * DAY, 20 * DAY, 1.0, 3.0)},
        (Owed("car3.door5", ("door_friction",), 4 * DAY, 12 * DAY),),
    ),
    Case("crowds and frost", FROST),
    Case(
        "belt and roller",
        {"car2.door2 slack": step(8 * DAY, 1.0, 3.0), "car5.door7 roller": step(9 * DAY, 0.0, 0.25)},
        (
            Owed("car2.door2", ("door_belt",), 8 * DAY, 12 * DAY),
            Owed("car5.door7", ("door_roller",), 9 * DAY, 11 * DAY),
        ),
    ),
    Case(
        "lock switch, and something in the guide",
        {"car6.door1 switch": ramp(6 * DAY, 10 * DAY, 0.0, 0.06), "car4.door3 object": step(10 * DAY, 0.0, 0.6)},
        (
            Owed("car6.door1", ("door_lock_switch",), 6 * DAY, 13 * DAY),
            Owed("car4.door3", ("door_obstruction",), 10 * DAY, 13 * DAY),
        ),
    ),
    Case(
        "friction among crowds in frost",
        {"car1.door8 friction": ramp(5 * DAY, 17 * DAY, 1.0, 3.0), **FROST},
        (Owed("car1.door8", ("door_friction",), 5 * DAY, 11 * DAY),),
    ),
]


@pytest.fixture(scope="module")
def doors() -> Played:
    return play(SHAPE, DOORS, 14, seed=41_001, period_s=120, every=6, only_stops=True)


@pytest.mark.parametrize("case", DOORS, ids=lambda case: case.name)
def test_doors(case, doors):
    assert complaints(case, doors.said[case.name]) == []


# --- a day and a night, telegram by telegram --------------------------------------------------------------------------

TROUBLES = {
    "car5.bogie1 drag": ramp(13.0, 14.0, 0.0, 0.3),
    **{f"car4.axle2.box_{side} heat": step(12.0, 0.0, 5.0) for side in "lr"},
    "car3 vehicle": step(12.0, 613.0, 748.0),
    **{f"car3.axle{a}.box_{side} position": step(12.0, 0.0, 2.0 * (-1) ** a) for a in range(1, 5) for side in "lr"},
}
"""A brake that drags, a wheelset changed, another car in the third place."""
DRAG = Owed("car5.bogie1", ("sticking_brake",), 13.0, 16.0)

TRAINS = [
    Case(
        "leak grows",
        {
            "train leak": ramp(13.0, 30.0, 15.0, 200.0),
            "car4.converter resistance": ramp(11.0, 20.0, 1.0, 1.6),
            "car6.hvac blocked": ramp(11.0, 20.0, 0.0, 0.7),
        },
        (
            Owed("main_reservoir", ("air_leak",), 13.0, 20.8),
            Owed("car4.converter", ("converter_cooling",), 11.0, 20.0),
            Owed("car6.hvac", ("hvac_filter",), 11.0, 20.0),
        ),
    ),
    Case(
        "leak of 70",
        {"train leak": step(13.0, 14.0, 70.0), "car4.bogie2 drag": ramp(14.0, 16.0, 0.0, 0.3)},
        (
            Owed("main_reservoir", ("air_leak",), 13.0, 24.0),
            Owed("car4.bogie2", ("sticking_brake",), 14.0, 17.5),
        ),
    ),
    Case(
        "leak of 160",
        {
            "train leak": step(13.0, 14.0, 160.0),
            "car2.converter resistance": step(14.0, 1.0, 2.4),
            "car1.axle4.box_r loose": step(15.0, 0.0, 1.0),
        },
        (
            Owed("main_reservoir", ("air_leak",), 13.0, 16.0),
            Owed("car2.converter", ("converter_fan",), 14.0, 16.0),
            Owed("car1.axle4.box_r", ("sensor_error",), 15.0, 17.0, "instrument"),
        ),
    ),
    Case(
        "compressor wears",
        {"car1.air delivery": ramp(11.0, 22.5, 1.0, 0.68), "car3.hvac charge": ramp(11.0, 21.0, 0.0, 0.3)},
        (
            Owed("car1.air", ("compressor_wear",), 11.0, 21.8),
            Owed("car3.hvac", ("hvac_charge",), 11.0, 22.5),
        ),
        mean_c=27.0,
    ),
    Case(
        "hot box among troubles",
        {**TROUBLES, "car2.axle3.box_l heat": doubling(18.0, 9.0, 1.5, 150.0, 1.6)},
        (DRAG, Owed("car2.axle3.box_l", ("hot_box",), 18.0, 19.5)),
    ),
    Case(
        "troubles alone",
        {**TROUBLES, "car1.air wet": ramp(15.0, 16.5, 0.0, 30.0)},
        (DRAG, Owed("car1.air", ("air_dryer",), 15.0, 19.0)),
    ),
]


@pytest.fixture(scope="module")
def trains() -> Played:
    watch = ("main_reservoir.leak_parked", "main_reservoir.leak_in_service")
    return play(SHAPE, TRAINS, 1.2, seed=41_002, watch=watch)


@pytest.mark.parametrize("case", TRAINS, ids=lambda case: case.name)
def test_trains(case, trains):
    assert complaints(case, trains.said[case.name]) == []


def test_a_hot_box_is_told_of_a_quarter_of_an_hour_before_110_degrees(trains):
    case = next(c for c in TRAINS if c.name.startswith("hot box"))
    component = case.owed[-1].component
    box = trains.truth[case.name][:, SHAPE.components("box").index(component)]
    burnt = (1 + int(np.argmax(box >= 110.0))) * 30 / 3600.0
    assert box.max() >= 110.0
    first = min(s.hour for s in trains.said[case.name] if s.component == component)
    assert burnt - first >= 0.25


@pytest.mark.parametrize(("name", "true"), [("leak of 70", 70.0), ("leak of 160", 160.0)])
def test_a_leak_is_estimated(name, true, trains):
    hours, parked = trains.courses[name]["main_reservoir.leak_parked"]
    night = hours > 23.5
    assert night.any()
    assert np.abs(parked[night] / true - 1).max() <= 0.20
    hours, service = trains.courses[name]["main_reservoir.leak_in_service"]
    day = hours > 17.0
    assert day.any()
    assert np.abs(service[day] / true - 1).max() <= 0.35
