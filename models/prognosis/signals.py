"""From many noisy sensors to the few signals that tell of wear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.cross_decomposition import PLSRegression

from core.errors import InvalidInputError
from models.prognosis.regimes import RegimeNormaliser

FloatArray = NDArray[np.float64]

_SMOOTH = 10.0
"""Steps over which sensors are smoothed before directions are learned: noise must not choose them."""
_LEAST_VALUES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Life:
    """One machine's life so far, a row per step of its clock (cycle, hour run, …), oldest first.

    ``settings`` [steps, n] say how it was driven (n may be 0), ``sensors`` [steps, m] what was measured; neither has
    NaN. ``failed``: the last row is the last one before it failed; else it is still running and counts as such.
    """

    settings: FloatArray
    sensors: FloatArray
    failed: bool = True

    def __len__(self) -> int:
        return len(self.sensors)

    def until(self, steps: int) -> Life:
        """The life as it was known then."""
        return Life(self.settings[:steps], self.sensors[:steps], failed=False)

    def left(self, horizon: float) -> FloatArray:
        """Steps left at each row, at most ``horizon``; NaN where nobody knows, because it is still running."""
        left = np.arange(len(self) - 1, -1, -1.0)
        if not self.failed:
            left = np.where(left >= horizon, left, np.nan)
        capped: FloatArray = np.minimum(left, horizon)
        return capped


class WearSignals(BaseEstimator):  # type: ignore[misc]
    """Sensors, in standard deviations of their regime, weighted together to ``signals`` few by what goes with wear.

    Weights are those of partial least squares (Wold 1975) between the smoothed sensors and the life left up to the
    horizon. Attributes: ``regimes_``, ``used_`` (sensors that move), ``weights_`` [used, signals].
    """

    def __init__(self, signals: int = 4, horizon: float = 125.0, random_state: int = 0) -> None:
        self.signals = signals
        self.horizon = horizon
        self.random_state = random_state

    def fit(self, lives: Sequence[Life]) -> Self:
        check(lives)
        settings = np.concatenate([life.settings for life in lives])
        sensors = np.concatenate([life.sensors for life in lives])
        self.regimes_ = RegimeNormaliser(random_state=self.random_state).fit(settings, sensors)
        moves = [len(np.unique(column)) >= _LEAST_VALUES for column in sensors.T]
        self.used_ = np.flatnonzero(np.array(moves) & np.isfinite(self.regimes_.sd_).all(0))
        if not len(self.used_):
            raise InvalidInputError("no sensor moves in any of these lives", hint="are the columns the right ones?")
        left = np.concatenate([life.left(self.horizon) for life in lives])
        smooth = np.concatenate([_smooth(self._normal(life.settings, life.sensors)) for life in lives])
        old = np.concatenate([np.arange(len(life)) >= _SMOOTH for life in lives])
        known = np.isfinite(left) & (old | (not old.any()))
        if np.ptp(left[known]) == 0:
            raise InvalidInputError("no life in these histories comes to an end", hint="give some that failed")
        self.centre_ = smooth[known].mean(0)
        parts = min(self.signals, len(self.used_))
        self.weights_ = PLSRegression(parts, scale=True).fit(smooth[known], left[known]).x_rotations_
        return self

    def transform(self, settings: FloatArray, sensors: FloatArray) -> FloatArray:
        """[rows, sensors] → [rows, signals]; rows may be of one machine or of many."""
        weighted: FloatArray = (self._normal(settings, sensors) - self.centre_) @ self.weights_
        return weighted

    def _normal(self, settings: FloatArray, sensors: FloatArray) -> FloatArray:
        return self.regimes_.transform(settings, sensors)[:, self.used_]


def check(lives: Sequence[Life]) -> None:
    """Raises :class:`~core.errors.InvalidInputError` for histories that nothing can be learned from or said about."""
    if not lives:
        raise InvalidInputError("there are no histories", hint="give at least one")
    for i, life in enumerate(lives):
        if not len(life) or len(life.settings) != len(life):
            raise InvalidInputError(
                f"history {i} has {len(life)} rows of sensors and {len(life.settings)} of settings",
                hint="as many of the one as of the other, at least one",
            )
        if not (np.isfinite(life.sensors).all() and np.isfinite(life.settings).all()):
            raise InvalidInputError(
                f"history {i} has gaps", hint="carry the last good value forward, or leave rows out"
            )


def _smooth(x: FloatArray) -> FloatArray:
    keep = float(np.exp(-1.0 / _SMOOTH))
    weight = scipy.signal.lfilter([1.0], [1.0, -keep], np.ones((len(x), 1)), axis=0)
    smooth: FloatArray = scipy.signal.lfilter([1.0], [1.0, -keep], x, axis=0) / weight
    return smooth
