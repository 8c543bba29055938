"""An event stream of one tenant: out of the outbox, by number. Nothing is skipped, nothing comes twice, nothing piles
up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi.sse import ServerSentEvent

from services.api.auth import Principal, still_holds
from services.api.errors import ApiError
from services.api.state import AppState
from services.notifications.model import StreamItem

RETRY_MS = 2000
"""How long a client waits before it connects again."""


def reserve(app: AppState, principal: Principal) -> None:
    """Count a stream of the tenant, or refuse one too many. :func:`events` gives it back."""
    if app.streams[principal.tenant_id] >= app.settings.streams_per_tenant:
        raise ApiError(
            "too-many-streams",
            f"your organisation has {app.settings.streams_per_tenant} event streams open, which is the limit",
            headers={"Retry-After": "10"},
        )


async def events(app: AppState, principal: Principal, resume: int | None) -> AsyncIterator[ServerSentEvent]:
    """Events after number ``resume`` (None: from now on), as long as the client stays and the key holds.

    Each round looks at the table, then waits for the bell: events are read no faster than the client takes them, and
    what it has not taken stays in the table. The first event is ``ready``, whose id is where the stream begins, so
    that a client cut off before its first event resumes without a gap. ``gap`` says that the outbox no longer has
    what was asked for.
    """
    app.streams[principal.tenant_id] += 1
    app.metrics.streams.inc()
    try:
        async for event in _events(app, principal, resume):
            yield event
    finally:
        app.metrics.streams.dec()
        app.streams[principal.tenant_id] -= 1
        if not app.streams[principal.tenant_id]:
            del app.streams[principal.tenant_id]


async def _events(app: AppState, principal: Principal, resume: int | None) -> AsyncIterator[ServerSentEvent]:
    head, oldest = await _bounds(app)
    seen = head if resume is None else min(resume, head)
    yield ServerSentEvent(event="ready", id=str(seen), retry=RETRY_MS, data={"seq": seen})
    if resume is not None and seen < head and (oldest is None or seen + 1 < oldest):
        missed_to = head if oldest is None else oldest - 1
        yield ServerSentEvent(event="gap", id=str(missed_to), data={"from": seen + 1, "to": missed_to})
        seen = missed_to
    loop = asyncio.get_running_loop()
    spoke = checked = loop.time()
    while not app.bell.closed:
        ear = app.bell.ear()
        head = max(head, app.bell.head or 0)
        while seen < head and not app.bell.closed:
            items = await _next(app, principal, seen, head)
            for item in items:
                yield ServerSentEvent(event=item.kind, id=str(item.seq), data=item)
                app.metrics.streamed.inc()
                spoke = loop.time()
            seen = items[-1].seq if len(items) == app.settings.stream_batch else head
        if loop.time() - checked >= app.settings.heartbeat:
            if not await _still_holds(app, principal):
                return
            checked = loop.time()
        silence = spoke + app.settings.heartbeat - loop.time()
        if silence <= 0 or not await app.bell.after(ear, silence):
            yield ServerSentEvent(comment="alive")
            spoke = loop.time()


async def _still_holds(app: AppState, principal: Principal) -> bool:
    """A stream may live for weeks, a lost key must not."""
    async with app.database.of_tenant(principal.tenant_id) as db:
        return await still_holds(db, principal)


async def _bounds(app: AppState) -> tuple[int, int | None]:
    async with app.database.transaction() as db:
        row = await db.row("stream_bounds")
    assert row is not None
    return row["head"], row["oldest"]


async def _next(app: AppState, principal: Principal, seen: int, head: int) -> list[StreamItem]:
    async with app.database.of_tenant(principal.tenant_id) as db:
        rows = await db.rows("stream_events", after=seen, upto=head, count=app.settings.stream_batch)
    return [StreamItem(seq=row["seq"], kind=row["kind"], at=row["created_at"], payload=row["payload"]) for row in rows]
