"""The platform as the judge drives it: its own processor and catalogue, and a fleet of compressor trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from core.outcome import Outcome
from core.quality import GOOD
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import StreamRecord, TelemetryBatch
from models.types import catalog
from stream_processors.pipeline.processor import Processor


class Platform:
    """``points``: of each machine, from 0, the numbers of its points by key. A machine's own number is one more."""

    def __init__(self, machines: int) -> None:
        type_ = catalog()["compressor-train"]
        equipment, number = {}, 0
        for machine in range(machines):
            points = {}
            for p in type_.point_instances():
                number += 1
                points[p.key] = PointEntry(number, p.key, p.definition.unit, p.definition.kind)
            equipment[machine + 1] = EquipmentEntry(
                machine + 1, 1, f"m{machine}", type_.key, EquipmentStatus.APPROVED, points
            )
        self._processor = Processor(RegistrySnapshot(1, {1: Tenant(1, "t", "T")}, {type_.key: type_}, equipment))
        self.points = [{key: p.id for key, p in entry.points.items()} for entry in equipment.values()]

    def outcomes(self, values: Mapping[str, Any], start: int, period: int) -> Iterator[Outcome]:
        """What comes of ``values`` [moments, machines] by point, from ``start`` on, each ``period`` µs; in blocks."""
        ids = np.array([[numbers[name] for name in values] for numbers in self.points], np.int32)
        whole = np.stack(list(values.values()), axis=2)  # [moments, machines, points]
        block = max(1, 40_000 // ids.size)
        for k in range(0, len(whole), block):
            part = whole[k : k + block]
            batch = TelemetryBatch(
                np.tile(ids.ravel(), len(part)),
                np.repeat(start + np.arange(k, k + len(part)) * period, ids.size),
                part.reshape(-1),
                np.full(part.size, GOOD, np.uint8),
                0,
            )
            yield self._processor.step(StreamRecord(batch))
