"""Parcels in the cluster's log: each with its equipment, behind the same readings, in records that Kafka takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.parcels import Channel, CycleRecord, Waveform
from core.telemetry import StreamRecord
from formats.record import BinaryRecordCodec
from stream_processors.kafka.partitions import Partitioning, merge, mergeable, split
from stream_processors.kafka.sink import encoded
from tests.unit.kafka.test_partitions import EQUIPMENT, record, registry

RNG = np.random.default_rng(3)


def waveform(equipment: int, after: int, n: int = 1_000) -> Waveform:
    samples = RNG.normal(size=(1, n)).astype(np.float32)
    return Waveform(equipment, 5, 1_000.0, (Channel("a", "m/s2"),), samples, after=after)


def whole() -> StreamRecord:
    cycles = tuple(CycleRecord(1 + n % EQUIPMENT, "stroke", "d", n, n + 1, {"x": n}, n) for n in range(0, 500, 9))
    waveforms = tuple(waveform(1 + n % EQUIPMENT, n) for n in range(0, 500, 50))
    one = record()
    counts = dict(one.counts)
    counts |= {"ingest.cycles": len(cycles), "ingest.waveforms": len(waveforms)}
    counts["ingest.readings"] += len(cycles) + len(waveforms)
    return replace(one, cycles=cycles, waveforms=waveforms, counts=counts)


def test_each_goes_with_its_equipment_behind_the_same_readings() -> None:
    one, partitioning = whole(), Partitioning(registry())
    parts = split(one, partitioning)
    assert sum(len(p.cycles) for p in parts.values()) == len(one.cycles)
    for place, part in parts.items():
        parcels: list[CycleRecord | Waveform] = [*part.cycles, *part.waveforms]
        for parcel in parcels:
            assert partitioning.of_equipment[parcel.equipment_id] == place
            all_of_them: list[CycleRecord | Waveform] = [*one.cycles, *one.waveforms]
            first = next(p for p in all_of_them if p.ts == parcel.ts and type(p) is type(parcel))
            if isinstance(parcel, CycleRecord):
                before = one.batch.ts[: first.after]
                assert set(part.batch.ts[: parcel.after].tolist()) <= set(before.tolist())
                assert not set(part.batch.ts[parcel.after :].tolist()) & set(before.tolist())
    for name, total in one.counts.items():
        assert sum(p.counts.get(name, 0) for p in parts.values()) == total


def test_put_together_they_stand_behind_what_came_before() -> None:
    first, second = whole(), whole()
    both = merge([replace(first, ticks=()), second])
    assert both.cycles[: len(first.cycles)] == first.cycles
    assert [c.after for c in both.cycles[len(first.cycles) :]] == [c.after + 500 for c in second.cycles]
    assert len(both.waveforms) == 20


def test_large_ones_do_not_pile_up() -> None:
    heavy = replace(record(), ticks=(), waveforms=tuple(waveform(1, 0, 300_000) for _ in range(2)))
    assert not mergeable([heavy], 1, 100_000)


def test_what_is_too_large_goes_in_several_without_changing_places() -> None:
    one, codec = whole(), BinaryRecordCodec()
    parts = [codec.decode(data) for data in encoded(one, codec, 20_000)]
    assert len(parts) > 2
    again = merge(parts)
    assert again.batch.ts.tolist() == one.batch.ts.tolist()
    assert again.cycles == one.cycles
    assert [(w.digest(), w.after) for w in again.waveforms] == [(w.digest(), w.after) for w in one.waveforms]
