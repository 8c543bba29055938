"""Other ways to expect each sensor from the others, behind one protocol: ``fit(Z)``, ``expected(Z)``, rows of sensors
in standard deviations, without gaps. What is left over is scored by :class:`Novelty`.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.neighbors import NearestNeighbors

FloatArray = NDArray[np.float64]


class Expectation(Protocol):
    """An estimator of scikit-learn's manner, unsupervised."""

    def fit(self, z: FloatArray) -> Self: ...

    def expected(self, z: FloatArray) -> FloatArray: ...


class CrossSensor(BaseEstimator):  # type: ignore[misc]
    """Each sensor by ridge regression on all others: all of them from one inverse covariance.

    >>> rng = np.random.default_rng(0)
    >>> z = rng.normal(size=(500, 1)) + 0.1 * rng.normal(size=(500, 3))
    >>> moved = CrossSensor().fit(z).expected(np.array([[3.0, 0.0, 0.0]]))
    >>> bool(abs(moved[0, 0]) < 0.1)
    True
    """

    def __init__(self, ridge: float = 0.1) -> None:
        self.ridge = ridge

    def fit(self, z: FloatArray) -> Self:
        self.centre_ = z.mean(0)
        covariance = np.atleast_2d(np.cov((z - self.centre_).T)) + self.ridge * np.eye(z.shape[1])
        precision = np.linalg.inv(covariance)
        self.weights_ = np.eye(z.shape[1]) - precision / np.diag(precision)
        return self

    def expected(self, z: FloatArray) -> FloatArray:
        found: FloatArray = self.centre_ + (z - self.centre_) @ self.weights_
        return found


class Subspace(BaseEstimator):  # type: ignore[misc]
    """Principal components that hold ``share`` of the variance: what lies outside of them is unexpected."""

    def __init__(self, share: float = 0.95) -> None:
        self.share = share

    def fit(self, z: FloatArray) -> Self:
        self.centre_ = z.mean(0)
        _, values, axes = np.linalg.svd(z - self.centre_, full_matrices=False)
        held = np.cumsum(values**2) / max(float((values**2).sum()), 1e-300)
        self.axes_ = axes[: int(np.searchsorted(held, self.share)) + 1]
        return self

    def expected(self, z: FloatArray) -> FloatArray:
        found: FloatArray = self.centre_ + (z - self.centre_) @ self.axes_.T @ self.axes_
        return found


class SimilarStates(BaseEstimator):  # type: ignore[misc]
    """Auto-associative kernel regression (MSET's kin): the mean of the ``neighbours`` healthy states that were most
    alike,
    near ones weighing more. Knows as many ways to run as were seen, so it needs no regimes."""

    def __init__(self, neighbours: int = 8) -> None:
        self.neighbours = neighbours

    def fit(self, z: FloatArray) -> Self:
        self.states_ = np.asarray(z, float)
        self.index_ = NearestNeighbors(n_neighbors=min(self.neighbours, len(z))).fit(self.states_)
        distance, _ = self.index_.kneighbors(self.states_)
        self.width_ = max(float(np.median(distance[:, -1])), 1e-12)
        return self

    def expected(self, z: FloatArray) -> FloatArray:
        distance, which = self.index_.kneighbors(z)
        # relative to the nearest: a state far from all is still expected where its nearest kin are
        weight = np.exp(-0.5 * ((distance**2 - distance[:, :1] ** 2) / self.width_**2))
        weight /= weight.sum(1, keepdims=True)
        found: FloatArray = np.einsum("rk,rkm->rm", weight, self.states_[which])
        return found


class Novelty(BaseEstimator):  # type: ignore[misc]
    """How far rows are from what healthy ones taught, for data without an order in time.

    Columns are taken in standard deviations of healthy rows, a heavy tail compressed (inverse hyperbolic sine);
    columns that never move there count when they move: by ``moved`` standard deviations each. Then the root mean
    square of what ``expectation`` leaves over, each column by what it leaves over of healthy rows.
    """

    def __init__(self, expectation: Any = None, moved: float = 3.0) -> None:
        self.expectation = expectation
        self.moved = moved

    def fit(self, x: FloatArray) -> Self:
        x = np.asarray(x, float)
        self.centre_, spread = np.median(x, axis=0), x.std(0)
        still = spread <= 1e-9 * (1.0 + np.abs(self.centre_))
        self.scale_ = np.where(still, 1.0, spread)
        self.still_ = still
        self.used_ = np.flatnonzero(~still)
        z = self._scaled(x)
        half = len(z) // 2
        model = SimilarStates() if self.expectation is None else self.expectation
        # what is left over of rows that were not learned from, each half by the other
        left = np.concatenate([
            z[:half] - clone(model).fit(z[half:]).expected(z[:half]),
            z[half:] - clone(model).fit(z[:half]).expected(z[half:]),
        ])  # fmt: skip
        self.left_ = np.maximum(left.std(0), 0.05)
        self.expectation_ = clone(model).fit(z)
        return self

    def score(self, x: FloatArray) -> FloatArray:
        """[rows]: 1 is usual."""
        x = np.asarray(x, float)
        z = self._scaled(x)
        left = (z - self.expectation_.expected(z)) / self.left_
        apart = (np.abs(x[:, self.still_] - self.centre_[self.still_]) > 1e-9).sum(1) * self.moved**2
        score: FloatArray = np.sqrt(((left**2).sum(1) + apart) / max(x.shape[1], 1))
        return score

    def _scaled(self, x: FloatArray) -> FloatArray:
        z: FloatArray = np.arcsinh((x[:, self.used_] - self.centre_[self.used_]) / self.scale_[self.used_])
        return z
