"""Which hours of which points a commit touches, so that their rollups are made anew (plain PostgreSQL; the log itself
is in migrations/plain/0600_engine.sql)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.time import HOUR
from storage.packing import Rows

_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class Touched:
    """``hours`` µs (start of the hour) of ``points``, to be noted in generation ``generation``."""

    generation: int
    points: NDArray[np.int32]
    hours: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.points)


class TouchedHours:
    """What is noted already need not be noted again within one generation: per point the newest such hour.

    So a point that is read once a second costs one note an hour and generation, not one a second.
    """

    def __init__(self) -> None:
        self._generation: int | None = None
        self._hour = np.empty(0, np.int64)

    def of(self, generation: int, rows: Rows) -> Touched:
        """What is to be noted of ``rows`` (sorted by point and time); call :meth:`noted` once it is committed."""
        if generation != self._generation:
            self._generation = generation
            self._hour[:] = _NEVER
        hours = rows.ts // HOUR * HOUR
        points = rows.point_id
        if len(points):
            self._reserve(int(points[-1]))
        new = np.ones(len(points), bool)
        new[1:] = (points[1:] != points[:-1]) | (hours[1:] != hours[:-1])
        new &= self._hour[points] != hours
        return Touched(generation, points[new], hours[new])

    def noted(self, touched: Touched) -> None:
        """``touched`` is committed. Of several hours of a point the last, which is the newest, is remembered."""
        if touched.generation == self._generation:
            self._hour[touched.points] = touched.hours

    def _reserve(self, point_id: int) -> None:
        have = len(self._hour)
        if point_id >= have:
            more = max(point_id + 1, have * 2, 1024) - have
            self._hour = np.concatenate([self._hour, np.full(more, _NEVER)])
