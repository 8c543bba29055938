"""How fast the clocks of a fleet run, from the steps they live: what turns steps left into dates, without a history."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.time import DAY

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Index = NDArray[np.intp]

DAYS: Final = 28
"""Days whose mean is the usual use."""
_RING: Final = 32
_SLOTS: Final = np.arange(_RING)


class UsageClock:
    """Steps lived on each of the last days by ``machines`` machines; days are those of UTC, event time.

    >>> clock, machine = UsageClock(1), np.array([0])
    >>> for hour in range(80):
    ...     low, usual, high = clock.step(machine, np.array([hour * DAY // 24]))
    >>> float(usual[0])
    24.0
    """

    def __init__(self, machines: int) -> None:
        self.first = np.full(machines, -1, np.int64)
        self.newest = np.full(machines, -1, np.int64)
        self.lived = np.zeros((machines, _RING), np.int32)

    def step(self, rows: Index, began: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """A step that began at ``began`` [n] µs is over for ``rows``: steps per day (low, usual, high), as
        :class:`~models.prognosis.answer.Usage` means them; NaN until a whole day is known."""
        day = began // DAY
        newest = self.newest[rows]
        self.first[rows] = np.where(self.first[rows] < 0, day, self.first[rows])
        slot_day = day[:, None] - (day[:, None] - _SLOTS) % _RING
        lived = np.where(slot_day > newest[:, None], 0, self.lived[rows])
        lived[np.arange(len(rows)), day % _RING] += 1
        self.lived[rows], self.newest[rows] = lived, day
        # the day it began to be watched and today are not whole
        since = np.maximum(self.first[rows] + 1, day - DAYS)
        days = (day - since).astype(float)
        whole = (slot_day >= since[:, None]) & (slot_day < day[:, None])
        with np.errstate(invalid="ignore", divide="ignore"):
            usual = np.where(whole, lived, 0).sum(axis=1) / days
            off = np.where(whole, lived - usual[:, None], 0.0)
            deviation = np.where(days > 1, np.sqrt((off**2).sum(axis=1) / (days - 1)), usual)
            spread = 1.2816 * deviation / np.sqrt(np.minimum(days, 7))
        usual[days < 1] = np.nan
        return np.maximum(usual - spread, 0.0), usual, usual + spread

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state itself, machines along the first axis."""
        return {"first": self.first, "newest": self.newest, "lived": self.lived}
