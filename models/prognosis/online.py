"""Remaining life on the stream: frames of a fleet in, a prognosis at the end of each step of a machine's own clock.

The pipeline calls :meth:`OnlineLife.frame` where a frame closes (beside the health assessment), once for the champion
and once for the challenger; both see the same frames, and only the champion's answer is told. Which step a frame
belongs to depends on its own time alone, so the answers do not depend on how the stream is cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from models.prognosis.answer import RemainingLife
from models.prognosis.regression import LifeRegressor

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Machines ``rows`` [n] whose step ended at ``at`` [n] µs, and what they have left."""

    rows: Index
    at: IntArray
    life: RemainingLife


class OnlineLife:
    """A fitted model beside ``machines`` machines. ``sensors`` and ``settings``: columns of a frame that the model was
    trained on, in its order; ``step`` µs, as it was trained with.

    A step in which the machine never ran does not count. A point that said nothing in a step keeps its last value;
    before it has said anything the machine is waited for.
    """

    def __init__(self, model: LifeRegressor, sensors: Index, settings: Index, step: int, machines: int) -> None:
        if step <= 0:
            raise InvalidInputError(f"a step of {step} µs is none", hint="a positive number")
        self.model, self.step = model, step
        self.columns = np.concatenate([settings, sensors]).astype(np.intp)
        self.driven = len(settings)
        self.fleet = model.start(machines)
        shape = (machines, len(self.columns))
        self.number = np.full(machines, -1, np.int64)
        self.sum, self.count = np.zeros(shape), np.zeros(shape)
        self.last = np.full(shape, np.nan)

    def frame(self, rows: Index, at: IntArray, values: FloatArray, running: BoolArray) -> Told | None:
        """A closed frame of the machines ``rows`` (unique): ``values`` [rows, columns of the type], NaN where unknown.

        None where no step ended. A machine's frames come in order of time.
        """
        number = at // self.step
        over = (self.number[rows] >= 0) & (number > self.number[rows])
        told = self._end(rows[over]) if over.any() else None
        rows, seen, number = rows[running], values[np.ix_(running, self.columns)], number[running]
        self.number[rows] = number
        known = np.isfinite(seen)
        self.sum[rows] += np.where(known, seen, 0.0)
        self.count[rows] += known
        return told

    def _end(self, rows: Index) -> Told | None:
        with np.errstate(invalid="ignore"):
            mean = self.sum[rows] / self.count[rows]
        self.last[rows] = np.where(np.isfinite(mean), mean, self.last[rows])
        at = (self.number[rows] + 1) * self.step
        self.sum[rows], self.count[rows], self.number[rows] = 0.0, 0.0, -1
        complete = np.isfinite(self.last[rows]).all(1)
        rows, at = rows[complete], at[complete]
        if not len(rows):
            return None
        now = self.last[rows]
        return Told(rows, at, self.fleet.step(now[:, : self.driven], now[:, self.driven :], rows))

    def dump(self) -> dict[str, Any]:
        """State as arrays, for the processor's snapshot."""
        own = {"number": self.number, "sum": self.sum, "count": self.count, "last": self.last}
        return {**own, **{f"trend.{key}": value for key, value in self.fleet.state.dump().items()}}

    def load(self, image: dict[str, Any]) -> None:
        """Go on from a :meth:`dump` of as many machines."""
        for key in ("number", "sum", "count", "last"):
            getattr(self, key)[...] = image[key]
        self.fleet.state.load({key.removeprefix("trend."): v for key, v in image.items() if key.startswith("trend.")})
