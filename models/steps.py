"""Steps of a machine's own clock: frames of a fleet in, the mean of each point over each step out.

A step is a stretch of time of fixed length in which the machine ran (one hour of running, a minute under load): it is
what models learn from and what they are asked about. Which step a frame belongs to depends on its own time alone, so
steps do not depend on how a stream is cut into records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """Steps that are over: of the machines ``rows`` [n], at ``at`` [n] µs, the end of the step; ``mean`` [n, columns],
    NaN where a point said nothing in it."""

    rows: Index
    at: IntArray
    mean: FloatArray


class StepMeans:
    """Means over steps of ``step`` µs beside ``machines`` machines.

    A step in which the machine never ran does not count, nor do the frames of a step in which it stood still. A step is
    over with the first frame behind it.
    """

    def __init__(self, machines: int, columns: int, step: int) -> None:
        if step <= 0:
            raise InvalidInputError(f"a step of {step} µs is none", hint="a positive number")
        self.step = step
        self.number = np.full(machines, -1, np.int64)
        self.sum = np.zeros((machines, columns))
        self.count = np.zeros((machines, columns), np.int32)

    def frame(self, rows: Index, at: IntArray, values: FloatArray, running: BoolArray) -> Ended | None:
        """A closed frame of the machines ``rows`` (unique) at ``at`` [n]: ``values`` [n, columns], NaN where unknown;
        ``running`` [n]. The steps it found over, if any. A machine's frames come in order of time."""
        number = at // self.step
        ended = self._over(rows, number)
        where: Index | slice = rows
        if not running.all():
            where, values, number = rows[running], values[running], number[running]
        elif len(rows) == len(self.number):
            where = slice(None)
        self.number[where] = number
        known = values == values
        self.sum[where] += np.where(known, values, 0.0)
        self.count[where] += known
        return ended

    def frames(self, rows: Index, at: IntArray, values: FloatArray, running: BoolArray) -> list[tuple[int, Ended]]:
        """As :meth:`frame` for many moments, all arrays with one more axis before the others: (moment, steps it found
        over). Sums are taken one after the other, so they are what single frames would have given, to the last bit."""
        number = at // self.step
        edges = np.flatnonzero((number[1:] != number[:-1]).any(axis=1)) + 1
        found = []
        for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(at)], strict=True):
            ended = self._over(rows, number[begin])
            if ended is not None:
                found.append((begin, ended))
            ran = running[begin:end]
            self.number[rows] = np.where(ran.any(axis=0), number[begin], self.number[rows])
            seen = values[begin:end]
            known = (seen == seen) & ran[:, :, None]
            self.sum[rows] = np.add.accumulate(
                np.concatenate((self.sum[rows][None], np.where(known, seen, 0.0))), axis=0
            )[-1]
            self.count[rows] += known.sum(axis=0, dtype=np.int32)
        return found

    def _over(self, rows: Index, number: IntArray) -> Ended | None:
        current = self.number[rows]
        over = (current >= 0) & (number > current)
        if not over.any():
            return None
        rows = rows[over]
        with np.errstate(invalid="ignore"):
            mean = self.sum[rows] / self.count[rows]
        at = (self.number[rows] + 1) * self.step
        self.sum[rows], self.count[rows], self.number[rows] = 0.0, 0, -1
        return Ended(rows, at, mean)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state itself, machines along the first axis: for snapshots, and to be written into."""
        return {"number": self.number, "sum": self.sum, "count": self.count}
