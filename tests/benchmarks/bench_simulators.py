"""What simulating costs: CPU-seconds per unit and day, for a batch of ten seeds and for a single machine.

``python -m pytest tests/benchmarks/bench_simulators.py -s``
"""

from __future__ import annotations

import time

import pytest

from core.time import SECOND
from simulators.fleet import CompressorTrainFleet, MetroTrainFleet
from simulators.plans import unit_seeds

START = 1_773_619_200 * SECOND
DAYS = 2


@pytest.mark.parametrize(
    ("kind", "units"),
    [(CompressorTrainFleet, 30), (CompressorTrainFleet, 1), (MetroTrainFleet, 10), (MetroTrainFleet, 1)],
)
def test_cost_of_a_simulated_day(kind, units):
    fleet = kind(unit_seeds(1, units), START)
    fleet.advance(1)  # parameters and warm-up
    begin = time.process_time()
    for _ in range(DAYS * 24):
        fleet.advance(360)
    spent = time.process_time() - begin
    readings = DAYS * 8640 * units * len(fleet.POINTS)
    print(
        f"\n{fleet.TYPE} × {units}: {spent / DAYS / units:.3f} CPU-s per unit-day, "
        f"{readings / spent / 1e6:.1f} million readings per CPU-s"
    )
