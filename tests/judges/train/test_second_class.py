"""Another class of train, added by its catalogue file alone: other cars, doors, axles and limits, and no code."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.types import check_type, load_type
from tests.judges.train.bench import complaints, play
from tests.judges.train.laws import Case, Owed, Shape, ramp, step
from tests.judges.train.test_train_health import DAY, doubling

FILE = Path(__file__).with_name("regional.yaml")
pytestmark = pytest.mark.timeout(1200)  # days of several trains: half a minute of CPU, on a busy machine far more

SHAPE = Shape("regio-4", cars=(1, 2, 3, 4), motors=(1, 4), air=(2,), axles=4, doors=4)

DOORS = [
    Case(
        "friction",
        {"car2.door3 friction": ramp(3 * DAY, 11 * DAY, 1.0, 3.0)},
        (Owed("car2.door3", ("door_friction",), 3 * DAY, 7 * DAY),),
    ),
    Case("healthy"),
]
TRAINS = [
    Case(
        "hot box and leak",
        {"car3.axle1.box_r heat": doubling(14.0, 9.0, 1.5, 150.0, 1.6), "train leak": step(10.0, 14.0, 120.0)},
        (
            Owed("car3.axle1.box_r", ("hot_box",), 14.0, 15.0),
            Owed("main_reservoir", ("air_leak",), 10.0, 13.0),
        ),
    ),
    Case("healthy"),
]


def test_its_file_is_all_there_is_of_it():
    assert check_type(FILE) == []


@pytest.mark.parametrize("case", range(2))
def test_its_doors(case, said_of_doors):
    assert complaints(DOORS[case], said_of_doors.said[DOORS[case].name]) == []


@pytest.mark.parametrize("case", range(2))
def test_its_running_gear_and_air(case, said_of_trains):
    assert complaints(TRAINS[case], said_of_trains.said[TRAINS[case].name]) == []


@pytest.fixture(scope="module")
def said_of_doors():
    return play(SHAPE, DOORS, 8, seed=42_001, period_s=120, every=6, only_stops=True, type_=load_type(FILE))


@pytest.fixture(scope="module")
def said_of_trains():
    return play(SHAPE, TRAINS, 0.7, seed=42_002, type_=load_type(FILE))
