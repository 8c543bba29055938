"""Whose records lie in which partition, and a record taken apart accordingly. Pure.

The partition of an equipment is a hash of its tenant and key, the same in every ingest and for ever: it is never moved,
or its readings would overtake each other on the way.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.parcels import CycleRecord, Waveform
from core.registry import EquipmentEntry, RegistrySnapshot
from core.telemetry import DeadLetter, EventRecord, StreamRecord, TelemetryBatch, Tick
from stream_processors.kafka.topics import PARTITIONS

_Parcel = TypeVar("_Parcel", Waveform, CycleRecord)


def partition_of(tenant: str, equipment: str) -> int:
    """By the tenant's slug and the equipment's key.

    >>> partition_of("acme", "press-7")
    39
    """
    return zlib.crc32(f"{tenant}/{equipment}".encode()) % PARTITIONS


class Partitioning:
    """A registry's equipment, points and tenants by partition."""

    def __init__(self, registry: RegistrySnapshot) -> None:
        self.registry = registry
        self.of_equipment: dict[int, int] = {}
        self._members: defaultdict[int, dict[int, EquipmentEntry]] = defaultdict(dict)
        tenants: defaultdict[int, set[int]] = defaultdict(set)
        last = max((p.id for e in registry.equipment.values() for p in e.points.values()), default=0)
        self.of_point: NDArray[np.int16] = np.zeros(last + 1, np.int16)
        for entry in registry.equipment.values():
            place = partition_of(registry.tenants[entry.tenant_id].slug, entry.key)
            self.of_equipment[entry.id] = place
            self._members[place][entry.id] = entry
            tenants[entry.tenant_id].add(place)
            for point in entry.points.values():
                self.of_point[point.id] = place
        self.of_tenant = {tenant: tuple(sorted(places)) for tenant, places in tenants.items()}

    def only(self, partition: int) -> RegistrySnapshot:
        """The registry with the equipment of one partition: all that its processor has to know."""
        return replace(self.registry, equipment=self._members.get(partition, {}), profiles=())

    def home(self, tenant_id: int | None) -> int:
        """Where what belongs to no equipment of the tenant goes."""
        places = self.of_tenant.get(tenant_id) if tenant_id is not None else None
        return places[0] if places else 0


def split(record: StreamRecord, partitioning: Partitioning) -> dict[int, StreamRecord]:
    """The record's parts by partition; a tick goes wherever its tenant has equipment. At least one part.

    Each part counts its own readings and refusals, so that what is repeated after a crash is counted where it is
    repeated; everything else that was counted goes with the largest part.
    """
    batches = _batches(record.batch, partitioning)
    ticks: defaultdict[int, list[Tick]] = defaultdict(list)
    for tick in record.ticks:
        for place in partitioning.of_tenant.get(tick.tenant_id, ()):
            ticks[place].append(tick)
    events: defaultdict[int, list[EventRecord]] = defaultdict(list)
    for event in record.events:
        events[partitioning.of_equipment.get(event.equipment_id, 0)].append(event)
    letters: defaultdict[int, list[DeadLetter]] = defaultdict(list)
    for letter in record.dead_letters:
        home = partitioning.home(letter.tenant_id)
        letters[
            home if letter.equipment_id is None else partitioning.of_equipment.get(letter.equipment_id, home)
        ].append(letter)
    sequences: defaultdict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for equipment, mark in record.sequences.items():
        sequences[partitioning.of_equipment.get(equipment, 0)][equipment] = mark
    waveforms, cycles = _parcels(record.waveforms, record, partitioning), _parcels(record.cycles, record, partitioning)
    places = set(batches) | set(ticks) | set(events) | set(letters) | set(sequences) | set(waveforms) | set(cycles)
    main = max(batches, key=lambda place: len(batches[place])) if batches else min(places, default=0)
    counts = _counts(record, {place: len(batch) for place, batch in batches.items()}, letters, waveforms, cycles, main)
    nothing = TelemetryBatch.empty(record.batch.received_at)
    return {
        place: StreamRecord(
            batches.get(place, nothing),
            tuple(ticks.get(place, ())),
            tuple(events.get(place, ())),
            tuple(letters.get(place, ())),
            counts.get(place, {}),
            sequences.get(place, {}),
            tuple(waveforms.get(place, ())),
            tuple(cycles.get(place, ())),
        )
        for place in sorted(places | {main})
    }


def _parcels(
    parcels: Sequence[_Parcel], record: StreamRecord, partitioning: Partitioning
) -> Mapping[int, Sequence[_Parcel]]:
    """By partition, each behind as many readings of its partition as stood before it."""
    found: defaultdict[int, list[_Parcel]] = defaultdict(list)
    for parcel in parcels:
        place = partitioning.of_equipment.get(parcel.equipment_id, 0)
        before = record.batch.point_id[: parcel.after]
        mine = partitioning.of_point[np.where(before < len(partitioning.of_point), before, 0)] == place
        found[place].append(replace(parcel, after=int(np.count_nonzero(mine))))
    return found


def _batches(batch: TelemetryBatch, partitioning: Partitioning) -> dict[int, TelemetryBatch]:
    if not len(batch):
        return {}
    known = partitioning.of_point
    point: NDArray[Any] = np.where(batch.point_id < len(known), batch.point_id, 0)
    place = known[point]
    first = int(place[0])
    if (place == first).all():
        return {first: batch}
    order = np.argsort(place, kind="stable")
    sorted_place = place[order]
    starts = np.flatnonzero(np.r_[True, sorted_place[1:] != sorted_place[:-1]])
    ends = np.r_[starts[1:], len(order)]
    return {
        int(sorted_place[start]): batch.take(order[start:end])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    }


def _counts(
    record: StreamRecord,
    readings: Mapping[int, int],
    letters: Mapping[int, Sequence[DeadLetter]],
    waveforms: Mapping[int, Sequence[Waveform]],
    cycles: Mapping[int, Sequence[CycleRecord]],
    main: int,
) -> dict[int, dict[str, int]]:
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for place, n in readings.items():
        counts[place].update({"ingest.readings": n, "ingest.accepted": n})
    for name, parcels in (("ingest.waveforms", waveforms), ("ingest.cycles", cycles)):
        for place, some in parcels.items():
            counts[place].update({"ingest.readings": len(some), name: len(some)})
    for place, mine in letters.items():
        for letter in mine:
            counts[place].update(
                {"ingest.readings": letter.readings, f"ingest.refused.{letter.reason}": letter.readings}
            )
    own: Counter[str] = sum(counts.values(), Counter())
    if any(record.counts.get(name, 0) < n for name, n in own.items()):
        return {main: dict(record.counts)}  # counted with another record: nothing to share out
    rest = Counter(record.counts)
    rest.subtract(own)
    counts[main].update(rest)
    return {place: {name: n for name, n in mine.items() if n} for place, mine in counts.items()}


def merge(records: Sequence[StreamRecord]) -> StreamRecord:
    """Consecutive records of one partition as one; ticks stand after all readings, in their order."""
    if len(records) == 1:
        return records[0]
    counts: Counter[str] = Counter()
    sequences: dict[int, tuple[int, int]] = {}
    for record in records:
        counts.update(record.counts)
        sequences.update(record.sequences)
    waveforms: list[Waveform] = []
    cycles: list[CycleRecord] = []
    before = 0
    for record in records:
        waveforms += [replace(w, after=w.after + before) for w in record.waveforms]
        cycles += [replace(c, after=c.after + before) for c in record.cycles]
        before += len(record.batch)
    full = [record.batch for record in records if len(record.batch)]
    received_at = records[-1].batch.received_at
    return StreamRecord(
        TelemetryBatch.concatenate(full, received_at),
        tuple(tick for record in records for tick in record.ticks),
        tuple(event for record in records for event in record.events),
        tuple(letter for record in records for letter in record.dead_letters),
        dict(counts),
        sequences,
        tuple(waveforms),
        tuple(cycles),
    )


MAX_SAMPLE_BYTES = 2 * 1024 * 1024
"""Of waveforms in records that are put together: half of what a message may hold is left for the last one."""


def mergeable(records: Sequence[StreamRecord], readings: int, most: int, *, across_ticks: bool = False) -> bool:
    """Whether another record of ``readings`` readings may be put behind ``records``.

    ``across_ticks``: who writes the log may let a tick wait behind readings that came a moment after it, as ingest does
    within a record; who reads it may not, since the log has said what came first.
    """
    if not records:
        return True
    if sum(w.samples.nbytes for r in records for w in r.waveforms) > MAX_SAMPLE_BYTES:
        return False
    if records[-1].ticks and not across_ticks:
        return False
    return sum(len(r.batch) for r in records) + readings <= most
