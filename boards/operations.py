"""The platform itself: does what comes in go somewhere, and in time?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from boards.definition import Board, Column, Format, Kind, Meaning, Named, Panel, Query, Row, Zones
from boards.words import ANY_IS_ADVISORY, ANY_IS_WARNING, NONE_IS_GOOD, TO_EQUIPMENT, figures

_HOPS: Final[Mapping[str, Named]] = {
    "ingest": Named("From the broker"),
    "processing": Named("Through the processing"),
    "storage": Named("Into the database"),
    "dead letters": Named("Refused, into dead letters"),
}
_LOST: Final = Zones(Meaning.ALARM, ((0.0, Meaning.HEALTHY), (1.0, Meaning.ALARM)))
_AGE: Final = Zones(Meaning.HEALTHY, ((30.0, Meaning.ADVISORY), (120.0, Meaning.ALARM)))
_BEHIND: Final = Zones(Meaning.HEALTHY, ((300.0, Meaning.ADVISORY), (900.0, Meaning.UNKNOWN)))
_NOT_YOURS: Final = "Figures of the whole platform are shown to the tenant that runs it."

OPERATIONS: Final = Board(
    "operations",
    "Platform operations",
    "Does everything that comes in go somewhere, and in time?",
    rows=(
        Row(
            "",
            (
                figures(
                    "summary",
                    "Now",
                    "Is the platform well?",
                    query=Query("operations", "summary"),
                    columns=(
                        Column("commit_age", "Last stored", Format.DURATION, zones=_AGE),
                        Column("outbox_pending", "Events waiting", Format.NUMBER, decimals=0, zones=ANY_IS_ADVISORY),
                        Column("silent_machines", "Silent machines", Format.NUMBER, decimals=0, zones=NONE_IS_GOOD),
                        Column("dead_readings", "Readings refused", Format.NUMBER, decimals=0, zones=ANY_IS_ADVISORY),
                        Column("missing_messages", "Messages missing", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING),
                    ),
                    refresh=10,
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "hops",
                    "Conservation: nothing lost",
                    "Is what went in equal to what came out, at every hop?",
                    Kind.TABLE,
                    Query("operations", "hops"),
                    width=14,
                    height=7,
                    columns=(
                        Column("hop", "Hop", values=_HOPS),
                        Column("taken", "In", Format.NUMBER, decimals=0, width=120),
                        Column("kept", "Out", Format.NUMBER, decimals=0, width=120),
                        Column("refused", "Refused", Format.NUMBER, decimals=0, width=110),
                        Column("lost", "Lost", Format.NUMBER, decimals=0, zones=_LOST, width=90),
                    ),
                    refresh=10,
                    empty=_NOT_YOURS,
                ),
                Panel(
                    "streams",
                    "Streams",
                    "Is every stream alive?",
                    Kind.TABLE,
                    Query("operations", "streams"),
                    width=10,
                    height=7,
                    columns=(
                        Column("stream", "Stream"),
                        Column("next_offset", "Records", Format.NUMBER, decimals=0, width=120),
                        Column("snapshot_age", "State stored", Format.DURATION, zones=_AGE, width=130),
                    ),
                    refresh=10,
                    empty=_NOT_YOURS,
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "machines",
                    "Machines, most silent first",
                    "Who does not report, or reports with gaps?",
                    Kind.TABLE,
                    Query("operations", "machines"),
                    width=14,
                    height=9,
                    columns=(
                        Column("equipment", "Machine", link=TO_EQUIPMENT),
                        Column("behind", "Behind now", Format.DURATION, zones=_BEHIND, width=120),
                        Column("newest", "Newest reading", Format.TIME, width=170, wide_only=True),
                        Column("gaps", "Gaps", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING, width=80),
                        Column("missing", "Missing", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING, width=90),
                        Column("refused", "Refused", Format.NUMBER, decimals=0, zones=ANY_IS_ADVISORY, width=90),
                    ),
                    refresh=10,
                    empty="No machine is registered yet.",
                ),
                Panel(
                    "dead_letters",
                    "Refused, by reason",
                    "What do devices send that nobody can use?",
                    Kind.TABLE,
                    Query("operations", "dead_letters"),
                    width=10,
                    height=9,
                    columns=(
                        Column("equipment", "Machine", width=110),
                        Column("reason", "Reason"),
                        Column("readings", "Readings", Format.NUMBER, decimals=0, width=90),
                        Column("last_seen", "Last", Format.TIME, width=170, wide_only=True),
                    ),
                    refresh=30,
                    empty="Nothing was refused.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "stored_per_hour",
                    "Readings stored per hour",
                    "Does the flow of readings hold?",
                    Kind.TIMESERIES,
                    Query("operations", "stored_per_hour"),
                    width=24,
                    height=8,
                    decimals=0,
                    low=0,
                    steps=True,
                    refresh=120,
                    empty="No rollup has been made of this time yet.",
                ),
            ),
        ),
    ),
)
