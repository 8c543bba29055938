"""A month of statements for a fleet: readings out of the database, metered, priced, guaranteed, closed.

``STATEMENTS_MACHINES=1000 python -m pytest tests/benchmarks/bench_statements.py -s``. One contract per machine (fee,
tiers by the engine hour, availability), a reading every ``STATEMENTS_MINUTES`` minutes and two changes of state a day.
Filling the database is not part of the figure. They are closed as ``POST /v1/statements`` closes them, by two
callers.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from core.time import DAY, HOUR, from_datetime, to_datetime
from services.api.database import Database
from services.api.settings import ApiSettings
from services.contracts import service
from storage.migrate import API
from tests.integration.storage.helpers import Store

MACHINES = int(os.environ.get("STATEMENTS_MACHINES", "50"))
MINUTES = int(os.environ.get("STATEMENTS_MINUTES", "10"))
AT_ONCE, CALLERS = 50, 2
MONTH = datetime(2026, 6, 1, tzinfo=UTC)


def terms(machine: str) -> dict[str, Any]:
    return {
        "key": f"c-{machine.lower()}", "title": "Excavator by the hour", "currency": "EUR", "timezone": "Europe/Berlin",
        "versions": [{
            "effective": "2026-01-01", "equipment": [machine],
            "fees": [{"key": "lease", "title": "Lease", "amount": "1200"}],
            "usage": [{
                "key": "hours", "title": "Engine hours",
                "meter": {"kind": "counter", "point": "t1", "unit": "h", "resolution": "0.1", "gap": "nothing"},
                "tiers": [{"up_to": "100", "price": "62.00"}, {"price": "55.00"}],
            }],
            "availability": [{
                "key": "uptime", "title": "Availability", "kind": "time", "target": "97", "down": ["tripped"],
                "alive": "t1",
                "damages": {"per_point": "2"},
            }],
        }],
    }  # fmt: skip


def fill(store: Store) -> list[int]:
    """Machines, readings, states; the numbers of the machines."""
    first, last = MONTH - timedelta(days=1), MONTH + timedelta(days=31)
    with psycopg.connect(store.dsn) as connection:
        connection.execute("SELECT servitize.ensure_partitions(%s, %s)", (first, last))
        connection.execute("SET ROLE servitize_owner")
        rows = connection.execute(
            "INSERT INTO servitize.equipment (tenant_id, key, name, type_key) "
            "SELECT %s, 'EX-' || n, 'EX-' || n, 'pump' FROM generate_series(1, %s) n RETURNING id",
            (store.acme, MACHINES),
        ).fetchall()
        numbers = [row[0] for row in rows]
        connection.execute(
            "INSERT INTO servitize.point (equipment_id, key, unit) SELECT unnest(%s::int[]), 't1', 'h'", (numbers,)
        )
        connection.execute(
            "INSERT INTO servitize.reading "
            "SELECT p.id, t.at, extract(epoch FROM t.at - %s) / 3600 * 0.3 + 1000, 192, t.at "
            "FROM servitize.point p CROSS JOIN generate_series(%s::timestamptz, %s, make_interval(mins => %s)) t (at) "
            "WHERE p.equipment_id = ANY (%s)",
            (first, first, last, MINUTES, numbers),
        )
        start = from_datetime(first)
        changes = [
            (to_datetime(start + d * DAY + h * HOUR), s) for d in range(32) for h, s in ((6, "working"), (18, "off"))
        ]
        connection.execute(
            "INSERT INTO servitize.state_change SELECT e, at, state FROM unnest(%s::int[]) e, "
            "unnest(%s::timestamptz[], %s::text[]) c (at, state)",
            (numbers, [at for at, _ in changes], [state for _, state in changes]),
        )
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        connection.execute("SET ROLE servitize_owner")
        connection.execute("VACUUM ANALYZE servitize.reading")  # as the database's own housekeeping leaves a month
    return numbers


def backends(store: Store) -> float:
    """CPU-s that the API's connections have used in PostgreSQL so far."""
    ticks = 0
    with psycopg.connect(store.dsn) as connection:
        connection.execute("SET ROLE servitize_owner")
        rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", (API,)).fetchall()
    for (pid,) in rows:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def run(store: Store) -> tuple[float, int, float, float]:
    """Seconds it took, statements made, CPU-s here and in PostgreSQL."""
    database = Database(ApiSettings(store.login(API)))
    await database.open()
    async with database.of_tenant(store.acme) as db:
        made = [await service.put(db, None, terms(f"EX-{n}"), None, None, "bench") for n in range(1, MACHINES + 1)]
    begin, here, there = time.perf_counter(), time.process_time(), backends(store)
    turn = asyncio.Semaphore(CALLERS)

    async def close(numbers: list[int]) -> None:
        async with turn, database.of_tenant(store.acme) as db:
            closed = await service.close_many(db, numbers, "2026-06", "", "bench")
        assert all(isinstance(number, int) for number in closed)

    await asyncio.gather(*(close(made[first : first + AT_ONCE]) for first in range(0, MACHINES, AT_ONCE)))
    took, here, there = time.perf_counter() - begin, time.process_time() - here, backends(store) - there
    await database.close()
    return took, len(made), here, there


def test_a_month_of_a_fleet(durable_store: Store) -> None:
    fill(durable_store)
    took, made, here, there = asyncio.run(run(durable_store))
    readings = MACHINES * 31 * 24 * 60 // MINUTES
    print(
        f"\n{made} statements of a month closed in {took:.1f} s ({1000 * took / made:.1f} ms each; "
        f"CPU {1000 * here / made:.1f} ms here, {1000 * there / made:.1f} ms in PostgreSQL); "
        f"{readings:,} readings, one per {MINUTES} min; 1,000 machines: {1000 * took / made:.0f} s"
    )
    assert made == MACHINES
