"""The newest reading of every point, as the writer knows it: what tells the fast path from the slow one, and what is
flushed."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.time import SECOND
from storage.merge import last_of_each_point, stands
from storage.packing import Rows

NEVER: Final = np.iinfo(np.int64).min
FLUSH_INTERVAL: Final = SECOND
"""A point's latest value is written at most this often: an upsert per commit would triple the server's cost."""
FLUSH_RATE: Final = 10_000
"""Rows per second in all; with more points than that each is flushed less often."""
FLUSH_SLICE: Final = 1_000
"""Rows in one transaction: a sweep of ten thousand at once would hold up the alarms behind it for a tenth of a
second."""


class LatestCache:
    """Struct of arrays indexed by point id. Point ids are small and dense (a table's identity).

    A *sweep* goes over the points that changed since the last one, in their order, a slice per transaction; sweeps
    start
    :data:`FLUSH_INTERVAL` apart. ``now`` is any monotonic clock in microseconds.
    """

    def __init__(self) -> None:
        self._rows = Rows(
            np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8), np.empty(0, np.int64)
        )
        self._dirty = np.empty(0, bool)
        self._sweep: NDArray[Any] = np.empty(0, np.intp)
        self._started = NEVER
        self._flushed_at = NEVER

    def load(self, rows: Rows) -> None:
        """Forget everything and start from what the table holds."""
        self.__init__()  # type: ignore[misc]
        self._absorb(rows)

    def ts_of(self, point_id: NDArray[np.int32]) -> NDArray[np.int64]:
        """Time of each point's newest stored reading, :data:`NEVER` where none is known."""
        self._reserve(int(point_id.max(initial=0)))
        return self._rows.ts[point_id]

    def update(self, rows: Rows) -> None:
        """Take over what has been committed; ``rows`` sorted by (point, ts), one per key."""
        newest = last_of_each_point(rows)
        if not len(newest):
            return
        self._reserve(int(newest.point_id[-1]))
        at = newest.point_id
        known = self._rows.ts[at]
        moved = (newest.ts > known) | (
            (newest.ts == known) & stands(newest.value, newest.quality, self._rows.value[at], self._rows.quality[at])
        )
        newest = newest.take(moved)
        self._absorb(newest)
        self._dirty[newest.point_id] = True

    def due(self, now: int) -> Rows | None:
        """The next slice to write, None when nothing is due. Call :meth:`written` once it is committed."""
        if not len(self._sweep):
            if now - self._started < FLUSH_INTERVAL and self._started != NEVER:
                return None
            self._sweep = np.flatnonzero(self._dirty)
            if not len(self._sweep):
                return None
            self._started = now
            self._flushed_at = now - FLUSH_INTERVAL
        allowed = (now - self._flushed_at) * FLUSH_RATE // SECOND
        if allowed < min(len(self._sweep), FLUSH_SLICE):
            return None
        return self._at(self._sweep[: min(allowed, FLUSH_SLICE)])

    def written(self, rows: Rows, now: int) -> None:
        """``rows`` of :meth:`due` are in the table, as they were then: a point that moved on meanwhile stays
        dirty."""
        at = rows.point_id
        unchanged = (self._rows.ts[at] == rows.ts) & ((self._rows.value[at] == rows.value) | np.isnan(rows.value))
        self._dirty[at[unchanged]] = False
        self._sweep = self._sweep[len(rows) :]
        self._flushed_at = now

    def dirty(self) -> Rows:
        """Everything not yet in the table, for a flush at the end."""
        return self._at(np.flatnonzero(self._dirty))

    def all_written(self) -> None:
        """:meth:`dirty` is in the table."""
        self._dirty[:] = False
        self._sweep = self._sweep[:0]

    def _at(self, index: NDArray[Any]) -> Rows:
        return self._rows.take(index)

    def _absorb(self, rows: Rows) -> None:
        if not len(rows):
            return
        self._reserve(int(rows.point_id.max()))
        at = rows.point_id
        self._rows.ts[at] = rows.ts
        self._rows.value[at] = rows.value
        self._rows.quality[at] = rows.quality
        self._rows.received_at[at] = rows.received_at

    def _reserve(self, point_id: int) -> None:
        have = len(self._dirty)
        if point_id < have:
            return
        more = max(point_id + 1, have * 2, 1024) - have
        r = self._rows
        self._rows = Rows(
            np.arange(have + more, dtype=np.int32),
            np.concatenate([r.ts, np.full(more, NEVER)]),
            np.concatenate([r.value, np.full(more, np.nan)]),
            np.concatenate([r.quality, np.zeros(more, np.uint8)]),
            np.concatenate([r.received_at, np.zeros(more, np.int64)]),
        )
        self._dirty = np.concatenate([self._dirty, np.zeros(more, bool)])
