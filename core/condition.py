"""Condition transitions: what a processor says about a machine. It never says what state an alarm is in (see
core.alarm)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Priority(StrEnum):
    """ISA-18.2 priorities, most to least urgent. Order matters: see :attr:`rank`."""

    URGENT = "urgent"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for urgent … 3 for low."""
        return _PRIORITY_ORDER.index(self)


_PRIORITY_ORDER = tuple(Priority)


class Concern(StrEnum):
    """What an alarm is about. An instrument's alarm never says that the machine is ill."""

    MACHINE = "machine"
    INSTRUMENT = "instrument"
    CONNECTION = "connection"


class Change(StrEnum):
    """What happened to a condition."""

    RAISED = "raised"
    CLEARED = "cleared"
    SUPPRESSED = "suppressed"
    """By design: the machine left the states in which the condition means anything."""
    UNSUPPRESSED = "unsuppressed"
    """It is back in them, and the condition still holds."""


@dataclass(frozen=True, slots=True)
class ConditionTransition:
    """One change of one condition of one equipment, in event time.

    ``condition`` is stable and unique within the equipment (the limit's key, e.g. ``lube_oil.filter/dp_45/high``).
    (equipment, condition, at, change) is the identity: stored once however often it arrives.
    ``first_out`` is the condition of the same equipment that this one follows from (None: it stands for itself);
    ``announce`` is False for consequences under a first-out. ``late`` marks a crossing found in a late reading.
    ``detail`` holds evidence for people and reports, JSON-able.
    """

    equipment_id: int
    component: str
    condition: str
    change: Change
    at: int
    priority: Priority
    concern: Concern
    title: str
    """A sentence an engineer reads: what, where, how much over what."""
    point: str | None = None
    value: float | None = None
    limit: float | None = None
    failure_mode: str | None = None
    consequence: str = ""
    action: str = ""
    first_out: str | None = None
    announce: bool = True
    late: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StateChange:
    """The machine's operating state from ``at`` on (``loaded``, ``depot`` …; ``unknown`` before the first proof)."""

    equipment_id: int
    at: int
    state: str


@dataclass(frozen=True, slots=True)
class HealthReason:
    """One contribution to a health index: what, and how many points of 100 it takes away."""

    condition: str
    text: str
    takes: float
    failure_mode: str | None = None


@dataclass(frozen=True, slots=True)
class HealthAssessment:
    """Health index 0–100 of a component (or, with component ``""``, of the equipment, rolled up by criticality)."""

    equipment_id: int
    component: str
    at: int
    index: float
    reasons: tuple[HealthReason, ...] = ()
