"""What every answer carries and no request may exceed. Plain ASGI: streams pass through untouched."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.errors import document

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Answers are data; a page of ours that needs more says so itself.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    # What a key may see is for its holder alone.
    "Cache-Control": "no-store",
}
"""Set unless the answer already has the header. No CORS headers: another site's scripts have no business here."""


_SWALLOWED: Final = 8 * 1024 * 1024
_PATIENCE_S: Final = 2.0
"""How much of a refused body, and for how long, is read and thrown away: who still sends when the connection closes
sees it reset, and not the refusal."""


class Envelope:
    """Gives each request an id (``X-Request-Id``), and each answer the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope["servitize.request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in scope.get("servitize.quota", {}).items():
                    headers[name] = value
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Reads a body up to ``limit`` bytes before anybody works on it, declared length or not; a longer one gets 413.

    The limit is small, so holding the body costs nothing, and a chunked body without a length cannot slip through
    half read. ``larger`` lists (pattern of the whole path, limit) of those few that take more.
    """

    def __init__(self, app: ASGIApp, limit: int, larger: Sequence[tuple[re.Pattern[str], int]] = ()) -> None:
        self._app = app
        self._limit = limit
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        names = {name: value for name, value in scope["headers"] if name in (b"content-length", b"transfer-encoding")}
        if not names:
            await self._app(scope, receive, send)
            return
        limit = next((most for path, most in self._larger if path.fullmatch(scope["path"])), self._limit)
        declared = names.get(b"content-length", b"0")
        length = int(declared) if declared.isdigit() else 0
        body, more, too_large = b"", True, length > limit
        while more and not too_large:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            too_large = len(body) > limit
        if too_large:
            if more and length <= limit + _SWALLOWED and (body or not _waits_for_leave(scope)):
                await _swallow(receive)
            refusal = document(
                "too-large",
                f"a body here has at most {limit} bytes",
                scope["path"],
                headers={"Connection": "close"},
            )
            await refusal(scope, receive, send)
            return
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


def _waits_for_leave(scope: Scope) -> bool:
    """Whether the client sends no body before it is told to; asking for it would tell it."""
    return any(name == b"expect" for name, _ in scope["headers"])


async def _swallow(receive: Receive) -> None:
    left = _SWALLOWED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
