"""``servitize profile``: how foreign topics and payloads become readings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, TenantSlug, data_directory, print_json, print_table

app = group(
    "Mapping profiles: YAML files that say how foreign topics and payloads become readings.\n\n"
    "\b\nExample:\n  servitize profile check meters.yaml\n  servitize profile add meters.yaml --tenant acme"
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A profile as YAML.", exists=True, dir_okay=False)]


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Say whether a profile is right, and which topics it takes; needs no instance.

    \b
    Example:
      servitize profile check meters.yaml
    """
    from formats.profile import check_profile

    profile = check_profile(file)
    found = {"name": profile.name, "filter": profile.filter, "type": profile.type_key}
    if as_json:
        print_json(found)
        return
    of_type = f" for equipment of type {profile.type_key}" if profile.type_key else ""
    print(f"{file} is a good profile: {profile.name} takes {profile.filter}{of_type}")


@app.command()
def add(file: File, tenant: TenantSlug = "main", home: Home = None) -> None:
    """Check a profile and put it to work for a tenant; one of the same name is replaced.

    \b
    Example:
      servitize profile add meters.yaml --tenant acme
    """
    from formats.profile import check_profile
    from runtime import access
    from storage import admin

    profile = check_profile(file)
    with access.owner(data_directory(home)) as connection:
        tenant_id = access.tenant_named(connection, tenant)
        gateways = [d.client_id for d in admin.devices(connection, tenant_id) if not d.equipment and not d.revoked]
        changed = admin.put_profile(connection, tenant_id, profile.name, profile.document)
        if changed:
            admin.audit(
                connection, tenant_id, "command-line", "profile.added", profile.name, {"filter": profile.filter}
            )
    word = "is at work" if changed else "is at work already, word for word"
    print(f"{profile.name} {word}: ingest takes {profile.filter} for tenant {tenant}")
    if changed and gateways:
        names = ", ".join(gateways)
        print(f"gateways let in earlier may send on new topics once rotated (servitize device rotate): {names}")


@app.command("list")
def list_profiles(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Only this tenant's.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Profiles at work.

    \b
    Example:
      servitize profile list
    """
    from formats.profile import parse_profile
    from runtime import access
    from storage.queries import load

    with access.owner(data_directory(home)) as connection:
        number = None if tenant is None else access.tenant_named(connection, tenant)
        rows = [tuple(row) for row in load("instance").profiles(connection, tenant_id=number)]
    if as_json:
        print_json([{"tenant": row[0], "name": row[1], "document": row[2]} for row in rows])
        return
    print_table(
        ("tenant", "name", "topics"),
        [(row[0], row[1], parse_profile(row[2]).filter) for row in rows],
        empty="no profiles: servitize profile add FILE",
    )


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of the profile.")], tenant: TenantSlug = "main", home: Home = None
) -> None:
    """Take a profile away; its topics are no longer subscribed. What it brought in stays.

    \b
    Example:
      servitize profile remove meters --tenant acme
    """
    from core.errors import NotFoundError
    from runtime import access
    from storage import admin

    with access.owner(data_directory(home)) as connection:
        tenant_id = access.tenant_named(connection, tenant)
        if not admin.remove_profile(connection, tenant_id, name):
            raise NotFoundError(f"tenant {tenant!r} has no profile {name!r}", hint="servitize profile list")
        admin.audit(connection, tenant_id, "command-line", "profile.removed", name, {})
    print(f"{name} is removed")
