"""``make years``: what years of readings cost to write, keep and read on plain PostgreSQL. ``YEARS="--help"``."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from core.time import DAY, HOUR
from runtime.local.accounts import service_account
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from storage.caretaker import roll_up
from storage.migrate import WRITER, describe_engine, migrate
from tests.benchmarks.years import asking, extension, fleet, report, writing
from tests.conftest import clean_environ
from tests.integration.storage.helpers import Store, open_store, populate
from tests.support.logins import PASSWORDS

WRITES, REPEATS = 400_000, 3
BESIDE = 5_000
"""Readings a second that are written beside the warm questions: a hundred times the fleet's own rate."""
LOADING = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_wal_size": "16GB"}
"""Only while the fleet's past is made up; all that is measured runs with the settings of service."""
STEPS = ("fill", "ask", "extension")


def main() -> int:
    parser = argparse.ArgumentParser(prog='make years YEARS="…"', description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the 1,000 points (%(default)s)")
    parser.add_argument("--home", type=Path, help="keep the database here, and go on with it next time")
    parser.add_argument("--only", choices=STEPS, action="append", help="these steps (repeatable)")
    parser.add_argument("--page", action="store_true", help="write the figures into docs/reference/performance.md too")
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="servitize-years-"))
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    only = options.only or STEPS
    try:
        with DataDirectory(home / "data", service_account(clean_environ())) as data:
            plan = fleet.Plan.of(home, options.scale)
            if "fill" in only:
                fill(data, home, plan)
            if "ask" in only:
                ask(data, home, plan)
        if "extension" in only:
            remember(home, extension=extension.sizes())
        found = report.about(remember(home), plan.scale)
        print(report.section(found))
        report.write(found, page=options.page)
    finally:
        if options.home is None:
            shutil.rmtree(home, ignore_errors=True)
    return 0


def remember(home: Path, **figures: Any) -> dict[str, Any]:
    """Figures so far, with these added."""
    path = home / "figures.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    known |= figures
    path.write_text(json.dumps(known, indent=2))
    return known


def opened(postgres: LocalPostgres) -> Store:
    dsn = postgres.dsn(database="years")
    migrate(dsn, PASSWORDS)
    with psycopg.connect(dsn) as connection:
        empty = connection.execute("SELECT count(*) FROM servitize.tenant").fetchone() == (0,)
    if empty:
        populate(dsn)
    return open_store(dsn)


def write_cost(store: Store, points: list[int], stream: str, start: int) -> dict[str, Any]:
    """Medians of three, CPU-seconds per million readings."""
    runs = []
    for number in range(REPEATS):
        backend, writer, start = writing.write(
            store.login(WRITER), points, f"{stream}-{number}-{time.time_ns()}", start, WRITES
        )
        runs.append([round(backend, 3), round(writer, 3)])
    return {"backend": median(r[0] for r in runs), "writer": median(r[1] for r in runs), "runs": runs}


def fill(data: DataDirectory, home: Path, plan: fleet.Plan) -> None:
    """The write cost of an empty database, then the fleet's past, rolled up."""
    if "before" not in remember(home):
        with LocalPostgres(data, port=0, environ=clean_environ()) as postgres:
            postgres.drop_database("years")
            postgres.create_database("years")
            store = opened(postgres)
            points = fleet.ids_of(store, plan)
            _say("before", remember(home, before=write_cost(store, points, "before", plan.end + HOUR))["before"])
    with LocalPostgres(data, port=0, settings=LOADING, environ=clean_environ()) as postgres:
        store = opened(postgres)
        points = fleet.ids_of(store, plan)
        begin = time.monotonic()
        _say(f"{fleet.fill(store, plan, points):,} readings in {time.monotonic() - begin:.0f} s")
        begin = time.monotonic()
        with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
            hours = roll_up(connection, everything=True)
            spent = writing.cpu_seconds(connection.info.backend_pid)
        if hours:
            remember(home, rolled_up={"hours": hours, "cpu_s": round(spent)})
        _say(f"{hours:,} hours rolled up in {time.monotonic() - begin:.0f} s, {spent:.0f} CPU-s")
        fleet.assess(store, plan)
        with psycopg.connect(store.dsn, autocommit=True) as connection:
            connection.execute("SET ROLE servitize_owner")
            connection.execute("VACUUM ANALYZE")


def ask(data: DataDirectory, home: Path, plan: fleet.Plan) -> None:
    """Sizes, the questions cold and warm, and the write cost with all that in the tables."""
    with LocalPostgres(data, port=0, environ=clean_environ()) as postgres:
        store = opened(postgres)
        points = fleet.ids_of(store, plan)
        remember(home, engine=describe_engine(store.dsn), **sizes(store), scale=plan.scale)
        asked = asking.questions(plan, points)

        def again() -> Store:
            return open_store(postgres.dsn(database="years"))

        def cold() -> None:
            asking.forget_files(postgres)

        _say(remember(home, cold=asking.measure(again, asked, cold), load=_load())["cold"])
        start = max(plan.end + 4 * HOUR, _behind(store))
        with writing.beside(again().login(WRITER), points, start, BESIDE):
            warm = asking.measure(again, asked, None)
        _say(remember(home, warm=warm, load=_load())["warm"])
        store = again()
        _say(remember(home, after=write_cost(store, points, "after", _behind(store)), load=_load())["after"])


def sizes(store: Store) -> dict[str, Any]:
    """Rows and bytes of readings and rollups."""
    found = {}
    for name in ("reading", "rollup_minute", "rollup_hour", "rollup_day"):
        found[name] = int(
            store.one(
                "SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0) FROM pg_partition_tree(%s) t",
                f"servitize.{name}",
            )
            or store.one("SELECT pg_total_relation_size(%s)", f"servitize.{name}")
        )
    return {"bytes": found, "readings": int(store.one("SELECT count(*) FROM servitize.reading"))}


def _behind(store: Store) -> int:
    """A full minute behind the newest reading."""
    newest = int(store.one("SELECT servitize.to_us(max(ts)) FROM servitize.latest_reading"))
    return min(newest // DAY * DAY + DAY - HOUR // 2, newest + 60_000_000)


def _load() -> float:
    return round(os.getloadavg()[0], 1)


def _say(*what: object) -> None:
    print(*what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
