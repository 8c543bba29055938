"""`/v1/equipment/{equipment}/preventive-tasks`."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from services.api.auth import Planning, Reading
from services.api.errors import responses
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import EquipmentRef, equipment_id
from services.predictive_maintenance import preventive
from services.predictive_maintenance.planning_model import PlanDue, Planned, PreventiveTask

router = APIRouter(tags=["preventive tasks"])

TASK: Final[dict[str, Any]] = {
    "equipment": {"id": 7, "key": "K-101", "name": "Compressor K-101"},
    "component": "lube_oil",
    "task": "sample-oil",
    "name": "Take an oil sample",
    "due_at": "2027-01-20T00:00:00Z",
    "overdue": False,
    "used": 0.35,
    "rule": "every 90 d",
    "last_done_at": None,
    "work_order_id": None,
}


@router.get(
    "/equipment/{equipment}/preventive-tasks",
    summary="What is due by itself",
    responses={200: examples(tasks={"items": [TASK], "next": None}), **responses("not-found")},
)
async def list_preventive_tasks(session: Reading, equipment: EquipmentRef) -> Page[PreventiveTask]:
    """By calendar, running hours, a counter, or a condition, whichever is first; the most used up first."""
    number = await equipment_id(session.db, equipment)
    return Page(items=await preventive.tasks_of(session.db, number), next=None)


@router.post(
    "/equipment/{equipment}/preventive-tasks/plan",
    summary="Make work orders of what comes due",
    responses={200: examples(planned={"work_order_ids": [6]}), **responses("not-found", "conflict")},
)
async def plan_preventive(session: Planning, equipment: EquipmentRef, body: PlanDue | None = None) -> Planned:
    """Within so many days; a task that has an unfinished work order gets no second one. Done by itself every few
    minutes too, for 30 days ahead."""
    number = await equipment_id(session.db, equipment)
    days = body.days if body else preventive.AHEAD_DAYS
    made = await preventive.plan_due(session.db, number, days, session.principal.actor)
    await session.audit("preventive.plan", f"equipment/{number}", days=days, work_orders=made)
    return Planned(work_order_ids=made)
