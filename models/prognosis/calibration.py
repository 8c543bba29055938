"""Intervals that hold what they promise: conformal calibration by range of remaining life.

The errors on machines that a model had not seen are looked at by what it said, not over all: near the end a prognosis
is right to a few cycles, far from it to dozens. (Conformalised prediction with a moving range: Papadopoulos et al.
2011; "Mondrian" classes: Vovk et al. 2005. Here the classes slide, so that no step shows between them.)
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

FloatArray = NDArray[np.float64]

_KNOTS: Final = 41
LEVELS: Final = (0.1, 0.5, 0.9)


class ConformalByRange(BaseEstimator):  # type: ignore[misc]
    """Quantiles of the truth around a prediction, from pairs (prediction, truth) of machines not trained on.

    At each of a row of knots along the predictions the pairs near it (Gaussian weights of ``width``, at least
    ``least`` machines' worth) give the weighted quantiles of ``truth - prediction``; between knots it is interpolated.
    Every machine weighs the same, however many of its pairs there are: pairs of one machine err together.

    ``levels_`` [3] are the quantiles taken; :meth:`fit` widens them by the usual conformal correction for finitely many
    machines. ``knots_`` [k], ``offsets_`` [k, 3].
    """

    def __init__(self, horizon: float, width: float = 8.0, least: int = 20) -> None:
        self.horizon = horizon
        self.width = width
        self.least = least

    def fit(self, prediction: FloatArray, truth: FloatArray, machine: NDArray[np.int64]) -> Self:
        prediction, truth = np.asarray(prediction, float), np.minimum(np.asarray(truth, float), self.horizon)
        error = truth - prediction
        order = np.argsort(error)
        error, prediction, machine = error[order], prediction[order], np.asarray(machine)[order]
        _, number, counts = np.unique(machine, return_inverse=True, return_counts=True)
        alike = 1.0 / counts[number]
        self.knots_ = np.linspace(0.0, self.horizon, _KNOTS)
        self.offsets_ = np.zeros((_KNOTS, 3))
        for k, knot in enumerate(self.knots_):
            width = self.width
            while True:
                near = np.exp(-0.5 * ((prediction - knot) / width) ** 2)
                weight = alike * near
                per_machine = np.bincount(number, weight, minlength=len(counts))
                effective = per_machine.sum() ** 2 / max((per_machine**2).sum(), 1e-300)
                if effective >= min(self.least, 0.5 * len(counts)) or width > self.horizon:
                    break
                width *= 1.5
            self.offsets_[k] = _quantiles(error, weight, effective)
        return self

    def transform(self, prediction: FloatArray) -> FloatArray:
        """[n] → [n, 3]: P10, P50, P90, in order, within 0 … horizon."""
        prediction = np.asarray(prediction, float)
        moved = np.stack([np.interp(prediction, self.knots_, self.offsets_[:, j]) for j in range(3)], axis=1)
        return np.sort(np.clip(prediction[:, None] + moved, 0.0, self.horizon), axis=1)


def _quantiles(error: FloatArray, weight: FloatArray, n: float) -> FloatArray:
    """Weighted quantiles of sorted errors, the outer ones by the conformal correction for n machines."""
    share = np.cumsum(weight)
    share = (share - 0.5 * weight) / share[-1]
    low, middle, high = LEVELS
    widen = 1.0 / (n + 1.0)
    found: FloatArray = np.interp([max(0.0, low - widen * 0.5), middle, min(1.0, high + widen * 0.5)], share, error)
    return found


def coverage(quantiles: FloatArray, truth: FloatArray) -> float:
    """Share of truths within P10 … P90, ends included."""
    return float(np.mean((truth >= quantiles[:, 0]) & (truth <= quantiles[:, 2])))


def width(quantiles: FloatArray) -> float:
    """Mean of P90 - P10."""
    return float(np.mean(quantiles[:, 2] - quantiles[:, 0]))
