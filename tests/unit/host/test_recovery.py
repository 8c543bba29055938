"""The embedded host on a table in memory: what a crash at any moment leaves is enough to go on as if nothing was."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from core.condition import ConditionTransition
from core.errors import InvalidInputError
from core.outcome import CommitUnit
from core.ports import CommitReport, StreamPosition
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord
from formats.record import BinaryRecordCodec
from stream_processors.checkpoint import MAGIC, unpack
from stream_processors.embedded import EmbeddedSink
from stream_processors.pipeline import Processor
from tests.unit.pipeline.world import Reading, of, pump, record


class Table:
    """What the database holds of a stream."""

    def __init__(self) -> None:
        self.epoch = self.next = 0
        self.snapshot: tuple[int, bytes] = (-1, b"")
        self.journal: dict[int, bytes] = {}
        self.said: list[ConditionTransition] = []


class TableWriter:
    """A writer of that table, as :class:`core.ports.WriterPort` wants it."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def acquire(self, stream: str) -> StreamPosition:
        table = self.table
        table.epoch += 1
        place, state = table.snapshot
        journal = sorted(table.journal.items())
        return StreamPosition(stream, table.epoch, table.next, state or None, place, journal)

    def commit(self, units: Sequence[CommitUnit]) -> CommitReport:
        table = self.table
        for unit in units:
            assert unit.offset == table.next
            assert unit.epoch == table.epoch
            table.next += 1
            table.said += unit.outcome.transitions
            assert unit.journal is not None
            table.journal[unit.offset] = unit.journal
            if unit.snapshot is not None:
                table.snapshot = (unit.offset, unit.snapshot)
                table.journal = {}
        return CommitReport(sum(len(unit.record.batch) for unit in units), 0, 0)

    def flush_latest(self) -> None: ...

    def close(self) -> None: ...


class Life:
    """The host from start to crash."""

    def __init__(self, table: Table, registry: RegistrySnapshot) -> None:
        self.table, self.registry = table, registry
        self.sink = EmbeddedSink(TableWriter(table), Processor, BinaryRecordCodec(), snapshot_seconds=3600)
        self.resumed = self.sink.start(registry, lambda handles: None, lambda error: None)

    def __call__(self, readings: Sequence[Reading], *, sequences: Mapping[int, tuple[int, int]] | None = None) -> None:
        self.give(replace(record(self.registry, readings), sequences=sequences or {}))

    def give(self, one: StreamRecord) -> None:
        before = self.table.next
        self.sink.submit(one, ())
        deadline = time.monotonic() + 10
        while self.table.next == before and time.monotonic() < deadline:
            time.sleep(0.001)

    def adopt(self, registry: RegistrySnapshot) -> None:
        self.registry = registry
        self.sink.reconfigure(registry)

    def crash(self) -> None:
        self.sink.abandon()
        self.sink._committer.join()


def conditions(table: Table, condition: str) -> list[str]:
    return [t.change.value for t in table.said if t.condition == condition]


def with_limit(registry: RegistrySnapshot, value: float) -> RegistrySnapshot:
    """The same fleet, and a pump whose trip limit is ``value``."""
    old = registry.types["pump"]
    limits = tuple(replace(limit, value=value) if limit.key == "trip" else limit for limit in old.limits)
    return replace(registry, version=registry.version + 1, types={"pump": replace(old, limits=limits)})


TRIP = "pump/pressure/trip"


def test_the_journal_is_stepped_through_with_the_types_of_then() -> None:
    """Raised by the old limit and stored; the crash comes before the new limit is known. It must be cleared."""
    table, old = Table(), of(pump("0 s"))
    life = Life(table, old)
    life([(1, "pressure", 0.0, 5.0)])
    life([(1, "pressure", 1.0, 25.0)])
    life.crash()
    assert conditions(table, TRIP) == ["raised"]
    life = Life(table, with_limit(old, 60.0))
    life([(1, "pressure", 2.0, 5.0)])
    life.crash()
    assert conditions(table, TRIP) == ["raised", "cleared"]


def test_after_a_change_of_types_the_first_record_brings_a_snapshot() -> None:
    table, old = Table(), of(pump("0 s"))
    life = Life(table, old)
    life([(1, "pressure", 0.0, 5.0)])
    life([(1, "pressure", 1.0, 25.0)])
    assert len(table.journal) == 1
    life.adopt(with_limit(old, 60.0))
    life([(1, "pressure", 2.0, 30.0)])
    assert not table.journal
    basis = unpack(table.snapshot[1]).basis
    assert basis is not None
    assert basis.types == life.registry.types
    life.crash()


def test_equipment_added_since_the_snapshot_keeps_what_it_did() -> None:
    table, small = Table(), of(pump("0 s"))
    large = replace(of(pump("0 s"), each=2), version=2)
    life = Life(table, small)
    life([(1, "pressure", 0.0, 5.0)])
    life.adopt(large)
    life([(2, "pressure", 1.0, 5.0)])
    life([(2, "pressure", 2.0, 25.0)])
    assert table.journal
    life.crash()
    life = Life(table, replace(with_limit(large, 60.0), version=3))
    life([(2, "pressure", 3.0, 5.0)])
    life.crash()
    assert [t.equipment_id for t in table.said if t.condition == TRIP] == [2, 2]
    assert conditions(table, TRIP) == ["raised", "cleared"]


def test_the_numbering_of_devices_outlives_a_crash() -> None:
    table, registry = Table(), of(pump("0 s"))
    life = Life(table, registry)
    life([(1, "pressure", 0.0, 5.0)], sequences={1: (7, 70), 2: (1, 10)})
    life([(1, "pressure", 1.0, 5.0)], sequences={1: (8, 80)})
    life.crash()
    assert Life(table, registry).resumed.sequences == {1: (8, 80), 2: (1, 10)}


def test_a_snapshot_of_before_checkpoints_is_read() -> None:
    """Bare processor state, as the first versions kept it."""
    registry = of(pump("0 s"))
    processor = Processor(registry)
    processor.step(record(registry, [(1, "pressure", 0.0, 5.0)]))
    table = Table()
    table.next, table.snapshot = 1, (0, processor.snapshot())
    life = Life(table, registry)
    life([(1, "pressure", 1.0, 25.0)])
    life.crash()
    assert conditions(table, TRIP) == ["raised"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (MAGIC + b"\x63rest", "version 99"),
        (MAGIC + b"\x01rest", "damaged"),
        (b"rest", "does not begin"),
        (MAGIC, "does not begin"),
    ],
)
def test_what_cannot_be_read_is_refused_and_left_as_it_is(data: bytes, what: str) -> None:
    table = Table()
    table.next, table.snapshot = 5, (4, data)
    with pytest.raises(InvalidInputError, match=what) as refusal:
        Life(table, of(pump("0 s")))
    assert refusal.value.hint
    assert (table.next, table.snapshot) == (5, (4, data))
