"""Operating regimes, found and not given: so that a change of load is not taken for wear."""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans

FloatArray = NDArray[np.float64]

_ENOUGH: Final = 1.1
"""Fewer regimes are preferred while they leave at most this times the least unexplained variance."""
_FIT_ROWS: Final = 2000
_FELT: Final = 0.03
"""A setting that explains less of every sensor's variance is noise: it has no part in the distances."""
_BINS: Final = 12


class RegimeNormaliser(BaseEstimator):  # type: ignore[misc]
    """Finds the regimes in which a machine works, and gives each sensor in standard deviations of its regime.

    Settings alone do not say how many regimes there are: their noise always looks like a few. What counts is what the
    *sensors* feel: of the partitions of the settings into 1 … ``max_regimes`` clusters the smallest is taken that
    explains the sensors' variance nearly as well as any (median over sensors of within-regime by total variance). A
    machine that has but one regime keeps one. Settings count in the distances by what the sensors feel of each.

    Attributes: ``centres_`` [k, settings] in units of ``spread_`` (infinite where a setting is not felt), ``mean_`` and
    ``sd_`` [k, sensors]; ``sd_`` is NaN where a sensor does not move, and its normalised value is 0.

    >>> rng = np.random.default_rng(0)
    >>> load = rng.choice([0.0, 50.0, 100.0], 600)
    >>> sensors = np.outer(load, [1.0, -2.0]) + rng.normal(size=(600, 2))
    >>> found = RegimeNormaliser().fit(load[:, None], sensors)
    >>> len(found.centres_), bool(abs(found.transform(load[:, None], sensors).std() - 1) < 0.01)
    (3, True)
    """

    def __init__(self, max_regimes: int = 10, random_state: int = 0) -> None:
        self.max_regimes = max_regimes
        self.random_state = random_state

    def fit(self, settings: FloatArray, sensors: FloatArray) -> Self:
        """``settings`` [rows, n] may have no column at all: then there is one regime."""
        settings, sensors = np.asarray(settings, float), np.asarray(sensors, float)
        step = max(1, len(settings) // _FIT_ROWS)
        some, felt = settings[::step], sensors[::step]
        relevance = np.array([_explained(column, felt) for column in some.T])
        with np.errstate(divide="ignore"):
            self.spread_ = np.where(relevance > _FELT, settings.std(0) / np.sqrt(np.maximum(relevance, _FELT)), np.inf)
        candidates = [np.zeros((1, settings.shape[1]))]
        if np.isfinite(self.spread_).any():
            scaled = some / self.spread_
            most = min(self.max_regimes, len(np.unique(scaled, axis=0)))
            candidates = [
                KMeans(k, n_init=6, random_state=self.random_state).fit(scaled).cluster_centers_
                for k in range(1, most + 1)
            ]
        left = np.array([self._unexplained(centres, some, felt) for centres in candidates])
        self.centres_ = candidates[int(np.flatnonzero(left <= _ENOUGH * left.min())[0])]
        regime = self.regime(settings)
        k, n = len(self.centres_), sensors.shape[1]
        self.mean_, self.sd_ = np.zeros((k, n)), np.full((k, n), np.nan)
        for r in range(k):
            mine = sensors[regime == r]
            if len(mine):
                self.mean_[r] = mine.mean(0)
                sd = mine.std(0)
                moves = sd > 1e-9 * (1.0 + np.abs(self.mean_[r]))
                self.sd_[r] = np.where(moves, sd, np.nan)
        return self

    def regime(self, settings: FloatArray) -> NDArray[np.intp]:
        """Number of the nearest regime, per row."""
        if len(self.centres_) == 1:
            return np.zeros(len(settings), np.intp)
        scaled = np.asarray(settings, float) / self.spread_
        nearest: NDArray[np.intp] = (
            -2.0 * scaled @ self.centres_.T + (self.centres_**2).sum(1)  # |x|² is the same for all
        ).argmin(1)
        return nearest

    def transform(self, settings: FloatArray, sensors: FloatArray) -> FloatArray:
        """Sensors in standard deviations of their regime, [rows, sensors]."""
        regime = self.regime(settings)
        with np.errstate(invalid="ignore"):
            z: FloatArray = (np.asarray(sensors, float) - self.mean_[regime]) / self.sd_[regime]
        return np.nan_to_num(z, nan=0.0)

    def _unexplained(self, centres: FloatArray, settings: FloatArray, sensors: FloatArray) -> float:
        total = sensors.var(0)
        alive = total > 1e-12 * (1.0 + sensors.mean(0) ** 2)
        if len(centres) == 1 or not alive.any():
            return 1.0
        scaled = settings / self.spread_
        regime = (-2.0 * scaled @ centres.T + (centres**2).sum(1)).argmin(1)
        within = np.zeros(sensors.shape[1])
        for r in np.unique(regime):
            mine = sensors[regime == r]
            within += mine.var(0) * (len(mine) / len(sensors))
        return float(np.median(within[alive] / total[alive]))


def _explained(setting: FloatArray, sensors: FloatArray) -> float:
    """Largest share of a sensor's variance that lies between quantile bins of the setting."""
    if np.ptp(setting) <= 0:
        return 0.0
    edges = np.unique(np.quantile(setting, np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, setting, side="right")
    total = sensors.var(0)
    alive = total > 1e-12 * (1.0 + sensors.mean(0) ** 2)
    if not alive.any():
        return 0.0
    within = np.zeros(sensors.shape[1])
    for b in np.unique(place):
        mine = sensors[place == b]
        within += mine.var(0) * (len(mine) / len(sensors))
    return float(np.max(1.0 - within[alive] / total[alive]))
