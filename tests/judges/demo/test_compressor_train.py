"""An independent judge of the compressor train's rules."""

import numpy as np
import pytest

from simulators.fleet import CompressorTrainFleet
from tests.judges.demo.bench import Case, complaints, play


def filter_in_steps(m):
    """Flakes arrive in batches: three steps, each over ten minutes."""
    factor = 1 + 0.6 * m.ramp(14, 0.2) + 1.4 * m.ramp(18, 0.2) + 3.0 * m.ramp(23, 0.2)
    m["lube_oil.filter.differential_pressure"][:] *= factor


def bearing_linearly(m):
    """The other end than the simulator breaks, evenly over ten hours, and warms only at last."""
    x = m.ramp(15, 10.0)
    m["motor.bearing_nde.velocity"][:] += 3.5 * x * (m["train.speed"] > 1000)
    m["motor.bearing_nde.temperature"][:] += 8.0 * np.maximum(x - 0.6, 0) * (m["train.speed"] > 1000)


def cooler_all_at_once(m):
    """A strainer blocks: the valve has to give 1.7 times the flow from one hour to the next."""
    valve = m["lube_oil.cooler.valve_position"]
    valve[:] = np.minimum(valve * (1 + 0.7 * m.ramp(16, 1.0)), 100.0)


def pad_wipes_slowly(m):
    x = m.ramp(20, 0.3)
    m["compressor.journal_nde.temperature"][:] += 10.0 * x
    m["compressor.journal_nde.gap_x"][:] -= 0.2 * x
    m["compressor.journal_nde.gap_y"][:] -= 0.28 * x


def blade_lost(m):
    """A vector of 15 µm is added at once; overall values follow."""
    there = m.since(17) > 0
    for probe, gain, turn in (("de_x", 1.0, 0), ("de_y", 0.9, 90), ("nde_x", 0.8, 0), ("nde_y", 0.75, 90)):
        one, phase, all_ = (m[f"compressor.rotor.{probe}_{what}"] for what in ("1x", "phase", "pp"))
        vector = one * np.exp(-1j * np.deg2rad(phase))
        moved = vector + 15.0 * gain * np.exp(-1j * np.deg2rad(200 + turn)) * there * (m["train.speed"] > 6000)
        all_[:] = np.sqrt(np.maximum(all_**2 - one**2, 0) + np.abs(moved) ** 2)
        one[:], phase[:] = np.abs(moved), -np.rad2deg(np.angle(moved)) % 360


def thrust_thermometer_sinks(m):
    m["compressor.thrust.temperature_active"][:] -= 0.9 * m.since(13)


def gap_probe_loosens(m):
    m["compressor.journal_de.gap_y"][:] -= 0.5 * (m.since(16) > 0)


def discharge_gauge_freezes(m):
    gauge = m["process.discharge_pressure"]
    at = int(np.argmax(m.since(15) > 0))
    gauge[at:] = gauge[at]


def suction_thermometer_off(m):
    m["process.suction_temperature"][:] += 5.0 * (m.since(19) > 0)


def flow_meter_loses_gain(m):
    m["process.inlet_flow"][:] *= 1 - 0.1 * m.ramp(14, 5.0)


def proximity_amplifier_hums(m):
    """Mains hum on the overall reading; the tracking filter's orders do not see it."""
    m["compressor.rotor.nde_x_pp"][:] += 7.0 * (m.since(18) > 0)


def winding_wire_breaks(m):
    m["motor.winding_temperature"][m.since(21) > 0] = np.nan


CASES = [
    Case("filter", filter_in_steps, "lube_oil.filter", "machine", 14, 24),
    Case("bearing", bearing_linearly, "motor.bearing_nde", "machine", 15, 22),
    Case("cooler", cooler_all_at_once, "lube_oil.cooler", "machine", 16, 20),
    Case("pad", pad_wipes_slowly, "compressor.journal_nde", "machine", 20, 21),
    Case("blade", blade_lost, "compressor.rotor", "machine", 17, 17.5),
    Case("thrust thermometer", thrust_thermometer_sinks, "compressor.thrust", "instrument", 13, 21),
    Case("gap probe", gap_probe_loosens, "compressor.journal_de", "instrument", 16, 17),
    Case("discharge gauge", discharge_gauge_freezes, "process", "instrument", 15, 16),
    Case("suction thermometer", suction_thermometer_off, "process", "instrument", 19, 20.5),
    Case("flow meter", flow_meter_loses_gain, "process", "instrument", 14, 20),
    Case("proximity amplifier", proximity_amplifier_hums, "compressor.rotor", "instrument", 18, 19.5),
    Case("winding wire", winding_wire_breaks, "motor", "instrument", 21, 21.5),
    Case("stopped and started", lambda m: None),
    Case("healthy", lambda m: None),
    Case("gateway away for hours", lambda m: None, away=((11.4, 13.9),)),
    Case("gateway away again and again", lambda m: None, away=((10, 10.1), (11.5, 11.8), (14, 14.7), (16, 17))),
    Case("cooler after an outage", cooler_all_at_once, "lube_oil.cooler", "machine", 16, 20, away=((12, 14),)),
]
IN_THE_LINE = [770_003, 770_005, 770_006, *range(770_008, 770_013), *range(770_014, 770_018)]
"""Machines that happen to run all the time: a fault in a machine at rest shows nothing."""
SEEDS = [*IN_THE_LINE, 770_013, 770_018, 770_020, 770_021, 770_022]


@pytest.fixture(scope="module")
def said():
    return play(CompressorTrainFleet, CASES, 27, SEEDS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_right_component_right_concern_nothing_else(case, said):
    assert complaints(case, said[case.name]) == []
