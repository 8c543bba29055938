"""Which reading stands at a key, without a database."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.quality import BAD, GOOD, LATE, OUT_OF_RANGE, RECEIPT_TIME, UNCERTAIN
from storage.merge import last_of_each_point, merge, stands
from storage.packing import Rows


def rows(*readings: tuple[int, int, float, int]) -> Rows:
    point, ts, value, quality = zip(*readings, strict=True) if readings else ((), (), (), ())
    return Rows(
        np.array(point, np.int32),
        np.array(ts, np.int64),
        np.array(value, np.float64),
        np.array(quality, np.uint8),
        np.arange(len(point), dtype=np.int64),
    )


def tuples(found: Rows) -> list[tuple[int, int, float, int]]:
    return list(
        zip(found.point_id.tolist(), found.ts.tolist(), found.value.tolist(), found.quality.tolist(), strict=True)
    )


def test_rows_come_out_sorted_by_point_and_time() -> None:
    found, equal, unequal = merge(rows((2, 5, 1.0, GOOD), (1, 9, 2.0, GOOD), (1, 3, 3.0, GOOD)))
    assert [(p, t) for p, t, *_ in tuples(found)] == [(1, 3), (1, 9), (2, 5)]
    assert (equal, unequal) == (0, 0)


def test_better_class_then_larger_value_wins_and_how_it_came_decides_nothing() -> None:
    rivals = [(1, 1, 9.0, BAD), (1, 1, 7.0, UNCERTAIN), (1, 1, 3.0, GOOD | LATE), (1, 1, 2.0, GOOD)]
    for order in itertools.permutations(rivals):
        found, equal, unequal = merge(rows(*order))
        assert tuples(found) == [(1, 1, 3.0, GOOD | LATE)]
        assert (equal, unequal) == (0, 3)


def test_of_equal_ones_the_first_stands() -> None:
    found, equal, unequal = merge(rows((1, 1, 3.0, GOOD), (1, 1, 3.0, GOOD | LATE), (1, 1, 3.0, GOOD | RECEIPT_TIME)))
    assert tuples(found) == [(1, 1, 3.0, GOOD)]
    assert (equal, unequal) == (2, 0)


def test_nan_is_the_largest_value_and_equals_itself() -> None:
    nan = float("nan")
    found, equal, unequal = merge(rows((1, 1, nan, BAD), (1, 1, 3.0, BAD), (1, 1, nan, BAD)))
    assert np.isnan(found.value[0])
    assert (equal, unequal) == (1, 1)


values = st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), -3.5])
qualities = st.sampled_from([GOOD, UNCERTAIN, BAD, BAD | OUT_OF_RANGE, GOOD | LATE])
readings = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), values, qualities), max_size=30)


@given(readings, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_rows_and_every_reading_is_counted(given_: list, random: object) -> None:
    found, equal, unequal = merge(rows(*given_))
    assert len(found) + equal + unequal == len(given_)
    mixed = list(given_)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    again, *_ = merge(rows(*mixed))
    assert [(p, t, repr(v + 0.0), q & ~LATE) for p, t, v, q in tuples(found)] == [
        (p, t, repr(v + 0.0), q & ~LATE) for p, t, v, q in tuples(again)
    ]


@given(values, qualities, values, qualities)
def test_merge_and_stands_tell_the_same_winner(v: float, q: int, w: float, r: int) -> None:
    first, second = rows((1, 1, v, q)), rows((1, 1, w, r))
    replaced = bool(stands(second.value, second.quality, first.value, first.quality)[0])
    found, *_ = merge(rows((1, 1, v, q), (1, 1, w, r)))
    assert int(found.received_at[0]) == int(replaced)


def test_the_newest_row_of_each_point() -> None:
    found, *_ = merge(rows((1, 1, 1.0, GOOD), (1, 5, 2.0, GOOD), (4, 2, 3.0, GOOD)))
    assert tuples(last_of_each_point(found)) == [(1, 5, 2.0, GOOD), (4, 2, 3.0, GOOD)]
    assert len(last_of_each_point(rows())) == 0
