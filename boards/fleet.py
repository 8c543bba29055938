"""The fleet: which machine needs somebody, and why?"""

from __future__ import annotations

from typing import Final

from boards.definition import Action, Board, Column, Follow, Format, Kind, Meaning, Panel, Query, Row, Zones
from boards.words import (
    ALARM_STATES,
    ANY_IS_ADVISORY,
    ANY_IS_ALARM,
    ANY_IS_INSTRUMENT,
    ANY_IS_WARNING,
    CONCERNS,
    HEALTH,
    MACHINE_STATES,
    NONE_IS_GOOD,
    PRIORITIES,
    TO_EQUIPMENT,
    figures,
)

SUMMARY: Final = figures(
    "summary",
    "Now",
    "How many machines need somebody now?",
    query=Query("fleet", "summary"),
    columns=(
        Column("machines", "Machines", Format.NUMBER, decimals=0),
        Column(
            "need_attention",
            "Need attention",
            Format.NUMBER,
            decimals=0,
            zones=NONE_IS_GOOD,
        ),
        Column(
            "unacknowledged",
            "Alarms not acknowledged",
            Format.NUMBER,
            decimals=0,
            zones=Zones(Meaning.HEALTHY, ((1, Meaning.ALARM),)),
        ),
        Column("suspect_instruments", "Suspect instruments", Format.NUMBER, decimals=0, zones=ANY_IS_INSTRUMENT),
        Column(
            "silent",
            "Silent machines",
            Format.NUMBER,
            decimals=0,
            zones=Zones(Meaning.HEALTHY, ((1, Meaning.UNKNOWN),)),
        ),
    ),
    refresh=15,
    follows=(Follow.ALARMS,),
)

MACHINES: Final = Panel(
    "machines",
    "Machines, worst first",
    "Which machine needs me first, and why?",
    Kind.TABLE,
    Query("fleet", "machines"),
    width=24,
    height=9,
    columns=(
        Column("equipment", "Machine", link=TO_EQUIPMENT, width=140),
        Column("health", "Health", Format.NUMBER, unit="%", decimals=0, zones=HEALTH, width=90),
        Column("reason", "Why"),
        Column("urgent", "Urgent", Format.NUMBER, decimals=0, zones=ANY_IS_ALARM, width=80),
        Column("high", "High", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING, width=80),
        Column("medium", "Medium", Format.NUMBER, decimals=0, zones=ANY_IS_ADVISORY, width=80, wide_only=True),
        Column("low", "Low", Format.NUMBER, decimals=0, width=80, wide_only=True),
        Column("state", "State", values=MACHINE_STATES, width=120),
        Column("state_since", "since", Format.TIME, width=170, wide_only=True),
        Column("type", "Type", width=170, wide_only=True),
        Column("site", "Site", width=130, wide_only=True),
    ),
    refresh=15,
    follows=(Follow.ALARMS,),
    empty="No machine is registered yet.",
)

HEALTH_OVER_TIME: Final = Panel(
    "health_over_time",
    "Health, last 7 days",
    "Since when is it bad, and who gets worse?",
    Kind.GRID,
    Query("fleet", "health_over_time"),
    width=16,
    height=9,
    unit="%",
    decimals=0,
    zones=HEALTH,
    window="7 d",
    links=(TO_EQUIPMENT,),
    refresh=120,
)

BY_PRIORITY: Final = Panel(
    "alarms_by_priority",
    "Standing alarms by priority",
    "How much is waiting, and how urgent is it?",
    Kind.BARS,
    Query("fleet", "alarms_by_priority"),
    width=8,
    height=9,
    decimals=0,
    values=PRIORITIES,
    refresh=15,
    follows=(Follow.ALARMS,),
)

ALARM_COLUMNS: Final = (
    Column("priority", "Priority", values=PRIORITIES, width=100),
    Column("equipment", "Machine", link=TO_EQUIPMENT, width=130),
    Column("title", "What"),
    Column("value", "Value", Format.NUMBER, unit_column="unit", width=100),
    Column("limit", "Limit", Format.NUMBER, unit_column="unit", width=100, wide_only=True),
    Column("state", "State", values=ALARM_STATES, width=170),
    Column("concern", "Concerns", values=CONCERNS, width=110, wide_only=True),
    Column("raised_at", "Since", Format.TIME, width=170),
    Column("action", "What to do", wide_only=True),
)

ALARMS: Final = Panel(
    "alarms",
    "Standing alarms",
    "What has been announced and is not settled?",
    Kind.TABLE,
    Query("fleet", "standing_alarms"),
    width=24,
    height=10,
    parameters={"equipment": None},
    columns=ALARM_COLUMNS,
    actions=(Action.ACKNOWLEDGE, Action.SHELVE),
    refresh=15,
    follows=(Follow.ALARMS,),
    empty="No alarm is standing.",
)

FLEET: Final = Board(
    "fleet",
    "Fleet",
    "Which machine needs somebody, and why?",
    rows=(
        Row("", (SUMMARY, MACHINES)),
        Row("", (HEALTH_OVER_TIME, BY_PRIORITY)),
        Row("", (ALARMS,)),
    ),
    window="7 d",
)
