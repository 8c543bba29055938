"""What a history looks like at several scales: levels, slopes, spread, distance from the beginning.

Everything is either an exponentially weighted mean or a straight line through the last steps, so it can be had in two
ways with equal results: along the whole of one history (:meth:`TrendFeatures.along`, for training), or by one step for
thousands of machines side by side (:class:`TrendState`, for the stream), whose memory does not grow with age.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEVELS: Final = (2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Time constants of exponentially weighted means, in steps."""
SLOPES: Final = (10, 20, 40, 80, 160)
"""Windows of straight lines, in steps."""
INITIAL: Final = 20
"""Steps whose mean is the beginning."""
SPREAD: Final = 15.0


@dataclass(frozen=True, slots=True)
class TrendFeatures:
    """Features of ``signals`` evenly stepped signals: one row per step, ``width`` columns.

    Per signal: level at six scales, the beginning (mean of the first 20 steps), three distances from it, rate since
    then, slope over five windows, its change, distance of a fast from a slow level, spread; and once the logarithm of
    the age in steps. NaN is not understood: fill gaps before.
    """

    signals: int

    @property
    def width(self) -> int:
        return self.signals * len(self.names()) + 1

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of one signal's features, in order."""
        return (
            *(f"level_{tau:g}" for tau in LEVELS),
            "beginning", "off_8", "off_4", "off_15",
            *(f"slope_{w}" for w in SLOPES),
            "spread", "rate_since_beginning", "level_4_30", "bend",
        )  # fmt: skip

    def along(self, x: FloatArray) -> FloatArray:
        """[steps, signals] → [steps, width]; row t knows steps 0 … t only."""
        x = np.asarray(x, float)
        steps = np.arange(1.0, len(x) + 1)[:, None]
        level = {tau: _mean_along(x, tau) for tau in LEVELS}
        total = np.cumsum(x, 0)
        beginning = total[np.minimum(np.arange(len(x)), INITIAL - 1)] / np.minimum(steps, INITIAL)
        slopes = [_slope_along(x, w) for w in SLOPES]
        return _assemble(steps, level, beginning, slopes, _mean_along(x * x, SPREAD))

    def start(self, machines: int) -> TrendState:
        """Memory of ``machines`` that have lived no step yet."""
        return TrendState(self, machines)


class TrendState:
    """Memory of many machines: a few numbers per signal and scale, and the last 160 steps.

    >>> state = TrendFeatures(1).start(2)
    >>> for level in (1.0, 2.0, 3.0):
    ...     now = state.step(np.array([[level], [5.0]]))
    >>> bool(np.allclose(now[0], TrendFeatures(1).along(np.array([[1.0], [2.0], [3.0]]))[-1]))
    True
    """

    def __init__(self, features: TrendFeatures, machines: int) -> None:
        self.features = features
        shape = (machines, features.signals)
        self.steps = np.zeros(machines, np.int64)
        self._weight = {tau: np.zeros((machines, 1)) for tau in LEVELS}
        self._sum = {tau: np.zeros(shape) for tau in LEVELS}
        self._square = np.zeros(shape)
        self._begun = np.zeros(shape)
        self._recent = np.zeros((machines, max(SLOPES), features.signals))
        self._lines = {w: _line_weights(w) for w in SLOPES}

    def step(self, x: FloatArray, rows: NDArray[np.intp] | None = None) -> FloatArray:
        """One more step of the machines ``rows`` (None: all): [rows, signals] → [rows, width]."""
        r: Any = slice(None) if rows is None else rows
        self.steps[r] += 1
        age = self.steps[r]
        steps = age[:, None].astype(float)
        level = {}
        for tau in LEVELS:
            keep = float(np.exp(-1.0 / tau))
            self._weight[tau][r] = keep * self._weight[tau][r] + 1.0
            self._sum[tau][r] = keep * self._sum[tau][r] + x
            level[tau] = self._sum[tau][r] / self._weight[tau][r]
        self._square[r] = float(np.exp(-1.0 / SPREAD)) * self._square[r] + x * x
        self._begun[r] += np.where(steps <= INITIAL, x, 0.0)
        recent = np.concatenate([self._recent[r][:, 1:], np.asarray(x, float)[:, None]], axis=1)
        self._recent[r] = recent
        slopes = [np.einsum("nw,nws->ns", self._lines[w][np.minimum(age, w)], recent[:, -w:]) for w in SLOPES]
        beginning = self._begun[r] / np.minimum(steps, INITIAL)
        return _assemble(steps, level, beginning, slopes, self._square[r] / self._weight[SPREAD][r])

    def dump(self) -> dict[str, FloatArray | NDArray[np.int64]]:
        """State as arrays by name."""
        return dict(self._arrays())

    def load(self, image: dict[str, Any]) -> None:
        """Go on from a :meth:`dump` of as many machines."""
        for name, array in self._arrays():
            array[...] = image[name]

    def _arrays(self) -> list[tuple[str, Any]]:
        return [
            ("steps", self.steps),
            ("square", self._square),
            ("begun", self._begun),
            ("recent", self._recent),
            *((f"weight_{tau:g}", self._weight[tau]) for tau in LEVELS),
            *((f"sum_{tau:g}", self._sum[tau]) for tau in LEVELS),
        ]


def _mean_along(x: FloatArray, tau: float) -> FloatArray:
    keep = float(np.exp(-1.0 / tau))
    weight = scipy.signal.lfilter([1.0], [1.0, -keep], np.ones((len(x), 1)), axis=0)
    mean: FloatArray = scipy.signal.lfilter([1.0], [1.0, -keep], x, axis=0) / weight
    return mean


def _prior(window: int) -> float:
    """Draws slopes towards 0 while there are few steps: as if a quarter of the window had been flat."""
    return (window / 4.0) ** 3 / 12.0


def _slope_along(x: FloatArray, window: int) -> FloatArray:
    """Slope per step of the least-squares line through the last ``window`` steps (fewer at the beginning)."""
    t = np.arange(len(x), dtype=float)[:, None]
    sx, stx = _before(x), _before(x * t)
    high = np.arange(1, len(x) + 1)
    low = np.maximum(high - window, 0)
    n = (high - low)[:, None].astype(float)
    centre = (high + low - 1)[:, None] / 2.0
    slope: FloatArray = ((stx[high] - stx[low]) - centre * (sx[high] - sx[low])) / (
        n * (n**2 - 1) / 12.0 + _prior(window)
    )
    return slope


def _before(x: FloatArray) -> FloatArray:
    return np.vstack([np.zeros((1, x.shape[1])), np.cumsum(x, 0)])


def _line_weights(window: int) -> FloatArray:
    """[m, window]: what to multiply the last ``window`` values with to get the slope when only m of them are there."""
    weights = np.zeros((window + 1, window))
    for m in range(1, window + 1):
        weights[m, window - m :] = (np.arange(m) - (m - 1) / 2.0) / (m * (m**2 - 1) / 12.0 + _prior(window))
    return weights


def _assemble(
    steps: FloatArray,
    level: dict[float, FloatArray],
    beginning: FloatArray,
    slopes: list[FloatArray],
    square: FloatArray,
) -> FloatArray:
    columns = [
        *(level[tau] for tau in LEVELS),
        beginning,
        level[8.0] - beginning,
        level[4.0] - beginning,
        level[15.0] - beginning,
        *slopes,
        np.sqrt(np.maximum(square - level[SPREAD] ** 2, 0.0)),
        (level[8.0] - beginning) / (steps + INITIAL),
        level[4.0] - level[30.0],
        slopes[1] - slopes[3],
        np.log(steps),
    ]
    return np.hstack(columns)
