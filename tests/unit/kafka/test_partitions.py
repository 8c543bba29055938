"""Where records lie, and what of a record goes where: nothing is lost, doubled or counted twice by taking it apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import DeadLetter, EventRecord, StreamRecord, TelemetryBatch, Tick
from formats.record import BinaryRecordCodec
from stream_processors.kafka.partitions import Partitioning, merge, mergeable, partition_of, split
from stream_processors.kafka.sink import encoded
from stream_processors.kafka.topics import PARTITIONS, KafkaSettings, topics

EQUIPMENT = 40


def registry() -> RegistrySnapshot:
    tenants = {1: Tenant(1, "acme", "Acme"), 2: Tenant(2, "other", "Other")}
    equipment = {}
    for number in range(1, EQUIPMENT + 1):
        points = {f"p{n}": PointEntry(number * 3 + n, f"p{n}", "1") for n in range(3)}
        tenant = 1 if number < EQUIPMENT else 2
        equipment[number] = EquipmentEntry(number, tenant, f"m{number}", "", EquipmentStatus.APPROVED, points)
    return RegistrySnapshot(5, tenants, {}, equipment)


def record(n: int = 500, seed: int = 1) -> StreamRecord:
    rng = np.random.default_rng(seed)
    points = rng.integers(3, EQUIPMENT * 3 + 3, n).astype(np.int32)
    batch = TelemetryBatch(points, np.arange(n), rng.normal(size=n), np.full(n, 192, np.uint8), 7)
    letters = (
        DeadLetter("t", b"x", "not-json", "", 7, 1, None, 2),
        DeadLetter("t", b"y", "future", "", 7, 1, 3, 1),
        DeadLetter("t", b"z", "unknown-tenant", "", 7, None, None, 1),
    )
    counts = {
        "ingest.messages": 60,
        "ingest.readings": n + 4 + 1,
        "ingest.accepted": n,
        "ingest.refused.not-json": 2,
        "ingest.refused.future": 1,
        "ingest.refused.unknown-tenant": 1,
        "ingest.events": 1,
    }
    ticks = (Tick(1, 100), Tick(2, 100), Tick(9, 100))
    return StreamRecord(batch, ticks, (EventRecord(5, "started", 3, {}),), letters, counts, {5: (8, 3), 40: (1, 1)})


def test_an_equipment_lies_where_it_always_lay() -> None:
    """These numbers are for life: other ones would let an equipment's records overtake each other."""
    assert [partition_of("acme", f"press-{n}") for n in range(4)] == [4, 18, 40, 62]
    assert len({partition_of("acme", f"press-{n}") for n in range(2_000)}) == PARTITIONS


def test_taken_apart_everything_is_there_once() -> None:
    whole, partitioning = record(), Partitioning(registry())
    parts = split(whole, partitioning)
    rows = np.concatenate([part.batch.ts for part in parts.values()])
    assert sorted(rows.tolist()) == whole.batch.ts.tolist()
    for place, part in parts.items():
        assert set(partitioning.of_point[part.batch.point_id].tolist()) <= {place}
        assert (np.diff(part.batch.ts) > 0).all()  # the order of arrival stays
    assert sum(len(part.events) for part in parts.values()) == 1
    assert sum(len(part.dead_letters) for part in parts.values()) == 3
    assert {e: m for part in parts.values() for e, m in part.sequences.items()} == dict(whole.sequences)


def test_counters_add_up_to_what_they_were_and_each_part_balances() -> None:
    whole = record()
    parts = split(whole, Partitioning(registry()))
    total: Counter[str] = Counter()
    for part in parts.values():
        counts = part.counts
        refused = sum(n for name, n in counts.items() if name.startswith("ingest.refused."))
        assert counts.get("ingest.accepted", 0) == len(part.batch)
        assert refused == sum(letter.readings for letter in part.dead_letters)
        assert counts.get("ingest.readings", 0) == len(part.batch) + refused + counts.get("ingest.events", 0)
        total.update(counts)
    assert dict(total) == dict(whole.counts)


def test_a_tick_goes_wherever_its_tenant_has_equipment() -> None:
    parts = split(record(), Partitioning(registry()))
    places = {
        tenant: {p for p, part in parts.items() if any(t.tenant_id == tenant for t in part.ticks)}
        for tenant in (1, 2, 9)
    }
    assert places[1] == {partition_of("acme", f"m{n}") for n in range(1, EQUIPMENT)}
    assert places[2] == {partition_of("other", f"m{EQUIPMENT}")}
    assert places[9] == set()


def test_an_empty_record_still_goes_somewhere() -> None:
    """Its messages are to be acknowledged."""
    assert (
        len(split(StreamRecord(TelemetryBatch.empty(5), counts={"ingest.messages": 1}), Partitioning(registry()))) == 1
    )


def test_records_are_put_together_up_to_a_tick() -> None:
    first, second = record(10, 1), record(20, 2)
    assert not mergeable([first], 20, 5_000)  # a tick stands after the readings of its own record
    bare = StreamRecord(first.batch, counts={"a": 1}, sequences={1: (1, 1)})
    assert mergeable([bare], 20, 5_000)
    assert not mergeable([bare], 20, 29)
    both = merge([bare, second])
    assert len(both.batch) == 30
    assert both.ticks == second.ticks
    assert both.counts["a"] == 1


def test_who_writes_the_log_puts_records_together_across_ticks_too() -> None:
    """As ingest does within a record: a tick stands behind what came a moment after it, and in its own order."""
    first, second = record(10, 1), record(20, 2)
    assert mergeable([first], 20, 5_000, across_ticks=True)
    assert not mergeable([first], 20, 29, across_ticks=True)
    both = merge([first, second])
    assert both.ticks == (*first.ticks, *second.ticks)
    assert len(both.batch) == 30


def test_dead_letters_too_large_together_go_one_after_the_other() -> None:
    codec, rng = BinaryRecordCodec(), np.random.default_rng(3)
    letters = tuple(DeadLetter(f"t{n}", rng.bytes(4_000), "not-json", "", 7) for n in range(9))
    data = encoded(StreamRecord(record(50).batch, dead_letters=letters, counts={"a": 1}), codec, 12_000)
    assert all(len(one) <= 12_000 for one in data)
    parts = [codec.decode(one) for one in data]
    assert tuple(letter for part in parts for letter in part.dead_letters) == letters
    assert [len(part.batch) for part in parts[:-1]] == [0] * (len(parts) - 1)
    assert parts[-1].counts == {"a": 1}


def test_topics_are_data() -> None:
    assert len({topic.name for topic in topics()}) == len(topics())
    assert next(topic.partitions for topic in topics() if topic.name == "telemetry.v1") == PARTITIONS
    assert KafkaSettings(prefix="x").topic("alarms.v1") == "x.alarms.v1"


@pytest.mark.parametrize("partition", range(0, PARTITIONS, 9))
def test_a_partition_knows_its_own_equipment_only(partition: int) -> None:
    full = registry()
    mine = Partitioning(full).only(partition).equipment
    assert set(mine) == {
        n for n, e in full.equipment.items() if partition_of(full.tenants[e.tenant_id].slug, e.key) == partition
    }
