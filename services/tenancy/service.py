"""Tenants' own: who asks, what is registered, who else may see it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from core.errors import ConflictError
from services.api.auth import Principal
from services.api.database import Row, Transaction, visible
from services.api.state import TypeParser
from services.telemetry.model import EquipmentRef
from services.tenancy.model import (
    AlarmCounts,
    ChangeEquipment,
    ComponentNode,
    Device,
    EquipmentSummary,
    EquipmentTree,
    Grant,
    KeyInfo,
    Me,
    NewDevice,
    NewGrant,
    PointSummary,
    RegisterDevice,
    RegisterEquipment,
    TenantRef,
    TypeDetail,
    UserInfo,
)
from storage import secrets

_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(
    ("id", "site", "type", "status", "state", "health_below", "after_key", "after_id")
)


async def me(db: Transaction, who: Principal) -> Me:
    tenant = TenantRef.model_validate(await db.row("tenant_ref"))
    scopes = sorted(who.scopes)
    if who.user_id is not None:
        expires = datetime.fromtimestamp(who.expires or 0, UTC)
        user = UserInfo(id=who.user_id, subject=who.subject, expires_at=expires)
        return Me(tenant=tenant, role=who.role, scopes=scopes, user=user)
    key = KeyInfo.model_validate(await db.row("me", key=who.key_id))
    return Me(tenant=tenant, role=who.role, scopes=scopes, api_key=key)


async def type_detail(db: Transaction, key: str) -> TypeDetail:
    row = visible(await db.row("type", key=key), "type")
    return TypeDetail.model_validate(row)


async def equipment_page(db: Transaction, count: int, **filters: Any) -> list[Row]:
    """Rows of equipment in order of key.

    ``filters``: parameters of the statement ``equipment``; those left out do not filter.
    """
    return await db.rows("equipment", **{**_NO_FILTER, **filters, "count": count})


def summary_of(row: Row) -> EquipmentSummary:
    return EquipmentSummary.model_validate({**row, "alarms": AlarmCounts.model_validate(row)})


async def equipment_ref(db: Transaction, equipment: int) -> EquipmentRef:
    """Number, key and name of equipment that is visible (its number came out of this transaction)."""
    return EquipmentRef.model_validate(visible(await db.row("equipment_ref", id=equipment), "equipment"))


async def tree(db: Transaction, equipment: int) -> EquipmentTree:
    """An equipment with its components and points."""
    found = visible(await equipment_page(db, 1, id=equipment), "equipment")
    of_component: dict[int | None, list[PointSummary]] = {}
    for row in await db.rows("points_of", equipment=equipment):
        of_component.setdefault(row["component_id"], []).append(PointSummary.model_validate(row))
    components = [
        ComponentNode.model_validate({**row, "points": of_component.get(row["id"], [])})
        for row in await db.rows("components", equipment=equipment)
    ]
    return EquipmentTree.model_validate(
        {
            **found,
            "alarms": AlarmCounts.model_validate(found),
            "components": components,
            "points": of_component.get(None, []),
        }
    )


async def _fit(db: Transaction, equipment: int, type_key: str, parse: TypeParser) -> None:
    """Give the equipment the components and points of its type."""
    document = (await type_detail(db, type_key)).document
    type_ = parse(document)
    components = [
        {"key": key, "name": name, "criticality": d.criticality, "item_class": d.item_class, "position": n}
        for n, (key, name, d) in enumerate(type_.component_instances())
    ]
    points = []
    for instance in type_.point_instances():
        definition = instance.definition
        low, high = definition.range or (None, None)
        points.append(
            {
                "key": instance.key,
                "component": instance.component,
                "unit": definition.unit,
                "kind": definition.kind.value,
                "description": definition.description.format_map(instance.binding),
                "range_low": low,
                "range_high": high,
                "position": instance.column,
            }
        )
    await db.row("fit_equipment", id=equipment, components=json.dumps(components), points=json.dumps(points))


async def register(db: Transaction, order: RegisterEquipment, parse: TypeParser) -> int:
    """Number of the new equipment, approved, with all that its type has. Raises conflict where the key is taken."""
    new = await db.value(
        "register_equipment",
        key=order.key,
        name=order.name,
        serial=order.serial,
        type=order.type,
        site=order.site,
    )
    assert isinstance(new, int)
    await _fit(db, new, order.type, parse)
    return new


async def change(db: Transaction, equipment: int, order: ChangeEquipment, parse: TypeParser) -> None:
    """Apply what is given. An equipment that is approved gets (again) what its type has."""
    type_key = await db.value(
        "change_equipment",
        id=equipment,
        name=order.name,
        serial=order.serial,
        site=order.site,
        type=order.type,
        status=order.status,
    )
    if type_key is not None and (order.status == "approved" or order.type is not None):
        await _fit(db, equipment, type_key, parse)


async def grants(db: Transaction, count: int, **filters: Any) -> list[Row]:
    return await db.rows(
        "grants", **{**dict.fromkeys(("id", "equipment", "given", "after")), **filters, "count": count}
    )


async def give(db: Transaction, equipment: int, order: NewGrant) -> Grant:
    """A new grant on equipment of one's own. Raises forbidden for equipment that was itself only granted."""
    new = await db.value(
        "give_grant", equipment=equipment, holder=order.tenant, rights=order.rights, until=order.valid_until
    )
    return await grant(db, new)


async def grant(db: Transaction, number: int) -> Grant:
    return Grant.model_validate(visible(await grants(db, 1, id=number), "grant"))


async def devices(db: Transaction, count: int, **filters: Any) -> list[Row]:
    """Rows of devices in order of registration."""
    return await db.rows("devices", **{**dict.fromkeys(("id", "after")), **filters, "count": count})


async def device(db: Transaction, device_id: int) -> Device:
    return Device.model_validate(visible(await devices(db, 1, id=device_id), "device"))


async def register_device(
    db: Transaction, order: RegisterDevice, equipment: int | None, master: str | None
) -> NewDevice:
    """A device with its password, which goes no further than into the answer: who tells the broker derives it again."""
    nonce, password = _password(master)
    new = await db.value(
        "register_device",
        equipment=equipment,
        gateway=order.gateway,
        edge_node=order.edge_node,
        nonce=nonce,
        hash=secrets.digest(password),
    )
    return _shown(await device(db, new), password)


async def renew_device(db: Transaction, device_id: int, master: str | None) -> NewDevice:
    """The device with another password; the old one is refused as soon as the broker has been told."""
    nonce, password = _password(master)
    await db.row("renew_device", id=device_id, nonce=nonce, hash=secrets.digest(password))
    return _shown(await device(db, device_id), password)


def _password(master: str | None) -> tuple[bytes, str]:
    if master is None:
        raise ConflictError(
            "this API cannot make passwords of devices", hint="servitize device add does, where the broker is"
        )
    nonce = secrets.new_nonce()
    return nonce, secrets.derived_password(master, nonce)


def _shown(found: Device, password: str) -> NewDevice:
    return NewDevice(**found.model_dump(), password=password)
