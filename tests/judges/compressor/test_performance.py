"""Is the compressor's performance judged rightly? Operation raises nothing; losses, surge and thermometers are told."""

from __future__ import annotations

import numpy as np
import pytest

from tests.judges.compressor.plant import Plant, judge

LEARNED = 12.0
"""Hours after which baselines are known."""


def test_speed_load_and_weather_raise_nothing() -> None:
    """75 to 100 % speed, 60 to 100 % load and 0 to 35 °C at the inlet, all mixed, for 40 hours."""
    plant = Plant(machines=6, hours=52, seed=1)
    moving = np.clip(plant.h - LEARNED, 0, None)
    plant.inlet[:] = 17.5 + 17.5 * np.sin(2 * np.pi * moving / 16) + plant.rng.normal(0, 0.3, 6)
    plant.speed[:] = np.where(moving > 0, 0.875 + 0.125 * np.sin(2 * np.pi * moving / 7 + 1.0), plant.speed)
    plant.flow[:] = np.where(moving > 0, 0.98 + 0.14 * np.sin(2 * np.pi * moving / 5), plant.flow)
    plant.run()
    assert judge(plant) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_quarter_of_the_boundary_at_constant_load(sign: int) -> None:
    """ISO 20816-3 group 1, rigid: 0.25 × 4.5 mm/s, up or down, while zone B is far from left."""
    plant = Plant(machines=3, hours=20, seed=2)
    plant.shake[:] = 1.4
    plant.shake[plant.h[:, 0] > 15] += sign * 1.2
    plant.run()
    told = judge(plant)
    motor = [t for t in told if t.component.startswith("motor.bearing") and t.concern == "machine"]
    assert {t.machine for t in motor} == {0, 1, 2}
    assert all(15.0 <= t.hour < 15.5 for t in motor)
    assert not [t for t in told if t.concern == "instrument"]


def test_two_points_of_efficiency_within_a_day_across_seasons() -> None:
    """Learned at 2 °C, lost at 27 °C."""
    plant = Plant(machines=5, hours=60, seed=3)
    season = np.clip((plant.h - 14) / 16, 0, 1)
    plant.inlet[:] += -13 + 25 * season
    plant.lost[:] = 2.0 * (plant.h > 34)
    plant.run()
    told = judge(plant)
    fouled = [t for t in told if t.component == "process" and t.concern == "machine"]
    assert {t.machine for t in fouled} == set(range(5))
    assert all(34.0 < t.hour < 58.0 for t in fouled)
    assert not [t for t in told if t.concern == "instrument"]


@pytest.mark.parametrize("point", ["process.suction_temperature", "process.discharge_temperature"])
@pytest.mark.parametrize("by", [2.0, -2.0])
def test_a_thermometer_two_kelvin_off_is_an_instrument(point: str, by: float) -> None:
    plant = Plant(machines=4, hours=40, seed=4)
    plant.sensors[point] = by * (plant.h > 16)
    plant.run()
    told = judge(plant)
    assert {t.machine for t in told if t.concern == "instrument"} == {0, 1, 2, 3}
    assert not [t for t in told if t.concern == "machine"]
    which = "suction" if "suction" in point else "discharge"
    assert all(which in t.title for t in told), [t.title for t in told]


def test_surge_is_warned_of_before_the_first_reversal() -> None:
    """The margin falls from where the machine runs to nothing within 20 to 40 minutes."""
    plant = Plant(machines=24, hours=18, seed=5)
    begin, lasts = 15.0, plant.rng.uniform(20, 40, 24) / 60
    fall = np.clip((plant.h - begin) / lasts, 0, 1)
    plant.flow[:] += fall * (0.699 - plant.flow)
    plant.run()
    reversal = begin + lasts
    plant_told = judge(plant)
    warned = {
        t.machine
        for t in plant_told
        if t.concern == "machine" and "surge" in t.condition and begin < t.hour < reversal[t.machine]
    }
    assert len(warned) >= 0.95 * 24


def test_a_thousand_quiet_hours_near_the_line() -> None:
    """Between 10 and 16 % of margin, where the recycle valve holds a machine: at most one warning."""
    plant = Plant(machines=20, hours=56, seed=6)
    late = plant.h > LEARNED
    plant.flow[:] = np.where(late, np.clip(0.80 + 0.4 * (plant.flow - 0.97), 0.778, 0.83), plant.flow)
    plant.run()
    assert len([t for t in judge(plant) if "surge" in t.condition]) <= 1
