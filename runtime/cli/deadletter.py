"""``servitize deadletter``: what could not be used, why, and how to try it again after the cause is mended."""

from __future__ import annotations

from typing import Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, data_directory, print_json, print_pairs, print_table

app = group(
    "Dead letters: payloads, or single values of them, that could not be used.\n\n"
    "\b\nExample:\n  servitize deadletter list\n  servitize deadletter show 12\n  servitize deadletter replay 12"
)

TenantFilter = Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Only this tenant's.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="CODE", help="Only these, e.g. unknown-point.")]
_FIELDS = ("id", "last", "tenant", "topic", "reason", "count", "detail", "replayed")


@app.command("list")
def list_letters(
    tenant: TenantFilter = None,
    reason: Reason = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, newest first.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Newest first, each with its reason and how often it came.

    \b
    Example:
      servitize deadletter list --reason unknown-equipment
    """
    from core.time import isoformat
    from runtime import access
    from storage.queries import load

    with access.owner(data_directory(home)) as connection:
        number = None if tenant is None else access.tenant_named(connection, tenant)
        found = load("instance").dead_letters(connection, tenant_id=number, reason=reason, most=most)
        reasons = list(load("instance").dead_letter_reasons(connection, tenant_id=number, reason=reason))
        rows = [(r[0], isoformat(r[1]), *r[2:7], None if r[7] is None else isoformat(r[7])) for r in found]
    if as_json:
        print_json([dict(zip(_FIELDS, row, strict=True)) for row in rows])
        return
    print_table(
        ("id", "last", "topic", "reason", "count", "what"),
        [(row[0], row[1], row[3], row[4], row[5], row[6]) for row in rows],
        empty="no dead letters",
    )
    total = sum(count for _, count in reasons)
    if total > len(rows):
        each = ", ".join(f"{name} {count}" for name, count in reasons)
        print(f"\nThe newest {len(rows)} of {total}: {each}. More with --limit, one kind with --reason.")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="Number from the list.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """One dead letter with its payload.

    \b
    Example:
      servitize deadletter show 12
    """
    from core.errors import NotFoundError
    from core.time import isoformat
    from runtime import access
    from storage.queries import load

    with access.owner(data_directory(home)) as connection:
        row = load("instance").dead_letter(connection, id=number)
    if row is None:
        raise NotFoundError(f"there is no dead letter {number}", hint="servitize deadletter list")
    payload = bytes(row[9])
    pairs = {
        "id": row[0],
        "first": isoformat(row[1]),
        "last": isoformat(row[2]),
        "tenant": row[3],
        "topic": row[4],
        "reason": row[5],
        "times": row[6],
        "readings": row[7],
        "what": row[8],
        "replayed": None if row[11] is None else isoformat(row[11]),
        "cut": len(payload) < row[10],
        "payload": payload.decode("utf-8", errors="backslashreplace"),
    }
    if as_json:
        print_json(pairs)
        return
    print_pairs(pairs)


@app.command()
def replay(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[ID]…", help="Numbers from the list.")] = None,
    reason: Reason = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="All that were not replayed yet.")] = False,
    tenant: TenantFilter = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send payloads through the broker again, after the cause is mended (a point added, an equipment approved).

    What is still unusable becomes a dead letter again; what is stored already is recognised and not stored twice.

    \b
    Example:
      servitize equipment approve K-8 --type compressor-train
      servitize deadletter replay --reason pending
    """
    from core.errors import InvalidInputError
    from runtime.letters import replay_letters

    if not numbers and reason is None and not all_of_them:
        raise InvalidInputError("which dead letters?", hint="name their numbers, a --reason CODE, or --all")
    done = replay_letters(data_directory(home), tenant=tenant, ids=numbers or None, reason=reason)
    if as_json:
        print_json({"replayed": done.sent, "cut": done.cut})
        return
    print(f"{done.sent} sent again" + (f"; {done.cut} were longer than what is kept and stay" if done.cut else ""))
