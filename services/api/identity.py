"""Bearer tokens of people: JWTs of an issuer that a tenant trusts, verified by the issuer's published keys.

Nothing a token says is believed before its signature holds: its ``iss`` and ``aud`` only say which issuers to try. Keys
are kept for minutes and asked for again when a token names one that is not known, but never more often than every half
minute, so that made-up tokens make us ask nobody.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from core.errors import InvalidInputError, ServitizeError
from services import vetted
from services.api.access import Role, scopes_of
from services.api.errors import ApiError

log = logging.getLogger(__name__)

TOKEN_LENGTH: Final = 8192
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)  # fmt: skip
"""Signatures by a public key only: with a shared secret whoever may verify could sign."""
TENANT_HEADER: Final = "Servitize-Tenant"
_LEEWAY: Final = 30
"""Seconds that clocks may differ."""
_KEYS_HOLD: Final = 600.0
_ASK_AGAIN: Final = 30.0
_ISSUERS_KEPT: Final = 500


@dataclass(frozen=True, slots=True)
class Issuer:
    """A row of servitize.identity_issuer, as issuers_for gives it."""

    id: int
    tenant_id: int
    tenant: str
    audience: str
    jwks_uri: str | None
    algorithms: Sequence[str]
    role_claim: str | None
    role_map: Mapping[str, str]
    default_role: str | None


@dataclass(frozen=True, slots=True)
class Verified:
    """Whose token it is. ``roles`` are what the token itself says, in our words; ``expires`` in seconds since 1970."""

    issuer: Issuer
    subject: str
    name: str | None
    email: str | None
    roles: tuple[str, ...]
    expires: int

    def scopes(self, given: str | None) -> frozenset[str]:
        """What its bearer may do: ``given`` is the role an administrator gave; it wins over the token's."""
        if given is not None:
            return scopes_of(given)
        return frozenset().union(*(scopes_of(role) for role in self.roles or (self.issuer.default_role or "",)))

    def role(self, given: str | None) -> str:
        """The name of it; several of a token's are joined."""
        return given or "+".join(self.roles) or self.issuer.default_role or ""


def refuse(detail: str) -> ApiError:
    return ApiError(
        "unauthenticated", detail, hint="sign in again at your issuer and send 'Authorization: Bearer <token>'"
    )


def is_token(text: str) -> bool:
    """Whether this looks like a JWT at all (three parts of base64url)."""
    return len(text) <= TOKEN_LENGTH and text.count(".") == 2 and text.isascii()


def _peek(token: str, part: int) -> dict[str, Any]:
    """A part of a token, unverified. Raises ``unauthenticated``."""
    text = token.split(".")[part]
    try:
        found = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise refuse("the token is neither an API key of this service nor a JWT")
    return found


def claimed(token: str) -> tuple[str, list[str]]:
    """(issuer, audiences) that a token claims."""
    claims = _peek(token, 1)
    issuer, audience = claims.get("iss"), claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not isinstance(issuer, str) or "\0" in issuer or len(issuer) > 500:
        raise refuse("the token names no issuer")
    return issuer, [a for a in audiences[:20] if isinstance(a, str) and "\0" not in a]


def said_roles(issuer: Issuer, claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The roles a token gives by the issuer's claim and map, in our words and order; what is not ours is nothing.

    A claim's name may be a path with dots (``realm_access.roles``); a name that has dots itself is tried first.
    """
    if issuer.role_claim is None:
        return ()
    found: Any = claims.get(issuer.role_claim)
    if found is None:
        found = claims
        for step in issuer.role_claim.split("."):
            found = found.get(step) if isinstance(found, dict) else None
    values = found if isinstance(found, list) else str(found).split() if isinstance(found, str) else []
    words = {issuer.role_map.get(str(v)) if issuer.role_map else str(v) for v in values}
    return tuple(role.value for role in Role if role.value in words)


@dataclass
class _Keys:
    keys: KeySet | None = None
    held_at: float = float("-inf")
    asked_at: float = float("-inf")
    problem: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeyStore:
    """Issuers' public keys, by where they are published. ``policy`` says which addresses may be asked."""

    def __init__(self, policy: vetted.OutboundPolicy) -> None:
        self._policy = policy
        self._known: OrderedDict[tuple[str, str | None], _Keys] = OrderedDict()

    async def keys(self, issuer: str, uri: str | None, kid: str | None) -> KeySet:
        """Raises ``unauthenticated`` where the issuer publishes none, or cannot be asked."""
        place = (issuer, uri)
        entry = self._known.setdefault(place, _Keys())
        self._known.move_to_end(place)
        if len(self._known) > _ISSUERS_KEPT:
            self._known.popitem(last=False)
        if self._serves(entry, kid):
            assert entry.keys is not None
            return entry.keys
        async with entry.lock:
            now = time.monotonic()
            if not self._serves(entry, kid) and now - entry.asked_at >= _ASK_AGAIN:
                entry.asked_at = now
                try:
                    entry.keys = await asyncio.to_thread(self._fetch, issuer, uri)
                    entry.held_at, entry.problem = now, ""
                except ServitizeError as error:
                    entry.problem = str(error)
                    log.warning("keys of issuer %s: %s", issuer, error)
        if entry.keys is None:
            raise refuse(f"the keys of the token's issuer cannot be had: {entry.problem}")
        return entry.keys

    @staticmethod
    def _serves(entry: _Keys, kid: str | None) -> bool:
        if entry.keys is None or time.monotonic() - entry.held_at > _KEYS_HOLD:
            return False
        return kid is None or any(key.kid == kid for key in entry.keys.keys)

    def _fetch(self, issuer: str, uri: str | None) -> KeySet:
        if uri is None:
            found = self._document(issuer.rstrip("/") + "/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise InvalidInputError("its discovery document names another issuer")
            uri = found.get("jwks_uri")
            if not isinstance(uri, str):
                raise InvalidInputError("its discovery document names no keys")
        found = self._document(uri)
        try:
            keys = KeySet.import_key_set(found)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise InvalidInputError(f"its keys cannot be read: {error}") from error
        # a shared secret published as a key would let everybody sign
        return KeySet([key for key in keys.keys if key.key_type != "oct"])

    def _document(self, url: str) -> dict[str, Any]:
        reply = vetted.call("GET", url, self._policy, headers={"Accept": "application/json"})
        if reply.status != 200 or reply.cut:
            raise InvalidInputError(f"it answers {reply.status}")
        try:
            found = json.loads(reply.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise InvalidInputError("it does not answer in JSON")
        return found


async def verify(token: str, candidates: Sequence[Issuer], store: KeyStore, tenant: str | None) -> Verified:
    """Whose token this is. ``candidates``: who takes tokens of the issuer and audiences it claims; ``tenant``: which
    organisation the request says it means, needed where several do.

    Raises ``unauthenticated``, whatever is wrong.
    """
    chosen = [issuer for issuer in candidates if tenant is None or issuer.tenant == tenant]
    if not chosen:
        raise refuse("nobody here takes tokens of this issuer and audience")
    if len({issuer.tenant_id for issuer in chosen}) > 1:
        raise refuse(f"several organisations take this token: name one in the header {TENANT_HEADER}")
    issuer = chosen[0]
    said, _ = claimed(token)
    header = _peek(token, 0)
    kid = header.get("kid")
    if header.get("alg") not in issuer.algorithms or header.get("alg") not in ALGORITHMS:
        raise refuse("the token is signed in a way that its issuer was not allowed")
    keys = await store.keys(said, issuer.jwks_uri, kid if isinstance(kid, str) else None)
    registry = jwt.JWTClaimsRegistry(
        leeway=_LEEWAY,
        iss={"essential": True, "value": said},
        aud={"essential": True, "value": issuer.audience},
        sub={"essential": True},
        exp={"essential": True},
    )
    try:
        claims = jwt.decode(token, keys, algorithms=list(issuer.algorithms)).claims
        registry.validate(claims)
    except (JoseError, ValueError, TypeError) as error:
        raise refuse(f"the token does not hold: {str(error) or type(error).__name__}") from None
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= 300 or "\0" in subject:
        raise refuse("the token names no subject")
    return Verified(
        issuer,
        subject,
        _text(claims.get("name")),
        _text(claims.get("email")),
        said_roles(issuer, claims),
        claims["exp"],
    )


def _text(value: Any) -> str | None:
    return value[:200].replace("\0", "") if isinstance(value, str) and value else None
