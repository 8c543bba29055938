"""A compressor train: where on its map does it run, does it shake, is its oil well?

The map's numbers are those of the type's data sheet, which the catalogue's formulas use too (models/catalog).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from boards.definition import (
    Board,
    Column,
    Format,
    Kind,
    Meaning,
    Named,
    Panel,
    Query,
    Row,
    Series,
    Style,
    Value,
    Zones,
)
from boards.equipment import STATES, TO_POINT
from boards.words import ALARM_MARKS, figures, machine
from models.vibration.zones import boundaries, shaft_boundaries, tables

POINTS: Final = r"^process\.surge_margin$"
"""What a machine has that this board is for."""
_SPEED: Final = 10_728.0
_MAP: Final[Mapping[str, Value]] = {
    "design_speed": _SPEED,
    "design_flow": 12.0,
    "design_head": 78_000.0,
    "design_efficiency": 0.82,
    "surge_flow": 0.70,
}
_SHEET: Final[Mapping[str, Value]] = {key: _MAP[key] for key in ("design_speed", "design_flow", "surge_flow")}
SURGE_MARGIN: Final = Zones(Meaning.ALARM, ((0.0, Meaning.WARNING), (6.0, Meaning.ADVISORY), (10.0, Meaning.HEALTHY)))
"""Below 10 % the recycle valve opens; below 6 % stall is heard; at 0 the flow breaks down."""
_SHAFT: Final = shaft_boundaries(_SPEED)
_HOUSING: Final = boundaries("velocity", 1, "rigid")
_ISO_ZONES: Final[Mapping[str, Named]] = {
    "A": Named("A · as new", Meaning.HEALTHY),
    "B": Named("B · long-term", Meaning.HEALTHY),
    "C": Named("C · short-term", Meaning.WARNING),
    "D": Named("D · damaging", Meaning.ALARM),
}


def _zones(boundaries: tuple[float, float, float]) -> Zones:
    _, bc, cd = boundaries
    return Zones(Meaning.HEALTHY, ((round(bc, 1), Meaning.WARNING), (round(cd, 1), Meaning.ALARM)))


def _limits(*limits: tuple[float, Meaning]) -> tuple[tuple[float, Meaning], ...]:
    return limits


def _trend(
    key: str,
    title: str,
    question: str,
    series: tuple[Series, ...],
    *,
    unit: str,
    width: int = 8,
    height: int = 9,
    zones: Zones | None = None,
    limits: tuple[tuple[float, Meaning], ...] = (),
    low: float | None = None,
) -> Panel:
    return Panel(
        key,
        title,
        question,
        Kind.TIMESERIES,
        Query("equipment", "trend"),
        width=width,
        height=height,
        parameters={"points": tuple(one.key for one in series)},
        series=series,
        unit=unit,
        zones=zones,
        limits=limits,
        low=low,
        refresh=30,
        empty="No reading in this time.",
    )


NOW: Final = figures(
    "now",
    "Now",
    "How hard does it work, and how far is surge?",
    query=Query("compressor", "operating_point"),
    parameters=_SHEET,
    columns=(
        Column("surge_margin", "Surge margin", Format.NUMBER, unit="%", decimals=0, zones=SURGE_MARGIN),
        Column("pressure_ratio", "Pressure ratio", Format.NUMBER, decimals=2),
        Column("flow", "Inlet flow", Format.NUMBER, unit="m3/s", decimals=1),
        Column("speed", "Speed", Format.NUMBER, unit="{rpm}/min", decimals=0),
        Column("power", "Power", Format.NUMBER, unit="kW", decimals=0),
        Column("efficiency", "Polytropic efficiency", Format.NUMBER, unit="%", decimals=1),
        Column("recycle", "Recycle valve", Format.NUMBER, unit="%", decimals=0),
    ),
    refresh=5,
)

MAP: Final = Panel(
    "map",
    "Performance map",
    "Where on its map does it run, and where has it been?",
    Kind.XY,
    Query("compressor", "map"),
    width=14,
    height=13,
    parameters=_MAP,
    series=(
        Series("speed_70", "70 % speed", Style.LINE, Meaning.NEUTRAL),
        Series("speed_80", "80 % speed", Style.LINE, Meaning.NEUTRAL),
        Series("speed_90", "90 % speed", Style.LINE, Meaning.NEUTRAL),
        Series("speed_100", "100 % speed", Style.LINE, Meaning.NEUTRAL),
        Series("speed_105", "105 % speed", Style.LINE, Meaning.NEUTRAL),
        Series("surge_line", "Surge line", Style.DASHED, Meaning.ALARM),
        Series("history", "Where it has been", Style.POINTS, Meaning.ADVISORY),
        Series("now", "Now", Style.BIG_POINT, Meaning.WARNING),
    ),
    x_title="Inlet flow",
    x_unit="m3/s",
    y_title="Pressure ratio",
    unit="1",
    decimals=2,
    refresh=30,
)

MARGIN: Final = Panel(
    "surge_margin",
    "Surge margin over time",
    "How close to surge has it come?",
    Kind.TIMESERIES,
    Query("compressor", "surge_margin"),
    width=10,
    height=13,
    parameters=_SHEET,
    series=(Series("surge_margin", "Surge margin"),),
    unit="%",
    decimals=0,
    zones=SURGE_MARGIN,
    legend=False,
    refresh=30,
    empty="It did not run in this time.",
)

VIBRATION_NOW: Final = Panel(
    "vibration_now",
    "Vibration zones now",
    "Which bearing shakes, and is that allowed for long?",
    Kind.TABLE,
    Query("compressor", "vibration"),
    width=24,
    height=8,
    parameters={
        "shaft": tuple(str(n) for n in tables()["shaft-displacement"]["numerators"]),
        "housing": tuple(str(n) for n in _HOUSING),
    },
    columns=(
        Column("component_name", "Component", width=190),
        Column(
            "description",
            "Probe",
            link=TO_POINT,
        ),
        Column("value", "Value", Format.NUMBER, unit_column="unit", decimals=1, width=110),
        Column("zone", "ISO 20816-3 zone", values=_ISO_ZONES, width=160),
        Column("limit_bc", "B/C", Format.NUMBER, unit_column="unit", decimals=1, width=100, wide_only=True),
        Column("limit_cd", "C/D", Format.NUMBER, unit_column="unit", decimals=1, width=100, wide_only=True),
    ),
    refresh=10,
)

COMPRESSOR: Final = Board(
    "compressor",
    "Compressor train",
    "Where on its map does it run, does it shake, is its oil well?",
    rows=(
        Row("", (NOW,)),
        Row("Performance", (MAP, MARGIN)),
        Row(
            "Vibration",
            (
                VIBRATION_NOW,
                _trend(
                    "shaft",
                    "Shaft vibration, peak to peak",
                    "Does the shaft move more than before?",
                    (
                        Series("compressor.rotor.de_x_pp", "Drive end X"),
                        Series("compressor.rotor.de_y_pp", "Drive end Y"),
                        Series("compressor.rotor.nde_x_pp", "Non-drive end X"),
                        Series("compressor.rotor.nde_y_pp", "Non-drive end Y"),
                    ),
                    unit="um",
                    width=12,
                    zones=_zones(_SHAFT),
                    low=0,
                ),
                _trend(
                    "housing",
                    "Housing velocity, RMS",
                    "Do motor and gear shake more than before?",
                    (
                        Series("motor.bearing_de.velocity", "Motor, drive end"),
                        Series("motor.bearing_nde.velocity", "Motor, non-drive end"),
                        Series("gearbox.velocity", "Gearbox"),
                    ),
                    unit="mm/s",
                    width=12,
                    zones=_zones(_HOUSING),
                    low=0,
                ),
            ),
        ),
        Row(
            "Oil and bearings",
            (
                _trend(
                    "header_pressure",
                    "Oil header pressure",
                    "Do the bearings get oil?",
                    (Series("lube_oil.header_pressure", "Header pressure"),),
                    unit="bar",
                    limits=_limits((1.0, Meaning.WARNING), (0.8, Meaning.ALARM)),
                    low=0,
                ),
                _trend(
                    "oil_filter",
                    "Oil filter, at the viscosity of 45 °C",
                    "When must the filter be changed?",
                    (Series("lube_oil.filter.dp_45", "Differential pressure"),),
                    unit="bar",
                    limits=_limits((1.0, Meaning.ADVISORY), (1.8, Meaning.WARNING)),
                    low=0,
                ),
                _trend(
                    "oil_temperature",
                    "Oil temperatures",
                    "Does the cooler keep up?",
                    (
                        Series("lube_oil.supply_temperature", "Supply"),
                        Series("lube_oil.tank_temperature", "Tank"),
                    ),
                    unit="Cel",
                ),
                _trend(
                    "bearings",
                    "Bearing metal temperatures",
                    "Does a bearing run hot?",
                    (
                        Series("compressor.journal_de.temperature", "Journal, drive end"),
                        Series("compressor.journal_nde.temperature", "Journal, non-drive end"),
                        Series("compressor.thrust.temperature_active", "Thrust, active"),
                        Series("compressor.thrust.temperature_inactive", "Thrust, inactive"),
                        Series("gearbox.temperature_hs", "Gear, high speed"),
                        Series("gearbox.temperature_ls", "Gear, low speed"),
                    ),
                    unit="Cel",
                    width=12,
                    limits=_limits((105.0, Meaning.WARNING)),
                ),
                _trend(
                    "motor",
                    "Motor temperatures",
                    "Does the motor run hot?",
                    (
                        Series("motor.winding_temperature", "Winding"),
                        Series("motor.bearing_de.temperature", "Bearing, drive end"),
                        Series("motor.bearing_nde.temperature", "Bearing, non-drive end"),
                    ),
                    unit="Cel",
                    width=12,
                ),
            ),
        ),
        Row("", (STATES,)),
    ),
    variables=(machine(POINTS),),
    annotations=(ALARM_MARKS,),
    points=(POINTS,),
)
