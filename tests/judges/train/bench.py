"""The judge's trains through the processor, and what may be said of what it said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core import quality
from core.condition import Change
from core.equipment import EquipmentType
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import StreamRecord, TelemetryBatch
from models.types import catalog
from stream_processors.pipeline.processor import Processor
from tests.judges.train.laws import START, Case, Days, Owed, Shape


@dataclass(frozen=True)
class Said:
    """An announced alarm, at ``hour`` since the start."""

    hour: float
    component: str
    concern: str
    mode: str | None
    condition: str
    title: str
    advice: str


@dataclass(frozen=True)
class Played:
    """What was said of each case's train, and the courses asked for: point → (hours, values) by case."""

    said: dict[str, list[Said]]
    courses: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]
    truth: dict[str, np.ndarray]


def play(
    shape: Shape,
    cases: Sequence[Case],
    days: float,
    seed: int,
    *,
    period_s: int = 30,
    every: int = 1,
    only_stops: bool = False,
    watch: Sequence[str] = (),
    type_: EquipmentType | None = None,
) -> Played:
    """``every``: one stop in so many has its doors opened. ``only_stops``: telegrams only then, and only of
    the doors: weeks in seconds."""
    type_ = type_ or catalog()[shape.type]
    points = type_.point_instances()
    keys = [p.key for p in points]
    equipment: dict[int, EquipmentEntry] = {}
    place: dict[int, tuple[str, str]] = {}
    for unit, case in enumerate(cases):
        first = 1 + unit * len(keys)
        entries = {
            p.key: PointEntry(first + i, p.key, p.definition.unit, p.definition.kind) for i, p in enumerate(points)
        }
        equipment[unit + 1] = EquipmentEntry(unit + 1, 1, case.name, type_.key, EquipmentStatus.APPROVED, entries)
        place |= {entries[key].id: (case.name, key) for key in watch}
    processor = Processor(
        RegistrySnapshot(1, {1: Tenant(1, "j", "Judge", publisher_clock=True)}, {type_.key: type_}, equipment)
    )
    generator = Days(shape, cases, seed, period_s, every, only_doors=only_stops)
    said: dict[str, list[Said]] = {case.name: [] for case in cases}
    seen: dict[tuple[str, str], list[tuple[float, float]]] = {name: [] for name in place.values()}
    truth: list[np.ndarray] = []
    left = days
    while left > 0:
        ts, values = generator.day()
        truth.append(generator.true_boxes if not only_stops else np.empty((0, len(cases), 0)))
        sent = sorted(set(values) & set(keys))  # a class of train has no more than its file names
        if only_stops:
            sent = [k for k in sent if ".door" in k or ".vehicle" in k or k.startswith("train.")]
        matrix = np.stack([values[key] for key in sent], axis=-1)  # [n, units, points]
        ids = np.array([[equipment[u + 1].points[key].id for key in sent] for u in range(len(cases))], np.int32)
        rows = np.arange(len(ts) if left >= 1 else int(left * len(ts)))
        if only_stops:
            doors = np.array([key.endswith("closing_time") for key in sent])
            matrix[np.isnan(matrix[:, :, doors]).all(axis=2)] = np.nan
            rows = rows[~np.isnan(matrix[rows]).all(axis=(1, 2))]
        else:
            # a train at rest sends seldom
            asleep = (values["train.mode"] == 0).all(axis=1) & (np.arange(len(ts)) % (180 // period_s) != 0)
            rows = rows[~asleep[rows]]
        for part in np.array_split(rows, max(len(rows) // 160, 1)):
            there = ~np.isnan(matrix[part])
            shape_ = there.shape
            batch = TelemetryBatch(
                np.broadcast_to(ids, shape_)[there],
                np.broadcast_to(ts[part][:, None, None], shape_)[there],
                matrix[part][there],
                np.full(int(there.sum()), quality.GOOD, np.uint8),
                int(ts[part[-1]]),
            )
            outcome = processor.step(StreamRecord(batch))
            for t in outcome.transitions:
                if t.change in (Change.RAISED, Change.UNSUPPRESSED) and t.announce:
                    said[equipment[t.equipment_id].key].append(
                        Said(
                            (t.at - START) / 3.6e9, t.component, t.concern.value, t.failure_mode, t.condition,
                            t.title, str(t.detail.get("advice", "")),
                        )
                    )  # fmt: skip
            for i in np.flatnonzero(np.isin(outcome.derived.point_id, list(place))) if place else ():
                at = (int(outcome.derived.ts[i]) - START) / 3.6e9
                seen[place[int(outcome.derived.point_id[i])]].append((at, float(outcome.derived.value[i])))
        left -= 1
    courses: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {case.name: {} for case in cases}
    for (name, key), pairs in seen.items():
        courses[name][key] = (np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))
    boxes = np.concatenate(truth)
    return Played(said, courses, {case.name: boxes[:, u] for u, case in enumerate(cases)})


def complaints(case: Case, said: Sequence[Said]) -> list[str]:
    """What is wrong with what was said; empty: the judge is content."""

    def fits(owed: Owed, s: Said) -> bool:
        where = s.component == owed.component and s.concern == owed.concern
        return where and s.mode in owed.modes and s.hour >= owed.begins

    wrong = [
        f"{s.hour:.1f} h: {s.condition} ({s.concern}, {s.mode}) {s.title}"
        for s in said
        if not any(fits(owed, s) for owed in case.owed)
    ]
    for owed in case.owed:
        hours = [s.hour for s in said if fits(owed, s)]
        if not any(hour <= owed.due for hour in hours):
            wrong.append(f"no {owed.modes} of {owed.component} by {owed.due} h; had {[round(h, 1) for h in hours]}")
    return wrong
