"""``servitize train --kind normal``: what is normal for the machines of a type, learned from stored history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg_pool import ConnectionPool

import models.normal
from core.equipment import EquipmentType, PointKind
from core.errors import InvalidInputError, NotFoundError
from core.learned import ModelKind
from core.registry import EquipmentStatus
from core.time import DAY, MINUTE
from models import packing
from models.drift import reference
from models.normal.behaviour import History, NormalBehaviour
from models.types import from_document
from storage import models as registry
from storage.history import History as Stored
from storage.models import NewModel
from storage.registry import Registry
from stream_processors.learning import Learning, Steps
from workbench.train.command import code_version

FloatArray = NDArray[np.float64]

NAME: Final = "normal"
_KNOWN: Final = 0.8
"""A point that is unknown in more of the steps is not learned from."""
_UNITS: Final = frozenset({"1", "h", "km", "deg"})
"""Switches, counters and angles (which wrap around) are no sensors, unless somebody names them."""
TIMES: Final[Mapping[str, float]] = {
    "smooth_s": 1800.0, "settle_s": 10800.0, "calm_s": 5400.0, "learn_s": 43200.0, "on_s": 1800.0, "off_s": 3600.0,
    "t_limit": 9.5, "each_limit": 5.0, "beyond": 0.02,
}  # fmt: skip
"""Slow by design: what is fast has limits of its own, a machine is warm three hours after its start, and follows its
load in half of that. What is told so finely holds nowhere but where it was learned."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to learn from: ``settings`` say how a machine is driven, ``points`` none means all measured ones that say
    how it is; ``step`` µs; ``window`` [from, to) µs, None: all that is stored. Steps within ``apart`` µs of a confirmed
    failure or defect (before it) are left out, and so are those in which a condition of the machine stood. ``alone``:
    points that are the only witnesses of a fault, and are believed where they move alone."""

    type_key: str
    settings: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    step: int = MINUTE
    window: tuple[int | None, int | None] = (None, None)
    tenant: str | None = None
    alone: tuple[str, ...] = ()
    apart: int = 14 * DAY
    parameters: Mapping[str, Any] = field(default_factory=dict)


def train_normal(
    connection: psycopg.Connection[Any], dsn: str, wanted: Wanted, *, key: bytes, actor: str
) -> tuple[str, int, dict[str, Any]]:
    """Learn and keep as a candidate: (name, version, metrics).

    Raises :class:`~core.errors.NotFoundError` where nothing is stored, :class:`~core.errors.InvalidInputError` where
    what is stored is too little or the points are not there.
    """
    with ConnectionPool(dsn, min_size=1, max_size=1, open=True) as pool:
        snapshot = Registry(pool, from_document).load()
    tenants = {t.id: t for t in snapshot.tenants.values() if wanted.tenant in (None, t.slug)}
    mine = {
        e.id: e
        for e in snapshot.equipment.values()
        if e.type_key == wanted.type_key and e.tenant_id in tenants and e.status is EquipmentStatus.APPROVED
    }
    if wanted.type_key not in snapshot.types or not mine:
        raise NotFoundError(f"there is no machine of type {wanted.type_key!r}", hint="servitize equipment list")
    type_ = snapshot.types[wanted.type_key]
    points = wanted.points or sensors_of(type_, wanted.settings)
    learning = Learning(
        replace(snapshot, tenants=tenants, equipment=mine), type_.key, (*wanted.settings, *points), wanted.step
    )
    stored = Stored(connection)
    ids = [p.id for e in mine.values() for p in e.points.values() if p.kind is PointKind.MEASURED]
    span = stored.span(ids)
    if span is None:
        raise NotFoundError("no readings are stored of these machines", hint="servitize equipment list")
    begin, end = (given if given is not None else known for given, known in zip(wanted.window, span, strict=True))
    learning.feed(stored.chunks(ids, begin, end + 1))
    bad = registry.faults_of(connection, wanted.type_key)
    steps = {e: healthy(s, bad.get(e, ()), wanted.apart) for e, s in learning.steps().items()}
    model, features, told = fit(
        type_, wanted.settings, points, list(steps.values()), wanted.step, wanted.parameters, wanted.alone
    )
    metrics = {name: float(value) for name, value in model.metrics_.items() if np.isfinite(value)}
    data = packing.dump(model)
    name = f"{NAME}/{wanted.type_key}"
    version = registry.add(
        connection,
        NewModel(
            name, ModelKind.NORMAL_BEHAVIOUR.value, type_.key, (begin, end), len(steps), features,
            code_version(models.normal), metrics, {"limits": [float(x) for x in model.limits_], "reference": told},
            data, packing.sign(data, key),
        ),
        actor,
    )  # fmt: skip
    return name, version, metrics


def sensors_of(type_: EquipmentType, settings: Sequence[str]) -> tuple[str, ...]:
    """All measured points that say how a machine is: no settings, switches, counters or angles."""
    return tuple(
        p.key
        for p in type_.point_instances()
        if p.definition.kind is PointKind.MEASURED and p.key not in settings and p.definition.unit not in _UNITS
    )


def healthy(steps: Steps, faults: Sequence[int], apart: int) -> Steps:
    """Without what came shortly before a fault, or while a condition of the machine stood."""
    kept = ~steps.ill
    for at in faults:
        kept &= ~((steps.at <= at) & (steps.at > at - apart))
    return Steps(steps.at[kept], steps.mean[kept], steps.ill[kept])


def fit(
    type_: EquipmentType,
    settings: Sequence[str],
    points: Sequence[str],
    machines: Sequence[Steps],
    step: int,
    parameters: Mapping[str, Any] | None = None,
    alone: Sequence[str] = (),
) -> tuple[NormalBehaviour, dict[str, Any], dict[str, Any]]:
    """(model, features for the registry, reference for drift). ``machines``: steps whose columns are ``settings``, then
    ``points``; points that are mostly unknown, or never move, are left out.

    Raises :class:`~core.errors.InvalidInputError` where that leaves fewer than three, or no machine.
    """
    machines = [m for m in machines if len(m.at)]
    if not machines:
        raise InvalidInputError("no machine ran while it was healthy", hint="a longer --from … --to")
    k = len(settings)
    everything = np.concatenate([m.mean for m in machines])
    known = np.isfinite(everything)
    with np.errstate(invalid="ignore"):
        moves = np.nanmax(np.where(known, everything, np.nan), axis=0) > np.nanmin(everything, axis=0)
    use = np.flatnonzero((known.mean(axis=0) >= _KNOWN) & moves)
    use = use[use >= k]
    if len(use) < 3:
        raise InvalidInputError(
            f"{len(use)} points are known and move: too few to expect one from the others",
            hint="three or more: --points a,b,c",
        )
    chosen = tuple(points[i - k] for i in use.tolist())
    units = {p.key: p.definition.unit for p in type_.point_instances()}
    model = NormalBehaviour(
        sensors=chosen, settings=tuple(settings), units=tuple(units[key] for key in chosen),
        **{**TIMES, **(parameters or {})},
    )  # fmt: skip
    model.fit([History(m.at, m.mean[:, :k], m.mean[:, use]) for m in machines])
    features = {
        "points": list(chosen), "settings": list(settings), "step_us": step, "component": "", "alone": list(alone)
    }  # fmt: skip
    columns = dict(zip((*settings, *points), everything.T, strict=True))
    return model, features, reference({key: columns[key] for key in (*settings, *chosen)})
