"""Trains without a fault in a hard day: nothing may be said. The long form is weeks.py, `make train-weeks`."""

from __future__ import annotations

import pytest

from tests.judges.train.bench import complaints, play
from tests.judges.train.laws import Case, Shape

pytestmark = pytest.mark.timeout(1200)  # days of several trains: half a minute of CPU, on a busy machine far more

DAYS = [
    Case("heat, and a rescue run", mean_c=31.0, rescue=13.0),
    Case("frost, and an empty reservoir", mean_c=-16.0, depot_start=True),
]


@pytest.fixture(scope="module")
def said():
    return play(Shape(), DAYS, 0.95, seed=43_100)


@pytest.mark.parametrize("case", DAYS, ids=lambda case: case.name)
def test_nothing_is_said(case, said):
    assert complaints(case, said.said[case.name]) == []
