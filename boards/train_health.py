"""Trains that hand over records of their cycles: what to do by when, and which door, box or pipe it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from boards.definition import Board, Column, Follow, Format, Kind, Meaning, Named, Panel, Query, Row, Series, Zones
from boards.equipment import STATES
from boards.train import BOX_EXCESS, CARS, HEADER, bars_by_part, by_place, by_subsystem, over_time
from boards.words import (
    ALARM_MARKS,
    ANY_IS_ADVISORY,
    ANY_IS_ALARM,
    ANY_IS_WARNING,
    HEALTH,
    MACHINE_STATES,
    NONE_IS_GOOD,
    TO_EQUIPMENT,
    figures,
    machine,
)

POINTS: Final = (r"^car\d+\.door\d+\.friction$", r"^car\d+\.axle\d+\.box_[lr]\.(rise_)?alone$")
"""What such trains have: each door, or each axle box, against its peers. A new class has these boards without a line of
code, whatever it is called."""

ADVICE: Final[Mapping[str, Named]] = {
    "withdraw": Named("Withdraw now", Meaning.ALARM),
    "end_of_day": Named("End of day", Meaning.WARNING),
    "next_inspection": Named("Next inspection", Meaning.ADVISORY),
}
FRICTION: Final = Zones(Meaning.HEALTHY, ((1.15, Meaning.ADVISORY), (1.25, Meaning.WARNING), (1.8, Meaning.ALARM)))
LEAK: Final = Zones(Meaning.HEALTHY, ((36.0, Meaning.ADVISORY), (60.0, Meaning.WARNING), (280.0, Meaning.ALARM)))
"""L/min; 36 is the usual limit of a depot's test, 0.2 bar in five minutes."""
SPREAD: Final = (
    Series("most", "Highest", meaning=Meaning.WARNING),
    Series("nine", "Nine in ten are below"),
    Series("middle", "Median", meaning=Meaning.HEALTHY),
    Series("least", "Lowest"),
)


def _advice(equipment: bool) -> Panel:
    about = () if equipment else (Column("equipment", "Machine", link=TO_EQUIPMENT, width=130),)
    return Panel(
        "advice",
        "What to do, and by when",
        "What takes a train off the line now, tonight, or at its next inspection?",
        Kind.TABLE,
        Query("trains", "advice"),
        width=24 if not equipment else 12,
        height=10,
        parameters={} if equipment else {"equipment": None},
        columns=(
            Column("advice", "By when", values=ADVICE, width=130),
            *about,
            Column("title", "What"),
            Column("action", "What to do", wide_only=True),
            Column("raised_at", "Since", Format.TIME, width=150, wide_only=equipment),
        ),
        refresh=15,
        follows=(Follow.ALARMS,),
        empty="Nothing has to be done.",
    )


def _spread(key: str, title: str, question: str, pattern: str, unit: str, zones: Zones | None = None) -> Panel:
    return Panel(
        key,
        title,
        question,
        Kind.TIMESERIES,
        Query("trains", "spread"),
        width=12,
        height=9,
        parameters={"pattern": pattern},
        unit=unit,
        zones=zones,
        series=SPREAD,
        window="7 d",
        refresh=120,
        empty="No hour of it is over yet.",
    )


_DOORS: Final = by_place(
    "doors",
    "Doors: current against the others",
    "Which door closes with more current than the doors of the same stop?",
    Query("trains", "doors"),
    "1",
    FRICTION,
    decimals=2,
    empty="The doors have not closed often enough yet.",
)

_BOXES: Final = by_place(
    "boxes",
    "Axle boxes over their peers, less what the axle shares",
    "Which bearing is it, and not a brake or a new wheelset?",
    Query("trains", "boxes"),
    "K",
    BOX_EXCESS,
)

_TROUBLES: Final = Panel(
    "troubles",
    "Trouble codes, what came together as one",
    "What did the train report, and what came first?",
    Kind.TABLE,
    Query("trains", "troubles"),
    width=16,
    height=10,
    columns=(
        Column("began", "Time", Format.TIME, width=170),
        Column("code", "First code", width=90),
        Column("title", "What"),
        Column("component", "Component", width=150),
        Column("reports", "Reports", Format.NUMBER, decimals=0, width=90),
        Column("codes", "Codes", Format.NUMBER, decimals=0, width=80, wide_only=True),
        Column("action", "What to do", wide_only=True),
    ),
    window="7 d",
    refresh=30,
    empty="The train reported no trouble code.",
)

_CONFIGURATION: Final = Panel(
    "configuration",
    "Vehicles",
    "Which vehicle stands where, and since when?",
    Kind.TABLE,
    Query("trains", "configuration"),
    width=8,
    height=10,
    columns=(
        Column("place", "Place", width=100),
        Column("vehicle", "Vehicle", Format.NUMBER, decimals=0),
        Column("since", "Since", Format.TIME),
    ),
    window="7 d",
    refresh=300,
    empty="The train does not say which vehicles it has.",
)

TRAIN_HEALTH: Final = Board(
    "train_health",
    "Train health",
    "What must be done by when, and which part is it?",
    rows=(
        Row("", (HEADER,)),
        Row("", (CARS, _advice(equipment=True))),
        Row("", (STATES,)),
        Row(
            "Doors",
            (
                _DOORS,
                _spread(
                    "door_spread",
                    "Doors: how far their currents lie apart",
                    "Is it one door, or the weather for all?",
                    r"^car\d+\.door\d+\.current$",
                    "A",
                ),
            ),
        ),
        Row(
            "Axle boxes and brakes",
            (
                _BOXES,
                _spread(
                    "box_spread",
                    "Axle boxes: how far they lie apart",
                    "Does one leave the others?",
                    r"^car\d+\.axle\d+\.box_[lr]\.excess$",
                    "K",
                    BOX_EXCESS,
                ),
                bars_by_part(
                    "left_over",
                    "Brake pressure left after release",
                    "Does a brake stick?",
                    r"^car\d+\.bogie\d+\.left_over$",
                    "bar",
                    Zones(Meaning.HEALTHY, ((0.08, Meaning.ADVISORY), (0.12, Meaning.ALARM))),
                ),
                bars_by_part(
                    "resistance",
                    "Converters: heat at equal power",
                    "Does a converter lose its cooling?",
                    r"^car\d+\.converter\.over_peers$",
                    "1",
                    Zones(Meaning.HEALTHY, ((1.3, Meaning.WARNING), (1.75, Meaning.ALARM))),
                ),
            ),
        ),
        Row(
            "Air",
            (
                over_time(
                    "leak",
                    "Air lost",
                    "Does air leak, in service and parked?",
                    r"^main_reservoir\.leak_(in_service|parked)$",
                    unit="L/min",
                    limits=((60.0, Meaning.WARNING),),
                ),
                over_time(
                    "delivery",
                    "Air delivered, against usual",
                    "Does a compressor wear?",
                    r"^car\d+\.air\.delivery_share$",
                    unit="%",
                    limits=((85.0, Meaning.WARNING),),
                ),
                over_time(
                    "dew_point",
                    "Dew point",
                    "Does the dryer dry?",
                    r"^car\d+\.air\.dampness$",
                    unit="Cel",
                    limits=((-10.0, Meaning.WARNING),),
                ),
            ),
        ),
        Row("Reports", (_TROUBLES, _CONFIGURATION)),
    ),
    variables=(machine(*POINTS),),
    annotations=(ALARM_MARKS,),
    points=POINTS,
)

TRAINS: Final = Board(
    "trains",
    "Trains",
    "Which train must be taken off the line, and why?",
    rows=(
        Row(
            "",
            (
                figures(
                    "figures",
                    "Kilometres between failures",
                    "How far do the trains run between failures?",
                    query=Query("trains", "figures"),
                    columns=(
                        Column("trains", "Trains", Format.NUMBER, decimals=0),
                        Column("km", "Distance", Format.NUMBER, unit="km", decimals=0),
                        Column("failures", "Failures", Format.NUMBER, decimals=0, zones=NONE_IS_GOOD),
                        Column("mdbf", "Distance between failures", Format.NUMBER, unit="km", decimals=0),
                        Column("delay", "Delays", Format.NUMBER, unit="min", decimals=0, zones=NONE_IS_GOOD),
                    ),
                    refresh=60,
                    follows=(Follow.ALARMS,),
                ),
                Panel(
                    "trains",
                    "Trains, those to withdraw first",
                    "Which train must be taken off the line?",
                    Kind.TABLE,
                    Query("trains", "fleet"),
                    width=24,
                    height=9,
                    columns=(
                        Column("equipment", "Train", link=TO_EQUIPMENT, width=130),
                        Column("health", "Health", Format.NUMBER, unit="%", decimals=0, zones=HEALTH, width=90),
                        Column("withdraw", "Withdraw now", Format.NUMBER, decimals=0, zones=ANY_IS_ALARM),
                        Column("end_of_day", "End of day", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING),
                        Column("next_inspection", "Next inspection", Format.NUMBER, decimals=0, zones=ANY_IS_ADVISORY),
                        Column("state", "State", values=MACHINE_STATES, width=120),
                        Column("door", "Worst door", Format.NUMBER, decimals=2, zones=FRICTION, wide_only=True),
                        Column("box", "Worst axle box", Format.NUMBER, unit="K", decimals=1, wide_only=True),
                        Column("leak", "Air lost", Format.NUMBER, unit="L/min", decimals=0, zones=LEAK, wide_only=True),
                        Column("odometer", "Distance", Format.NUMBER, unit="km", decimals=0, wide_only=True),
                        Column("type", "Type", width=170, wide_only=True),
                    ),
                    refresh=15,
                    follows=(Follow.ALARMS,),
                    empty="No machine counts kilometres.",
                ),
            ),
        ),
        Row(
            "",
            (
                by_subsystem(
                    "subsystems",
                    "Trains and subsystems",
                    "Which subsystem troubles which train?",
                    Query("trains", "subsystems"),
                    width=24,
                    refresh=60,
                    empty="No machine counts kilometres.",
                ),
            ),
        ),
        Row("", (_advice(equipment=False),)),
    ),
    window="30 d",
)
