"""Each fault shows its first sign in the stated direction, and nothing else moves.

Each case runs the same seed with and without the fault: since parameters, duty and noise are drawn by name, the
difference of the two is the fault alone.
"""

import functools

import numpy as np
import pytest

from core.time import HOUR, SECOND
from simulators.fleet import CompressorTrainFleet, FaultPlan, MetroTrainFleet

START = 1_773_619_200 * SECOND
SEED = 5
HOURS = 30
ONSET = START + 7 * HOUR
HORIZON = 14 * HOUR
KINDS = {"compressor": CompressorTrainFleet, "train": MetroTrainFleet}


@functools.cache
def fault_free(machine):
    return KINDS[machine]([SEED], START, site_mean_c=16.0).advance(HOURS * 360).values[:, 0]


def run(machine, component, mode, point="", horizon=HORIZON):
    """(fleet, values with the fault, difference to the fault-free run) by frame and point."""
    plan = FaultPlan(0, component, mode, ONSET, horizon, point)
    fleet = KINDS[machine]([SEED], START, site_mean_c=16.0, faults=[plan])
    frames = fleet.advance(HOURS * 360)
    return fleet, frames, frames.values[:, 0] - fault_free(machine)


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


@pytest.mark.parametrize(
    ("machine", "component", "mode", "point", "at", "least", "most", "may_move"),
    MACHINE,
    ids=[f"{case[2]}-{case[3]}" for case in MACHINE],
)
def test_a_machine_fault_moves_its_own_points(machine, component, mode, point, at, least, most, may_move):
    fleet, _, difference = run(machine, component, mode, point="")
    moved = float(np.median(difference[hour(at), fleet.column[point]]))
    assert least <= moved <= most
    assert not difference[: 7 * 360 - 1].any()  # nothing before the onset
    fault = fleet.FAULTS[mode]
    allowed = {component, *fault.shows_on}
    for i, spec in enumerate(fleet.POINTS):
        free = spec.component in allowed or (may_move and spec.component.startswith(may_move))
        assert free or np.abs(difference[:, i]).max() <= 10.0**-spec.decimals + 1e-9, spec.key


def test_a_lost_blade_moves_the_1x_vector_at_once():
    fleet, frames, _ = run("compressor", "compressor.rotor", "lost_blade")
    names = ["compressor.rotor.de_x_1x", "compressor.rotor.de_x_phase"]

    def vector(values):
        amplitude, phase = (values[hour(8), fleet.column[name]] for name in names)
        return np.mean(amplitude * np.exp(-1j * np.deg2rad(phase)))

    jump = abs(vector(frames.values[:, 0]) - vector(fault_free("compressor")))
    assert 15 < jump < 30


def test_unbalance_that_grows_moves_the_1x_vector_by_the_iso_quarter():
    fleet, frames, _ = run("compressor", "compressor.rotor", "unbalance_growth")
    names = ["compressor.rotor.nde_x_1x", "compressor.rotor.nde_x_phase"]

    def vector(values):
        amplitude, phase = (values[hour(21), fleet.column[name]] for name in names)
        return np.mean(amplitude * np.exp(-1j * np.deg2rad(phase)))

    assert abs(vector(frames.values[:, 0]) - vector(fault_free("compressor"))) == pytest.approx(22, abs=3.5)


def test_the_filter_reaches_the_low_alarm_at_its_limit():
    fleet, frames, _ = run("compressor", "lube_oil.filter", "filter_clogging")
    header = frames.values[:, 0, fleet.column["lube_oil.header_pressure"]]
    pump = frames.values[:, 0, fleet.column["lube_oil.standby_pump"]]
    assert header[hour(15)].min() > 1.4  # the regulator hides it
    assert pump[hour(15)].max() == 0.0
    assert pump[hour(21.5)].min() == 1.0  # called at 1.1 bar(g), just before the limit


def test_surge_comes_at_the_limit_and_the_machine_trips():
    horizon = HOUR // 2
    fleet, frames, _ = run("compressor", "process", "incipient_surge", horizon=horizon)
    values = frames.values[:, 0]
    minute = lambda m: round(7 * 360 + 6 * m)  # noqa: E731
    pulsation = values[:, fleet.column["process.flow_pulsation"]]
    assert pulsation[minute(28)] > 2.0 * pulsation[minute(-5)]
    assert pulsation[minute(30.5) : minute(31.3)].min() > 2.0
    assert values[minute(36), fleet.column["train.speed"]] < 50
    assert fleet.truth()[0].limit_at == pytest.approx(ONSET + horizon, abs=30 * SECOND)


def test_a_burst_hose_keeps_the_compressor_at_work():
    fleet, frames, _ = run("train", "car1.air_supply", "burst_hose")
    running = frames.values[:, 0, fleet.column["car1.air_supply.compressor_running"]]
    line = frames.values[:, 0, fleet.column["train.mode"]] == 2
    after = np.arange(len(line)) > 7 * 360
    assert running[line & after].mean() > 0.5
    assert fault_free("train")[line & after, fleet.column["car1.air_supply.compressor_running"]].mean() < 0.4


def test_a_stopped_fan_trips_the_converter_and_its_peers_take_over():
    fleet, frames, _ = run("train", "car2.converter", "converter_fan")
    limit = fleet.truth()[0].limit_at
    assert ONSET < limit < ONSET + 3 * HOUR
    k = int((limit - START) // (10 * SECOND))
    power = frames.values[k + 2 : k + 30, 0]
    assert power[:, fleet.column["car2.converter.power"]].max() < 5
    assert power[:, fleet.column["car3.converter.power"]].max() > 300


def test_a_sticking_brake_warms_the_boxes_of_its_axle_by_about_10_k():
    fleet, _, difference = run("train", "car4.bogie2", "sticking_brake")
    boxes = [np.median(difference[hour(20.5), fleet.column[f"car4.axle_box{box}.temperature"]]) for box in range(1, 9)]
    assert boxes[4] == pytest.approx(10, abs=4)
    assert boxes[5] == pytest.approx(10, abs=4)
    assert max(boxes[:4]) < 0.2


INSTRUMENTS = [
    ("compressor", "compressor.journal_de.temperature"),
    ("compressor", "lube_oil.header_pressure"),
    ("compressor", "compressor.rotor.de_x_pp"),
    ("train", "car3.axle_box5.temperature"),
    ("train", "car1.air_supply.reservoir_pressure"),
]


@pytest.mark.parametrize(("machine", "point"), INSTRUMENTS)
@pytest.mark.parametrize("mode", ["stuck", "drift", "bias", "open_circuit", "spikes", "noise", "dropout"])
def test_a_sensor_fault_leaves_every_other_point_untouched(machine, point, mode):
    fleet, frames, difference = run(machine, point.rsplit(".", 1)[0], mode, point)
    column = fleet.column[point]
    others = np.delete(difference, column, axis=1)
    assert not others.any()
    assert not np.delete(frames.quality_bad, column, axis=2).any()
    own = difference[:, column]
    assert not own[: 7 * 360 - 1].any()
    seen, channel = frames.values[7 * 360 :, 0, column], fleet.CHANNELS[column]
    (line,) = fleet.truth()
    assert (line.point, line.kind, line.component) == (point, "instrument", channel.spec.component)
    if mode == "stuck":
        assert len(np.unique(seen)) == 1
        assert seen[0] == frames.values[7 * 360 - 2, 0, column]
    elif mode == "drift":
        assert np.abs(own[hour(21)]).max() == pytest.approx(channel.error, rel=0.05)
        assert line.limit_at == ONSET + HORIZON
    elif mode == "bias":
        assert 0.55 * channel.error < np.abs(np.median(own[hour(8)])) < 1.05 * channel.error
    elif mode == "open_circuit":
        assert seen[5] == pytest.approx(channel.low - 0.025 * (channel.high - channel.low), abs=0.05)
        assert frames.quality_bad[7 * 360 + 1 :, 0, column].all()
    elif mode == "spikes":
        assert 0.003 < (np.abs(own[7 * 360 :]) > 0.9 * channel.error).mean() < 0.03
    elif mode == "noise":
        assert np.abs(own[7 * 360 :]).mean() > 2.0 * channel.sigma
    else:
        assert 0.5 < np.isnan(seen).mean() < 0.7


def test_no_sensor_drifts_faster_than_1_k_per_hour():
    point = "car3.axle_box5.temperature"
    fleet, _, difference = run("train", "car3.axle_box5", "drift", point, horizon=2 * HOUR)
    assert np.abs(difference[hour(9), fleet.column[point]]).max() < 2.4
    assert fleet.truth()[0].limit_at == ONSET + 10 * HOUR
