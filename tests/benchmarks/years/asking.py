"""Questions of boards and API, asked as the API's login asks them; cold and warm, on the clock and on the processor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from core.time import DAY, HOUR
from runtime.local.postgres import LocalPostgres
from storage.migrate import API
from storage.queries import load
from tests.benchmarks.years.fleet import Plan
from tests.benchmarks.years.writing import cpu_seconds
from tests.integration.storage.helpers import Store

COLD, WARM = 3, 31


@dataclass(frozen=True)
class Question:
    """``most``: milliseconds it may take."""

    name: str
    most: float
    ask: Callable[[Any], Any]


def questions(plan: Plan, points: list[int]) -> list[Question]:
    fast, slow = points[0], points[-1]
    reading, fleet = load("reading"), load("boards/fleet")

    def thinned(point: int, window: int) -> Callable[[Any], Any]:
        return lambda c: list(
            reading.readings_thinned(c, point_id=point, time_from=plan.end - window, time_to=plan.end, pixels=1000)
        )

    def hour(c: Any) -> Any:
        return list(reading.readings(c, point_id=fast, time_from=plan.end - HOUR, time_to=plan.end, max_rows=None))

    def days(c: Any) -> Any:
        return list(reading.rollups(c, point_id=fast, time_from=plan.end - 365 * DAY, time_to=plan.end, step="1 day"))

    return [
        Question(f"latest of {plan.points:,} points", 20, lambda c: c.execute(LATEST).fetchall()),
        Question("last raw hour of a 1 Hz point", 30, hour),
        Question("its day at 1,000 pixels", 50, thinned(fast, DAY)),
        Question("its year at 1,000 pixels", 200, thinned(fast, 365 * DAY)),
        Question("year of ten-minute values at 1,000 pixels", 200, thinned(slow, 365 * DAY)),
        Question("its year in steps of a day", 200, days),
        Question("fleet health", 100, lambda c: list(fleet.machines(c))),
    ]


LATEST = "SELECT * FROM servitize.latest_visible"


def forget_files(postgres: LocalPostgres) -> None:
    """Restart the server with nothing of its data in the system's cache."""
    postgres.stop()
    os.sync()
    for path in Path(postgres.cluster).rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    postgres.start()


def measure(
    store: Callable[[], Store], asked: list[Question], before: Callable[[], None] | None
) -> list[dict[str, Any]]:
    """Median and worst milliseconds, and processor milliseconds of server and client, per question. ``before`` comes
    before every single one (cold); without it each connection has asked once."""
    found = []
    for question in asked:
        clock, processor, rows = [], [], 0
        for _ in range(COLD if before else WARM):
            if before is not None:
                before()
            known = store()
            with psycopg.connect(known.login(API)) as connection:
                connection.execute("SELECT set_config('servitize.tenant', %s, true)", (str(known.acme),))
                if before is None:
                    question.ask(connection)
                pid = connection.info.backend_pid
                cpu, begin = cpu_seconds(pid) + time.process_time(), time.perf_counter()
                rows = len(question.ask(connection))
                clock.append((time.perf_counter() - begin) * 1000)
                processor.append((cpu_seconds(pid) + time.process_time() - cpu) * 1000)
        found.append(
            {
                "question": question.name,
                "most_ms": question.most,
                "median_ms": round(median(clock), 1),
                "worst_ms": round(max(clock), 1),
                "cpu_ms": round(median(processor), 1),
                "rows": rows,
            }
        )
    return found
