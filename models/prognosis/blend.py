"""Several kinds of regressors, one answer: their mean errs less than any of them."""

from __future__ import annotations

import functools
import warnings
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController

from models.prognosis.forest import BATCH, FlatForest

FloatArray = NDArray[np.float64]

_SHIFT: Final = 5.0
"""Added before taking square roots: the last few steps are not to be told apart more finely than they can be."""


class Blend(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Mean of extremely randomised trees, boosted trees and small neural networks.

    All learn the square root of the target: an error of five steps matters near the end, and not far from it. ``trees``
    of the forest, ``boosts`` rounds, ``nets`` networks of ``layers`` taught for ``epochs``; ``rows`` at most are
    learned from, evenly taken, since neighbours in a life are alike (networks take twice as many). One thread,
    whatever the machine: answers are the same everywhere, and a stream's neighbours keep their processor.
    """

    def __init__(
        self,
        trees: int = 100,
        boosts: int = 150,
        nets: int = 2,
        layers: tuple[int, ...] = (64, 32),
        epochs: int = 30,
        rows: int = 6000,
        random_state: int = 0,
    ) -> None:
        self.trees = trees
        self.boosts = boosts
        self.nets = nets
        self.layers = layers
        self.epochs = epochs
        self.rows = rows
        self.random_state = random_state

    def fit(self, x: FloatArray, y: FloatArray) -> Self:
        """[rows, features], [rows] not negative."""
        x, root = np.asarray(x, float), np.sqrt(np.asarray(y, float) + _SHIFT)
        some, more = (slice(None, None, max(1, round(len(x) / most))) for most in (self.rows, 2 * self.rows))
        with one_thread():
            self.forest_ = ExtraTreesRegressor(
                self.trees, min_samples_leaf=3, max_features=0.4, random_state=self.random_state
            ).fit(x[some], root[some])
            self.boosted_ = HistGradientBoostingRegressor(
                max_iter=self.boosts, learning_rate=0.06, max_leaf_nodes=15, l2_regularization=5.0,
                min_samples_leaf=min(40, max(5, len(x[some]) // 50)), max_features=0.3, early_stopping=False,
                random_state=self.random_state,
            ).fit(x[some], root[some])  # fmt: skip
            self.scaler_ = StandardScaler().fit(x)
            scaled = self.scaler_.transform(x[more])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # so many epochs and no more is what is wanted
                self.nets_ = [self._net(i).fit(scaled, root[more]) for i in range(self.nets)]
        return self

    def predict(self, x: FloatArray) -> FloatArray:
        """[rows, features] → [rows]."""
        x = np.asarray(x, float)
        with one_thread():
            said = [_square(self._forest(x)), _square(self.boosted_.predict(x))]
            scaled = (x - self.scaler_.mean_) / self.scaler_.scale_
            if self.nets_:
                said.append(np.mean([_square(_forward(net, scaled)) for net in self.nets_], axis=0))
        mean: FloatArray = np.mean(said, axis=0)
        return mean

    def _net(self, i: int) -> Any:
        return MLPRegressor(
            hidden_layer_sizes=self.layers, alpha=1.0, learning_rate_init=2e-3, max_iter=self.epochs, tol=0.0,
            n_iter_no_change=self.epochs + 1, random_state=self.random_state + i,
        )  # fmt: skip

    def _forest(self, x: FloatArray) -> FloatArray:
        if len(x) > BATCH:
            many: FloatArray = self.forest_.predict(x)
            return many
        if "_flat" not in self.__dict__:
            self._flat = FlatForest(self.forest_.estimators_)
        return self._flat.predict(x)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_flat"}  # made anew where it is needed


def _square(root: FloatArray) -> FloatArray:
    value: FloatArray = np.maximum(root, 0.0) ** 2 - _SHIFT
    return value


def _forward(net: Any, x: FloatArray) -> FloatArray:
    """The network's answer without its checks, which cost more than the answer."""
    for i, (weights, bias) in enumerate(zip(net.coefs_, net.intercepts_, strict=True)):
        x = x @ weights + bias
        if i < len(net.coefs_) - 1:
            x = np.maximum(x, 0.0)
    return x[:, 0]


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_thread() -> Any:
    """A context in which nothing below starts threads."""
    return _controller().limit(limits=1)
