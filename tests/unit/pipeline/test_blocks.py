"""Many frames in one record are computed in blocks; what comes out is what comes out frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.equipment import EquipmentType
from core.learned import ModelEntry, ModelKind
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import StreamRecord, TelemetryBatch, Tick
from core.time import MINUTE, SECOND
from models.types import catalog
from simulators.compressor.fleet import CompressorTrainFleet
from simulators.contract import FaultPlan
from simulators.engine import Fleet
from simulators.metro.fleet import MetroTrainFleet
from stream_processors.pipeline import Processor, blocks
from stream_processors.pipeline.fleet import FIELDS
from tests.unit.pipeline.learned import regressor

START = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND


def fleet_of(kind: type[Fleet], units: int, plans: list[FaultPlan]) -> tuple[Fleet, RegistrySnapshot]:
    known = catalog()[kind.TYPE]
    number = iter(range(1, 100_000))
    equipment = {
        unit: EquipmentEntry(
            unit, 1, f"e{unit}", known.key, EquipmentStatus.APPROVED,
            {
                p.key: PointEntry(next(number), p.key, p.definition.unit, p.definition.kind)
                for p in known.point_instances()
            },
        )
        for unit in range(1, units + 1)
    }  # fmt: skip
    registry = RegistrySnapshot(1, {1: Tenant(1, "t", "T")}, {known.key: known}, equipment, models=models_of(known))
    return kind(list(range(units)), START, 30, plans), registry


def models_of(known: EquipmentType) -> tuple[ModelEntry, ...]:
    """Two that look at five points, derived ones among them, in steps that end within blocks."""
    keys = [p.key for p in known.point_instances()]
    seen = {"points": [keys[i] for i in (0, 3, -2, -1)], "settings": [keys[1]]}
    return tuple(
        ModelEntry(
            "remaining-life/x", version, version == 1, ModelKind.REMAINING_LIFE, known.key,
            {**seen, "step_us": step}, {}, regressor(),
        )
        for version, step in ((1, 20 * MINUTE), (2, 7 * MINUTE))
    )  # fmt: skip


def readings(fleet: Fleet, registry: RegistrySnapshot, periods: int, seed: int) -> TelemetryBatch:
    """What the fleet sends, with a few readings missing, a few bad, and a gap."""
    frames = fleet.advance(periods)
    ids = np.array(
        [[entry.points[spec.key].id for spec in fleet.POINTS] for entry in registry.equipment.values()], np.int32
    )
    rng = np.random.default_rng(seed)
    there = ~np.isnan(frames.values) & (rng.random(frames.values.shape) > 0.02)
    there[periods // 3 : periods // 3 + 14] = False
    quality = np.where(frames.quality_bad | (rng.random(there.shape) < 0.005), 0x08, 0xC0).astype(np.uint8)
    shape = frames.values.shape
    return TelemetryBatch(
        np.broadcast_to(ids, shape)[there],
        np.broadcast_to(frames.ts[:, None, None], shape)[there],
        frames.values[there],
        quality[there],
        int(frames.ts[-1]),
    )


def run(registry: RegistrySnapshot, batch: TelemetryBatch, records: int) -> tuple[list[Any], Processor]:
    """All that is said, as plain data, and the processor afterwards."""
    process = Processor(registry)
    outcomes = []
    instants = np.unique(batch.ts)
    for part in np.array_split(instants, records):
        mine = np.isin(batch.ts, part)
        arrays = (batch.point_id[mine], batch.ts[mine], batch.value[mine], batch.quality[mine])
        outcomes.append(process.step(StreamRecord(TelemetryBatch(*arrays, batch.received_at))))
    outcomes.append(process.step(StreamRecord(TelemetryBatch.empty(), (Tick(1, int(instants[-1]) + 60 * SECOND),))))
    said: list[Any] = []
    for o in outcomes:
        said += [(t.at, t.equipment_id, t.condition, t.change, t.announce, t.first_out, t.title) for t in o.transitions]
        said += [(s.at, s.equipment_id, s.state) for s in o.states]
        said += [(h.at, h.equipment_id, h.component, h.index, h.reasons) for h in o.health]
        said += [(p.at, p.equipment_id, p.version, p.p10, p.p50, p.p90, p.dates) for p in o.prognoses]
        said += zip(o.derived.ts.tolist(), o.derived.point_id.tolist(), o.derived.value.tolist(), strict=True)
    return sorted(said, key=repr), process


CASES: dict[str, tuple[type[Fleet], tuple[str, ...]]] = {
    "compressor trains": (CompressorTrainFleet, ("filter_clogging", "wiped_pad", "stuck", "open_circuit")),
    "metro trains": (MetroTrainFleet, ("hot_box", "burst_hose", "stuck", "open_circuit")),
}


@pytest.mark.parametrize("case", CASES)
def test_blocks_say_what_frames_say(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, modes = CASES[case]
    plans = [
        FaultPlan(
            unit,
            (kind.FAULTS[mode].components or (next(c.key for c in kind.CHANNELS if c.drawable),))[0],
            mode,
            START + HOUR,
            3 * HOUR,
        )
        for unit, mode in enumerate(modes)
    ]
    fleet, registry = fleet_of(kind, len(modes), plans)
    batch = readings(fleet, registry, 400, seed=5)
    taken = []

    def counted(*arguments: Any) -> int:
        taken.append(blocks_advance(*arguments))
        return taken[-1]

    blocks_advance = blocks.advance
    monkeypatch.setattr(blocks, "advance", counted)
    many, after_many = run(registry, batch, 4)
    assert sum(taken) > 250, "most frames went in blocks"
    monkeypatch.setattr(blocks, "advance", lambda *_: 0)
    one_by_one, after = run(registry, batch, 4)
    assert many == one_by_one
    assert len({line[2] for line in many if isinstance(line[2], str)}) > 3, "something happened"
    if case == "compressor trains":  # the others stand all night
        assert after.fleet.types[0].learned.clocks[1].steps.count.any(), "the models looked"
    for a, b in zip(after_many.fleet.types, after.fleet.types, strict=True):
        for one, other in zip(a.learned.models, b.learned.models, strict=True):
            for name, array in one.arrays().items():
                np.testing.assert_array_equal(array, other.arrays()[name], err_msg=f"{one.entry.label}/{name}")
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
        for key, operator in a.layout.program.operators.items():
            for name, array in operator.arrays.items():
                np.testing.assert_array_equal(
                    array, b.layout.program.operators[key].arrays[name], err_msg=f"{key}/{name}"
                )
