"""Points and failure modes of the compressor train. Keys are chosen once: types, boards and tests rest on them."""

from __future__ import annotations

from typing import Final

from simulators.contract import Channel, Fault, PointSpec
from simulators.engine import with_instrument_faults

PROBES: Final = ("de_x", "de_y", "nde_x", "nde_y")
"""Shaft probes at ±45°, drive end and non-drive end of the compressor."""


def _temperature(key: str, component: str, text: str, high: float = 150.0, lag: float = 10.0) -> Channel:
    spec = PointSpec(key, component, "Cel", text, 1)
    return Channel(spec, sigma=0.2, lag_s=lag, low=-50.0, high=high, drawable=True, error=10.0)


def _analogue(
    key: str,
    component: str,
    unit: str,
    text: str,
    low: float,
    high: float,
    *,
    sigma: float = 0.0,
    share: float = 0.0,
    decimals: int = 2,
    lag: float = 0.0,
    drawable: bool = True,
    ambiguous: bool = False,
    positive: bool = False,
) -> Channel:
    spec = PointSpec(key, component, unit, text, decimals)
    return Channel(spec, sigma, share, lag, low, high, drawable, 0.08 * (high - low), ambiguous, positive)


def _pressure(key: str, component: str, text: str, high: float, *, ambiguous: bool = False) -> Channel:
    return _analogue(key, component, "bar", text, 0.0, high, sigma=0.001 * high, decimals=3, ambiguous=ambiguous)


def _velocity(key: str, component: str, text: str) -> Channel:
    return _analogue(key, component, "mm/s", text, 0.0, 20.0, sigma=0.01, share=0.03, ambiguous=True, positive=True)


def _plain(
    key: str, component: str, unit: str, text: str, decimals: int, sigma: float = 0.0, share: float = 0.0
) -> Channel:
    """A value that a control or monitoring system computes: no transmitter to fail, magnitudes never below zero."""
    return Channel(PointSpec(key, component, unit, text, decimals), sigma, share, positive=unit != "Cel")


def _rotor() -> list[Channel]:
    component = "compressor.rotor"
    channels = []
    for probe in PROBES:
        where = probe.upper().replace("_", " ")
        channels += [
            _analogue(
                f"{component}.{probe}_pp",
                component,
                "um",
                f"shaft vibration {where}, overall peak to peak",
                0.0,
                200.0,
                sigma=0.5,
                decimals=1,
                positive=True,
            ),
            _plain(f"{component}.{probe}_1x", component, "um", f"shaft vibration {where}, 1× peak to peak", 1, 0.3),
            _plain(f"{component}.{probe}_phase", component, "deg", f"shaft vibration {where}, 1× phase lag 0–360", 0),
        ]
    for end in ("de", "nde"):
        text = f"shaft vibration {end.upper()} X, 2× peak to peak"
        channels.append(_plain(f"{component}.{end}_x_2x", component, "um", text, 1, 0.2))
    return channels


def _journal(end: str) -> list[Channel]:
    component = f"compressor.journal_{end}"
    gap = [
        _analogue(
            f"{component}.gap_{axis}",
            component,
            "V",
            f"DC gap voltage of probe {end.upper()} {axis.upper()}",
            -20.0,
            0.0,
            sigma=0.01,
            decimals=2,
        )
        for axis in "xy"
    ]
    return [_temperature(f"{component}.temperature", component, f"pad metal temperature, journal {end.upper()}"), *gap]


CHANNELS: Final[tuple[Channel, ...]] = (
    _plain("train.speed", "train", "{rpm}/min", "compressor speed", 0, 1.0),
    _plain("train.demand", "train", "%", "demand set point of the process", 1),
    _plain("train.ambient_temperature", "train", "Cel", "outdoor temperature", 1, 0.2),
    _plain("train.running_hours", "train", "h", "hours above slow roll, counted by the control system", 2),
    _pressure("process.suction_pressure", "process", "suction pressure p1, absolute", 2.0),
    _pressure("process.discharge_pressure", "process", "discharge pressure p2, absolute", 4.0),
    _temperature("process.suction_temperature", "process", "suction temperature T1", 100.0, 20.0),
    _temperature("process.discharge_temperature", "process", "discharge temperature T2", 250.0, 25.0),
    _analogue("process.inlet_flow", "process", "m3/s", "inlet volume flow Q1", 0.0, 20.0, share=0.008),
    _plain("process.recycle_valve_position", "process", "%", "recycle (anti-surge) valve, 0 closed", 1, 0.1),
    _plain("process.flow_pulsation", "process", "m3/s", "standard deviation of Q1 within a second", 3, 0.004, 0.05),
    _plain("process.discharge_pulsation", "process", "bar", "peak to peak of p2 within a second", 4, 0.0003, 0.05),
    *_rotor(),
    *_journal("de"),
    *_journal("nde"),
    _temperature(
        "compressor.thrust.temperature_active", "compressor.thrust", "thrust pad metal temperature, active side"
    ),
    _temperature(
        "compressor.thrust.temperature_inactive", "compressor.thrust", "thrust pad metal temperature, inactive side"
    ),
    _temperature("gearbox.temperature_hs", "gearbox", "bearing metal temperature, high-speed shaft"),
    _temperature("gearbox.temperature_ls", "gearbox", "bearing metal temperature, low-speed shaft"),
    _velocity("gearbox.velocity", "gearbox", "housing velocity RMS 10–1000 Hz"),
    _analogue("motor.current", "motor", "A", "motor current", 0.0, 150.0, share=0.005, decimals=1, drawable=False),
    _plain("motor.power", "motor", "kW", "electrical power", 0, 1.0, 0.004),
    _temperature("motor.winding_temperature", "motor", "hottest stator winding temperature", 200.0),
    _temperature("motor.bearing_de.temperature", "motor.bearing_de", "rolling bearing temperature, drive end"),
    _velocity("motor.bearing_de.velocity", "motor.bearing_de", "housing velocity RMS 10–1000 Hz, drive end"),
    _temperature("motor.bearing_nde.temperature", "motor.bearing_nde", "rolling bearing temperature, non-drive end"),
    _velocity("motor.bearing_nde.velocity", "motor.bearing_nde", "housing velocity RMS 10–1000 Hz, non-drive end"),
    _pressure("lube_oil.header_pressure", "lube_oil", "lube-oil header pressure, gauge", 4.0),
    _temperature(
        "lube_oil.supply_temperature", "lube_oil", "lube-oil supply temperature behind the cooler", 100.0, 20.0
    ),
    _temperature("lube_oil.tank_temperature", "lube_oil", "lube-oil tank temperature", 100.0, 20.0),
    _plain("lube_oil.standby_pump", "lube_oil", "1", "stand-by (electric) oil pump running", 0),
    _pressure(
        "lube_oil.filter.differential_pressure",
        "lube_oil.filter",
        "lube-oil filter differential pressure",
        4.0,
        ambiguous=True,
    ),
    _plain(
        "lube_oil.cooler.valve_position",
        "lube_oil.cooler",
        "%",
        "cooler valve, 100 is all flow through the cooler",
        1,
        0.2,
    ),
    _analogue(
        "inlet_filter.differential_pressure",
        "inlet_filter",
        "mbar",
        "inlet air filter differential pressure",
        0.0,
        25.0,
        sigma=0.025,
        ambiguous=True,
    ),
)

POINTS: Final = tuple(channel.spec for channel in CHANNELS)

_JOURNALS: Final = ("compressor.journal_de", "compressor.journal_nde")

FAULTS: Final = with_instrument_faults(
    [
        Fault(
            "filter_clogging",
            "machine",
            "the lube-oil filter clogs: c = 0.696·τ^1.5 of its area over clock τ",
            "header pressure 1.0 bar(g) on the shaft-driven pump at 45 °C (filter Δp 2.7 bar)",
            ("lube_oil.filter",),
            ("lube_oil",),
        ),
        Fault(
            "cooler_fouling",
            "machine",
            "the oil cooler's UA falls evenly to what the site's mean temperature just allows, then on",
            "cooler valve at 100 % with the machine loaded (supply temperature no longer held)",
            ("lube_oil.cooler",),
            ("lube_oil", "lube_oil.filter", *_JOURNALS, "compressor.thrust", "gearbox"),
        ),
        Fault(
            "wiped_pad",
            "machine",
            "one journal pad wipes: metal +15 K, shaft position shifts by 30 to 80 µm",
            "the horizon in running time after the wipe (115 °C trip at the next oil disturbance)",
            _JOURNALS,
        ),
        Fault(
            "lost_blade",
            "machine",
            "a deposit or part of a blade leaves: unbalance steps by 8 µm with a phase jump",
            "the horizon in running time after the loss",
            ("compressor.rotor",),
            ("gearbox", *_JOURNALS),
        ),
        Fault(
            "motor_bearing",
            "machine",
            "spall of the drive-end rolling bearing: s = 0.02^(1−τ), velocity +3 mm/s·s³, temperature +12 K·s⁴",
            "failure at s = 1 (velocity 3 mm/s over healthy)",
            ("motor.bearing_de",),
        ),
        Fault(
            "fouling",
            "machine",
            "deposits on the impellers: efficiency −4 %·(1 − e^(−1.386·τ)), head 0.75 of that",
            "polytropic efficiency 3 % below clean",
            ("process",),
            ("motor",),
        ),
        Fault(
            "unbalance_growth",
            "machine",
            "uneven deposits: unbalance grows by 8.4 µm over the clock",
            "1× changed by 22 µm pp, a quarter of ISO 20816-3 B/C",
            ("compressor.rotor",),
            ("gearbox",),
        ),
        Fault(
            "misalignment",
            "machine",
            "coupling out of line when warm (τ 1 h): 2× grows from 2 to 15 µm",
            "2× of 15 µm pp at the coupling-side bearing, warm",
            ("compressor.rotor",),
            ("compressor.journal_de", "gearbox"),
        ),
        Fault(
            "incipient_surge",
            "machine",
            "the process closes while the recycle valve sticks: surge margin to 0, then surge, trip after 90 s",
            "first flow reversal (surge margin 0)",
            ("process",),
            ("compressor.rotor", "motor", "compressor.thrust"),
        ),
    ]
)
