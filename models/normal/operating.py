"""Each sensor from the operating point: how a machine is driven explains most of what its sensors do."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone

from models.normal.products import product
from models.prognosis.blend import one_thread
from models.prognosis.regimes import RegimeNormaliser

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_RIDGE: Final = 1e-3
"""Of a standardised setting's variance."""
_ROWS_PER_TERM: Final = 20
_REGIME_ROWS: Final = 4000
_SMALL: Final = 1e-6
"""Of a standardised setting: one that moves less within a regime has no slope there."""
_AS_GOOD: Final = 1.5
"""Times the variance that several regimes leave."""


class OperatingPoint(BaseEstimator):  # type: ignore[misc]
    """Expected sensors [rows, m] from settings [rows, k]: a line, and a parabola (with what two settings do together)
    where there are rows enough, per regime.

    Regimes are found, not given (:class:`~models.prognosis.regimes.RegimeNormaliser`); k may be 0: then what is
    expected is the mean. ``regressor``: any of scikit-learn's that takes several targets, instead of the parabola (it
    sees the settings standardised). ``beyond``: an operating point further outside of what was seen than this share of
    its width is foreign. NaN in a sensor leaves that value out; rows with NaN in a setting are not used.

    Attributes: ``low_``, ``high_`` [k] of what was seen, ``regimes_``, ``coefficients_`` [regimes, terms, m].

    >>> load = np.linspace(0, 1, 200)[:, None]
    >>> fitted = OperatingPoint().fit(load, np.hstack([20 + 60 * load, 5 - load**2]))
    >>> bool(np.allclose(fitted.expected(np.array([[0.5]])), [[50, 4.75]], atol=0.05))
    True
    """

    def __init__(
        self, regressor: Any = None, max_regimes: int = 6, random_state: int = 0, beyond: float = 0.25
    ) -> None:
        self.regressor = regressor
        self.max_regimes = max_regimes
        self.random_state = random_state
        self.beyond = beyond

    def fit(self, settings: FloatArray, sensors: FloatArray, *, again: bool = False) -> Self:
        """``again``: on the same settings as before, so in the regimes already found."""
        known = np.isfinite(settings).all(1)
        settings, sensors = settings[known], sensors[known]
        k = settings.shape[1]
        self.low_: FloatArray = settings.min(0) if len(settings) else np.zeros(k)
        self.high_: FloatArray = settings.max(0) if len(settings) else np.zeros(k)
        self.centre_ = settings.mean(0) if len(settings) else np.zeros(k)
        spread = settings.std(0) if len(settings) else np.ones(k)
        self.scale_ = np.where(spread > 1e-9 * (1.0 + np.abs(self.centre_)), spread, 1.0)
        self.regressor_ = None
        mean = np.array([_mean(column) for column in sensors.T])
        if again and self.regressor is None:
            self.coefficients_ = self._coefficients(settings, sensors, mean)
            return self
        if self.regressor is not None and k:
            filled = np.where(np.isfinite(sensors), sensors, mean)
            self.regressor_ = clone(self.regressor).fit((settings - self.centre_) / self.scale_, filled)
            return self
        some = slice(None, None, max(1, len(settings) // _REGIME_ROWS))
        filled = np.where(np.isfinite(sensors[some]), sensors[some], mean)
        found = []
        for most in (1, self.max_regimes if k else 1):
            with one_thread():
                self.regimes_ = RegimeNormaliser(most, self.random_state).fit(settings[some], filled)
            self.coefficients_ = self._coefficients(settings, sensors, mean)
            left = (filled - self.expected(settings[some])).var(0)
            found.append((left, self.regimes_, self.coefficients_))
            if len(self.regimes_.centres_) == 1 and most > 1:
                break
        # one curve over all regimes, where it says as much: it has no steps between them
        one, several = found[0], found[-1]
        share = one[0] / np.maximum(several[0], 1e-12 * (1.0 + mean**2))
        _, self.regimes_, self.coefficients_ = one if np.median(share) <= _AS_GOOD else several
        return self

    def _coefficients(self, settings: FloatArray, sensors: FloatArray, mean: FloatArray) -> FloatArray:
        count, k = len(self.regimes_.centres_), settings.shape[1]
        regime, terms = self.regimes_.regime(settings), self._terms(settings)
        found = np.zeros((count, terms.shape[1], sensors.shape[1]))
        for r in range(count):
            mine = regime == r
            found[r] = _solve(terms[mine], sensors[mine], mean, k)
        return found

    def expected(self, settings: FloatArray) -> FloatArray:
        """What each sensor should read; settings are taken no further out than what was seen. NaN where one is
        unknown."""
        settings = np.clip(np.asarray(settings, float), self.low_, self.high_)
        unknown = np.isnan(settings).any(1)
        settings = np.where(np.isfinite(settings), settings, self.centre_)
        if self.regressor_ is not None:
            found = np.asarray(self.regressor_.predict((settings - self.centre_) / self.scale_), float)
            found = found.reshape(len(settings), -1).copy()
        else:
            regime, terms = self.regimes_.regime(settings), self._terms(settings)
            found = np.empty((len(settings), self.coefficients_.shape[2]))
            for r in np.unique(regime):
                mine = regime == r
                found[mine] = product(terms[mine], self.coefficients_[r])
        found[unknown] = np.nan
        return found

    def foreign(self, settings: FloatArray) -> BoolArray:
        """[rows]: an operating point far outside everything that was learned from, or an unknown one."""
        margin = self.beyond * (self.high_ - self.low_) + 1e-9 * (1.0 + np.abs(self.high_))
        with np.errstate(invalid="ignore"):
            inside = (settings >= self.low_ - margin) & (settings <= self.high_ + margin)
        foreign: BoolArray = np.logical_not(inside.all(1))
        return foreign

    def _terms(self, settings: FloatArray) -> FloatArray:
        z = (settings - self.centre_) / self.scale_
        first, second = np.triu_indices(z.shape[1], 1)
        return np.hstack([np.ones((len(z), 1)), z, z * z, z[:, first] * z[:, second]])


def _mean(column: FloatArray) -> float:
    known = column[np.isfinite(column)]
    return float(known.mean()) if len(known) else 0.0


def _solve(terms: FloatArray, sensors: FloatArray, mean: FloatArray, k: int) -> FloatArray:
    """Ridge per sensor on the rows in which it is known; only as many terms as those rows can carry."""
    found = np.zeros((terms.shape[1], sensors.shape[1]))
    found[0] = mean
    known = np.isfinite(sensors)
    for j in range(sensors.shape[1]):
        rows = known[:, j]
        n = int(rows.sum())
        if n < 2:
            continue
        used = next((u for u in (terms.shape[1], 1 + 2 * k, 1 + k) if n >= _ROWS_PER_TERM * u), 1)
        a, y = terms[rows, :used], sensors[rows, j]
        centre, spread = a[:, 1:].mean(0), a[:, 1:].std(0) + _SMALL
        z = (a[:, 1:] - centre) / spread
        slope = np.linalg.solve(z.T @ z / n + _RIDGE * np.eye(used - 1), z.T @ (y - y.mean()) / n) / spread
        found[:used, j] = [y.mean() - centre @ slope, *slope]
    return found
