"""Examples of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

_AT: Final = "2026-11-22T10:00:00Z"

KEY: Final[dict[str, Any]] = {
    "id": 3,
    "prefix": "3fa29c01b7de",
    "name": "shift display",
    "role": "viewer",
    "scopes": ["read"],
    "user": None,
    "person": None,
    "created_at": _AT,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": None,
}
NEW_KEY: Final[dict[str, Any]] = {**KEY, "key": "sv_3fa29c01b7de_…"}
ISSUER: Final[dict[str, Any]] = {
    "id": 1,
    "name": "Works directory",
    "issuer": "https://login.example.com/works",
    "audience": "servitize-works",
    "jwks_uri": None,
    "algorithms": ["RS256", "ES256"],
    "role_claim": "groups",
    "role_map": {"maintenance": "engineer"},
    "default_role": "viewer",
    "enabled": True,
    "created_at": _AT,
}
USER: Final[dict[str, Any]] = {
    "id": 12,
    "issuer_id": 1,
    "issuer": "https://login.example.com/works",
    "subject": "u-4711",
    "name": "Kim Weber",
    "email": "kim@example.com",
    "role": "planner",
    "created_at": _AT,
    "last_seen_at": _AT,
    "disabled_at": None,
}
ENTRY: Final[dict[str, Any]] = {
    "id": 88,
    "at": _AT,
    "actor": "user:12:u-4711",
    "action": "user.changed",
    "object": "user/13",
    "detail": {"role": "operator"},
}
