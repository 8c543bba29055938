"""A worker's partitions on a table in memory: the database says where a record belongs, whatever Kafka delivers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from core.errors import FencedError
from core.outcome import CommitUnit
from core.ports import CommitReport, StreamPosition
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, Tick
from formats.record import BinaryRecordCodec
from stream_processors.kafka.host import PartitionHost, Place, Poison, stream_name
from stream_processors.kafka.partitions import partition_of
from stream_processors.pipeline import Processor
from tests.unit.pipeline.world import Reading, of, pump, record

REGISTRY = of(pump("0 s"))
ENTRY = next(iter(REGISTRY.equipment.values()))
MINE = partition_of(REGISTRY.tenants[ENTRY.tenant_id].slug, ENTRY.key)
CODEC = BinaryRecordCodec()


class Table:
    """What the database holds, and a writer on it."""

    def __init__(self) -> None:
        self.epochs: dict[str, int] = {}
        self.next: dict[str, int] = {}
        self.snapshots: dict[str, tuple[int, bytes]] = {}
        self.units: list[CommitUnit] = []
        self.left: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def acquire(self, stream: str) -> StreamPosition:
        return self.acquire_all([stream])[0]

    def acquire_all(self, streams: Sequence[str]) -> list[StreamPosition]:
        found = []
        for stream in streams:
            self.epochs[stream] = self.epochs.get(stream, 0) + 1
            place, state = self.snapshots.get(stream, (-1, b""))
            found.append(
                StreamPosition(stream, self.epochs[stream], self.next.get(stream, 0), state or None, place, ())
            )
        return found

    def commit(self, units: Sequence[CommitUnit]) -> CommitReport:
        self.gate.wait(10)
        for unit in units:
            if unit.epoch != self.epochs[unit.stream]:
                raise FencedError("taken", stream=unit.stream)
        for unit in units:
            assert unit.offset == self.next.get(unit.stream, 0)
            self.next[unit.stream] = unit.end
            if unit.snapshot is not None:
                self.snapshots[unit.stream] = (unit.end - 1, unit.snapshot)
            self.units.append(unit)
        return CommitReport(sum(len(unit.record.batch) for unit in units), 0, 0)

    def leave(self, stream: str) -> None:
        self.left.append(stream)

    def flush_latest(self) -> None: ...

    def close(self) -> None: ...

    def said(self, condition: str) -> list[str]:
        return [t.change.value for u in self.units for t in u.outcome.transitions if t.condition == condition]


class Registry:
    def __init__(self, snapshot: RegistrySnapshot) -> None:
        self.snapshot = snapshot

    def version(self) -> int:
        return self.snapshot.version

    def load(self) -> RegistrySnapshot:
        return self.snapshot

    def register_unknown(self, *_: Any) -> None: ...

    def register_points(self, *_: Any) -> None: ...


class Worker:
    def __init__(
        self, table: Table, processor: Any = Processor, registry: Registry | None = None, **options: Any
    ) -> None:
        self.lost: list[int] = []
        self.poison: list[Poison] = []
        self.failures: list[BaseException] = []
        options = {"snapshot_seconds": 3600.0} | options
        self.host = PartitionHost(
            table,
            processor,
            CODEC,
            registry or Registry(REGISTRY),
            topic="t",
            lost=self.lost.append,
            failed=self.failures.append,
            poison=self.poison.append,
            **options,
        )
        self.host.start()
        self.host.acquire([MINE])

    def give(self, offset: int, one: StreamRecord | bytes) -> Place:
        data = one if isinstance(one, bytes) else CODEC.encode(one)
        return self.host.arrived(MINE, offset, data, REGISTRY.version)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def start(table: Table) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(**options: Any) -> Worker:
        made.append(Worker(table, **options))
        return made[-1]

    yield make
    for worker in made:
        worker.host.abandon()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def committed(table: Table, upto: int) -> bool:
    return table.next.get(NAME) == upto


def readings(second: float, value: float) -> StreamRecord:
    one: list[Reading] = [(1, "pressure", second, value)]
    return record(REGISTRY, one)


TRIP = "pump/pressure/trip"
NAME = stream_name(MINE)


def test_only_the_next_record_is_taken(table: Table, start: Callable[..., Worker]) -> None:
    worker = start()
    assert worker.give(1, readings(1, 5)) is Place.ABOVE
    assert worker.give(0, readings(0, 5)) is Place.TAKEN
    assert worker.give(0, readings(0, 5)) is Place.BELOW
    assert worker.host.arrived((MINE + 1) % 64, 0, b"", 0) is Place.NOBODYS
    assert worker.give(1, readings(1, 5)) is Place.TAKEN
    until(lambda: table.next.get(NAME) == 2)
    assert worker.host.next_offset(MINE) == 2


def test_what_piles_up_is_stepped_together_and_takes_as_many_places(table: Table, start: Callable[..., Worker]) -> None:
    worker = start()
    table.gate.clear()
    for offset in range(300):
        assert worker.give(offset, readings(offset, 5)) is Place.TAKEN
    table.gate.set()
    until(lambda: table.next.get(NAME) == 300)
    assert sum(unit.span for unit in table.units) == 300
    assert len(table.units) < 300
    assert sum(len(unit.record.batch) for unit in table.units) == 300


def test_another_worker_goes_on_exactly(table: Table, start: Callable[..., Worker]) -> None:
    """Raised before, cleared after: the second one has stepped through what the first had committed, silently."""
    first = start()
    for offset, value in enumerate((5, 25, 25)):
        first.give(offset, readings(offset, value))
        until(partial(committed, table, offset + 1))
    second = start()
    assert second.host.next_offset(MINE) == 1  # the first took a checkpoint with its first record
    assert second.host.first_uncommitted(MINE) == 3
    for offset, value in enumerate((25, 25, 5, 5), 1):
        second.give(offset, readings(offset, value))
    until(lambda: table.next.get(NAME) == 5)
    assert table.said(TRIP) == ["raised", "cleared"]


def test_who_was_fenced_out_writes_nothing_more_and_says_so(table: Table, start: Callable[..., Worker]) -> None:
    first = start()
    first.give(0, readings(0, 5))
    until(lambda: table.next.get(NAME) == 1)
    start()
    first.give(1, readings(1, 5))
    until(lambda: first.lost == [MINE])
    assert first.host.partitions == []
    assert first.failures == []
    assert table.next[NAME] == 1


def test_given_back_it_leaves_a_checkpoint_behind_and_takes_no_place(
    table: Table, start: Callable[..., Worker]
) -> None:
    worker = start()
    for offset in range(5):
        worker.give(offset, readings(offset, 5))
    until(lambda: table.next.get(NAME) == 5)
    assert worker.host.release([MINE])
    assert table.snapshots[NAME][0] == 4
    assert table.next[NAME] == 5
    assert table.left == [NAME]
    assert start().host.next_offset(MINE) == 5


def test_a_damaged_record_is_put_aside_and_the_next_goes_through(table: Table, start: Callable[..., Worker]) -> None:
    worker = start()
    worker.give(0, b"no record")
    worker.give(1, readings(1, 5))
    until(lambda: table.next.get(NAME) == 2)
    letters = [letter for unit in table.units for letter in unit.record.dead_letters]
    assert [letter.reason for letter in letters] == ["damaged-record"]
    assert [(poison.offset, poison.data) for poison in worker.poison] == [(0, b"no record")]


class Fragile(Processor):
    """Raises at one value, and only alone would it be known which."""

    def step(self, record: StreamRecord) -> Any:
        if (record.batch.value == 13.0).any():
            raise ValueError("a defect")
        return super().step(record)


def test_what_the_core_cannot_take_is_put_aside_alone(table: Table, start: Callable[..., Worker]) -> None:
    worker = start(processor=Fragile)
    records = [readings(n, 13.0 if n == 2 else 5.0) for n in range(6)]
    deadline = time.monotonic() + 20
    while table.next.get(NAME, 0) < 6 and time.monotonic() < deadline:
        if worker.lost:
            worker.lost.clear()
            worker.host.acquire([MINE])
        offset = worker.host.next_offset(MINE)
        if offset is not None and offset < 6:
            worker.give(offset, records[offset])
        time.sleep(0.005)
    stored = [float(v) for unit in table.units for v in unit.record.batch.value]
    assert stored == [5.0] * 5
    letters = [letter for unit in table.units for letter in unit.record.dead_letters]
    assert [letter.reason for letter in letters] == ["internal-error"]


def test_ticks_that_go_back_are_dropped(table: Table, start: Callable[..., Worker]) -> None:
    worker = start()
    tenant = ENTRY.tenant_id
    for offset, at in enumerate((10, 20, 15, 20, 30)):
        worker.give(offset, StreamRecord(readings(offset, 5).batch, (Tick(tenant, at * 1_000_000),)))
    until(lambda: table.next.get(NAME) == 5)
    assert [t.at // 1_000_000 for unit in table.units for t in unit.record.ticks] == [10, 20, 30]


def test_a_record_named_by_a_newer_registry_waits_until_that_is_known(
    table: Table, start: Callable[..., Worker]
) -> None:
    """The machine was registered a second ago, and its first reading is over the limit."""
    known = replace(REGISTRY, version=REGISTRY.version, equipment={})
    registry = Registry(known)
    worker = start(registry=registry)
    registry.snapshot = replace(REGISTRY, version=REGISTRY.version + 1)
    data = CODEC.encode(readings(0, 25))
    assert worker.host.arrived(MINE, 0, data, REGISTRY.version + 1) is Place.TAKEN
    assert worker.host.arrived(MINE, 1, CODEC.encode(readings(5, 25)), REGISTRY.version + 1) is Place.TAKEN
    until(lambda: committed(table, 2))
    assert table.said(TRIP) == ["raised"]
