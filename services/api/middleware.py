"""What every answer carries and no request may exceed. Plain ASGI: streams pass through untouched."""

from __future__ import annotations

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
        body = b""
        too_large = declared.isdigit() and int(declared) > limit
        more = not too_large
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                too_large = True
                break
        if too_large:
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
