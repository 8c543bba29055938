"""What makes a page move: the outbox's events, and a pulse that says how far the data have come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi.sse import ServerSentEvent
from starlette.requests import Request

from boards.web.data import plain
from boards.web.session import Visitor, row, secret_of
from services.api.state import AppState, state_of
from services.notifications import stream
from storage.secrets import digest

PULSE: Final = 1.0
"""Seconds between looks at how far the data have come: within the two seconds in which a page should move."""
_STILL_SIGNED_IN: Final = 15.0
_AT_LEAST_EVERY: Final = 10.0
"""Seconds between pulses without news: a page that hears nothing for four of them takes the line for cut."""


@dataclass(slots=True)
class _Seen:
    at: float
    pulse: dict[str, Any]


class Pulses:
    """One look per tenant and second, however many pages are open."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}
        self._lock = asyncio.Lock()

    async def of(self, app: AppState, tenant: int) -> dict[str, Any]:
        """``event``: newest event time, ``stored``: when it was stored, ``now``: the clock (epoch ms; null: nothing
        yet); ``clock``: the tenant's timeline is the clock; ``unacknowledged``: alarms that nobody has seen."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            known = self._seen.get(tenant)
            if known is None or loop.time() - known.at >= 0.9 * PULSE:
                async with app.database.of_tenant(tenant) as db:
                    found = await row(db, "pulse")
                assert found is not None
                known = self._seen[tenant] = _Seen(loop.time(), _pulse(found))
            return known.pulse


def _pulse(found: dict[str, Any]) -> dict[str, Any]:
    moments = {name: found[name] and plain(found[name]) for name in ("event", "stored", "now")}
    return {**moments, "clock": not found["publisher_clock"], "unacknowledged": found["unacknowledged"]}


async def events(
    request: Request, visitor: Visitor, pulses: Pulses, resume: int | None
) -> AsyncIterator[ServerSentEvent]:
    """The API's event stream (:func:`services.notifications.stream.events`) and between its events ``pulse``, without
    an id, whenever new data were stored (and now and then without). Ends when the session does.
    """
    app = state_of(request.app)
    secret = secret_of(request)
    assert secret is not None
    # of one: what the browser does not take is not piled up here
    line: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue(1)

    async def pass_on() -> None:
        async for event in stream.events(app, visitor.principal, resume):
            await line.put(event)
        await line.put(None)

    async def beat() -> None:
        loop = asyncio.get_running_loop()
        last: tuple[Any, ...] = ()
        checked = spoke = loop.time()
        while not app.bell.closed:
            # shielded: a page that goes away in the middle must not break the connection that others wait for
            pulse = await asyncio.shield(pulses.of(app, visitor.principal.tenant_id))
            news = (pulse["event"], pulse["stored"], pulse["unacknowledged"])
            if news != last or loop.time() - spoke >= _AT_LEAST_EVERY:
                await line.put(ServerSentEvent(event="pulse", data=pulse))
                last, spoke = news, loop.time()
            if loop.time() - checked >= _STILL_SIGNED_IN:
                async with app.database.transaction() as db:
                    if await row(db, "session", session=digest(secret)) is None:
                        break
                checked = loop.time()
            await asyncio.sleep(PULSE)
        await line.put(None)

    tasks = [asyncio.create_task(pass_on(), name="board-events"), asyncio.create_task(beat(), name="board-pulse")]
    try:
        while (event := await _next(line, tasks)) is not None:
            yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _next(line: asyncio.Queue[ServerSentEvent | None], tasks: list[asyncio.Task[None]]) -> ServerSentEvent | None:
    """The next event; None where a source has ended. A source that failed (database away) ends the stream: the browser
    comes again and resumes by number."""
    taken = asyncio.create_task(line.get())
    try:
        await asyncio.wait([taken, *tasks], return_when=asyncio.FIRST_COMPLETED)
        if taken.done():
            return taken.result()
        return line.get_nowait() if not line.empty() else None
    finally:
        taken.cancel()
