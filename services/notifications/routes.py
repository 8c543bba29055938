"""`/v1/stream`, and all other routes of the room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from services.api.auth import Identified
from services.api.errors import ParameterError, responses
from services.api.routing import INT8
from services.api.state import state_of
from services.notifications import stream, subscription_routes

router = APIRouter()
router.include_router(subscription_routes.router)

_WIRE = (
    'event: ready\ndata: {"seq":1041}\nid: 1041\nretry: 2000\n\n'
    'event: alarm\ndata: {"seq":1042,"kind":"alarm","at":"2026-11-22T10:00:00Z","payload":{"alarm_id":42,'
    '"equipment":"K-101","title":"Lube-oil filter: differential pressure 0.86 bar over 0.8 bar"}}\nid: 1042\n\n'
)


async def resume_from(
    last_event_id: Annotated[
        str | None, Header(max_length=20, description="The last id seen; browsers send it by themselves")
    ] = None,
    after: Annotated[
        int | None, Query(ge=0, le=INT8, description="The same for clients that cannot set the header")
    ] = None,
) -> int | None:
    """Where to go on; the header wins, since a browser that reconnects repeats the address of the first time."""
    if not last_event_id:
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) <= INT8):
        raise ParameterError("an event's id is a number", parameter="Last-Event-ID")
    return int(last_event_id)


async def _reserved(request: Request, principal: Identified) -> None:
    stream.reserve(state_of(request.app), principal)


@router.get(
    "/stream",
    tags=["stream"],
    summary="Events as they happen",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"examples": {"alarm": {"value": _WIRE}}}}},
        **responses("too-many-streams"),
    },
    dependencies=[Depends(_reserved)],
)
async def event_stream(
    request: Request, principal: Identified, resume: Annotated[int | None, Depends(resume_from)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events of what you may see: `ready` first, then `alarm`, `alarm_change` and others by number.

    Connect again with the last id seen and nothing is missed or repeated; `gap` says which numbers the service no
    longer keeps. A comment every few seconds shows that the line is up.
    """
    async for event in stream.events(state_of(request.app), principal, resume):
        yield event
