"""``servitize outcome``: what turned out to be true, on record; models learn from it and are judged by it."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, data_directory

app = group("What turned out to be true of machines: labels that models learn from and are judged by.")

Equipment = Annotated[str, typer.Argument(metavar="EQUIPMENT", help="Its key.")]
Verdict = Annotated[str, typer.Argument(metavar="VERDICT", help="failure, defect or healthy.")]
At = Annotated[str, typer.Option("--at", metavar="TIME", help="When it failed, or was found so (ISO 8601).")]
Component = Annotated[str, typer.Option("--component", metavar="KEY", help="Of the equipment (default: all of it).")]
Mode = Annotated[str, typer.Option("--mode", metavar="MODE", help="The failure mode, as alarms name it.")]
Found = Annotated[str, typer.Option("--found", metavar="TEXT", help="In words.")]
Source = Annotated[str, typer.Option("--source", metavar="S", help="person, case, work-order or inspection.")]
Reference = Annotated[str, typer.Option("--reference", metavar="N", help="Number of the case, work order …")]
Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="SLUG", help="Whose it is, where several have that key.")
]


@app.command("add")
def add(
    equipment: Equipment,
    verdict: Verdict,
    at: At,
    component: Component = "",
    mode: Mode = "",
    found: Found = "",
    source: Source = "person",
    reference: Reference = "",
    tenant: Tenant = None,
    home: Home = None,
) -> None:
    """Record a failure, a defect, or that somebody looked and all was well. The same again is the same label.

    \b
    Example:
      servitize outcome add K-101 failure --at 2026-03-19T04:10:00Z --component motor.bearing_de --mode bearing_wear
    """
    from core.errors import InvalidInputError
    from core.time import parse_instant, to_datetime
    from runtime import access
    from storage import outcomes

    for given, known in ((verdict, outcomes.VERDICTS), (source, outcomes.SOURCES)):
        if given not in known:
            raise InvalidInputError(f"{given!r} is none of {', '.join(known)}")
    with access.owner(data_directory(home)) as connection:
        number, fresh = outcomes.record(
            connection,
            outcomes.Label(
                _number(connection, equipment, tenant), to_datetime(parse_instant(at)), verdict, component,
                mode, found, source, reference,
            ),
            getpass.getuser(),
        )  # fmt: skip
    print(f"outcome {number} {'recorded' if fresh else 'was known'}")


@app.command("list")
def show(
    equipment: Annotated[str | None, typer.Argument(metavar="[EQUIPMENT]", help="Only of this.")] = None,
    tenant: Tenant = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What is on record, newest first.

    \b
    Example:
      servitize outcome list K-101
    """
    from runtime import access
    from runtime.cli.options import print_json
    from storage import outcomes

    with access.owner(data_directory(home)) as connection:
        number = None if equipment is None else _number(connection, equipment, tenant)
        found = outcomes.listed(connection, number)
    if as_json:
        print_json(found)
        return
    for line in found:
        where = f"{line['equipment']} {line['component']}".strip()
        gone = " (withdrawn)" if line["withdrawn_at"] else ""
        words = " ".join(str(line[key]) for key in ("failure_mode", "found", "reference") if line[key])
        print(f"{line['id']}: {line['at']:%Y-%m-%d %H:%M} {where}: {line['verdict']} {words}{gone}")


@app.command("withdraw")
def withdraw(number: Annotated[int, typer.Argument(metavar="NUMBER", min=1)], home: Home = None) -> None:
    """A label that was wrong: it stays on record and counts no more.

    \b
    Example:
      servitize outcome withdraw 12
    """
    from runtime import access
    from storage import outcomes

    with access.owner(data_directory(home)) as connection:
        outcomes.withdraw(connection, number, getpass.getuser())
    print(f"outcome {number} withdrawn")


def _number(connection: Any, equipment: str, tenant: str | None) -> int:
    """Of the equipment with that key; of several tenants' one has to say whose."""
    from core.errors import ConflictError, NotFoundError
    from storage import outcomes

    found = outcomes.equipment_called(connection, equipment, tenant)
    if not found:
        raise NotFoundError(f"there is no equipment {equipment!r}", hint="servitize equipment list")
    if len(found) > 1:
        raise ConflictError(
            f"{equipment} is a machine of several: {', '.join(slug for _, slug in found)}", hint="--tenant"
        )
    return found[0][0]
