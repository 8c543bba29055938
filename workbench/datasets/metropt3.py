"""MetroPT-3 air production unit (Veloso et al. 2022, UCI 791) as labelled windows, and any folder with the same file.

``agg_train.csv``: ``<sensor>_<mean|max|min|median|var>``, ``is_anomaly`` (true or false), ``fold``. Windows have no
time.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError, NotFoundError

FILE: Final = "agg_train.csv"
_TRUE: Final = {"true", "1", "1.0", "yes"}


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """``values`` [windows, features] finite, ``anomaly`` [windows], ``fold`` [windows]."""

    features: tuple[str, ...]
    values: NDArray[np.float64]
    anomaly: NDArray[np.bool_]
    fold: NDArray[np.int64]


def read(folder: Path) -> Windows:
    """Raises for a missing file and for a table that is none."""
    path = folder / FILE
    if not path.is_file():
        raise NotFoundError(f"{FILE} is not in {folder}", hint=f"give the folder that holds {FILE}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    head, body = rows[0] if rows else [], rows[1:]
    if not {"is_anomaly", "fold"} <= set(head) or not body or any(len(row) != len(head) for row in body):
        raise InvalidInputError(f"{FILE} is no table of windows", hint="features, is_anomaly, fold")
    label, fold = head.index("is_anomaly"), head.index("fold")
    columns = [i for i in range(len(head)) if i not in (label, fold)]
    try:
        values = np.array([[float(row[i] or 0.0) for i in columns] for row in body])
        folds = np.array([int(float(row[fold])) for row in body], np.int64)
    except ValueError as error:
        raise InvalidInputError(f"{FILE}: {error}", hint="numbers") from None
    anomaly = np.array([row[label].strip().lower() in _TRUE for row in body])
    return Windows(tuple(head[i] for i in columns), np.nan_to_num(values), anomaly, folds)
