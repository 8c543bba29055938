"""`/v1/maintenance/…`: crews, windows, and the calendar that is proposed."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from core.errors import NotFoundError
from services.api.auth import Planning, Reading
from services.api.errors import ParameterError, responses
from services.api.parameters import examples
from services.api.routing import Number, maybe_equipment_id
from services.predictive_maintenance import calendar
from services.predictive_maintenance.planning_model import (
    AddWindow,
    Applied,
    Apply,
    CalendarAnswer,
    CrewAnswer,
    Crews,
    KeepCrew,
    WindowAnswer,
    Windows,
)

router = APIRouter(prefix="/maintenance", tags=["maintenance calendar"])

Key = Annotated[str, Path(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,79}$", examples=["north"])]
CREW: Final[dict[str, Any]] = {"key": "north", "name": "North", "people": 3, "skills": ["mechanic"]}
WINDOW: Final[dict[str, Any]] = {
    "id": 3,
    "equipment": "K-101",
    "starts_at": "2026-11-28T06:00:00Z",
    "ends_at": "2026-11-28T18:00:00Z",
    "stands": True,
    "note": "plant shut-down",
}
CALENDAR: Final[dict[str, Any]] = {
    "items": [
        {
            "work_order_id": 5,
            "equipment": "K-101",
            "component": "motor.bearing_de",
            "title": "Replace the motor's rolling bearing (de)",
            "state": "approved",
            "priority": "high",
            "due_at": "2026-11-29T10:00:00Z",
            "start": "2026-11-28T06:00:00Z",
            "end": "2026-11-28T14:00:00Z",
            "expected_loss": 3002.0,
            "shares_stop_with": [],
            "why": ["expected loss until then 3002", "the machine stands then anyway"],
        }
    ],
    "cost": 3002.0,
    "cost_apart": 3002.0,
    "stops": 0,
    "proven": True,
    "windows_assumed": False,
}


@router.get("/crews", summary="Your crews", responses={200: examples(crews={"items": [CREW]})})
async def list_crews(session: Reading) -> Crews:
    """Without any, people are no bound of the calendar."""
    return Crews(items=[CrewAnswer.model_validate(row) for row in await session.db.rows("crews")])


@router.post("/crews", summary="Add a crew, or change it", responses={200: examples(crew=CREW)})
async def keep_crew(session: Planning, body: KeepCrew) -> CrewAnswer:
    """So many people with these skills, in every window."""
    await session.db.run("keep_crew", key=body.key, name=body.name, people=body.people, skills=body.skills)
    await session.audit("crew.keep", f"crew/{body.key}", people=body.people)
    return CrewAnswer(**body.model_dump())


@router.delete("/crews/{crew}", status_code=204, summary="Remove a crew", responses=responses("not-found"))
async def remove_crew(session: Planning, crew: Key) -> None:
    """Work that is scheduled for it stays."""
    if not await session.db.run("remove_crew", key=crew):
        raise NotFoundError("there is no such crew")
    await session.audit("crew.remove", f"crew/{crew}")


@router.get("/windows", summary="Planned windows", responses={200: examples(windows={"items": [WINDOW]})})
async def list_windows(session: Reading) -> Windows:
    """From now of your timeline on."""
    now = await session.db.value("timeline")
    rows = await session.db.rows("windows", time_from=now, time_to=None)
    return Windows(items=[WindowAnswer.model_validate(row) for row in rows])


@router.post(
    "/windows",
    status_code=201,
    summary="Add a window",
    responses={201: examples(window=WINDOW), **responses("not-found")},
)
async def add_window(session: Planning, body: AddWindow) -> WindowAnswer:
    """For one machine or for any; `stands`: it stands then anyway, so work in it costs no stop."""
    if body.ends_at <= body.starts_at:
        raise ParameterError("it ends before it begins", pointer="/ends_at")
    equipment = await maybe_equipment_id(session.db, body.equipment)
    made = await session.db.value(
        "add_window",
        equipment=equipment,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        stands=body.stands,
        note=body.note,
    )
    await session.audit("window.add", f"window/{made}", equipment=equipment)
    return WindowAnswer(id=made, **body.model_dump())


@router.delete("/windows/{window}", status_code=204, summary="Remove a window", responses=responses("not-found"))
async def remove_window(session: Planning, window: Number) -> None:
    """Work that is scheduled in it stays."""
    if not await session.db.run("remove_window", window=window):
        raise NotFoundError("there is no such window")
    await session.audit("window.remove", f"window/{window}")


@router.get("/calendar", summary="When to do what, and why", responses={200: examples(calendar=CALENDAR)})
async def propose_calendar(
    session: Reading,
    days: Annotated[float, Query(ge=1, le=366, description="How far ahead")] = 28.0,
    stop_cost: Annotated[
        float, Query(ge=0, le=1e9, allow_inf_nan=False, description="Of stopping a machine once")
    ] = 2000.0,
) -> CalendarAnswer:
    """All work not yet begun, put into your windows so that expected breakdowns and stops cost least, bounded by
    people, skills and parts that are still to come. A proposal: nothing changes."""
    return await calendar.propose(session.db, days, stop_cost)


@router.post(
    "/calendar/apply",
    summary="Schedule as proposed",
    responses={200: examples(applied={"scheduled": [5], "calendar": CALENDAR}), **responses("conflict")},
)
async def apply_calendar(session: Planning, body: Apply | None = None) -> Applied:
    """What is approved or scheduled gets its proposed time; what is only planned waits for approval."""
    body = body or Apply()
    applied = await calendar.apply(session.db, session.principal, body.days, body.stop_cost)
    await session.audit("calendar.apply", "calendar", scheduled=applied.scheduled)
    return applied
