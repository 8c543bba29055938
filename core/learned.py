"""Learned models beside the stream: which of them look at which machines, and what they say.

The *champion* of a name speaks. Its *challenger* sees the same frames and what it would have said is stored beside it,
so that the two can be compared before anybody relies on it; it raises nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class ModelKind(StrEnum):
    """What a model tells."""

    REMAINING_LIFE = "remaining-life"
    NORMAL_BEHAVIOUR = "normal-behaviour"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A version of a model that is at work. Two entries are equal where name, version and role are: a version never
    changes.

    ``champion``: it speaks (else it is a challenger). ``features``: what it looks at (``points``, ``settings``,
    ``step_us``, ``component``). ``reference``: how its points were distributed in the window it learned from, by point
    ``{"edges": […], "shares": […]}`` (see models.drift). ``estimator``: fitted, loaded from a file whose signature was
    checked.
    """

    name: str
    version: int
    champion: bool
    kind: ModelKind = field(compare=False)
    type_key: str = field(compare=False)
    features: Mapping[str, Any] = field(compare=False, repr=False)
    reference: Mapping[str, Any] = field(compare=False, repr=False)
    estimator: Any = field(compare=False, repr=False)

    @property
    def label(self) -> str:
        """``name@version``, by which its memory is kept."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Prognosis:
    """Remaining life of a component ("": the equipment) as a model told it at ``at``, the end of a step of the
    machine's clock.

    ``p10 <= p50 <= p90`` in ``unit`` of that clock; a value equal to ``horizon`` reads "at least". ``dates``: the same
    three in calendar time (µs UTC), each None where it lies beyond what is told or the use is not known yet.
    """

    equipment_id: int
    component: str
    at: int
    model: str
    version: int
    champion: bool
    p10: float
    p50: float
    p90: float
    unit: str
    horizon: float
    dates: tuple[int | None, int | None, int | None] = (None, None, None)


@dataclass(frozen=True, slots=True)
class ModelScore:
    """How far from normal a component was in a model's eyes at ``at``.

    ``score``: 1 is the edge of normal. ``change``: what the model's alarm did (``raised``, ``cleared``), None where
    this is a look in between. ``text`` names what moved, which way; ``contributions``: shares of the score by point.
    """

    equipment_id: int
    component: str
    at: int
    model: str
    version: int
    champion: bool
    score: float
    change: str | None = None
    concern: str = "machine"
    text: str = ""
    contributions: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drift:
    """How far what a machine sends has moved from what a model learned from, over a window that ended at ``at``.

    ``index``: population stability index of the point that moved most; ``points``: index by point, the worst ones;
    ``drifted``: past the edge, so that what the model says deserves less trust. A note, never an alarm of the machine.
    """

    equipment_id: int
    model: str
    version: int
    champion: bool
    since: int
    at: int
    index: float
    drifted: bool
    points: Mapping[str, float] = field(default_factory=dict)
