"""Advisories, work, calendar: what should be done, what is being done, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from boards.definition import Board, Column, Format, Kind, Meaning, Named, Panel, Query, Row, Zones
from boards.words import ANY_IS_ADVISORY, ANY_IS_WARNING, NONE_IS_GOOD, PRIORITIES, TO_EQUIPMENT, figures

DAYS_LEFT: Final = Zones(Meaning.ALARM, ((0.0, Meaning.WARNING), (7.0, Meaning.ADVISORY), (30.0, Meaning.NEUTRAL)))
"""Days until something is due; below zero the date is past."""
MARGIN: Final = Zones(Meaning.ALARM, ((0.0, Meaning.ADVISORY), (3.0, Meaning.HEALTHY)))

ADVISORY_STATES: Final[Mapping[str, Named]] = {
    "open": Named("Open", Meaning.WARNING),
    "deferred": Named("Deferred", Meaning.ADVISORY),
    "accepted": Named("Accepted"),
    "rejected": Named("Rejected"),
}
WORK_STATES: Final[Mapping[str, Named]] = {
    "planned": Named("Planned", Meaning.ADVISORY),
    "approved": Named("Approved"),
    "scheduled": Named("Scheduled"),
    "in_progress": Named("In progress", Meaning.ADVISORY),
    "done": Named("Done, being watched", Meaning.ADVISORY),
    "verified": Named("Verified", Meaning.HEALTHY),
    "closed": Named("Closed", Meaning.HEALTHY),
    "reopened": Named("Reopened", Meaning.WARNING),
}
KINDS: Final[Mapping[str, Named]] = {
    "corrective": Named("Corrective"),
    "preventive": Named("Preventive"),
    "inspection": Named("Inspection"),
}
OUTCOMES: Final[Mapping[str, Named]] = {
    "repaired": Named("Repaired", Meaning.HEALTHY),
    "no_fault_found": Named("No fault found", Meaning.ADVISORY),
    "not_repaired": Named("Not repaired", Meaning.WARNING),
}
ENDS: Final[Mapping[str, Named]] = {
    "done": Named("Repaired", Meaning.HEALTHY),
    "unfounded": Named("No fault found", Meaning.ADVISORY),
    "rejected": Named("Rejected"),
    "gone": Named("Evidence has gone"),
}

_MACHINE: Final = Column("equipment", "Machine", link=TO_EQUIPMENT, width=130)
_COMPONENT: Final = Column("component", "Component", width=170, wide_only=True)
_PRIORITY: Final = Column("priority", "Priority", values=PRIORITIES, width=100)
_WORK_STATE: Final = Column("state", "State", values=WORK_STATES, width=140)
_DUE: Final = Column("due_at", "Act by", Format.TIME, width=170)

ADVISORIES: Final = Board(
    "advisories",
    "Advisories",
    "What should be done, and by when?",
    rows=(
        Row(
            "",
            (
                figures(
                    "summary",
                    "Now",
                    "How much waits for a decision?",
                    query=Query("maintenance", "advisory_summary"),
                    columns=(
                        Column("open", "Open", Format.NUMBER, decimals=0, zones=ANY_IS_ADVISORY),
                        Column("pressing", "Urgent or high", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING),
                        Column("overdue", "Date passed", Format.NUMBER, decimals=0, zones=NONE_IS_GOOD),
                        Column("deferred", "Deferred", Format.NUMBER, decimals=0),
                        Column("accepted", "Accepted", Format.NUMBER, decimals=0),
                    ),
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "advisories",
                    "Advisories by date",
                    "What comes first, and what is to be done?",
                    Kind.TABLE,
                    Query("maintenance", "advisories"),
                    width=24,
                    height=12,
                    columns=(
                        _MACHINE,
                        _COMPONENT,
                        Column("title", "What"),
                        _PRIORITY,
                        Column("state", "State", values=ADVISORY_STATES, width=110),
                        _DUE,
                        Column("days", "Days left", Format.NUMBER, decimals=0, zones=DAYS_LEFT, width=90),
                        Column("work", "What to do", wide_only=True),
                        Column("due_rule", "Where the date comes from", wide_only=True),
                    ),
                    empty="Nothing wants to be done.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "outcomes",
                    "How advisories ended",
                    "Were they right?",
                    Kind.BARS,
                    Query("maintenance", "advisory_outcomes"),
                    width=24,
                    height=7,
                    decimals=0,
                    values=ENDS,
                    window="90 d",
                    refresh=60,
                ),
            ),
        ),
    ),
)

WORK: Final = Board(
    "work",
    "Work orders",
    "What is being done, and has it helped?",
    rows=(
        Row(
            "",
            (
                figures(
                    "summary",
                    "Now",
                    "Where does work wait?",
                    query=Query("maintenance", "work_summary"),
                    columns=(
                        Column("unfinished", "Unfinished", Format.NUMBER, decimals=0),
                        Column("to_approve", "To be approved", Format.NUMBER, decimals=0, zones=ANY_IS_ADVISORY),
                        Column("in_progress", "In progress", Format.NUMBER, decimals=0),
                        Column("watched", "Done, being watched", Format.NUMBER, decimals=0),
                        Column("overdue", "Date passed", Format.NUMBER, decimals=0, zones=NONE_IS_GOOD),
                        Column("reopened", "Reopened", Format.NUMBER, decimals=0, zones=NONE_IS_GOOD),
                    ),
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "work",
                    "Unfinished work",
                    "What is to be done next?",
                    Kind.TABLE,
                    Query("maintenance", "work"),
                    width=24,
                    height=12,
                    columns=(
                        Column("work_order", "No.", Format.NUMBER, decimals=0, width=70),
                        _MACHINE,
                        _COMPONENT,
                        Column("title", "What"),
                        Column("kind", "Kind", values=KINDS, width=110, wide_only=True),
                        _WORK_STATE,
                        _PRIORITY,
                        _DUE,
                        Column("scheduled_start", "Scheduled", Format.TIME, width=170),
                        Column("crew", "Crew", width=100, wide_only=True),
                        Column("seen", "What the machine shows since", wide_only=True),
                    ),
                    empty="There is no unfinished work.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "finished",
                    "Finished work",
                    "What was found, and what did it cost?",
                    Kind.TABLE,
                    Query("maintenance", "work_finished"),
                    width=24,
                    height=9,
                    columns=(
                        _MACHINE,
                        _COMPONENT,
                        Column("title", "What"),
                        Column("outcome", "Outcome", values=OUTCOMES, width=140),
                        Column("closed_at", "Closed at", Format.TIME, width=170),
                        Column("reopenings", "Reopened", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING, width=100),
                        Column("cost", "Cost", Format.NUMBER, decimals=2, width=110),
                    ),
                    window="90 d",
                    refresh=60,
                    empty="No work was closed in this time.",
                ),
            ),
        ),
    ),
)

CALENDAR: Final = Board(
    "maintenance-calendar",
    "Maintenance calendar",
    "When is what done, and what is missing for it?",
    rows=(
        Row(
            "",
            (
                Panel(
                    "calendar",
                    "Scheduled",
                    "What is done when, by whom?",
                    Kind.TABLE,
                    Query("maintenance", "calendar"),
                    width=24,
                    height=10,
                    columns=(
                        Column("scheduled_start", "From", Format.TIME, width=170),
                        Column("scheduled_end", "To", Format.TIME, width=170, wide_only=True),
                        _MACHINE,
                        _COMPONENT,
                        Column("title", "What"),
                        _WORK_STATE,
                        Column("crew", "Crew", width=100),
                        _DUE,
                        Column("margin", "Days before its date", Format.NUMBER, decimals=1, zones=MARGIN, width=110),
                    ),
                    empty="Nothing is scheduled.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "load",
                    "Person-hours by day",
                    "Is it too much at once?",
                    Kind.BARS,
                    Query("maintenance", "calendar_load"),
                    width=24,
                    height=10,
                    unit="h",
                    decimals=0,
                    refresh=60,
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "waiting",
                    "Without a time",
                    "What is still to be scheduled, and what does it wait for?",
                    Kind.TABLE,
                    Query("maintenance", "calendar_waiting"),
                    width=14,
                    height=9,
                    columns=(
                        _MACHINE,
                        _COMPONENT,
                        Column("title", "What"),
                        _WORK_STATE,
                        _DUE,
                        Column("missing", "Parts missing", wide_only=True),
                    ),
                    empty="All work has its time.",
                ),
                Panel(
                    "stock",
                    "Parts of which there is too little",
                    "What has to be ordered?",
                    Kind.TABLE,
                    Query("maintenance", "stock_short"),
                    width=10,
                    height=9,
                    columns=(
                        Column("name", "Part"),
                        Column("on_hand", "On hand", Format.NUMBER, decimals=0, width=90),
                        Column("reserved", "Reserved", Format.NUMBER, decimals=0, width=90),
                        Column("minimum", "At least", Format.NUMBER, decimals=0, width=90, wide_only=True),
                        Column("lead_days", "Delivery", Format.NUMBER, unit="d", decimals=0, width=90),
                    ),
                    empty="There is enough of every part.",
                ),
            ),
        ),
    ),
    refresh=60,
)
