"""What is remembered of each machine between two frames: plain arrays, for the processor's snapshot."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Index = NDArray[np.intp]

NONE: Final = -1


@dataclass(slots=True, eq=False)
class NormalState:
    """Of n machines with m sensors. All of it in standard deviations, seconds and µs.

    ``at`` [n] µs of the last row taken, ``since`` [n] µs from which it has been in a scored state without a break (−1:
    never). ``total``, ``weight`` [n, m]: exponentially weighted sum of the residuals and of what was known.
    ``baseline`` [n, m] and ``learned`` [n] s of healthy time in it; ``frozen`` [n] s for which it has not been touched
    because of an alarm. ``settings`` [n, k], the last known ones, and ``moved`` [n] µs since when they are about that.
    ``alarm`` [n], and ``over``, ``under`` [n] s for which the distance has been so.
    """

    at: IntArray
    since: IntArray
    total: FloatArray
    weight: FloatArray
    baseline: FloatArray
    learned: FloatArray
    frozen: FloatArray
    alarm: BoolArray
    over: FloatArray
    under: FloatArray
    settings: FloatArray
    moved: IntArray

    @classmethod
    def new(cls, machines: int, sensors: int, settings: int) -> Self:
        def wide() -> FloatArray:
            return np.zeros((machines, sensors))

        def narrow() -> FloatArray:
            return np.zeros(machines)

        def never() -> IntArray:
            return np.full(machines, NONE, np.int64)

        alarm = np.zeros(machines, np.bool_)
        driven = np.zeros((machines, settings))
        return cls(
            never(), never(), wide(), wide(), wide(), narrow(), narrow(), alarm, narrow(), narrow(), driven, never()
        )

    def __len__(self) -> int:
        return len(self.at)

    def dump(self) -> dict[str, NDArray[np.generic]]:
        """Copies of all arrays by name."""
        return {f.name: getattr(self, f.name).copy() for f in fields(self)}

    def load(self, image: dict[str, NDArray[np.generic]]) -> None:
        """Go on from a :meth:`dump` of as many machines and sensors."""
        for f in fields(self):
            getattr(self, f.name)[...] = image[f.name]

    def take(self, rows: Index) -> NormalState:
        """The state of these machines alone, a copy."""
        return NormalState(**{f.name: getattr(self, f.name)[rows].copy() for f in fields(self)})

    def put(self, rows: Index, other: NormalState) -> None:
        """These machines go on from ``other``'s, in its order."""
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(other, f.name)

    def forget(self, rows: Index) -> None:
        """After a repair: nothing is known of these machines but their type."""
        self.put(rows, NormalState.new(len(rows), self.total.shape[1], self.settings.shape[1]))
