"""A fault-free week stays inside the ranges of the model sheet, and all that must stay silent occurs in it."""

import numpy as np
import pytest

from core.time import SECOND
from simulators.fleet import CompressorTrainFleet, MetroTrainFleet

START = 1_773_619_200 * SECOND  # 2026-03-16, a Monday in a cold spring
WEEK = 7 * 8640


@pytest.fixture(scope="module")
def compressors():
    fleet = CompressorTrainFleet(range(5), START)
    return fleet, fleet.advance(WEEK)


@pytest.fixture(scope="module")
def trains():
    fleet = MetroTrainFleet(range(2), START)
    return fleet, fleet.advance(WEEK)


def point(fleet, frames, key):
    return frames.values[:, :, fleet.column[key]]


def loaded(fleet, frames):
    """Under load for an hour and off recycle."""
    speed = point(fleet, frames, "train.speed")
    busy = (speed > 8000) & (point(fleet, frames, "process.recycle_valve_position") < 5)
    steady = busy.copy()
    for back in (60, 120, 180, 240, 300, 360):
        steady[back:] &= busy[:-back]
    steady[:360] = False
    return steady


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("train.speed", 9000, 11264),
        ("compressor.journal_de.temperature", 66, 88),
        ("compressor.journal_nde.temperature", 66, 88),
        ("compressor.thrust.temperature_active", 62, 90),
        ("gearbox.temperature_hs", 55, 90),
        ("motor.winding_temperature", 25, 120),
        ("motor.bearing_de.temperature", 20, 80),
        ("motor.bearing_de.velocity", 0.3, 1.6),
        ("gearbox.velocity", 0.3, 2.3),
        ("compressor.rotor.de_x_pp", 0.5, 40),
        ("lube_oil.supply_temperature", 43, 47),
        ("lube_oil.header_pressure", 1.45, 1.55),
        ("lube_oil.filter.differential_pressure", 0.2, 0.5),
        ("lube_oil.cooler.valve_position", 5, 95),
        ("process.inlet_flow", 7, 14),
        ("process.discharge_pressure", 1.7, 2.7),
        ("inlet_filter.differential_pressure", 0.8, 7),
    ],
)
def test_compressor_under_load(compressors, key, low, high):
    fleet, frames = compressors
    values = point(fleet, frames, key)[loaded(fleet, frames)]
    assert low <= values.min()
    assert values.max() <= high


def test_compressor_metal_is_where_the_sheet_says_at_full_load(compressors):
    fleet, frames = compressors
    full = loaded(*compressors) & (point(fleet, frames, "train.speed") > 10_300)
    assert 74 < np.median(point(fleet, frames, "compressor.journal_de.temperature")[full]) < 86


def test_efficiency_can_be_judged_from_the_published_points(compressors):
    fleet, frames = compressors
    mask = loaded(*compressors)
    p1, p2, t1, t2 = (
        point(fleet, frames, f"process.{name}")[mask]
        for name in ("suction_pressure", "discharge_pressure", "suction_temperature", "discharge_temperature")
    )
    eta = 0.4 / 1.4 * np.log(p2 / p1) / np.log((t2 + 273.15) / (t1 + 273.15))
    assert 0.76 < np.median(eta) < 0.84


def test_load_steps_stops_starts_and_cold_oil_occur(compressors):
    fleet, frames = compressors
    speed = point(fleet, frames, "train.speed")
    assert (speed < 5).any()  # a planned stop
    assert ((speed > 200) & (speed < 400)).any()  # slow roll
    demand = point(fleet, frames, "train.demand")
    assert (np.abs(demand[6:] - demand[:-6]) > 8).sum() > 20  # steps within a minute
    assert point(fleet, frames, "lube_oil.filter.differential_pressure").max() > 0.5  # cold oil
    assert point(fleet, frames, "lube_oil.standby_pump").max() == 1.0  # during starts
    running = loaded(*compressors)
    assert point(fleet, frames, "lube_oil.standby_pump")[running].max() == 0.0


def test_a_start_crosses_the_critical_within_seconds(compressors):
    fleet, frames = compressors
    speed = point(fleet, frames, "train.speed")
    near = (speed > 4420) & (speed < 5980)
    assert near.any()
    assert max(len(run) for unit in near.T for run in "".join("x" if n else " " for n in unit).split()) <= 3


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("car1.air_supply.reservoir_pressure", 6.9, 9.2),
        ("car2.converter.temperature", -15, 80),
        ("car4.bogie1.disc_temperature", -15, 140),
        ("car1.hvac.interior_temperature", 14, 30),
        ("car1.doors.peak_current", 2.0, 3.3),
        ("car1.doors.closing_time", 3.05, 3.35),
    ],
)
def test_train_on_the_line(trains, key, low, high):
    fleet, frames = trains
    values = point(fleet, frames, key)[point(fleet, frames, "train.mode") == 2]
    assert low <= values.min()
    assert values.max() <= high


def test_axle_boxes_over_ambient_and_against_their_peers(trains):
    fleet, frames = trains
    boxes = frames.values[:, :, [fleet.column[p.key] for p in fleet.POINTS if "axle_box" in p.key]]
    line = point(fleet, frames, "train.mode") == 2
    warm = line.copy()
    warm[540:] &= line[:-540]  # 90 minutes on the line
    warm[:540] = False
    residual = boxes - np.median(boxes, axis=2, keepdims=True)
    assert np.percentile(np.abs(residual[warm]), 99.9) < 5.0
    rise = np.median(boxes, axis=2) - point(fleet, frames, "train.ambient_temperature")
    assert 9 < np.median(rise[warm]) < 16


def test_the_air_compressor_works_a_fifth_to_two_fifths_of_the_time(trains):
    fleet, frames = trains
    line = point(fleet, frames, "train.mode") == 2
    running = point(fleet, frames, "car1.air_supply.compressor_running")
    assert 0.18 < running[line].mean() < 0.40
    starts = ((running[1:] > 0) & (running[:-1] == 0) & line[1:]).sum()
    assert 6 < starts / (line.sum() / 360) < 20


def test_nights_in_the_depot_and_a_depot_start_on_low_air(trains):
    fleet, frames = trains
    mode = point(fleet, frames, "train.mode")
    assert {0.0, 1.0, 2.0} == set(np.unique(mode))
    assert 0.55 < (mode == 2).mean() < 0.80
    assert point(fleet, frames, "car1.air_supply.reservoir_pressure").min() < 5.0


def test_no_reading_is_missing_or_bad_without_a_fault(compressors, trains):
    for _, frames in (compressors, trains):
        assert np.isfinite(frames.values).all()
        assert not frames.quality_bad.any()
