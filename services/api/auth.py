"""Who asks, and what may they? API keys and issuers' tokens as bearer; each request is one transaction that sees one
tenant."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from core.errors import ForbiddenError
from services.api import identity, remember
from services.api.access import Scope as Scope
from services.api.access import roles_with
from services.api.database import Transaction
from services.api.errors import ApiError
from services.api.state import AppState, state_of
from storage.secrets import split_key


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a key of a tenant or one of its users, with scopes and role. ``actor`` is what journals and audit say.

    ``key_id`` and ``key_prefix`` are a key's, ``user_id`` and ``subject`` a user's; ``expires`` (seconds since 1970) is
    when a token ends, None for a key.
    """

    key_id: int | None
    key_prefix: str
    tenant_id: int
    scopes: frozenset[str]
    role: str
    user_id: int | None = None
    subject: str = ""
    expires: int | None = None

    @property
    def actor(self) -> str:
        return f"api-key:{self.key_prefix}" if self.user_id is None else f"user:{self.user_id}:{self.subject}"

    def require(self, scope: Scope) -> None:
        if scope not in self.scopes:
            whose = "this key has" if self.user_id is None else "you have"
            there = ", ".join(sorted(self.scopes)) or "none"
            raise ForbiddenError(
                f"{whose} no scope {scope.value!r}",
                hint=f"there is {there}; roles that have it: {', '.join(roles_with(scope))}",
            )


@dataclass(frozen=True, slots=True)
class Session:
    """One request's transaction and who it is for."""

    db: Transaction
    principal: Principal
    app: AppState

    async def audit(self, action: str, object_: str, **detail: Any) -> None:
        """One line of the audit log, in this transaction; ``action`` is ``noun.verb``."""
        await self.db.run(
            "audit", actor=self.principal.actor, action=action, object=object_, detail=json.dumps(detail, default=str)
        )

    def question(self, request: Request) -> list[Any]:
        """What a cursor belongs to: tenant, route and every filter, but not the page's size or place."""
        filters = sorted((k, v) for k, v in request.query_params.multi_items() if k not in ("cursor", "limit"))
        return [self.principal.tenant_id, request.url.path, filters]


def _refuse(detail: str) -> ApiError:
    return ApiError("unauthenticated", detail, hint="send the header 'Authorization: Bearer <key or token>'")


Credential = tuple[str, bytes] | identity.Verified
"""Prefix and hash of an API key, or a token that was found good."""


async def credential(request: Request) -> Credential:
    """What the request's header gives, with a token verified and a key still to be looked up.

    No database connection is held while an issuer is asked for its keys. Raises ``unauthenticated``.
    """
    scheme, token = get_authorization_scheme_param(request.headers.get("authorization"))
    if not token or scheme.lower() != "bearer":
        raise _refuse("no API key and no token in the request")
    key = split_key(token)
    if key is not None:
        return key
    if not identity.is_token(token):
        raise _refuse("the token is neither an API key of this service nor a JWT")
    app = state_of(request.app)
    issuer, audiences = identity.claimed(token)
    async with app.database.transaction() as db:
        rows = await db.rows("issuers_for", issuer=issuer, audiences=audiences)
    candidates = [identity.Issuer(**row) for row in rows]
    return await identity.verify(token, candidates, app.key_store, request.headers.get(identity.TENANT_HEADER))


async def authenticate(db: Transaction, given: Credential) -> Principal:
    """Whose it is; makes the transaction see what that tenant sees.

    The database compares hashes of 256 random bits, so how long it takes says nothing about a secret. Raises
    ``unauthenticated``, with the same words for an unknown prefix, a wrong secret and a revoked or expired key.
    """
    if isinstance(given, tuple):
        prefix, digest = given
        found = await db.row("authenticate", prefix=prefix, hash=digest)
        if found is None:
            raise _refuse("this API key is wrong, revoked or expired")
        return Principal(found["key_id"], prefix, found["tenant_id"], frozenset(found["scopes"]), found["role"])
    entered = await db.row(
        "enter_user", issuer=given.issuer.id, subject=given.subject, name=given.name, email=given.email
    )
    if entered is None:
        raise _refuse("this user has been switched off")
    return Principal(
        None,
        "",
        entered["tenant_id"],
        given.scopes(entered["role"]),
        given.role(entered["role"]),
        entered["user_id"],
        given.subject,
        given.expires,
    )


def count(request: Request, app: AppState, principal: Principal) -> None:
    """Count the request against its asker's quota and its tenant's; the narrower of the two is shown in the answer.

    Raises ``rate-limited``.
    """
    now = time.monotonic()
    verdicts = [app.quota.take(principal.actor, now), app.tenant_quota.take(principal.tenant_id, now)]
    shown = min(verdicts, key=lambda v: (v.retry_after is None, v.remaining / v.policy.quota))
    request.scope["servitize.quota"] = shown.headers
    if shown.retry_after is not None:
        raise ApiError(
            "rate-limited",
            f"more than {shown.policy.quota} requests in {shown.policy.window} s",
            hint=f"again in {shown.retry_after} s",
            headers=shown.headers,
        )


_SCHEME: Final = HTTPBearer(
    auto_error=False, scheme_name="apiKey", description="An API key of your tenant, `sv_<prefix>_<secret>`"
)


def session_for(scope: Scope) -> Callable[..., AsyncIterator[Session]]:
    """A dependency: key or token → tenant and scopes → one transaction, committed before the answer leaves.

    ``scope`` is the route's rule: the OpenAPI document and the sweep over all roles read it from here.
    """

    async def session(request: Request, _documented: Annotated[Any, Depends(_SCHEME)]) -> AsyncIterator[Session]:
        given = await credential(request)
        app = state_of(request.app)
        async with app.database.transaction() as db:
            principal = await authenticate(db, given)
            count(request, app, principal)
            if principal.scopes:
                principal.require(scope)
                await remember.begin(request, db, principal.actor, app.settings.device_master)
                yield Session(db, principal, app)
                return
        # committed: an administrator sees who came and may give him a role
        principal.require(scope)

    session.__name__ = f"session_to_{scope.value}"
    session.scope = scope  # type: ignore[attr-defined]
    return session


async def identify(request: Request, _documented: Annotated[Any, Depends(_SCHEME)]) -> Principal:
    """For answers that outlive a transaction (event streams): who asks, with scope read, and the connection back in
    its pool."""
    given = await credential(request)
    app = state_of(request.app)
    async with app.database.transaction() as db:
        principal = await authenticate(db, given)
    count(request, app, principal)
    principal.require(Scope.READ)
    return principal


identify.scope = Scope.READ  # type: ignore[attr-defined]


async def still_holds(db: Transaction, principal: Principal) -> bool:
    """False once the key is revoked or expired, the user or his issuer is switched off, or the token has ended."""
    if principal.user_id is None:
        return bool(await db.value("key_holds", key=principal.key_id))
    if principal.expires is not None and time.time() >= principal.expires:
        return False
    return bool(await db.value("user_holds", user=principal.user_id))


def rule_of(route: APIRoute) -> Scope | None:
    """The scope a route asks for; None where everybody may."""
    for dependency in route.dependant.dependencies:
        scope = getattr(dependency.call, "scope", None)
        if isinstance(scope, Scope):
            return scope
    return None


# scope="function": the transaction ends before the answer is sent, so an answer never promises what then fails to
# commit.
Reading = Annotated[Session, Depends(session_for(Scope.READ), scope="function")]
Operating = Annotated[Session, Depends(session_for(Scope.OPERATE), scope="function")]
Engineering = Annotated[Session, Depends(session_for(Scope.ENGINEER), scope="function")]
Planning = Annotated[Session, Depends(session_for(Scope.PLAN), scope="function")]
Approving = Annotated[Session, Depends(session_for(Scope.APPROVE), scope="function")]
Managing = Annotated[Session, Depends(session_for(Scope.MANAGE), scope="function")]
Administering = Annotated[Session, Depends(session_for(Scope.ADMINISTER), scope="function")]
Auditing = Annotated[Session, Depends(session_for(Scope.AUDIT), scope="function")]
Identified = Annotated[Principal, Depends(identify)]
