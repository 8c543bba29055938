"""What is said of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Index = NDArray[np.intp]


@dataclass(slots=True, eq=False)
class Scores:
    """Of r machines with m sensors; NaN, −1 or False where nothing could be said.

    ``t2``, ``q``, ``each`` (the sensor farthest from what the others say of it) in units of their limits, ``distance``
    of them as the model is told to take them: 1 is the limit.
    ``residual`` [r, m] measured − expected from the operating point, the machine's baseline and the *other* sensors,
    smoothed, in the points' units; ``against`` [r, m] the same in standard deviations of what the others leave open:
    its sign says which way. ``contribution`` [r, m] sums to 1. ``instrument`` column of the one channel without which
    all others agree, else −1, and ``instrument_share`` how much of T² it makes. ``alarm`` is held. ``cold`` 1: only
    the type is known.
    """

    t2: FloatArray
    q: FloatArray
    each: FloatArray
    distance: FloatArray
    residual: FloatArray
    against: FloatArray
    contribution: FloatArray
    instrument: NDArray[np.int64]
    instrument_share: FloatArray
    alarm: BoolArray
    ready: BoolArray
    cold: FloatArray

    @classmethod
    def nothing(cls, rows: int, sensors: int) -> Self:
        def narrow() -> FloatArray:
            return np.full(rows, np.nan)

        def wide() -> FloatArray:
            return np.full((rows, sensors), np.nan)

        def no() -> BoolArray:
            return np.zeros(rows, np.bool_)

        return cls(
            narrow(), narrow(), narrow(), narrow(), wide(), wide(), wide(), np.full(rows, -1, np.int64), narrow(),
            no(), no(), narrow(),
        )  # fmt: skip

    @classmethod
    def concatenate(cls, parts: Sequence[Scores], sensors: int) -> Self:
        if not parts:
            return cls.nothing(0, sensors)
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def fill(self, rows: Index, columns: Index, scale: FloatArray, **found: Any) -> None:
        """Write what was found of ``rows``; ``residual`` comes in standard deviations of ``columns``."""
        for name in ("t2", "q", "each", "distance", "instrument", "alarm", "cold"):
            getattr(self, name)[rows] = found[name]
        self.instrument_share[rows] = found["share"]
        self.ready[rows] = True
        where = np.ix_(rows, columns)
        self.residual[where] = found["residual"] * scale
        self.against[where] = found["against"]
        self.contribution[rows] = 0.0
        self.contribution[where] = found["contribution"]
