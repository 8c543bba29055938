"""From a panel to its rows: which statement, which parameters, and running it on a connection that sees one tenant.

The text is psycopg's (``%(name)s``). The web board binds it; Grafana's renderer replaces each parameter by a macro, a
variable or a literal. Both therefore run the same statement.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString, cast

from psycopg import AsyncConnection, Connection
from psycopg.rows import tuple_row

from boards.definition import Annotation, Panel, Query, Value, Variable
from core.time import MINUTE, parse_duration
from storage.queries import load

PARAMETER: Final = re.compile(r"%\((\w+)\)s")
ALWAYS: Final = frozenset({"from_us", "to_us", "pixels"})
"""Parameters that every reader has: the time range [from_us, to_us) in µs UTC, and how wide a picture is."""
NOW: Final = Query("common", "now")
"""One row, ``now_us``: the tenant's now, which is behind the clock where it replays or demonstrates."""
MAX_PIXELS: Final = 4000


@dataclass(frozen=True, slots=True)
class Range:
    """Event time [from_us, to_us) in µs UTC, and the pixels that it is drawn on."""

    from_us: int
    to_us: int
    pixels: int = 1000


@dataclass(frozen=True, slots=True)
class Result:
    """Rows of named columns, as the database gave them (timestamptz as aware datetime, NULL as None)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def mappings(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@functools.cache
def statement(query: Query) -> LiteralString:
    """The text of that name in ``storage/queries/boards/<domain>.sql``. Raises AttributeError, FileNotFoundError."""
    return cast("LiteralString", getattr(load(f"boards/{query.domain}"), query.name).sql)


@functools.cache
def parameters(query: Query) -> frozenset[str]:
    """What the statement asks for."""
    return frozenset(PARAMETER.findall(statement(query)))


def panel_range(panel: Panel, span: Range) -> Range:
    """The board's time range, or the panel's own that ends where the board's does."""
    if not panel.window:
        return span
    return Range(span.to_us - parse_duration(panel.window), span.to_us, span.pixels)


def bind(asked: Panel | Variable | Annotation, chosen: Mapping[str, Value], span: Range) -> dict[str, Any]:
    """All parameters of the query and no others: time range, what the reader chose for the board's variables, what the
    definition gives.

    Raises KeyError naming a parameter that nobody gave.
    """
    own: Mapping[str, Value] = {} if isinstance(asked, Annotation) else asked.parameters
    if isinstance(asked, Panel):
        span = panel_range(asked, span)
    known: dict[str, Value] = {
        **chosen,
        **own,
        "from_us": span.from_us,
        "to_us": max(span.to_us, span.from_us + MINUTE),
        "pixels": min(max(span.pixels, 4), MAX_PIXELS),
    }
    found = {name: known[name] for name in sorted(parameters(asked.query))}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


async def fetch(connection: AsyncConnection[Any], query: Query, bound: Mapping[str, Any]) -> Result:
    """Run it. The connection's transaction says whose rows are seen."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(statement(query), bound)
        return _result(cursor.description, await cursor.fetchall())


def fetch_now(connection: Connection[Any], query: Query, bound: Mapping[str, Any]) -> Result:
    """As :func:`fetch`, for a connection that waits."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(statement(query), bound)
        return _result(cursor.description, cursor.fetchall())


def _result(description: Sequence[Any] | None, rows: Sequence[tuple[Any, ...]]) -> Result:
    return Result(tuple(column.name for column in description or ()), tuple(rows))
