"""Azure predictive-maintenance sample data (Microsoft 2016), and any folder with the same five files.

``PdM_telemetry.csv`` (datetime, machineID, volt, rotate, …), ``PdM_errors.csv`` (datetime, machineID, errorID),
``PdM_maint.csv`` (datetime, machineID, comp), ``PdM_failures.csv`` (datetime, machineID, failure), ``PdM_machines.csv``
(machineID, model, age). Hours; several components that fail in the same hour are one occasion.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError, NotFoundError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Machine:
    """One machine on an hourly grid; hours count from the first of all telemetry.

    ``telemetry`` [hours, channels], NaN where nothing came. ``errors``: kind → hours. ``replaced``: component →
    hours, also before the first. ``failures``: hours of occasions, each once.
    """

    number: int
    telemetry: FloatArray
    errors: dict[str, IntArray]
    replaced: dict[str, IntArray]
    failures: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """All machines, the names of what is known of each in the same order, and the instant of hour 0 (hours since
    1970)."""

    machines: list[Machine]
    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    components: tuple[str, ...]
    first_hour: int


def read(folder: Path) -> Fleet:
    """The whole folder. Raises for a missing file, and a table that is none."""
    telemetry = _table(folder / "PdM_telemetry.csv", ("datetime", "machineID"))
    channels = tuple(name for name in telemetry if name not in ("datetime", "machineID"))
    hour = _hours(telemetry["datetime"], "PdM_telemetry.csv")
    first, last = int(hour.min()), int(hour.max())
    number = _numbers(telemetry["machineID"], "PdM_telemetry.csv").astype(np.int64)
    values = np.stack([_numbers(telemetry[name], "PdM_telemetry.csv") for name in channels], axis=1)
    errors = _events(folder / "PdM_errors.csv", "errorID", first)
    replaced = _events(folder / "PdM_maint.csv", "comp", first)
    failures = _events(folder / "PdM_failures.csv", "failure", first)
    kinds = tuple(sorted({kind for _, _, kind in errors}))
    components = tuple(sorted({kind for _, _, kind in replaced + failures}))
    machines = []
    for m in np.unique(number).tolist():
        mine = number == m
        grid = np.full((last - first + 1, len(channels)), np.nan)
        grid[hour[mine] - first] = values[mine]
        machines.append(
            Machine(
                m, grid, _by_kind(errors, m, kinds), _by_kind(replaced, m, components),
                np.unique([at for at, who, _ in failures if who == m and 0 <= at < len(grid)]).astype(np.int64),
            )
        )  # fmt: skip
    return Fleet(machines, channels, kinds, components, first)


def _by_kind(events: list[tuple[int, int, str]], machine: int, kinds: tuple[str, ...]) -> dict[str, IntArray]:
    return {
        k: np.array(sorted(at for at, who, kind in events if who == machine and kind == k), np.int64) for k in kinds
    }


def _events(path: Path, what: str, first: int) -> list[tuple[int, int, str]]:
    table = _table(path, ("datetime", "machineID", what), may_be_empty=True)
    hours = _hours(table["datetime"], path.name) - first
    return list(
        zip(hours.tolist(), _numbers(table["machineID"], path.name).astype(int).tolist(), table[what], strict=True)
    )


def _table(path: Path, needed: tuple[str, ...], *, may_be_empty: bool = False) -> dict[str, list[str]]:
    if not path.is_file():
        raise NotFoundError(
            f"{path.name} is not in {path.parent}", hint="give the folder that holds PdM_telemetry.csv …"
        )
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        head = [name.strip() for name in next(rows, [])]
        columns: dict[str, list[str]] = {name: [] for name in head}
        for row in rows:
            if len(row) != len(head):
                raise InvalidInputError(f"{path.name}: a row of {len(row)} fields", hint="is the file whole?")
            for name, cell in zip(head, row, strict=True):
                columns[name].append(cell)
    missing = [name for name in needed if name not in columns]
    if missing or not (may_be_empty or columns[needed[0]]):
        raise InvalidInputError(
            f"{path.name} has no {', '.join(missing) or 'rows'}", hint=f"columns {', '.join(needed)}"
        )
    return columns


def _hours(cells: list[str], name: str) -> IntArray:
    try:
        return np.array(cells, "datetime64[h]").astype(np.int64)
    except ValueError as error:
        raise InvalidInputError(f"{name}: {error}", hint="a time like 2015-01-01 06:00:00") from None


def _numbers(cells: list[str], name: str) -> FloatArray:
    try:
        return np.array([cell or "nan" for cell in cells], float)
    except ValueError as error:
        raise InvalidInputError(f"{name}: {error}", hint="numbers") from None
