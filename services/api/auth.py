"""Who asks, and what may they? API keys as bearer tokens; each request is one transaction that sees one tenant."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from core.errors import ForbiddenError
from services.api.database import Transaction
from services.api.errors import ApiError
from services.api.state import AppState, state_of
from storage.secrets import split_key


class Scope(StrEnum):
    """What a key may do. Each stands for itself: a key that manages does not thereby read."""

    READ = "read"
    OPERATE = "operate"
    MANAGE = "manage"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a key of a tenant, its scopes and role. ``actor`` is what journals and audit say."""

    key_id: int
    key_prefix: str
    tenant_id: int
    scopes: frozenset[str]
    role: str

    @property
    def actor(self) -> str:
        return f"api-key:{self.key_prefix}"

    def require(self, scope: Scope) -> None:
        if scope not in self.scopes:
            raise ForbiddenError(
                f"this key has no scope {scope.value!r}", hint=f"it has {', '.join(sorted(self.scopes)) or 'none'}"
            )


@dataclass(frozen=True, slots=True)
class Session:
    """One request's transaction and who it is for."""

    db: Transaction
    principal: Principal
    app: AppState

    async def audit(self, action: str, object_: str, **detail: Any) -> None:
        """One line of the audit log, in this transaction; ``action`` is ``noun.verb``."""
        await self.db.run("audit", actor=self.principal.actor, action=action, object=object_, detail=json.dumps(detail))

    def question(self, request: Request) -> list[Any]:
        """What a cursor belongs to: tenant, route and every filter, but not the page's size or place."""
        filters = sorted((k, v) for k, v in request.query_params.multi_items() if k not in ("cursor", "limit"))
        return [self.principal.tenant_id, request.url.path, filters]


def _refuse(detail: str) -> ApiError:
    return ApiError("unauthenticated", detail, hint="send the header 'Authorization: Bearer <key>'")


def bearer(request: Request) -> tuple[str, bytes]:
    """Prefix and hash of the key in the request's header."""
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    if not token or scheme.lower() != "bearer":
        raise _refuse("no API key in the request")
    found = split_key(token)
    if found is None:
        raise _refuse("the token is no API key of this service")
    return found


async def authenticate(db: Transaction, prefix: str, digest: bytes) -> Principal:
    """The key's owner; makes the transaction see what that tenant sees.

    The database compares hashes of 256 random bits, so how long it takes says nothing about a secret. Raises
    ``unauthenticated``, with the same words for an unknown prefix, a wrong secret and a revoked or expired key.
    """
    found = await db.row("authenticate", prefix=prefix, hash=digest)
    if found is None:
        raise _refuse("this API key is wrong, revoked or expired")
    return Principal(found["key_id"], prefix, found["tenant_id"], frozenset(found["scopes"]), found["role"])


_SCHEME: Final = HTTPBearer(
    auto_error=False, scheme_name="apiKey", description="An API key of your tenant, `sv_<prefix>_<secret>`"
)


def session_for(scope: Scope) -> Callable[..., AsyncIterator[Session]]:
    """A dependency: key → tenant and scopes → one transaction, committed before the answer leaves."""

    async def session(request: Request, _documented: Annotated[Any, Depends(_SCHEME)]) -> AsyncIterator[Session]:
        prefix, digest = bearer(request)
        app = state_of(request.app)
        async with app.database.transaction() as db:
            principal = await authenticate(db, prefix, digest)
            principal.require(scope)
            yield Session(db, principal, app)

    session.__name__ = f"session_to_{scope.value}"
    return session


async def identify(request: Request, _documented: Annotated[Any, Depends(_SCHEME)]) -> Principal:
    """For answers that outlive a transaction (event streams): who asks, with scope read, and the connection back in
    its pool."""
    prefix, digest = bearer(request)
    app = state_of(request.app)
    async with app.database.transaction() as db:
        principal = await authenticate(db, prefix, digest)
    principal.require(Scope.READ)
    return principal


# scope="function": the transaction ends before the answer is sent, so an answer never promises what then fails to
# commit.
Reading = Annotated[Session, Depends(session_for(Scope.READ), scope="function")]
Operating = Annotated[Session, Depends(session_for(Scope.OPERATE), scope="function")]
Managing = Annotated[Session, Depends(session_for(Scope.MANAGE), scope="function")]
Identified = Annotated[Principal, Depends(identify)]
