"""Lives of the machines of a type, out of the database: steps of their own clock, from one failure to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from core.equipment import EquipmentType
from core.errors import InvalidInputError, NotFoundError
from models.prognosis.signals import Life
from storage.queries import load

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_PRESENT: Final = 0.9
"""A point that is missing in more than a tenth of any machine's steps is not learned from."""
_SHORTEST: Final = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to learn from: ``points`` none means all measured ones that are always there; ``settings`` say how the
    machine is driven; ``step`` µs; ``component`` "" takes failures of any. ``failures``: by equipment key, instead of
    stored events."""

    type_key: str
    step: int
    points: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    component: str = ""
    tenant: str | None = None
    failures: Mapping[str, Sequence[int]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """``lives`` of ``machines`` machines, with the points that became sensors and settings; ``window`` µs, first to
    last."""

    lives: list[Life]
    machines: int
    points: tuple[str, ...]
    settings: tuple[str, ...]
    window: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class _Machine:
    at: IntArray
    """Start of each step, µs."""
    values: dict[str, FloatArray]
    failures: list[int]


def read(connection: psycopg.Connection[Any], wanted: Wanted, type_: EquipmentType) -> History:
    """Only steps in which a machine ran count (its type's running states; all, where the type names none).

    Raises :class:`~core.errors.NotFoundError` where there are no machines or no readings, and
    :class:`~core.errors.InvalidInputError` for points that are not there.
    """
    queries = load("models")
    machines = []
    for equipment_id, key in list(queries.machines(connection, type_key=wanted.type_key, tenant=wanted.tenant)):
        machine = _machine(connection, queries, equipment_id, key, wanted, type_)
        if machine is not None:
            machines.append(machine)
    if not machines:
        raise NotFoundError(
            f"no machine of type {wanted.type_key!r} has stored readings",
            hint="servitize equipment list shows what there is",
        )
    known = sorted(set.intersection(*({*machine.values} for machine in machines)))
    missing = sorted({*wanted.points, *wanted.settings} - set(known))
    if missing:
        raise InvalidInputError(
            f"{', '.join(missing)}: not measured all the time on all machines",
            hint=f"there are {', '.join(known) or 'none'}",
        )
    points = wanted.points or tuple(key for key in known if key not in wanted.settings)
    if not points:
        raise InvalidInputError("no point is measured all the time on all machines", hint="name some: --points a,b")
    lives = [life for machine in machines for life in _lives(machine, points, wanted.settings)]
    first = min(int(machine.at[0]) for machine in machines)
    last = max(int(machine.at[-1]) + wanted.step for machine in machines)
    return History(lives, len(machines), points, wanted.settings, (first, last))


def _machine(
    connection: psycopg.Connection[Any], queries: Any, equipment_id: int, key: str, wanted: Wanted, type_: EquipmentType
) -> _Machine | None:
    rows = list(queries.steps_of(connection, equipment_id=equipment_id, step_us=wanted.step))
    if not rows:
        return None
    steps = np.array(sorted({step for _, step, _ in rows}), np.int64)
    place = {int(step): i for i, step in enumerate(steps)}
    values: dict[str, FloatArray] = {}
    for point, step, mean in rows:
        values.setdefault(point, np.full(len(steps), np.nan))[place[step]] = mean
    at = steps * wanted.step
    ran = _running(at, wanted.step, list(queries.states_of(connection, equipment_id=equipment_id)), type_)
    if not ran.any():
        return None
    if wanted.failures is None:
        events = queries.failures_of(connection, equipment_id=equipment_id)
        failures = [int(ts) for ts, component in events if not wanted.component or component == wanted.component]
    else:
        failures = sorted(wanted.failures.get(key, ()))
    there = {
        point: _filled(column[ran]) for point, column in values.items() if np.isfinite(column[ran]).mean() >= _PRESENT
    }
    return _Machine(at[ran], there, failures)


def _running(at: IntArray, step: int, states: list[tuple[int, str]], type_: EquipmentType) -> NDArray[np.bool_]:
    """Whether the machine was in a running state at the end of each step; before the first known state it counts as
    so."""
    if not type_.running_states or not states:
        return np.ones(len(at), np.bool_)
    changes = np.array([ts for ts, _ in states], np.int64)
    runs = np.array([True, *(state in type_.running_states for _, state in states)])
    return runs[np.searchsorted(changes, at + step, side="right")]


def _filled(column: FloatArray) -> FloatArray:
    """The last good value carried over gaps; the first one backwards."""
    known = np.flatnonzero(np.isfinite(column))
    return column[known[np.clip(np.searchsorted(known, np.arange(len(column)), side="right") - 1, 0, None)]]


def _lives(machine: _Machine, points: Sequence[str], settings: Sequence[str]) -> list[Life]:
    sensors = np.stack([machine.values[key] for key in points], axis=1)
    driven = np.stack([machine.values[key] for key in settings], axis=1) if settings else np.empty((len(sensors), 0))
    # a step that began before the failure is the last of the life that ended with it
    ends = [int(np.searchsorted(machine.at, ts, side="left")) for ts in machine.failures]
    lives, begin = [], 0
    for end in ends:
        if end - begin >= _SHORTEST:
            lives.append(Life(driven[begin:end], sensors[begin:end]))
        begin = max(begin, end)
    if len(sensors) - begin >= _SHORTEST:
        lives.append(Life(driven[begin:], sensors[begin:], failed=False))
    return lives
