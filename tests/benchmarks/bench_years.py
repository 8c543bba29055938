"""Years of readings on plain PostgreSQL: what loading, rolling up, keeping and reading them costs, cold and warm.

``YEARS_SCALE=1 python -m pytest tests/benchmarks/bench_years.py -s`` is about 100 million readings: 1,000 points with
ten-minute values for 400 days, 40 of them once a second for the last 12 days. The scale is a share of the points
(default 0.02, two million readings). Cold: the server started anew and its files dropped from the system's cache.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psycopg
import pytest

from core.condition import HealthAssessment
from core.outcome import CommitUnit, Outcome
from core.quality import GOOD
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import DAY, HOUR, MINUTE, SECOND, to_datetime
from runtime.local.postgres import LocalPostgres
from storage.caretaker import roll_up
from storage.effects import health_document
from storage.migrate import API, WRITER, migrate
from storage.packing import COPY_HEADER, COPY_TRAILER, Rows, pack
from storage.queries import load
from storage.writer import Writer
from tests.benchmarks.bench_writer import backend_seconds
from tests.integration.storage.helpers import PASSWORDS, Store, open_store, populate

SCALE = float(os.environ.get("YEARS_SCALE", "0.02"))
POINTS = max(20, round(1000 * SCALE))
FAST = max(2, round(40 * SCALE))
PER_EQUIPMENT = 20
DAYS, FAST_DAYS = 400, 12
END = time.time_ns() // 1000 // DAY * DAY
"""Midnight: the newest reading is just before it."""
REPEATS = 15


def add_points(store: Store) -> list[int]:
    """Equipment of twenty points each; ids in order, the fast ones first."""
    with psycopg.connect(store.dsn) as connection:
        rows = connection.execute(
            "WITH e AS (INSERT INTO servitize.equipment (tenant_id, key, name, type_key) "
            "SELECT %s, 'unit-' || n, 'unit ' || n, 'pump' FROM generate_series(1, %s) n RETURNING id) "
            "INSERT INTO servitize.point (equipment_id, key, position) "
            "SELECT e.id, 'p' || k, k FROM e, generate_series(1, %s) k RETURNING id",
            (store.acme, -(-POINTS // PER_EQUIPMENT), PER_EQUIPMENT),
        ).fetchall()
    return sorted(row[0] for row in rows)[:POINTS]


def day_of(points: list[int], start: int) -> Rows:
    """A day in order of time, as it would have come in."""
    fast = start >= END - FAST_DAYS * DAY
    slow_ids = np.array(points[FAST:] if fast else points, np.int32)
    slow_ts = np.arange(start, start + DAY, 10 * MINUTE)
    point = np.tile(slow_ids, len(slow_ts))
    ts = np.repeat(slow_ts, len(slow_ids)) + point % 600 * SECOND
    if fast:
        fast_ids, fast_ts = np.array(points[:FAST], np.int32), np.arange(start, start + DAY, SECOND)
        point = np.concatenate([point, np.tile(fast_ids, len(fast_ts))])
        ts = np.concatenate([ts, np.repeat(fast_ts, FAST)])
    order = np.argsort(ts, kind="stable")
    point, ts = point[order], ts[order]
    value = np.sin(ts / (HOUR * 7) + point) * 20 + np.random.default_rng(start // DAY).normal(size=len(ts))
    return Rows(point, ts, value, np.full(len(ts), GOOD, np.uint8), ts + SECOND)


def fill(store: Store, points: list[int]) -> int:
    rows = 0
    with psycopg.connect(store.login(WRITER)) as connection:
        for start in range(END - DAYS * DAY, END, DAY):
            load("writer").ensure_partitions(connection, first=to_datetime(start), last=to_datetime(start + DAY))
            data = day_of(points, start)
            with connection.cursor() as cursor, cursor.copy(load("writer").copy_readings.sql) as copy:
                copy.write(COPY_HEADER)
                copy.write(pack(data))
                copy.write(COPY_TRAILER)
            connection.execute(
                "INSERT INTO servitize.rollup_dirty (generation, point_id, hour) "
                "SELECT 0, p, servitize.from_us(%s) + h * interval '1 hour' "
                "FROM unnest(%s::int[]) p, generate_series(0, 23) h",
                (start, points),
            )
            rows += len(data)
            if len(data) > 200_000 or start // DAY % 20 == 0:
                connection.commit()
        connection.execute("SELECT servitize.repair_latest()")
    return rows


def write_cost(store: Store, points: list[int], stream: str, start: int, readings: int = 200_000) -> float:
    """CPU-seconds of writer and its backend for a million readings, once a second of every point."""
    writer = Writer(store.login(WRITER))
    position = writer.acquire(stream)
    assert writer._connection is not None
    pid = writer._connection.info.backend_pid
    ids = np.array(points, np.int32)
    seconds = max(1, 5000 // len(ids))
    cpu, backend, done = time.process_time(), backend_seconds(pid), 0
    for offset in range(readings // (seconds * len(ids))):
        at = start + offset * seconds * SECOND
        ts = np.repeat(np.arange(at, at + seconds * SECOND, SECOND), len(ids))
        point = np.tile(ids, seconds)
        batch = TelemetryBatch(point, ts, np.cos(ts / 1e7), np.full(len(ts), GOOD, np.uint8), at)
        outcome = Outcome(batch, TelemetryBatch.empty())
        writer.commit([CommitUnit(stream, position.epoch, offset, StreamRecord(batch), outcome, b"j")])
        done += len(ts)
    spent = time.process_time() - cpu + backend_seconds(pid) - backend
    writer.close()
    return spent / done * 1e6


def forget_files(postgres: LocalPostgres) -> None:
    """Restart the server with nothing of its data in the system's cache."""
    postgres.stop()
    os.sync()
    for path in Path(postgres.cluster).rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    postgres.start()


@pytest.mark.timeout(0)
def test_years(durable_postgres: LocalPostgres) -> None:
    durable_postgres.create_database("years")

    def opened() -> Store:
        return open_store(durable_postgres.dsn(database="years"))

    migrate(durable_postgres.dsn(database="years"), PASSWORDS)
    populate(durable_postgres.dsn(database="years"))
    store = opened()
    points = add_points(store)
    before = write_cost(store, points, "before", END - (DAYS + 30) * DAY)

    begin = time.perf_counter()
    rows = fill(store, points)
    print(f"\n{rows:,} readings of {POINTS} points, {FAST} of them once a second: {time.perf_counter() - begin:.0f} s")
    begin = time.perf_counter()
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        hours = roll_up(connection, everything=True)
    print(f"rolled up {hours:,} hours of points in {time.perf_counter() - begin:.0f} s")
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        connection.execute("SET ROLE servitize_owner")
        connection.execute("VACUUM ANALYZE servitize.reading, servitize.rollup_minute, servitize.rollup_hour")
        connection.execute("VACUUM ANALYZE servitize.rollup_day, servitize.latest_reading")
        for name in ("reading", "rollup_minute", "rollup_hour", "rollup_day"):
            found = connection.execute(
                "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(%s)", (f"servitize.{name}",)
            ).fetchone()
            size = float((found and found[0]) or store.one("SELECT pg_total_relation_size(%s)", f"servitize.{name}"))
            print(f"  {name:14} {size / 1e9:7.3f} GB, {size / rows:6.1f} bytes per reading")
    _health(store)
    stop, writing = threading.Event(), threading.Thread(target=lambda: _keep_writing(opened(), points, stop))
    _measure("cold", durable_postgres, opened, points, cold=True)
    writing.start()
    _measure("warm, while writing", durable_postgres, opened, points, cold=False)
    stop.set()
    writing.join()
    after = write_cost(opened(), points, "after", END + 2 * HOUR)
    print(f"writing, CPU-s per million readings: {before:.2f} before, {after:.2f} after ({after / before - 1:+.0%})")
    durable_postgres.drop_database("years")


def _health(store: Store) -> None:
    with psycopg.connect(store.login(WRITER)) as connection:
        units = [r[0] for r in connection.execute("SELECT id FROM servitize.equipment").fetchall()]
        document = health_document(HealthAssessment(u, c, END, 90.0) for u in units for c in ("", "bearing1"))
        load("writer").record_health(connection, assessments=document)


def _keep_writing(store: Store, points: list[int], stop: threading.Event) -> None:
    at = END
    while not stop.is_set():
        write_cost(store, points, "beside", at, readings=len(points) * 20)
        at += 60 * SECOND


def _measure(
    label: str, postgres: LocalPostgres, opened: Callable[[], Store], points: list[int], *, cold: bool
) -> None:
    fast, slow = points[0], points[-1]
    reading, instance = load("reading"), load("instance")

    def ask(name: str, **parameters: Any) -> Callable[[Any], Any]:
        return lambda connection: list(getattr(reading, name)(connection, **parameters))

    def latest(connection: Any) -> Any:
        return connection.execute("SELECT * FROM servitize.latest_visible").fetchall()

    window = {"point_id": fast, "time_to": END}
    questions = {
        f"latest of {POINTS} points": latest,
        "last raw hour at 1 Hz": ask("readings", time_from=END - HOUR, max_rows=None, **window),
        "its day at 1,000 pixels": ask("readings_thinned", time_from=END - DAY, pixels=1000, **window),
        "its year at 1,000 pixels": ask("readings_thinned", time_from=END - 365 * DAY, pixels=1000, **window),
        "year of ten-minute values": ask(
            "readings_thinned", point_id=slow, time_from=END - 365 * DAY, time_to=END, pixels=1000
        ),
        "year in steps of a day": ask("rollups", time_from=END - 365 * DAY, step="1 day", **window),
        "fleet health": lambda connection: list(instance.health(connection, tenant_id=None)),
    }
    for name, question in questions.items():
        spent, rows = [], 0
        for _ in range(3 if cold else REPEATS):
            if cold:
                forget_files(postgres)
            store = opened()
            login = store.login(WRITER) if name == "fleet health" else store.login(API)
            with psycopg.connect(login) as connection:
                connection.execute("SELECT set_config('servitize.tenant', %s, true)", (str(store.acme),))
                if not cold:
                    question(connection)
                begin = time.perf_counter()
                rows = len(question(connection))
                spent.append((time.perf_counter() - begin) * 1000)
        print(f"  {label:20} {name:28} {median(spent):7.1f} ms (worst {max(spent):.1f}), {rows} rows")
