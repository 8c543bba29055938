"""`/v1/equipment/…/commands`, `/v1/commands`, `/v1/inhibits`, `/v1/equipment/…/permits`, `/v1/equipment/…/twin`."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from core.command import CommandState
from services.api.auth import Operating, Reading
from services.api.errors import responses
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import (
    EquipmentRef,
    LongNumber,
    MaybeEquipment,
    Number,
    Pages,
    equipment_id,
    maybe_equipment_id,
    paged,
)
from services.remote_operations import model, rounds_routes, service
from services.tenancy.service import equipment_ref

router = APIRouter(tags=["remote operations"])
router.include_router(rounds_routes.router)

_COMMAND: Final[dict[str, Any]] = {
    "id": 17,
    "equipment": {"id": 7, "key": "K-101", "name": "Compressor K-101"},
    "key": "set_speed",
    "title": "Change the speed set point",
    "class": "adjust",
    "parameters": {"speed": 9800.0},
    "state": "succeeded",
    "approvals": 1,
    "needed": 1,
    "requested_by": "api-key:5mTq0aXe",
    "requested_at": "2026-11-22T10:00:00Z",
    "reason": "less demand tonight",
    "expires_at": "2026-11-22T10:10:00Z",
    "dispatched_at": "2026-11-22T10:01:00Z",
    "blocked": None,
    "result": {"speed": 9800.0},
    "changed_at": "2026-11-22T10:01:02Z",
}
_STEP: Final[dict[str, Any]] = {
    "id": 90,
    "at": "2026-11-22T10:01:00Z",
    "event": "acknowledged",
    "actor": "broker",
    "from_state": "approved",
    "to_state": "sent",
    "note": "the broker has it",
    "detail": {},
}
_OFFERED: Final[dict[str, Any]] = {
    "key": "set_speed",
    "title": "Change the speed set point",
    "class": "adjust",
    "parameters": [
        {"key": "speed", "unit": "{rpm}/min", "low": 3000, "high": 10728, "description": "compressor speed"}
    ],
    "interlocks": [{"state": ["loaded"], "text": "only under load"}],
    "needed": 1,
}
_INHIBIT: Final[dict[str, Any]] = {
    "id": 4,
    "equipment": None,
    "reason": "people on the machine",
    "set_at": "2026-11-22T10:00:00Z",
    "set_by": "api-key:5mTq0aXe",
    "lifted_at": None,
    "lifted_by": None,
}
_TWIN: Final[dict[str, Any]] = {
    "equipment": _COMMAND["equipment"],
    "properties": [
        {
            "key": "report_interval_s",
            "desired": 30,
            "desired_version": 2,
            "desired_at": "2026-11-22T10:00:00Z",
            "desired_by": "api-key:5mTq0aXe",
            "reported": 60,
            "reported_version": 1,
            "reported_at": "2026-11-22T09:00:00Z",
            "drifts": True,
        }
    ],
}


@router.get(
    "/equipment/{equipment}/commands/offered",
    summary="What may be asked of a machine",
    responses={200: examples(offered={"items": [_OFFERED], "next": None}), **responses("not-found", "conflict")},
)
async def list_offered_commands(session: Reading, equipment: EquipmentRef) -> Page[model.Offered]:
    """The commands of its type, with their parameters, interlocks and approvals."""
    found = await equipment_id(session.db, equipment)
    return Page(items=await service.offered(session.db, found, session.app.parse_type), next=None)


@router.post(
    "/equipment/{equipment}/commands",
    status_code=201,
    summary="Ask a machine for something",
    responses={201: examples(requested=_COMMAND), **responses("invalid-input", "not-found", "conflict")},
)
async def request_command(
    session: Operating, response: Response, equipment: EquipmentRef, body: model.NewCommand
) -> model.Command:
    """Checked against its interlocks now, again before it is sent, and by the device. What holds it back is in
    `blocked`, and its state is then `rejected`."""
    found = await equipment_id(session.db, equipment)
    made = await service.request(session.db, found, body, session.app.parse_type, session.principal.actor)
    await session.audit("command.requested", f"command/{made}", command=body.command, parameters=body.parameters)
    response.headers["Location"] = f"/v1/commands/{made}"
    return await service.show(session.db, made)


@router.get("/commands", summary="Commands, newest first", responses=paged("not-found", commands=_COMMAND))
async def list_commands(
    session: Reading,
    paging: Pages,
    equipment: MaybeEquipment = None,
    state: Annotated[list[CommandState] | None, Query(description="Any of these states")] = None,
    standing: Annotated[bool | None, Query(description="True: not settled yet")] = None,
) -> Page[model.Command]:
    """With those that were held back."""
    return await paging.listed(
        session,
        service.rows,
        service.command_of,
        equipment=await maybe_equipment_id(session.db, equipment),
        state=[s.value for s in state] if state else None,
        open=standing,
    )


@router.get(
    "/commands/{command}", summary="One command", responses={200: examples(command=_COMMAND), **responses("not-found")}
)
async def show_command(session: Reading, command: LongNumber) -> model.Command:
    """Its state is what is proved: sent by the broker's acknowledgement, everything behind by the device's receipts."""
    return await service.show(session.db, command)


@router.get(
    "/commands/{command}/journal", summary="What happened to a command", responses=paged("not-found", journal=_STEP)
)
async def command_journal(session: Reading, command: LongNumber, paging: Pages) -> Page[model.CommandStep]:
    """In order: who asked, who agreed, what held it back, what broker and device said, and what was disregarded."""
    await service.show(session.db, command)
    return await paging.listed(session, "command_steps", model.CommandStep.model_validate, command=command)


@router.post(
    "/commands/{command}/approve",
    summary="Agree to somebody else's command",
    responses={200: examples(approved={**_COMMAND, "state": "approved"}), **responses("not-found", "conflict")},
)
async def approve_command(session: Operating, command: LongNumber, body: model.Consent | None = None) -> model.Command:
    """Never one's own, with whatever key; the last approval that its class asks for lets it go. Of classes `start_stop`
    and `safety` both sides are known people: users, or keys made for a person."""
    why = body.reason if body else ""
    await session.db.value("approve_command", command=command, why=why, who=session.principal.actor)
    await session.audit("command.approved", f"command/{command}")
    return await service.show(session.db, command)


@router.post(
    "/commands/{command}/cancel",
    summary="Take a command back",
    responses={200: examples(cancelled={**_COMMAND, "state": "cancelled"}), **responses("not-found", "conflict")},
)
async def cancel_command(session: Operating, command: LongNumber, body: model.Consent | None = None) -> model.Command:
    """Only while it cannot have reached the machine."""
    why = body.reason if body else ""
    await session.db.value("cancel_command", command=command, why=why, who=session.principal.actor)
    await session.audit("command.cancelled", f"command/{command}")
    return await service.show(session.db, command)


@router.get("/inhibits", summary="Emergency inhibits", responses=paged(inhibits=_INHIBIT))
async def list_inhibits(
    session: Reading, paging: Pages, standing: Annotated[bool | None, Query(description="True: not lifted")] = None
) -> Page[model.Inhibit]:
    """Also those that were lifted."""
    return await paging.listed(session, "inhibits", model.Inhibit.model_validate, id=None, standing=standing)


@router.post(
    "/inhibits",
    status_code=201,
    summary="Let nothing out",
    responses={201: examples(set=_INHIBIT), **responses("not-found")},
)
async def set_inhibit(session: Operating, body: model.NewInhibit) -> model.Inhibit:
    """To one machine or to all of yours, at once: what has not gone out is held back, and only reading goes on."""
    found = await maybe_equipment_id(session.db, body.equipment)
    made = await session.db.value("set_inhibit", equipment=found, why=body.reason, who=session.principal.actor)
    await session.audit("inhibit.set", f"inhibit/{made}", equipment=body.equipment, reason=body.reason)
    rows = await session.db.rows("inhibits", id=made, standing=None, after=None, count=1)
    return model.Inhibit.model_validate(rows[0])


@router.delete(
    "/inhibits/{inhibit}",
    status_code=204,
    summary="Lift an inhibit",
    responses={204: {"description": "It is lifted; what it held back stays held back"}, **responses("not-found")},
)
async def lift_inhibit(session: Operating, inhibit: Number) -> None:
    """Commands it rejected have to be asked for anew."""
    await session.db.row("lift_inhibit", inhibit=inhibit, who=session.principal.actor)
    await session.audit("inhibit.lifted", f"inhibit/{inhibit}")


@router.post(
    "/equipment/{equipment}/permits",
    status_code=201,
    summary="Let others act on a machine for a while",
    responses={
        201: examples(given={"id": 2, "valid_until": "2027-01-01T12:00:00Z"}),
        **responses("invalid-input", "not-found"),
    },
)
async def give_permit(session: Operating, equipment: EquipmentRef, body: model.NewPermit) -> model.Permit:
    """By whoever stands at it. Asked for where the equipment's attribute `remote_permit` is `required`."""
    found = await equipment_id(session.db, equipment)
    made = await session.db.value(
        "give_permit", equipment=found, until=body.valid_until, why=body.note, who=session.principal.actor
    )
    await session.audit("permit.given", f"permit/{made}", equipment=found)
    return model.Permit(id=made, valid_until=body.valid_until)


@router.get(
    "/equipment/{equipment}/twin",
    summary="What a machine is wanted and says to be",
    responses={200: examples(twin=_TWIN), **responses("not-found")},
)
async def show_twin(session: Reading, equipment: EquipmentRef) -> model.Twin:
    """Desired and reported properties with versions; `drifts` where they differ."""
    return await service.twin(session.db, await equipment_ref(session.db, await equipment_id(session.db, equipment)))


@router.post(
    "/equipment/{equipment}/twin",
    summary="Wish a property",
    responses={200: examples(twin=_TWIN), **responses("not-found", "conflict")},
)
async def wish_property(session: Operating, equipment: EquipmentRef, body: model.Desire) -> model.Twin:
    """The device hears of it at once, or when it comes back. Give the version you read, and nobody's wish is lost."""
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    version = await session.db.value(
        "desire",
        equipment=found.id,
        key=body.key,
        wanted=json.dumps(body.value),
        expected=body.version,
        who=session.principal.actor,
    )
    await session.audit("twin.desired", f"equipment/{found.id}", key=body.key, version=version)
    return await service.twin(session.db, found)
