"""How healthy residuals are spread: noise at once, and wandering with time.

A short history does not show how far a sensor strays: a tank that cools for ten minutes looks like a sensor with a
small spread, and alarms for the rest of the day. So the spread is told apart by the variogram (Matheron 1963), ``G(h)
= ½ E[(s(t+h) − s(t)) (s(t+h) − s(t))ᵀ]``: what is there at a short lag is noise ``N``, and what is added per second
until a long lag is wander ``W``. After a time τ since its baseline was learned, a residual has the covariance ``N + 2
W τ``. Both are made diagonal by the same axes (generalised eigenvectors, ``Vᵀ N V = 1``, ``Vᵀ W V = diag``): a fleet
whose machines have had their baselines for different times is still scored by one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

FloatArray = NDArray[np.float64]

SHORT: Final = 3.0
"""Smoothing times after which two smoothed values have little noise in common."""
_LAGS: Final = (0.5, 0.7, 0.85, 1.0)
"""Of the longest lag: several, so that no period of the machine's day hides what it does meanwhile."""
_FLOOR: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """``axes`` [m, m] columns with noise 1; ``wander`` [m] added variance per second along each; ``stray`` [m]
    variogram of
    each sensor at the long lag; ``stretches``: how many independent ones of that length were seen."""

    axes: FloatArray
    wander: FloatArray
    stray: FloatArray
    stretches: float


def variogram(grids: Sequence[FloatArray], lag: int) -> FloatArray:
    """[m, m] at a lag in rows, over histories [rows, m] on an even grid; NaN where unknown. Zero where there are no
    pairs."""
    m = grids[0].shape[1]
    total, count = np.zeros((m, m)), np.zeros((m, m))
    for grid in grids:
        if len(grid) <= lag:
            continue
        step = grid[lag:] - grid[:-lag]
        known = np.isfinite(step).astype(float)
        step = np.where(known > 0, step, 0.0)
        total += step.T @ step
        count += known.T @ known
    found: FloatArray = 0.5 * total / np.maximum(count, 1.0)
    return found


def spread(grids: Sequence[FloatArray], step_s: float, smooth_s: float, recentre_s: float, ridge: float) -> Spread:
    """Of smoothed residuals in standard deviations, on grids of ``step_s``; ``ridge`` is added to the noise of each."""
    m = grids[0].shape[1]
    longest = max(len(grid) for grid in grids)
    short = min(max(1, round(SHORT * smooth_s / step_s)), max(longest // 2, 1))
    long = int(min(longest // 2, recentre_s / step_s))
    noise = _positive(variogram(grids, short)) + ridge * np.eye(m)
    if long <= short:
        return Spread(_whitening(noise), np.zeros(m), np.diag(noise).copy(), 1.0)
    lags = sorted({max(short + 1, round(share * long)) for share in _LAGS})
    at = [variogram(grids, lag) for lag in lags]
    rise = np.array([(lag - short) * step_s for lag in lags])
    slope = sum(h * (g - noise) for h, g in zip(rise, at, strict=True)) / float((rise**2).sum())
    wander, axes = eigh(slope, noise)
    return Spread(
        axes,
        2.0 * np.maximum(wander, 0.0),
        np.mean([np.diag(g) for g in at], axis=0),
        sum(len(grid) for grid in grids) / long,
    )


def _positive(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    positive: FloatArray = (vectors * np.maximum(values, _FLOOR * max(values.max(), _FLOOR))) @ vectors.T
    return positive


def _whitening(noise: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(noise)
    whitening: FloatArray = vectors / np.sqrt(values)
    return whitening
