"""Tasks that are due by themselves: dates out of what machines have run, and work orders for those that come near."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Final

from core.maintenance_plan import Due
from core.time import HOUR, from_datetime, to_datetime
from models.maintenance.preventive import DueDate, Use, due_date
from services.api.database import Transaction
from services.predictive_maintenance import service
from services.predictive_maintenance.planning_model import PreventiveTask

ACTOR: Final = "preventive"
AHEAD_DAYS: Final = 30.0
"""A work order is made that long before: time to order parts and to find a window."""


async def tasks_of(db: Transaction, equipment: int) -> list[PreventiveTask]:
    """All preventive tasks of a machine, the most used up first."""
    plan, _ = await service.plan_for(db, equipment)
    begin = await db.row("preventive_begin", equipment=equipment)
    assert begin is not None
    reference = await service.reference(db, equipment)
    known = {(row["task"], row["component"]): row for row in await db.rows("preventive_facts", equipment=equipment)}
    found: list[PreventiveTask] = []
    for task, component, binding in plan.preventive():
        assert task.due is not None
        row = known.get((task.key, component))
        done = row["done_at"] if row else None
        use = await _use(db, equipment, task.due, binding, done or begin["began"], begin["now"])
        due = due_date(task.due, use)
        found.append(
            PreventiveTask(
                equipment=reference,
                component=component,
                task=task.key,
                name=task.name.format_map(binding),
                due_at=None if due.due_at is None else to_datetime(due.due_at),
                overdue=_overdue(due, use),
                used=round(due.used, 4),
                rule=due.rule,
                last_done_at=done,
                work_order_id=row["work_order_id"] if row else None,
            )
        )
    return sorted(found, key=lambda one: (-one.used, one.component, one.task))


def _overdue(due: DueDate, use: Use) -> bool:
    return due.due_at is not None and due.due_at <= use.now


async def _use(db: Transaction, equipment: int, due: Due, binding: dict[str, str], since: object, now: object) -> Use:
    hours = count = value = None
    if due.hours is not None:
        ran = await db.value("running_time", equipment=equipment, since=since, upto=now)
        hours = ran / HOUR
    if due.counter is not None:
        point = due.counter.format_map(binding)
        latest = await db.row("latest_of", equipment=equipment, point=point)
        start = await db.value("counter_at", equipment=equipment, point=point, at=since)
        if latest is not None and start is not None:
            count = max(0.0, latest["value"] - start)
    if due.point is not None:
        latest = await db.row("latest_of", equipment=equipment, point=due.point.format_map(binding))
        value = None if latest is None else latest["value"]
    return Use(from_datetime(since), from_datetime(now), hours, count, value)  # type: ignore[arg-type]


async def plan_due(db: Transaction, equipment: int, days: float, who: str) -> list[int]:
    """Work orders for what comes due within ``days`` and has none yet."""
    made: list[int] = []
    now = await db.value("timeline")
    for task in await tasks_of(db, equipment):
        if task.work_order_id is not None or task.due_at is None or task.due_at > now + timedelta(days=days):
            continue
        plan, _ = await service.plan_for(db, equipment)
        work = service.planned(plan, task.component, task.task)
        assert work is not None
        order = await db.value(
            "plan_work",
            equipment=equipment,
            component=task.component,
            kind="preventive",
            task=task.task,
            failure_mode=None,
            title=task.name,
            priority="medium" if task.overdue else "low",
            due=task.due_at,
            plan=json.dumps(work),
            who=who,
        )
        made.append(order)
    return made
