"""The database of the benchmark: 1,000 points with ten-minute values for 400 days, 40 of them once a second for the
last 12. Filling goes on where it was stopped."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psycopg

from core.condition import HealthAssessment
from core.time import DAY, HOUR, MINUTE, SECOND, to_datetime
from storage.effects import health_document
from storage.migrate import WRITER
from storage.packing import COPY_HEADER, COPY_TRAILER, Rows, pack
from storage.queries import load
from tests.integration.storage.helpers import Store

DAYS, FAST_DAYS = 400, 12
PER_EQUIPMENT = 20


@dataclass(frozen=True)
class Plan:
    """``scale`` is a share of the points; ``end`` µs: the newest reading is just before it. Kept beside the database,
    so that it stays the same when filling is taken up again another day."""

    scale: float
    end: int

    @property
    def points(self) -> int:
        return max(20, round(1000 * self.scale))

    @property
    def fast(self) -> int:
        return max(2, round(40 * self.scale))

    @classmethod
    def of(cls, home: Path, scale: float) -> Plan:
        path = home / "years.json"
        if path.exists():
            return cls(**json.loads(path.read_text()))
        plan = cls(scale, time.time_ns() // 1000 // DAY * DAY)
        path.write_text(json.dumps(asdict(plan)))
        return plan


def ids_of(store: Store, plan: Plan) -> list[int]:
    """Points of equipment with twenty each, made where they are not there yet; in order, the fast ones first."""
    with psycopg.connect(store.dsn) as connection:
        rows = connection.execute(
            "WITH e AS (INSERT INTO servitize.equipment (tenant_id, key, name, type_key, status) "
            "SELECT %s, 'unit-' || n, 'unit ' || n, 'pump', 'approved' FROM generate_series(1, %s) n "
            "ON CONFLICT DO NOTHING RETURNING id) "
            "INSERT INTO servitize.point (equipment_id, key, position) "
            "SELECT e.id, 'p' || k, k FROM e, generate_series(1, %s) k RETURNING id",
            (store.acme, -(-plan.points // PER_EQUIPMENT), PER_EQUIPMENT),
        ).fetchall()
        rows = connection.execute(
            "SELECT p.id FROM servitize.point p JOIN servitize.equipment e ON e.id = p.equipment_id "
            "WHERE e.key LIKE 'unit-%' ORDER BY p.id"
        ).fetchall()
    return [row[0] for row in rows][: plan.points]


def day_of(plan: Plan, points: list[int], start: int) -> Rows:
    """A day in order of time, as it would have come in."""
    fast = start >= plan.end - FAST_DAYS * DAY
    slow_ids = np.array(points[plan.fast :] if fast else points, np.int32)
    slow_ts = np.arange(start, start + DAY, 10 * MINUTE)
    point = np.tile(slow_ids, len(slow_ts))
    ts = np.repeat(slow_ts, len(slow_ids)) + point % 600 * SECOND
    if fast:
        fast_ids, fast_ts = np.array(points[: plan.fast], np.int32), np.arange(start, start + DAY, SECOND)
        point = np.concatenate([point, np.tile(fast_ids, len(fast_ts))])
        ts = np.concatenate([ts, np.repeat(fast_ts, plan.fast)])
    order = np.argsort(ts, kind="stable")
    point, ts = point[order], ts[order]
    value = np.sin(ts / (HOUR * 7) + point) * 20 + np.random.default_rng(start // DAY).normal(size=len(ts))
    return Rows(point, ts, value, np.full(len(ts), 192, np.uint8), ts + SECOND)


def fill(store: Store, plan: Plan, points: list[int]) -> int:
    """Every day that is not there yet, a transaction each, with the notes that a writer leaves for the rollups."""
    rows = 0
    queries = load("writer")
    with psycopg.connect(store.login(WRITER)) as connection:
        for start in range(plan.end - DAYS * DAY, plan.end, DAY):
            there = connection.execute(
                "SELECT FROM servitize.reading WHERE point_id = %s AND ts >= %s AND ts < %s LIMIT 1",
                (points[0], to_datetime(start), to_datetime(start + DAY)),
            ).fetchone()
            if there is not None:
                continue
            queries.ensure_partitions(connection, first=to_datetime(start), last=to_datetime(start + DAY - 1))
            data = day_of(plan, points, start)
            with connection.cursor() as cursor, cursor.copy(queries.copy_readings.sql) as copy:
                copy.write(COPY_HEADER)
                copy.write(pack(data))
                copy.write(COPY_TRAILER)
            connection.execute(
                "INSERT INTO servitize.rollup_dirty (generation, point_id, hour) "
                "SELECT 0, p, servitize.from_us(%s) + h * interval '1 hour' "
                "FROM unnest(%s::int[]) p, generate_series(0, 23) h",
                (start, points),
            )
            connection.commit()
            rows += len(data)
        connection.execute("SELECT servitize.repair_latest()")
    return rows


def assess(store: Store, plan: Plan) -> None:
    """A health index for every equipment and two of its components."""
    with psycopg.connect(store.login(WRITER)) as connection:
        units = [r[0] for r in connection.execute("SELECT id FROM servitize.equipment").fetchall()]
        document = health_document(
            HealthAssessment(unit, component, plan.end, 90.0 - math.sin(unit) * 10)
            for unit in units
            for component in ("", "bearing1", "bearing2")
        )
        load("writer").record_health(connection, assessments=document)
