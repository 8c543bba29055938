"""Remaining life learned from machines that were run to failure.

Sensors → regime-normalised → a few signals of wear → their trends at several scales → a blend of regressors → an
interval that was calibrated on machines the blend had not seen. Evenly stepped histories; a step is a cycle, an hour
run, a start: whatever the equipment's clock counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from core.errors import InvalidInputError
from models.prognosis.answer import RemainingLife
from models.prognosis.blend import Blend
from models.prognosis.calibration import ConformalByRange
from models.prognosis.features import TrendFeatures
from models.prognosis.signals import Life, WearSignals, check

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


_MARGINS: Final = np.arange(0.0, 0.0801, 0.004)
"""Of the horizon: half a cycle of 125, and so on."""


class LifeRegressor(BaseEstimator):  # type: ignore[misc]
    """Remaining life of machines of one kind, up to ``horizon`` steps.

    ``signals`` of wear, ``regressor`` (scikit-learn's protocol; None: :class:`~models.prognosis.blend.Blend`),
    ``folds`` of machines for the calibration (0: none, then there are only points), ``youthful``: steps before
    failure from which a history is learned from, as a multiple of the horizon (what is far beyond it says nothing),
    ``least``: steps below which a history is too short to be asked about in the calibration, ``unit`` of the clock.

    Attributes: ``signals_``, ``regressor_``, ``intervals_``, ``margin_``; ``unseen_`` [rows, 4]: machine, steps
    lived, prediction of the folds, truth (uncapped; -1 where it is unknown), for whoever judges.
    """

    def __init__(
        self,
        horizon: float = 125.0,
        signals: int = 4,
        regressor: Any = None,
        folds: int = 5,
        youthful: float = 1.6,
        least: int = 30,
        unit: str = "cycle",
        random_state: int = 0,
    ) -> None:
        self.horizon = horizon
        self.signals = signals
        self.regressor = regressor
        self.folds = folds
        self.youthful = youthful
        self.least = least
        self.unit = unit
        self.random_state = random_state

    def fit(self, lives: Sequence[Life]) -> Self:
        """At least twice as many lives as folds, some of which failed.

        Raises :class:`~core.errors.InvalidInputError` for fewer.
        """
        check(lives)
        if sum(life.failed for life in lives) < max(2, self.folds):
            raise InvalidInputError(
                f"{sum(life.failed for life in lives)} lives that came to an end are too few to learn from",
                hint=f"at least {max(2, self.folds)}; with fewer use the trend of a value to its limit",
            )
        if self.folds:
            self.unseen_ = self._unseen(lives)
            self.intervals_ = self.calibrated(self.unseen_)
            self.margin_ = self.prudent(self.unseen_)
        self._fit(lives)
        return self

    def point(self, lives: Sequence[Life]) -> FloatArray:
        """Expected remaining life after the last row of each, 0 … horizon, less the margin of prudence."""
        check(lives)
        return self.prudently(self._last(lives))

    def remaining(self, histories: Sequence[Life]) -> RemainingLife:
        """P10, P50, P90 after the last row of each."""
        check(histories)
        return self._answer(self._last(histories))

    def along(self, life: Life) -> RemainingLife:
        """What would have been said after each row of one life."""
        check([life])
        return self._answer(self._point(self._features(life)))

    def start(self, machines: int) -> FleetLife:
        """Remaining life of a fleet, step by step."""
        return FleetLife(self, machines)

    def could_be_cut(self, unseen: FloatArray) -> NDArray[np.bool_]:
        """Rows (as in ``unseen_``) that could have been the last one known of a machine that is watched: old enough
        to be asked about, with a known end that is at most a fifth farther off than the horizon."""
        _, age, _, left = unseen.T
        cut: NDArray[np.bool_] = (age > self.least) & (left >= 0) & (left <= 1.2 * self.horizon)
        return cut

    def calibrated(self, unseen: FloatArray) -> ConformalByRange:
        """Intervals from those rows (as in ``unseen_``) at which a machine could have been cut off."""
        machine, _, predicted, left = unseen[self.could_be_cut(unseen)].T
        return ConformalByRange(self.horizon).fit(predicted, left, machine.astype(np.int64))

    def prudent(self, unseen: FloatArray) -> float:
        """By how many steps an expected life had better be told too short, from rows as in ``unseen_``.

        A prognosis that comes too late costs more than one too early, and the mean of what may be weighs them alike.
        The margin is the one that makes RMSE and penalty (:func:`penalty`), each relative to what it is without,
        least in sum.
        """
        machine, _, predicted, left = unseen[self.could_be_cut(unseen)].T
        true = np.minimum(left, self.horizon)
        _, number, counts = np.unique(machine, return_inverse=True, return_counts=True)
        weight = 1.0 / counts[number]

        def costs(margin: float) -> FloatArray:
            d = np.maximum(predicted - margin, 0.0) - true
            return np.array([np.sqrt(np.average(d**2, weights=weight)), np.average(penalty(d), weights=weight)])

        without = np.maximum(costs(0.0), 1e-12)
        margins = _MARGINS * self.horizon
        return float(margins[np.argmin([(costs(float(margin)) / without).sum() for margin in margins])])

    def prudently(self, predicted: FloatArray) -> FloatArray:
        """Predictions less the margin, not below 0."""
        told: FloatArray = np.maximum(predicted - self.margin_, 0.0) if self.folds else predicted
        return told

    # --- inside ---

    def _last(self, lives: Sequence[Life]) -> FloatArray:
        return self._point(np.concatenate([self._features(life)[-1:] for life in lives]))

    def _fit(self, lives: Sequence[Life]) -> None:
        self.signals_ = WearSignals(self.signals, self.horizon, self.random_state).fit(lives)
        self.features_ = TrendFeatures(self.signals_.weights_.shape[1])
        x = np.concatenate([self._features(life) for life in lives])
        left = np.concatenate([_left(life) for life in lives])
        y = np.minimum(left, self.horizon)
        known = (left >= 0) & (left <= self.youthful * self.horizon)
        regressor = Blend(random_state=self.random_state) if self.regressor is None else clone(self.regressor)
        self.regressor_ = regressor.fit(x[known], y[known])

    def _unseen(self, lives: Sequence[Life]) -> FloatArray:
        fold = np.random.default_rng(self.random_state).permutation(len(lives)) % self.folds
        rows = []
        for k in range(self.folds):
            other: LifeRegressor = clone(self).set_params(folds=0)
            other._fit([life for i, life in enumerate(lives) if fold[i] != k])
            for i in np.flatnonzero(fold == k).tolist():
                predicted = other._point(other._features(lives[i]))
                n = len(predicted)
                rows.append(np.stack([np.full(n, float(i)), np.arange(1.0, n + 1), predicted, _left(lives[i])], axis=1))
        return np.concatenate(rows)

    def _features(self, life: Life) -> FloatArray:
        return self.features_.along(self.signals_.transform(life.settings, life.sensors))

    def _point(self, features: FloatArray) -> FloatArray:
        return np.clip(self.regressor_.predict(features), 0.0, self.horizon)

    def _answer(self, point: FloatArray) -> RemainingLife:
        if not self.folds:
            return RemainingLife(point, point, point, self.unit, self.horizon)
        return RemainingLife.of(self.intervals_.transform(point), self.unit, self.horizon)


def penalty(late: FloatArray) -> FloatArray:
    """PHM08 penalty of predicted less true life: late prognoses cost more than early ones (Saxena et al. 2008)."""
    costs: FloatArray = np.where(late < 0, np.exp(-late / 13.0), np.exp(late / 10.0)) - 1.0
    return costs


class FleetLife:
    """Remaining life of many machines of one kind as they go on living; memory does not grow with their age."""

    def __init__(self, model: LifeRegressor, machines: int) -> None:
        self.model = model
        self.state = model.features_.start(machines)

    def step(self, settings: FloatArray, sensors: FloatArray, rows: NDArray[np.intp] | None = None) -> RemainingLife:
        """One more step of the machines ``rows`` (None: all): their settings and sensors [rows, …], without NaN."""
        signals = self.model.signals_.transform(settings, sensors)
        return self.model._answer(self.model._point(self.state.step(signals, rows)))


def _left(life: Life) -> FloatArray:
    """Steps left at each row; -1 where nobody knows."""
    if not life.failed:
        return np.full(len(life), -1.0)
    return np.arange(len(life) - 1, -1, -1.0)
