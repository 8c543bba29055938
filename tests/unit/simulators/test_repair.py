"""A machine is repaired while it is simulated: it stands, and afterwards nothing is left of the fault."""

from __future__ import annotations

import numpy as np
import pytest

from core.time import HOUR
from simulators.fleet import NEVER, CompressorTrainFleet, FaultPlan, MetroTrainFleet

START = 1_760_000_400_000_000


def test_a_bearing_that_was_replaced_no_longer_shakes():
    plan = FaultPlan(0, "motor.bearing_de", "motor_bearing", START + 2 * HOUR, 10 * HOUR)
    fleet = CompressorTrainFleet([7, 8], START, period_s=60, faults=[plan], site_mean_c=16.0)
    velocity = fleet.column["motor.bearing_de.velocity"]
    speed = fleet.column["train.speed"]
    before = fleet.advance(660)
    assert before.values[-60:, 0, velocity].mean() > 1.5 * before.values[:60, 0, velocity].mean()
    done = fleet.repair(0, "motor.bearing_de")
    after = fleet.advance(600)
    assert after.ts[0] <= done <= after.ts[-1]
    at_work = after.values[np.searchsorted(after.ts, done), 0, speed]
    assert at_work < 5.0, "it stands while it is worked on"
    late = after.values[-60:, 0]
    assert late[:, speed].min() > 8_000.0
    assert late[:, velocity].mean() < 1.2 * before.values[:60, 0, velocity].mean()
    assert after.values[-60:, 1, speed].min() > 0.0, "the other one is not touched"
    (line,) = fleet.truth()
    assert (line.severity, line.limit_at) == (0.0, line.limit_at)


def test_a_compressor_that_is_unloaded_stands_and_comes_back():
    fleet = CompressorTrainFleet([7, 8], START, period_s=60, site_mean_c=16.0)
    speed = fleet.column["train.speed"]
    assert fleet.advance(120).values[-1, :, speed].min() > 8_000.0
    begins = fleet.unload(0, 2 * 3600.0)
    with pytest.raises(ValueError, match="under way"):
        fleet.unload(0, 2 * 3600.0)
    after = fleet.advance(240)
    assert begins * 1e6 == after.ts[0]
    assert after.values[60:110, 0, speed].max() < 5.0
    assert after.values[-1, :, speed].min() > 8_000.0
    assert after.values[:, 1, speed].min() > 8_000.0, "the other one is not touched"


def test_a_hose_that_was_changed_leaks_no_more():
    plan = FaultPlan(0, "car1.air_supply", "burst_hose", START + 2 * HOUR, HOUR)
    fleet = MetroTrainFleet([3], START, period_s=60, faults=[plan], site_mean_c=16.0)
    fleet.advance(240)
    done = fleet.repair(0, "car1.air_supply")
    assert done < NEVER
    fleet.advance(240)
    assert fleet.truth()[0].severity == 0.0
