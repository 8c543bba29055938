"""Keys, users, issuers: made and changed within the asker's own tenant, by row security."""

from __future__ import annotations

import json
from typing import Any

from core.errors import ForbiddenError
from services.access.model import AddIssuer, AddUser, ChangeIssuer, ChangeUser, MakeKey, NewKey
from services.api.access import scopes_of
from services.api.auth import Principal
from services.api.database import Row, Transaction, visible
from services.api.errors import ParameterError
from services.vetted import split
from storage import secrets


async def one(db: Transaction, statement: str, number: int, what: str) -> Row:
    """The row with that number of a statement with ``id``, ``after`` and ``count``. Raises NotFoundError."""
    filters: dict[str, Any] = {"role": None} if statement == "users" else {}
    return visible(await db.rows(statement, id=number, after=None, count=1, **filters), what)


async def make_key(db: Transaction, who: Principal, order: MakeKey) -> NewKey:
    """A new key. Raises forbidden where it could do more than who asks, or than its role may."""
    of_role = scopes_of(order.role)
    wanted = of_role if order.scopes is None else frozenset(scope.value for scope in order.scopes)
    if beyond := sorted(wanted - of_role):
        raise ParameterError(f"the role {order.role.value} does not have {', '.join(beyond)}", pointer="/scopes")
    if beyond := sorted(wanted - who.scopes):
        raise ForbiddenError(f"you have not {', '.join(beyond)} yourself", hint="give fewer scopes")
    if order.user is not None and order.person is not None:
        raise ParameterError("a key is of a user or of a person, not both", pointer="/person")
    prefix, text, digest = secrets.new_key()
    new = await db.value(
        "make_key",
        name=order.name,
        prefix=prefix,
        hash=digest,
        scopes=sorted(wanted),
        role=order.role.value,
        expires_at=order.expires_at,
        user=order.user,
        person=order.person,
        actor=who.actor,
    )
    return NewKey(**await one(db, "keys", new, "key"), key=text)


async def add_issuer(db: Transaction, order: AddIssuer) -> int:
    for url in (order.issuer, order.jwks_uri):
        if url is not None:
            split(url)
    new = await db.value("add_issuer", **{**order.model_dump(mode="json"), "role_map": json.dumps(order.role_map)})
    assert isinstance(new, int)
    return new


async def change_issuer(db: Transaction, number: int, order: ChangeIssuer) -> None:
    if order.jwks_uri is not None:
        split(order.jwks_uri)
    now = await one(db, "issuers", number, "issuer")
    given = order.model_dump(mode="json", exclude_unset=True)
    for name in ("name", "audience", "algorithms", "role_map", "enabled"):
        if name in given and given[name] is None:
            raise ParameterError("this cannot be null", pointer=f"/{name}")
    row = {**{name: now[name] for name in ChangeIssuer.model_fields}, **given}
    await db.run("change_issuer", **{**row, "id": number, "role_map": json.dumps(row["role_map"])})


async def add_user(db: Transaction, who: Principal, order: AddUser) -> int:
    may_give(who, order.role)
    new = await db.value("add_user", **order.model_dump(mode="json"))
    assert isinstance(new, int)
    return new


async def change_user(db: Transaction, who: Principal, number: int, order: ChangeUser) -> None:
    """Raises forbidden for a role that may do more than who asks."""
    now = await one(db, "users", number, "user")
    may_give(who, order.role)
    given = order.model_dump(mode="json", exclude_unset=True)
    row = {**{name: now[name] for name in ("name", "email", "role")}, "disabled": now["disabled_at"] is not None}
    await db.run(
        "change_user", **{**row, **{k: v for k, v in given.items() if k == "role" or v is not None}, "id": number}
    )


def may_give(who: Principal, role: str | None) -> None:
    """Raises forbidden for a role with scopes that ``who`` has not."""
    if role is not None and (beyond := sorted(scopes_of(role) - who.scopes)):
        raise ForbiddenError(f"you have not {', '.join(beyond)} yourself", hint="give a lesser role")
