"""`/v1/me`, `/v1/sites`, `/v1/types`, `/v1/equipment`, `/v1/devices`, `/v1/grants`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from services.api.auth import Managing, Reading, Session
from services.api.errors import responses
from services.api.etag import MATCHED, TAGGED, answer_tagged, require_match
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import (
    EquipmentRef,
    MaybeEquipment,
    Number,
    Pages,
    equipment_id,
    maybe_equipment_id,
    paged,
    plain,
)
from services.tenancy import service
from services.tenancy.examples import DEVICE, EQUIPMENT, GRANT, ME, NEW_DEVICE, SITE, TREE, TYPE
from services.tenancy.model import (
    ChangeEquipment,
    Device,
    EquipmentSummary,
    EquipmentTree,
    Grant,
    Me,
    NewDevice,
    NewGrant,
    RegisterDevice,
    RegisterEquipment,
    Site,
    Status,
    TypeDetail,
    TypeSummary,
)

router = APIRouter(tags=["equipment"])


@router.get("/me", summary="Who am I?", responses={200: examples(me=ME)})
async def show_me(session: Reading) -> Me:
    """The organisation the key or token belongs to, and what it may do."""
    return await service.me(session.db, session.principal)


@router.get("/sites", summary="Your sites", responses=paged(sites=SITE))
async def list_sites(session: Reading, paging: Pages) -> Page[Site]:
    """In order of key."""
    return await paging.listed(session, "sites", Site.model_validate, by={"after": "key"})


@router.get("/types", summary="Equipment types", responses=paged(types=TYPE))
async def list_types(session: Reading, paging: Pages) -> Page[TypeSummary]:
    """The catalogue's and your own, in order of key."""
    return await paging.listed(session, "types", TypeSummary.model_validate, by={"after": "key"})


@router.get(
    "/types/{key}",
    summary="One type with its document",
    responses={
        200: examples(type={**TYPE, "document": {"type": "compressor-train", "components": []}}),
        **TAGGED,
        **responses("not-found"),
    },
    response_model=TypeDetail,
)
async def show_type(
    request: Request, session: Reading, key: Annotated[str, Path(max_length=128, examples=["compressor-train"])]
) -> Response:
    """Components, points, states and limits as published. Carries an `ETag`."""
    found = await service.type_detail(session.db, plain(key))
    return answer_tagged(request, found, f"{found.key}/{found.revision}")


@router.get("/equipment", summary="Equipment you may see", responses=paged(equipment=EQUIPMENT))
async def list_equipment(
    session: Reading,
    paging: Pages,
    site: Annotated[str | None, Query(max_length=128)] = None,
    type_key: Annotated[str | None, Query(alias="type", max_length=128)] = None,
    status: Status | None = None,
    state: Annotated[str | None, Query(max_length=64, description="Operating state, such as `loaded`")] = None,
    health_below: Annotated[
        float | None, Query(ge=0, le=100, allow_inf_nan=False, description="Health index under this")
    ] = None,
) -> Page[EquipmentSummary]:
    """Yours and what others granted you, in order of key."""
    return await paging.listed(
        session,
        service.equipment_page,
        service.summary_of,
        by={"after_key": "key", "after_id": "id"},
        site=plain(site),
        type=plain(type_key),
        status=status,
        state=plain(state),
        health_below=health_below,
    )


@router.post(
    "/equipment",
    status_code=201,
    summary="Register equipment",
    responses={201: examples(registered=TREE), **responses("invalid-input", "conflict")},
)
async def register_equipment(
    request: Request, response: Response, session: Managing, body: RegisterEquipment
) -> EquipmentTree:
    """Of a known type, approved at once, with all the components and points of the type. `Location` leads to it."""
    new = await service.register(session.db, body, session.app.parse_type)
    await session.audit("equipment.registered", f"equipment/{new}", key=body.key, type=body.type)
    response.headers["Location"] = f"/v1/equipment/{new}"
    return await service.tree(session.db, new)


@router.get(
    "/equipment/{equipment}",
    summary="One equipment with components and points",
    response_model=EquipmentTree,
    responses={200: examples(tree=TREE), **responses("not-found")},
)
async def show_equipment(request: Request, session: Reading, equipment: EquipmentRef) -> Response:
    """By number, or by key. The `ETag` counts what is registered; give it as `If-Match` with a change."""
    found = await service.tree(session.db, await equipment_id(session.db, equipment))
    registered = await session.db.value("version_of_equipment", equipment=found.id)
    # the answer also holds what changes by itself, so it is never called unchanged
    return answer_tagged(request, found, f"equipment/{found.id}/{registered}", volatile=True)


@router.patch(
    "/equipment/{equipment}",
    summary="Change, approve or retire equipment",
    responses={200: examples(changed=TREE), **MATCHED, **responses("invalid-input", "not-found", "conflict")},
)
async def change_equipment(
    request: Request, session: Managing, equipment: EquipmentRef, body: ChangeEquipment
) -> EquipmentTree:
    """Only what is given changes. Retired equipment keeps its history and takes no new readings."""
    found = await equipment_id(session.db, equipment)
    require_match(request, f"equipment/{found}/{await session.db.value('hold_equipment', equipment=found)}")
    await service.change(session.db, found, body, session.app.parse_type)
    await session.audit("equipment.changed", f"equipment/{found}", **body.model_dump(exclude_none=True))
    return await service.tree(session.db, found)


@router.get("/devices", summary="Devices that may publish", responses=paged(devices=DEVICE))
async def list_devices(session: Managing, paging: Pages) -> Page[Device]:
    """In order of registration; never a password."""
    return await paging.listed(session, service.devices, Device.model_validate)


@router.post(
    "/devices",
    status_code=201,
    summary="Let a device in",
    responses={201: examples(made=NEW_DEVICE), **responses("invalid-input", "not-found", "conflict")},
)
async def register_device(request: Request, response: Response, session: Managing, body: RegisterDevice) -> NewDevice:
    """An account at the broker for an equipment, a gateway or a Sparkplug edge node.

    The password is in this answer and nowhere else. The broker knows it within a second: `pending` says when.
    """
    found = await maybe_equipment_id(session.db, body.equipment)
    made = await service.register_device(session.db, body, found, session.app.settings.device_master)
    await session.audit("device.created", f"device/{made.id}", client_id=made.client_id)
    response.headers["Location"] = f"/v1/devices/{made.id}"
    response.headers["Cache-Control"] = "no-store"
    return made


@router.get(
    "/devices/{device}",
    summary="One device",
    response_model=Device,
    responses={200: examples(device=DEVICE), **responses("not-found")},
)
async def show_device(request: Request, session: Managing, device: Number) -> Response:
    """Whether the broker lets it in, and what became of what it sent; never a password. The `ETag` counts passwords."""
    found = await service.device(session.db, device)
    return answer_tagged(request, found, _device_version(found), volatile=True)


def _device_version(found: Device) -> str:
    return f"device/{found.id}/{found.rotated_at}/{found.revoked_at}"


async def _hold_device(request: Request, session: Session, device: int) -> None:
    """Lock it; refuse where it is not as the request has seen it."""
    await session.db.row("hold_device", id=device)
    require_match(request, _device_version(await service.device(session.db, device)))


@router.post(
    "/devices/{device}/rotate",
    summary="A new password for a device",
    responses={200: examples(made=NEW_DEVICE), **MATCHED, **responses("not-found", "conflict")},
)
async def rotate_device(request: Request, response: Response, session: Managing, device: Number) -> NewDevice:
    """The old one is refused within a second, and who is connected with it is disconnected.

    One that was shut out comes in again.
    """
    await _hold_device(request, session, device)
    made = await service.renew_device(session.db, device, session.app.settings.device_master)
    await session.audit("device.rotated", f"device/{made.id}", client_id=made.client_id)
    response.headers["Cache-Control"] = "no-store"
    return made


@router.delete(
    "/devices/{device}",
    status_code=204,
    summary="Shut a device out",
    responses={204: {"description": "It is shut out within a second"}, **MATCHED, **responses("not-found")},
)
async def shut_device_out(request: Request, session: Managing, device: Number) -> None:
    """Its equipment and history stay, and so does its row, as a record."""
    await _hold_device(request, session, device)
    await session.db.row("shut_device_out", id=device)
    await session.audit("device.revoked", f"device/{device}")


@router.get("/grants", summary="Who else may see what", responses=paged("not-found", grants=GRANT))
async def list_grants(
    session: Reading,
    paging: Pages,
    equipment: MaybeEquipment = None,
    given: Annotated[bool | None, Query(description="True: by you; false: to you")] = None,
) -> Page[Grant]:
    """Given and got, with those that are over."""
    return await paging.listed(
        session,
        service.grants,
        Grant.model_validate,
        equipment=await maybe_equipment_id(session.db, equipment),
        given=given,
    )


@router.post(
    "/grants",
    status_code=201,
    summary="Let another organisation see, operate or manage equipment of yours",
    responses={201: examples(granted=GRANT), **responses("invalid-input", "not-found")},
)
async def give_grant(session: Managing, body: NewGrant) -> Grant:
    """Rights are a ladder: who may manage may operate, who may operate may read."""
    found = await equipment_id(session.db, body.equipment)
    new = await service.give(session.db, found, body)
    await session.audit("grant.given", f"grant/{new.id}", equipment=new.equipment, tenant=new.tenant, rights=new.rights)
    return new


@router.get(
    "/grants/{grant}",
    summary="One grant",
    response_model=Grant,
    responses={200: examples(grant=GRANT), **TAGGED, **responses("not-found")},
)
async def show_grant(request: Request, session: Reading, grant: Number) -> Response:
    """Given or got."""
    found = await service.grant(session.db, grant)
    return answer_tagged(request, found, _grant_version(found))


def _grant_version(found: Grant) -> str:
    return f"grant/{found.id}/{found.valid_until}"


@router.delete(
    "/grants/{grant}",
    status_code=204,
    summary="End a grant now",
    responses={204: {"description": "It is over"}, **MATCHED, **responses("not-found")},
)
async def end_grant(request: Request, session: Managing, grant: Number) -> None:
    """Its giver and its holder may end it; it stays in the list as a record."""
    await session.db.row("hold_grant", id=grant)
    require_match(request, _grant_version(await service.grant(session.db, grant)))
    await session.db.row("end_grant", id=grant)
    await session.audit("grant.ended", f"grant/{grant}")
