"""`/v1/alarms/{alarm}/definition`, `/v1/bad-actors`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import ConfigDict, Field, StringConstraints

from core.condition import Priority
from services.alarms import service
from services.alarms.definitions import proposals, try_on
from services.alarms.model import Comment
from services.api.auth import Engineering, Reading
from services.api.database import visible
from services.api.errors import responses
from services.api.etag import MATCHED, TAGGED, answer_tagged, require_match
from services.api.moments import Moment
from services.api.parameters import Answer, Strict, examples
from services.api.routing import LongNumber, MaybeEquipment, maybe_equipment_id
from services.telemetry.model import EquipmentRef

router = APIRouter(tags=["alarms"])


class Definition(Answer):
    """What holds for an alarm, over what its type says."""

    latching: bool | None = Field(description="Null: as the type says")
    priority: Priority | None = Field(description="Null: as the type says")
    reason: str | None
    changed_by: str | None
    changed_at: Moment | None
    latching_now: bool
    priority_now: Priority


class PutDefinition(Strict):
    """Whole, as given: what is null is as the type says."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"latching": True, "reason": "a trip is looked at before it is reset"}]}
    )

    latching: bool | None = None
    priority: Annotated[Priority, Field(strict=False)] | None = None
    reason: Annotated[Comment, StringConstraints(min_length=1)] = Field(description="Kept with the definition")


class Effect(Answer):
    """What a definition would have asked of people, at least."""

    announced: dict[str, int] = Field(description="By priority")
    acknowledgements: int
    resets: int


class DryRun(Answer):
    """History as it would have been: with the definition of now, and with the one that is tried."""

    time_from: Moment = Field(serialization_alias="from")
    transitions: int = Field(description="What the condition did meanwhile")
    now: Effect
    then: Effect


class BadActor(Answer):
    """An alarm that costs more attention than others, and what to do about it."""

    id: int
    equipment: EquipmentRef
    condition: str
    title: str
    priority: Priority
    announced: int
    share: float = Field(description="Of all announcements in that time, 0 to 1")
    fleeting: int = Field(description="Times it was gone within 10 s")
    chattering: int = Field(description="Times it spoke again within a minute")
    longest_seconds: float | None
    proposals: list[str]


class BadActors(Answer):
    time_from: Moment = Field(serialization_alias="from")
    time_to: Moment = Field(serialization_alias="to")
    announced: int = Field(description="By all alarms together")
    items: list[BadActor]


_AT: Final = "2026-11-22T10:00:00Z"
_DEFINITION: Final[dict[str, Any]] = {
    "latching": True,
    "priority": None,
    "reason": "a trip is looked at before it is reset",
    "changed_by": "user:12:u-4711",
    "changed_at": _AT,
    "latching_now": True,
    "priority_now": "high",
}
_EFFECT: Final[dict[str, Any]] = {"announced": {"high": 14}, "acknowledgements": 14, "resets": 0}
_DRY_RUN: Final[dict[str, Any]] = {
    "from": _AT,
    "transitions": 28,
    "now": _EFFECT,
    "then": {**_EFFECT, "resets": 14},
}
_BAD: Final[dict[str, Any]] = {
    "from": "2026-10-23T10:00:00Z",
    "to": _AT,
    "announced": 120,
    "items": [
        {
            "id": 42,
            "equipment": {"id": 7, "key": "K-101", "name": "Compressor 1"},
            "condition": "filter/differential_pressure/high",
            "title": "Lube-oil filter: differential pressure high",
            "priority": "high",
            "announced": 61,
            "share": 0.51,
            "fleeting": 2,
            "chattering": 40,
            "longest_seconds": 310.0,
            "proposals": ["It spoke again within a minute 40 times: give the limit a deadband …"],
        }
    ],
}


async def _definition(session: Reading, alarm: int) -> dict[str, Any]:
    row = visible(await session.db.row("alarm_definition", alarm=alarm), "alarm")
    return row


@router.get(
    "/alarms/{alarm}/definition",
    summary="What holds for an alarm over its type",
    response_model=Definition,
    responses={200: examples(definition=_DEFINITION), **TAGGED, **responses("not-found")},
)
async def show_definition(request: Request, session: Reading, alarm: LongNumber) -> Response:
    """Latching, priority, and why. Limits themselves stand in the type."""
    row = await _definition(session, alarm)
    version = f"{alarm}/{row['revision']}/{row['latching_now']}/{row['priority_now']}"
    return answer_tagged(request, Definition.model_validate(row), version)


@router.put(
    "/alarms/{alarm}/definition",
    summary="Define an alarm otherwise than its type",
    responses={200: examples(definition=_DEFINITION), **MATCHED, **responses("not-found")},
)
async def put_definition(request: Request, session: Engineering, alarm: LongNumber, body: PutDefinition) -> Definition:
    """From the next transition on; its state now stays. Needs the right to manage the equipment. Try it before with
    `…/definition/dry-run`."""
    await service.version(session.db, alarm, hold=True)
    row = await _definition(session, alarm)
    require_match(request, f"{alarm}/{row['revision']}/{row['latching_now']}/{row['priority_now']}")
    await session.db.value(
        "define_alarm",
        alarm=alarm,
        latching=body.latching,
        priority=body.priority,
        reason=body.reason,
        who=session.principal.actor,
    )
    await session.audit("alarm.defined", f"alarm/{alarm}", **body.model_dump(mode="json"))
    return Definition.model_validate(await _definition(session, alarm))


@router.post(
    "/alarms/{alarm}/definition/dry-run",
    summary="What a definition would have meant",
    responses={200: examples(tried=_DRY_RUN), **responses("not-found")},
)
async def try_definition(
    session: Engineering,
    alarm: LongNumber,
    body: PutDefinition,
    days: Annotated[int, Query(ge=1, le=366, description="How far back")] = 90,
) -> DryRun:
    """The history of its condition through the state machine, with the definition of now and with this one. Nothing is
    changed."""
    row = await _definition(session, alarm)
    start = service.now() - timedelta(days=days)
    history = await session.db.rows("alarm_history", alarm=alarm, time_from=start)
    latching = row["latching_now"] if body.latching is None else body.latching
    now = try_on(history, row["latching_now"], row["priority"])
    then = try_on(history, latching, body.priority)
    return DryRun(
        time_from=start,
        transitions=len(history),
        now=Effect(announced=now.announced, acknowledgements=now.acknowledged, resets=now.resets),
        then=Effect(announced=then.announced, acknowledgements=then.acknowledged, resets=then.resets),
    )


@router.get(
    "/bad-actors",
    summary="Alarms that cost most attention, and what to do about them",
    responses={200: examples(found=_BAD), **responses("not-found", "too-slow")},
)
async def list_bad_actors(
    session: Reading,
    days: Annotated[int, Query(ge=1, le=366, description="How far back")] = 30,
    equipment: MaybeEquipment = None,
    most: Annotated[int, Query(ge=1, le=100)] = 10,
) -> BadActors:
    """Those that spoke most, with proposals where they chatter, flit, stand or drown the others (ISA-18.2)."""
    end = service.now()
    start = end - timedelta(days=days)
    found = await maybe_equipment_id(session.db, equipment)
    rows = await session.db.rows("bad_actors", time_from=start, time_to=end, equipment=found, count=most)
    total = int(rows[0]["all_announced"]) if rows else 0
    items = [
        BadActor.model_validate(
            {
                **row,
                "equipment": EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"]),
                "share": row["announced"] / total,
                "proposals": proposals({**row, "all_announced": total}),
            }
        )
        for row in rows
    ]
    return BadActors(time_from=start, time_to=end, announced=total, items=items)
