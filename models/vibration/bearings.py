"""Rolling bearings: how often an element passes what, in orders of the shaft.

``FTF = ½(1 - d/D·cosφ)``, ``BPFO = n·FTF``, ``BPFI = n - BPFO``, ``2·BSF = D/d·(1 - (d/D·cosφ)²)``: the outer ring
stands still, nothing slips. Slip and contact angle move lines by 1-2 %, so they are searched in a band (Randall and
Antoni 2011).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
import yaml

from core.errors import InvalidInputError, NotFoundError

SLIP: Final = 0.02
"""Share by which slip moves a line at most."""

USUAL_SPREAD: Final = 0.01
"""Share by which makers' geometries under one designation differ."""

LINES: Final = ("BPFO", "BPFI", "BSF2", "FTF")
PARTS: Final = {"BPFO": "outer ring", "BPFI": "inner ring", "BSF2": "rolling element", "FTF": "cage"}

_SPOKEN: Final = {"OR": "BPFO", "IR": "BPFI", "B": "BSF2"} | {name: name for name in LINES}


@dataclass(frozen=True, slots=True)
class Bearing:
    """``multiples``: orders of the shaft by :data:`LINES`; ``elements`` 0 where unknown; ``search`` share of a line's
    frequency within which it may lie."""

    name: str
    multiples: Mapping[str, float]
    elements: int = 0
    search: float = SLIP

    def lines(self, speed: float) -> dict[str, float]:
        """Hz at r/min."""
        return {name: order * speed / 60 for name, order in self.multiples.items()}


def of_geometry(
    name: str,
    elements: int,
    element_diameter: float,
    pitch_diameter: float,
    contact_angle: float = 0.0,
    *,
    search: float = SLIP,
) -> Bearing:
    """A bearing by its geometry; diameters in one unit, angle in degrees.

    >>> found = of_geometry("6205-2RS", 9, 7.94, 39.04)
    >>> {k: round(v, 3) for k, v in found.multiples.items()}
    {'BPFO': 3.585, 'BPFI': 5.415, 'BSF2': 4.713, 'FTF': 0.398}
    """  # fmt: skip
    if elements < 3 or not 0 < element_diameter < pitch_diameter or not 0 <= contact_angle < 80:
        raise InvalidInputError(
            f"bearing {name!r}: {elements} elements of {element_diameter:g} on a pitch circle of {pitch_diameter:g} at "
            f"{contact_angle:g}° cannot be",
            hint="elements, diameter of an element, diameter of the pitch circle, contact angle in degrees",
        )
    ratio = element_diameter / pitch_diameter * float(np.cos(np.radians(contact_angle)))
    ftf = (1 - ratio) / 2
    return Bearing(
        name,
        {
            "BPFO": elements * ftf,
            "BPFI": elements * (1 - ftf),
            "BSF2": pitch_diameter / element_diameter * (1 - ratio**2),
            "FTF": ftf,
        },
        elements,
        search,
    )


def from_multiples(name: str, given: Mapping[str, float]) -> Bearing:
    """A bearing by its lines in orders: OR (BPFO), IR (BPFI), B (twice BSF), FTF; some may be missing.

    Makers print BSF or twice BSF under one heading: where the rings' lines say that the value given must be BSF, it is
    doubled.
    """
    multiples = {}
    for spoken, value in given.items():
        line = _SPOKEN.get(spoken.upper())
        if line is None:
            raise InvalidInputError(f"{spoken!r} is no line of a bearing", hint="OR=, IR=, B=, FTF=, in orders")
        if not 0.05 < value < 200:
            raise InvalidInputError(
                f"{spoken}={value:g} cannot be a bearing's line", hint="orders of the shaft's speed"
            )
        multiples[line] = float(value)
    if not multiples:
        raise InvalidInputError("a bearing without lines", hint="for example OR=3.585,IR=5.415,B=4.714,FTF=0.398")
    elements = 0
    if "BPFO" in multiples and "BPFI" in multiples:
        total = multiples["BPFO"] + multiples["BPFI"]
        if abs(total - round(total)) < 0.01 * total and multiples["BPFI"] > multiples["BPFO"]:
            elements = round(total)
            ratio = (multiples["BPFI"] - multiples["BPFO"]) / total
            expected = (1 - ratio**2) / ratio
            if "BSF2" in multiples and abs(np.log(2 * multiples["BSF2"] / expected)) < 0.1:
                multiples["BSF2"] *= 2
            multiples.setdefault("FTF", (1 - ratio) / 2)
    return Bearing(name, {line: multiples[line] for line in LINES if line in multiples}, elements)


@cache
def _catalogue() -> dict[str, tuple[str, dict[str, Any], float]]:
    text = resources.files("models.vibration").joinpath("bearings.yaml").read_text(encoding="utf-8")
    data: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(text)
    found = {}
    for section, search in (("usual", SLIP + USUAL_SPREAD), ("exact", SLIP)):
        for name, entry in data[section].items():
            for spelling in (name, *entry.get("aka", ())):
                found[_plain(spelling)] = (str(name), entry, search)
    return found


def _plain(name: str) -> str:
    return "".join(c for c in name.upper() if c.isalnum())


def catalogue() -> list[str]:
    """Designations known."""
    return sorted({name for name, _, _ in _catalogue().values()})


def bearing(designation: str) -> Bearing:
    """From the catalogue; seals, clearance and maker's name are ignored: ``SKF 6205-2RS1/C3`` is a 6205.

    Raises :class:`~core.errors.NotFoundError` for what is not there.
    """
    known = _catalogue()
    plain = _plain(designation)
    for maker in ("SKF", "FAG", "NSK", "NTN", "KOYO", "INA", "TIMKEN", "NACHI", "SNR"):
        plain = plain.removeprefix(maker)
    match = known.get(plain)
    if match is None:
        # the longest known name that the designation begins with; what follows must not be another number
        starts = [k for k in known if len(k) >= 4 and plain.startswith(k) and not plain[len(k) :][:1].isdigit()]
        starts += [k for k in known if len(k) >= 4 and plain.startswith(k) and plain[len(k) :][:2] in {"2R", "2Z"}]
        match = known[max(starts, key=len)] if starts else None
    if match is None:
        raise NotFoundError(
            f"bearing {designation!r} is not in the catalogue",
            hint="give its lines instead: OR=3.585,IR=5.415,B=4.714,FTF=0.398 (orders of the shaft)",
        )
    name, entry, search = match
    return of_geometry(
        name, entry["elements"], entry["element"], entry["pitch"], entry.get("angle", 0.0), search=search
    )
