"""Steps to learn from, made by the very pipeline that models later look at: same states, same derived points, same
suspicion of instruments. So what a model learned from and what it is asked about cannot differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch
from models.steps import Ended, StepMeans
from stream_processors.backtest import records
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.fleet import TypeState
from stream_processors.pipeline.processor import Processor
from stream_processors.pipeline.scoring import Clock

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """One machine: ``at`` [T] µs, ends of the steps in which it ran; ``mean`` [T, points], NaN where a point said
    nothing usable; ``ill`` [T]: a condition of the machine stood then."""

    at: IntArray
    mean: FloatArray
    ill: BoolArray


class Recorder:
    """In the place of a model: keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[NDArray[np.intp], IntArray, FloatArray, BoolArray]] = []

    def ended(self, state: TypeState, steps: Ended, out: Findings) -> None:
        ill: BoolArray = np.any(state.active[steps.rows] & state.layout.limits.machine, axis=1)
        self.seen.append((steps.rows, steps.at, steps.mean, ill))


class Learning:
    """A processor whose machines of one type are recorded: feed it records in order, then ask for :meth:`steps`.

    Raises :class:`~core.errors.InvalidInputError` for a type without machines, and for points it does not have.
    """

    def __init__(self, registry: RegistrySnapshot, type_key: str, points: Sequence[str], step: int) -> None:
        self.processor = Processor(replace(registry, models=()))
        state = next((s for s in self.processor.fleet.types if s.layout.type.key == type_key), None)
        if state is None:
            raise InvalidInputError(f"there is no machine of type {type_key!r}", hint="servitize equipment list")
        gone = sorted(set(points) - state.layout.column_of.keys())
        if gone:
            raise InvalidInputError(f"{', '.join(gone)}: no points of {type_key}", hint="servitize types show")
        self.recorder = Recorder()
        self.ids = state.ids
        columns = np.array([state.layout.column_of[key] for key in points], np.intp)
        state.learned.clocks.append(Clock(StepMeans(state.n, len(columns), step), columns, [self.recorder]))

    def feed(self, history: Iterable[TelemetryBatch]) -> None:
        """Readings in order of time."""
        for batch in history:
            for part in records(batch):
                self.processor.step(StreamRecord(part))

    def steps(self) -> dict[int, Steps]:
        """By equipment id, of those that ran."""
        if not self.recorder.seen:
            return {}
        row, at, mean, ill = (np.concatenate(parts) for parts in zip(*self.recorder.seen, strict=True))
        found = {}
        for number in np.unique(row).tolist():
            mine = row == number
            found[int(self.ids[number])] = Steps(at[mine], mean[mine], ill[mine])
        return found
