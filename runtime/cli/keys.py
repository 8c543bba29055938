"""``servitize key``: keys for the API. A key is shown once; lost ones are revoked and made again."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, TenantSlug, data_directory, print_json, print_table

app = group("Keys for the API.\n\n\b\nExample:\n  servitize key create --tenant main --name grafana --scope read")

_FIELDS = ("id", "name", "prefix", "scopes", "role", "created", "expires", "revoked", "last_used", "person")


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="What it may do; repeatable (default: all of its role)."),
    ] = None,
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Whose role it has (default: the least that has its scopes).")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DURATION", help="Valid for this long, e.g. '90 d'.")
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Who uses it: approving a command takes another person, not another key."),
    ] = None,
    tenant: TenantSlug = "main",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it once.

    \b
    Example:
      servitize key create --name shift-leader --role operator --person 'Anna Berg'
    """
    import time

    from core.errors import InvalidInputError
    from core.time import parse_duration
    from runtime import access
    from services.api.access import Role, Scope, least_role, scopes_of
    from storage import admin

    person = person.strip() if person is not None else None
    if person == "":
        raise InvalidInputError("a person has a name", hint="leave --person out for a key that nobody owns")
    if role is not None and role not in set(Role):
        raise InvalidInputError(f"there is no role {role!r}", hint=f"one of {', '.join(Role)}")
    scopes = scope or sorted(scopes_of(role or Role.VIEWER))
    if unknown := set(scopes) - set(Scope):
        raise InvalidInputError(f"no such scope: {', '.join(sorted(unknown))}", hint=f"one of {', '.join(Scope)}")
    role = role or least_role(scopes)
    until = None if expires is None else time.time_ns() // 1000 + parse_duration(expires)
    with access.owner(data_directory(home)) as connection:
        tenant_id = access.tenant_named(connection, tenant)
        key = admin.create_api_key(
            connection, tenant_id, name, scopes=scopes, role=role, expires_at=until, person=person
        )
        detail = {"scopes": scopes, "role": role, "person": person}
        admin.audit(connection, tenant_id, "command-line", "key.created", key.prefix, detail)
    if as_json:
        print_json({"id": key.id, "prefix": key.prefix, "key": key.text, "scopes": scopes, "role": role})
        return
    print(f"{key.text}\n\nThis is shown once. Revoke it with: servitize key revoke {key.prefix}")


@app.command("list")
def list_keys(tenant: TenantSlug = "main", home: Home = None, as_json: AsJson = False) -> None:
    """Keys of a tenant, without their secret.

    \b
    Example:
      servitize key list
    """
    with_time = _rows(tenant, home)
    if as_json:
        print_json([dict(zip(_FIELDS, row, strict=True)) for row in with_time])
        return
    rows = [
        (row[2], row[1], row[9], " ".join(row[3]), row[4], "revoked" if row[7] else "valid", row[8])
        for row in with_time
    ]
    print_table(
        ("prefix", "name", "person", "scopes", "role", "state", "last used"),
        rows,
        empty="no keys yet: servitize key create --name TEXT",
    )


@app.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="The key's prefix, or its number.")],
    tenant: TenantSlug = "main",
    home: Home = None,
) -> None:
    """Close a key at once.

    \b
    Example:
      servitize key revoke 3fa29c01b7de
    """
    from core.errors import NotFoundError
    from runtime import access
    from storage import admin

    row = next((row for row in _rows(tenant, home) if prefix in (row[2], str(row[0]))), None)
    if row is None:
        raise NotFoundError(f"tenant {tenant!r} has no key {prefix!r}", hint=f"servitize key list --tenant {tenant}")
    with access.owner(data_directory(home)) as connection:
        admin.revoke_api_key(connection, row[0])
        admin.audit(connection, access.tenant_named(connection, tenant), "command-line", "key.revoked", row[2], {})
    print(f"{row[2]} ({row[1]}) opens nothing from now on")


@app.command()
def link(
    prefix: Annotated[
        str | None, typer.Argument(help="Whose rights it gives: a key's prefix (default: our own of the tenant).")
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=1, max=1440, metavar="N", help="Valid for so long.")] = 60,
    tenant: TenantSlug = "main",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a link that signs a browser in to the web board, once.

    \b
    Examples:
      servitize key link
      servitize key link --tenant demo
      servitize key link 3fa29c01b7de --minutes 10
    """
    from runtime import access
    from runtime.bootstrap import ensure_api_key
    from storage import admin

    data = data_directory(home)
    endpoints = access.running_endpoints(data)
    assert endpoints.api is not None
    with access.connected(endpoints.databases["owner"]) as connection:
        tenant_id = access.tenant_named(connection, tenant)
    key = prefix or ensure_api_key(data, endpoints, tenant)
    with access.connected(endpoints.databases["owner"]) as connection:
        address = access.sign_in_link(connection, endpoints.api.url, key, minutes * 60)
        admin.audit(connection, tenant_id, "command-line", "session.link", "board", {"minutes": minutes})
    if as_json:
        print_json({"url": address, "minutes": minutes})
        return
    print(f"{address}\n\nIt works once, within {minutes:.0f} minutes.")


def _rows(
    tenant: str, home: Home
) -> list[tuple[int, str, str, list[str], str, str | None, str | None, str | None, str | None, str | None]]:
    from core.time import isoformat
    from runtime import access
    from storage.queries import load

    with access.owner(data_directory(home)) as connection:
        found = load("admin").api_keys(connection, tenant_id=access.tenant_named(connection, tenant))
        rows = [tuple(row) for row in found]
    return [(*row[:5], *(None if moment is None else isoformat(moment) for moment in row[5:9]), row[9]) for row in rows]
