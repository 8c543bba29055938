"""How a meaning looks. One hue per meaning in light and dark, apart for every common colour blindness, and never the
only sign.

Hues are of Okabe and Ito's set, lightened or darkened until text on a fill has a contrast of 4.5 and a fill beside the
page one of 3 (WCAG 2.2, 1.4.3 and 1.4.11); a test computes both, and the distances that colour-blind eyes see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from boards.definition import Meaning


@dataclass(frozen=True, slots=True)
class Paint:
    """``fill`` of areas, cells and lines; ``text`` on that fill. CSS hex."""

    fill: str
    text: str


PAGE: Final[Mapping[str, str]] = {"light": "#ffffff", "dark": "#111217"}
"""Background by theme; Grafana's own are next to these."""

PAINTS: Final[Mapping[str, Mapping[Meaning, Paint]]] = {
    "light": {
        Meaning.HEALTHY: Paint("#00785a", "#ffffff"),
        Meaning.ADVISORY: Paint("#0072b2", "#ffffff"),
        Meaning.WARNING: Paint("#b87a00", "#000000"),
        Meaning.ALARM: Paint("#b8002e", "#ffffff"),
        Meaning.UNKNOWN: Paint("#6e7681", "#ffffff"),
        Meaning.INSTRUMENT: Paint("#8b3d88", "#ffffff"),
        Meaning.NEUTRAL: Paint("#57606a", "#ffffff"),
    },
    "dark": {
        Meaning.HEALTHY: Paint("#1fb58a", "#000000"),
        Meaning.ADVISORY: Paint("#56b4e9", "#000000"),
        Meaning.WARNING: Paint("#f0b400", "#000000"),
        Meaning.ALARM: Paint("#ff5c5c", "#000000"),
        Meaning.UNKNOWN: Paint("#8b949e", "#000000"),
        Meaning.INSTRUMENT: Paint("#d183c9", "#000000"),
        Meaning.NEUTRAL: Paint("#9da7b3", "#000000"),
    },
}

SERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "light": ("#0072b2", "#9a6700", "#00785a", "#8b3d88", "#c14a00", "#5b5b9f", "#3d6b1f", "#57606a"),
    "dark": ("#56b4e9", "#e8b339", "#1fb58a", "#d183c9", "#ff9457", "#a5a5f0", "#a3c76d", "#9da7b3"),
}
"""Colours of curves that say nothing by themselves, in the order of the series."""

MIDDLE: Final[Mapping[Meaning, str]] = {
    Meaning.HEALTHY: "#009468",
    Meaning.ADVISORY: "#1480c4",
    Meaning.WARNING: "#b87a00",
    Meaning.ALARM: "#e0304f",
    Meaning.UNKNOWN: "#768390",
    Meaning.INSTRUMENT: "#a64fa3",
    Meaning.NEUTRAL: "#6f7b88",
}
"""For a renderer that has one colour for light and dark alike (Grafana): a contrast of 3 to either background."""

SERIES_MIDDLE: Final = ("#1480c4", "#b87a00", "#009468", "#a64fa3", "#c14a00", "#7a74c9", "#5c8a2e", "#6f7b88")
