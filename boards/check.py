"""Run every panel of every board as its readers would, and say what is wrong: an error, nothing to see, too slow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from boards.all import BOARDS
from boards.definition import GRID, Annotation, Board, Panel, Value, Variable
from boards.queries import NOW, Range, Result, bind, fetch_now
from core.time import parse_duration

Connection = psycopg.Connection[Any]
WIDE = 1600
"""Pixels of a board on an ordinary screen."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one panel (or ``annotation …``, ``variable …``) gave: rows, milliseconds of the quickest of a few runs, or
    the database's complaint."""

    board: str
    panel: str
    rows: int
    milliseconds: float
    error: str = ""


def check(connection: Connection, boards: Mapping[str, Board] = BOARDS, *, tries: int = 3) -> Iterator[Finding]:
    """Each panel of ``boards`` with the default of every variable, asked ``tries`` times. The connection sees one
    tenant."""
    now = int(fetch_now(connection, NOW, {}).rows[0][0])
    for board in boards.values():
        span = Range(now - parse_duration(board.window), now, WIDE)
        chosen: dict[str, Value] = {}
        for variable in board.variables:
            found, finding = run(connection, board, f"variable {variable.key}", variable, chosen, span, tries)
            yield finding
            chosen[variable.key] = found.rows[0][0] if found and found.rows else None
        for panel in board.panels:
            drawn_on = Range(span.from_us, span.to_us, round(WIDE * panel.width / GRID))
            yield run(connection, board, panel.key, panel, chosen, drawn_on, tries)[1]
        for annotation in board.annotations:
            yield run(connection, board, f"annotation {annotation.key}", annotation, chosen, span, tries)[1]


def run(
    connection: Connection,
    board: Board,
    name: str,
    asked: Panel | Variable | Annotation,
    chosen: Mapping[str, Value],
    span: Range,
    tries: int,
) -> tuple[Result | None, Finding]:
    """Ask ``tries`` times and keep the quickest: what is looked for is the query's price, not the machine's mood."""
    best = float("inf")
    result: Result | None = None
    try:
        for _ in range(tries):
            bound = bind(asked, chosen, span)
            begun = time.perf_counter()
            with connection.transaction():
                result = fetch_now(connection, asked.query, bound)
            best = min(best, (time.perf_counter() - begun) * 1000)
    except (psycopg.Error, KeyError, AttributeError) as error:
        return None, Finding(board.key, name, 0, 0.0, f"{type(error).__name__}: {error}")
    assert result is not None
    return result, Finding(board.key, name, len(result.rows), best)
