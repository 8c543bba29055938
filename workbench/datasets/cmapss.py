"""C-MAPSS turbofan run-to-failure (Saxena et al. 2008), and any folder with the same file naming.

``train_X.txt``: machines run to failure; ``test_X.txt``: machines cut off some time before; ``RUL_X.txt``: a line per
test machine, the cycles it had left. Columns, separated by blanks: unit, cycle, three settings, sensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError, NotFoundError
from models.prognosis.signals import Life

FloatArray = NDArray[np.float64]

SETTINGS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """``left`` [test machines]: true remaining life after the last row of each, in cycles."""

    name: str
    train: list[Life]
    test: list[Life]
    left: FloatArray


def subsets(folder: Path) -> list[str]:
    """Names of the subsets that are there, e.g. ``FD001``.

    Raises :class:`~core.errors.NotFoundError` when there is none.
    """
    found = sorted(path.stem.removeprefix("train_") for path in folder.glob("train_*.txt"))
    if not found:
        raise NotFoundError(
            f"{folder} has no file train_….txt",
            hint="give the folder that holds train_FD001.txt, test_FD001.txt, RUL_FD001.txt",
        )
    return found


def read(folder: Path, name: str) -> Subset:
    """One subset. Raises for a missing file, a table that is none, or as many truths as there are no machines."""
    train = _lives(folder / f"train_{name}.txt", failed=True)
    test = _lives(folder / f"test_{name}.txt", failed=False)
    left = _table(folder / f"RUL_{name}.txt")[:, 0]
    if len(left) != len(test):
        raise InvalidInputError(
            f"RUL_{name}.txt has {len(left)} lines for {len(test)} units of test_{name}.txt",
            hint="one line per unit, in order",
        )
    return Subset(name, train, test, left)


def _lives(path: Path, *, failed: bool) -> list[Life]:
    table = _table(path)
    if table.shape[1] < 2 + SETTINGS + 1:
        raise InvalidInputError(
            f"{path.name} has {table.shape[1]} columns", hint="unit, cycle, three settings and at least one sensor"
        )
    lives = []
    for unit in np.unique(table[:, 0]):
        mine = table[table[:, 0] == unit]
        mine = mine[np.argsort(mine[:, 1], kind="stable")]
        lives.append(Life(mine[:, 2 : 2 + SETTINGS], mine[:, 2 + SETTINGS :], failed))
    return lives


def _table(path: Path) -> FloatArray:
    if not path.is_file():
        raise NotFoundError(
            f"{path.name} is not in {path.parent}", hint="a subset is train_X.txt, test_X.txt and RUL_X.txt"
        )
    try:
        table: FloatArray = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise InvalidInputError(
            f"{path.name} is no table of numbers: {error}", hint="numbers separated by blanks"
        ) from None
    if not table.size or not np.isfinite(table).all():
        raise InvalidInputError(f"{path.name} is empty or has values that are no numbers", hint="is the file whole?")
    return table
