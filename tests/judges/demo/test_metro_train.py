"""An independent judge of the metro train's rules."""

import numpy as np
import pytest

from simulators.fleet import MetroTrainFleet
from tests.judges.demo.bench import PERIOD_S, Case, complaints, play


def box_warms_evenly(m):
    """A bearing that warms by a straight line, 35 K in two hours, as long as it turns."""
    m["car4.axle_box6.temperature"][:] += 35.0 * m.ramp(11, 2.0)


def fan_at_half_speed(m, hour=13):
    """The rise over the outside air grows by 85 %, over a quarter of an hour; the plate's own mass smooths both."""
    plate, outside = m["car5.converter.temperature"], m["train.ambient_temperature"]
    rise = np.convolve(np.maximum(plate - outside, 0), np.ones(20) / 20)[: len(plate)]
    plate[:] += 0.85 * (1 - np.exp(-m.since(hour) * 4)) * rise


def fan_at_half_speed_later(m):
    fan_at_half_speed(m, 15)


def hose_leaks(m):
    """The compressor runs eight tenths longer in each cycle, which warms its oil."""
    running, oil = m["car1.air_supply.compressor_running"], m["car1.air_supply.oil_temperature"]
    left, warmer = 0.0, 0.0
    was = running.copy()
    for k in np.flatnonzero(m.since(12) > 0):
        left = left + 0.8 if was[k] else max(left - 1.0, 0.0)
        if not was[k] and left > 0 and m["train.mode"][k] == 2:
            running[k] = 1.0
        warmer += (55.0 * (running[k] - was[k]) - warmer) * PERIOD_S / 1000.0
        oil[k] += warmer


def thermometer_falls_out(m):
    """It hangs beside the box: outside air, with its own small noise."""
    there = m.since(10.5) > 0
    box = m["car2.axle_box3.temperature"]
    box[there] = m["train.ambient_temperature"][there] + 1.0 + m.rng.normal(0, 0.2, int(there.sum())).round(1)


def disc_thermometer_off(m):
    m["car3.bogie2.disc_temperature"][:] -= 9.0 * (m.since(12) > 0)


def cylinder_gauge_drifts(m):
    m["car6.bogie1.brake_pressure"][:] += 0.06 * m.since(10)


def reservoir_gauge_off(m):
    m["car6.air_supply.reservoir_pressure"][:] -= 0.6 * (m.since(14) > 0)


def saloon_thermometer_freezes(m):
    saloon = m["car3.hvac.interior_temperature"]
    at = int(np.argmax(m.since(15) > 0))
    saloon[at:] = saloon[at]


def outside_thermometer_in_the_sun(m):
    m["train.ambient_temperature"][:] += 8.0 * m.ramp(11, 1.0)


CASES = [
    Case("hot box", box_warms_evenly, "car4.axle_box6", "machine", 11, 12.5),
    Case("fan", fan_at_half_speed, "car5.converter", "machine", 13, 15.5),
    Case("hose", hose_leaks, "car1.air_supply", "machine", 12, 15),
    Case("loose thermometer", thermometer_falls_out, "car2.axle_box3", "instrument", 10.5, 13.5),
    Case("disc thermometer", disc_thermometer_off, "car3.bogie2", "instrument", 12, 15),
    Case("cylinder gauge", cylinder_gauge_drifts, "car6.bogie1", "instrument", 10, 16),
    Case("reservoir gauge", reservoir_gauge_off, "car6.air_supply", "instrument", 14, 16),
    Case("saloon thermometer", saloon_thermometer_freezes, "car3.hvac", "instrument", 15, 16),
    Case("outside thermometer", outside_thermometer_in_the_sun, "train", "instrument", 11, 14),
    Case("pause at noon", lambda m: None),
    Case("healthy", lambda m: None),
    Case("gateway away for hours", lambda m: None, away=((11.4, 13.9),)),
    Case("gateway away again and again", lambda m: None, away=((10, 10.1), (11.5, 11.8), (14, 14.7), (16, 17))),
    Case("fan after an outage", fan_at_half_speed_later, "car5.converter", "machine", 15, 17.5, away=((12, 14),)),
]
IN_SERVICE = [880_001, 880_003, 880_004, 880_005, 880_006, 880_008, 880_009, 880_010, 880_011]
"""Trains that happen to be on the line all day."""
SEEDS = [*IN_SERVICE, 880_002, 880_012, 880_021, 880_023, 880_026]


@pytest.fixture(scope="module")
def said():
    return play(MetroTrainFleet, CASES, 22, SEEDS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_right_component_right_concern_nothing_else(case, said):
    assert complaints(case, said[case.name]) == []
