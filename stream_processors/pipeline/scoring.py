"""Learned models where a frame closes: frames become steps of the machine's clock, ended steps are looked at by all
models of the type side by side, champions and challengers alike.

What a model keeps is its own (by name and version), so a challenger that is promoted goes on with what it has seen, and
a version that is new begins to look where it was taken up. Nothing here decides by anything but event time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.learned import Drift, ModelEntry, ModelKind, Prognosis
from models.drift import DRIFTED, DriftWatch
from models.prognosis.answer import NEVER
from models.steps import Ended, StepMeans
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.layout import BoolArray, FloatArray, IntArray, TypeLayout
from stream_processors.pipeline.normal import NormalScorer, Standing

if TYPE_CHECKING:
    from stream_processors.pipeline.fleet import TypeState

Index = NDArray[np.intp]
Arrays = dict[str, NDArray[Any]]

_WORST: int = 5
"""Points named in a note of drift."""


class Scorer(Protocol):
    """What a kind of model does with ended steps."""

    def ended(self, state: TypeState, steps: Ended, out: Findings) -> None:
        """Look at ended steps; their columns are those of the model's :class:`Clock`."""
        ...

    def renewed(self, state: TypeState, row: int, at: int, components: Sequence[str], out: Findings) -> None:
        """Components of what it looks at were renewed: begin anew where that makes another machine of it."""
        ...

    def arrays(self) -> Arrays:
        """The state itself, machines along the first axis."""
        ...


@dataclass(slots=True, eq=False)
class AtWork:
    """A model at work beside the machines of one type, and the watch over what it looks at."""

    entry: ModelEntry
    scorer: Scorer
    drift: DriftNotes

    def ended(self, state: TypeState, steps: Ended, out: Findings) -> None:
        self.drift.ended(state, steps, out)
        self.scorer.ended(state, steps, out)

    def arrays(self) -> Arrays:
        return {**self.scorer.arrays(), **{f"drift.{key}": a for key, a in self.drift.watch.arrays().items()}}


class Looking(Protocol):
    """Whoever looks at ended steps."""

    def ended(self, state: TypeState, steps: Ended, out: Findings) -> None: ...


@dataclass(slots=True, eq=False)
class Clock:
    """Steps of one length: the ``columns`` of the type's value matrix that those who look see."""

    steps: StepMeans
    columns: Index
    looking: Sequence[Looking]

    def tell(self, state: TypeState, ended: Ended, out: Findings) -> None:
        for one in self.looking:
            one.ended(state, ended, out)


class Learned:
    """All models beside the ``machines`` machines of a type. False where there are none.

    Models that ask for points the type no longer has are not used.
    """

    def __init__(self, layout: TypeLayout, machines: int, entries: Sequence[ModelEntry]) -> None:
        self.running_set = layout.running_set
        self.keys = tuple(p.key for p in layout.points)
        by_step: dict[int, list[ModelEntry]] = {}
        for entry in sorted(entries, key=lambda e: e.label):
            if set(points_of(entry)) <= layout.column_of.keys():
                by_step.setdefault(int(entry.features["step_us"]), []).append(entry)
        self.clocks: list[Clock] = []
        self.models: list[AtWork] = []
        for step, mine in sorted(by_step.items()):
            columns = np.array(sorted({layout.column_of[key] for e in mine for key in points_of(e)}), np.intp)
            place = {self.keys[column]: i for i, column in enumerate(columns.tolist())}
            at_work = [
                AtWork(e, _KINDS[e.kind](e, place, step, machines, layout), DriftNotes(e, place, machines))
                for e in mine
            ]
            self.clocks.append(Clock(StepMeans(machines, len(columns), step), columns, at_work))
            self.models += at_work
        self.normal = [model.scorer for model in self.models if isinstance(model.scorer, NormalScorer)]

    def __bool__(self) -> bool:
        return bool(self.clocks)

    def frame(self, state: TypeState, rows: Index, at: IntArray, values: FloatArray, out: Findings) -> None:
        """A closed frame: ``values`` [r, columns of the type] as formulas left them."""
        running = state.in_set[rows, self.running_set]
        for clock in self.clocks:
            ended = clock.steps.frame(rows, at, values[:, clock.columns], running)
            if ended is not None:
                clock.tell(state, ended, out)

    def block(self, rows: Index, at: IntArray, values: FloatArray, running: BoolArray) -> dict[int, list[Any]]:
        """Many frames at once, arrays with the moments before the other axes: by moment, the clocks that found steps
        over and which. They are told by the caller, when all else of that moment stands."""
        found: dict[int, list[Any]] = {}
        for clock in self.clocks:
            for moment, ended in clock.steps.frames(rows, at, values[:, :, clock.columns], running):
                found.setdefault(moment, []).append((clock, ended))
        return found

    def renewed(self, state: TypeState, row: int, at: int, components: Sequence[str], out: Findings) -> None:
        """A repair at ``at``: models that look at these components begin anew with the machine ``row``."""
        of_point = {p.key: p.component for p in state.layout.points}
        for clock in self.clocks:
            touched = False
            for model in clock.looking:
                if isinstance(model, AtWork) and any(of_point[key] in components for key in points_of(model.entry)):
                    model.scorer.renewed(state, row, at, components, out)
                    touched = True
            if touched:  # a step that began before the repair is not one of the machine as it is now
                clock.steps.sum[row], clock.steps.count[row], clock.steps.number[row] = 0.0, 0, -1

    def standing(self, row: int) -> list[Standing]:
        """What champions hold against a machine."""
        return [stands for scorer in self.normal if (stands := scorer.standing(row)) is not None]

    def image(self) -> dict[str, Any]:
        """For snapshots: without copies."""
        return {
            "steps": {
                str(clock.steps.step): {"points": [self.keys[c] for c in clock.columns], **clock.steps.arrays()}
                for clock in self.clocks
            },
            "models": {model.entry.label: model.arrays() for model in self.models},
        }


def points_of(entry: ModelEntry) -> tuple[str, ...]:
    """Keys of the points a model looks at: settings first, then sensors."""
    return (*entry.features.get("settings", ()), *entry.features["points"])


class DriftNotes:
    """Beside every model: whether what it looks at still is what it learned from."""

    def __init__(self, entry: ModelEntry, place: Mapping[str, int], machines: int) -> None:
        self.entry = entry
        self.points = points_of(entry)
        self.columns = np.array([place[key] for key in self.points], np.intp)
        self.watch = DriftWatch(entry.reference, self.points, machines)

    def ended(self, state: TypeState, steps: Ended, out: Findings) -> None:
        if not self.watch.watches:
            return
        moved = self.watch.ended(steps.rows, steps.at, steps.mean[:, self.columns])
        if moved is None:
            return
        for i, row in enumerate(moved.rows.tolist()):
            index = np.nan_to_num(moved.index[i], nan=0.0)
            worst = np.argsort(-index, kind="stable")[:_WORST]
            largest = float(index[worst[0]])
            out.drifts.append(
                Drift(
                    int(state.ids[row]), self.entry.name, self.entry.version, self.entry.champion,
                    int(moved.since[i]), int(moved.at[i]), round(largest, 4), largest > DRIFTED,
                    {self.points[j]: round(float(index[j]), 4) for j in worst.tolist() if index[j] > 0.1},
                )
            )  # fmt: skip


class LifeScorer:
    """Remaining life: one prognosis per machine and ended step."""

    def __init__(
        self, entry: ModelEntry, place: Mapping[str, int], step: int, machines: int, layout: TypeLayout
    ) -> None:
        from models.prognosis.online import OnlineLife  # with scikit-learn, which who has no models never loads

        self.entry = entry
        sensors, settings = (
            np.array([place[key] for key in entry.features.get(name, ())], np.intp) for name in ("points", "settings")
        )
        self.life = OnlineLife(entry.estimator, sensors, settings, step, machines)

    def ended(self, state: TypeState, steps: Ended, out: Findings) -> None:
        told = self.life.ended(steps)
        if told is None:
            return
        entry, life = self.entry, told.life
        component = str(entry.features.get("component", ""))
        dates = zip(told.calendar.p10.tolist(), told.calendar.p50.tolist(), told.calendar.p90.tolist(), strict=True)
        figures = zip(life.p10.tolist(), life.p50.tolist(), life.p90.tolist(), strict=True)
        equipment = state.ids[told.rows].tolist()
        for number, at, (p10, p50, p90), when in zip(equipment, told.at.tolist(), figures, dates, strict=True):
            early, usual, late = (None if date == NEVER else date for date in when)
            out.prognoses.append(
                Prognosis(
                    number, component, at, entry.name, entry.version, entry.champion,
                    p10, p50, p90, life.unit, life.horizon, (early, usual, late),
                )
            )  # fmt: skip

    def renewed(self, state: TypeState, row: int, at: int, components: Sequence[str], out: Findings) -> None:
        if self.entry.features.get("component", "") in components:
            self.life.renewed(row)

    def arrays(self) -> Arrays:
        return self.life.arrays()


_KINDS: Mapping[ModelKind, type[Any]] = {
    ModelKind.REMAINING_LIFE: LifeScorer,
    ModelKind.NORMAL_BEHAVIOUR: NormalScorer,
}
