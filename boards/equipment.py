"""One machine, and one component of it: what is wrong, since when, and on what evidence?"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from boards.definition import (
    Action,
    Board,
    Column,
    Follow,
    Format,
    Kind,
    Link,
    Meaning,
    Panel,
    Query,
    Row,
    Series,
    Style,
    Variable,
)
from boards.fleet import ALARM_COLUMNS
from boards.fleet import ALARMS as FLEET_ALARMS
from boards.words import (
    ALARM_MARKS,
    ANY_IS_INSTRUMENT,
    ANY_IS_WARNING,
    HEALTH,
    MACHINE_STATES,
    TO_COMPONENT,
    VALUE_STATES,
    machine,
)

TO_POINT: Final = Link(
    "component", {"equipment": "equipment_id", "component": "component", "point": "point_id"}, "Open its trend"
)

HEADER: Final = Panel(
    "header",
    "Now",
    "How is it, and is it running?",
    Kind.STAT,
    Query("equipment", "header"),
    width=24,
    height=4,
    columns=(
        Column("health", "Health", Format.NUMBER, unit="%", decimals=0, zones=HEALTH),
        Column("state", "State", values=MACHINE_STATES),
        Column("alarms", "Standing alarms", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING),
        Column("suspect_instruments", "Suspect instruments", Format.NUMBER, decimals=0, zones=ANY_IS_INSTRUMENT),
        Column("newest", "Newest reading", Format.TIME),
    ),
    refresh=15,
    follows=(Follow.ALARMS,),
)

REASONS: Final = Panel(
    "reasons",
    "Why",
    "What takes from its health?",
    Kind.TABLE,
    Query("equipment", "reasons"),
    width=12,
    height=9,
    parameters={"component": None},
    columns=(
        Column("component_name", "Component", link=TO_COMPONENT, width=170),
        Column("reason", "Reason"),
        Column("takes", "Takes", Format.NUMBER, unit="%", decimals=0, width=80),
    ),
    refresh=15,
    follows=(Follow.ALARMS,),
    empty="Nothing takes from its health.",
)

TREE: Final = Panel(
    "components",
    "Components",
    "Which part is it?",
    Kind.TREE,
    Query("equipment", "tree"),
    width=12,
    height=14,
    columns=(
        Column("name", "Component", link=TO_COMPONENT, width=220),
        Column("health", "Health", Format.NUMBER, unit="%", decimals=0, zones=HEALTH, width=80),
        Column("alarms", "Alarms", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING, width=80),
        Column("reason", "Why", wide_only=True),
    ),
    refresh=30,
    follows=(Follow.ALARMS,),
    empty="Its type names no components.",
)

STATES: Final = Panel(
    "states",
    "Operating state",
    "When did it run, and how?",
    Kind.STATES,
    Query("equipment", "states"),
    width=24,
    height=4,
    values=MACHINE_STATES,
    legend=False,
    refresh=60,
    empty="No state is known: its type names none, or nothing came yet.",
)

HEALTH_OVER_TIME: Final = Panel(
    "health_over_time",
    "Health over time",
    "Since when, and how fast does it get worse?",
    Kind.TIMESERIES,
    Query("equipment", "health_over_time"),
    width=12,
    height=9,
    parameters={"component": None},
    series=(Series("machine", "Whole machine", meaning=Meaning.NEUTRAL),),
    unit="%",
    decimals=0,
    low=0,
    high=100,
    zones=HEALTH,
    steps=True,
    refresh=60,
)

_VALUE_COLUMNS: Final = (
    Column("component_name", "Component", width=170),
    Column("description", "Point", link=TO_POINT),
    Column("value", "Value", Format.NUMBER, unit_column="unit", width=110),
    Column("low", "Low limit", Format.NUMBER, unit_column="unit", width=100, wide_only=True),
    Column("high", "High limit", Format.NUMBER, unit_column="unit", width=100),
    Column("status", "Judgement", values=VALUE_STATES, width=140),
    Column("ts", "At", Format.TIME, width=170, wide_only=True),
)

VALUES: Final = Panel(
    "values",
    "Values, nearest to their limits first",
    "Which value is closest to trouble?",
    Kind.TABLE,
    Query("equipment", "values"),
    width=12,
    height=14,
    parameters={"component": None},
    columns=_VALUE_COLUMNS,
    refresh=10,
    empty="No reading has arrived yet.",
)

ALARMS: Final = replace(
    FLEET_ALARMS,
    height=8,
    parameters={},
    columns=tuple(column for column in ALARM_COLUMNS if column.key != "equipment"),
)

EQUIPMENT: Final = Board(
    "equipment",
    "Machine",
    "What is wrong with this machine, since when, and on what evidence?",
    rows=(
        Row("", (HEADER,)),
        Row("", (REASONS, HEALTH_OVER_TIME)),
        Row("", (STATES,)),
        Row("", (ALARMS,)),
        Row("", (TREE, VALUES)),
    ),
    variables=(machine(),),
    annotations=(ALARM_MARKS,),
)

COMPONENT: Final = Board(
    "component",
    "Component",
    "What does this part show, against its limits and its past?",
    rows=(
        Row(
            "",
            (
                Panel(
                    "trend",
                    "Trend",
                    "How did this value get here, and how far is its limit?",
                    Kind.TIMESERIES,
                    Query("equipment", "trend_with_limits"),
                    width=16,
                    height=11,
                    series=(
                        Series("value", "Value"),
                        Series("high", "High limit", Style.DASHED, Meaning.ALARM),
                        Series("low", "Low limit", Style.DASHED, Meaning.ALARM),
                    ),
                    unit_of="point",
                    refresh=10,
                    empty="No reading of this point in this time.",
                ),
                Panel(
                    "reasons",
                    "Why",
                    "What takes from its health?",
                    Kind.TABLE,
                    Query("equipment", "reasons"),
                    width=8,
                    height=11,
                    columns=(
                        Column("reason", "Reason"),
                        Column("takes", "Takes", Format.NUMBER, unit="%", decimals=0, width=80),
                    ),
                    refresh=15,
                    follows=(Follow.ALARMS,),
                    empty="Nothing takes from its health.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "values",
                    "Values, nearest to their limits first",
                    "Which value is closest to trouble?",
                    Kind.TABLE,
                    Query("equipment", "values"),
                    width=16,
                    height=9,
                    columns=tuple(column for column in _VALUE_COLUMNS if column.key != "component_name"),
                    refresh=10,
                    empty="No reading has arrived yet.",
                ),
                Panel(
                    "health_over_time",
                    "Health over time",
                    "Since when, and how fast does it get worse?",
                    Kind.TIMESERIES,
                    Query("equipment", "health_over_time"),
                    width=8,
                    height=9,
                    unit="%",
                    decimals=0,
                    low=0,
                    high=100,
                    zones=HEALTH,
                    steps=True,
                    legend=False,
                    refresh=60,
                    empty="It has not been assessed yet: nothing was ever found on it.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "alarms",
                    "Alarms, settled ones included",
                    "What has this part said before?",
                    Kind.TABLE,
                    Query("equipment", "alarms_of_component"),
                    width=24,
                    height=8,
                    columns=(
                        *(c for c in ALARM_COLUMNS if c.key not in ("equipment", "limit", "action")),
                        Column("cleared_at", "Until", Format.TIME, width=170, wide_only=True),
                        Column("occurrences", "Times", Format.NUMBER, decimals=0, width=80),
                        Column("action", "What to do", wide_only=True),
                    ),
                    actions=(Action.ACKNOWLEDGE, Action.SHELVE),
                    refresh=15,
                    follows=(Follow.ALARMS,),
                    empty="This part never had an alarm.",
                ),
            ),
        ),
    ),
    variables=(
        machine(),
        Variable("component", "Component", Query("equipment", "components")),
        Variable("point", "Point", Query("equipment", "points"), integer=True),
    ),
    annotations=(ALARM_MARKS,),
)
