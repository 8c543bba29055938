"""Who looks at the board? A cookie stands for an API key, and every request of it is one transaction that sees one
tenant.

The cookie is a random secret that no script can read and no other site can send (HttpOnly, SameSite=Strict); only its
hash is stored. What changes anything needs two things more: the header ``X-CSRF-Token``, which only a page of ours
knows, and a browser that says the request comes from us.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, LiteralString, cast
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.responses import Response

from core.errors import ForbiddenError
from services.api.auth import Principal, Scope, Session
from services.api.database import Row, Transaction
from services.api.errors import ApiError
from services.api.state import state_of
from storage.queries import load
from storage.secrets import digest, split_key

ROOT: Final = "/board"
CSRF_HEADER: Final = "x-csrf-token"
_ATTEMPTS: Final = RateLimitItemPerMinute(10)
"""That failed, of one address. A key cannot be guessed anyway; this keeps who tries from keeping the database busy."""


@cache
def sql(name: str) -> LiteralString:
    """Text of a statement of ``storage/queries/board_web.sql``."""
    return cast("LiteralString", getattr(load("board_web", "apsycopg"), name).sql)


async def row(db: Transaction, name: str, **parameters: Any) -> Row | None:
    """First row of a statement of ``storage/queries/board_web.sql``."""
    return await (await db.connection.execute(sql(name), parameters)).fetchone()


async def value(db: Transaction, name: str, **parameters: Any) -> Any:
    found = await row(db, name, **parameters)
    return next(iter(found.values())) if found else None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in. ``csrf`` belongs to this session and is known to its pages only."""

    principal: Principal
    tenant: str
    name: str
    csrf: str

    def may(self, scope: Scope) -> bool:
        return scope in self.principal.scopes


# --- the cookie -------------------------------------------------------------------------------------------------------


def _https(request: Request) -> bool:
    """By us, or by a proxy in front of us. Who lies about it harms his own cookie only."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def _cookie_name(request: Request) -> str:
    # __Host-: a browser takes it only over https and for this host alone; plain http on loopback has no such promise
    return "__Host-servitize-board" if _https(request) else "servitize-board"


def secret_of(request: Request) -> str | None:
    """The cookie's secret; None where there is none of the form that we give."""
    found = request.cookies.get(_cookie_name(request), "")
    return found if len(found) == 43 and found.isascii() else None


def csrf_of(secret: str) -> str:
    """The page's half of a session: whoever knows it has read a page of the session, and cannot compute the cookie."""
    return hmac.new(secret.encode(), b"servitize board csrf", hashlib.sha256).hexdigest()


def give_cookie(request: Request, response: Response, secret: str) -> None:
    """Ends with the browser; when the session ends by itself, the database says."""
    https = _https(request)
    response.set_cookie(
        _cookie_name(request), secret, path="/" if https else ROOT, secure=https, httponly=True, samesite="strict"
    )


def take_cookie(request: Request, response: Response) -> None:
    https = _https(request)
    response.delete_cookie(
        _cookie_name(request), path="/" if https else ROOT, secure=https, httponly=True, samesite="strict"
    )


# --- signing in and out -----------------------------------------------------------------------------------------------


class Doorkeeper:
    """Counts attempts to sign in that failed, in this process: a whole office behind one address may sign in."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def admit(self, request: Request) -> None:
        """Raises ``too-many-attempts`` when an address failed too often within a minute."""
        if not self._limiter.test(_ATTEMPTS, _address(request)):
            raise ApiError(
                "too-many-attempts", "too many attempts to sign in; wait a minute", headers={"Retry-After": "60"}
            )

    def failed(self, request: Request) -> None:
        self._limiter.hit(_ATTEMPTS, _address(request))


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"


async def sign_in(request: Request, key: str) -> str | None:
    """Secret of a new session for an API key, as typed; None where the key opens nothing."""
    found = split_key(key.strip())
    if found is None:
        return None
    secret = secrets.token_urlsafe(32)
    async with state_of(request.app).database.transaction() as db:
        opened = await value(db, "open_session", prefix=found[0], hash=found[1], session=digest(secret))
        if opened:
            await _record(db, secret, "session.opened", "key")
    return secret if opened else None


async def sign_in_once(request: Request, ticket: str) -> str | None:
    """Secret of a new session for a one-time link; None where it was used, is over or never was."""
    secret = secrets.token_urlsafe(32)
    async with state_of(request.app).database.transaction() as db:
        opened = await value(db, "redeem_ticket", ticket=digest(ticket.strip()), session=digest(secret))
        if opened:
            await _record(db, secret, "session.opened", "link")
    return secret if opened else None


async def sign_out(request: Request) -> None:
    """The session ends for every copy of its cookie."""
    secret = secret_of(request)
    if secret is None:
        return
    async with state_of(request.app).database.transaction() as db:
        await _record(db, secret, "session.closed", "")
        await row(db, "close_session", session=digest(secret))


async def _record(db: Transaction, secret: str, action: str, how: str) -> None:
    found = await row(db, "session", session=digest(secret))
    if found is not None:
        actor = f"api-key:{found['prefix']}"
        detail = json.dumps({"how": how} if how else {})
        await db.run("audit", actor=actor, action=action, object="board", detail=detail)


# --- a request of somebody who is signed in ---------------------------------------------------------------------------


def _refuse() -> ApiError:
    return ApiError("unauthenticated", "you are not signed in, or your session is over", hint="sign in again")


async def _visitor(db: Transaction, secret: str) -> Visitor:
    found = await row(db, "session", session=digest(secret))
    if found is None:
        raise _refuse()
    principal = Principal(
        found["key_id"], found["prefix"], found["tenant_id"], frozenset(found["scopes"]), found["role"]
    )
    principal.require(Scope.READ)
    return Visitor(principal, found["tenant"], found["name"], csrf_of(secret))


@asynccontextmanager
async def visit(request: Request) -> AsyncIterator[tuple[Visitor, Session]]:
    """Who asks, and one transaction that sees what his tenant sees, committed at the end.

    Raises ``unauthenticated`` without a session that holds, ``forbidden`` for a key that may not read.
    """
    secret = secret_of(request)
    if secret is None:
        raise _refuse()
    app = state_of(request.app)
    async with app.database.transaction() as db:
        visitor = await _visitor(db, secret)
        yield visitor, Session(db, visitor.principal, app)


async def identify(request: Request) -> Visitor:
    """Who asks, with the connection back in its pool: for answers that outlive a transaction."""
    async with visit(request) as (visitor, _):
        return visitor


def same_origin(request: Request) -> None:
    """Raises ForbiddenError for a request that a browser sends on another site's behalf.

    Browsers say so in ``Sec-Fetch-Site`` or, older ones, in ``Origin``; one that says neither sends no cookie of ours
    from elsewhere either (SameSite). Where the first is there, the second is not asked: a form of a page that sends no
    referrer comes with the origin ``null``.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = site in ("same-origin", "none") if site else not origin or urlsplit(origin).netloc == request.headers["host"]
    if not ours:
        raise ForbiddenError("this request comes from another site", hint="use the board's own pages")


def genuine(request: Request, token: str | None) -> None:
    """Raises ForbiddenError unless a page of this very session sent the request."""
    same_origin(request)
    secret = secret_of(request)
    if secret is None:
        raise _refuse()
    if not token or not hmac.compare_digest(token.encode(), csrf_of(secret).encode()):
        raise ForbiddenError("this request does not come from a page of your session", hint="load the page again")
