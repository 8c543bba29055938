"""Alarm performance after EEMUA 191 and ISA-18.2: can people keep up with what they are told?"""

from __future__ import annotations

from typing import Final

from boards.definition import Board, Column, Format, Kind, Meaning, Panel, Query, Row, Series, Zones
from boards.words import ANY_IS_WARNING, NONE_IS_GOOD, PRIORITIES, TO_EQUIPMENT, figures

RATE: Final = Zones(Meaning.HEALTHY, ((1.0, Meaning.ADVISORY), (2.0, Meaning.WARNING), (10.0, Meaning.ALARM)))
"""Announced per operator and ten minutes: about 1 is very likely acceptable, 2 the manageable maximum, 10 a flood."""
FLOOD_SHARE: Final = Zones(Meaning.HEALTHY, ((0.5, Meaning.ADVISORY), (1.0, Meaning.WARNING)))
STALE: Final = Zones(Meaning.HEALTHY, ((1.0, Meaning.ADVISORY), (5.0, Meaning.WARNING)))
SHARE: Final = Zones(Meaning.NEUTRAL, ((5.0, Meaning.ADVISORY), (20.0, Meaning.WARNING)))
"""The ten most frequent should make 1 to 5 % of the load each at most."""

ALARM_PERFORMANCE: Final = Board(
    "alarms",
    "Alarm performance",
    "Can people keep up with what they are told?",
    rows=(
        Row(
            "",
            (
                figures(
                    "performance",
                    "Against EEMUA 191",
                    "Is the alarm system manageable?",
                    query=Query("alarms", "performance"),
                    columns=(
                        Column("per_period", "Announced per 10 min", Format.NUMBER, decimals=2, zones=RATE),
                        Column("worst_period", "Worst 10 min", Format.NUMBER, decimals=0, zones=RATE),
                        Column("flood_share", "Time in flood", Format.NUMBER, unit="%", decimals=1, zones=FLOOD_SHARE),
                        Column("standing", "Standing", Format.NUMBER, decimals=0),
                        Column("stale", "Active for over 24 h", Format.NUMBER, decimals=0, zones=STALE),
                        Column("chattering", "Chattering", Format.NUMBER, decimals=0, zones=NONE_IS_GOOD),
                    ),
                    refresh=60,
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "rate",
                    "Announced per 10 minutes",
                    "When was it too much?",
                    Kind.TIMESERIES,
                    Query("alarms", "rate"),
                    width=16,
                    height=9,
                    series=(Series("announced", "Announced"),),
                    decimals=0,
                    low=0,
                    zones=RATE,
                    steps=True,
                    legend=False,
                    refresh=60,
                ),
                Panel(
                    "priorities",
                    "Share of priorities",
                    "Is an urgent alarm still something special?",
                    Kind.BARS,
                    Query("alarms", "priorities"),
                    width=8,
                    height=9,
                    unit="%",
                    decimals=0,
                    values=PRIORITIES,
                    refresh=60,
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "standing",
                    "Standing alarms over time",
                    "Does the list grow?",
                    Kind.TIMESERIES,
                    Query("alarms", "standing_over_time"),
                    width=12,
                    height=8,
                    series=(Series("standing", "Standing"),),
                    decimals=0,
                    low=0,
                    steps=True,
                    legend=False,
                    refresh=60,
                ),
                Panel(
                    "response",
                    "Median time to acknowledgement",
                    "Does somebody answer in time?",
                    Kind.BARS,
                    Query("alarms", "response"),
                    width=12,
                    height=8,
                    unit="s",
                    decimals=0,
                    values=PRIORITIES,
                    refresh=60,
                    empty="Nothing was acknowledged in this time.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "bad_actors",
                    "The ten that spoke most",
                    "Which alarm costs the most attention?",
                    Kind.TABLE,
                    Query("alarms", "bad_actors"),
                    width=14,
                    height=9,
                    columns=(
                        Column("equipment", "Machine", link=TO_EQUIPMENT, width=120),
                        Column("title", "What"),
                        Column("priority", "Priority", values=PRIORITIES, width=100),
                        Column("times", "Times", Format.NUMBER, decimals=0, width=80),
                        Column("share", "Share", Format.NUMBER, unit="%", decimals=0, zones=SHARE, width=90),
                        Column("last_at", "Last", Format.TIME, width=170, wide_only=True),
                    ),
                    refresh=60,
                    empty="Nothing was announced in this time.",
                ),
                Panel(
                    "chattering",
                    "Chattering: three within a minute",
                    "Which alarm needs a deadband or a delay?",
                    Kind.TABLE,
                    Query("alarms", "chattering"),
                    width=10,
                    height=9,
                    columns=(
                        Column("equipment", "Machine", link=TO_EQUIPMENT, width=120),
                        Column("title", "What"),
                        Column("times", "Times", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING, width=80),
                        Column("last_at", "Last", Format.TIME, width=170, wide_only=True),
                    ),
                    refresh=60,
                    empty="No alarm chattered.",
                ),
            ),
        ),
    ),
    window="7 d",
    refresh=60,
)
