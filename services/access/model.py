"""Answers and requests about keys, users, issuers and the audit log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from services.api.access import Role, Scope
from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.tenancy.model import Text

Url = Annotated[str, StringConstraints(min_length=8, max_length=500, pattern=r"^https?://[\x21-\x7e]+$")]
Subject = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
Claim = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]  # fmt: skip


class Key(Answer):
    """An API key, without its secret."""

    id: int
    prefix: str
    name: str
    role: str
    scopes: list[str]
    user: int | None = Field(description="Whose key it is, where that is a user")
    person: str | None = Field(description="Whose key it is, where that is no user")
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    last_used_at: Moment | None


class NewKey(Key):
    key: str = Field(description="The whole key, shown this once")


class MakeKey(Strict):
    """Scopes are those of the role, or fewer; nobody gives what he has not himself. Without `user` and `person` the key
    is of whoever makes it: approving a command takes another person."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "shift leader", "role": "operator", "person": "Anna Berg"}]}
    )

    name: Text
    role: Role = Field(strict=False)
    scopes: list[Annotated[Scope, Field(strict=False)]] | None = Field(
        None, max_length=8, description="All of the role's, if not given"
    )
    expires_at: Moment | None = None
    user: int | None = Field(None, ge=1, le=9_223_372_036_854_775_807, description="Number of one of your users")
    person: Text | None = Field(None, description="By name, for somebody who is no user")


class RenameKey(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "hall display"}]})

    name: Text


class IssuerInfo(Answer):
    """An OpenID provider whose tokens you take."""

    id: int
    name: str
    issuer: str
    audience: str = Field(description="What a token's `aud` must say")
    jwks_uri: str | None = Field(description="Null: found by the issuer's discovery document")
    algorithms: list[str]
    role_claim: str | None
    role_map: dict[str, str]
    default_role: str | None
    enabled: bool
    created_at: Moment


class AddIssuer(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Works directory",
                    "issuer": "https://login.example.com/works",
                    "audience": "servitize-works",
                    "role_claim": "groups",
                    "role_map": {"maintenance": "engineer"},
                    "default_role": "viewer",
                }
            ]
        }
    )

    name: Text
    issuer: Url = Field(description="Exactly as the tokens' `iss` says")
    audience: Claim
    jwks_uri: Url | None = None
    algorithms: list[Algorithm] = Field(["RS256", "ES256"], min_length=1, max_length=11)
    role_claim: Claim | None = Field(
        None, description="Where a token says roles; a path may have dots (`realm_access.roles`)"
    )
    role_map: dict[Claim, Annotated[Role, Field(strict=False)]] = Field(
        {}, max_length=100, description="Value of the claim to role; without it values are roles"
    )
    default_role: Annotated[Role, Field(strict=False)] | None = Field(
        None, description="Of users to whom neither token nor administrator gives one; null: they may do nothing"
    )


class ChangeIssuer(Strict):
    """Only what is given changes; the issuer's address stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    name: Text | None = None
    audience: Claim | None = None
    jwks_uri: Url | None = None
    algorithms: list[Algorithm] | None = Field(None, min_length=1, max_length=11)
    role_claim: Claim | None = None
    role_map: dict[Claim, Annotated[Role, Field(strict=False)]] | None = Field(None, max_length=100)
    default_role: Annotated[Role, Field(strict=False)] | None = None
    enabled: bool | None = Field(None, description="False: none of its tokens opens anything from now on")


class User(Answer):
    """Somebody who signed in with a token of your issuer, or is expected to."""

    id: int
    issuer_id: int
    issuer: str
    subject: str = Field(description="Who it is to the issuer (`sub`)")
    name: str | None
    email: str | None
    role: str | None = Field(description="Given here; null: what the token says, else the issuer's default")
    created_at: Moment
    last_seen_at: Moment | None
    disabled_at: Moment | None


class AddUser(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"issuer": 1, "subject": "u-4711", "role": "planner"}]})

    issuer: int = Field(ge=1, le=2_147_483_647, description="Number of one of your issuers")
    subject: Subject
    name: Text | None = None
    email: Text | None = None
    role: Annotated[Role, Field(strict=False)] | None = None


class ChangeUser(Strict):
    """Only what is given changes. `role: null` leaves the role to token and issuer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "operator"}]})

    name: Text | None = None
    email: Text | None = None
    role: Annotated[Role, Field(strict=False)] | None = None
    disabled: bool | None = Field(None, description="True: nothing opens from now on")


class AuditEntry(Answer):
    """Who did what, when; nothing here is ever changed or removed."""

    id: int
    at: Moment
    actor: str = Field(description="`api-key:<prefix>`, `user:<number>:<subject>`, `command-line`…")
    action: str = Field(description="`noun.verb`")
    object: str
    detail: dict[str, Any]
