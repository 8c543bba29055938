"""What learned models say of one machine: how long it lasts, how far from normal it is, whether they know it still."""

from __future__ import annotations

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
    Variable,
    Zones,
)
from boards.equipment import TO_POINT
from boards.words import ALARM_MARKS, TO_COMPONENT

DISTANCE: Final = Zones(Meaning.HEALTHY, ((0.8, Meaning.ADVISORY), (1.0, Meaning.WARNING)))
"""1 is the edge of normal (see core.learned.ModelScore)."""
MOVED: Final = Zones(Meaning.HEALTHY, ((0.1, Meaning.ADVISORY), (0.25, Meaning.WARNING)))
"""Population stability index, as in models.drift."""
_P = ("p10", "p50", "p90")
_BAND: Final = (
    Series("p10", "P10: one in ten lasts less", Style.DASHED, Meaning.WARNING),
    Series("p50", "P50: as likely longer as shorter", Style.LINE),
    Series("p90", "P90: one in ten lasts longer", Style.DASHED, Meaning.HEALTHY),
)
_NOT_TOLD: Final = "No model that speaks foretold its remaining life in this time."

LIVES: Final = Panel(
    "lives",
    "Remaining life, the shortest first",
    "By when must something be done?",
    Kind.TABLE,
    Query("prognosis", "lives"),
    width=24,
    height=6,
    columns=(
        Column("component_name", "Component", link=TO_COMPONENT, width=170),
        Column("date_p10", "At its limit at the earliest", Format.TIME, width=180),
        Column("date_p50", "Most likely", Format.TIME, width=180),
        Column("date_p90", "At the latest", Format.TIME, width=180, wide_only=True),
        *(Column(p, p.upper(), Format.NUMBER, unit_column="unit", decimals=0, width=90) for p in _P),
        Column(
            "reads",
            "Reads",
            values={"as_told": Named("as told"), "at_least": Named("at least", Meaning.HEALTHY)},
            wide_only=True,
        ),
        Column("at", "Told", Format.TIME, width=170, wide_only=True),
        Column("model", "Model", wide_only=True),
    ),
    refresh=60,
    empty="No model that speaks foretells its remaining life.",
)


def _over_time(key: str, title: str, question: str, *, unit: str = "", unit_of: str = "") -> Panel:
    return Panel(
        key,
        title,
        question,
        Kind.TIMESERIES,
        Query("prognosis", "told"),
        width=12,
        height=10,
        parameters={"days": 1 if unit == "d" else 0},
        series=_BAND,
        unit=unit,
        unit_of=unit_of,
        decimals=0,
        low=0,
        refresh=60,
        empty=_NOT_TOLD,
    )


PROGNOSIS: Final = Board(
    "prognosis",
    "Remaining life",
    "How long will it last, how sure is that, and does it still behave as learned?",
    rows=(
        Row("", (LIVES,)),
        Row(
            "",
            (
                _over_time(
                    "calendar",
                    "Days until its limit, as it was used lately",
                    "Does the date stand, or does it come nearer faster than time goes by?",
                    unit="d",
                ),
                _over_time(
                    "life",
                    "Remaining life in the machine's own clock",
                    "How did what is left go down, and did the models become surer?",
                    unit_of="life",
                ),
            ),
        ),
        Row(
            "As learned?",
            (
                Panel(
                    "distance",
                    "Distance from normal",
                    "How far is it from what was learned of it?",
                    Kind.TIMESERIES,
                    Query("prognosis", "distance"),
                    width=12,
                    height=9,
                    unit="1",
                    decimals=2,
                    low=0,
                    limits=((1.0, Meaning.WARNING),),
                    refresh=60,
                    empty="No model that speaks looked at its behaviour in this time.",
                ),
                Panel(
                    "contributions",
                    "What the distance comes from",
                    "Which sensor moved?",
                    Kind.TABLE,
                    Query("prognosis", "contributions"),
                    width=12,
                    height=9,
                    columns=(
                        Column("description", "Value", link=TO_POINT),
                        Column("share", "Share", Format.NUMBER, unit="%", decimals=0, width=80),
                        Column("distance", "Distance", Format.NUMBER, decimals=2, zones=DISTANCE, width=90),
                        Column(
                            "status",
                            "Judgement",
                            values={
                                "machine": Named("Not as learned", Meaning.WARNING),
                                "instrument": Named("Instrument", Meaning.INSTRUMENT),
                                "normal": Named("As learned", Meaning.HEALTHY),
                            },
                            width=130,
                        ),
                        Column("at", "At", Format.TIME, width=170, wide_only=True),
                        Column("model", "Model", wide_only=True),
                    ),
                    refresh=60,
                    empty="Nothing contributes: no model that speaks looked at it, or all is as learned.",
                ),
            ),
        ),
        Row(
            "",
            (
                Panel(
                    "drift",
                    "What models look at, against what they learned from",
                    "May its models be trusted here?",
                    Kind.TABLE,
                    Query("prognosis", "drift"),
                    width=24,
                    height=6,
                    columns=(
                        Column("model", "Model", width=260),
                        Column("index", "Moved by", Format.NUMBER, decimals=2, zones=MOVED, width=100),
                        Column("description", "Most"),
                        Column("since", "From", Format.TIME, width=170, wide_only=True),
                        Column("at", "To", Format.TIME, width=170),
                    ),
                    refresh=300,
                    empty="No week is over since its models speak.",
                ),
            ),
        ),
    ),
    variables=(
        Variable("equipment", "Machine", Query("prognosis", "machines"), integer=True),
        Variable("life", "Remaining life of", Query("prognosis", "choices")),
    ),
    annotations=(ALARM_MARKS,),
    learned=True,
    window="30 d",
    refresh=60,
)
