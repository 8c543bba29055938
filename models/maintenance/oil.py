"""Oil analyses against their limits, and where they are going: pure.

Cleanliness after ISO 4406: three codes for particles > 4, > 6, > 14 µm(c) per mL, one code is a factor of two. AS4059
(formerly NAS 1638) classes are taken too, as the usual equivalence of their 14 µm(c) count. Trend: the median of the
slopes between all samples (Theil–Sen), which one wrong bottle does not move; at least three samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from core.errors import InvalidInputError
from core.maintenance_plan import OilDef
from core.time import DAY

Level = Literal["good", "warning", "alarm"]
_LEVELS: Final = ("good", "warning", "alarm")
_CLASS_14: Final = {0: 9, 1: 10, 2: 11, 3: 12, 4: 13, 5: 14, 6: 15, 7: 16, 8: 17, 9: 18, 10: 19, 11: 20, 12: 21}
"""AS4059 class to the ISO 4406 code of > 14 µm(c); classes and codes both double, so the step is one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One figure: ``value`` in ``unit``, ``limit`` it was judged by (that of its level, else the warning).

    ``per_year`` its trend, ``days_to_alarm`` from the sample at that trend; None where there is none.
    """

    figure: str
    value: float
    unit: str
    level: Level
    limit: float
    text: str
    per_year: float | None = None
    days_to_alarm: float | None = None


def iso_codes(text: str) -> tuple[int, int, int]:
    """``"18/16/13"``, or an AS4059/NAS 1638 class ``"NAS 7"`` with its codes below.

    >>> iso_codes("NAS 7")
    (21, 19, 16)
    """
    cleaned = text.upper().replace("AS4059", "").replace("NAS1638", "").replace("NAS", "").strip()
    try:
        numbers = [int(part) for part in cleaned.split("/")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] in _CLASS_14 and cleaned != text.upper().strip():
        code = _CLASS_14[numbers[0]]
        return code + 5, code + 3, code
    if len(numbers) == 3 and all(0 <= n <= 28 for n in numbers) and numbers[0] >= numbers[1] >= numbers[2]:
        return numbers[0], numbers[1], numbers[2]
    raise InvalidInputError(f"{text!r} is no cleanliness", hint="ISO 4406 as 18/16/13, or a class as NAS 7")


def judge(
    oil: OilDef, figures: Mapping[str, Any], at: int, earlier: Sequence[tuple[int, Mapping[str, Any]]]
) -> list[Judged]:
    """Each figure of a sample taken ``at`` (µs UTC), worst first; ``earlier`` samples give the trend.

    ``figures``: ``viscosity_40`` mm²/s, ``water`` mg/kg, ``acid_number`` mg KOH/g, ``cleanliness`` text, ``metals`` by
    element mg/kg. What is missing is not judged.
    """
    found: list[Judged] = []
    history = [*earlier, (at, figures)]
    if (viscosity := figures.get("viscosity_40")) is not None:
        share = 100.0 * (float(viscosity) / oil.viscosity - 1.0)
        warning, alarm = oil.viscosity_percent
        level, limit = _level(abs(share), warning, alarm)
        text = f"{share:+.1f} % of new ({oil.viscosity:g} mm²/s), limit ±{limit:g} %"
        found.append(Judged("viscosity_40", float(viscosity), "mm2/s", level, limit, text))
    found += _rising("water", "mg/kg", oil.water, history, 0.0)
    new = oil.acid_new
    found += _rising("acid_number", "mg KOH/g", (new + oil.acid_rise[0], new + oil.acid_rise[1]), history, 0.0)
    if (cleanliness := figures.get("cleanliness")) is not None:
        codes = iso_codes(str(cleanliness))
        over = max(code - limit for code, limit in zip(codes, oil.cleanliness, strict=True))
        target = "/".join(map(str, oil.cleanliness))
        # one code over is twice the particles: the time to change the filter; two and more wear the bearings
        found.append(
            Judged(
                "cleanliness",
                float(codes[2]),
                "ISO 4406",
                _LEVELS[min(max(over, 0), 2)],
                float(oil.cleanliness[2]),
                f"{'/'.join(map(str, codes))}, target {target}",
            )
        )
    for element in sorted(figures.get("metals") or {}):
        series = [(t, {"x": (f.get("metals") or {}).get(element)}) for t, f in history]
        found += _rising("x", "mg/kg", oil.metals, series, 0.0, f"metals.{element}")
    return sorted(found, key=lambda one: (-_LEVELS.index(one.level), one.figure))


def worst(judged: Sequence[Judged]) -> Level:
    return _LEVELS[max((_LEVELS.index(one.level) for one in judged), default=0)]


def _level(value: float, warning: float, alarm: float) -> tuple[Level, float]:
    if value > alarm:
        return "alarm", alarm
    return ("warning", warning) if value > warning else ("good", warning)


def _rising(
    key: str,
    unit: str,
    limits: tuple[float, float],
    history: Sequence[tuple[int, Mapping[str, Any]]],
    floor: float,
    name: str = "",
) -> list[Judged]:
    value = history[-1][1].get(key)
    if value is None:
        return []
    level, limit = _level(float(value), *limits)
    points = [(t, float(f[key])) for t, f in history if f.get(key) is not None]
    slope = trend(points)
    per_year = None if slope is None else slope * 365.0
    days = None
    text = f"{value:g} {unit}, limit {limit:g}"
    if slope is not None and slope > 0 and float(value) < limits[1]:
        days = (limits[1] - float(value)) / slope
        text += f", rising by {per_year:.3g} a year"
    return [Judged(name or key, max(float(value), floor), unit, level, limit, text, per_year, days)]


def trend(points: Sequence[tuple[int, float]]) -> float | None:
    """Slope per day by Theil and Sen; None under three samples.

    >>> trend([(0, 1.0), (DAY, 2.0), (2 * DAY, 3.0)])
    1.0
    """
    if len(points) < 3:
        return None
    t = np.array([p[0] for p in points], float) / DAY
    y = np.array([p[1] for p in points], float)
    i, j = np.triu_indices(len(points), 1)
    apart = np.abs(t[j] - t[i]) > 1e-9
    return float(np.median((y[j] - y[i])[apart] / (t[j] - t[i])[apart])) if apart.any() else None
