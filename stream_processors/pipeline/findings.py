"""What leaves the vector world: crossings, one small object each, and the sentences that go with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.condition import Change, Concern, ConditionTransition, HealthAssessment, Priority, StateChange
from core.equipment import PointInstance
from core.learned import Drift, ModelScore, Prognosis
from stream_processors.pipeline.layout import BAD, IMPLAUSIBLE, STALE, STUCK, LimitInstance, point_label

if TYPE_CHECKING:
    from stream_processors.pipeline.fleet import TypeState


@dataclass(slots=True)
class Finding:
    """A transition before grouping. ``step`` orders findings of one equipment in event order."""

    step: int
    transition: ConditionTransition

    @property
    def order(self) -> tuple[int, int, int, str]:
        t = self.transition
        return (t.equipment_id, self.step, t.priority.rank, t.condition)


@dataclass(slots=True)
class Findings:
    """Collected during one record. ``step`` grows with every frame looked at."""

    step: int = 0
    transitions: list[Finding] = field(default_factory=list)
    states: list[StateChange] = field(default_factory=list)
    health: list[HealthAssessment] = field(default_factory=list)
    derived: list[tuple[Any, Any, Any]] = field(default_factory=list)
    """(point ids, ts, values) of derived points to store."""
    prognoses: list[Prognosis] = field(default_factory=list)
    scores: list[ModelScore] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, by: int = 1) -> None:
        if by:
            self.counts[name] = self.counts.get(name, 0) + by

    def add(self, transition: ConditionTransition) -> None:
        self.transitions.append(Finding(self.step, transition))

    def limit(
        self,
        state: TypeState,
        row: int,
        instance: LimitInstance,
        change: Change,
        at: int,
        value: float,
        limit: float,
        *,
        since: int | None = None,
        late: bool = False,
        announce: bool = True,
    ) -> None:
        """A limit crossed, come back from, or (un)suppressed."""
        d = instance.definition
        detail: dict[str, Any] = {"side": d.side.value, "unit": instance.point.definition.unit, "latching": d.latching}
        detail["state"] = state.layout.codes[int(state.state[row])]
        if since is not None and since != at:
            detail["since"] = since
        if d.advice is not None:
            detail["advice"] = d.advice.value
        self.add(
            ConditionTransition(
                equipment_id=int(state.ids[row]),
                component=instance.component,
                condition=instance.condition,
                change=change,
                at=at,
                priority=d.priority,
                concern=d.concern,
                title=instance.title.replace("{value}", figure(value)).replace("{limit}", figure(limit)),
                point=instance.point.key,
                value=None if np.isnan(value) else value,
                limit=None if np.isnan(limit) else limit,
                failure_mode=d.failure_mode,
                consequence=d.consequence,
                action=d.action,
                announce=announce,
                late=late,
                detail=detail,
            )
        )

    def instrument(
        self,
        state: TypeState,
        row: int,
        column: int,
        kind: int,
        change: Change,
        at: int,
        value: float,
        *,
        late: bool = False,
    ) -> None:
        """One of the built-in conditions of an instrument."""
        point = state.layout.points[column]
        word, priority, sentence, action = _INSTRUMENT[kind]
        self.add(
            ConditionTransition(
                equipment_id=int(state.ids[row]),
                component=point.component,
                condition=instrument_condition(point, kind),
                change=change,
                at=at,
                priority=priority,
                concern=Concern.INSTRUMENT,
                title=sentence.format(point=point_label(point), value=figure(value)),
                point=point.key,
                value=None if np.isnan(value) else float(value),
                failure_mode=f"instrument_{word}",
                consequence="Rules that rest on this point say nothing meanwhile; the machine may be well.",
                action=action,
                late=late,
            )
        )

    def silent(self, state: TypeState, row: int, change: Change, at: int) -> None:
        """The whole equipment stopped sending, or is back."""
        self.add(
            ConditionTransition(
                equipment_id=int(state.ids[row]),
                component="",
                condition="/silent",
                change=change,
                at=at,
                priority=Priority.MEDIUM,
                concern=Concern.CONNECTION,
                title="No readings from this equipment",
                failure_mode="connection_lost",
                consequence="Nothing is watched until readings arrive again.",
                action="Look at the gateway's power, network and certificates.",
            )
        )


_INSTRUMENT = {
    STUCK: ("stuck", Priority.MEDIUM, "{point} is stuck at {value}", "Check the sensor, its wiring and the channel."),
    IMPLAUSIBLE: (
        "implausible",
        Priority.LOW,
        "{point} jumped to {value} faster than it can move",
        "Check the sensor, its wiring, and whether it was exchanged or adjusted.",
    ),
    BAD: (
        "bad",
        Priority.MEDIUM,
        "{point} sends bad values",
        "Check for an open circuit, a short circuit or a lost supply.",
    ),
    STALE: ("stale", Priority.LOW, "{point} has stopped sending", "Check the sensor and the device that reads it."),
}


def instrument_condition(point: PointInstance, kind: int) -> str:
    """Key of a built-in condition: ``{component}/{point}/stuck`` and so on."""
    return f"{point.component}/{point.key}/{_INSTRUMENT[kind][0]}"


def figure(value: float) -> str:
    """A number as people write it: four significant digits, no exponent where avoidable.

    >>> figure(0.80049), figure(10728.4), figure(-0.0), figure(float("nan"))
    ('0.8005', '10728', '0', 'unknown')
    """
    if np.isnan(value):
        return "unknown"
    value += 0.0  # minus nothing is nothing
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
