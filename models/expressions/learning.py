"""Functions that learn what is normal, then stop learning and compare.

Both learn only from known samples, only in the derived point's own states (its ``when``), never while ``freeze`` is
true, and count the time they have seen: a machine that runs two hours a day takes twelve days to show 24 h. A sample
stands for the time since the one before, but for at most a twentieth of the learning time, so at least twenty samples
make a baseline.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from models.expressions.frame import BoolArray, FloatArray, Frame
from models.expressions.operators import NONE, Operator

_RIDGE = 1e-4
"""Of a standardised input's variance: keeps inputs that move together (or not at all) from getting wild
coefficients."""


class Learner(Operator):
    """Base: keeps ``elapsed`` learning time; ``learn`` µs of it and nothing changes any more."""

    fields: ClassVar = {"elapsed": (0, np.int64), "at": (NONE, np.int64)}
    settings = ("learn",)

    def __init__(self, k: int, learn: int) -> None:
        super().__init__(k)
        self.learn = learn

    def due(self, frame: Frame, ok: BoolArray) -> tuple[BoolArray, BoolArray]:
        """(which instances learn from this sample, which have learned enough with it): [r, k] each; counts the time."""
        elapsed, at = self.read(frame.rows, "elapsed", "at")
        learns = ok & (elapsed < self.learn)
        first = at < 0
        share = np.minimum(frame.t - at, np.maximum(self.learn // 20, 1))
        elapsed = elapsed + np.where(learns & ~first, share, 0)
        self.write(frame.rows, elapsed=elapsed, at=np.where(ok, frame.t, at))
        return learns, elapsed >= self.learn

    def learned(self, frame: Frame) -> bool:
        """Has every instance of the frame learned? Then nothing needs updating."""
        return bool((self.arrays["elapsed"][frame.rows] >= self.learn).all())


class Mean(Learner):
    """Base of those that learn a mean."""

    fields: ClassVar = {**Learner.fields, "mean": (0.0, float), "n": (0.0, float)}

    def follow(self, frame: Frame, x: FloatArray, freeze: FloatArray | None) -> FloatArray:
        """The mean where it is learned, learning from ``x`` where it is not."""
        if self.learned(frame):
            mean: FloatArray = self.arrays["mean"][frame.rows]
            return mean.copy()
        ok = x == x
        if freeze is not None:
            ok = ok & (freeze != 1.0)
        learns, ready = self.due(frame, ok)
        mean, n = self.read(frame.rows, "mean", "n")
        n = n + learns
        mean = np.where(learns, mean + (x - mean) / np.maximum(n, 1.0), mean)
        self.write(frame.rows, mean=mean, n=n)
        return np.where(ready, mean, np.nan)

    def unchanged(self, frame: Frame) -> FloatArray | None:
        """What has been learned is the same at all moments of a frame; None while something is being learned."""
        now = frame.steps[0]
        if not self.learned(now):
            return None
        mean = self.arrays["mean"][now.rows]
        return np.broadcast_to(mean, (len(frame.steps), *mean.shape)).reshape(-1, self.k)


class Baseline(Mean):
    """Mean of the first ``learn`` of known samples; unknown until then, frozen after."""

    def __call__(self, frame: Frame, x: FloatArray, freeze: FloatArray | None = None) -> FloatArray:
        return self.follow(frame, x, freeze)

    def scan(self, frame: Frame, *inputs: FloatArray) -> FloatArray:
        """All moments at once where it has been learned."""
        mean = self.unchanged(frame)
        return super().scan(frame, *inputs) if mean is None else mean


class BaselineOf(Mean):
    """As :class:`Baseline`, of the part that ``identity`` names: another number there, and it is learned anew.

    An unknown identity changes nothing. The first one known is taken for the one that was there all along.
    """

    fields: ClassVar = {**Mean.fields, "identity": (np.nan, float)}

    def __call__(
        self, frame: Frame, x: FloatArray, identity: FloatArray, freeze: FloatArray | None = None
    ) -> FloatArray:
        (before,) = self.read(frame.rows, "identity")
        known = identity == identity
        other = known & (before == before) & (identity != before)
        if other.any():
            elapsed, at, mean, n = self.read(frame.rows, "elapsed", "at", "mean", "n")
            self.write(
                frame.rows,
                elapsed=np.where(other, 0, elapsed),
                at=np.where(other, NONE, at),
                mean=np.where(other, 0.0, mean),
                n=np.where(other, 0.0, n),
            )
        self.write(frame.rows, identity=np.where(known, identity, before))
        return self.follow(frame, x, freeze)

    def scan(self, frame: Frame, *inputs: FloatArray) -> FloatArray:
        """All moments at once where nobody else comes in."""
        identity = np.broadcast_to(inputs[1], (len(frame.index), self.k)).reshape(len(frame.steps), -1, self.k)
        (before,) = self.read(frame.steps[0].rows, "identity")
        mean = self.unchanged(frame) if ((identity == before) | np.isnan(identity)).all() else None
        return super().scan(frame, *inputs) if mean is None else mean


class Expected(Learner):
    """What y should be, given inputs: linear least squares over the first ``learn`` of known samples, frozen after.

    The recursion keeps means and co-moments (Welford's update: nothing cancels, whatever the units), and solves once,
    on standardised inputs with a small ridge. Unknown until learned, where an input is unknown, and where an input lies
    further outside what was seen while learning than the width of what was seen: there a line fitted elsewhere proves
    nothing.
    """

    def __init__(self, k: int, learn: int, inputs: int) -> None:
        super().__init__(k, learn)
        self.p = inputs
        self.fields = {  # type: ignore[misc]
            **Learner.fields,
            "n": (0.0, float),
            "solved": (0.0, float),
            "mean": (0.0, float),
            "moment": (0.0, float),
            "low": (np.inf, float),
            "high": (-np.inf, float),
            "weights": (0.0, float),
        }

    def shape(self, name: str, n: int) -> tuple[int, ...]:
        tail: dict[str, tuple[int, ...]] = {
            "mean": (self.p + 1,),
            "moment": (self.p + 1, self.p + 1),
            "low": (self.p,),
            "high": (self.p,),
            "weights": (self.p,),
        }
        return (n, self.k, *tail.get(name, ()))

    def __call__(self, frame: Frame, y: FloatArray, *inputs: FloatArray) -> FloatArray:
        """``inputs``: the regressors, and ``freeze`` after them if there is one."""
        freeze = inputs[self.p] if len(inputs) > self.p else None
        z = np.empty((len(frame.index), self.k, self.p + 1))
        for i, x in enumerate(inputs[: self.p]):
            z[:, :, i] = x
        z[:, :, self.p] = y
        if not self.learned(frame):
            self._learn(frame, z, freeze)
        return self._predict(frame, z[:, :, : self.p])

    def scan(self, frame: Frame, *inputs: FloatArray) -> FloatArray:
        """What has been learned predicts all moments at once."""
        now = frame.steps[0]
        if not self.learned(now):
            return super().scan(frame, *inputs)
        x = np.empty((len(frame.index), self.k, self.p))
        for i, given in enumerate(inputs[1 : self.p + 1]):
            x[:, :, i] = given
        return self._predict(now, x.reshape(len(frame.steps), -1, self.k, self.p)).reshape(-1, self.k)

    def _learn(self, frame: Frame, z: FloatArray, freeze: FloatArray | None) -> None:
        ok: BoolArray = np.logical_not(np.isnan(z).any(axis=-1))
        if freeze is not None:
            ok = ok & (freeze != 1.0)
        learns, ready = self.due(frame, ok)
        n, mean, moment, low, high = self.read(frame.rows, "n", "mean", "moment", "low", "high")
        n = n + learns
        known = np.where(learns[..., None], z, mean)
        step = known - mean
        mean = mean + step / np.maximum(n, 1.0)[..., None]
        moment = moment + step[..., :, None] * (known - mean)[..., None, :]
        x = np.where(learns[..., None], z, np.nan)[..., : self.p]
        self.write(frame.rows, n=n, mean=mean, moment=moment, low=np.fmin(low, x), high=np.fmax(high, x))
        (solved,) = self.read(frame.rows, "solved")
        todo = ready & (solved == 0.0)
        if todo.any():
            i, j = np.nonzero(todo)
            self._solve(frame.index[i], j)

    def _solve(self, rows: NDArray[Any], instances: NDArray[Any]) -> None:
        at = (rows, instances)
        p = self.p
        moment = self.arrays["moment"][at] / self.arrays["n"][at][:, None, None]
        scale = np.sqrt(np.maximum(np.einsum("nii->ni", moment[:, :p, :p]), 0.0))
        tiny = scale <= 1e-9 * (np.abs(self.arrays["mean"][at][:, :p]) + 1e-300)
        scale = np.where(tiny, 1.0, scale)
        a = moment[:, :p, :p] / (scale[:, :, None] * scale[:, None, :]) + _RIDGE * np.eye(p)
        b = np.where(tiny, 0.0, moment[:, :p, p] / scale)
        self.arrays["weights"][at] = np.linalg.solve(a, b[..., None])[..., 0] / scale
        self.arrays["solved"][at] = 1.0

    def _predict(self, frame: Frame, x: FloatArray) -> FloatArray:
        solved, mean, low, high, weights = self.read(frame.rows, "solved", "mean", "low", "high", "weights")
        width = high - low
        seen = ((x >= low - width) & (x <= high + width)).all(axis=-1)
        value: FloatArray = mean[..., self.p] + ((x - mean[..., : self.p]) * weights).sum(axis=-1)
        return np.where(seen & (solved == 1.0), value, np.nan)
