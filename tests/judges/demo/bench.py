"""The judge's own bench: healthy machines of the simulators, spoilt by laws of this file's own, through the processor.

None of the simulators' faults is used. Laws, sizes, places, machines and sampling (30 s) differ from theirs on purpose:
what is found here was not learned by heart. Never changed in a commit that changes a detector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from core import quality
from core.condition import ConditionTransition
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import from_datetime
from models.types import catalog
from stream_processors.pipeline.processor import Processor
from workbench.evaluate.verdict import Announced, announced

PERIOD_S = 30
START = from_datetime(datetime(2025, 3, 3, tzinfo=UTC))


class Machine:
    """One machine's published values by point, over hours ``h`` since the start; spoil them in place."""

    def __init__(self, h, values, column, seed):
        self.h = h
        self.values = values
        self.column = column
        self.rng = np.random.default_rng(seed)

    def __getitem__(self, key):
        return self.values[:, self.column[key]]

    def since(self, hour):
        return np.maximum(self.h - hour, 0.0)

    def ramp(self, hour, hours):
        """0 before ``hour``, 1 after ``hours`` more, a straight line between."""
        return np.clip((self.h - hour) / hours, 0.0, 1.0)


@dataclass(frozen=True)
class Case:
    """``spoil`` does it; ``component`` and ``concern`` are owed between ``begins`` and ``due`` (hours). Nothing arrives
    of the machine in the hours ``away``, from and to."""

    name: str
    spoil: Callable[[Machine], None]
    component: str = ""
    concern: str = ""
    begins: float = 0.0
    due: float = 0.0
    away: tuple[tuple[float, float], ...] = ()


def play(fleet_type, cases, hours, seeds) -> dict[str, list[Announced]]:
    """Announced alarms by case, each case on the machine of its own seed."""
    fleet = fleet_type(seeds[: len(cases)], START, PERIOD_S)
    frames = fleet.advance(round(hours * 3600 / PERIOD_S))
    h = (frames.ts - START) / 3.6e9
    arrives = np.ones(frames.values.shape[:2], bool)
    for unit, case in enumerate(cases):
        case.spoil(Machine(h, frames.values[:, unit], fleet.column, seeds[unit]))
        for left, back in case.away:
            arrives[:, unit] &= (h <= left) | (h > back)
    type_ = catalog()[fleet_type.TYPE]
    kinds = {p.key: p.definition for p in type_.point_instances()}
    keys = [spec.key for spec in fleet_type.POINTS] + [k for k in kinds if k not in fleet.column]
    equipment, ids, number = {}, np.empty((len(cases), len(fleet_type.POINTS)), np.int32), 1
    for unit, case in enumerate(cases):
        points = {k: PointEntry(number + i, k, kinds[k].unit, kinds[k].kind) for i, k in enumerate(keys)}
        ids[unit] = np.arange(number, number + ids.shape[1])
        equipment[unit + 1] = EquipmentEntry(unit + 1, 1, case.name, type_.key, EquipmentStatus.APPROVED, points)
        number += len(keys)
    tenants = {1: Tenant(1, "judge", "Judge", publisher_clock=True)}
    processor = Processor(RegistrySnapshot(1, tenants, {type_.key: type_}, equipment))
    transitions: list[ConditionTransition] = []
    for first in range(0, len(frames.ts), 40):
        part = slice(first, first + 40)
        values, ts = frames.values[part], frames.ts[part]
        here = arrives[part]
        batch = TelemetryBatch(
            np.broadcast_to(ids, values.shape)[here].ravel(),
            np.broadcast_to(ts[:, None, None], values.shape)[here].ravel(),
            values[here].ravel(),
            np.where(np.isnan(values), quality.BAD | quality.SENSOR, quality.GOOD).astype(np.uint8)[here].ravel(),
            int(ts[-1]),
        )
        transitions += processor.step(StreamRecord(batch)).transitions
    found: dict[str, list[Announced]] = {case.name: [] for case in cases}
    for alarm in announced(transitions, {i: e.key for i, e in equipment.items()}):
        found[alarm.equipment].append(alarm)
    return found


def complaints(case: Case, alarms: list[Announced]) -> list[str]:
    """What is wrong with what was said of a machine; empty: the judge is content."""

    def hour(alarm: Announced) -> float:
        return (alarm.at - START) / 3.6e9

    right = [
        a for a in alarms if a.component == case.component and a.concern == case.concern and hour(a) >= case.begins
    ]
    missed = [a for a in alarms if a.concern == "connection" and any(b < hour(a) <= e for b, e in case.away)]
    other = [f"{hour(a):.1f} h: {a.condition} ({a.concern}) {a.title}" for a in alarms if a not in right + missed]
    if case.component and not any(hour(a) <= case.due for a in right):
        other.append(
            f"no {case.concern} alarm on {case.component} by {case.due} h; had {[round(hour(a), 1) for a in right]}"
        )
    return other
