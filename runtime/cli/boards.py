"""``servitize boards``: the health boards as files and in a Grafana."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.groups import group
from runtime.cli.options import AsJson, Home, TenantSlug, data_directory, print_json, print_table

app = group(
    "Health boards: what there is, whether all of it works, and Grafana.\n\n"
    "\b\nExamples:\n"
    "  servitize boards list\n"
    "  servitize boards check --tenant main\n"
    "  servitize boards push --tenant main --url https://grafana.example.org --token-file token"
)

Language = Annotated[str, typer.Option(metavar="en|zh", help="Language of titles and texts.")]


@app.command("list")
def list_boards(language: Language = "en", as_json: AsJson = False) -> None:
    """Every board and the question it answers.

    \b
    Example:
      servitize boards list --language zh
    """
    from boards.all import BOARDS
    from boards.texts import translate

    rows = [
        (board.key, translate(board.title, language), translate(board.question, language), len(board.panels))
        for board in BOARDS.values()
    ]
    fields = ("key", "title", "question", "panels")
    if as_json:
        print_json([dict(zip(fields, row, strict=True)) for row in rows])
        return
    print_table(fields, rows, empty="")


@app.command()
def check(tenant: TenantSlug = "main", home: Home = None, as_json: AsJson = False) -> None:
    """Run every panel as a reader of the tenant would; fails where one gives an error.

    \b
    Example:
      servitize boards check --tenant demo
    """
    from runtime import access, boards

    with access.endpoints_of(data_directory(home)) as endpoints:
        findings = boards.check_boards(endpoints, tenant)
    rows = [
        (f.board, f.panel, f.rows, round(f.milliseconds), f.error or ("empty" if not f.rows else "")) for f in findings
    ]
    fields = ("board", "panel", "rows", "ms", "remark")
    if as_json:
        print_json([dict(zip(fields, row, strict=True)) for row in rows])
    else:
        print_table(fields, rows, empty="there are no boards")
    if any(finding.error for finding in findings):
        raise typer.Exit(1)


@app.command()
def render(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to; made if missing.")],
    language: Language = "en",
) -> None:
    """Write the boards as files that Grafana reads at its start (provisioning).

    \b
    Example:
      servitize boards render --out deploy/grafana
    """
    from dataclasses import replace

    from boards.grafana.provisioning import PLACE, files

    for path, text in files(replace(PLACE, language=language)).items():
        file = out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(file)


@app.command()
def login(
    tenant: TenantSlug = "main",
    operator: Annotated[
        bool | None,
        typer.Option(
            "--operator/--no-operator", help="Show this tenant the figures of the whole platform, or no longer."
        ),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its password is in there (default: a new one, shown once).")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the tenant's read-only login for Grafana, or give it a new password.

    \b
    Example:
      servitize boards login --tenant main --operator
    """
    from runtime import access, boards

    with access.owner(data_directory(home)) as connection:
        made = boards.make_login(
            connection, access.tenant_named(connection, tenant), operator=operator, password_file=password_file
        )
    shown = None if password_file is not None else made.password
    if as_json:
        print_json({"login": made.login, "password": shown})
        return
    print(f"{made.login} sees what {tenant} sees, and can only read")
    if shown is not None:
        print(f"\npassword  {shown}\n\nThis is shown once. Another one: the same command again.")


@app.command()
def push(
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Grafana's address, as a browser has it.")],
    database: Annotated[
        str,
        typer.Option("--database", metavar="HOST:PORT/NAME", help="The database as Grafana reaches it."),
    ] = "",
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Service account's token (default: variable GRAFANA_TOKEN)."),
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="A user of Grafana's instead of a token.")] = None,
    password_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The user's password.")] = None,
    ssl_mode: Annotated[
        str, typer.Option(metavar="require|verify-full|disable", help="How Grafana's connection is protected.")
    ] = "require",
    rotate: Annotated[bool, typer.Option("--rotate", help="Give the tenant's login a new password.")] = False,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="End of the time range when a board is opened (default: now; replays: their end)."
        ),
    ] = None,
    language: Language = "en",
    tenant: TenantSlug = "main",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Put a tenant's data source, folder and dashboards into a Grafana; what is there and equal is left alone.

    \b
    Example:
      GRAFANA_TOKEN=glsa_… servitize boards push --tenant main --url http://localhost:3000 --ssl-mode disable
    """
    from runtime import access, boards

    entry = boards.grafana_access(token_file, user, password_file)
    with access.endpoints_of(data_directory(home)) as endpoints:
        order = boards.Order(tenant, url, entry, database, ssl_mode, rotate, until, language)
        found = []
        for one in boards.push_boards(endpoints, order):
            found.append((one.done.value, one.what, one.title, one.uid))
            if not as_json:
                print(f"{one.done.value:<10} {one.what:<12} {one.title}  ({one.uid})")
    if as_json:
        print_json([dict(zip(("done", "what", "title", "uid"), row, strict=True)) for row in found])
