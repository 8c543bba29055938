"""The page of the reference that lists every board: ``python -m boards.reference > docs/reference/boards.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from boards.all import BOARDS
from boards.definition import Board, Panel
from boards.words import HEALTH

_KINDS = {
    "stat": "figures",
    "table": "table",
    "tree": "tree",
    "timeseries": "curves",
    "states": "bands",
    "grid": "cells along time",
    "matrix": "cells",
    "bars": "bars",
    "xy": "map",
}


def page() -> str:
    """Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Boards"
    yield ""
    yield "Every board, its panels, and the question each answers. Web board and Grafana draw the same definitions, and"
    yield "the same SQL (`storage/queries/boards/<domain>.sql`) gives both their rows; each sees what its tenant sees."
    yield ""
    yield "Made by `python -m boards.reference > docs/reference/boards.md`; a test says when it is old."
    yield ""
    yield "Health is 0 to 100. Colours of a health: " + _health() + "."
    yield ""
    for board in BOARDS.values():
        yield from _board(board)


def _health() -> str:
    steps = [f"{HEALTH.below.value} below {HEALTH.steps[0][0]:.0f}"]
    steps += [f"{meaning.value} from {start:.0f}" for start, meaning in HEALTH.steps]
    return ", ".join(steps)


def _board(board: Board) -> Iterator[str]:
    yield f"## {board.title} (`{board.key}`)"
    yield ""
    with_points = f" For machines with {' or '.join(f'`{p}`' for p in board.points)}." if board.points else ""
    with_points += " For machines of which a learned model speaks." if board.learned else ""
    chosen = ", ".join(f"`{variable.key}`" for variable in board.variables)
    yield f"*{board.question}*{with_points} Opens with the last {board.window}" + (
        f"; chosen by {chosen}." if chosen else "."
    )
    yield ""
    yield "| panel | question | shown as | query |"
    yield "|---|---|---|---|"
    for panel in board.panels:
        yield _panel(panel)
    yield ""


def _panel(panel: Panel) -> str:
    window = f", last {panel.window}" if panel.window else ""
    query = f"`{panel.query.domain}.{panel.query.name}`"
    return f"| {panel.title} | {panel.question} | {_KINDS[panel.kind.value]}{window} | {query} |"


if __name__ == "__main__":
    sys.stdout.write(page())
