"""Advisories and work orders: read, and handed to the one place that reduces them (the database)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from core.maintenance import ADVISORY_STEPS, BY_PEOPLE, WORK_STEPS, AdvisoryEvent, AdvisoryState, WorkEvent, WorkState
from core.maintenance_plan import MaintenancePlan, TaskDef
from core.repeat import expand
from core.time import DAY, from_datetime, to_datetime
from models.maintenance.plan import plan_of
from models.maintenance.urgency import plan_of_work, unknown_work
from services.api.auth import Principal
from services.api.database import Row, Transaction, visible
from services.api.errors import ParameterError
from services.predictive_maintenance.model import (
    Advisory,
    AdvisoryStep,
    CheckLine,
    Evidence,
    NewWork,
    Photo,
    Schedule,
    Task,
    Verification,
    WorkDetail,
    WorkEntry,
    WorkOrder,
    WorkStep,
)
from services.telemetry.model import EquipmentRef

_LONGEST: Final = 92 * DAY
"""Of one piece of work; longer ones are projects and have plans of their own."""


def allowed_decisions(state: AdvisoryState) -> list[AdvisoryEvent]:
    """What people may decide in a state, in the order of :data:`core.maintenance.BY_PEOPLE`."""
    possible = {step.event for step in ADVISORY_STEPS if step.state == state}
    return [event for event in BY_PEOPLE if event in possible]


def allowed_steps(state: WorkState, ready: bool) -> list[WorkEvent]:
    possible = {step.event for step in WORK_STEPS if step.state == state and step.ready in (None, ready)}
    return [event for event in WorkEvent if event in possible]


def _reference(row: Row) -> EquipmentRef:
    return EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"])


def _task(plan: Mapping[str, Any]) -> Task | None:
    return Task.model_validate(plan) if plan.get("name") else None


_COMMON: Final = frozenset(("source", "kind", "title", "at", "since", "holds", "priority"))


def evidence_of(line: Mapping[str, Any]) -> Evidence:
    return Evidence(
        source=line["source"],
        kind=line["kind"],
        title=line["title"],
        at=to_datetime(line["at"]),
        since=to_datetime(line["since"]),
        holds=line["holds"],
        priority=line["priority"],
        detail={name: value for name, value in line.items() if name not in _COMMON},
    )


def advisory_of(row: Row) -> Advisory:
    lines = sorted(row["evidence"], key=lambda line: (not line["holds"], -line["at"]))
    return Advisory.model_validate(
        {
            **row,
            "equipment": _reference(row),
            "work": _task(row["plan"]),
            "evidence": [evidence_of(line) for line in lines],
            "allowed": allowed_decisions(AdvisoryState(row["state"])),
        }
    )


_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(
    ("id", "state", "priority", "equipment", "due_before", "after_at", "after_id")
)
_NO_WORK_FILTER: Final[dict[str, Any]] = dict.fromkeys(
    ("id", "state", "unfinished", "kind", "equipment", "advisory", "after_at", "after_id")
)


async def advisories(db: Transaction, count: int, **filters: Any) -> list[Row]:
    """Rows, newest change first; filters left out do not filter."""
    return await db.rows("advisories", **{**_NO_FILTER, **filters, "count": count})


async def advisory(db: Transaction, number: int) -> Advisory:
    return advisory_of(visible(await advisories(db, 1, id=number), "advisory"))


async def decide(
    db: Transaction, who: Principal, number: int, event: AdvisoryEvent, why: str, until: datetime | None = None
) -> AdvisoryStep:
    """A person's decision. Raises (through the database) not-found, forbidden, conflict, invalid-input."""
    step = await db.row(
        "operate_advisory", advisory=number, command=event.value, who=who.actor, why=why.strip(), until=until
    )
    assert step is not None
    return AdvisoryStep.model_validate({**step, "advisory": await advisory(db, number)})


def work_of(row: Row, kind: type[WorkOrder] = WorkOrder, **more: Any) -> WorkOrder:
    lines = [CheckLine.model_validate({**line, "line": n}) for n, line in enumerate(row["checklist"])]
    ready = all(line.done_at is not None for line in lines if line.obligatory)
    plan = row["plan"] if row["plan"].get("name") else unknown_work(row["component"], row["title"])
    return kind.model_validate(
        {
            **row,
            "equipment": _reference(row),
            "work": _task(plan),
            "checklist": lines,
            "verification": _verification(row["verification"]),
            "allowed": allowed_steps(WorkState(row["state"]), ready),
            **more,
        }
    )


def _verification(seen: Mapping[str, Any]) -> Verification:
    if not seen:
        return Verification()
    return Verification(
        verdict=seen.get("verdict"),
        text=seen.get("text", ""),
        ran_hours=seen.get("ran_hours"),
        needed_hours=seen.get("needed_hours"),
        seen_until=None if seen.get("seen_until") is None else to_datetime(seen["seen_until"]),
    )


async def work_orders(db: Transaction, count: int, **filters: Any) -> list[Row]:
    return await db.rows("work_orders", **{**_NO_WORK_FILTER, **filters, "count": count})


async def _work_row(db: Transaction, number: int) -> Row:
    return visible(await work_orders(db, 1, id=number), "work order")


async def work_order(db: Transaction, number: int) -> WorkDetail:
    row = await _work_row(db, number)
    entries = [WorkEntry.model_validate(x) for x in await db.rows("work_entries", work=number)]
    photos = [Photo.model_validate(x) for x in await db.rows("work_photos", work=number)]
    found = work_of(row, WorkDetail, entries=entries, photos=photos)
    assert isinstance(found, WorkDetail)
    return found


async def operate(
    db: Transaction,
    who: Principal,
    number: int,
    event: WorkEvent,
    why: str = "",
    facts: Mapping[str, Any] | None = None,
    moment: datetime | None = None,
) -> WorkStep:
    """One step of a work order by a person."""
    step = await db.row(
        "operate_work",
        work=number,
        command=event.value,
        who=who.actor,
        why=why.strip(),
        facts=json.dumps(facts or {}),
        moment=moment,
    )
    assert step is not None
    return WorkStep.model_validate({**step, "work_order": work_of(await _work_row(db, number))})


def schedule_facts(order: Schedule) -> dict[str, Any]:
    if order.end <= order.start:
        raise ParameterError("it ends before it begins", pointer="/end")
    if from_datetime(order.end) - from_datetime(order.start) > _LONGEST:
        raise ParameterError(f"at most {_LONGEST // DAY} days", pointer="/end")
    return {"start": from_datetime(order.start), "end": from_datetime(order.end), "crew": order.crew}


async def moment_of(db: Transaction, given: datetime | None) -> datetime | None:
    """When people say it happened: not later than now of the tenant's timeline, or of the clock."""
    if given is None:
        return None
    now = await db.value("timeline")
    if given > now:
        raise ParameterError("that lies in the future", pointer="/at")
    return given


async def plan_for(db: Transaction, equipment: int) -> tuple[MaintenancePlan, Row]:
    """What the type of an equipment says about upkeep, with the row it came in."""
    row = visible(await db.row("plan_of_equipment", equipment=equipment), "equipment")
    return plan_of({"maintenance": row["maintenance"], "components": row["components"] or ()}), row


def planned(plan: MaintenancePlan, component: str, task: str) -> dict[str, Any] | None:
    """The plan of a task on a component; None where the type knows no such task there."""
    for found, binding in plan.tasks_on(component):
        if found.key == task:
            return plan_of_work(plan, found, component, binding)
    return None


async def new_work(db: Transaction, who: Principal, equipment: int, body: NewWork) -> int:
    """Plan work that no advisory asked for."""
    plan: dict[str, Any] | None = None
    if body.task is not None:
        known, _ = await plan_for(db, equipment)
        plan = planned(known, body.component, body.task)
        if plan is None:
            raise ParameterError("the type knows no such task on this component", pointer="/task")
    if plan is None:
        plan = {**unknown_work(body.component, ""), "name": body.title, "steps": []}
    made = await db.value(
        "plan_work",
        equipment=equipment,
        component=body.component,
        kind=body.kind,
        task=body.task,
        failure_mode=body.failure_mode,
        title=body.title,
        priority=body.priority.value,
        due=body.due_at,
        plan=json.dumps(plan),
        who=who.actor,
    )
    assert isinstance(made, int)
    return made


def places(task: TaskDef) -> list[tuple[str, dict[str, str]]]:
    """The concrete components of a task, with the values of its placeholders."""
    return list(expand(task.component, task.repeat))


async def reference(db: Transaction, equipment: int) -> EquipmentRef:
    row = visible(await db.row("equipment_reference", equipment=equipment), "equipment")
    return EquipmentRef.model_validate(row)
