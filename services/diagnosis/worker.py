"""Looks at cases that nobody has looked at yet: an alarm opened them a moment ago.

Any number of API processes may run it; the database gives each case to one at a time, and to none a fourth time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import psycopg

from core.errors import UnavailableError
from services.api.state import AppState
from services.diagnosis import service

log = logging.getLogger(__name__)

PAUSE: Final = 2.0
"""Seconds between looks when nothing waits."""


async def work(state: AppState, progress: Callable[[], None]) -> None:
    """Until cancelled."""
    while True:
        if not await look(state):
            progress()
            await asyncio.sleep(PAUSE)


async def look(state: AppState) -> bool:
    """Diagnose one waiting case; False where there is none."""
    async with state.database.transaction() as db:
        claimed = await db.row("claim_case")
    if claimed is None:
        return False
    try:
        async with state.database.of_tenant(claimed["tenant_id"]) as db:
            await service.diagnose(
                db,
                state.parse_type,
                claimed["case_id"],
                claimed["equipment_id"],
                claimed["component"],
                claimed["about"],
            )
        log.info("case %s: diagnosed", claimed["case_id"])
    except (psycopg.Error, UnavailableError, OSError):
        raise  # the database's affair: tried again
    except Exception:  # a signal that a formula cannot bear must stop neither the next case nor what runs beside
        log.exception("case %s: not diagnosed", claimed["case_id"])
    return True
