"""``servitize models compare``: champion and challenger side by side, judged by what turned out to be true."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from core.errors import NotFoundError
from storage.errors import translated
from storage.queries import load


def comparison(
    connection: psycopg.Connection[Any],
    model: str,
    time_from: datetime | None = None,
    time_to: datetime | None = None,
    horizon_days: int = 30,
) -> dict[str, Any]:
    """Figures by version, of all machines; the API gives the same of those a tenant sees.

    Raises :class:`~core.errors.NotFoundError` where the model has said nothing yet.
    """
    queries = load("api_compare")
    asked = {"model": model, "time_from": time_from, "time_to": time_to}

    def rows(name: str, **more: Any) -> list[dict[str, Any]]:
        with translated(), connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(getattr(queries, name).sql, {**asked, **more}).fetchall()

    result = {
        "model": model,
        "lives": rows("compare_lives"),
        "scores": rows("compare_scores", horizon=f"{horizon_days} days"),
        "drift": rows("drift_of"),
        **rows("agreement")[0],
    }
    if not result["lives"] and not result["scores"]:
        raise NotFoundError(f"the model {model!r} has said nothing yet", hint="servitize models shows which speak")
    return result


def compare_command(
    connection: psycopg.Connection[Any],
    model: str,
    time_from: datetime | None,
    time_to: datetime | None,
    *,
    as_json: bool,
) -> None:
    """A table of the versions, or JSON."""
    found = comparison(connection, model, time_from, time_to)
    if as_json:
        sys.stdout.write(orjson.dumps(found, default=float).decode() + "\n")
        return
    console = Console()
    if found["lives"]:
        table = Table(box=None)
        for column in ("version", "is", "told", "machines", "width", "judged", "RMSE", "bias", "P10–P90 holds"):
            table.add_column(column)
        for row in found["lives"]:
            held = row["coverage"]
            table.add_row(
                str(row["version"]), _role(row), str(row["told"]), str(row["machines"]), _figure(row["width"]),
                str(row["judged"]), _figure(row["rmse"]), _figure(row["bias"]),
                "–" if held is None else f"{100 * held:.0f} %",
            )  # fmt: skip
        console.print(table)
    if found["pairs"]:
        console.print(f"{found['pairs']} moments at which both spoke, their P50 {found['apart']:.1f} apart in the mean")
    if found["scores"]:
        table = Table(box=None)
        for column in ("version", "is", "told", "machines", "alarms", "of instruments", "for nothing", "foreseen"):
            table.add_column(column)
        for row in found["scores"]:
            table.add_row(
                str(row["version"]), _role(row), str(row["told"]), str(row["machines"]), str(row["machine_alarms"]),
                str(row["instrument_alarms"]), str(row["unfollowed"]), f"{row['foreseen']} of {row['known']}",
            )  # fmt: skip
        console.print(table)
    for row in found["drift"]:
        if row["drifted"]:
            console.print(
                f"version {row['version']}: in {row['drifted']} of {row['windows']} windows machines sent something "
                f"else than it learned from, {row['point']} most ({row['worst']:.2f})",
                highlight=False,
            )


def _role(row: dict[str, Any]) -> str:
    return "champion" if row["champion"] else "challenger"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
