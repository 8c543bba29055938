"""Told to stop, ingest is gone at once in every phase of its life; what it had not stored comes again."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import orjson
import pytest

from core.errors import UnavailableError
from core.outcome import CommitUnit
from core.ports import StreamPosition
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch
from formats.record import BinaryRecordCodec
from ingest.channel import Junction
from ingest.service import IngestService
from ingest.session import Inbound, MqttSettings
from ingest.told import StopSignal
from stream_processors.embedded import EmbeddedSink
from tests.unit.ingest.conftest import TOPIC, registry
from tests.unit.stream_processors.test_embedded import Adder, Store

AT_ONCE = 4.0
"""On a busy machine; else a tenth of it."""


def away(*_: object) -> NoReturn:
    raise UnavailableError("the database does not answer")


class Book:
    """A registry; ``load`` is what loading does."""

    def __init__(self, load: Callable[[], RegistrySnapshot] = registry) -> None:
        self.load = load

    def version(self) -> int:
        return registry().version

    def register_unknown(self, *_: object) -> None: ...

    def register_points(self, *_: object) -> None: ...


class Source:
    """A channel through which the test gives messages."""

    def open(self, junction: Junction, snapshot: RegistrySnapshot) -> None:
        self.junction = junction

    def give(self, count: int = 1, qos: int = 1) -> None:
        for number in range(count):
            now = time.time_ns() // 1_000
            payload = orjson.dumps({"ts": now // 1_000 - number, "values": {"pressure": 1.5}})
            handle = self.junction.ledger.received(number + 1, qos, len(payload))
            self.junction.deliver(Inbound(TOPIC, payload, now, handle))

    def take(self, message: object) -> None: ...

    def passed(self, now: int) -> None: ...

    def adopt(self, snapshot: RegistrySnapshot) -> None: ...

    def stop_reading(self) -> None: ...

    def stop(self, timeout: float) -> None: ...

    def metrics(self) -> dict[str, Any]:
        return {}


class Ingest:
    """A service over fakes, started as a process starts it. The broker's port answers nobody, unless given."""

    def __init__(self, *, book: Book | None = None, store: Store | None = None, processor: Any = Adder, port: int = 1):
        self.source = Source()
        self.store = store or Store()
        sink = EmbeddedSink(self.store, processor, BinaryRecordCodec())
        self.service = IngestService(
            MqttSettings(port=port), book or Book(), sink, channels=[self.source], registry_interval=60.0
        )
        self.serves: bool | None = None
        self.thread = threading.Thread(target=self._start, daemon=True)
        self.thread.start()

    def _start(self) -> None:
        self.serves = self.service.start()

    def until_it_serves(self) -> Ingest:
        self.thread.join(20)
        assert self.serves
        return self

    def stop(self, timeout: float = 0.4) -> tuple[bool, float]:
        """Whether nothing is lost, and how long it took."""
        began = time.monotonic()
        kept = self.service.stop(timeout)
        return kept, time.monotonic() - began


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_at_the_start_while_the_database_is_away() -> None:
    ingest = Ingest(book=Book(away))
    time.sleep(0.05)
    kept, took = ingest.stop()
    assert kept
    assert took < AT_ONCE
    ingest.thread.join(20)
    assert ingest.serves is False


def test_at_the_start_while_the_database_answers_nothing() -> None:
    answer = threading.Event()
    ingest = Ingest(book=Book(lambda: registry() if answer.wait(10) else away()))
    kept, took = ingest.stop()
    assert kept
    assert took < AT_ONCE
    answer.set()  # it answers after all: nothing begins any more
    ingest.thread.join(20)
    assert ingest.serves is False


def test_while_it_waits_for_its_stream() -> None:
    class Elsewhere(Store):
        def acquire(self, stream: str) -> StreamPosition:
            away()

    ingest = Ingest(store=Elsewhere())
    time.sleep(0.05)
    kept, took = ingest.stop()
    assert kept
    assert took < AT_ONCE
    ingest.thread.join(20)
    assert ingest.serves is False


def test_while_it_recovers() -> None:
    class Slow(Adder):
        steps = 0

        def step(self, record: StreamRecord) -> Any:
            Slow.steps += 1
            time.sleep(0.02)
            return super().step(record)

    journal = [(n, BinaryRecordCodec().encode(StreamRecord(TelemetryBatch.empty(n)))) for n in range(1_000)]
    store = Store()
    store.position = StreamPosition("embedded", 1, 1_000, None, -1, journal)
    ingest = Ingest(store=store, processor=Slow)
    until(lambda: Slow.steps > 3)
    kept, took = ingest.stop()
    assert kept
    assert took < AT_ONCE
    ingest.thread.join(20)
    assert ingest.serves is False
    assert Slow.steps < 900


def test_while_the_broker_refuses_connections() -> None:
    ingest = Ingest().until_it_serves()
    ingest.source.give(3)
    kept, took = ingest.stop()
    assert kept
    assert took < AT_ONCE
    assert sum(len(unit.record.batch) for unit in ingest.store.units) == 3  # what was taken before is stored


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a broker that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_while_the_broker_answers_nothing(silent: int) -> None:
    ingest = Ingest(port=silent).until_it_serves()
    time.sleep(0.1)
    kept, took = ingest.stop()
    assert kept
    assert took < AT_ONCE


def test_while_the_database_is_away_what_was_sent_at_qos_1_comes_again() -> None:
    ingest = Ingest(store=Store(away)).until_it_serves()
    ingest.source.give(5)
    time.sleep(0.2)
    kept, took = ingest.stop()
    assert kept
    assert took < 0.4 + 1.5 + AT_ONCE
    assert ingest.service.metrics()["ledger"]["acknowledged"] == 0


def test_while_the_database_is_away_what_was_sent_at_qos_0_is_lost_and_the_exit_says_so() -> None:
    ingest = Ingest(store=Store(away)).until_it_serves()
    ingest.source.give(5, qos=0)
    time.sleep(0.2)
    kept, _ = ingest.stop()
    assert not kept
    assert ingest.service.metrics()["ledger"]["unrepeatable"] == 5


def test_while_back_pressure_holds_everything_up() -> None:
    """The core waits for room in the writer's queue, and the inbox is full of messages behind it."""
    answer = threading.Event()

    def hangs(units: Sequence[CommitUnit]) -> None:
        answer.wait(20)

    ingest = Ingest(store=Store(hangs)).until_it_serves()
    for _ in range(60):
        ingest.source.give(20)
        time.sleep(0.01)
    began = time.monotonic()
    kept, _ = ingest.stop()
    assert kept
    assert time.monotonic() - began < 0.4 + 1.5 + AT_ONCE
    answer.set()


def test_a_full_inbox_is_given_back_and_what_was_taken_is_committed() -> None:
    ingest = Ingest().until_it_serves()
    ingest.source.give(30_000)
    kept, took = ingest.stop(0.3)
    assert kept
    assert took < 0.3 + 1.5 + AT_ONCE
    counts = ingest.service.metrics()["ledger"]
    assert counts["durable"] == sum(len(unit.record.batch) for unit in ingest.store.units)


def test_it_stops_before_it_starts() -> None:
    ingest = Ingest()
    assert ingest.service.stop(0.1)


# --- the signals themselves -----------------------------------------------------------------------------------------


def test_a_signal_ends_the_wait() -> None:
    with StopSignal().hold() as told:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        began = time.monotonic()
        assert told.wait(20)
        assert time.monotonic() - began < 5
        assert told.wait(20)  # and every one after it


def test_signals_at_any_moment_of_waiting_are_no_deadlock() -> None:
    """Thousands of them, while the main thread goes in and out of its wait as fast as it can."""
    with StopSignal().hold() as told:
        stop = threading.Event()

        def signals() -> None:
            while not stop.is_set():
                os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=signals, daemon=True)
        thread.start()
        for _ in range(3_000):
            told.wait(0.001)
            told.told = False
        stop.set()
        thread.join(5)


def test_the_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignal():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
