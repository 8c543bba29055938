"""``servitize equipment`` and ``servitize tenant``: what is registered, and for whom."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, TenantSlug, data_directory, print_json, print_table

equipment = group("Equipment: machines that report.\n\n\b\nExample:\n  servitize equipment list --tenant main")
tenant = group(
    "Tenants: organisations, each seeing only what is theirs.\n\n"
    "\b\nExample:\n  servitize tenant add acme --name 'ACME Pumps'"
)

_EQUIPMENT_FIELDS = ("tenant", "key", "name", "type", "status", "site", "registered_at")
_TENANT_FIELDS = ("slug", "name", "unknown_equipment", "publisher_clock", "equipment")


@equipment.command("list")
def list_equipment(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Only this tenant's.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Registered equipment, with what waits for approval.

    \b
    Example:
      servitize equipment list
    """
    from core.time import isoformat
    from runtime import access
    from storage.queries import load

    with access.owner(data_directory(home)) as connection:
        number = None if tenant is None else access.tenant_named(connection, tenant)
        rows = [tuple(row) for row in load("instance").equipment(connection, tenant_id=number)]
    rows = [(*row[:-1], isoformat(row[-1])) for row in rows]
    if as_json:
        print_json([dict(zip(_EQUIPMENT_FIELDS, row, strict=True)) for row in rows])
        return
    print_table(
        _EQUIPMENT_FIELDS[:-1],
        [row[:-1] for row in rows],
        empty="no equipment yet: servitize device add EQUIPMENT --type TYPE",
    )


@equipment.command("add")
def add_equipment(
    key: Annotated[str, typer.Argument(help="Key: stands in topics and URLs.")],
    type_key: Annotated[str, typer.Option("--type", metavar="TYPE", help="Its type; see `servitize types list`.")],
    tenant: TenantSlug = "main",
    site: Annotated[str | None, typer.Option(metavar="SITE", help="Site it stands at; made if missing.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Its name for people.")] = None,
    serial: Annotated[str | None, typer.Option(metavar="TEXT", help="Serial number.")] = None,
    home: Home = None,
) -> None:
    """Register an equipment whose telemetry a gateway sends (a device of its own: `servitize device add`).

    \b
    Example:
      servitize equipment add K-7 --type compressor-train --site refinery
    """
    from runtime import access, bootstrap
    from storage import admin

    with access.owner(data_directory(home)) as connection:
        tenant_id = access.tenant_named(connection, tenant)
        type_ = bootstrap.load_type(connection, type_key)
        site_id = None if site is None else admin.create_site(connection, tenant_id, site, site)
        number = admin.create_equipment(connection, tenant_id, key, type_, name=name, serial=serial, site_id=site_id)
        admin.audit(connection, tenant_id, "command-line", "equipment.created", key, {"type": type_key})
    print(f"{key} is registered (number {number}); it reports on servitize/v1/{tenant}/{key}/telemetry")


@equipment.command("approve")
def approve_equipment(
    key: Annotated[str, typer.Argument(help="Key of the equipment that waits.")],
    type_key: Annotated[str, typer.Option("--type", metavar="TYPE", help="The type it is of.")],
    tenant: TenantSlug = "main",
    home: Home = None,
) -> None:
    """Approve equipment that registered itself; its earlier messages are in the dead letters and can be replayed.

    \b
    Example:
      servitize equipment approve K-8 --type compressor-train
      servitize deadletter replay --reason pending
    """
    from core.errors import NotFoundError
    from runtime import access, bootstrap
    from storage import admin

    with access.owner(data_directory(home)) as connection:
        tenant_id = access.tenant_named(connection, tenant)
        number = admin.equipment_id(connection, tenant_id, key)
        if number is None:
            raise NotFoundError(f"tenant {tenant!r} has no equipment {key!r}", hint="servitize equipment list")
        admin.approve_equipment(connection, number, bootstrap.load_type(connection, type_key))
        admin.audit(connection, tenant_id, "command-line", "equipment.approved", key, {"type": type_key})
    print(f"{key} is approved; from now on its readings are stored")


@tenant.command("add")
def add_tenant(
    slug: Annotated[str, typer.Argument(help="Short name: stands in topics; lower case, digits, - and _.")],
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Name for people.")] = None,
    unknown: Annotated[
        str,
        typer.Option(
            "--unknown-equipment", metavar="reject|pending|accept", help="What to do with equipment nobody registered."
        ),
    ] = "reject",
    publisher_clock: Annotated[
        bool,
        typer.Option("--publisher-clock", help="Its time is the publisher's (replays, demos), not this machine's."),
    ] = False,
    past_window: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Refuse readings older than this, e.g. '30 d'.")
    ] = None,
    home: Home = None,
) -> None:
    """Add an organisation.

    \b
    Example:
      servitize tenant add acme --name "ACME Pumps"
    """
    from core.errors import InvalidInputError
    from core.registry import UnknownEquipmentPolicy
    from core.time import parse_duration
    from runtime import access
    from storage import admin

    if unknown not in set(UnknownEquipmentPolicy):
        raise InvalidInputError(f"{unknown!r} is no policy", hint="reject, pending or accept")
    window = None if past_window is None else parse_duration(past_window)
    with access.owner(data_directory(home)) as connection:
        number = admin.create_tenant(
            connection, slug, name or slug, unknown_equipment=UnknownEquipmentPolicy(unknown),
            publisher_clock=publisher_clock, past_window=window,
        )  # fmt: skip
        admin.audit(connection, number, "command-line", "tenant.created", slug, {})
    print(f"tenant {slug} is there; a key for its API: servitize key create --tenant {slug} --name first")


@tenant.command("list")
def list_tenants(home: Home = None, as_json: AsJson = False) -> None:
    """Organisations with the number of their equipment.

    \b
    Example:
      servitize tenant list
    """
    from runtime import access
    from storage.queries import load

    with access.owner(data_directory(home)) as connection:
        rows = [tuple(row) for row in load("instance").tenants(connection)]
    if as_json:
        print_json([dict(zip(_TENANT_FIELDS, row, strict=True)) for row in rows])
        return
    print_table(_TENANT_FIELDS, rows, empty="no tenants yet: servitize tenant add SLUG")
