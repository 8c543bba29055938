"""`/v1/endpoints`, `/v1/on-call`, `/v1/subscriptions`, `/v1/deliveries`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from core.delivery import DeliveryState
from services.api.auth import Administering, Reading, Session
from services.api.database import Row
from services.api.errors import responses
from services.api.etag import MATCHED, TAGGED, answer_tagged, require_match
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import LongNumber, MaybeEquipment, Number, Pages, maybe_equipment_id, paged
from services.notifications import service
from services.notifications.examples import DELIVERY, DETAIL, ENDPOINT, NEW_ENDPOINT, SCHEDULE, SUBSCRIPTION
from services.notifications.model import (
    AddEndpoint,
    Attempt,
    ChangeEndpoint,
    Delivery,
    DeliveryDetail,
    Endpoint,
    NewEndpoint,
    PutSchedule,
    PutSubscription,
    RotateSecret,
    Schedule,
    Subscription,
)

router = APIRouter(tags=["notifications"])


async def _hold(request: Request, session: Session, kind: Literal["endpoint", "subscription"], number: int) -> Row:
    """Lock it; refuse where it is not as the request has seen it."""
    row = await service.one(session.db, f"{kind}s", number, kind)
    require_match(request, f"{kind}/{number}/{await session.db.value(f'hold_{kind}', id=number)}")
    return row


async def _hold_schedule(request: Request, session: Session, schedule: int) -> None:
    """Likewise; who is on call is part of what was seen."""
    await service.one(session.db, "schedules", schedule, "schedule")
    held = await session.db.value("hold_schedule", id=schedule)
    row = await service.one(session.db, "schedules", schedule, "schedule")
    require_match(request, f"schedule/{schedule}/{held}/{row['on_call_now']}")


@router.get("/endpoints", summary="Where notifications go", responses=paged(endpoints=ENDPOINT))
async def list_endpoints(session: Administering, paging: Pages) -> Page[Endpoint]:
    """In order of making; never a secret."""
    return await paging.listed(session, "endpoints", Endpoint.model_validate, id=None)


@router.post(
    "/endpoints",
    status_code=201,
    summary="Let notifications go somewhere",
    responses={201: examples(added=NEW_ENDPOINT), **responses("conflict")},
)
async def add_endpoint(response: Response, session: Administering, body: AddEndpoint) -> NewEndpoint:
    """A webhook's secret is in this answer and nowhere else. Whether an address may be connected to is looked at
    anew for every message."""
    new, secret = await service.add_endpoint(session.db, body, session.app.settings.device_master)
    await session.audit("endpoint.added", f"endpoint/{new}", **body.model_dump())
    response.headers["Location"] = f"/v1/endpoints/{new}"
    response.headers["Cache-Control"] = "no-store"
    return NewEndpoint(**await service.one(session.db, "endpoints", new, "endpoint"), secret=secret)


@router.get(
    "/endpoints/{endpoint}",
    summary="One endpoint",
    response_model=Endpoint,
    responses={200: examples(endpoint=ENDPOINT), **TAGGED, **responses("not-found")},
)
async def show_endpoint(request: Request, session: Administering, endpoint: Number) -> Response:
    """Without its secret."""
    row = await service.one(session.db, "endpoints", endpoint, "endpoint")
    return answer_tagged(request, Endpoint.model_validate(row), f"endpoint/{endpoint}/{row['revision']}")


@router.patch(
    "/endpoints/{endpoint}",
    summary="Change an endpoint, or switch it on or off",
    responses={200: examples(endpoint=ENDPOINT), **MATCHED, **responses("not-found")},
)
async def change_endpoint(request: Request, session: Administering, endpoint: Number, body: ChangeEndpoint) -> Endpoint:
    """Switched off, what is for it waits; switched on, it comes."""
    await _hold(request, session, "endpoint", endpoint)
    await service.change_endpoint(session.db, endpoint, body)
    await session.audit("endpoint.changed", f"endpoint/{endpoint}", **body.model_dump(exclude_none=True))
    return Endpoint.model_validate(await service.one(session.db, "endpoints", endpoint, "endpoint"))


@router.post(
    "/endpoints/{endpoint}/rotate",
    summary="A new secret for a webhook",
    responses={200: examples(rotated=NEW_ENDPOINT), **MATCHED, **responses("not-found", "conflict")},
)
async def rotate_endpoint(
    request: Request, response: Response, session: Administering, endpoint: Number, body: RotateSecret | None = None
) -> NewEndpoint:
    """Messages carry signatures of both for a while, so that the receiver can change over without a gap."""
    row = await _hold(request, session, "endpoint", endpoint)
    secret = None
    if row["kind"] == "webhook":
        hours = (body or RotateSecret()).former_hours
        secret = await service.new_secret(session.db, endpoint, session.app.settings.device_master, hours)
    await session.audit("endpoint.rotated", f"endpoint/{endpoint}")
    response.headers["Cache-Control"] = "no-store"
    return NewEndpoint(**await service.one(session.db, "endpoints", endpoint, "endpoint"), secret=secret)


@router.delete(
    "/endpoints/{endpoint}",
    status_code=204,
    summary="Remove an endpoint",
    responses={204: {"description": "Nothing goes there any more"}, **MATCHED, **responses("not-found")},
)
async def remove_endpoint(request: Request, session: Administering, endpoint: Number) -> None:
    """What waits for it is cancelled; what went there stays on record."""
    await _hold(request, session, "endpoint", endpoint)
    await session.db.run("remove_endpoint", id=endpoint)
    await session.audit("endpoint.removed", f"endpoint/{endpoint}")


@router.get("/on-call", summary="Schedules of who is on call", responses=paged(schedules=SCHEDULE))
async def list_schedules(session: Reading, paging: Pages) -> Page[Schedule]:
    """In order of making."""
    return await paging.listed(session, "schedules", service.schedule_of, id=None)


@router.post(
    "/on-call",
    status_code=201,
    summary="Say who is on call when",
    responses={201: examples(added=SCHEDULE), **responses("invalid-input", "not-found")},
)
async def add_schedule(response: Response, session: Administering, body: PutSchedule) -> Schedule:
    """Members take turns; overrides win."""
    new = await session.db.value("add_schedule", name=body.name, starts_at=body.starts_at, shift_hours=body.shift_hours)
    await service.fill_schedule(session.db, new, body)
    await session.audit("schedule.added", f"schedule/{new}", **body.model_dump(mode="json"))
    response.headers["Location"] = f"/v1/on-call/{new}"
    return service.schedule_of(await service.one(session.db, "schedules", new, "schedule"))


@router.get(
    "/on-call/{schedule}",
    summary="One schedule",
    response_model=Schedule,
    responses={200: examples(schedule=SCHEDULE), **TAGGED, **responses("not-found")},
)
async def show_schedule(request: Request, session: Reading, schedule: Number) -> Response:
    """And who is on call at this moment."""
    row = await service.one(session.db, "schedules", schedule, "schedule")
    return answer_tagged(
        request, service.schedule_of(row), f"schedule/{schedule}/{row['revision']}/{row['on_call_now']}"
    )


@router.put(
    "/on-call/{schedule}",
    summary="Change a schedule",
    responses={200: examples(schedule=SCHEDULE), **MATCHED, **responses("invalid-input", "not-found")},
)
async def put_schedule(request: Request, session: Administering, schedule: Number, body: PutSchedule) -> Schedule:
    """Whole, as given; what is not given is as for a new one."""
    await _hold_schedule(request, session, schedule)
    await session.db.run(
        "change_schedule", id=schedule, name=body.name, starts_at=body.starts_at, shift_hours=body.shift_hours
    )
    await service.fill_schedule(session.db, schedule, body)
    await session.audit("schedule.changed", f"schedule/{schedule}", **body.model_dump(mode="json"))
    return service.schedule_of(await service.one(session.db, "schedules", schedule, "schedule"))


@router.delete(
    "/on-call/{schedule}",
    status_code=204,
    summary="Remove a schedule",
    responses={204: {"description": "It is gone"}, **MATCHED, **responses("not-found")},
)
async def remove_schedule(request: Request, session: Administering, schedule: Number) -> None:
    """What came of it stays on record."""
    await _hold_schedule(request, session, schedule)
    await session.db.run("remove_schedule", id=schedule)
    await session.audit("schedule.removed", f"schedule/{schedule}")


@router.get("/subscriptions", summary="Who hears of what", responses=paged(subscriptions=SUBSCRIPTION))
async def list_subscriptions(session: Reading, paging: Pages) -> Page[Subscription]:
    """In order of making."""
    return await paging.listed(session, "subscriptions", service.subscription_of, id=None)


@router.post(
    "/subscriptions",
    status_code=201,
    summary="Subscribe",
    responses={201: examples(added=SUBSCRIPTION), **responses("invalid-input", "not-found")},
)
async def add_subscription(response: Response, session: Administering, body: PutSubscription) -> Subscription:
    """From the next event on. One event makes one delivery, whatever happens on the way."""
    new = await session.db.value("add_subscription", **await service.subscription_row(session.db, body))
    await service.fill_escalation(session.db, new, body)
    await session.audit("subscription.added", f"subscription/{new}", **body.model_dump(mode="json"))
    response.headers["Location"] = f"/v1/subscriptions/{new}"
    return service.subscription_of(await service.one(session.db, "subscriptions", new, "subscription"))


@router.get(
    "/subscriptions/{subscription}",
    summary="One subscription",
    response_model=Subscription,
    responses={200: examples(subscription=SUBSCRIPTION), **TAGGED, **responses("not-found")},
)
async def show_subscription(request: Request, session: Reading, subscription: Number) -> Response:
    """With its quiet hours, digest and escalation."""
    row = await service.one(session.db, "subscriptions", subscription, "subscription")
    return answer_tagged(request, service.subscription_of(row), f"subscription/{subscription}/{row['revision']}")


@router.put(
    "/subscriptions/{subscription}",
    summary="Change a subscription",
    responses={200: examples(subscription=SUBSCRIPTION), **MATCHED, **responses("invalid-input", "not-found")},
)
async def put_subscription(
    request: Request, session: Administering, subscription: Number, body: PutSubscription
) -> Subscription:
    """Whole, as given; what is not given is as for a new one."""
    await _hold(request, session, "subscription", subscription)
    row = await service.subscription_row(session.db, body)
    await session.db.run("change_subscription", id=subscription, **row)
    await service.fill_escalation(session.db, subscription, body)
    await session.audit("subscription.changed", f"subscription/{subscription}", **body.model_dump(mode="json"))
    return service.subscription_of(await service.one(session.db, "subscriptions", subscription, "subscription"))


@router.delete(
    "/subscriptions/{subscription}",
    status_code=204,
    summary="Remove a subscription",
    responses={204: {"description": "It is gone"}, **MATCHED, **responses("not-found")},
)
async def remove_subscription(request: Request, session: Administering, subscription: Number) -> None:
    """What came of it stays on record."""
    await _hold(request, session, "subscription", subscription)
    await session.db.run("remove_subscription", id=subscription)
    await session.audit("subscription.removed", f"subscription/{subscription}")


@router.get(
    "/deliveries",
    summary="What was sent, what waits, what could not be sent",
    responses=paged("not-found", deliveries=DELIVERY),
)
async def list_deliveries(
    session: Reading,
    paging: Pages,
    state: Annotated[DeliveryState | None, Query(description="`dead`: given up after the last attempt")] = None,
    subscription: Annotated[int | None, Query(ge=1, le=2_147_483_647)] = None,
    endpoint: Annotated[int | None, Query(ge=1, le=2_147_483_647)] = None,
    equipment: MaybeEquipment = None,
) -> Page[Delivery]:
    """Newest first, for three months after they were settled."""
    return await paging.listed(
        session,
        "deliveries",
        Delivery.model_validate,
        id=None,
        state=state,
        subscription=subscription,
        endpoint=endpoint,
        equipment=await maybe_equipment_id(session.db, equipment),
    )


@router.get(
    "/deliveries/{delivery}",
    summary="One delivery with every attempt",
    responses={200: examples(delivery=DETAIL), **responses("not-found")},
)
async def show_delivery(session: Reading, delivery: LongNumber) -> DeliveryDetail:
    """What was said, and what the other side answered."""
    row = await service.one(session.db, "deliveries", delivery, "delivery")
    history = await session.db.rows("delivery_attempts", delivery=delivery)
    return DeliveryDetail.model_validate({**row, "history": [Attempt.model_validate(entry) for entry in history]})


@router.post(
    "/deliveries/{delivery}/replay",
    status_code=202,
    summary="Send it again",
    responses={202: examples(delivery=DELIVERY), **responses("not-found", "conflict")},
)
async def replay_delivery(session: Administering, delivery: LongNumber) -> Delivery:
    """At once, as a message with another id: the receiver has asked for it or never had it."""
    await session.db.row("replay_delivery", delivery=delivery)
    await session.audit("delivery.replayed", f"delivery/{delivery}")
    return Delivery.model_validate(await service.one(session.db, "deliveries", delivery, "delivery"))
