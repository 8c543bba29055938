"""Readings wait for the watermark of their own equipment; none is lost, doubled or let go too early."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.pipeline.waiting import DTYPES, Arrays, Waiting

EQUIPMENT = 4


def readings(rows: list[int], times: list[int], number: int = 0) -> Arrays:
    n = len(rows)
    found = {name: np.zeros(n, dtype) for name, dtype in DTYPES.items()}
    return found | {"row": np.array(rows, np.intp), "ts": np.array(times), "column": np.arange(n) + number}


def test_each_equipment_by_its_own_clock():
    waiting = Waiting(EQUIPMENT)
    waiting.put(readings([0, 1], [10, 10]))
    assert waiting.take(np.array([9, 9, 99, 99])) is None
    due = waiting.take(np.array([9, 10, 0, 0]))
    assert due is not None
    assert due["row"].tolist() == [1]
    assert waiting.all()["row"].tolist() == [0]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, EQUIPMENT - 1), st.integers(0, 300)), max_size=300))
def test_as_one_list_looked_through_each_time(steps: list[tuple[bool, int, int]]):
    """Against the plain thing, with more parts than are kept apart."""
    waiting = Waiting(EQUIPMENT)
    plain: list[tuple[int, int, int]] = []
    until = np.zeros(EQUIPMENT, np.int64)
    for number, (comes, row, ts) in enumerate(steps):
        if comes:
            waiting.put(readings([row, 0], [ts, ts + 1], 2 * number))
            plain += [(2 * number, row, ts), (2 * number + 1, 0, ts + 1)]
            continue
        until[row] = max(until[row], ts)
        taken = waiting.take(until)
        due = {c for c, r, t in plain if t <= until[r]}
        assert (set() if taken is None else set(taken["column"].tolist())) == due
        assert taken is None or len(taken["column"]) == len(due)
        plain = [entry for entry in plain if entry[0] not in due]
    assert sorted(waiting.all()["column"].tolist()) == sorted(c for c, _, _ in plain)
