"""The service business: commands from afar, contracts and statements, passports of serial numbers, energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from boards.definition import Board, Column, Format, Kind, Meaning, Named, Panel, Query, Row, Variable
from boards.words import ANY_IS_ALARM, ANY_IS_WARNING, TO_EQUIPMENT

_COMMAND_STATES: Final[Mapping[str, Named]] = {
    "requested": Named("Waits for approval", Meaning.ADVISORY),
    "approved": Named("Approved", Meaning.ADVISORY),
    "sent": Named("Sent", Meaning.ADVISORY),
    "delivered": Named("Delivered", Meaning.ADVISORY),
    "executing": Named("Executing", Meaning.ADVISORY),
    "succeeded": Named("Done", Meaning.HEALTHY),
    "failed": Named("Failed", Meaning.ALARM),
    "rejected": Named("Held back", Meaning.WARNING),
    "expired": Named("Expired, no answer", Meaning.WARNING),
    "cancelled": Named("Taken back"),
}
_DEEDS: Final[Mapping[str, Named]] = {
    "built": Named("Built"),
    "installed": Named("Installed", Meaning.HEALTHY),
    "removed": Named("Removed"),
    "inspected": Named("Inspected"),
    "repaired": Named("Repaired"),
    "overhauled": Named("Overhauled"),
    "remanufactured": Named("Remanufactured", Meaning.HEALTHY),
    "scrapped": Named("Scrapped", Meaning.WARNING),
}

COMMANDS: Final = Board(
    "commands",
    "Commands",
    "What is asked of the machines, and what have they done?",
    rows=(
        Row(
            "",
            (
                Panel(
                    "summary",
                    "Now",
                    "Does anything wait, or stand against acting from afar?",
                    Kind.STAT,
                    Query("service", "command_summary"),
                    width=24,
                    height=4,
                    columns=(
                        Column("waiting", "Wait for approval", Format.NUMBER, decimals=0),
                        Column("under_way", "On their way", Format.NUMBER, decimals=0),
                        Column("failed", "Failed or unanswered, 24 h", Format.NUMBER, decimals=0, zones=ANY_IS_ALARM),
                        Column("held_back", "Held back, 24 h", Format.NUMBER, decimals=0, zones=ANY_IS_WARNING),
                        Column("inhibits", "Inhibits standing", Format.NUMBER, decimals=0, zones=ANY_IS_ALARM),
                    ),
                    refresh=10,
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "commands",
                    "Commands, newest first",
                    "Who asked for what, and how did it end?",
                    Kind.TABLE,
                    Query("service", "commands"),
                    width=14,
                    height=12,
                    columns=(
                        Column("at", "When", Format.TIME, width=170),
                        Column("equipment", "Machine", link=TO_EQUIPMENT, width=110),
                        Column("title", "Command"),
                        Column("parameters", "With", wide_only=True),
                        Column("state", "State", values=_COMMAND_STATES, width=150),
                        Column("blocked", "Held back by", wide_only=True),
                    ),
                    refresh=10,
                    empty="Nobody has asked a machine for anything.",
                ),
                Panel(
                    "drift",
                    "Wanted and not so",
                    "Which machines are not as they should be?",
                    Kind.TABLE,
                    Query("service", "drift"),
                    width=10,
                    height=12,
                    columns=(
                        Column("equipment", "Machine", link=TO_EQUIPMENT, width=110),
                        Column("key", "Property"),
                        Column("desired", "Wanted", width=100),
                        Column("reported", "Reported", width=100),
                    ),
                    refresh=30,
                    empty="Every machine is as it is wanted.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "journal",
                    "Journal",
                    "What happened, step by step?",
                    Kind.TABLE,
                    Query("service", "command_journal"),
                    width=24,
                    height=10,
                    columns=(
                        Column("at", "When", Format.TIME, width=170),
                        Column("equipment", "Machine", width=110),
                        Column("title", "Command"),
                        Column("event", "Step", width=120),
                        Column("state", "State", values=_COMMAND_STATES, width=150),
                        Column("actor", "By", width=170, wide_only=True),
                        Column("note", "Note", wide_only=True),
                    ),
                    refresh=10,
                    empty="Nobody has asked a machine for anything.",
                ),
            ),
        ),
    ),
    window="7 d",
)

CONTRACTS: Final = Board(
    "contracts",
    "Contracts",
    "What does the use of the machines bring, and are guarantees kept?",
    rows=(
        Row(
            "",
            (
                Panel(
                    "contracts",
                    "Contracts",
                    "Which machines are under contract, and up to when is it settled?",
                    Kind.TABLE,
                    Query("service", "contracts"),
                    width=12,
                    height=9,
                    columns=(
                        Column("title", "Contract"),
                        Column("machines", "Machines", Format.NUMBER, decimals=0, width=100),
                        Column("closed_to", "Closed to", width=110),
                        Column("total", "Stated", Format.NUMBER, decimals=2, width=120),
                        Column("currency", "Currency", width=90),
                    ),
                    refresh=120,
                    empty="There is no contract.",
                ),
                Panel(
                    "statements",
                    "Statements and corrections, newest first",
                    "What was due?",
                    Kind.TABLE,
                    Query("service", "statements"),
                    width=12,
                    height=9,
                    columns=(
                        Column("period", "Period", width=100),
                        Column("title", "Contract"),
                        Column("number", "Correction", Format.NUMBER, decimals=0, width=100),
                        Column("total", "Due", Format.NUMBER, decimals=2, width=120),
                        Column("currency", "Currency", width=90),
                        Column("reason", "Reason", wide_only=True),
                    ),
                    refresh=120,
                    empty="No period has been closed.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "lines",
                    "Figures of the newest statements",
                    "How did the amounts come about?",
                    Kind.TABLE,
                    Query("service", "statement_lines"),
                    width=24,
                    height=11,
                    columns=(
                        Column("period", "Period", width=100),
                        Column("contract", "Contract", width=160),
                        Column("equipment", "Machine", width=110),
                        Column("title", "Figure"),
                        Column("quantity", "Quantity", Format.NUMBER, decimals=2, width=110),
                        Column("unit", "Unit", width=70),
                        Column("amount", "Amount", Format.NUMBER, decimals=2, width=120),
                        Column("rule", "Rule", wide_only=True),
                    ),
                    refresh=120,
                    empty="No period has been closed.",
                ),
            ),
        ),
    ),
    window="30 d",
)

PASSPORT: Final = Board(
    "passport",
    "Passport",
    "Where was this serial number, and what was done to it?",
    rows=(
        Row(
            "",
            (
                Panel(
                    "identity",
                    "Serial number",
                    "What is it, and where is it?",
                    Kind.STAT,
                    Query("service", "item"),
                    width=24,
                    height=4,
                    columns=(
                        Column("serial", "Serial number"),
                        Column("designation", "What it is"),
                        Column("place", "Built into"),
                        Column("lives", "Life", Format.NUMBER, decimals=0),
                        Column("cost", "Cost so far", Format.NUMBER, decimals=2),
                    ),
                    refresh=120,
                    empty="No serial number is registered.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "history",
                    "History",
                    "What was done to it, and where?",
                    Kind.TABLE,
                    Query("service", "item_history"),
                    width=14,
                    height=11,
                    columns=(
                        Column("at", "When", Format.TIME, width=170),
                        Column("deed", "What", values=_DEEDS, width=140),
                        Column("host", "Machine or assembly"),
                        Column("position", "Position"),
                        Column("cost", "Cost", Format.NUMBER, decimals=2, width=100),
                        Column("note", "Note", wide_only=True),
                    ),
                    refresh=120,
                    empty="Nothing is on record yet.",
                ),
                Panel(
                    "parts",
                    "Built in now",
                    "Which serial numbers are in it?",
                    Kind.TABLE,
                    Query("service", "item_parts"),
                    width=10,
                    height=11,
                    columns=(
                        Column("position", "Position"),
                        Column("kind", "Kind", width=130),
                        Column("serial", "Serial number", width=140),
                        Column("since", "Since", Format.TIME, width=170, wide_only=True),
                    ),
                    refresh=120,
                    empty="Nothing is recorded as built in.",
                ),
            ),
        ),
    ),
    variables=(Variable("item", "Serial number", Query("service", "items"), integer=True),),
    window="365 d",
)

ENERGY: Final = Board(
    "energy",
    "Energy",
    "Which machine takes how much, and for what?",
    rows=(
        Row(
            "",
            (
                Panel(
                    "machines",
                    "Energy by machine",
                    "Who takes most?",
                    Kind.TABLE,
                    Query("service", "energy_by_machine"),
                    width=14,
                    height=10,
                    columns=(
                        Column("equipment", "Machine", link=TO_EQUIPMENT, width=130),
                        Column("what", "Measured at"),
                        Column("energy", "Energy", Format.NUMBER, decimals=0, unit_column="unit", width=130),
                        Column("hours", "Hours seen", Format.NUMBER, unit="h", decimals=1, width=120),
                        Column("per_hour", "Per hour", Format.NUMBER, decimals=1, width=110),
                    ),
                    refresh=120,
                    empty="No machine measures electrical power or fuel.",
                ),
                Panel(
                    "factors",
                    "Emission factors",
                    "By what is CO₂e reckoned?",
                    Kind.TABLE,
                    Query("service", "factors"),
                    width=10,
                    height=10,
                    columns=(
                        Column("carrier", "Carrier", width=110),
                        Column("effective", "From", width=110),
                        Column("kg_per_unit", "kg CO₂e", Format.NUMBER, decimals=3, width=100),
                        Column("unit", "Per", width=70),
                        Column("source", "Source"),
                    ),
                    refresh=120,
                    empty="No emission factor is on record.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "power",
                    "Power, hourly means",
                    "When is it taken?",
                    Kind.TIMESERIES,
                    Query("service", "power"),
                    width=24,
                    height=9,
                    unit="kW",
                    decimals=0,
                    low=0,
                    refresh=120,
                    empty="No machine measures electrical power.",
                ),
            ),
        ),
    ),
    window="7 d",
)
