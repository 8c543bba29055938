"""``servitize evaluate cmapss``: remaining life on run-to-failure data, by a protocol that is stated.

Per subset the machines of ``train_X`` are learned from; what is said after the last row of each machine of ``test_X``
is compared with ``RUL_X``, both capped at 125 cycles, and uncapped beside it. Nothing is chosen on the test set: the
cross-validated figures, from the training machines alone, are what choices were made by. Equal files give equal
results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from models.prognosis.answer import RemainingLife
from models.prognosis.regression import LifeRegressor
from workbench.datasets import cmapss
from workbench.evaluate.crossed import Crossed, crossed, measures, score

FloatArray = NDArray[np.float64]

HORIZON: Final = 125.0
LOW: Final = 50.0
"""Remaining life from which on it must be exact, cycles."""

REFERENCES: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "DCNN, Li et al. 2018": {"FD001": (12.6, 274), "FD003": (12.6, 284)},
    "DAST, Zhang et al. 2022": {"FD001": (11.4, 203), "FD003": (11.3, 155)},
    "STAR, Fan et al. 2024": {"FD001": (10.6, 169), "FD003": (10.7, 202)},
}
"""RMSE and score, published, last cycle, both sides capped at 125."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What was said of a subset's test machines, and what was known of it beforehand."""

    name: str
    expected: FloatArray
    said: RemainingLife
    left: FloatArray
    model: LifeRegressor
    data: cmapss.Subset
    crossed: Crossed


def evaluate_cmapss(
    folder: Path,
    wanted: Sequence[str] = (),
    *,
    progress: Progress | None = None,
    make: Callable[[], LifeRegressor] | None = None,
) -> dict[str, Judged]:
    """Learn and judge each subset; ``wanted`` none: all that are there. ``make`` gives an unfitted model.

    Raises for a subset that is not there or no table.
    """
    there = cmapss.subsets(folder)
    missing = sorted(set(wanted) - set(there))
    if missing:
        raise InvalidInputError(f"{folder} has no subset {', '.join(missing)}", hint=f"there are {', '.join(there)}")
    tell = progress or (lambda what: None)
    judged = {}
    for name in wanted or there:
        tell(name)
        data = cmapss.read(folder, name)
        model = (make or model_for_cmapss)().fit(data.train)
        judged[name] = Judged(
            name, model.point(data.test), model.remaining(data.test), data.left, model, data, crossed(model)
        )
    return judged


def model_for_cmapss() -> LifeRegressor:
    """What is judged: the same for all subsets."""
    return LifeRegressor(horizon=HORIZON, unit="cycle")


# --- figures ---------------------------------------------------------------------------------------------------------


def figures(judged: Judged) -> dict[str, Any]:
    """The document of ``--json`` for one subset."""
    said, expected, left = judged.said, judged.expected, judged.left
    quantiles = np.stack([said.p10, said.p50, said.p90], axis=1)
    true = np.minimum(left, HORIZON)
    penalties = score(expected, true)
    worst = np.argsort(-penalties)[:5]
    c = judged.crossed
    return {
        **measures(expected, quantiles, true, np.ones(len(true)), LOW),
        "score": round(float(penalties.sum()), 1),
        "rmse_raw": round(float(np.sqrt(np.mean((expected - left) ** 2))), 3),
        "score_raw": round(float(score(expected, left).sum()), 1),
        "units": len(left),
        "units_low": int((true <= LOW).sum()),
        "worst": [
            {
                "unit": int(i) + 1,
                "said": round(float(expected[i]), 1),
                "true": float(left[i]),
                "penalty": round(float(penalties[i]), 1),
            }
            for i in worst
        ],
        "margin": round(judged.model.margin_, 3),
        "regimes": len(judged.model.signals_.regimes_.centres_),
        "cross_validated": {
            "machines": len(judged.data.train),
            "score_per_100": round(
                float(100 * np.average(score(c.expected, np.minimum(c.left, HORIZON)), weights=c.weights)), 1
            ),
            **measures(c.expected, c.quantiles, np.minimum(c.left, HORIZON), c.weights, LOW),
        },
    }
