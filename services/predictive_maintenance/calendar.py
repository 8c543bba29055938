"""The maintenance calendar of a tenant: its work, windows, crews and stock, arranged by models.maintenance.calendar."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final

from core.maintenance import WorkEvent
from core.time import DAY, HOUR, MINUTE, from_datetime, to_datetime
from models.maintenance.calendar import Calendar, Crew, Job, Window, arrange
from services.api.auth import Principal
from services.api.database import Row, Transaction
from services.predictive_maintenance import service
from services.predictive_maintenance.model import Schedule
from services.predictive_maintenance.planning_model import Applied, CalendarAnswer, CalendarEntry

SHIFT: Final = (6, 14)
"""Hours of the day (UTC) assumed where no windows are known."""
_MOVABLE: Final = ("approved", "scheduled", "reopened")


async def _facts(db: Transaction, days: float) -> tuple[list[Row], list[Window], list[Crew], int, bool]:
    now = await db.value("timeline")
    at = from_datetime(now)
    work = await db.rows("plannable_work")
    rows = await db.rows("windows", time_from=now, time_to=now + timedelta(days=days))
    windows = [
        Window(
            row["id"],
            max(at, from_datetime(row["starts_at"])),
            from_datetime(row["ends_at"]),
            row["equipment"],
            row["stands"],
        )
        for row in rows
    ]
    assumed = not windows
    if assumed:
        midnight = at // DAY * DAY
        shifts = (
            (midnight + d * DAY + SHIFT[0] * HOUR, midnight + d * DAY + SHIFT[1] * HOUR) for d in range(round(days) + 1)
        )
        windows = [Window(-n, start, end) for n, (start, end) in enumerate(shifts, 1) if start >= at]
    crews = [Crew(row["key"], row["people"], frozenset(row["skills"])) for row in await db.rows("crews")]
    return work, windows, crews, at, assumed


def _job(row: Row, now: int) -> Job:
    plan: dict[str, Any] = row["plan"]
    return Job(
        id=row["id"],
        equipment=row["equipment"],
        title=row["title"],
        minutes=int(plan.get("minutes", 60)),
        people=int(plan.get("crew", 1)),
        skills=tuple(plan.get("skills", ())),
        due_at=row["due_at"],
        earliest=now + round(row["wait_days"] * DAY) if row["wait_days"] else 0,
        failure_cost=float(plan.get("failure_cost", 0)),
        cost=float(plan.get("cost", 0)),
        stop=bool(plan.get("stop", True)),
    )


async def propose(db: Transaction, days: float, stop_cost: float) -> CalendarAnswer:
    work, windows, crews, now, assumed = await _facts(db, days)
    jobs = [_job(row, now) for row in work]
    # up to its time limit of a few seconds: not in the loop that serves everybody else
    found = await asyncio.to_thread(arrange, jobs, windows, crews, now, stop_cost)
    return _answer(found, {row["id"]: row for row in work}, assumed)


def _answer(found: Calendar, work: dict[int, Row], assumed: bool) -> CalendarAnswer:
    items = []
    for placed in found.placed:
        row, window = work[placed.job.id], placed.window
        start = None if window is None else to_datetime(window.start)
        items.append(
            CalendarEntry(
                work_order_id=row["id"],
                equipment=row["equipment"],
                component=row["component"],
                title=row["title"],
                state=row["state"],
                priority=row["priority"],
                due_at=None if row["due_at"] is None else to_datetime(row["due_at"]),
                start=start,
                end=None if window is None else to_datetime(window.start + placed.job.minutes * MINUTE),
                expected_loss=round(placed.risk, 2),
                shares_stop_with=list(placed.with_jobs),
                why=list(placed.why),
            )
        )
    return CalendarAnswer(
        items=items,
        cost=round(found.cost, 2),
        cost_apart=round(found.apart, 2),
        stops=found.stops,
        proven=found.proven,
        windows_assumed=assumed,
    )


async def apply(db: Transaction, who: Principal, days: float, stop_cost: float) -> Applied:
    """Schedule what may be, as proposed; in one order, so that two who apply at once do not wait for each other."""
    proposal = await propose(db, days, stop_cost)
    done: list[int] = []
    for item in sorted(proposal.items, key=lambda item: item.work_order_id):
        if item.start is None or item.end is None or item.state.value not in _MOVABLE:
            continue
        facts = service.schedule_facts(Schedule(start=item.start, end=item.end, crew=""))
        await service.operate(db, who, item.work_order_id, WorkEvent.SCHEDULE, "", facts)
        done.append(item.work_order_id)
    return Applied(scheduled=done, calendar=proposal)
