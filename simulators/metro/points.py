"""Points and failure modes of the six-car metro train. Keys are chosen once: types, boards and tests rest on them."""

from __future__ import annotations

from typing import Final

from simulators.contract import Channel, Fault, PointSpec
from simulators.engine import with_instrument_faults

CARS: Final = range(1, 7)
MOTOR_CARS: Final = range(2, 6)
AIR_CARS: Final = (1, 6)
"""The air supply of car 1 leads; that of car 6 comes in below 7.0 bar(g). Both feed one main reservoir pipe."""
BOXES: Final = range(1, 9)
"""Axle boxes of a car: odd ones left, even ones right; 1–4 on bogie 1, 5–8 on bogie 2, two per axle."""

AXLE_BOXES: Final = tuple(f"car{car}.axle_box{box}" for car in CARS for box in BOXES)
CONVERTERS: Final = tuple(f"car{car}.converter" for car in MOTOR_CARS)
AIR_SUPPLIES: Final = tuple(f"car{car}.air_supply" for car in AIR_CARS)
BOGIES: Final = tuple(f"car{car}.bogie{bogie}" for car in CARS for bogie in (1, 2))
HVACS: Final = tuple(f"car{car}.hvac" for car in CARS)
DOORS: Final = tuple(f"car{car}.doors" for car in CARS)


def _temperature(component: str, name: str, text: str, high: float = 200.0, lag: float = 10.0) -> Channel:
    spec = PointSpec(f"{component}.{name}", component, "Cel", text, 1)
    return Channel(spec, sigma=0.2, lag_s=lag, low=-50.0, high=high, drawable=True, error=10.0)


def _pressure(
    component: str, name: str, text: str, high: float, decimals: int = 2, *, ambiguous: bool = False
) -> Channel:
    spec = PointSpec(f"{component}.{name}", component, "bar", text, decimals)
    error = 0.08 * high
    return Channel(spec, sigma=0.001 * high, low=0.0, high=high, drawable=True, error=error, ambiguous=ambiguous)


def _plain(
    component: str, name: str, unit: str, text: str, decimals: int, sigma: float = 0.0, share: float = 0.0
) -> Channel:
    spec = PointSpec(f"{component}.{name}", component, unit, text, decimals)
    return Channel(spec, sigma, share, positive=sigma > 0.0 and unit != "Cel")


def _car(car: int) -> list[Channel]:
    channels = [
        _temperature(f"car{car}.axle_box{box}", "temperature", f"axle-box bearing temperature, car {car} box {box}")
        for box in BOXES
    ]
    if car in MOTOR_CARS:
        name = f"car{car}.converter"
        channels += [
            _temperature(name, "temperature", "IGBT heat-sink plate temperature", 150.0, 5.0),
            _plain(
                name,
                "power",
                "kW",
                "power through the traction converter, driving or braking, mean of the period",
                1,
                0.5,
                0.01,
            ),
        ]
    if car in AIR_CARS:
        name = f"car{car}.air_supply"
        channels += [
            _pressure(name, "reservoir_pressure", "main reservoir pressure, gauge", 16.0),
            _plain(name, "compressor_running", "1", "air compressor running", 0),
            _plain(name, "motor_current", "A", "compressor motor current", 1, 0.03, 0.005),
            _temperature(name, "oil_temperature", "compressor oil temperature", 150.0, 20.0),
            _plain(name, "dew_point", "Cel", "pressure dew point behind the dryer", 1, 0.3),
        ]
    for bogie in (1, 2):
        name = f"car{car}.bogie{bogie}"
        channels += [
            _pressure(name, "brake_pressure", "brake cylinder pressure, gauge", 6.0),
            _temperature(name, "disc_temperature", "brake disc temperature, hottest disc", 600.0),
        ]
    channels += [
        _temperature(f"car{car}.hvac", "interior_temperature", "air temperature in the saloon", 60.0, 30.0),
        _pressure(f"car{car}.hvac", "suction_pressure", "refrigerant suction pressure, gauge", 16.0, ambiguous=True),
        _plain(f"car{car}.hvac", "duty", "%", "share of full cooling (or heating) power", 1),
        _plain(
            f"car{car}.doors", "peak_current", "A", "peak current of the last closing, mean of the doors used", 2, 0.01
        ),
        _plain(f"car{car}.doors", "closing_time", "s", "time of the last closing, mean of the doors used", 3, 0.002),
    ]
    return channels


CHANNELS: Final[tuple[Channel, ...]] = (
    _plain("train", "speed", "km/h", "train speed", 1, 0.15),
    _plain("train", "mode", "1", "operation: 0 parked, 1 depot (powered, not in service), 2 line", 0),
    _plain("train", "load", "%", "passenger load of the train", 0, 0.7),
    _plain("train", "odometer", "km", "distance run", 3),
    _plain("train", "section", "1", "section of the line, 0–21; even direction changes at 0", 0),
    _plain("train", "doors_open", "1", "any passenger door open", 0),
    _temperature("train", "ambient_temperature", "outside temperature at the train", 80.0, 60.0),
    *(channel for car in CARS for channel in _car(car)),
)

POINTS: Final = tuple(channel.spec for channel in CHANNELS)

FAULTS: Final = with_instrument_faults(
    [
        Fault(
            "hot_box",
            "machine",
            "axle-box bearing: friction s to 0.3 over most of the clock, then doubling every 8 min of running",
            "axle box at 110 °C",
            AXLE_BOXES,
        ),
        Fault(
            "converter_fan",
            "machine",
            "cooling fan stops: thermal resistance ×2.5 at once",
            "plate at 95 °C: the converter trips",
            CONVERTERS,
        ),
        Fault(
            "converter_filter",
            "machine",
            "cooling air filter clogs: thermal resistance × (1 + 0.6·τ)",
            "thermal resistance × 1.6",
            CONVERTERS,
        ),
        Fault(
            "burst_hose",
            "machine",
            "leak steps to 400–600 L/min at 8.25 bar(g)",
            "the horizon in operating time after the burst",
            (AIR_SUPPLIES[0],),
            (AIR_SUPPLIES[1],),
        ),
        Fault(
            "air_leak",
            "machine",
            "leak grows evenly from 15 to 200 L/min at 8.25 bar(g)",
            "leak of 200 L/min",
            (AIR_SUPPLIES[0],),
            (AIR_SUPPLIES[1],),
        ),
        Fault(
            "compressor_wear",
            "machine",
            "delivery of the leading air compressor falls evenly by 30 %",
            "delivery 30 % below new",
            (AIR_SUPPLIES[0],),
            (AIR_SUPPLIES[1],),
        ),
        Fault(
            "sticking_brake",
            "machine",
            "one bogie keeps up to 0.3 bar when released: drag 0.6 kN heats its disc and boxes",
            "residual 0.3 bar (disc about 110 K over its peers)",
            BOGIES,
            AXLE_BOXES,
        ),
        Fault(
            "hvac_charge",
            "machine",
            "refrigerant is lost evenly, 40 % over the clock",
            "40 % of the charge lost",
            HVACS,
        ),
    ]
)
