"""Learned normal behaviour on the stream: distances from normal become conditions, stored scores and health.

One condition at a time per machine and model. Where one channel alone explains the distance, the instrument is the
suspect and the condition is the instrument's; where others join it later, the machine's condition takes its place. A
point that is the only witness of a fault (a filter's differential pressure; ``alone`` among the model's features) is
believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from core.condition import Change, Concern, ConditionTransition, HealthReason, Priority
from core.equipment import PointInstance
from core.learned import ModelEntry, ModelScore
from core.time import MINUTE
from models.steps import Ended
from stream_processors.pipeline.findings import Findings, figure
from stream_processors.pipeline.layout import FloatArray, TypeLayout, point_label, spoken

if TYPE_CHECKING:
    from stream_processors.pipeline.fleet import TypeState

Index = NDArray[np.intp]

LOOK: Final = 10 * MINUTE
"""How often a score is stored while nothing happens."""
CONVINCED: Final = 10
"""Steps in a row in which an instrument no longer explains it alone, until it is the machine's."""
PRIORITY: Final = {Concern.MACHINE: Priority.MEDIUM, Concern.INSTRUMENT: Priority.LOW}
TAKES: Final = 20.0
"""Points of health, as a condition of that priority takes."""
_NAMED: Final = 3
"""Sensors named in a title's evidence."""
_SILENT: Final = -1


@dataclass(frozen=True, slots=True)
class Standing:
    """A condition that stands: on which component or point, by which model."""

    condition: str
    component: str
    concern: Concern
    point: PointInstance
    text: str


class NormalScorer:
    """A model of normal behaviour beside the ``machines`` machines of a type."""

    def __init__(
        self, entry: ModelEntry, place: Mapping[str, int], step: int, machines: int, layout: TypeLayout
    ) -> None:
        self.entry, self.step, self.model, self.layout = entry, step, entry.estimator, layout
        self.sensors, self.settings = (
            np.array([place[key] for key in entry.features.get(name, ())], np.intp) for name in ("points", "settings")
        )
        by_key = {p.key: p for p in layout.points}
        self.points = tuple(by_key[key] for key in entry.features["points"])
        self.components = np.array(
            [layout.components.index(p.component) if p.component in layout.components else -1 for p in self.points]
        )
        witnesses = set(entry.features.get("alone", ()))
        self.alone = np.array([p.key in witnesses for p in self.points])
        """Of a point: the only witness of a fault, so that it is believed where it moves alone."""
        self.memory = self.model.start(machines)
        self.raised = np.full(machines, _SILENT, np.int64)
        """The sensor that the standing condition names, −1 where none stands."""
        self.instrument = np.zeros(machines, np.bool_)
        self.doubt = np.zeros(machines, np.int32)
        self.looked = np.full(machines, -1, np.int64)

    def ended(self, state: TypeState, steps: Ended, out: Findings) -> None:
        rows, at = steps.rows, steps.at
        settings, sensors = steps.mean[:, self.settings], steps.mean[:, self.sensors]
        last = self.memory.at[rows]
        broke = np.flatnonzero((last >= 0) & (at - last > self.step + self.step // 2))
        if broke.size:  # it stood still in between: what it did before says nothing about now
            nothing = (np.full_like(a[broke], np.nan) for a in (settings, sensors))
            self.model.step(
                self.memory, rows[broke], at[broke] - self.step, *nothing, np.zeros(len(broke), np.bool_), None
            )
        stand = state.active[rows] & self.layout.limits.machine
        scores = self.model.step(self.memory, rows, at, settings, sensors, None, stand.any(axis=1))
        # a component on which a condition of the machine stands moves its instruments
        on_it = (stand & (self.layout.limits.component == self.components[scores.instrument][:, None])).any(axis=1)
        scores.instrument = np.where(self.alone[scores.instrument] | on_it, -1, scores.instrument)
        looks = scores.ready & (at // LOOK > self.looked[rows] // LOOK)
        moves = scores.alarm != (self.raised[rows] >= 0)
        doubtful = scores.alarm & self.instrument[rows] & scores.ready & (scores.instrument < 0)
        self.doubt[rows] = np.where(doubtful, self.doubt[rows] + 1, 0)
        moves |= self.doubt[rows] >= CONVINCED
        self.looked[rows] = np.where(looks, at, self.looked[rows])
        for i in np.flatnonzero(looks | moves).tolist():
            self._tell(state, int(rows[i]), int(at[i]), scores, i, bool(moves[i]), out)

    def _tell(self, state: TypeState, row: int, at: int, scores: Any, i: int, moves: bool, out: Findings) -> None:
        shares = np.nan_to_num(scores.contribution[i])
        distance = float(scores.distance[i])
        if not moves:
            self._store(state, row, at, distance, shares, None, Concern.MACHINE, "", "", out)
            return
        if self.raised[row] >= 0:
            self._say(state, row, Change.CLEARED, at, distance, shares, "", out)
            self.raised[row] = _SILENT
        self.doubt[row] = 0
        if not scores.alarm[i]:
            return
        alone = int(scores.instrument[i])
        self.instrument[row] = alone >= 0
        self.raised[row] = alone if alone >= 0 else int(np.argmax(shares))
        self._say(state, row, Change.RAISED, at, distance, shares, self._words(scores, i, shares), out)

    def _say(
        self,
        state: TypeState,
        row: int,
        change: Change,
        at: int,
        distance: float,
        shares: FloatArray,
        words: str,
        out: Findings,
    ) -> None:
        stands = self._standing(row)
        self._store(state, row, at, distance, shares, change.value, stands.concern, stands.component, words, out)
        if self.entry.champion:
            out.add(self.transition(state, row, change, at, distance, self._told(shares), words))

    def renewed(self, state: TypeState, row: int, at: int, components: Sequence[str], out: Findings) -> None:
        """Back to the type's model, to learn the machine anew; what stood is over."""
        if self.raised[row] >= 0:
            nothing = np.zeros(len(self.points))
            self._say(state, row, Change.CLEARED, at, float("nan"), nothing, "", out)
            self.raised[row] = _SILENT
        self.doubt[row] = 0
        self.model.reset(self.memory, np.array([row]))

    def transition(
        self,
        state: TypeState,
        row: int,
        change: Change,
        at: int,
        distance: float = float("nan"),
        told: Mapping[str, float] | None = None,
        words: str = "",
    ) -> ConditionTransition:
        """The change of the condition that stands on the machine."""
        stands = self._standing(row)
        machine = stands.concern is Concern.MACHINE
        detail: dict[str, Any] = {"model": self.entry.label, "contributions": dict(told or {})}
        if words:
            detail["evidence"] = words
        return ConditionTransition(
            equipment_id=int(state.ids[row]),
            component=stands.component,
            condition=stands.condition,
            change=change,
            at=at,
            priority=PRIORITY[stands.concern],
            concern=stands.concern,
            title=f"{stands.text} ({words})" if words else stands.text,
            point=stands.point.key,
            value=None if np.isnan(distance) else round(distance, 4),
            limit=1.0,
            failure_mode="abnormal_behaviour" if machine else "instrument_unlike_others",
            consequence="" if machine else "What rests on this point deserves no trust; the machine may be well.",
            action="Look at the sensors named: which of them moved, and what else happened then."
            if machine
            else "Compare the instrument with a second one.",
            detail=detail,
        )

    def standing(self, row: int) -> Standing | None:
        """What the champion holds against a machine; None where nothing."""
        return self._standing(row) if self.entry.champion and self.raised[row] >= 0 else None

    def losses(self, rows: Index) -> Iterator[tuple[Index, NDArray[np.int64]]]:
        """(places in ``rows``, component) on which a condition of the machine takes health away."""
        if self.entry.champion:
            component = np.where(self.instrument[rows], -1, self.components[self.raised[rows]])
            ill = np.flatnonzero((self.raised[rows] >= 0) & (component >= 0))
            if ill.size:
                yield ill, component[ill]

    def _standing(self, row: int) -> Standing:
        point = self.points[int(self.raised[row])]
        where = self.layout.component_names.get(point.component, point.component)
        if self.instrument[row]:
            condition = f"{point.component}/{point.key}/{self.entry.name}"
            text = f"{point_label(point)} is unlike what all others say"
            return Standing(condition, point.component, Concern.INSTRUMENT, point, text)
        text = f"{where} does not behave as learned, {point_label(point)} least"
        return Standing(f"{point.component}/{self.entry.name}", point.component, Concern.MACHINE, point, text)

    def _told(self, shares: FloatArray) -> dict[str, float]:
        worst = np.argsort(-shares, kind="stable")[: _NAMED + 2]
        return {self.points[j].key: round(float(shares[j]), 3) for j in worst.tolist() if shares[j] >= 0.05}

    def _words(self, scores: Any, i: int, shares: FloatArray) -> str:
        """Which sensors, which way, how far: "oil temperature 6.2 °C higher than expected (4.1 σ, 63 %)"."""
        found: list[str] = []
        for j in np.argsort(-shares, kind="stable")[:_NAMED].tolist():
            if shares[j] < 0.1 and found:
                break
            away, sigma = float(scores.residual[i, j]), float(scores.against[i, j])
            unit = spoken(self.points[j].definition.unit)
            amount = f"{figure(abs(away))} {unit}".strip()
            way = "higher" if away > 0 else "lower"
            found.append(
                f"{point_label(self.points[j])} {amount} {way} than expected, "
                f"{figure(abs(sigma))} σ off the others, {100 * shares[j]:.0f} %"
            )
        return "; ".join(found)

    def _store(
        self,
        state: TypeState,
        row: int,
        at: int,
        distance: float,
        shares: FloatArray,
        change: str | None,
        concern: Concern,
        component: str,
        words: str,
        out: Findings,
    ) -> None:
        entry = self.entry
        out.scores.append(
            ModelScore(
                int(state.ids[row]), component, at, entry.name, entry.version, entry.champion, round(distance, 4),
                change, concern.value, words, self._told(shares),
            )
        )  # fmt: skip

    def arrays(self) -> dict[str, NDArray[Any]]:
        memory = {f"memory.{name}": getattr(self.memory, name) for name in self.memory.__slots__}
        own = {name: getattr(self, name) for name in ("raised", "instrument", "doubt", "looked")}
        return {**memory, **own}


def reason(stands: Standing) -> HealthReason:
    """What a condition says among the reasons of a component's health."""
    takes = TAKES if stands.concern is Concern.MACHINE else 0.0
    mode = "abnormal_behaviour" if stands.concern is Concern.MACHINE else None
    return HealthReason(stands.condition, stands.text, takes, mode)
