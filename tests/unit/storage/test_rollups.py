"""An hour is noted once per generation, whatever order readings come in, and again after every generation."""

from __future__ import annotations

import numpy as np

from core.time import HOUR, MINUTE
from storage.packing import Rows
from storage.rollups import Touched, TouchedHours


def rows(*readings: tuple[int, int]) -> Rows:
    """Of (point, ts), sorted."""
    points, times = zip(*sorted(readings), strict=True)
    n = len(points)
    return Rows(
        np.array(points, np.int32), np.array(times, np.int64), np.zeros(n), np.zeros(n, np.uint8), np.zeros(n, np.int64)
    )


def pairs(touched: Touched) -> list[tuple[int, int]]:
    return list(zip(touched.points.tolist(), (touched.hours // HOUR).tolist(), strict=True))


def test_readings_of_one_hour_make_one_note() -> None:
    touched = TouchedHours().of(1, rows((5, 0), (5, MINUTE), (5, HOUR), (9, 3 * HOUR + 1), (5, HOUR - 1)))
    assert pairs(touched) == [(5, 0), (5, 1), (9, 3)]


def test_what_is_noted_is_not_noted_again_until_the_generation_is_over() -> None:
    memory = TouchedHours()
    memory.noted(memory.of(1, rows((5, 0))))
    assert pairs(memory.of(1, rows((5, MINUTE), (6, MINUTE)))) == [(6, 0)]
    assert pairs(memory.of(2, rows((5, MINUTE)))) == [(5, 0)]


def test_what_was_not_committed_is_noted_again() -> None:
    memory = TouchedHours()
    memory.of(1, rows((5, 0)))
    assert pairs(memory.of(1, rows((5, 0)))) == [(5, 0)]


def test_late_hours_are_noted_beside_the_newest() -> None:
    memory = TouchedHours()
    memory.noted(memory.of(1, rows((5, 0), (5, 4 * HOUR))))
    assert pairs(memory.of(1, rows((5, 2 * HOUR), (5, 4 * HOUR)))) == [(5, 2)]


def test_hours_before_1970_begin_where_they_begin() -> None:
    assert pairs(TouchedHours().of(1, rows((5, -1)))) == [(5, -1)]
