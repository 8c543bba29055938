"""Functions with memory. Each holds its state as arrays [equipment, instances, …] and steps many equipment at once.

Times are event times, so irregular sampling and gaps are part of every definition, and the result depends on the
sequence of frames alone, never on how the stream was cut. Unknown (NaN) input never changes a state unless said so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import numpy as np

from core.time import MINUTE
from models.expressions.frame import FloatArray, Frame, Rows

NONE = -1
"""No time yet. Times are positive."""

LONGEST_GAP = 5 * MINUTE
"""Between two samples further apart nobody knows what was: integrals do not count it, "held" starts anew."""


class Operator:
    """Base: ``fields`` are name → (fill, dtype); an array of ``shape(name)`` is made for each.

    ``settings`` are attributes that may be one for all instances or an array [k].
    """

    fields: ClassVar[dict[str, tuple[float, Any]]] = {}
    settings: ClassVar[tuple[str, ...]] = ()
    fusible: ClassVar[bool] = True
    """Is every instance stepped by itself, and every array [n, k, …]? Then instances of many may be stepped as one."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.arrays: dict[str, Any] = {}

    def shape(self, name: str, n: int) -> tuple[int, ...]:
        return (n, self.k)

    def allocate(self, n: int) -> None:
        """Fresh state for ``n`` equipment."""
        self.arrays = {name: np.full(self.shape(name, n), fill, dtype) for name, (fill, dtype) in self.fields.items()}

    def scan(self, frame: Frame, *inputs: FloatArray) -> FloatArray:
        """Step through ``frame.steps`` with inputs [moments × r, k or 1]; the same as one call per moment."""
        moments = len(frame.steps)
        by_one = cast("Callable[..., FloatArray]", self)
        result = np.empty((moments, len(frame.steps[0].index), self.k))
        apart = [x.reshape(moments, -1, x.shape[-1]) if np.ndim(x) else np.broadcast_to(x, moments) for x in inputs]
        for i, step in enumerate(frame.steps):
            result[i] = by_one(step, *(x[i] for x in apart))
        return result.reshape(-1, self.k)

    def read(self, rows: Rows, *names: str) -> list[Any]:
        """The state of ``rows``: views where they are a slice, so compute all before the first :meth:`write`."""
        return [self.arrays[name][rows] for name in names]

    def write(self, rows: Rows, **values: Any) -> None:
        for name, value in values.items():
            self.arrays[name][rows] = value


class Ewma(Operator):
    """Exponentially weighted mean with time constant ``tau``: N ← N·e^(−dt/tau) + 1, y ← y + (x − y)/N.

    Starts as the plain mean of what there is, so it has no start-up lag; after a gap much longer than ``tau`` it starts
    anew.
    """

    fields: ClassVar = {"mean": (0.0, float), "weight": (0.0, float), "at": (0, np.int64)}
    settings = ("tau",)

    def __init__(self, k: int, tau: int) -> None:
        super().__init__(k)
        self.tau = tau

    def __call__(self, frame: Frame, x: FloatArray) -> FloatArray:
        mean, weight, at = self.read(frame.rows, "mean", "weight", "at")
        ok = x == x
        weight_new = weight * np.exp((at - frame.t) / self.tau) + 1.0
        mean_new: FloatArray = mean + (x - mean) / weight_new
        if ok.all():
            self.write(frame.rows, mean=mean_new, weight=weight_new, at=frame.t)
        else:
            self.write(
                frame.rows,
                mean=np.where(ok, mean_new, mean),
                weight=np.where(ok, weight_new, weight),
                at=np.where(ok, frame.t, at),
            )
        return mean_new

    def scan(self, frame: Frame, *inputs: FloatArray) -> FloatArray:
        """In the fewest calls: the weights' decay is known beforehand."""
        (x,) = inputs
        if np.ndim(x) == 0:
            return super().scan(frame, x)
        rows, moments = frame.steps[0].rows, len(frame.steps)
        mean, weight, at = self.read(rows, "mean", "weight", "at")
        given = np.broadcast_to(x.reshape(moments, len(at), -1), (moments, *at.shape))
        t = np.broadcast_to(frame.t.reshape(moments, -1, 1), given.shape)
        ok = given == given
        all_ok = bool(ok.all())
        after = t if all_ok else np.maximum.accumulate(np.concatenate((at[None], np.where(ok, t, at))), axis=0)[1:]
        decay = np.exp((np.concatenate((at[None], after[:-1])) - t) / self.tau)
        result = np.empty(given.shape)
        for i in range(moments):
            weight_new = weight * decay[i] + 1.0
            mean_new = np.add(mean, (given[i] - mean) / weight_new, out=result[i])
            if all_ok:
                mean, weight = mean_new, weight_new
            else:
                mean, weight = np.where(ok[i], mean_new, mean), np.where(ok[i], weight_new, weight)
        self.write(rows, mean=mean, weight=weight, at=after[-1])
        return result.reshape(-1, self.k)


class EwmStd(Operator):
    """Standard deviation about the mean of :class:`Ewma`, with the same weights: how restless a signal is."""

    fields: ClassVar = {"mean": (0.0, float), "weight": (0.0, float), "square": (0.0, float), "at": (0, np.int64)}
    settings = ("tau",)

    def __init__(self, k: int, tau: int) -> None:
        super().__init__(k)
        self.tau = tau

    def __call__(self, frame: Frame, x: FloatArray) -> FloatArray:
        mean, weight, square, at = self.read(frame.rows, "mean", "weight", "square", "at")
        ok = x == x
        decay = np.exp((at - frame.t) / self.tau)
        weight_new = weight * decay + 1.0
        step = x - mean
        mean_new = mean + step / weight_new
        square_new = square * decay + step * (x - mean_new)
        self.write(
            frame.rows,
            mean=np.where(ok, mean_new, mean),
            weight=np.where(ok, weight_new, weight),
            square=np.where(ok, square_new, square),
            at=np.where(ok, frame.t, at),
        )
        return np.where(weight_new >= 2.0, np.sqrt(np.maximum(square_new, 0.0) / weight_new), np.nan)


class Held(Operator):
    """1 once the condition has been true for ``d`` without a known false in between; unknown while the condition is."""

    fields: ClassVar = {"since": (NONE, np.int64), "at": (NONE, np.int64)}
    settings = ("d",)

    def __init__(self, k: int, d: int) -> None:
        super().__init__(k)
        self.d = d

    def __call__(self, frame: Frame, c: FloatArray) -> FloatArray:
        since, at = self.read(frame.rows, "since", "at")
        known, true = c == c, c == 1.0
        t = frame.t
        anew = (since < 0) | (t - at > np.maximum(LONGEST_GAP, self.d))
        since = np.where(true, np.where(anew, t, since), np.where(known, NONE, since))
        self.write(frame.rows, since=since, at=np.where(known, t, at))
        return np.where(known, np.where(true & (t - since >= self.d), 1.0, 0.0), np.nan)


class Since(Operator):
    """Seconds since the condition was last true (0 while it is); unknown before the first time."""

    fields: ClassVar = {"last": (NONE, np.int64)}

    def __call__(self, frame: Frame, c: FloatArray) -> FloatArray:
        (last,) = self.read(frame.rows, "last")
        last = np.where(c == 1.0, frame.t, last)
        self.write(frame.rows, last=last)
        return np.where(last < 0, np.nan, (frame.t - last) * 1e-6)


class Count(Operator):
    """How often the condition has become true (after a known false) since it was first seen."""

    fields: ClassVar = {"last": (np.nan, float), "total": (0.0, float)}

    def __call__(self, frame: Frame, c: FloatArray) -> FloatArray:
        last, total = self.read(frame.rows, "last", "total")
        total = total + np.where((c == 1.0) & (last == 0.0), 1.0, 0.0)
        last = np.where(c == c, c, last)
        self.write(frame.rows, last=last, total=total)
        return np.where(last == last, total, np.nan)


class Accumulate(Operator):
    """∫ x dt in unit·seconds: each value counts until the next known one; gaps over five minutes count nothing."""

    fields: ClassVar = {"last": (np.nan, float), "at": (NONE, np.int64), "total": (0.0, float)}

    def __call__(self, frame: Frame, x: FloatArray) -> FloatArray:
        last, at, total = self.read(frame.rows, "last", "at", "total")
        ok = x == x
        dt = frame.t - at
        counts = ok & (at >= 0) & (dt <= LONGEST_GAP)
        total = total + np.where(counts, last * (dt * 1e-6), 0.0)
        at = np.where(ok, frame.t, at)
        self.write(frame.rows, last=np.where(ok, x, last), at=at, total=total)
        return np.where(at >= 0, total, np.nan)


class LastKnown(Operator):
    """The last known value, for at most ``d``."""

    fields: ClassVar = {"last": (np.nan, float), "at": (NONE, np.int64)}
    settings = ("d",)

    def __init__(self, k: int, d: int) -> None:
        super().__init__(k)
        self.d = d

    def __call__(self, frame: Frame, x: FloatArray) -> FloatArray:
        last, at = self.read(frame.rows, "last", "at")
        ok = x == x
        last, at = np.where(ok, x, last), np.where(ok, frame.t, at)
        self.write(frame.rows, last=last, at=at)
        return np.where((at >= 0) & (frame.t - at <= self.d), last, np.nan)


class SlopeWhile(Operator):
    """Change per second of x since the condition became true, once that is ``d`` ago; unknown while it does not
    hold."""

    fields: ClassVar = {"x0": (np.nan, float), "t0": (NONE, np.int64)}
    settings = ("d",)

    def __init__(self, k: int, d: int) -> None:
        super().__init__(k)
        self.d = d

    def __call__(self, frame: Frame, x: FloatArray, c: FloatArray) -> FloatArray:
        x0, t0 = self.read(frame.rows, "x0", "t0")
        begins = (c == 1.0) & (t0 < 0) & (x == x)
        x0 = np.where(begins, x, x0)
        t0 = np.where(begins, frame.t, np.where(c == 1.0, t0, NONE))
        self.write(frame.rows, x0=x0, t0=t0)
        elapsed = frame.t - t0
        ready = (t0 >= 0) & (elapsed >= np.maximum(self.d, 1))
        return np.where(ready, (x - x0) / np.maximum(elapsed * 1e-6, 1e-6), np.nan)
