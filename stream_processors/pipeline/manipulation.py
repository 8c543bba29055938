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

from collections.abc import Iterator
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


def rounds(state: TypeState, readings: Readings) -> Iterator[Readings]:
    """Readings by rounds: in a round an equipment has one key and one ts, and a point one reading (the better quality,
    then the larger value, of several at one ts). Rounds come in the order of each equipment's keys."""
    if not len(readings):
        return
    n = state.n
    first, last = np.full(n, np.iinfo(np.int64).max), np.full(n, -1, np.int64)
    np.minimum.at(first, readings.row, readings.key)
    np.maximum.at(last, readings.row, readings.key)
    single = (first == last)[readings.row].all() and not readings.kind.any()
    if single:
        yield _deduplicated(state, readings)
        return
    order = np.lexsort((readings.ts, readings.key, readings.row))
    row, key, ts = readings.row[order], readings.key[order], readings.ts[order]
    begins_row = np.ones(len(row), np.bool_)
    begins_row[1:] = row[1:] != row[:-1]
    begins = begins_row.copy()
    begins[1:] |= (key[1:] != key[:-1]) | (ts[1:] != ts[:-1])
    frame = np.cumsum(begins) - 1
    rank = frame - np.maximum.accumulate(np.where(begins_row, frame, 0))
    by_round = np.argsort(rank, kind="stable")
    edges = np.flatnonzero(np.diff(rank[by_round])) + 1
    for part in np.split(order[by_round], edges):
        yield _deduplicated(state, readings.take(part))


def _deduplicated(state: TypeState, readings: Readings) -> Readings:
    point = readings.row * state.value.shape[1] + readings.column
    last = np.empty(state.value.size, np.intp)
    here = np.arange(len(point))
    last[point] = here
    if (last[point] == here).all():
        return readings
    order = np.lexsort((readings.value, readings.rank, point))
    best = np.ones(len(order), np.bool_)
    best[:-1] = point[order][1:] != point[order][:-1]
    return readings.take(np.sort(order[best]))
