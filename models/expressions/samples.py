"""Functions that count samples instead of seconds: for what comes once per door stroke, load cycle or brake
application.

Their samples are the known values only; frames without one leave them as they are and get no answer, so what is built
on them speaks once per cycle.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from models.expressions.frame import FloatArray, Frame
from models.expressions.groups import median
from models.expressions.operators import NONE, Operator

MOST_SAMPLES: Final = 99
"""Each is kept, per instance and equipment."""


class Last(Operator):
    """Median, or robust spread (1.4826 × median absolute deviation), of the last ``n`` known samples, this one
    included. Unknown where x is, and before half of them have come."""

    fields: ClassVar = {"ring": (np.nan, float), "place": (0, np.int64)}
    fusible = False  # rings of other lengths do not stand side by side

    def __init__(self, k: int, n: int, what: str) -> None:
        super().__init__(k)
        self.n = n
        self.what = what

    def shape(self, name: str, n: int) -> tuple[int, ...]:
        return (n, self.k, self.n) if name == "ring" else (n, self.k)

    def __call__(self, frame: Frame, x: FloatArray) -> FloatArray:
        x = np.broadcast_to(x, (len(frame.index), self.k))
        result = np.full(x.shape, np.nan)
        i, k = np.nonzero(x == x)
        if len(i):
            self._take(frame, x, i, k, result)
        return result

    def _take(self, frame: Frame, x: FloatArray, i: NDArray[np.intp], k: NDArray[np.intp], result: FloatArray) -> None:
        at = (frame.index[i], k)
        ring, place = self.arrays["ring"], self.arrays["place"]
        ring[(*at, place[at] % self.n)] = x[i, k]
        place[at] += 1
        kept, least = ring[at], (self.n + 1) // 2
        centre = median(kept, least)
        if self.what == "spread":
            centre = 1.4826 * median(np.abs(kept - centre[:, None]), least)
        result[i, k] = centre


class Tally(Operator):
    """How many known samples of the condition were true; unknown before the first known one."""

    fields: ClassVar = {"total": (0.0, float), "at": (NONE, np.int64)}

    def __call__(self, frame: Frame, c: FloatArray) -> FloatArray:
        total, at = self.read(frame.rows, "total", "at")
        known = c == c
        total = total + np.where(c == 1.0, 1.0, 0.0)
        at = np.where(known, frame.t, at)
        self.write(frame.rows, total=total, at=at)
        return np.where(at >= 0, total, np.nan)
