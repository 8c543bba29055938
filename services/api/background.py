"""What runs beside the requests: numbering of the outbox and shelf timers. Both keep nothing: the truth is in the
database.

Any number of API processes may run them at once; the database lets one number at a time, and a shelf expires once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg

from core.errors import UnavailableError
from services.api.database import statements
from services.api.state import AppState
from services.diagnosis import worker as diagnosis
from services.predictive_maintenance.following import follow

log = logging.getLogger(__name__)

_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
"""Seconds before a task that failed is tried again; the last one from then on."""

Progress = Callable[[], None]


async def run_background(state: AppState) -> None:
    """Until cancelled. A database that is away is waited for; said once when it goes and once when it is back."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_kept("sequencer", state, _sequence), name="api-sequencer")
        if state.settings.sequence:
            tasks.create_task(_kept("shelves", state, _expire_shelves), name="api-shelves")
            tasks.create_task(_kept("diagnosis", state, diagnosis.work), name="api-diagnosis")
            tasks.create_task(_kept("maintenance", state, follow), name="api-maintenance")


async def _kept(name: str, state: AppState, work: Callable[[AppState, Progress], Awaitable[None]]) -> None:
    failures = 0

    def progress() -> None:
        nonlocal failures
        if failures:
            log.info("%s at work again", name)
            failures = 0

    while True:
        try:
            await work(state, progress)
        except (psycopg.Error, UnavailableError, OSError) as error:
            state.metrics.failures.labels(name).inc()
            if not failures:
                log.warning("%s interrupted, trying again: %s", name, error)
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1


async def _sequence(state: AppState, progress: Progress) -> None:
    """Number what was committed and wake the streams; or, where others number, only wake them.

    A notification wakes it at once; ``sequencer_floor`` bounds how long one lost with its connection can delay an
    event.
    """
    settings, bell = state.settings, state.bell
    ours = settings.sequence
    async with state.database.listening("listen_to_new" if ours else "listen_to_numbered") as connection:
        step = statements()["sequence" if ours else "stream_bounds"]
        while True:
            row = await (await connection.execute(step)).fetchone()
            assert row is not None
            head = int(next(iter(row.values())))
            state.sequencer_seen = asyncio.get_running_loop().time()
            progress()
            if head != bell.head:
                if ours and bell.head is not None:
                    state.metrics.numbered.inc(max(0, head - bell.head))
                bell.ring(head)
            async for _ in connection.notifies(timeout=settings.sequencer_floor, stop_after=1):
                pass


async def _expire_shelves(state: AppState, progress: Progress) -> None:
    while True:
        async with state.database.transaction() as db:
            expired = await db.value("expire_shelves")
        progress()
        state.metrics.shelves.inc(expired)
        await asyncio.sleep(state.settings.shelf_interval)
