"""Data manipulation: quality on arrival, watermark, lateness, release in event order, rounds.

The watermark of an equipment is the largest ts received minus L. ``behind`` is the last instant that is *behind* it:
watermark − 1 µs. A reading is released once nothing that is not late can come before it: when behind it, or at once
where L is 0. A frame (all readings of one equipment with one ts) is complete once it is behind.

Order within an equipment is an integer key: 4·ts for a reading in time, 4·behind + 2 for one that was late when it
arrived (it is looked at after what was released by then, before what was not). One case more, with L = 0 only: a late
reading whose point already sent one at the watermark itself comes after that: 4·watermark + 1. So no cut of the stream
changes the order. An open frame closes before a key greater than 4·ts + 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import quality as q
from stream_processors.pipeline.fleet import TypeState
from stream_processors.pipeline.layout import BoolArray, Columns, FloatArray, IntArray
from stream_processors.pipeline.waiting import DTYPES

Index = NDArray[np.intp]
IN_TIME, LATE_NEWEST, LATE_OLD = 0, 1, 2
"""Kinds: in time; late, but newer than all the point sent before; late and older than that."""


@dataclass(slots=True, eq=False)
class Readings:
    """Readings to look at, as parallel arrays; ``good``: value known and class not bad."""

    row: Index
    column: Index
    ts: IntArray
    value: FloatArray
    good: BoolArray
    rank: NDArray[np.uint8]
    key: IntArray
    kind: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, at: Any) -> Readings:
        return Readings(*(getattr(self, name)[at] for name in self.__slots__))


def judge(columns: Columns, column: Index, value: FloatArray, quality: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Quality as stored: not finite or outside the instrument's range is bad, with the reason. Needs no neighbour."""
    watched = column >= 0
    finite = np.isfinite(value)
    outside = np.zeros(len(value), np.bool_)
    if watched.any():
        at = np.maximum(column, 0)
        outside = watched & finite & ((value < columns.low[at]) | (value > columns.high[at]))
    if finite.all() and not outside.any():
        return quality
    reason = np.where(outside, q.OUT_OF_RANGE, 0) | np.where(finite, 0, q.IMPLAUSIBLE)
    bad = (quality & q.REASON_MASK) | reason | q.BAD
    return np.where(outside | ~finite, bad, quality).astype(np.uint8)


def receive(state: TypeState, row: Index, column: Index, ts: IntArray) -> tuple[IntArray, NDArray[np.int8]]:
    """Advance watermarks by readings in their order of arrival: (key, kind) of each."""
    lateness = state.layout.type.lateness
    before = state.behind
    newest = state.newest.copy()
    np.maximum.at(newest, row, ts)
    behind = np.maximum(before, newest - lateness - 1)
    kind = np.zeros(len(row), np.int8)
    key = 4 * ts
    if not (ts > behind[row]).all():  # else nobody is late by the last watermark, so nobody was by an earlier one
        watermark = running_max(row, np.maximum(ts, state.newest[row]))
        then = np.maximum(before[row], watermark - lateness - 1)
        late = ts <= then
        if late.any():
            # where a type has no columns nobody asks for its points' order, but the late mark is still due
            columns = max(state.value.shape[1], 1)
            point = row * columns + np.maximum(column, 0)
            seen = state.seen.ravel()[point] if state.seen.size else np.zeros_like(ts)
            earlier = np.maximum(running_max(point, ts, exclusive=True), seen)
            kind = np.where(late, np.where(ts > earlier, LATE_NEWEST, LATE_OLD), IN_TIME).astype(np.int8)
            key = np.where(
                late, np.where(earlier > then, 4 * earlier + 1, 4 * then + 2) if lateness == 0 else 4 * then + 2, key
            )
    moved = newest > state.newest
    state.idle_since[moved] = -1
    state.newest = newest
    state.behind = behind
    return key, kind


def running_max(group: NDArray[np.integer[Any]], value: IntArray, *, exclusive: bool = False) -> IntArray:
    """Largest value so far within its group, in array order; ``exclusive``: before this one (0 for the first)."""
    order = np.argsort(group, kind="stable")
    g, v = group[order], value[order]
    levels, rank = np.unique(v, return_inverse=True)
    new = np.ones(len(g), np.bool_)
    new[1:] = g[1:] != g[:-1]
    base = (np.cumsum(new) - 1) * len(levels)
    best = levels[np.maximum.accumulate(base + rank.reshape(-1)) - base]
    if exclusive:
        shifted = np.zeros_like(best)
        shifted[1:] = best[:-1]
        shifted[new] = 0
        best = shifted
    result: IntArray = np.empty_like(best)
    result[order] = best
    return result


def release(state: TypeState, arrived: Readings) -> Readings:
    """What may be looked at now, of what waited and what arrived; the rest waits on. Late readings never wait."""
    until = state.newest if state.layout.type.lateness == 0 else state.behind
    waited = state.waiting.take(until)
    now = (arrived.ts <= until[arrived.row]) | (arrived.kind != IN_TIME)
    if not now.all():
        rest = arrived.take(~now) if now.any() else arrived
        state.waiting.put({name: getattr(rest, name) for name in DTYPES})
        arrived = arrived.take(now)
    if waited is None:
        return arrived
    old = Readings(**waited, key=4 * waited["ts"], kind=np.zeros(len(waited["ts"]), np.int8))
    if not len(arrived):
        return old
    return Readings(*(np.concatenate((getattr(old, n), getattr(arrived, n))) for n in Readings.__slots__))


@dataclass(slots=True, eq=False)
class Rounds:
    """Readings by rounds: in a round an equipment has one key and one ts, and a point one reading (the better quality,
    then the larger value, of several at one ts). Rounds come in the order of each equipment's keys.

    ``readings`` in the order of rounds, ``edges`` where each begins (and the last ends). ``of_row`` [equipment]: in how
    many rounds it is. ``apart``: a round that must be looked at by itself, once something happened in it.
    """

    readings: Readings
    edges: list[int]
    of_row: NDArray[np.int64]
    apart: int = -1

    def __len__(self) -> int:
        return len(self.edges) - 1

    def __getitem__(self, k: int) -> Readings:
        return self.span(k, k + 1)

    def span(self, first: int, end: int) -> Readings:
        """The readings of rounds ``first`` to before ``end``."""
        return self.readings.take(slice(self.edges[first], self.edges[end]))

    def number(self, first: int, end: int) -> NDArray[np.intp]:
        """For each reading of a span, how many rounds after ``first`` it is looked at."""
        return np.repeat(np.arange(end - first), np.diff(self.edges[first : end + 1]))


def rounds(state: TypeState, readings: Readings) -> Rounds:
    """The rounds of what was released."""
    n = state.n
    if not len(readings):
        return Rounds(readings, [0], np.zeros(n, np.int64))
    first, last = np.full(n, np.iinfo(np.int64).max), np.full(n, -1, np.int64)
    np.minimum.at(first, readings.row, readings.key)
    np.maximum.at(last, readings.row, readings.key)
    single = (first == last)[readings.row].all() and not readings.kind.any()
    if single:
        only = _deduplicated(state, readings, np.zeros(len(readings), np.intp))
        return Rounds(only, [0, len(only)], (last >= 0).astype(np.int64))
    order = np.lexsort((readings.ts, readings.key, readings.row))
    row, key, ts = readings.row[order], readings.key[order], readings.ts[order]
    begins_row = np.ones(len(row), np.bool_)
    begins_row[1:] = row[1:] != row[:-1]
    begins = begins_row.copy()
    begins[1:] |= (key[1:] != key[:-1]) | (ts[1:] != ts[:-1])
    frame = np.cumsum(begins) - 1
    rank = frame - np.maximum.accumulate(np.where(begins_row, frame, 0))
    by_round = np.argsort(rank, kind="stable")
    arranged, rank = readings.take(order[by_round]), rank[by_round]
    kept = _winners(state, arranged, rank)
    if kept is not None:
        arranged, rank = arranged.take(kept), rank[kept]
    of_row = np.zeros(n, np.int64)
    np.maximum.at(of_row, arranged.row, rank + 1)
    edges = np.searchsorted(rank, np.arange(int(rank[-1]) + 2)).tolist()
    return Rounds(arranged, edges, of_row)


def _deduplicated(state: TypeState, readings: Readings, rank: NDArray[np.intp]) -> Readings:
    kept = _winners(state, readings, rank)
    return readings if kept is None else readings.take(kept)


def _winners(state: TypeState, readings: Readings, rank: NDArray[np.intp]) -> Index | None:
    """Places of the reading that counts of each point in each round; None where there is but one anyway."""
    size = state.value.size
    here = np.arange(len(rank))
    point = readings.row * state.value.shape[1] + readings.column
    if size * (int(rank[-1]) + 1) <= 64 * len(rank):
        place = rank * size + point
        last = np.empty(size * (int(rank[-1]) + 1), np.intp)
        last[place] = here
        if (last[place] == here).all():
            return None
    order = np.lexsort((readings.value, readings.rank, point, rank))
    best = np.ones(len(order), np.bool_)
    best[:-1] = (point[order][1:] != point[order][:-1]) | (rank[order][1:] != rank[order][:-1])
    return None if best.all() else np.sort(order[best])
