"""Remote diagnosis: which cases are there, and what is seen in the one chosen?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from boards.definition import (
    Board,
    Column,
    Format,
    Kind,
    Link,
    Meaning,
    Named,
    Panel,
    Query,
    Row,
    Series,
    Style,
    Value,
    Variable,
)

CASE_STATES: Final[Mapping[str, Named]] = {
    "open": Named("Open", Meaning.WARNING),
    "concluded": Named("Concluded, not signed", Meaning.ADVISORY),
    "signed": Named("Signed", Meaning.HEALTHY),
    "closed": Named("Closed"),
}
OUTCOMES: Final[Mapping[str, Named]] = {
    "not_inspected": Named("Not inspected"),
    "confirmed": Named("Confirmed", Meaning.HEALTHY),
    "another_fault": Named("Another fault", Meaning.WARNING),
    "nothing_found": Named("Nothing found", Meaning.ADVISORY),
}
DECIDED: Final[Mapping[str, Named]] = {"yes": Named("Decided", Meaning.WARNING), "no": Named("Possible")}

_EXPECTED: Final = (
    Series("order", "Turns of the shaft", Style.POINTS, Meaning.NEUTRAL),
    Series("GMF", "Gear mesh", Style.POINTS, Meaning.INSTRUMENT),
    Series("BPFO", "Outer ring expected", Style.POINTS, Meaning.ALARM),
    Series("BPFI", "Inner ring expected", Style.POINTS, Meaning.WARNING),
    Series("BSF2", "Rolling element expected", Style.POINTS, Meaning.HEALTHY),
    Series("FTF", "Cage expected", Style.POINTS, Meaning.UNKNOWN),
)
_MEASURED: Final = Series("measured", "Measured", Style.LINE, Meaning.ADVISORY)
_NO_CASE: Final = "No case with waveforms is chosen."

CASES: Final = Panel(
    "cases",
    "Cases",
    "Which machines are being diagnosed, and what is thought of them?",
    Kind.TABLE,
    Query("diagnosis", "case_list"),
    width=24,
    height=8,
    columns=(
        Column(
            "machine", "Machine", link=Link("diagnosis", {"equipment": "equipment", "case": "case"}, "Show the case")
        ),
        Column("component", "Component"),
        Column("state", "State", values=CASE_STATES),
        Column("said", "The platform says"),
        Column("confidence", "Confidence", Format.NUMBER, unit="%", decimals=0),
        Column("concluded", "Concluded", wide_only=True),
        Column("outcome", "Found at inspection", values=OUTCOMES),
        Column("about", "About", Format.TIME, wide_only=True),
    ),
    empty="No case was opened yet.",
)
FINDINGS: Final = Panel(
    "findings",
    "What it may be",
    "Which failure modes fit, by what evidence, and what is to be done?",
    Kind.TABLE,
    Query("diagnosis", "findings"),
    width=24,
    height=6,
    columns=(
        Column("title", "Failure mode"),
        Column("confidence", "Confidence", Format.NUMBER, unit="%", decimals=0),
        Column("decided", "Verdict", values=DECIDED),
        Column("evidence", "Evidence"),
        Column("action", "What to do", wide_only=True),
    ),
    empty="Nothing stands out, or the case has not been looked at.",
)


def _curve(key: str, title: str, question: str, y_title: str, unit: str, width: int) -> Panel:
    return Panel(
        key,
        title,
        question,
        Kind.XY,
        Query("diagnosis", "curve"),
        width=width,
        height=11,
        parameters={"kind": key},
        series=(_MEASURED, *_EXPECTED),
        x_title="Frequency",
        x_unit="Hz",
        y_title=y_title,
        unit=unit,
        empty=_NO_CASE,
    )


ENVELOPE: Final = _curve(
    "envelope", "Envelope spectrum", "Do strikes come at the rate of a bearing's part?", "Modulation", "%", 12
)
SPECTRUM: Final = _curve(
    "spectrum", "Spectrum", "Which frequencies does it shake at, and what turns so fast?", "Amplitude", "", 12
)
WATERFALL: Final = Panel(
    "waterfall",
    "Spectra over time",
    "Since when, and how did it grow (newest on top)?",
    Kind.XY,
    Query("diagnosis", "waterfall"),
    width=16,
    height=13,
    x_title="Frequency",
    x_unit="Hz",
    y_title="Amplitude, shifted by moment",
    empty=_NO_CASE,
)
ORBIT: Final = Panel(
    "orbit",
    "Orbit",
    "Which way does the shaft move in its bearing?",
    Kind.XY,
    Query("diagnosis", "curve"),
    width=8,
    height=13,
    parameters={"kind": "orbit"},
    series=(_MEASURED, Series("key_phasor", "Mark of the shaft", Style.BIG_POINT, Meaning.WARNING)),
    x_title="Horizontal",
    x_unit="um",
    y_title="Vertical",
    unit="um",
    empty="The case has no pair of shaft probes.",
)
_SHAFT: Final[Mapping[str, Value]] = {"speed": "train.speed"}


def _bode(key: str, title: str, question: str, point: str, unit: str, y_title: str) -> Panel:
    return Panel(
        key,
        title,
        question,
        Kind.XY,
        Query("diagnosis", "bode"),
        width=12,
        height=9,
        parameters={**_SHAFT, "point": point},
        series=(_MEASURED,),
        x_title="Speed",
        x_unit="{rpm}/min",
        y_title=y_title,
        unit=unit,
        window="30 d",
        empty="It was neither started nor stopped in this time, or has no such probe.",
    )


BODE: Final = (
    _bode(
        "bode_amplitude",
        "Bode: 1x amplitude over speed",
        "Where is its critical speed, and how much does it magnify?",
        "compressor.rotor.de_x_1x",
        "um",
        "1x amplitude",
    ),
    _bode(
        "bode_phase",
        "Bode: 1x phase lag over speed",
        "Does the phase turn by half a circle where the amplitude peaks?",
        "compressor.rotor.de_x_phase",
        "deg",
        "Phase lag",
    ),
)

DIAGNOSIS: Final = Board(
    "diagnosis",
    "Diagnosis",
    "What is wrong with the machine, and how do we know?",
    rows=(
        Row("", (CASES,)),
        Row("The case", (FINDINGS, ENVELOPE, SPECTRUM)),
        Row("How it came", (WATERFALL, ORBIT)),
        Row("The last start or stop", BODE),
    ),
    variables=(
        Variable("equipment", "Machine", Query("diagnosis", "machines"), integer=True),
        Variable("case", "Case", Query("diagnosis", "cases"), integer=True),
    ),
    window="7 d",
    refresh=60,
)
