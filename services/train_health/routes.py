"""`/v1/equipment/…/troubles`, `…/codes/…`, `…/configuration`, `/v1/trains`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from services.api.auth import Reading
from services.api.errors import ParameterError, responses
from services.api.moments import Moment
from services.api.parameters import examples
from services.api.routing import EquipmentRef, equipment_id
from services.tenancy.service import equipment_ref
from services.train_health import service
from services.train_health.model import Configuration, FleetFigures, GuideStep, Troubles

router = APIRouter(tags=["trains"])

WINDOW: Final = timedelta(days=7)
LONGEST: Final = timedelta(days=400)
From = Annotated[Moment | None, Query(alias="from", description="Inclusive; seven days before `to`, if not given")]
To = Annotated[Moment | None, Query(alias="to", description="Exclusive; now, if not given")]

_EQUIPMENT: Final[dict[str, Any]] = {"id": 12, "key": "T-11", "name": "Train 11"}
_SEEN: Final[dict[str, Any]] = {
    "code": "E701",
    "title": "Auxiliary supply lost",
    "component": "car3",
    "first": "2026-11-22T08:00:00Z",
    "last": "2026-11-22T08:00:00Z",
    "count": 1,
    "active": True,
}
_TROUBLES: Final[dict[str, Any]] = {
    "equipment": _EQUIPMENT,
    "items": [
        {
            "first_out": _SEEN,
            "environment": {"speed": 61.5, "battery_voltage": 98.5},
            "start": "2026-11-22T08:00:00Z",
            "end": "2026-11-22T08:00:20Z",
            "reports": 500,
            "codes": [_SEEN],
        }
    ],
    "complete": True,
}
_STEP: Final[dict[str, Any]] = {
    "code": "D101",
    "title": "Door not locked",
    "component": "car3.door5",
    "priority": "low",
    "advice": "next_inspection",
    "consequence": "No traction until the door is locked or locked out of use.",
    "action": "Close it again; if that does not help lock the door out of use and go on.",
    "step": "leaf",
    "ask": "Does the leaf reach its end by hand, without force?",
    "do": None,
    "failure_mode": None,
    "look": [
        {
            "point": "car3.door5.friction",
            "description": "current against the doors of the same stop and its own past",
            "unit": "1",
            "value": 1.62,
            "ts": "2026-11-22T08:00:00Z",
        }
    ],
}
_CONFIGURATION: Final[dict[str, Any]] = {
    "equipment": _EQUIPMENT,
    "vehicles": [{"place": "car3", "vehicle": 613, "since": "2026-11-20T04:10:00Z"}],
}
_FIGURES: Final[dict[str, Any]] = {
    "trains": [
        {
            "equipment": _EQUIPMENT,
            "type": "metro-emu-6",
            "km": 3120.5,
            "withdrawals": 0,
            "end_of_day": 1,
            "mdbf_km": 3120.5,
            "delay_minutes": 4.0,
            "cycles": 94_000,
        }
    ],
    "km": 3120.5,
    "failures": 1,
    "mdbf_km": 3120.5,
    "delay_minutes": 4.0,
}


async def _span(session: Reading, time_from: datetime | None, time_to: datetime | None) -> tuple[datetime, datetime]:
    end: datetime = time_to or await session.db.value("train_now")
    begin = time_from or end - WINDOW
    if begin >= end:
        raise ParameterError("lies at or after the end", parameter="from")
    if end - begin > LONGEST:
        raise ParameterError(f"at most {LONGEST.days} days", parameter="from")
    return begin, end


@router.get(
    "/equipment/{equipment}/troubles",
    summary="Trouble codes, what came together as one",
    responses={200: examples(troubles=_TROUBLES), **responses("not-found")},
)
async def list_troubles(
    session: Reading, equipment: EquipmentRef, time_from: From = None, time_to: To = None
) -> Troubles:
    """A storm of codes from one cause is one trouble, with the code that came first by its own time."""
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    begin, end = await _span(session, time_from, time_to)
    return await service.troubles(session.db, found, session.app.parse_type, begin, end)


@router.get(
    "/equipment/{equipment}/codes/{code}",
    summary="Search by a trouble code, step by step",
    responses={200: examples(step=_STEP), **responses("not-found", "invalid-input")},
)
async def search_by_code(
    session: Reading,
    equipment: EquipmentRef,
    code: Annotated[str, Path(min_length=1, max_length=100, examples=["D101"])],
    component: Annotated[str, Query(max_length=120, description="Key of the component that reported it")] = "",
    answers: Annotated[
        str, Query(pattern=r"^((yes|no)(,(yes|no))*)?$", max_length=200, description="What was answered so far")
    ] = "",
) -> GuideStep:
    """Ask without answers first; then with one more `yes` or `no` (`yes,no,yes`) until the step says what to do."""
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    given = [answer == "yes" for answer in answers.split(",") if answer]
    return await service.guide(session.db, found, session.app.parse_type, code, component, given)


@router.get(
    "/equipment/{equipment}/configuration",
    summary="Which vehicle stood where",
    responses={200: examples(configuration=_CONFIGURATION), **responses("not-found")},
)
async def show_configuration(
    session: Reading, equipment: EquipmentRef, time_from: From = None, time_to: To = None
) -> Configuration:
    """As the train reported it (points `car….vehicle`); a train that was formed anew has a place twice."""
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    begin, end = await _span(session, time_from, time_to)
    return await service.configuration(session.db, found, begin, end)


@router.get("/trains", summary="Kilometres, failures, delays", responses={200: examples(figures=_FIGURES)})
async def show_trains(session: Reading, time_from: From = None, time_to: To = None) -> FleetFigures:
    """All machines that count kilometres (`train.odometer`). Delays are events of kind `delay` with `minutes`."""
    begin, end = await _span(session, time_from, time_to)
    return await service.figures(session.db, begin, end)
