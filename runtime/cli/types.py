"""``servitize types``: what machines consist of, what is measured on them and what is watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, data_directory, print_json, print_table

app = group(
    "Equipment types: YAML files that say what a machine consists of and what is watched on it.\n\n"
    "\b\nExample:\n  servitize types show compressor-train > my-type.yaml\n  servitize types check my-type.yaml\n"
    "  servitize types add my-type.yaml"
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A type as YAML.", exists=True, dir_okay=False)]
_FIELDS = ("key", "name", "version", "revision", "tenant", "equipment")


@app.command("list")
def list_types(home: Home = None, as_json: AsJson = False) -> None:
    """Types that were published here.

    \b
    Example:
      servitize types list
    """
    from runtime import access
    from storage.queries import load

    with access.owner(data_directory(home)) as connection:
        rows = [tuple(row) for row in load("instance").types(connection)]
    if as_json:
        print_json([dict(zip(_FIELDS, row, strict=True)) for row in rows])
        return
    print_table(_FIELDS, rows, empty="no types yet: servitize types add FILE")


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="Key of the type.")], home: Home = None, as_json: AsJson = False
) -> None:
    """The document of a type, as YAML.

    \b
    Example:
      servitize types show metro-train-6
    """
    import yaml

    from core.errors import NotFoundError
    from runtime import access
    from storage.queries import load

    with access.owner(data_directory(home)) as connection:
        found = load("registry").type_document(connection, key=key)
    if found is None:
        raise NotFoundError(f"there is no type {key!r}", hint="servitize types list")
    if as_json:
        print_json(found[1])
        return
    print(yaml.safe_dump(found[1], sort_keys=False, allow_unicode=True, width=120), end="")


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Say whether a type is right, and what it watches; needs no instance.

    \b
    Example:
      servitize types check my-type.yaml
    """
    from core.equipment import PointKind
    from runtime.bootstrap import read_type

    type_, _ = read_type(file)
    points = type_.point_instances()
    derived = sum(point.definition.kind is PointKind.DERIVED for point in points)
    found = {
        "type": type_.key,
        "version": type_.version,
        "components": sum(1 for _ in type_.component_instances()),
        "measured_points": len(points) - derived,
        "derived_points": derived,
        "states": len(type_.states),
        "limits": len(type_.limits),
    }
    if as_json:
        print_json(found)
        return
    print(
        f"{file} is a good type: {type_.key} version {type_.version}, {found['components']} components, "
        f"{found['measured_points']} measured and {derived} derived points, {found['states']} states, "
        f"{found['limits']} limits"
    )


@app.command()
def add(
    file: File,
    tenant: Annotated[
        str | None, typer.Option("--tenant", metavar="SLUG", help="Whose it is (default: everybody's).")
    ] = None,
    home: Home = None,
) -> None:
    """Check a type and publish it; equipment of the type gets what is new. Every revision is kept.

    \b
    Example:
      servitize types add my-type.yaml
    """
    from runtime import access
    from runtime.bootstrap import read_type
    from storage import admin

    type_, document = read_type(file)
    with access.owner(data_directory(home)) as connection:
        tenant_id = None if tenant is None else access.tenant_named(connection, tenant)
        revision = admin.publish_type(connection, type_, document, tenant_id=tenant_id)
        if revision is not None:
            admin.audit(connection, tenant_id, "command-line", "type.published", type_.key, {"revision": revision})
    if revision is None:
        print(f"{type_.key} is published already, word for word")
    else:
        print(f"{type_.key} is published as revision {revision}; ingest takes it up within seconds")
