"""How bad is it? A level against the tables of the standards, and against how it used to be.

All figures are in ``iso20816.yaml``, with references. A boundary belongs to the worse zone: what reaches B/C is in C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInputError
from models.vibration.zones import boundaries, shaft_boundaries, tables


@dataclass(frozen=True, slots=True)
class Severity:
    """``zone`` A to D; ``limits`` A/B, B/C, C/D in ``unit``; ``share`` of B/C; ``alarm`` and ``trip`` suggested."""

    zone: str
    value: float
    limits: tuple[float, float, float]
    unit: str
    share: float
    standard: str
    reference: str

    @property
    def trip(self) -> float:
        """At most 1.25 × C/D; it belongs to the machine's protection system (API 670)."""
        return 1.25 * self.limits[2]


def zone_of(value: float, limits: tuple[float, float, float]) -> str:
    """A, B, C or D.

    >>> [zone_of(v, (2.3, 4.5, 7.1)) for v in (2.29, 2.3, 4.5, 7.1)]
    ['A', 'B', 'C', 'D']
    """
    return "ABCD"[sum(value >= limit for limit in limits)]


def judge(
    value: float,
    standard: str = "iso20816-3",
    *,
    quantity: str = "velocity",
    group: int = 2,
    foundation: str = "rigid",
    category: int = 2,
    power: float = 0.0,
    speed: float = float("nan"),
    clearance: float | None = None,
) -> Severity:
    """A level in trade units (mm/s RMS, µm RMS; shafts µm peak to peak) by one of the standards of the data file.

    ``iso20816-3``: ``quantity`` velocity or displacement, ``group``, ``foundation``. ``shaft-displacement``: ``speed``,
    ``clearance``. ``iso10816-7`` (pumps): ``category`` 1 or 2, ``power`` in kW. Raises for what is not there.
    """
    data = tables()
    if standard not in data or standard == "change":
        raise InvalidInputError(f"no standard {standard!r}", hint="iso20816-3, shaft-displacement, iso10816-7")
    if standard == "shaft-displacement":
        if not speed > 0:
            raise InvalidInputError("shaft displacement is judged by speed", hint="give the shaft's r/min")
        limits, unit = shaft_boundaries(speed, clearance), "um"
    elif standard == "iso20816-3":
        try:
            limits = boundaries(quantity, group, foundation)
        except KeyError:
            raise InvalidInputError(
                f"ISO 20816-3 has no {quantity} for group {group}, {foundation}", hint="group 1 or 2; rigid or flexible"
            ) from None
        unit = str(data[standard]["units"][quantity])
    else:
        limits, unit = pump_boundaries(category, power), "mm/s"
    share = value / limits[1]
    return Severity(zone_of(value, limits), value, limits, unit, share, standard, str(data[standard]["reference"]))


def pump_boundaries(category: int, power: float) -> tuple[float, float, float]:
    """ISO 10816-7: velocity RMS in mm/s of rotodynamic pumps of category 1 (high demands) or 2, by power in kW.

    >>> pump_boundaries(1, 250)
    (3.5, 5.0, 7.6)
    """
    data: Mapping[str, Any] = tables()["iso10816-7"]
    rows = data["velocity"].get(category)
    if rows is None:
        raise InvalidInputError(f"ISO 10816-7 has no category {category}", hint="1 or 2")
    a, b, c = rows["above" if power > data["power"] else "up_to"]
    return float(a), float(b), float(c)


def acceptance(speed: float) -> float:
    """API 617: largest shaft vibration of a new compressor at r/min, µm peak to peak, overall.

    >>> round(acceptance(12_000), 1), round(acceptance(8000), 1)
    (25.4, 25.4)
    """
    data = tables()["api617"]
    return min(float(data["most"]), float(data["most"]) * float((data["speed"] / speed) ** 0.5))


@dataclass(frozen=True, slots=True)
class Change:
    """``by`` in the level's unit; ``share`` of B/C; ``significant``: more than a quarter of it, either way."""

    by: float
    share: float
    significant: bool


def change(value: float, baseline: float, bc: float) -> Change:
    """Criterion II of ISO 20816: a change of more than 0.25 × B/C counts, up or down, even in zone A or B.

    >>> change(3.0, 1.8, 4.5).significant
    True
    """
    by = value - baseline
    return Change(by, by / bc, abs(by) > float(tables()["change"]["share_of_bc"]) * bc)


def alarm(baseline: float, bc: float) -> float:
    """ALARM: baseline + 0.25 × B/C, at most 1.25 × B/C (ISO 20816-3).

    >>> alarm(1.0, 4.5)
    2.125
    """
    share = float(tables()["change"]["share_of_bc"])
    return min(baseline + share * bc, 1.25 * bc)
