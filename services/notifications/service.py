"""Endpoints, schedules, subscriptions: kept by row security; secrets sealed for the deliverer."""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import Any, Final

from core.errors import ConflictError, InvalidInputError
from services.api.database import Row, Transaction, visible
from services.api.errors import ParameterError
from services.api.routing import equipment_id
from services.notifications.model import (
    AddEndpoint,
    ChangeEndpoint,
    PutSchedule,
    PutSubscription,
    Schedule,
    Subscription,
)
from services.notifications.senders import SEAL, owner_of
from services.vetted import split
from storage.sealing import Sealer

_MAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


def check_address(kind: str, address: str) -> None:
    """Raises a validation error for what cannot be an address of its kind."""
    if kind == "webhook":
        try:
            split(address)
        except InvalidInputError as error:
            raise ParameterError(str(error), pointer="/address") from None
    elif kind == "email" and not _MAIL.fullmatch(address):
        raise ParameterError("this is no mail address", pointer="/address")
    elif kind == "mqtt" and not _TOPIC.fullmatch(address):
        raise ParameterError("an MQTT address is words and slashes, without wildcards", pointer="/address")


async def one(db: Transaction, statement: str, number: int, what: str) -> Row:
    """The row with that number. Raises NotFoundError."""
    more = dict.fromkeys(("state", "subscription", "endpoint", "equipment")) if statement == "deliveries" else {}
    return visible(await db.rows(statement, id=number, after=None, count=1, **more), what)


async def add_endpoint(db: Transaction, order: AddEndpoint, master: str | None) -> tuple[int, str | None]:
    """Number and secret (webhooks only)."""
    check_address(order.kind, order.address)
    new = await db.value("add_endpoint", name=order.name, kind=order.kind, address=order.address)
    return new, await new_secret(db, new, master, 0) if order.kind == "webhook" else None


async def new_secret(db: Transaction, endpoint: int, master: str | None, former_hours: int) -> str:
    """Another secret, in the form of Standard Webhooks; the old one signs too for so many hours."""
    if master is None:
        raise ConflictError("this API cannot keep secrets of webhooks", hint="give it the secret device-master")
    raw = secrets.token_bytes(32)
    sealed = Sealer(master, SEAL).seal(raw, owner_of(endpoint))
    await db.run("set_secret", id=endpoint, secret=sealed, former_hours=former_hours)
    return "whsec_" + base64.b64encode(raw).decode()


async def change_endpoint(db: Transaction, number: int, order: ChangeEndpoint) -> None:
    now = await one(db, "endpoints", number, "endpoint")
    row = {name: now[name] for name in ("name", "address", "enabled")}
    row |= {name: value for name, value in order.model_dump().items() if value is not None}
    check_address(now["kind"], row["address"])
    await db.run("change_endpoint", id=number, **row)


def schedule_of(row: Row) -> Schedule:
    return Schedule.model_validate(row)


async def _endpoints_there(db: Transaction, numbers: set[int], pointer: str) -> None:
    """Raises NotFoundError for a number that is none of the tenant's endpoints."""
    for number in sorted(numbers):
        await one(db, "endpoints", number, f"endpoint ({pointer})")


async def fill_schedule(db: Transaction, number: int, order: PutSchedule) -> None:
    await _endpoints_there(db, {*order.members, *(o.endpoint for o in order.overrides)}, "members")
    starts = [o.time_from for o in order.overrides]
    if len(set(starts)) < len(starts):
        raise ParameterError("two overrides begin at once", pointer="/overrides")
    overrides = [
        {"f": o.time_from.isoformat(), "t": o.time_to.isoformat(), "endpoint": o.endpoint} for o in order.overrides
    ]
    await db.run("clear_schedule", id=number)
    await db.run("fill_schedule", id=number, members=order.members, overrides=json.dumps(overrides))


def subscription_of(row: Row) -> Subscription:
    return Subscription.model_validate({**row, "endpoint": row["endpoint_id"], "schedule": row["schedule_id"]})


async def subscription_row(db: Transaction, order: PutSubscription) -> dict[str, Any]:
    """The order as parameters of the statements; what it points at is there. Raises NotFoundError."""
    escalation = order.escalation
    endpoints = {n for n in (order.endpoint, *(s.endpoint for s in escalation)) if n is not None}
    await _endpoints_there(db, endpoints, "endpoint")
    for number in sorted({n for n in (order.schedule, *(s.schedule for s in escalation)) if n is not None}):
        await one(db, "schedules", number, "schedule")
    row = order.model_dump(mode="json", exclude={"escalation"})
    row["equipment"] = None if order.equipment is None else await equipment_id(db, order.equipment)
    return row


async def fill_escalation(db: Transaction, number: int, order: PutSubscription) -> None:
    await db.run("clear_escalation", id=number)
    steps = [step.model_dump(mode="json") for step in order.escalation]
    await db.run("fill_escalation", id=number, steps=json.dumps(steps))
