"""Parcels to readings: the numbers of cycles and the features of waveforms, on the points their type declares.

They stand where they came, between the readings of their record: so a watermark treats them as it treats all others,
however the stream is cut. What a parcel's point is not registered for is counted and left where it is stored, with the
parcel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import structlog
from numpy.typing import NDArray

from core import quality as q
from core.equipment import CycleInstance, EquipmentType, WaveformInstance
from core.parcels import DURATION, CycleRecord, Purpose, Waveform
from core.registry import EquipmentEntry, RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import SECOND
from models.vibration import places
from stream_processors.pipeline.findings import Findings

log = structlog.get_logger(__name__)


class Parcels:
    """What parcels of a registry's equipment become."""

    def __init__(self, registry: RegistrySnapshot) -> None:
        self._registry = registry
        self._cycles: dict[str, Mapping[tuple[str, str], CycleInstance]] = {}
        self._channels: dict[str, Mapping[str, WaveformInstance]] = {}

    def insert(self, record: StreamRecord, out: Findings) -> tuple[TelemetryBatch, NDArray[np.bool_] | None]:
        """The record's batch with its parcels' readings where they came; True for those that are the batch's own (None:
        all are)."""
        if not record.waveforms and not record.cycles:
            return record.batch, None
        batch = record.batch
        points: list[int] = []
        times: list[int] = []
        values: list[float] = []
        stands: list[int] = []
        parcels: list[Waveform | CycleRecord] = [*record.waveforms, *record.cycles]
        for parcel in sorted(parcels, key=lambda p: p.after):
            for point, value in self._readings(parcel, out):
                points.append(point)
                times.append(parcel.end)
                values.append(value)
                stands.append(parcel.after)
        if not points:
            return batch, None
        out.count("core.parcel_readings", len(points))
        order = np.argsort(np.concatenate((np.arange(len(batch)), np.array(stands) - 0.5)), kind="stable")
        whole = TelemetryBatch(
            np.concatenate((batch.point_id, np.array(points, np.int32)))[order],
            np.concatenate((batch.ts, np.array(times, np.int64)))[order],
            np.concatenate((batch.value, np.array(values)))[order],
            np.concatenate((batch.quality, np.full(len(points), q.GOOD, np.uint8)))[order],
            batch.received_at,
        )
        return whole, order < len(batch)

    def _readings(self, parcel: Waveform | CycleRecord, out: Findings) -> Iterator[tuple[int, float]]:
        entry = self._registry.equipment.get(parcel.equipment_id)
        type_ = None if entry is None else self._registry.types.get(entry.type_key)
        if entry is None or type_ is None:
            out.count("core.parcels_of_nobody")
            return
        if isinstance(parcel, CycleRecord):
            yield from self._cycle(parcel, entry, type_, out)
        else:
            yield from self._waveform(parcel, entry, type_, out)

    def _cycle(
        self, cycle: CycleRecord, entry: EquipmentEntry, type_: EquipmentType, out: Findings
    ) -> Iterator[tuple[int, float]]:
        known = self._cycles.get(type_.key)
        if known is None:
            known = self._cycles[type_.key] = {(i.kind, i.component): i for i in type_.cycle_instances()}
        instance = known.get((cycle.kind, cycle.component))
        values = cycle.values
        if DURATION not in values:
            values = {**values, DURATION: (cycle.end - cycle.ts) / SECOND}
        yield from _named(values, {} if instance is None else instance.points, entry, out)

    def _waveform(
        self, waveform: Waveform, entry: EquipmentEntry, type_: EquipmentType, out: Findings
    ) -> Iterator[tuple[int, float]]:
        known = self._channels.get(type_.key)
        if known is None:
            known = self._channels[type_.key] = {i.channel: i for i in type_.waveform_instances()}
        for place, channel in enumerate(waveform.channels):
            instance = known.get(channel.name)
            if instance is None or not instance.points:
                continue
            if waveform.purpose is Purpose.TRANSIENT or not places.is_open(instance.definition, waveform):
                out.count("core.waveforms_gated")
                continue
            try:
                values = places.features(waveform, place, instance)
            except Exception:  # a signal that a formula of ours cannot bear must not stop everybody else's
                log.exception("waveform.defect", equipment=entry.key, channel=channel.name, ts=waveform.ts)
                out.count("core.waveforms_failed")
                continue
            yield from _named(values, instance.points, entry, out)


def _named(
    values: Mapping[str, float], points: Mapping[str, str], entry: EquipmentEntry, out: Findings
) -> Iterator[tuple[int, float]]:
    for name, value in values.items():
        point = entry.points.get(points.get(name, ""))
        if point is not None and math.isfinite(value):
            yield point.id, float(value)
        elif name != DURATION and point is None and name in points:
            out.count("core.parcel_values_unregistered")
