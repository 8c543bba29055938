"""Times between failures and to restoration, and availability, in the words of EN 13306; what fails most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import scipy

from core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Dependability:
    """``mtbf``: operating time per failure; ``mttr``: mean time to restoration; hours. ``availability`` = up time over
    up and down time. Bounds of the MTBF: χ², time-truncated (IEC 60605-4); None where there was no failure above."""

    failures: int
    mtbf: float | None
    mtbf_low: float
    mtbf_high: float | None
    mttr: float | None
    availability: float | None


def dependability(up_hours: float, repair_hours: Sequence[float], confidence: float = 0.90) -> Dependability:
    """Of ``up_hours`` of operation and the time that each failure took to be put right."""
    if up_hours < 0 or any(not math.isfinite(t) or t < 0 for t in repair_hours):
        raise InvalidInputError("times are not negative")
    failures, down = len(repair_hours), sum(repair_hours)
    tail = (1 - confidence) / 2
    low = 2 * up_hours / float(scipy.stats.chi2.ppf(1 - tail, 2 * failures + 2))
    high = 2 * up_hours / float(scipy.stats.chi2.ppf(tail, 2 * failures)) if failures else None
    return Dependability(
        failures,
        up_hours / failures if failures else None,
        low,
        high,
        down / failures if failures else None,
        up_hours / (up_hours + down) if up_hours + down > 0 else None,
    )


def inherent_availability(mtbf: float, mttr: float) -> float:
    """MTBF / (MTBF + MTTR)."""
    return mtbf / (mtbf + mttr)


@dataclass(frozen=True, slots=True)
class Share:
    """One cause: how often, how much of all, and how much with all before it."""

    key: str
    weight: float
    share: float
    cumulated: float


def pareto(weights: Mapping[str, float]) -> list[Share]:
    """Causes by weight (failures, or hours lost), heaviest first."""
    whole = sum(weights.values())
    found: list[Share] = []
    so_far = 0.0
    for key, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0])):
        so_far += weight
        found.append(Share(key, weight, weight / whole if whole else 0.0, so_far / whole if whole else 0.0))
    return found
