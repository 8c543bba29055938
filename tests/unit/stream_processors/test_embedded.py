"""The embedded host: what fails is tried again, what is poison is put aside, what was committed is not done twice."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from core.errors import FencedError, UnavailableError
from core.outcome import CommitUnit, Outcome
from core.ports import CommitReport, StreamPosition
from core.registry import RegistrySnapshot
from core.telemetry import EventRecord, StreamRecord, TelemetryBatch
from formats.record import BinaryRecordCodec
from ingest.ledger import Handle
from stream_processors import commits
from stream_processors.checkpoint import Basis, Packer, unpack
from stream_processors.embedded import EmbeddedSink

REGISTRY = RegistrySnapshot(1, {}, {}, {})


def record(value: float = 1.0, events: tuple[EventRecord, ...] = ()) -> StreamRecord:
    one = TelemetryBatch(np.array([1], np.int32), np.array([5]), np.array([value]), np.array([192], np.uint8), 9)
    return StreamRecord(one, events=events)


class Adder:
    """A processor whose state is the sum of what it saw."""

    def __init__(self, registry: RegistrySnapshot) -> None:
        self.sum = 0.0
        self.ticks: dict[int, int] = {}
        self.registries = [registry.version]

    def step(self, record: StreamRecord) -> Outcome:
        self.sum += float(record.batch.value.sum())
        return Outcome(record.batch, TelemetryBatch.empty())

    def snapshot(self) -> bytes:
        return str(self.sum).encode()

    @classmethod
    def restore(cls, data: bytes, registry: RegistrySnapshot) -> Adder:
        made = cls(registry)
        made.sum = float(data)
        return made

    def reconfigure(self, registry: RegistrySnapshot) -> None:
        self.registries.append(registry.version)


class Store:
    """A writer that keeps units in a list; ``trouble`` is asked before each commit."""

    def __init__(self, trouble: Callable[[Sequence[CommitUnit]], None] | None = None) -> None:
        self.units: list[CommitUnit] = []
        self.commits = 0
        self.closed = False
        self.trouble = trouble
        self.position = StreamPosition("embedded", 1, 0, None, -1, ())

    def acquire(self, stream: str) -> StreamPosition:
        return self.position

    def commit(self, units: Sequence[CommitUnit]) -> CommitReport:
        if self.trouble is not None:
            self.trouble(units)
        self.units += [unit for unit in units if unit.offset >= len(self.units) + self.position.next_offset]
        self.commits += 1
        return CommitReport(sum(len(unit.record.batch) for unit in units), 0, 0)

    def flush_latest(self) -> None: ...

    def close(self) -> None:
        self.closed = True


class Host:
    """A sink, what it called durable, and what it failed with."""

    def __init__(self, store: Store, **options: Any) -> None:
        self.store = store
        self.durable: list[Handle] = []
        self.failure: BaseException | None = None
        self.sink = EmbeddedSink(store, Adder, BinaryRecordCodec(), **options)
        self.sink.start(REGISTRY, self.durable.extend, self._fail)

    def _fail(self, error: BaseException) -> None:
        self.failure = error

    def submit(self, *records: StreamRecord) -> list[Handle]:
        handles: list[Handle] = []
        for one in records:
            handles.append(Handle(1, len(handles) + 1, 1, 10))
            self.sink.submit(one, [handles[-1]])
        return handles


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "LONGEST_BACKOFF", 0.01)


def states(host: Host) -> list[bytes | None]:
    """The processor's states in the snapshots that were committed."""
    return [None if unit.snapshot is None else unpack(unit.snapshot).state for unit in host.store.units]


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


def test_records_are_committed_in_order_and_then_their_messages_are_durable() -> None:
    host = Host(Store())
    handles = host.submit(*(record(n) for n in range(20)))
    assert host.sink.close(5)
    assert host.durable == handles
    assert [unit.offset for unit in host.store.units] == list(range(21))
    assert host.store.closed


def test_many_units_share_a_commit() -> None:
    gate = threading.Event()

    def wait(units: Sequence[CommitUnit]) -> None:
        gate.wait(5)

    host = Host(Store(wait))
    host.submit(*(record(n) for n in range(17)))
    gate.set()
    host.sink.close(5)
    assert host.store.commits < 6


def test_the_last_unit_carries_a_snapshot() -> None:
    host = Host(Store())
    host.submit(record(2), record(3))
    host.sink.close(5)
    assert states(host)[-1] == b"5.0"


def test_snapshots_come_at_their_pace() -> None:
    host = Host(Store(), snapshot_seconds=0.0)
    host.submit(record(2), record(3))
    host.sink.close(5)
    assert (states(host)[0], states(host)[-1]) == (b"2.0", b"5.0")


def test_a_database_that_is_away_is_waited_for() -> None:
    left = [3]

    def away(units: Sequence[CommitUnit]) -> None:
        if left[0]:
            left[0] -= 1
            raise UnavailableError("away")

    host = Host(Store(away))
    handles = host.submit(record(), record())
    assert host.sink.close(5)
    assert host.durable == handles


def test_nothing_is_durable_while_it_is_away_and_the_queue_holds_the_rest_back() -> None:
    def away(units: Sequence[CommitUnit]) -> None:
        raise UnavailableError("away")

    host = Host(Store(away))
    given = []

    def give() -> None:
        with contextlib.suppress(commits.ServiceEndedError):
            while True:
                host.sink.submit(record(), [])
                given.append(1)

    thread = threading.Thread(target=give)
    thread.start()
    time.sleep(0.5)
    before = len(given)
    time.sleep(0.3)
    assert len(given) == before <= commits.MAX_QUEUED + commits.GROUP_UNITS
    assert not host.durable
    host.sink.abandon()
    thread.join(5)
    assert not thread.is_alive()
    assert not host.sink.close(1)


def test_who_is_fenced_stops_for_good() -> None:
    def fenced(units: Sequence[CommitUnit]) -> None:
        raise FencedError("taken over")

    host = Host(Store(fenced))
    host.submit(record())
    until(lambda: host.failure)
    assert isinstance(host.failure, FencedError)
    assert not host.durable
    with pytest.raises(commits.ServiceEndedError):
        host.submit(record())
    assert not host.sink.close(1)


def test_an_event_that_the_database_refuses_becomes_a_dead_letter_and_blocks_nobody() -> None:
    def poison(units: Sequence[CommitUnit]) -> None:
        if any(event.kind == "poison" for unit in units for event in unit.record.events):
            raise ValueError("no such character")

    host = Host(Store(poison))
    handles = host.submit(record(1), record(2, (EventRecord(7, "poison", 5, {"a": 1}),)), record(3))
    assert host.sink.close(10)
    assert host.durable == handles
    (letter,) = host.store.units[1].record.dead_letters
    assert (letter.reason, letter.equipment_id) == ("unstorable", 7)
    assert [float(unit.record.batch.value.sum()) for unit in host.store.units[:3]] == [1, 2, 3]


def test_a_record_that_the_database_refuses_altogether_is_kept_whole() -> None:
    def poison(units: Sequence[CommitUnit]) -> None:
        if any(2.0 in unit.record.batch.value for unit in units):
            raise ValueError("never")

    host = Host(Store(poison))
    handles = host.submit(record(1), record(2), record(3))
    assert host.sink.close(10)
    assert host.durable == handles
    (letter,) = host.store.units[1].record.dead_letters
    assert BinaryRecordCodec().decode(letter.payload).batch.value.tolist() == [2.0]
    assert letter.readings == 1


def test_recovery_is_the_snapshot_and_the_journal_behind_it() -> None:
    store, codec = Store(), BinaryRecordCodec()
    packer = Packer()
    packer.use(Basis.of(REGISTRY))
    snapshot = packer.pack(b"100.0", {})
    journal = ((3, codec.encode(record(10))), (4, codec.encode(record(20))))
    store.position = StreamPosition("embedded", 6, 5, snapshot, 2, journal)
    host = Host(store)
    host.submit(record(1))
    host.sink.close(5)
    first, last = store.units[0], store.units[-1]
    assert (first.epoch, first.offset) == (6, 5)
    assert last.snapshot is not None
    assert unpack(last.snapshot).state == b"131.0"


def test_the_registry_changes_between_records() -> None:
    host = Host(Store())
    host.submit(record())
    host.sink.reconfigure(RegistrySnapshot(7, {}, {}, {}))
    processor = host.sink._core and host.sink._core.processor
    assert isinstance(processor, Adder)
    assert processor.registries == [1, 7]
    host.sink.close(5)
