"""``servitize evaluate demo``: the core on simulated fleets, faster than real time, judged by the simulators' own log.

Per seed three compressor trains and a six-car train at one site, a reading per point and 10 s. The fleets of all seeds
run side by side through one :class:`~stream_processors.pipeline.processor.Processor` per type: no broker, no database,
the same rules as live. Seeds take turns among the four seasons, so cold mornings and hot afternoons are always among
them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from core import quality
from core.condition import ConditionTransition
from core.equipment import EquipmentType
from core.errors import InvalidInputError
from core.learned import ModelEntry, ModelKind
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import StreamRecord, TelemetryBatch, Tick
from core.time import DAY, SECOND, from_datetime
from models import packing
from models.types import catalog
from simulators.engine import Fleet
from simulators.fleet import CompressorTrainFleet, Frames, MetroTrainFleet
from simulators.plans import draw_faults, unit_seeds
from stream_processors.pipeline.processor import Processor
from workbench.evaluate.verdict import Announced, KnownFault, Verdict, announced, judge

PERIOD_S: Final = 10
PERIODS: Final = 60
"""Frames a record carries: ten minutes of all machines, so that a record's own cost is small."""
_SEASONS: Final = tuple(from_datetime(datetime(2026, month, 12, tzinfo=UTC)) for month in (1, 4, 7, 10))
_KINDS: Final[tuple[tuple[type[Fleet], int, int], ...]] = ((CompressorTrainFleet, 0, 3), (MetroTrainFleet, 3, 1))
"""(fleet, first unit, units) of a seed."""

Progress = Callable[[float], None]
"""Told the share done, 0–1."""


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A model on its way to another process: what the registry of models would say of it, and its file."""

    name: str
    kind: ModelKind
    type_key: str
    features: Mapping[str, Any]
    reference: Mapping[str, Any]
    file: bytes

    def entry(self) -> ModelEntry:
        """At work, as champion."""
        estimator = packing.load(self.file)
        return ModelEntry(self.name, 1, True, self.kind, self.type_key, self.features, self.reference, estimator)


Models = Mapping[str, Sequence[PackedModel]]
"""By key of the type."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one type's machines went through, and what was said about it."""

    faults: list[KnownFault]
    alarms: list[Announced]
    machines: int


def evaluate_demo(
    seeds: Sequence[int],
    days: float,
    faults: bool = True,
    *,
    jobs: int = 1,
    types: dict[str, EquipmentType] | None = None,
    models: Models | None = None,
    progress: Progress | None = None,
    period_s: int = PERIOD_S,
) -> dict[str, Any]:
    """Run and judge; the result as ``--json`` prints it. See :mod:`workbench.evaluate.verdict` for what counts as what.

    ``seeds`` make fleets, plans and weather; equal arguments give equal results. ``jobs`` 2 runs the types in two
    processes. ``types`` stand in for the catalogue's (by key), ``models`` (packed, by key) look beside the limits.
    ``period_s`` between readings.

    >>> evaluate_demo([1], 0.01, faults=False)["false_alarms"]
    0
    """
    runs = run_demo(seeds, days, faults, jobs=jobs, types=types, models=models, progress=progress, period_s=period_s)
    return summary(verdict_of(runs), seeds, days, machines_of(runs))


def run_demo(
    seeds: Sequence[int],
    days: float,
    faults: bool = True,
    *,
    jobs: int = 1,
    types: dict[str, EquipmentType] | None = None,
    models: Models | None = None,
    progress: Progress | None = None,
    period_s: int = PERIOD_S,
) -> list[Run]:
    """What each type's machines went through; :func:`verdict_of` judges it."""
    if not seeds or days <= 0:
        raise InvalidInputError("nothing to evaluate", hint="give at least one seed and a positive number of days")
    tasks = [(kind, list(seeds), days, faults, types, models, period_s) for kind in range(len(_KINDS))]
    tell = progress or (lambda share: None)
    if jobs > 1:
        # Forking a process with numpy's threads in it is asking for trouble.
        with ProcessPoolExecutor(len(tasks) - 1, multiprocessing.get_context("spawn")) as pool:
            others = [pool.submit(_run_kind, *task) for task in tasks[1:]]
            runs = [_run_kind(*tasks[0], lambda share: tell(0.5 * share)), *(other.result() for other in others)]
    else:
        runs = [
            _run_kind(*task, lambda share, i=i: tell((i + share) / len(tasks)))  # type: ignore[misc]
            for i, task in enumerate(tasks)
        ]
    tell(1.0)
    return runs


def verdict_of(runs: Sequence[Run], counts: Callable[[Announced], bool] = lambda _: True) -> Verdict:
    """Every finding and unexplained alarm, of those alarms that count."""
    return judge([f for run in runs for f in run.faults], [a for run in runs for a in run.alarms if counts(a)])


def machines_of(runs: Sequence[Run]) -> int:
    return sum(run.machines for run in runs)


def summary(verdict: Verdict, seeds: Sequence[int], days: float, machines: int) -> dict[str, Any]:
    """The JSON document."""
    return {
        "fleet": {"seeds": list(seeds), "days": days, "compressor_trains": 3 * len(seeds), "metro_trains": len(seeds)},
        "faults": len(verdict.findings),
        "found": verdict.count("found"),
        "late": verdict.count("late"),
        "wrong_component": len(verdict.wrong_component),
        "false_alarms": len(verdict.false_alarms),
        "equipment_days": round(machines * days, 3),
        "by_kind": verdict.by_kind,
    }


# --- one type --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Group:
    """The machines of one season: a fleet, its names, and the point ids [units, points] of its readings."""

    fleet: Fleet
    names: tuple[str, ...]
    tenant: int
    points: np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True, slots=True)
class World:
    """The machines of one type, all seeds, registered."""

    groups: list[_Group]
    registry: RegistrySnapshot

    @classmethod
    def of(
        cls, kind: int, seeds: Sequence[int], days: float, faults: bool, known: EquipmentType, period_s: int
    ) -> World:
        fleet_type, first, units = _KINDS[kind]
        by_season = [[seed for seed in seeds if seed % len(_SEASONS) == season] for season in range(len(_SEASONS))]
        groups = [
            _group(fleet_type, first, units, mine, season, days, faults, period_s)
            for season, mine in enumerate(by_season)
            if mine
        ]
        registry, groups = _register(known, groups)
        return cls(groups, registry)

    def records(self, days: float, period_s: int, progress: Progress | None = None) -> Iterator[StreamRecord]:
        """All that they send, in order of time."""
        total = round(days * DAY / (period_s * SECOND))
        done = 0
        while done < total:
            periods = min(PERIODS, total - done)
            frames = [group.fleet.advance(periods) for group in self.groups]
            ticks = tuple(Tick(g.tenant, int(f.ts[-1])) for g, f in zip(self.groups, frames, strict=True))
            yield StreamRecord(_batch(self.groups, frames), ticks)
            done += periods
            if progress is not None:
                progress(done / total)


def type_of(kind: int, types: Mapping[str, EquipmentType] | None = None) -> EquipmentType:
    """The type of a kind of the demo's fleets."""
    key = _KINDS[kind][0].TYPE
    return (types or {}).get(key) or catalog()[key]


def _run_kind(
    kind: int,
    seeds: list[int],
    days: float,
    faults: bool,
    types: dict[str, EquipmentType] | None,
    models: Models | None,
    period_s: int,
    progress: Progress | None = None,
) -> Run:
    known = type_of(kind, types)
    world = World.of(kind, seeds, days, faults, known, period_s)
    entries = tuple(m.entry() for m in (models or {}).get(known.key, ()))
    processor = Processor(replace(world.registry, models=entries))
    transitions: list[ConditionTransition] = []
    for record in world.records(days, period_s, progress):
        transitions += processor.step(record).transitions
    names = {e.id: e.key for e in world.registry.equipment.values()}
    return Run(
        [fault for group in world.groups for fault in _truth(group)],
        announced(transitions, names),
        sum(len(group.names) for group in world.groups),
    )


def _group(
    fleet_type: type[Fleet],
    first: int,
    units: int,
    seeds: list[int],
    season: int,
    days: float,
    faults: bool,
    period_s: int,
) -> _Group:
    start = _SEASONS[season]
    of_units, plans, names, sites = [], [], [], []
    for i, seed in enumerate(seeds):
        mine = unit_seeds(seed, first + units)[first:]
        if faults:
            rng = np.random.default_rng([seed, first])
            drawn = draw_faults(fleet_type, mine, start, days, rng)
            plans += [replace(plan, unit=plan.unit + i * units) for plan in drawn]
        of_units += mine
        sites += [unit_seeds(seed, 1)[0]] * units
        names += [f"seed{seed}-{fleet_type.TYPE}-{unit + 1}" for unit in range(units)]
    fleet = fleet_type(of_units, start, period_s, plans, sites=sites)
    return _Group(fleet, tuple(names), season + 1, np.empty((0, 0), np.int32))


def _register(known: EquipmentType, groups: list[_Group]) -> tuple[RegistrySnapshot, list[_Group]]:
    """Everything registered; the ids of an equipment's points follow one another: the fleet's, then derived."""
    instances = {p.key: p for p in known.point_instances()}
    equipment: dict[int, EquipmentEntry] = {}
    numbered, next_point = [], 1
    for group in groups:
        ids = np.empty((len(group.names), len(group.fleet.POINTS)), np.int32)
        sent = [spec.key for spec in group.fleet.POINTS]
        keys = [*sent, *(key for key in instances if key not in sent)]
        for row, name in enumerate(group.names):
            points = {
                key: PointEntry(next_point + i, key, instances[key].definition.unit, instances[key].definition.kind)
                for i, key in enumerate(keys)
            }
            ids[row] = np.arange(next_point, next_point + len(sent))
            next_point += len(keys)
            number = len(equipment) + 1
            equipment[number] = EquipmentEntry(number, group.tenant, name, known.key, EquipmentStatus.APPROVED, points)
        numbered.append(replace(group, points=ids))
    tenants = {
        g.tenant: Tenant(g.tenant, f"season{g.tenant}", f"season {g.tenant}", publisher_clock=True) for g in groups
    }
    return RegistrySnapshot(1, tenants, {known.key: known}, equipment), numbered


def _batch(groups: Sequence[_Group], frames: Sequence[Frames]) -> TelemetryBatch:
    parts = []
    for group, frame in zip(groups, frames, strict=True):
        n = len(frame.ts)
        shape = frame.values.shape
        there = ~np.isnan(frame.values).ravel()
        flags = np.where(frame.quality_bad, quality.BAD | quality.DEVICE, quality.GOOD).astype(np.uint8)
        parts.append(
            TelemetryBatch(
                np.broadcast_to(group.points, (n, *group.points.shape)).ravel()[there],
                np.broadcast_to(frame.ts[:, None, None], shape).ravel()[there],
                frame.values.ravel()[there],
                flags.ravel()[there],
                int(frame.ts[-1]),
            )
        )
    return TelemetryBatch.concatenate(parts, max(p.received_at for p in parts))


def _truth(group: _Group) -> list[KnownFault]:
    return [
        KnownFault(
            group.names[line.unit],
            line.component,
            line.mode,
            line.kind,
            line.ts,
            line.limit_at,
            group.fleet.FAULTS[line.mode].shows_on,
            line.point,
        )
        for line in group.fleet.truth()
    ]
