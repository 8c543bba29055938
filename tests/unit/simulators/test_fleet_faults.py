"""Each fault shows its first sign in the stated direction, and nothing else moves.

Each case is the same seed with and without the fault: since parameters, duty and noise are drawn by name, the
difference of the two is the fault alone.
"""

import functools
from dataclasses import dataclass

import numpy as np
import pytest

from core.time import HOUR, SECOND
from simulators.contract import Truth
from simulators.fleet import CompressorTrainFleet, FaultPlan, MetroTrainFleet

START = 1_773_619_200 * SECOND
SEED = 5
HOURS = 22
ONSET = START + 7 * HOUR
HORIZON = 14 * HOUR
KINDS = {"compressor": CompressorTrainFleet, "train": MetroTrainFleet}


@dataclass
class Run:
    fleet: CompressorTrainFleet | MetroTrainFleet
    values: np.ndarray
    bad: np.ndarray
    change: np.ndarray
    truth: Truth

    def at(self, key):
        return self.values[:, self.fleet.column[key]]

    def vector(self, values, when, probe):
        """Mean 1× vector of a shaft probe."""
        amplitude, phase = (values[when, self.fleet.column[f"compressor.rotor.{probe}_{n}"]] for n in ("1x", "phase"))
        return np.mean(amplitude * np.exp(-1j * np.deg2rad(phase)))


def hour(number):
    return slice(round((number - 0.25) * 360), round((number + 0.25) * 360))


MACHINE = [
    # machine, component, mode, point, hour, least change, largest change, components that may move
    (
        "compressor",
        "lube_oil.filter",
        "filter_clogging",
        "lube_oil.filter.differential_pressure",
        16,
        0.2,
        2.0,
        "lube_oil",
    ),
    ("compressor", "lube_oil.cooler", "cooler_fouling", "lube_oil.cooler.valve_position", 16, 8, 80, ""),
    ("compressor", "compressor.journal_de", "wiped_pad", "compressor.journal_de.temperature", 8, 9, 16, ""),
    ("compressor", "compressor.journal_de", "wiped_pad", "compressor.journal_de.gap_x", 8, -0.65, -0.22, ""),
    ("compressor", "motor.bearing_de", "motor_bearing", "motor.bearing_de.velocity", 20.7, 1.5, 3.5, ""),
    ("compressor", "process", "fouling", "process.discharge_temperature", 20, 0.3, 8, "motor"),
    ("compressor", "compressor.rotor", "misalignment", "compressor.rotor.de_x_2x", 20, 8, 14, ""),
    ("train", "car3.axle_box5", "hot_box", "car3.axle_box5.temperature", 20.8, 20, 120, ""),
    ("train", "car2.converter", "converter_fan", "car2.converter.temperature", 7.5, 15, 90, "car"),
    ("train", "car2.converter", "converter_filter", "car2.converter.temperature", 20, 5, 30, ""),
    ("train", "car4.bogie2", "sticking_brake", "car4.bogie2.disc_temperature", 20, 40, 150, ""),
    ("train", "car1.air_supply", "burst_hose", "car1.air_supply.oil_temperature", 9, 6, 40, "car6.air_supply"),
    ("train", "car1.air_supply", "air_leak", "car1.air_supply.oil_temperature", 20, 2, 15, "car6.air_supply"),
    ("train", "car1.air_supply", "compressor_wear", "car1.air_supply.oil_temperature", 20, 1, 12, "car6.air_supply"),
    ("train", "car5.hvac", "hvac_charge", "car5.hvac.suction_pressure", 20, -1.4, -0.8, ""),
]


INSTRUMENTS = [
    ("compressor", "compressor.journal_de.temperature"),
    ("compressor", "lube_oil.header_pressure"),
    ("compressor", "compressor.rotor.de_x_pp"),
    ("train", "car3.axle_box5.temperature"),
    ("train", "car1.air_supply.reservoir_pressure"),
]
SENSOR_MODES = ["stuck", "drift", "bias", "open_circuit", "spikes", "noise", "dropout"]

CASES = [
    *dict.fromkeys((machine, component, mode, "", HORIZON) for machine, component, mode, *_ in MACHINE),
    ("compressor", "compressor.rotor", "lost_blade", "", HORIZON),
    ("compressor", "compressor.rotor", "unbalance_growth", "", HORIZON),
    ("compressor", "process", "incipient_surge", "", HOUR // 2),
    *(
        (machine, point.rsplit(".", 1)[0], mode, point, HORIZON)
        for machine, point in INSTRUMENTS
        for mode in SENSOR_MODES
    ),
    ("train", "car3.axle_box5", "drift", "car3.axle_box5.temperature", 2 * HOUR),
]


@functools.cache
def everything(machine):
    """One fleet of the same machine over and over, each unit with a fault of its own; the last one stays healthy."""
    cases = [case for case in CASES if case[0] == machine]
    plans = [FaultPlan(i, case[1], case[2], ONSET, case[4], case[3]) for i, case in enumerate(cases)]
    fleet = KINDS[machine]([SEED] * (len(cases) + 1), START, site_mean_c=16.0, faults=plans)
    return fleet, cases, fleet.advance(HOURS * 360)


def fault_free(machine):
    return everything(machine)[2].values[:, -1]


def run(machine, component, mode, point="", horizon=HORIZON):
    fleet, cases, frames = everything(machine)
    unit = cases.index((machine, component, mode, point, horizon))
    (truth,) = [line for line in fleet.truth() if line.unit == unit]
    values = frames.values[:, unit]
    return Run(fleet, values, frames.quality_bad[:, unit], values - fault_free(machine), truth)


@pytest.mark.parametrize(
    ("machine", "component", "mode", "point", "at", "least", "most", "may_move"),
    MACHINE,
    ids=[f"{case[2]}-{case[3]}" for case in MACHINE],
)
def test_a_machine_fault_moves_its_own_points(machine, component, mode, point, at, least, most, may_move):
    case = run(machine, component, mode)
    fleet, change = case.fleet, case.change
    assert least <= float(np.median(change[hour(at), fleet.column[point]])) <= most
    assert not change[: 7 * 360 - 1].any()  # nothing before the onset
    allowed = {component, *fleet.FAULTS[mode].shows_on}
    for i, spec in enumerate(fleet.POINTS):
        free = spec.component in allowed or (may_move and spec.component.startswith(may_move))
        assert free or np.abs(change[:, i]).max() <= 10.0**-spec.decimals + 1e-9, spec.key


def test_a_lost_blade_moves_the_1x_vector_at_once():
    case = run("compressor", "compressor.rotor", "lost_blade")
    before, after = (case.vector(values, hour(8), "de_x") for values in (fault_free("compressor"), case.values))
    assert 15 < abs(after - before) < 30


def test_unbalance_that_grows_moves_the_1x_vector_by_the_iso_quarter():
    case = run("compressor", "compressor.rotor", "unbalance_growth")
    before, after = (case.vector(values, hour(21), "nde_x") for values in (fault_free("compressor"), case.values))
    assert abs(after - before) == pytest.approx(22, abs=3.5)


def test_the_filter_reaches_the_low_alarm_at_its_limit():
    case = run("compressor", "lube_oil.filter", "filter_clogging")
    header, pump = case.at("lube_oil.header_pressure"), case.at("lube_oil.standby_pump")
    assert header[hour(15)].min() > 1.4  # the regulator hides it
    assert pump[hour(15)].max() == 0.0
    assert pump[hour(21.5)].min() == 1.0  # called at 1.1 bar(g), just before the limit


def test_surge_comes_at_the_limit_and_the_machine_trips():
    case = run("compressor", "process", "incipient_surge", horizon=HOUR // 2)

    def minute(after_onset):
        return round(7 * 360 + 6 * after_onset)

    pulsation = case.at("process.flow_pulsation")
    assert pulsation[minute(28)] > 2.0 * pulsation[minute(-5)]
    assert pulsation[minute(30.5) : minute(31.3)].min() > 2.0
    assert case.at("train.speed")[minute(36)] < 50
    assert case.truth.limit_at == pytest.approx(ONSET + HOUR // 2, abs=30 * SECOND)


def test_a_burst_hose_keeps_the_compressor_at_work():
    case = run("train", "car1.air_supply", "burst_hose")
    after = (case.at("train.mode") == 2) & (np.arange(len(case.values)) > 7 * 360)
    running = "car1.air_supply.compressor_running"
    assert case.at(running)[after].mean() > 0.5
    assert fault_free("train")[after, case.fleet.column[running]].mean() < 0.4


def test_a_stopped_fan_trips_the_converter_and_its_peers_take_over():
    case = run("train", "car2.converter", "converter_fan")
    assert ONSET < case.truth.limit_at < ONSET + 3 * HOUR
    tripped = int((case.truth.limit_at - START) // (10 * SECOND))
    soon = slice(tripped + 2, tripped + 30)
    assert case.at("car2.converter.power")[soon].max() < 5
    assert case.at("car3.converter.power")[soon].max() > 300


def test_a_hot_box_reaches_110_degrees_at_its_limit():
    case = run("train", "car3.axle_box5", "hot_box")
    temperature = case.at("car3.axle_box5.temperature")
    reached = START + (int(np.argmax(temperature > 110)) + 1) * 10 * SECOND
    assert reached == pytest.approx(case.truth.limit_at, abs=60 * SECOND)
    assert case.truth.limit_at == pytest.approx(ONSET + HORIZON, abs=15 * 60 * SECOND)


def test_a_sticking_brake_warms_the_boxes_of_its_axle_by_about_10_k():
    case = run("train", "car4.bogie2", "sticking_brake")
    columns = [case.fleet.column[f"car4.axle_box{box}.temperature"] for box in range(1, 9)]
    boxes = np.median(case.change[hour(20.5)][:, columns], axis=0)
    assert boxes[4:6] == pytest.approx([10, 10], abs=4)
    assert boxes[:4].max() < 0.2


@pytest.mark.parametrize(("machine", "point"), INSTRUMENTS)
@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_a_sensor_fault_leaves_every_other_point_untouched(machine, point, mode):
    case = run(machine, point.rsplit(".", 1)[0], mode, point)
    column = case.fleet.column[point]
    channel = case.fleet.CHANNELS[column]
    assert not np.delete(case.change, column, axis=1).any()
    assert not np.delete(case.bad, column, axis=1).any()
    own, onset = case.change[:, column], 7 * 360
    assert not own[: onset - 1].any()
    seen = case.values[onset:, column]
    truth = case.truth
    assert (truth.point, truth.kind, truth.component) == (point, "instrument", channel.spec.component)
    if mode == "stuck":
        assert len(np.unique(seen)) == 1
        assert seen[0] == case.values[onset - 2, column]
    elif mode == "drift":
        assert np.abs(own[hour(21)]).max() == pytest.approx(channel.error, rel=0.05)
        assert truth.limit_at == ONSET + HORIZON
    elif mode == "bias":
        assert 0.55 * channel.error < np.abs(np.median(own[hour(8)])) < 1.05 * channel.error
    elif mode == "open_circuit":
        assert seen[5] == pytest.approx(channel.low - 0.025 * (channel.high - channel.low), abs=0.05)
        assert case.bad[onset + 1 :, column].all()
    elif mode == "spikes":
        assert 0.003 < (own[onset:] != 0).mean() < 0.03
    elif mode == "noise":
        assert np.abs(own[onset:]).mean() > 2.0 * channel.sigma
    else:
        assert 0.5 < np.isnan(seen).mean() < 0.7


def test_no_sensor_drifts_faster_than_1_k_per_hour():
    point = "car3.axle_box5.temperature"
    case = run("train", "car3.axle_box5", "drift", point, horizon=2 * HOUR)
    assert np.abs(case.change[hour(9), case.fleet.column[point]]).max() < 2.4
    assert case.truth.limit_at == ONSET + 10 * HOUR
