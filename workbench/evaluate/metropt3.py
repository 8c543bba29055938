"""``servitize evaluate metropt3``: windows of a train's air production unit, told apart by what normal windows taught.

By the file's ``fold`` column: each fold is scored by a model of the normal windows of the other folds. Windows
overlap and neighbours lie in different folds, so normal windows of the same hour are on both sides: figures are
better than they would be on another unit. No anomalous window is ever learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from core.errors import InvalidInputError
from models.normal.estimators import CrossSensor, Novelty, SimilarStates, Subspace
from workbench.datasets import metropt3
from workbench.datasets.metropt3 import Windows

FloatArray = NDArray[np.float64]

RECALL: Final = 0.8
CHOSEN: Final = "cross-sensor ridge"
"""The kin of what scores the stream; the others stand beside it."""
ESTIMATORS: Final[dict[str, Any]] = {
    CHOSEN: CrossSensor(),
    "principal components": Subspace(),
    "similar states": SimilarStates(),
}


def evaluate_metropt3(folder: Path, wanted: Sequence[str] = ()) -> dict[str, Any]:
    """The document of ``--json``. ``wanted``: folds, none for all; the others are then as if they were not there."""
    windows = metropt3.read(folder)
    if wanted:
        keep = np.isin(windows.fold.astype(str), list(wanted))
        if not keep.any():
            raise InvalidInputError(f"there is no fold {', '.join(wanted)}", hint="numbers as in the column fold")
        windows = Windows(windows.features, windows.values[keep], windows.anomaly[keep], windows.fold[keep])
    if windows.anomaly.all() or not windows.anomaly.any():
        raise InvalidInputError("all windows are of one kind", hint="is_anomaly true for some, false for others")
    if len(np.unique(windows.fold)) < 2:
        raise InvalidInputError("there is one fold", hint="two or more: one to score, the others to learn from")
    scores = {name: by_fold(windows, estimator) for name, estimator in ESTIMATORS.items()}
    return {
        **measures(windows.anomaly, scores[CHOSEN]),
        "estimator": CHOSEN,
        "windows": len(windows.anomaly),
        "anomalous": int(windows.anomaly.sum()),
        "folds": len(np.unique(windows.fold)),
        "others": {name: measures(windows.anomaly, score) for name, score in scores.items() if name != CHOSEN},
    }


def by_fold(windows: Windows, estimator: Any) -> FloatArray:
    """[windows]: each by a model of the normal windows of the other folds."""
    score = np.zeros(len(windows.anomaly))
    for fold in np.unique(windows.fold):
        mine = windows.fold == fold
        taught = windows.values[~mine & ~windows.anomaly]
        score[mine] = Novelty(estimator).fit(taught).score(windows.values[mine])
    return score


def measures(anomaly: NDArray[np.bool_], score: FloatArray) -> dict[str, float]:
    """Area under the curve, average precision, share of the normal windows alarmed where 80 % of the others are."""
    limit = np.quantile(score[anomaly], 1.0 - RECALL, method="lower")
    return {
        "auc": round(float(roc_auc_score(anomaly, score)), 4),
        "ap": round(float(average_precision_score(anomaly, score)), 4),
        "far_at_80": round(float((score[~anomaly] >= limit).mean()), 4),
    }
