"""Functions that look back over a window. Memory is bounded: a window of length ``d`` is kept in buckets of d/32.

So the edges of a window are sharp to d/32, whatever the sampling, and a day at one reading a second costs no more
memory than an hour. Bucket numbers are absolute (t // width): state does not depend on when a processor was started.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from models.expressions.frame import BoolArray, FloatArray, Frame
from models.expressions.operators import LONGEST_GAP, NONE, Operator

BUCKETS: Final = 32
"""Buckets in a window."""
_LOOK_BACK: Final = BUCKETS // 2
"""How many buckets older than asked a lagged value may be."""


class Bucketed(Operator):
    """Base: ``slots`` buckets per equipment, numbers of the buckets in ``id`` [n, slots], contents [n, k, slots]."""

    slots: ClassVar[int] = BUCKETS
    sums: ClassVar[tuple[str, ...]] = ()
    fusible = False  # an equipment's instances share the numbers of their buckets

    def __init__(self, k: int, d: int) -> None:
        super().__init__(k)
        self.d = d
        self.width = max(d // BUCKETS, 1)

    def shape(self, name: str, n: int) -> tuple[int, ...]:
        if name in ("id", "time"):
            return (n, self.slots)
        return (n, self.k, self.slots) if name in self.sums else (n, self.k)

    def open_slot(self, index: NDArray[np.intp], t: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slot [r] for the times; contents of a bucket that begins are set to the fills."""
        bucket = t // self.width
        slot: NDArray[np.int64] = bucket % self.slots
        ids = self.arrays["id"]
        fresh = ids[index, slot] != bucket
        if fresh.any():
            rows, slots = index[fresh], slot[fresh]
            ids[rows, slots] = bucket[fresh]
            for name in self.sums:
                self.arrays[name][rows, :, slots] = self.fields[name][0]
        return slot

    def inside(self, frame: Frame, bucket: NDArray[np.int64]) -> BoolArray:
        """Which slots belong to the window that ends with this bucket: [r, slots]."""
        ids = self.arrays["id"][frame.rows]
        inside: BoolArray = (ids > bucket[:, None] - BUCKETS) & (ids <= bucket[:, None])
        return inside


class Over(Bucketed):
    """Mean, least, greatest or standard deviation of the known samples in the window; unknown until half of it is
    covered."""

    fields: ClassVar = {
        "id": (NONE, np.int64),
        "n": (0.0, float),
        "sum": (0.0, float),
        "square": (0.0, float),
        "min": (np.inf, float),
        "max": (-np.inf, float),
        "reference": (np.nan, float),
    }
    _needs: ClassVar = {"mean": ("n", "sum"), "std": ("n", "sum", "square"), "min": ("min",), "max": ("max",)}

    def __init__(self, k: int, d: int, what: str) -> None:
        super().__init__(k, d)
        self.what = what
        self.sums = self._needs[what]  # type: ignore[misc]  # by instance: only what it needs is kept

    def allocate(self, n: int) -> None:
        super().allocate(n)
        for name in ("n", "sum", "square", "min", "max"):
            if name not in self.sums:
                del self.arrays[name]

    def __call__(self, frame: Frame, x: FloatArray) -> FloatArray:
        x = np.broadcast_to(x, (len(frame.index), self.k))
        reference = self.arrays["reference"][frame.rows]
        first = np.isnan(reference) & (x == x)
        if first.any():  # sums are taken about the first value: no cancellation for small changes of large values
            reference = np.where(first, x, reference)
            self.arrays["reference"][frame.rows] = reference
        seen = (x == x).any(axis=1)
        if seen.all():
            self._add(frame.index, frame.t[:, 0], x - reference)
        elif seen.any():
            self._add(frame.index[seen], frame.t[seen, 0], (x - reference)[seen])
        return self._answer(frame, frame.t[:, 0] // self.width, reference)

    def _add(self, index: NDArray[np.intp], t: NDArray[np.int64], offset: FloatArray) -> None:
        at = (index, slice(None), self.open_slot(index, t))
        ok = offset == offset
        known = np.where(ok, offset, 0.0)
        arrays = self.arrays
        if "n" in self.sums:
            arrays["n"][at] += ok
            arrays["sum"][at] += known
        if self.what == "std":
            arrays["square"][at] += known * known
        if self.what == "min":
            arrays["min"][at] = np.fmin(arrays["min"][at], offset)
        if self.what == "max":
            arrays["max"][at] = np.fmax(arrays["max"][at], offset)

    def _answer(self, frame: Frame, bucket: NDArray[np.int64], reference: FloatArray) -> FloatArray:
        inside = self.inside(frame, bucket)
        ids = np.where(inside, self.arrays["id"][frame.rows], bucket[:, None])
        covered = (bucket - ids.min(axis=1) >= _LOOK_BACK - 1)[:, None]
        mask = inside[:, None, :]

        def total(name: str) -> FloatArray:
            summed: FloatArray = np.where(mask, self.arrays[name][frame.rows], 0.0).sum(axis=-1)
            return summed

        result: FloatArray
        if self.what == "min":
            result = np.where(mask, self.arrays["min"][frame.rows], np.inf).min(axis=-1)
            return np.where(covered & (result < np.inf), reference + result, np.nan)
        if self.what == "max":
            result = np.where(mask, self.arrays["max"][frame.rows], -np.inf).max(axis=-1)
            return np.where(covered & (result > -np.inf), reference + result, np.nan)
        n = total("n")
        mean = total("sum") / np.maximum(n, 1.0)
        if self.what == "mean":
            return np.where(covered & (n > 0), reference + mean, np.nan)
        variance = total("square") / np.maximum(n, 1.0) - mean * mean
        return np.where(covered & (n > 1), np.sqrt(np.maximum(variance, 0.0)), np.nan)


class CountOver(Bucketed):
    """How often the condition became true (after a known false) within the window."""

    fields: ClassVar = {"id": (NONE, np.int64), "n": (0.0, float), "last": (np.nan, float)}
    sums = ("n",)

    def __call__(self, frame: Frame, c: FloatArray) -> FloatArray:
        last = self.arrays["last"][frame.rows]
        rose = (c == 1.0) & (last == 0.0)
        last = np.where(c == c, c, last)
        self.arrays["last"][frame.rows] = last
        bucket = frame.t[:, 0] // self.width
        slot = self.open_slot(frame.index, frame.t[:, 0])
        self.arrays["n"][frame.index, :, slot] += np.where(rose, 1.0, 0.0)
        mask = self.inside(frame, bucket)[:, None, :]
        n: FloatArray = np.where(mask, self.arrays["n"][frame.rows], 0.0).sum(axis=-1)
        return np.where(last == last, n, np.nan)


class Duty(Bucketed):
    """Share of the known time within the window for which the condition was true; unknown until half of it is known.

    A state lasts until the next known one; gaps over five minutes are unknown time.
    """

    fields: ClassVar = {
        "id": (NONE, np.int64),
        "true": (0.0, float),
        "known": (0.0, float),
        "last": (np.nan, float),
        "at": (NONE, np.int64),
    }
    sums = ("true", "known")

    def __call__(self, frame: Frame, c: FloatArray) -> FloatArray:
        last, at = self.read(frame.rows, "last", "at")
        ok = c == c
        dt = frame.t - at
        counts = ok & (at >= 0) & (dt <= max(LONGEST_GAP, self.width))
        seconds = np.where(counts, dt * 1e-6, 0.0)
        true_seconds = np.where(counts & (last == 1.0), seconds, 0.0)
        self.write(frame.rows, last=np.where(ok, c, last), at=np.where(ok, frame.t, at))
        bucket = frame.t[:, 0] // self.width
        slot = self.open_slot(frame.index, frame.t[:, 0])
        self.arrays["known"][frame.index, :, slot] += seconds
        self.arrays["true"][frame.index, :, slot] += true_seconds
        mask = self.inside(frame, bucket)[:, None, :]
        known: FloatArray = np.where(mask, self.arrays["known"][frame.rows], 0.0).sum(axis=-1)
        true: FloatArray = np.where(mask, self.arrays["true"][frame.rows], 0.0).sum(axis=-1)
        return np.where(known >= 0.5e-6 * self.d, true / np.maximum(known, 1e-9), np.nan)


class Lag(Bucketed):
    """The value ``d`` ago: the last sample of the newest bucket at or before t − d, at most d/2 older; unknown if none
    is.

    ``what``: "value", "rise" (x minus it) or "rate" (rise per second, by the true distance in time).
    """

    slots = BUCKETS + _LOOK_BACK + 2
    fields: ClassVar = {"id": (NONE, np.int64), "time": (NONE, np.int64), "x": (np.nan, float)}
    sums = ("x",)

    def __init__(self, k: int, d: int, what: str) -> None:
        super().__init__(k, d)
        self.what = what

    def __call__(self, frame: Frame, x: FloatArray) -> FloatArray:
        x = np.broadcast_to(x, (len(frame.index), self.k))
        seen = (x == x).any(axis=1)
        if seen.all():
            self._store(frame.index, frame.t[:, 0], x)
        elif seen.any():
            self._store(frame.index[seen], frame.t[seen, 0], x[seen])
        then, when = self._then(frame)
        return self._answer(frame.t, x, then, when)

    def scan(self, frame: Frame, *inputs: FloatArray) -> FloatArray:
        """What is looked up changes only from bucket to bucket, and a store is never in reach of a lookup so soon."""
        moments, now = len(frame.steps), frame.steps[0]
        r = len(now.index)
        x = np.broadcast_to(inputs[0], (moments * r, self.k)).reshape(moments, r, self.k)
        t = frame.t.reshape(moments, r)
        marks = np.concatenate((t // self.width, (t - self.d) // self.width), axis=1)
        begins = np.flatnonzero((marks[1:] != marks[:-1]).any(axis=1)) + 1
        result = np.empty(x.shape)
        for a, b in itertools.pairwise([0, *begins.tolist(), moments]):
            then, when = self._then(frame.steps[a])
            result[a:b] = self._answer(t[a:b, :, None], x[a:b], then, when)
            last, at = x[a], t[a]
            if b - a > 1:
                known = x[a:b] == x[a:b]
                last = _last(known, x[a:b])
                at = _last(known.any(axis=2), t[a:b])
            seen = (last == last).any(axis=1)
            if seen.any():
                self._store(now.index[seen], at[seen], last[seen])
        return result.reshape(-1, self.k)

    def _then(self, frame: Frame) -> tuple[FloatArray, NDArray[np.int64]]:
        """The value [r, k] that counts as the one ``d`` ago (NaN: none), and when it was [r, 1]."""
        ids = self.arrays["id"][frame.rows]
        target = (frame.t - self.d) // self.width
        eligible = np.where((ids <= target) & (ids >= target - _LOOK_BACK), ids, NONE)
        best = eligible.argmax(axis=1)
        found = np.take_along_axis(eligible, best[:, None], axis=1) >= 0
        then = np.where(found, self.arrays["x"][frame.index, :, best], np.nan)
        return then, self.arrays["time"][frame.index, best][:, None]

    def _answer(self, t: NDArray[np.int64], x: FloatArray, then: FloatArray, when: NDArray[np.int64]) -> FloatArray:
        if self.what == "value":
            return then
        if self.what == "rise":
            return x - then
        slope: FloatArray = (x - then) / np.maximum((t - when) * 1e-6, 1e-6)
        return slope

    def _store(self, index: NDArray[np.intp], t: NDArray[np.int64], x: FloatArray) -> None:
        bucket = t // self.width
        slot = bucket % self.slots
        arrays: dict[str, Any] = self.arrays
        same = (arrays["id"][index, slot] == bucket)[:, None]
        arrays["x"][index, :, slot] = np.where(np.isnan(x) & same, arrays["x"][index, :, slot], x)
        arrays["id"][index, slot] = bucket
        arrays["time"][index, slot] = t


def _last(known: BoolArray, values: NDArray[Any]) -> NDArray[Any]:
    """The last known of ``values`` along the first axis; the first where none is."""
    place = len(known) - 1 - known[::-1].argmax(axis=0)
    place = np.where(known.any(axis=0), place, 0)
    last: NDArray[Any] = np.take_along_axis(values, place[None], axis=0)[0]
    return last
