"""A metro train: which car, which part, and is it the part or the weather?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from boards.definition import Board, Column, Follow, Format, Kind, Meaning, Named, Panel, Query, Row, Zones
from boards.equipment import STATES, TO_POINT
from boards.words import ALARM_MARKS, ANY_IS_WARNING, HEALTH, MACHINE_STATES, TO_COMPONENT, figures, machine

POINTS: Final = r"^car\d+\.doors\.peak_current$"
"""What a train has that this board is for: one figure for all doors of a car."""
SUBSYSTEMS: Final[Mapping[str, Named]] = {
    "bearing": Named("Axle boxes"),
    "brake": Named("Brakes"),
    "compressor": Named("Air supply"),
    "converter": Named("Traction"),
    "door": Named("Doors"),
    "hvac": Named("Climate"),
    "car": Named("Cars"),
    "pipe": Named("Air pipe"),
    "wheelset": Named("Wheelsets"),
}
BOX_EXCESS: Final = Zones(Meaning.INSTRUMENT, ((-8.0, Meaning.HEALTHY), (8.0, Meaning.WARNING), (20.0, Meaning.ALARM)))
"""Kelvin over the peers. A box cannot be far colder than they are: then it is the thermometer."""
DOOR_CURRENT: Final = Zones(Meaning.HEALTHY, ((3.2, Meaning.ADVISORY), (4.0, Meaning.WARNING)))
"""Healthy doors peak at 2.2 to 2.8 A (at -15 °C about 2.6 A); at three times the friction it is 4 A."""

HEADER: Final = figures(
    "header",
    "Now",
    "How is it, and is it in service?",
    query=Query("train", "header"),
    columns=(
        Column("health", "Health", Format.NUMBER, unit="%", decimals=0, zones=HEALTH),
        Column("state", "State", values=MACHINE_STATES),
        Column("alarms", "Standing alarms", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING),
        Column("speed", "Speed", Format.NUMBER, unit="km/h", decimals=0),
        Column("load", "Load", Format.NUMBER, unit="%", decimals=0),
        Column("ambient", "Outside", Format.NUMBER, unit="Cel", decimals=0),
        Column("odometer", "Distance", Format.NUMBER, unit="km", decimals=0),
    ),
    refresh=10,
    follows=(Follow.ALARMS,),
)


def by_subsystem(
    key: str, title: str, question: str, query: Query, *, width: int = 12, refresh: int = 30, empty: str = ""
) -> Panel:
    """Health of subsystems, a row each, by car or by train."""
    return Panel(
        key,
        title,
        question,
        Kind.MATRIX,
        query,
        width=width,
        height=10,
        unit="%",
        decimals=0,
        zones=HEALTH,
        values=SUBSYSTEMS,
        links=(TO_COMPONENT,),
        refresh=refresh,
        follows=(Follow.ALARMS,),
        empty=empty,
    )


def by_place(
    key: str,
    title: str,
    question: str,
    query: Query,
    unit: str,
    zones: Zones,
    *,
    decimals: int = 1,
    refresh: int = 30,
    empty: str = "The train was not in service long enough yet.",
) -> Panel:
    """One figure of every door, every axle box …, where it sits on the train."""
    return Panel(
        key,
        title,
        question,
        Kind.MATRIX,
        query,
        width=12,
        height=10,
        unit=unit,
        decimals=decimals,
        zones=zones,
        links=(TO_COMPONENT,),
        refresh=refresh,
        empty=empty,
    )


def bars_by_part(
    key: str,
    title: str,
    question: str,
    pattern: str,
    unit: str,
    zones: Zones,
    *,
    width: int = 12,
    decimals: int = 1,
    low: float | None = None,
) -> Panel:
    """The latest value of every point whose key matches, one bar each."""
    return Panel(
        key,
        title,
        question,
        Kind.BARS,
        Query("train", "latest_by_part"),
        width=width,
        height=9,
        parameters={"pattern": pattern},
        unit=unit,
        decimals=decimals,
        low=low,
        zones=zones,
        links=(TO_POINT,),
        refresh=30,
        empty="The train was not in service long enough yet.",
    )


def over_time(
    key: str,
    title: str,
    question: str,
    pattern: str,
    *,
    unit: str,
    limits: tuple[tuple[float, Meaning], ...] = (),
    low: float | None = None,
) -> Panel:
    """Every point whose key matches, over time."""
    return Panel(
        key,
        title,
        question,
        Kind.TIMESERIES,
        Query("train", "by_part"),
        width=8,
        height=9,
        parameters={"pattern": pattern},
        unit=unit,
        limits=limits,
        low=low,
        refresh=30,
        empty="No reading in this time.",
    )


CARS: Final = by_subsystem("cars", "Cars and subsystems", "Which car, which subsystem?", Query("train", "cars"))

TRAIN: Final = Board(
    "train",
    "Train",
    "Which car, which part, and is it the part or the weather?",
    rows=(
        Row("", (HEADER,)),
        Row(
            "",
            (
                CARS,
                by_place(
                    "axle_boxes",
                    "Axle boxes over their peers",
                    "Which box runs hotter than the others at its place?",
                    Query("train", "axle_boxes"),
                    "K",
                    BOX_EXCESS,
                    refresh=10,
                ),
            ),
        ),
        Row("", (STATES,)),
        Row(
            "Axle boxes and brakes",
            (
                Panel(
                    "hottest_boxes",
                    "The six hottest boxes over their peers",
                    "Since when does a box run hot, and how fast does it rise?",
                    Kind.TIMESERIES,
                    Query("train", "hottest_boxes"),
                    width=12,
                    height=9,
                    unit="K",
                    zones=BOX_EXCESS,
                    refresh=30,
                    empty="The train was not in service long enough in this time.",
                ),
                bars_by_part(
                    "discs",
                    "Brake discs over their usual share",
                    "Does a brake stick?",
                    r"^car\d+\.bogie\d+\.disc_excess$",
                    "K",
                    Zones(Meaning.HEALTHY, ((12.0, Meaning.ADVISORY), (25.0, Meaning.ALARM))),
                ),
            ),
        ),
        Row(
            "Doors",
            (
                bars_by_part(
                    "door_current",
                    "Peak current of the last closing",
                    "Does a door need more force than the others?",
                    r"^car\d+\.doors\.peak_current$",
                    "A",
                    DOOR_CURRENT,
                    width=8,
                    decimals=2,
                    low=0,
                ),
                over_time(
                    "door_current_trend",
                    "Door peak current over time",
                    "Has its friction grown?",
                    r"^car\d+\.doors\.peak_current$",
                    unit="A",
                    low=0,
                ),
                over_time(
                    "door_time",
                    "Closing time",
                    "Do the doors still close in time?",
                    r"^car\d+\.doors\.closing_time$",
                    unit="s",
                ),
            ),
        ),
        Row(
            "Air and traction",
            (
                over_time(
                    "reservoir",
                    "Main reservoir",
                    "Is there enough air for brakes and doors?",
                    r"^car\d+\.air_supply\.reservoir_pressure$",
                    unit="bar",
                    limits=((6.5, Meaning.ALARM),),
                ),
                over_time(
                    "air_use",
                    "Air used against usual",
                    "Does air leak?",
                    r"^train\.air_use$",
                    unit="1",
                    limits=((1.35, Meaning.WARNING),),
                    low=0,
                ),
                over_time(
                    "converters",
                    "Converters over their peers",
                    "Does a converter lose its cooling?",
                    r"^car\d+\.converter\.excess$",
                    unit="K",
                    limits=((14.0, Meaning.WARNING),),
                ),
            ),
        ),
    ),
    variables=(machine(POINTS),),
    annotations=(ALARM_MARKS,),
    points=(POINTS,),
)
