"""Which stretches of time have a partition, as far as a writer has asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.time import DAY

_OLDEST: Final = -2_208_988_800_000_000
"""1900-01-01. Before it (and too far ahead) readings go to the default partition, which alarms, instead of stopping
the stream."""
_AHEAD: Final = 50 * 365 * DAY - DAY


class CoveredTime:
    """``ensure(first, last)`` makes partitions for a range (µs, inclusive) and gives the range covered (end
    exclusive)."""

    def __init__(self, ensure: Callable[[int, int], tuple[int, int]]) -> None:
        self._ensure = ensure
        self._covered: list[tuple[int, int]] = []

    def need(self, ts: NDArray[np.int64]) -> None:
        """Make sure that each time in ``ts`` has its partition. One comparison where they lie in one known range."""
        if not len(ts):
            return
        first, last = int(ts.min()), int(ts.max())
        if any(low <= first and last < high for low, high in self._covered):
            return
        usable = ts[(ts >= _OLDEST) & (ts <= time.time_ns() // 1000 + _AHEAD)]
        days = np.unique(usable // DAY)
        if not len(days):
            return
        # runs of neighbouring days: a batch of 2015 and today must not ask for the years between
        breaks = np.flatnonzero(np.diff(days) > 1)
        for start, end in zip(days[np.append(0, breaks + 1)], days[np.append(breaks, len(days) - 1)], strict=True):
            self._need_run(int(start) * DAY, int(end) * DAY + DAY - 1)

    def _need_run(self, first: int, last: int) -> None:
        if any(low <= first and last < high for low, high in self._covered):
            return
        low, high = self._ensure(first, last)
        touching = [r for r in self._covered if r[0] <= high and r[1] >= low]
        self._covered = [r for r in self._covered if r not in touching]
        self._covered.append((min([low, *(r[0] for r in touching)]), max([high, *(r[1] for r in touching)])))
