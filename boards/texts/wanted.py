"""Which texts the definitions contain, so that a test can ask for a translation of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from boards.all import BOARDS
from boards.definition import Board, Named, Panel


def wanted() -> list[str]:
    """Each text once, in the order of the boards."""
    return list(dict.fromkeys(text for text in _all() if text.strip()))


def _all() -> Iterator[str]:
    yield from ("Boards", "Unit")
    for board in BOARDS.values():
        yield from _of_board(board)


def _of_board(board: Board) -> Iterator[str]:
    yield from (board.title, board.question)
    yield from (row.title for row in board.rows)
    yield from (variable.title for variable in board.variables)
    for annotation in board.annotations:
        yield annotation.title
        yield from _named(annotation.values)
    for panel in board.panels:
        yield from _of_panel(panel)


def _of_panel(panel: Panel) -> Iterator[str]:
    yield from (panel.title, panel.question, panel.empty, panel.x_title, panel.y_title)
    yield from (series.title for series in panel.series)
    yield from _named(panel.values)
    yield from (link.title for link in panel.links)
    for column in panel.columns:
        yield column.title
        yield from _named(column.values)
        if column.link:
            yield column.link.title


def _named(values: Mapping[str, Named] | None) -> Iterator[str]:
    yield from (named.text for named in (values or {}).values())
