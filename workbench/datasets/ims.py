"""NASA/IMS bearing tests (Lee et al. 2007) as a row of features per snapshot, and any folder with the same file naming.

``<test>_features.csv``: ``file_index``, ``timestamp``, ``filename``, then ``Bearing<n>_ch<c>_<feature>``.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError, NotFoundError

FloatArray = NDArray[np.float64]

_SUFFIX: Final = "_features"
_COLUMN: Final = re.compile(r"[Bb]earing_?(\d+)(?:_ch(\d+))?_(\w+)")

FAILED: Final[dict[str, tuple[int, ...]]] = {"test1": (3, 4), "test2": (1,), "test3": (3,)}
"""Truth, for the judge alone: which bearings were found damaged at the end of each test (readme of the data set)."""


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """``ts`` [rows] µs growing. ``features``: bearing → channel → name → [rows]. ``failed``: bearings, None if not
    known."""

    name: str
    ts: NDArray[np.int64]
    features: dict[int, dict[int, dict[str, FloatArray]]]
    failed: tuple[int, ...] | None


def tests(folder: Path) -> list[str]:
    """Names of the tests that are there. Raises when there is none."""
    found = sorted(path.stem.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}.csv"))
    if not found:
        raise NotFoundError(
            f"{folder} has no file …{_SUFFIX}.csv", hint=f"give the folder that holds test1{_SUFFIX}.csv"
        )
    return found


def read(folder: Path, name: str) -> Test:
    """One test. ``<test>_failed.csv`` beside it (a line of bearing numbers) says the truth where the readme does not.

    Raises for a missing file and for a table without bearings.
    """
    path = folder / f"{name}{_SUFFIX}.csv"
    if not path.is_file():
        raise NotFoundError(f"{path.name} is not in {folder}", hint=f"there are {', '.join(tests(folder))}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    head, body = rows[0] if rows else [], [row for row in rows[1:] if row]
    columns = {i: match for i, cell in enumerate(head) if (match := _COLUMN.fullmatch(cell.strip()))}
    if "timestamp" not in head or not columns or not body or any(len(row) != len(head) for row in body):
        raise InvalidInputError(f"{path.name} is no table of features", hint="timestamp, Bearing1_ch1_rms, …")
    try:
        ts = np.array([row[head.index("timestamp")] for row in body], "datetime64[us]").astype(np.int64)
        table = np.array([[float(row[i] or "nan") for i in columns] for row in body])
    except ValueError as error:
        raise InvalidInputError(f"{path.name}: {error}", hint="a time, then numbers") from None
    order = np.argsort(ts, kind="stable")
    order = order[np.concatenate([[True], np.diff(ts[order]) > 0])]
    features: dict[int, dict[int, dict[str, FloatArray]]] = {}
    for k, match in enumerate(columns.values()):
        bearing, channel = int(match[1]), int(match[2] or 1)
        features.setdefault(bearing, {}).setdefault(channel, {})[match[3]] = table[order, k]
    return Test(name, ts[order], features, _failed(folder, name))


def _failed(folder: Path, name: str) -> tuple[int, ...] | None:
    told = folder / f"{name}_failed.csv"
    if told.is_file():
        return tuple(int(number) for number in re.findall(r"\d+", told.read_text(encoding="utf-8")))
    known = re.search(
        r"test[_ ]?(\d)", name.lower().replace("1st", "test1").replace("2nd", "test2").replace("3rd", "test3")
    )
    return FAILED.get(f"test{known[1]}") if known else None
