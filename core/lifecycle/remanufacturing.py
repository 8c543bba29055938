"""What is to become of a part that came back: reuse, repair, remanufacture or scrap, with every reason.

Limits come with the kind of part; each criterion that is known speaks, the gravest verdict stands, and what is not
known is said and never taken for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Grade(IntEnum):
    """From best to worst; the worst that a criterion asks for stands."""

    REUSE = 0
    REPAIR = 1
    REMANUFACTURE = 2
    SCRAP = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a kind of part. Shares are of ``design_hours``. ``wear``: by measured quantity, the amounts from which it
    wants repair, remanufacturing, scrapping (None: never for that reason)."""

    design_hours: float
    reuse_share: float = 0.5
    remanufacture_share: float = 0.9
    lives: int = 3
    health_good: float = 85.0
    health_poor: float = 50.0
    wear: Mapping[str, tuple[float | None, float | None, float | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Returned:
    """What is known of a part; None: not known. ``measured`` from inspection, in the units of ``Limits.wear``;
    ``damage``: findings that nobody repairs (a crack, heat discolouration)."""

    hours: float | None = None
    lives: int = 1
    health: float | None = None
    failed: bool = False
    measured: Mapping[str, float] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    inspected: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    grade: Grade
    text: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """``provisional``: something that decides is not known yet; ``missing`` says what."""

    grade: Grade
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]

    @property
    def provisional(self) -> bool:
        return bool(self.missing)


def assess(part: Returned, limits: Limits) -> Assessment:
    """The verdict; reasons gravest first."""
    reasons = [
        *_damage(part),
        *_hours(part, limits),
        *_lives(part, limits),
        *_health(part, limits),
        *_wear(part, limits),
    ]
    if part.failed:
        reasons.append(Reason(Grade.REPAIR, "it was removed because it had failed"))
    missing = []
    if part.hours is None:
        missing.append("hours run")
    if not part.inspected:
        missing.append("an inspection")
    missing += [f"the measured {name}" for name in limits.wear if name not in part.measured]
    worst = max((reason.grade for reason in reasons), default=Grade.REUSE)
    if worst is Grade.REUSE and missing:
        # Nobody builds in what nobody has looked at.
        worst = Grade.REPAIR
        reasons.append(Reason(Grade.REPAIR, f"not known: {', '.join(missing)}"))
    # One life more than allowed is no life at all, whatever else would be possible.
    if worst is Grade.REMANUFACTURE and part.lives >= limits.lives:
        worst = Grade.SCRAP
        reasons.append(Reason(Grade.SCRAP, f"would begin life {part.lives + 1}, {limits.lives} are allowed"))
    ordered = sorted(reasons, key=lambda reason: -reason.grade)
    return Assessment(worst, tuple(ordered), tuple(missing))


def _damage(part: Returned) -> list[Reason]:
    return [Reason(Grade.SCRAP, f"{finding}: nothing restores that") for finding in part.damage]


def _hours(part: Returned, limits: Limits) -> list[Reason]:
    if part.hours is None:
        return []
    share = part.hours / limits.design_hours
    said = f"{part.hours:.0f} h run in this life, {100 * share:.0f} % of {limits.design_hours:.0f} h"
    if share >= limits.remanufacture_share:
        return [Reason(Grade.REMANUFACTURE, said)]
    if share >= limits.reuse_share:
        return [Reason(Grade.REPAIR, f"{said}: wearing parts are due")]
    return [Reason(Grade.REUSE, said)]


def _lives(part: Returned, limits: Limits) -> list[Reason]:
    if part.lives > limits.lives:
        return [Reason(Grade.SCRAP, f"in life {part.lives}, {limits.lives} are allowed")]
    return [Reason(Grade.REUSE, f"in life {part.lives} of {limits.lives}")]


def _health(part: Returned, limits: Limits) -> list[Reason]:
    if part.health is None:
        return []
    said = f"health {part.health:.0f} when it was removed"
    if part.health < limits.health_poor:
        return [Reason(Grade.REMANUFACTURE, f"{said}, under {limits.health_poor:.0f}")]
    if part.health < limits.health_good:
        return [Reason(Grade.REPAIR, f"{said}, under {limits.health_good:.0f}")]
    return [Reason(Grade.REUSE, said)]


def _wear(part: Returned, limits: Limits) -> list[Reason]:
    found = []
    for name, bounds in limits.wear.items():
        value = part.measured.get(name)
        if value is None:
            continue
        grade, bound = Grade.REUSE, None
        for candidate, at_least in zip((Grade.REPAIR, Grade.REMANUFACTURE, Grade.SCRAP), bounds, strict=True):
            if at_least is not None and value >= at_least:
                grade, bound = candidate, at_least
        found.append(Reason(grade, f"{name} {value:g}" + ("" if bound is None else f", from {bound:g} on")))
    return found
