"""A writer asks for partitions once per stretch of time, and never for the years between two stretches."""

from __future__ import annotations

import numpy as np

from core.time import DAY
from storage.partitions import CoveredTime

WEEK = 7 * DAY


def weekly() -> tuple[CoveredTime, list[tuple[int, int]]]:
    asked: list[tuple[int, int]] = []

    def ensure(first: int, last: int) -> tuple[int, int]:
        asked.append((first, last))
        return first // WEEK * WEEK, last // WEEK * WEEK + WEEK

    return CoveredTime(ensure), asked


def test_a_known_stretch_is_not_asked_for_again() -> None:
    covered, asked = weekly()
    for n in range(100):
        covered.need(np.array([n * DAY // 20], np.int64))
    assert len(asked) == 1


def test_far_apart_times_are_asked_for_apart() -> None:
    covered, asked = weekly()
    covered.need(np.array([0, 5000 * DAY, DAY, 5001 * DAY + 1], np.int64))
    assert asked == [(0, 2 * DAY - 1), (5000 * DAY, 5002 * DAY - 1)]


def test_stretches_that_touch_become_one() -> None:
    covered, asked = weekly()
    covered.need(np.array([0], np.int64))
    covered.need(np.array([WEEK], np.int64))
    covered.need(np.array([1, WEEK + 1], np.int64))
    assert len(asked) == 2


def test_times_nobody_makes_a_partition_for_stop_nothing() -> None:
    covered, asked = weekly()
    covered.need(np.array([-9_000_000_000_000_000, 9_000_000_000_000_000], np.int64))
    covered.need(np.empty(0, np.int64))
    assert asked == []
