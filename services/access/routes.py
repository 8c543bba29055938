"""`/v1/keys`, `/v1/issuers`, `/v1/users`, `/v1/audit`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.access import service
from services.access.examples import ENTRY, ISSUER, KEY, NEW_KEY, USER
from services.access.model import (
    AddIssuer,
    AddUser,
    AuditEntry,
    ChangeIssuer,
    ChangeUser,
    IssuerInfo,
    Key,
    MakeKey,
    NewKey,
    RenameKey,
    User,
)
from services.api.access import Role
from services.api.auth import Administering, Auditing, Session
from services.api.database import Row, visible
from services.api.errors import responses
from services.api.etag import MATCHED, TAGGED, answer_tagged, require_match
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import LongNumber, MaybeFrom, MaybeTo, Number, Pages, paged, plain

router = APIRouter(tags=["access"])


@router.get("/keys", summary="API keys of your organisation", responses=paged(keys=KEY))
async def list_keys(session: Administering, paging: Pages) -> Page[Key]:
    """In order of making, revoked ones too; never a secret."""
    return await paging.listed(session, "keys", Key.model_validate, id=None)


@router.post(
    "/keys",
    status_code=201,
    summary="Make an API key",
    responses={201: examples(made=NEW_KEY), **responses("invalid-input", "not-found")},
)
async def make_key(response: Response, session: Administering, body: MakeKey) -> NewKey:
    """The key is in this answer and nowhere else. It can do what its role can, or less."""
    made = await service.make_key(session.db, session.principal, body)
    await session.audit(
        "key.created",
        f"key/{made.id}",
        prefix=made.prefix,
        role=made.role,
        scopes=made.scopes,
        user=made.user,
        person=made.person,
    )
    response.headers["Location"] = f"/v1/keys/{made.id}"
    response.headers["Cache-Control"] = "no-store"
    return made


@router.get(
    "/keys/{key_id}",
    summary="One API key",
    response_model=Key,
    responses={200: examples(key=KEY), **TAGGED, **responses("not-found")},
)
async def show_key(request: Request, session: Administering, key_id: LongNumber) -> Response:
    """Without its secret."""
    row = await service.one(session.db, "keys", key_id, "key")
    # when it was last used is no change of it
    return answer_tagged(request, Key.model_validate(row), _version(row), volatile=True)


def _version(row: Row) -> str:
    return f"key/{row['id']}/{row['name']}/{row['revoked_at']}"


async def _held(request: Request, session: Session, key_id: int) -> Row:
    """The key, locked, as the request has seen it."""
    row = visible(await session.db.row("hold_key", id=key_id), "key")
    require_match(request, _version(row))
    return row


@router.patch(
    "/keys/{key_id}",
    summary="Rename an API key",
    responses={200: examples(key=KEY), **MATCHED, **responses("not-found")},
)
async def rename_key(request: Request, session: Administering, key_id: LongNumber, body: RenameKey) -> Key:
    """What it may do, and whose it is, stays what it was: for more or less, make another."""
    await _held(request, session, key_id)
    await session.db.run("rename_key", id=key_id, name=body.name)
    await session.audit("key.renamed", f"key/{key_id}", name=body.name)
    return Key.model_validate(await service.one(session.db, "keys", key_id, "key"))


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    summary="Revoke an API key",
    responses={204: {"description": "It opens nothing from now on"}, **MATCHED, **responses("not-found")},
)
async def revoke_key(request: Request, session: Administering, key_id: LongNumber) -> None:
    """At once; its row stays as a record. One's own too: then this was the last thing it did."""
    row = await _held(request, session, key_id)
    await session.db.run("revoke_key", id=key_id)
    await session.audit("key.revoked", f"key/{key_id}", prefix=row["prefix"])


@router.get("/issuers", summary="OpenID providers whose tokens you take", responses=paged(issuers=ISSUER))
async def list_issuers(session: Administering, paging: Pages) -> Page[IssuerInfo]:
    """In order of adding."""
    return await paging.listed(session, "issuers", IssuerInfo.model_validate, id=None)


@router.post(
    "/issuers",
    status_code=201,
    summary="Take tokens of an OpenID provider",
    responses={201: examples(added=ISSUER), **responses("invalid-input", "conflict")},
)
async def add_issuer(response: Response, session: Administering, body: AddIssuer) -> IssuerInfo:
    """From now on a JWT that it signs for the audience opens what its bearer's role may. Its keys are asked for when
    the first token comes."""
    new = await service.add_issuer(session.db, body)
    await session.audit("issuer.added", f"issuer/{new}", **body.model_dump(mode="json"))
    response.headers["Location"] = f"/v1/issuers/{new}"
    return IssuerInfo.model_validate(await service.one(session.db, "issuers", new, "issuer"))


@router.get(
    "/issuers/{issuer}",
    summary="One OpenID provider",
    response_model=IssuerInfo,
    responses={200: examples(issuer=ISSUER), **TAGGED, **responses("not-found")},
)
async def show_issuer(request: Request, session: Administering, issuer: Number) -> Response:
    """With how its tokens give roles."""
    row = await service.one(session.db, "issuers", issuer, "issuer")
    return answer_tagged(request, IssuerInfo.model_validate(row), f"issuer/{issuer}/{row['revision']}")


@router.patch(
    "/issuers/{issuer}",
    summary="Change or switch off an OpenID provider",
    responses={200: examples(issuer=ISSUER), **MATCHED, **responses("invalid-input", "not-found", "conflict")},
)
async def change_issuer(request: Request, session: Administering, issuer: Number, body: ChangeIssuer) -> IssuerInfo:
    """Only what is given changes. Switched off, its users can do nothing, and are as they were when it is on again."""
    await service.one(session.db, "issuers", issuer, "issuer")
    require_match(request, f"issuer/{issuer}/{await session.db.value('issuer_revision', id=issuer)}")
    await service.change_issuer(session.db, issuer, body)
    await session.audit("issuer.changed", f"issuer/{issuer}", **body.model_dump(mode="json", exclude_unset=True))
    return IssuerInfo.model_validate(await service.one(session.db, "issuers", issuer, "issuer"))


@router.get("/users", summary="Users of your organisation", responses=paged(users=USER))
async def list_users(session: Administering, paging: Pages, role: Role | None = None) -> Page[User]:
    """Who signed in, or is expected to, in the order in which they became known."""
    return await paging.listed(session, "users", User.model_validate, id=None, role=role)


@router.post(
    "/users",
    status_code=201,
    summary="Expect a user",
    responses={201: examples(added=USER), **responses("not-found", "conflict")},
)
async def add_user(response: Response, session: Administering, body: AddUser) -> User:
    """Before he signs in for the first time, so that he has a role when he does."""
    new = await service.add_user(session.db, session.principal, body)
    await session.audit("user.added", f"user/{new}", **body.model_dump(mode="json"))
    response.headers["Location"] = f"/v1/users/{new}"
    return User.model_validate(await service.one(session.db, "users", new, "user"))


@router.get(
    "/users/{user}",
    summary="One user",
    response_model=User,
    responses={200: examples(user=USER), **TAGGED, **responses("not-found")},
)
async def show_user(request: Request, session: Administering, user: LongNumber) -> Response:
    """With the role given here, if one was."""
    row = await service.one(session.db, "users", user, "user")
    return answer_tagged(request, User.model_validate(row), f"user/{user}/{row['revision']}")


@router.patch(
    "/users/{user}",
    summary="Give a user a role, or switch him off",
    responses={200: examples(user=USER), **MATCHED, **responses("not-found")},
)
async def change_user(request: Request, session: Administering, user: LongNumber, body: ChangeUser) -> User:
    """From the next request on; open event streams end within seconds."""
    await service.one(session.db, "users", user, "user")
    require_match(request, f"user/{user}/{await session.db.value('user_revision', id=user)}")
    await service.change_user(session.db, session.principal, user, body)
    await session.audit("user.changed", f"user/{user}", **body.model_dump(mode="json", exclude_unset=True))
    return User.model_validate(await service.one(session.db, "users", user, "user"))


@router.get("/audit", summary="Who did what", responses=paged(entries=ENTRY))
async def list_audit(
    session: Auditing,
    paging: Pages,
    actor: Annotated[str | None, Query(max_length=400)] = None,
    action: Annotated[str | None, Query(max_length=100, description="`noun.verb`, or a noun for all of its")] = None,
    object_: Annotated[str | None, Query(alias="object", max_length=200, examples=["key/3"])] = None,
    time_from: MaybeFrom = None,
    time_to: MaybeTo = None,
) -> Page[AuditEntry]:
    """Newest first: every change by API and command line in your organisation."""
    return await paging.listed(
        session,
        "audit_entries",
        AuditEntry.model_validate,
        actor=plain(actor),
        action=plain(action),
        object=plain(object_),
        time_from=time_from,
        time_to=time_to,
    )
