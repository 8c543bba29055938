"""Degradation to a limit: when will a single creeping value reach it?

For what nobody ever runs to failure, but whose limit is known: differential pressure of a filter, a vibration trend,
wear of a brake lining. The value is taken as ``a + b · g(t)``, where g is 0 until some onset and then grows straight or
exponentially. Onset and curvature are not decided but weighed by how well each explains what was seen, and the
interval comes from all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from models.prognosis.answer import RemainingLife

FloatArray = NDArray[np.float64]

_ONSETS: Final = (0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8)
"""Shares of the history after which the value may have begun to move."""
_BENDS: Final = (0.0, 1.5, 3.0, 5.0)
"""Exponents over the whole history; 0 is a straight line."""
_DRAWS: Final = 512
_POINTS: Final = 160
_LEAST: Final = 8
_TRUST: Final = 0.25
"""Share of its evidence with which a shape is preferred to another: none of them is quite true, and what decides
(the bend to come) is seen least."""
_WIDEN: Final = 1.5
"""Variance beyond that of the fit, for the same reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One value over the equipment's clock: ``t`` grows, NaN values are left out."""

    t: FloatArray
    y: FloatArray


class TrendToLimit:
    """Remaining life of a value until it reaches ``limit``.

    ``rising`` False for values that fall towards their limit. ``horizon`` in units of the clock: later crossings read
    "at least". A value that does not move gives the horizon; one at or over its limit gives 0. Noise that remembers
    itself counts for less: an effective number of readings by its lag-1 correlation (Bayley and Hammersley 1946).

    >>> t = np.arange(100.0)
    >>> life = TrendToLimit(20.0, horizon=1000.0).remaining([Series(t, 5.0 + 0.1 * t)])
    >>> round(float(life.p50[0]))
    51
    """

    def __init__(self, limit: float, horizon: float, *, rising: bool = True, unit: str = "h", seed: int = 0) -> None:
        if not horizon > 0:
            raise InvalidInputError(f"a horizon of {horizon:g} {unit} tells nothing", hint="give a positive one")
        self.limit, self.horizon, self.rising, self.unit, self.seed = limit, horizon, rising, unit, seed

    def remaining(self, histories: Sequence[Series]) -> RemainingLife:
        """One answer per series. Fewer than eight readings: only what is already over its limit is told."""
        rng = np.random.default_rng(self.seed)
        draws = rng.standard_normal((_DRAWS, 2)), (rng.permutation(_DRAWS) + 0.5) / _DRAWS
        quantiles = [self._one(series, *draws) for series in histories]
        return RemainingLife.of(np.reshape(quantiles, (-1, 3)), self.unit, self.horizon)

    def _one(self, series: Series, normal: FloatArray, share: FloatArray) -> FloatArray:
        sign = 1.0 if self.rising else -1.0
        known = np.isfinite(series.y)
        t, y = _thinned(np.asarray(series.t, float)[known], sign * np.asarray(series.y, float)[known])
        limit = sign * self.limit
        nothing = np.full(3, self.horizon)
        if len(y) < _LEAST or t[-1] <= t[0]:
            return np.zeros(3) if len(y) and np.median(y[-3:]) >= limit else nothing
        now, span = t[-1], t[-1] - t[0]
        shapes = [(t[0] + onset * span, bend / span) for onset in _ONSETS for bend in _BENDS]
        fits = [_fit(_curve(t, onset, bend), y) for onset, bend in shapes]
        flat = float(((y - y.mean()) ** 2).sum())
        noise = max(min(fit.rss for fit in fits), 1e-12 * (flat + 1e-12))
        best = min(fits, key=lambda fit: fit.rss)
        n = _effective(best.residual)
        rss = np.array([max(fit.rss, noise) for fit in fits])
        weight = np.exp(-0.5 * _TRUST * n * np.log(rss / noise))
        weight /= weight.sum()
        chosen = np.searchsorted(np.cumsum(weight)[:-1], share)
        scale = np.sqrt(_WIDEN * noise / max(n - 3.0, 1.0))
        # by the chosen shape: a + b·g, (a, b) from its posterior
        coefficients = np.array([fit.coefficients for fit in fits])[chosen]
        roots = np.array([fit.root for fit in fits])[chosen]
        a, b = (coefficients + scale * np.einsum("nij,nj->ni", roots, normal)).T
        onset, bend = np.array(shapes)[chosen].T
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            rise = np.where(b > 0, (limit - a) / b, np.inf)
            bent = np.log1p(np.maximum(rise, 0.0) * bend) / np.where(bend > 0, bend, 1.0)
        at = onset + np.where(bend > 0, bent, rise)
        left = np.where(a >= limit, 0.0, at - now)
        left = np.where(np.isnan(left), self.horizon, left)
        found: FloatArray = np.quantile(np.clip(left, 0.0, self.horizon), [0.1, 0.5, 0.9])
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    coefficients: FloatArray
    root: FloatArray
    """Square root of the inverse normal matrix."""
    rss: float
    residual: FloatArray


def _curve(t: FloatArray, onset: float, bend: float) -> FloatArray:
    since = np.maximum(t - onset, 0.0)
    return since if bend == 0.0 else np.expm1(bend * since) / bend


def _fit(g: FloatArray, y: FloatArray) -> _Fit:
    mean = g.mean()
    moved = g - mean
    spread = float((moved**2).sum())
    b = float((moved * y).sum()) / spread
    a = float(y.mean()) - b * mean
    residual = y - a - b * g
    # Cholesky of the inverse of [[n, Σg], [Σg, Σg²]], written out
    per_b = 1.0 / np.sqrt(spread)
    root = np.array([[1.0 / np.sqrt(len(y)), -mean * per_b], [0.0, per_b]])
    return _Fit(np.array([a, b]), root, float((residual**2).sum()), residual)


def _effective(residual: FloatArray) -> float:
    power = float((residual**2).sum())
    if power <= 0.0:
        return float(len(residual))
    rho = min(max(float((residual[1:] * residual[:-1]).sum()) / power, 0.0), 0.95)
    return max(4.0, len(residual) * (1.0 - rho) / (1.0 + rho))


def _thinned(t: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """At most 160 blocks' medians: enough for a trend, and a single wild reading is no trend."""
    if len(y) <= _POINTS:
        return t, y
    edges = np.linspace(0, len(y), _POINTS + 1).astype(int)
    blocks = [slice(low, high) for low, high in pairwise(edges)]
    return np.array([t[b].mean() for b in blocks]), np.array([np.median(y[b]) for b in blocks])
