"""Core and writer on a real database: however the same readings are delivered, cut and interrupted, the tables are the
same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from core.outcome import CommitUnit
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch, Tick
from core.time import SECOND
from formats.record import BinaryRecordCodec
from models.types import from_document, to_document
from storage import admin
from storage.migrate import WRITER, migrate
from storage.registry import Registry
from storage.writer import Writer
from stream_processors.checkpoint import Basis, Packer, unpack
from stream_processors.pipeline import Processor
from tests.faults.fleet import FRAME, START, TENANT, Run, disturbed, point_ids, press

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.slow]

MACHINES, SECONDS = 3, 40
Frames = Sequence[tuple[int, int]]
MODEST = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Store:
    """A stream on a database that is emptied for each example; the same connection settings as in operation."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.writer_dsn = make_conninfo(dsn, user=WRITER, password="write")
        with ConnectionPool(self.writer_dsn, min_size=1, max_size=1, open=True) as pool:
            self.registry: RegistrySnapshot = Registry(pool, from_document).load()
        self.ids = point_ids(self.registry, MACHINES)

    def empty(self) -> None:
        with psycopg.connect(self.dsn) as connection:
            connection.execute("SET session_replication_role = replica")  # the journal of alarms is append-only
            for table in (
                "reading", "latest_reading", "event", "state_change", "health", "health_history", "outbox",
                "alarm_journal", "alarm", "condition_transition", "conservation",
                "stream_snapshot", "stream_journal", "stream_position",
            ):  # fmt: skip
                connection.execute(f"DELETE FROM servitize.{table}")

    def records(self, run: Run, frames: Frames, cuts: Sequence[int]) -> list[StreamRecord]:
        """Frames in this order, cut before these places; time passes as the newest second does."""
        tenant = next(t.id for t in self.registry.tenants.values() if t.slug == TENANT)
        places = [0, *sorted({min(cut, len(frames)) for cut in cuts}), len(frames)]
        made, told = [], -1
        for start, end in itertools.pairwise(places):
            part = frames[start:end]
            newest = max((second for second, _ in part), default=told)
            ticks = (Tick(tenant, START + newest * SECOND),) if newest > told else ()
            told = max(told, newest)
            made.append(StreamRecord(self.batch(run, part), ticks))
        ends = tuple(Tick(tenant, START + (SECONDS + extra) * SECOND) for extra in range(15))
        return [*made, StreamRecord(TelemetryBatch.empty(), ends)]

    def batch(self, run: Run, frames: Frames) -> TelemetryBatch:
        at = np.array(frames, np.int64).reshape(-1, 2)
        return TelemetryBatch(
            self.ids[at[:, 1]].ravel(),
            np.repeat(np.array([run.ts(*frame) for frame in frames], np.int64), FRAME),
            run.values[at[:, 0], at[:, 1]].ravel(),
            np.full(len(frames) * FRAME, 0xC0, np.uint8),
            START,
        )

    def store(
        self,
        records: Sequence[StreamRecord],
        dies: Callable[[int], bool],
        snapshots: Callable[[int], bool],
        together: Callable[[int], bool] = lambda place: False,
    ) -> None:
        """Commit one after the other, or, where ``together`` says so, a unit in one transaction with the next. Where
        ``dies`` says so all that is in memory is lost: what is not committed by then is delivered again."""
        codec, packer = BinaryRecordCodec(), Packer()
        packer.use(Basis.of(self.registry))
        writer, processor, position = self._recovered(codec)
        place, units, deaths = 0, list[CommitUnit](), set[int]()
        while place < len(records):
            record = records[place]
            outcome = processor.step(record)
            state = packer.pack(processor.snapshot(), {}) if snapshots(place) else None
            units.append(CommitUnit("s", position.epoch, place, record, outcome, codec.encode(record), state))
            if not together(place) or place == len(records) - 1:
                writer.commit(units)
                units.clear()
            if dies(place) and place not in deaths:
                deaths.add(place)
                committed = place + 1 - len(units)
                units.clear()
                writer._drop()
                writer, processor, position = self._recovered(codec)
                assert position.next_offset == committed
                place = committed
            else:
                place += 1
        writer.close()

    def _recovered(self, codec: BinaryRecordCodec) -> tuple[Writer, Processor, Any]:
        writer = Writer(self.writer_dsn)
        position = writer.acquire("s")
        processor = Processor(self.registry)
        if position.snapshot is not None:
            processor = Processor.restore(unpack(position.snapshot).state, self.registry)
        for _, data in position.journal:
            processor.step(codec.decode(data))
        return writer, processor, position

    def readings(self) -> list[tuple[Any, ...]]:
        """Without how a reading came: late or not is a word about delivery."""
        return self._all("SELECT point_id, ts, value, quality & 254 FROM servitize.reading r JOIN servitize.point p"
                         " ON p.id = r.point_id WHERE p.kind = 'measured' ORDER BY 1, 2")  # fmt: skip

    def alarms(self) -> tuple[list[tuple[Any, ...]], ...]:
        return (
            self._all("SELECT equipment_id, condition, at, change, first_out, announce, late, round(value::numeric, 6)"
                      " FROM servitize.condition_transition ORDER BY 1, 2, 3, 4"),
            self._all("SELECT equipment_id, condition, state, active, occurrences, raised_at, cleared_at"
                      " FROM servitize.alarm ORDER BY 1, 2"),
            self._all("SELECT equipment_id, at, state FROM servitize.state_change ORDER BY 1, 2"),
            self._all("SELECT r.point_id, r.ts, round(r.value::numeric, 6) FROM servitize.reading r"
                      " JOIN servitize.point p ON p.id = r.point_id WHERE p.kind = 'derived' ORDER BY 1, 2"),
        )  # fmt: skip

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def store(database_factory: Any) -> Store:
    database = database_factory()
    migrate(database.dsn, {WRITER: "write"})
    type_ = press(lateness=5)
    with psycopg.connect(database.dsn) as connection:
        admin.publish_type(connection, type_, to_document(type_))
        tenant = admin.create_tenant(connection, TENANT, "Acme", publisher_clock=True)
        for machine in range(MACHINES):
            admin.create_equipment(connection, tenant, f"press-{machine}", type_)
    return Store(database.superuser_dsn)


def lively(seed: int) -> Run:
    """A run in which something happens to every machine."""
    run = Run(seed, MACHINES, SECONDS, lateness=5)
    rng = np.random.default_rng(seed)
    for _ in range(8):
        at = int(rng.integers(0, SECONDS - 2))
        run.values[at : at + int(rng.integers(1, 6)), int(rng.integers(MACHINES)), 1] += float(rng.choice([4.0, 15.0]))
    return run


def in_order() -> list[tuple[int, int]]:
    return [(second, machine) for second in range(SECONDS) for machine in range(MACHINES)]


def never(place: int) -> bool:
    return False


@MODEST
@given(
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.lists(st.integers(0, 200), max_size=12),
    st.sets(st.integers(0, 12)),
)
def test_any_permutation_duplication_and_cut_gives_the_same_readings(store, seed, order, cuts, joined):
    run, random = lively(seed), Random(order)
    frames = in_order() + random.choices(in_order(), k=30)
    random.shuffle(frames)
    store.empty()
    store.store(store.records(run, frames, cuts), never, never, lambda place: place in joined)
    shuffled = store.readings()
    store.empty()
    store.store(store.records(run, in_order(), []), never, never)
    assert shuffled == store.readings()
    assert len(shuffled) == MACHINES * SECONDS * FRAME


@MODEST
@given(st.integers(0, 10_000), st.lists(st.integers(0, 200), max_size=12))
def test_with_five_seconds_of_lateness_any_displacement_up_to_that_gives_the_same_alarms(store, seed, cuts):
    run = lively(seed)
    order = disturbed(run, repeated=0.2, within=5.0).order
    assert order is not None
    store.empty()
    store.store(store.records(run, order, cuts), never, never)
    displaced = store.alarms(), store.readings()
    store.empty()
    store.store(store.records(run, in_order(), [MACHINES * s for s in range(SECONDS)]), never, never)
    assert displaced == (store.alarms(), store.readings())
    assert displaced[0][0]


@MODEST
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(0, 120), min_size=4, max_size=14),
    st.sets(st.integers(0, 14), min_size=1),
    st.sets(st.integers(0, 14)),
    st.integers(1, 6),
)
def test_a_restart_at_any_moment_changes_nothing(store, seed, cuts, deaths, joined, every):
    """At any boundary of a commit, or before one: what was processed and not committed is processed again."""
    run = lively(seed)
    records = store.records(run, in_order(), cuts)
    store.empty()
    store.store(records, lambda place: place in deaths, lambda place: place % every == 0, lambda place: place in joined)
    interrupted = store.alarms(), store.readings()
    store.empty()
    store.store(records, never, never)
    assert interrupted == (store.alarms(), store.readings())
