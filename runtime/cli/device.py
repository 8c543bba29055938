"""``servitize device``: let a device in, and show what it has to send where."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, TenantSlug, data_directory, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from runtime.devices import NewDevice

ByCertificate = Annotated[
    bool,
    typer.Option("--certificate", help="It comes by a client certificate with its username as common name (mTLS)."),
]

app = group(
    "Devices: who may send for which equipment.\n\n"
    "\b\nExample:\n"
    "  servitize device add press-7 --type compressor-train\n"
    "prints topic, client id, password (once) and a line to paste that sends a first reading."
)


@app.command()
def add(
    equipment: Annotated[str, typer.Argument(help="Key of the equipment; stands in topics and URLs, e.g. press-7.")],
    type_key: Annotated[str, typer.Option("--type", metavar="TYPE", help="Its type; see `servitize types list`.")],
    tenant: TenantSlug = "main",
    site: Annotated[str | None, typer.Option(metavar="SITE", help="Site it stands at; made if missing.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Its name for people.")] = None,
    serial: Annotated[str | None, typer.Option(metavar="TEXT", help="Serial number.")] = None,
    certificate: ByCertificate = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Register an equipment and its device, and print how to send.

    \b
    Example:
      servitize device add press-7 --type compressor-train --site hall-2
    """
    from runtime import devices

    made = devices.add_device(
        data_directory(home),
        equipment=equipment,
        type_key=type_key,
        tenant=tenant,
        site=site,
        name=name,
        serial=serial,
        by_certificate=certificate,
    )
    _show(made, as_json)


@app.command()
def gateway(
    name: Annotated[str, typer.Argument(help="Its name, e.g. hall-2.")],
    tenant: TenantSlug = "main",
    certificate: ByCertificate = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a gateway in: it sends for any equipment of the tenant, also on the topics of the tenant's mapping profiles.

    Which topics those are is settled now: after another `servitize profile add`, rotate its password.

    \b
    Example:
      servitize profile add meters.yaml --tenant acme
      servitize equipment add press-7 --type compressor-train --tenant acme
      servitize device gateway hall-2 --tenant acme
    """
    from runtime import devices

    _show(devices.add_gateway(data_directory(home), name=name, tenant=tenant, by_certificate=certificate), as_json)


@app.command("edge-node")
def edge_node(
    name: Annotated[str, typer.Argument(metavar="GROUP/NODE", help="Sparkplug ids of group and edge node.")],
    tenant: TenantSlug = "main",
    certificate: ByCertificate = False,
    client_id: Annotated[
        str | None, typer.Option("--client-id", metavar="ID", help="The one it connects with, if it cannot be told.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a Sparkplug edge node in: it may send its own messages and those of its devices, and hear their commands.

    The group must be the tenant's, by a mapping profile with a section `sparkplug`.

    \b
    Example:
      servitize profile add press-shop.yaml --tenant acme
      servitize device edge-node PressShop/line-1 --tenant acme
    """
    from runtime import devices

    _show(
        devices.add_edge_node(
            data_directory(home), name=name, tenant=tenant, client_id=client_id, by_certificate=certificate
        ),
        as_json,
    )


@app.command()
def rotate(
    device: Annotated[str, typer.Argument(help="Client id or equipment key.")],
    tenant: TenantSlug = "main",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a lost password anew; the old one is refused from now on.

    \b
    Example:
      servitize device rotate press-7
    """
    from runtime import devices

    _show(devices.rotate_device(data_directory(home), device, tenant), as_json)


@app.command()
def revoke(
    device: Annotated[str, typer.Argument(help="Client id or equipment key.")],
    tenant: TenantSlug = "main",
    home: Home = None,
) -> None:
    """Shut a device out at once; the equipment and its history stay.

    \b
    Example:
      servitize device revoke press-7
    """
    from runtime import devices

    username = devices.revoke_device(data_directory(home), device, tenant)
    print(f"{username} is shut out. `servitize device rotate {device}` lets it in again with a new password.")


@app.command("list")
def list_devices(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Only this tenant's.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Devices with their equipment, what its numbering says is missing, and how much was refused.

    \b
    Example:
      servitize device list --tenant main
    """
    from runtime.intake import devices_seen

    found = devices_seen(data_directory(home), tenant)
    if as_json:
        print_json([seen.as_document() for seen in found])
        return
    print_table(
        ("tenant", "equipment", "client id", "username", "let in", "last heard", "missing", "refused"),
        [
            (
                seen.tenant,
                seen.equipment or seen.speaks_for,
                seen.client_id,
                seen.username,
                not seen.revoked,
                seen.last_received_at,
                seen.missing_messages,
                seen.refused_readings,
            )
            for seen in found
        ],
        empty="no devices yet; add one with `servitize device add EQUIPMENT --type TYPE`",
    )


@app.command()
def show(
    device: Annotated[str, typer.Argument(help="Client id or equipment key.")],
    tenant: TenantSlug = "main",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """One device: gaps in its numbering, what of it was refused and why, and the limits it is held to.

    A gateway shows every equipment of its tenant, since it may speak for any.

    \b
    Example:
      servitize device show press-7
    """
    from runtime.intake import device_seen

    seen, tally, limits = device_seen(data_directory(home), device, tenant)
    if as_json:
        print_json({**seen.as_document(), "intake": [line.as_document() for line in tally], "limits": limits})
        return
    print_pairs(
        {
            "equipment": f"{seen.equipment or seen.speaks_for} (tenant {seen.tenant})",
            "client id": seen.client_id,
            "username": seen.username,
            "let in": not seen.revoked,
            "last heard": seen.last_received_at,
            **{f"at most {name.replace('_', ' ')}": limit for name, limit in limits.items()},
        }
    )
    print()
    print_table(
        ("equipment", "what", "times", "messages or readings", "newest"),
        [(line.equipment, line.what, line.times, line.amount, line.newest_at) for line in tally],
        empty="nothing missing, nothing refused",
    )
    if any(line.reason for line in tally):
        print("\nThe payloads are kept: servitize deadletter list --tenant", seen.tenant)


def _show(made: NewDevice, as_json: bool) -> None:
    if as_json:
        print_json(made.as_document())
        return
    if made.edge_node:
        _show_edge_node(made)
        return
    print_pairs(
        {
            "equipment": f"{made.equipment} (tenant {made.tenant})",
            "topic": ", ".join((made.topic, *made.foreign)),
            "broker": f"{made.host}:{made.port}" + (" (TLS)" if made.tls else ""),
            "client id": made.client_id,
            "username": made.username,
            **_password(made),
        }
    )
    print("\nSend a first reading:\n")
    print(made.paho_snippet() if not shutil.which("mosquitto_pub") else f"  {made.mosquitto_line()}")
    print("\nSee it arrive:\n")
    print(f"  {made.curl_line()}")
    for note in made.notes:
        print(f"\nNote: {note}")


def _password(made: NewDevice) -> dict[str, str]:
    if made.by_certificate:
        return {"certificate": f"a client certificate with the common name {made.username}"}
    return {"password": f"{made.password}   (shown this once)"}


def _show_edge_node(made: NewDevice) -> None:
    group, _, node = str(made.edge_node).partition("/")
    print_pairs(
        {
            "group id": group,
            "edge node id": f"{node} (tenant {made.tenant})",
            "broker": f"{made.host}:{made.port}" + (" (TLS)" if made.tls else ""),
            "client id": made.client_id,
            "username": made.username,
            **_password(made),
        }
    )
    print("\nPrimary host id, if the node asks for one: see `servitize up --help` (default servitize).")
    for note in made.notes:
        print(f"\nNote: {note}")
