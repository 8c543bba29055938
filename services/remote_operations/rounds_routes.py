"""`/v1/rollouts` and `/v1/inspections`."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse

from core.command import CommandClass
from core.errors import InvalidInputError
from services.api.auth import Operating, Reading
from services.api.database import Row, Transaction, visible
from services.api.errors import responses
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import LongNumber, Number, Pages, equipment_id, maybe_equipment_id, paged
from services.remote_operations import rounds_model as model
from services.remote_operations import rounds_page, service
from services.telemetry.model import EquipmentRef

router = APIRouter(tags=["remote operations"])

_ROLLOUT: Final[dict[str, Any]] = {
    "id": 3,
    "title": "Report every 30 s",
    "key": "report_interval_s",
    "value": 30,
    "state": "running",
    "cohort": 1,
    "reason": "",
    "patience_s": 3600.0,
    "watch_s": 7200.0,
    "started_at": "2026-11-22T10:00:00Z",
    "changed_at": "2026-11-22T10:00:00Z",
    "started_by": "api-key:5mTq0aXe",
    "members": [{"equipment": "P-1", "cohort": 1, "version": 2, "reached": False}],
}
_INSPECTION: Final[dict[str, Any]] = {
    "id": 5,
    "equipment": {"id": 7, "key": "P-1", "name": "Pump"},
    "title": "Night round",
    "points": ["vibration"],
    "every_minutes": 1440.0,
    "baseline_days": 14.0,
    "tolerance": 4.0,
    "max_age_minutes": 10.0,
    "capture": None,
    "channels": ["motor.de"],
    "next_at": "2026-11-23T02:00:00Z",
    "stopped_at": None,
    "made_by": "api-key:5mTq0aXe",
}
_REPORT: Final[dict[str, Any]] = {
    "id": 12,
    "at": "2026-11-22T02:00:00Z",
    "state": "running",
    "findings": 1,
    "points": {
        "vibration": {
            "value": 9.1,
            "at": 1795312800000000,
            "unit": "mm/s",
            "mean": 2.1,
            "deviation": 0.2,
            "hours": 336,
            "finding": "9.100 mm/s, 35.0 deviations from its mean of 2.100",
        }
    },
    "command_id": None,
    "waveforms": [812],
}


def _rollout(row: Row) -> model.Rollout:
    return model.Rollout.model_validate({**row, "members": row["members"] or []})


def _inspection(row: Row) -> model.Inspection:
    about = EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"])
    return model.Inspection.model_validate({**row, "equipment": about})


async def _one_rollout(db: Transaction, number: int) -> model.Rollout:
    return _rollout(visible(await db.rows("rollouts", id=number, after=None, count=1), "roll-out"))


async def _one_inspection(db: Transaction, number: int) -> model.Inspection:
    rows = await db.rows("inspections", id=number, equipment=None, after=None, count=1)
    return _inspection(visible(rows, "inspection"))


@router.get("/rollouts", summary="Roll-outs of configuration", responses=paged(rollouts=_ROLLOUT))
async def list_rollouts(session: Reading, paging: Pages) -> Page[model.Rollout]:
    """In the order in which they were started."""
    return await paging.listed(session, "rollouts", _rollout, id=None)


@router.post(
    "/rollouts",
    status_code=201,
    summary="Bring a property to many machines, cohort by cohort",
    responses={201: examples(started=_ROLLOUT), **responses("invalid-input", "not-found")},
)
async def start_rollout(session: Operating, response: Response, body: model.NewRollout) -> model.Rollout:
    """The canary first. The next cohort begins when all of the present one has said that it is so and was quiet for a
    while; an urgent or high alarm, or silence beyond patience, pauses it."""
    cohorts = [[await equipment_id(session.db, machine) for machine in cohort] for cohort in body.cohorts]
    made = await session.db.value(
        "start_rollout",
        title=body.title,
        key=body.key,
        wanted=json.dumps(body.value),
        cohorts=json.dumps(cohorts),
        patience_s=60 * body.patience_minutes,
        watch_s=60 * body.watch_minutes,
        who=session.principal.actor,
    )
    await session.audit("rollout.started", f"rollout/{made}", key=body.key)
    response.headers["Location"] = f"/v1/rollouts/{made}"
    return await _one_rollout(session.db, made)


@router.get(
    "/rollouts/{rollout}",
    summary="One roll-out",
    responses={200: examples(rollout=_ROLLOUT), **responses("not-found")},
)
async def show_rollout(session: Reading, rollout: Number) -> model.Rollout:
    """Machine by machine."""
    return await _one_rollout(session.db, rollout)


@router.post(
    "/rollouts/{rollout}/steer",
    summary="Pause, resume or roll back",
    responses={200: examples(steered=_ROLLOUT), **responses("not-found", "conflict")},
)
async def steer_rollout(session: Operating, rollout: Number, body: model.Steer) -> model.Rollout:
    """Rolled back, every machine it reached is wished what it was before, but for what somebody wished since."""
    await session.db.value(
        "steer_rollout", rollout=rollout, wish=body.wish, why=body.reason, who=session.principal.actor
    )
    await session.audit("rollout.steered", f"rollout/{rollout}", wish=body.wish)
    return await _one_rollout(session.db, rollout)


@router.get(
    "/inspections",
    summary="Inspections that nobody has to walk for",
    responses=paged("not-found", inspections=_INSPECTION),
)
async def list_inspections(
    session: Reading, paging: Pages, equipment: Annotated[str | None, Query(max_length=128)] = None
) -> Page[model.Inspection]:
    """Also those that were stopped."""
    found = await maybe_equipment_id(session.db, equipment)
    return await paging.listed(session, "inspections", _inspection, id=None, equipment=found)


@router.post(
    "/inspections",
    status_code=201,
    summary="Plan inspections of a machine",
    responses={201: examples(planned=_INSPECTION), **responses("invalid-input", "not-found", "conflict")},
)
async def plan_inspection(session: Operating, body: model.NewInspection) -> model.Inspection:
    """Each round reads the points, compares each with its own hourly means before, asks for a capture if wished, and
    files a report."""
    found = await equipment_id(session.db, body.equipment)
    if body.capture is not None:
        offered = await service.offered(session.db, found, session.app.parse_type)
        if not any(c.key == body.capture and c.command_class is CommandClass.READ for c in offered):
            raise InvalidInputError(f"the machine offers no reading command {body.capture!r}")
    made = await session.db.value(
        "plan_inspection",
        equipment=found,
        title=body.title,
        points=body.points,
        every_minutes=body.every_minutes,
        baseline_days=body.baseline_days,
        tolerance=body.tolerance,
        max_age_minutes=body.max_age_minutes,
        capture=body.capture,
        channels=body.channels,
        who=session.principal.actor,
    )
    await session.audit("inspection.planned", f"inspection/{made}", equipment=found)
    return await _one_inspection(session.db, made)


@router.delete(
    "/inspections/{inspection}",
    status_code=204,
    summary="Stop inspections",
    responses={204: {"description": "No round follows; its reports stay"}, **responses("not-found")},
)
async def stop_inspection(session: Operating, inspection: Number) -> None:
    """The plan stays as a record."""
    await session.db.row("stop_inspection", plan=inspection)
    await session.audit("inspection.stopped", f"inspection/{inspection}")


@router.get(
    "/inspections/{inspection}/reports",
    summary="What the rounds found, newest first",
    responses=paged("not-found", reports=_REPORT),
)
async def inspection_reports(session: Reading, inspection: Number, paging: Pages) -> Page[model.Report]:
    """Also those without findings."""
    await _one_inspection(session.db, inspection)
    return await paging.listed(session, "inspection_reports", model.Report.model_validate, plan=inspection, id=None)


@router.get(
    "/inspection-reports/{report}/page",
    summary="A round's report to read",
    response_class=HTMLResponse,
    responses={
        200: {"content": {"text/html": {"example": "<!doctype html>…"}}},
        **responses("not-found"),
    },
)
async def inspection_report_page(session: Reading, report: LongNumber) -> HTMLResponse:
    """One page without scripts, with pictures of the waveforms that the round asked for."""
    row = visible(await session.db.rows("inspection_reports", plan=None, id=report, after=None, count=1), "report")
    plan = await _one_inspection(session.db, row["plan_id"])
    found = model.Report.model_validate(row)
    return HTMLResponse(await rounds_page.page(session.db, plan, found, session.app.parse_type))
