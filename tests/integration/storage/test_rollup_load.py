"""Rollups while the world goes on: several writers, rows permuted, doubled and late, the job at work and asked."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import threading
from collections.abc import Iterator

import psycopg
import pytest

from core.quality import BAD, GOOD, LATE, UNCERTAIN
from core.time import DAY, HOUR, MINUTE, SECOND
from storage.caretaker import roll_up
from storage.consistency import examine
from storage.migrate import WRITER, Engine
from storage.queries import load
from tests.integration.storage import contract
from tests.integration.storage.contract import Bucket, Reading, disagreements, recomputed
from tests.integration.storage.helpers import T0, Committer, Store

pytestmark = pytest.mark.integration


def history(point: int, rng: random.Random, count: int) -> list[Reading]:
    """Dense stretches, thin ones and pauses; broken and doubtful values; some a microsecond apart."""
    at, rows = T0 + rng.randrange(HOUR), list[Reading]()
    step = SECOND
    for n in range(count):
        if n % 150 == 0:
            step = rng.choice([SECOND, 5 * SECOND, MINUTE, 10 * MINUTE])
            at += rng.choice([0, 0, 3 * HOUR, DAY])
        at += rng.choice([1, step, step, step + rng.randrange(SECOND)])
        value, quality = rng.gauss(0, 10), GOOD
        if rng.random() < 0.03:
            value, quality = rng.choice(
                [(-999.0, BAD), (5.0, UNCERTAIN), (math.nan, BAD), (math.inf, UNCERTAIN), (-0.0, GOOD)]
            )
        rows.append((point, at, value, quality))
    return rows


def deliveries(rows: list[Reading], rng: random.Random) -> Iterator[list[Reading]]:
    """Batches roughly in order of time: near ones change places, one in ten comes hours late, one in ten twice."""
    ranked = []
    for row in rows:
        delay = rng.randrange(30 * SECOND) if rng.random() < 0.9 else rng.randrange(9 * HOUR)
        marked = row if delay < MINUTE else (row[0], row[1], row[2], row[3] | LATE)
        ranked.append((row[1] + delay, marked))
        if rng.random() < 0.1:
            ranked.append((row[1] + rng.randrange(DAY), marked))
    ranked.sort(key=lambda pair: pair[0])
    waiting = iter([row for _, row in ranked])
    while some := list(itertools.islice(waiting, rng.randrange(20, 120))):
        rng.shuffle(some)
        yield some


class Job(threading.Thread):
    """Rolls up as the engine's job would, without a pause; what is being written and what is over, by turns."""

    def __init__(self, store: Store) -> None:
        super().__init__(name="rollup job")
        self.store, self.stop, self.rounds = store, threading.Event(), 0

    def run(self) -> None:
        while not self.stop.wait(0.01):
            self.rounds += 1
            if self.store.engine is Engine.PLAIN:
                with (
                    psycopg.connect(self.store.login(WRITER), autocommit=True) as connection,
                    contextlib.suppress(psycopg.errors.LockNotAvailable),  # as the caretaker: later
                ):
                    roll_up(connection, everything=self.rounds % 3 != 0, stop=self.stop.is_set)
            else:
                contract.settle(self.store)


def seen_at_once(store: Store, point: int, window: tuple[int, int], name: str) -> tuple[list[Bucket], list[Bucket]]:
    """Rollups and raw as one and the same reader sees them."""
    queries = load("reading")
    with psycopg.connect(store.login("servitize_api")) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT set_config('servitize.tenant', %s, true)", (str(store.acme),))
        limits = {"point_id": point, "time_from": window[0], "time_to": window[1]}
        told = [Bucket(*row) for row in queries.rollups(connection, step=name, **limits)]
        raw = [
            (point, ts, value, quality)
            for ts, value, quality, _ in queries.readings(connection, max_rows=None, **limits)
        ]
    return told, recomputed(raw, point, *window, contract.LEVELS[name])


@pytest.mark.parametrize("seed", [1, 2])
def test_rollups_equal_raw_under_load(engine_store: Store, seed: int) -> None:
    store, rng = engine_store, random.Random(seed)
    plain = store.engine is Engine.PLAIN
    points = store.points[:2]
    count = 2500 if plain else 500
    rows = {point: history(point, rng, count) for point in points}
    window = T0 - DAY, max(ts for some in rows.values() for _, ts, *_ in some) + 2 * DAY
    job, wrong = Job(store), list[object]()

    def write(number: int) -> None:
        """Two gateways: each brings most of it, both together all."""
        mine = random.Random(seed * 10 + number)
        some = [row for point in points for n, row in enumerate(rows[point]) if n % 2 == number or mine.random() < 0.3]
        with Committer(store, f"gateway-{number}") as c:
            for batch in deliveries(some, mine):
                c.commit(batch, counts={"ingest.readings": len(batch), "ingest.accepted": len(batch)}, journal=b"j")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in (job, *writers):
        thread.start()
    asked = 0
    while plain and any(thread.is_alive() for thread in writers):
        point, name = rng.choice(points), rng.choice(list(contract.LEVELS))
        told, raw = seen_at_once(store, point, window, name)
        wrong += [(name, one, other) for one, other in zip(raw, told, strict=False) if not one.agrees(other)]
        wrong += [(name, len(raw), len(told))] if len(raw) != len(told) else []
        asked += 1
    for thread in writers:
        thread.join()
    job.stop.set()
    job.join()
    assert wrong == []
    assert job.rounds > 1
    assert asked or not plain, "somebody asked meanwhile"
    assert len(store.readings()) == sum(map(len, rows.values()))
    if not plain:
        contract.compress(store)
    contract.settle(store)
    for point in points:
        assert list(disagreements(store, point, *window)) == []
    assert examine(store.dsn).problems == ()
