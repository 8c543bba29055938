"""Latest values: at most once a second per point, so many in all, and never an older one over a newer one."""

from __future__ import annotations

import numpy as np

from core.quality import BAD, GOOD
from core.time import SECOND
from storage.latest import FLUSH_SLICE, NEVER, LatestCache
from storage.packing import Rows


def rows(points: list[int], ts: int, value: float = 1.0, quality: int = GOOD) -> Rows:
    n = len(points)
    return Rows(
        np.array(points, np.int32),
        np.full(n, ts, np.int64),
        np.full(n, value),
        np.full(n, quality, np.uint8),
        np.zeros(n, np.int64),
    )


def test_an_unknown_point_has_no_time() -> None:
    assert LatestCache().ts_of(np.array([3, 70_000], np.int32)).tolist() == [NEVER, NEVER]


def test_an_older_or_losing_reading_changes_nothing() -> None:
    cache = LatestCache()
    cache.update(rows([1], 10, 5.0))
    cache.update(rows([1], 9, 9.0))
    cache.update(rows([1], 10, 8.0, BAD))
    assert cache.dirty().value.tolist() == [5.0]
    cache.update(rows([1], 10, 6.0))
    assert cache.dirty().value.tolist() == [6.0]


def test_a_point_is_flushed_once_a_second_however_often_it_moves() -> None:
    cache = LatestCache()
    flushed = 0
    for tenth in range(100):
        now = tenth * SECOND // 10
        cache.update(rows([1, 2], tenth))
        if (due := cache.due(now)) is not None:
            assert due.point_id.tolist() == [1, 2]
            flushed += 1
            cache.written(due, now)
    assert flushed == 10


def test_many_points_are_flushed_in_slices_at_a_bounded_rate_in_point_order() -> None:
    cache = LatestCache()
    cache.update(rows(list(range(1, 25_001)), 1))
    now = 0
    seen: list[int] = []
    while len(seen) < 25_000:
        if (due := cache.due(now)) is not None:
            assert len(due) <= FLUSH_SLICE
            seen += due.point_id.tolist()
            cache.written(due, now)
        now += SECOND // 50
    assert seen == sorted(seen)
    assert now > 2 * SECOND
    assert len(cache.dirty()) == 0


def test_a_point_that_moved_while_its_value_was_written_stays_to_be_written() -> None:
    cache = LatestCache()
    cache.update(rows([1, 2], 1))
    due = cache.due(0)
    assert due is not None
    cache.update(rows([2], 2))
    cache.written(due, 0)
    assert cache.dirty().point_id.tolist() == [2]


def test_what_is_loaded_is_in_the_table_already() -> None:
    cache = LatestCache()
    cache.update(rows([5], 1))
    cache.load(rows([3], 7))
    assert len(cache.dirty()) == 0
    assert cache.ts_of(np.array([3, 5], np.int32)).tolist() == [7, NEVER]
