"""What is known of a model of remaining life from its training machines alone, and how an answer is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.prognosis.regression import LifeRegressor, penalty

FloatArray = NDArray[np.float64]

FOLDS: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """Cross-validation: machines that a model had not seen, at every row where they might have been cut off.

    ``expected`` [rows] is what was said, ``quantiles`` [rows, 3] come from intervals calibrated on other machines;
    ``left`` uncapped; every machine weighs the same (``weights`` sum to 1 per machine).
    """

    machine: NDArray[np.int64]
    expected: FloatArray
    quantiles: FloatArray
    left: FloatArray
    weights: FloatArray


def crossed(model: LifeRegressor) -> Crossed:
    """Out-of-fold predictions, and intervals from the other machines' errors alone."""
    unseen = model.unseen_[model.could_be_cut(model.unseen_)]
    machine = unseen[:, 0].astype(np.int64)
    fold = np.random.default_rng(1).permutation(int(machine.max()) + 1) % FOLDS
    quantiles = np.empty((len(unseen), 3))
    for k in np.unique(fold[machine]):
        mine = fold[machine] == k
        others = unseen if mine.all() else unseen[~mine]
        quantiles[mine] = model.calibrated(others).transform(unseen[mine, 2])
    return Crossed(machine, model.prudently(unseen[:, 2]), quantiles, unseen[:, 3], 1.0 / np.bincount(machine)[machine])


def score(said: FloatArray, true: FloatArray) -> FloatArray:
    """PHM08 penalty of each."""
    return penalty(said - true)


def measures(
    expected: FloatArray, quantiles: FloatArray, true: FloatArray, weights: FloatArray, low: float
) -> dict[str, Any]:
    """RMSE of the expected life, coverage and width of P10 … P90, …; ``…_low`` where the truth is at most ``low``; None
    where there is nothing to measure."""
    inside = ((true >= quantiles[:, 0]) & (true <= quantiles[:, 2])).astype(float)
    wide = quantiles[:, 2] - quantiles[:, 0]
    error = expected - true
    near = true <= low
    thirds = np.array_split(np.argsort(true, kind="stable"), 3)

    def mean(values: FloatArray, where: Any = slice(None), digits: int = 3) -> float | None:
        if not weights[where].sum() > 0:
            return None
        return round(float(np.average(values[where], weights=weights[where])), digits)

    def rmse(where: Any = slice(None)) -> float | None:
        square = mean(error**2, where, 9)
        return None if square is None else round(float(np.sqrt(square)), 3)

    return {
        "rmse": rmse(),
        "coverage": mean(inside),
        "width": mean(wide),
        "rmse_low": rmse(near),
        "within10_low": mean((np.abs(error) <= 10.0).astype(float), near),
        "width_low": mean(wide, near),
        "coverage_thirds": [mean(inside, third) for third in thirds],
        "below_p10": mean((true < quantiles[:, 0]).astype(float)),
        "above_p90": mean((true > quantiles[:, 2]).astype(float)),
    }
