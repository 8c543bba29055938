"""Skoltech Anomaly Benchmark (Katser and Kozitsin 2020), and any folder with the same files.

``DIR/<subset>/<number>.csv``, fields parted by ``;``: ``datetime``, sensors, ``anomaly`` (0 or 1), ``changepoint``. A
recording without the last two has no labels.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError, NotFoundError

FloatArray = NDArray[np.float64]

_LABELS: Final = ("anomaly", "changepoint")
_TIME: Final = "datetime"


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """``ts`` [rows] µs, strictly growing; ``values`` [rows, sensors], NaN where empty; ``anomaly`` [rows], None if
    unlabelled."""

    name: str
    ts: NDArray[np.int64]
    sensors: tuple[str, ...]
    values: FloatArray
    anomaly: NDArray[np.bool_] | None

    @property
    def subset(self) -> str:
        return self.name.partition("/")[0]


def recordings(folder: Path, wanted: tuple[str, ...] = ()) -> list[Recording]:
    """All labelled recordings below ``folder`` (of the ``wanted`` sub-folders), in order of name.

    Raises when there is none, or a sub-folder is missing.
    """
    missing = [name for name in wanted if not (folder / name).is_dir()]
    if missing:
        there = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir()))
        raise InvalidInputError(f"{folder} has no subset {', '.join(missing)}", hint=f"there are {there or 'none'}")
    paths = sorted(p for p in folder.glob("*/*.csv") if not wanted or p.parent.name in wanted) or sorted(
        folder.glob("*.csv")
    )
    found = [r for r in (read(path) for path in paths) if r.anomaly is not None]
    if not found:
        raise NotFoundError(
            f"{folder} has no labelled recording", hint="give the folder that holds valve1/, valve2/, other/"
        )
    return sorted(found, key=lambda r: _order(r.name))


def read(path: Path) -> Recording:
    """One recording. Raises for a file that is none; rows that repeat or go back in time are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        head = file.readline()
        mark = ";" if ";" in head else ","
        names = [name.strip() for name in next(csv.reader([head], delimiter=mark), [])]
        rows = [row for row in csv.reader(file, delimiter=mark) if row]
    if _TIME not in names or len(names) < 2 or any(len(row) != len(names) for row in rows) or not rows:
        raise InvalidInputError(f"{path.name} is no recording", hint="datetime;sensor;…;anomaly;changepoint")
    at = names.index(_TIME)
    sensors = tuple(name for name in names if name != _TIME and name not in _LABELS)
    try:
        ts = np.array([row[at] for row in rows], "datetime64[us]").astype(np.int64)
        table = np.array([[float(cell) if cell.strip() else np.nan for i, cell in enumerate(row) if i != at]
                          for row in rows])  # fmt: skip
    except ValueError as error:
        raise InvalidInputError(f"{path.name}: {error}", hint="a time, then numbers") from None
    others = [name for name in names if name != _TIME]
    later = np.concatenate([[True], ts[1:] > np.maximum.accumulate(ts)[:-1]])
    label = table[later, others.index("anomaly")] > 0.5 if "anomaly" in others else None
    columns = [others.index(name) for name in sensors]
    return Recording(f"{path.parent.name}/{path.stem}", ts[later], sensors, table[later][:, columns], label)


def _order(name: str) -> tuple[str, int, str]:
    subset, _, stem = name.partition("/")
    return subset, int(stem) if stem.isdigit() else 0, stem
