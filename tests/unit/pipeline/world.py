"""A small world for the processor: types from text, registries, records, and what came out of them as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np

from core.equipment import EquipmentType
from core.learned import ModelEntry
from core.outcome import Outcome
from core.quality import GOOD
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import StreamRecord, TelemetryBatch, Tick
from core.time import SECOND
from models.types import load_type
from stream_processors.pipeline import Processor

T0 = 1_700_000_000 * SECOND

Reading = tuple[int, str, float, float] | tuple[int, str, float, float, int]
"""(equipment id, point key, seconds after T0, value[, quality])"""

PUMP = """
type: pump
name: Pump
lateness: {lateness}
consequence_window: 10 s
components:
  - {{key: pump, name: Pump, criticality: 3}}
  - {{key: "seal{{side}}", name: "Seal {{side}}", repeat: {{side: [1, 2, 3]}}}}
points:
  - {{key: speed, component: pump, unit: r/min, range: [0, 4000], stale: 60 s}}
  - {{key: pressure, component: pump, unit: bar, range: [-1, 100], max_rate: 50, flatline: 30 s, stale: 60 s}}
  - {{key: "seal{{side}}.t", component: "seal{{side}}", unit: Cel, stale: 60 s}}
derived:
  - {{key: smooth, component: pump, unit: bar, formula: "ewma(pressure, '5 s')", when: [running], store: 5 s}}
  - {{key: "seal{{side}}.excess", component: "seal{{side}}", unit: Cel, formula: "seal{{side}}.t -
  peer_median(seal{{side}}.t)"}}
  - {{key: climb, component: pump, unit: Cel, formula: "rise(max_of(seal{{side}}.t), '8 s')"}}
states:
  - {{name: running, when: "speed > 1000"}}
  - {{name: stopped, when: "speed <= 1000"}}
running: [running]
limits:
  - {{key: high, point: pressure, high: 10, deadband: 1, on_delay: 2 s, off_delay: 2 s, states: [running], settle: 2
  s, priority: high}}
  - {{key: trip, point: pressure, high: 20, deadband: 1, priority: urgent}}
  - {{key: high, point: smooth, high: 9, deadband: 0.5, states: [running]}}
  - {{key: hot, point: "seal{{side}}.excess", high: 8, deadband: 1, priority: medium}}
  - {{key: fast, point: climb, high: 15, deadband: 1, priority: low}}
"""


@cache
def pump(lateness: str = "2 s") -> EquipmentType:
    return load_type(PUMP.format(lateness=lateness))


def registry(
    types: Mapping[str, EquipmentType], fleet: Sequence[str], version: int = 1, models: Sequence[ModelEntry] = ()
) -> RegistrySnapshot:
    """Equipment 1, 2, … of the given types; points numbered through."""
    equipment, point_id = {}, 1
    for i, type_key in enumerate(fleet, 1):
        points = {}
        for p in types[type_key].point_instances():
            points[p.key] = PointEntry(point_id, p.key, p.definition.unit, p.definition.kind)
            point_id += 1
        equipment[i] = EquipmentEntry(i, 1, f"e{i}", type_key, EquipmentStatus.APPROVED, points)
    return RegistrySnapshot(version, {1: Tenant(1, "t", "T")}, dict(types), equipment, models=tuple(models))


def of(*types: EquipmentType, each: int = 1, models: Sequence[ModelEntry] = ()) -> RegistrySnapshot:
    return registry({t.key: t for t in types}, [t.key for t in types for _ in range(each)], models=models)


def record(reg: RegistrySnapshot, readings: Iterable[Reading], ticks: Iterable[float] = ()) -> StreamRecord:
    rows = list(readings)
    batch = TelemetryBatch(
        np.array([reg.equipment[r[0]].points[r[1]].id for r in rows], np.int32),
        np.array([T0 + round(r[2] * SECOND) for r in rows], np.int64),
        np.array([r[3] for r in rows], float),
        np.array([r[4] if len(r) > 4 else GOOD for r in rows], np.uint8),
        0,
    )
    return StreamRecord(batch, tuple(Tick(1, T0 + round(at * SECOND)) for at in ticks))


class Run:
    """A processor, and all it said, as data to compare."""

    def __init__(self, reg: RegistrySnapshot) -> None:
        self.registry = reg
        self.processor = Processor(reg)
        self.outcomes: list[Outcome] = []

    def __call__(self, readings: Iterable[Reading], ticks: Iterable[float] = ()) -> Outcome:
        outcome = self.processor.step(record(self.registry, readings, ticks))
        self.outcomes.append(outcome)
        return outcome

    def restart(self) -> None:
        self.processor = Processor.restore(self.processor.snapshot(), self.registry)

    @property
    def transitions(self) -> list[tuple[float, int, str, str]]:
        """(seconds, equipment, condition, change), sorted."""
        return sorted(
            ((t.at - T0) / SECOND, t.equipment_id, t.condition, t.change.value)
            for o in self.outcomes
            for t in o.transitions
        )

    @property
    def details(self) -> list[tuple[object, ...]]:
        """All that is discrete about transitions, with values rounded to what floats may differ by."""
        return sorted(
            (
                t.equipment_id, t.at, t.condition, t.change.value, t.announce, t.first_out or "", t.late,
                -1.0 if t.value is None else round(t.value, 6), t.title,
            )
            for o in self.outcomes
            for t in o.transitions
        )  # fmt: skip

    @property
    def states(self) -> list[tuple[float, int, str]]:
        return sorted(((s.at - T0) / SECOND, s.equipment_id, s.state) for o in self.outcomes for s in o.states)

    @property
    def derived(self) -> list[tuple[int, int, float]]:
        return sorted(
            (int(p), int(t), round(float(v), 6))
            for o in self.outcomes
            for p, t, v in zip(o.derived.point_id, o.derived.ts, o.derived.value, strict=True)
        )

    @property
    def health(self) -> list[tuple[object, ...]]:
        return sorted(
            (h.equipment_id, h.at, h.component, round(h.index, 3), tuple((r.condition, r.takes) for r in h.reasons))
            for o in self.outcomes
            for h in o.health
        )

    @property
    def prognoses(self) -> list[tuple[object, ...]]:
        """(equipment, at, model, version, champion, p10, p50, p90, dates), with what floats may differ by."""
        return sorted(
            (p.equipment_id, p.at, p.model, p.version, p.champion,
             *(round(q, 6) for q in (p.p10, p.p50, p.p90)), tuple(d and d // SECOND for d in p.dates))
            for o in self.outcomes
            for p in o.prognoses
        )  # fmt: skip

    @property
    def scores(self) -> list[tuple[object, ...]]:
        return sorted(
            (
                s.equipment_id,
                s.at,
                s.model,
                s.version,
                s.champion,
                s.component,
                round(s.score, 6),
                s.change or "",
                s.text,
            )
            for o in self.outcomes
            for s in o.scores
        )

    def said(self) -> tuple[object, ...]:
        """Everything, to compare two runs."""
        return self.details, self.states, self.derived, self.health, self.prognoses, self.scores


def series(
    point: str, values: Iterable[float], *, equipment: int = 1, start: float = 0.0, every: float = 1.0
) -> list[Reading]:
    return [(equipment, point, start + i * every, v) for i, v in enumerate(values)]
