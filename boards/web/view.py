"""A board as the page's scripts get it: plain JSON, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from boards.definition import Board, Column, Link, Named, Panel, Series, Zones
from core.time import parse_duration
from core.units import shown_unit

Say = Callable[[str], str]
"""A word in the reader's language."""


def _zones(zones: Zones | None) -> Any:
    return zones and {"below": zones.below, "steps": [[start, meaning] for start, meaning in zones.steps]}


def _values(values: Mapping[str, Named] | None, say: Say) -> Any:
    return values and {word: [say(named.text), named.meaning] for word, named in values.items()}


def _link(link: Link | None, say: Say) -> Any:
    return link and {"board": link.board, "variables": dict(link.variables), "title": say(link.title)}


def _column(column: Column, say: Say) -> dict[str, Any]:
    return {
        "key": column.key,
        "title": say(column.title),
        "format": column.format,
        "unit": shown_unit(column.unit),
        "unitColumn": column.unit_column,
        "decimals": column.decimals,
        "zones": _zones(column.zones),
        "values": _values(column.values, say),
        "link": _link(column.link, say),
        "width": column.width,
        "wideOnly": column.wide_only,
    }


def _series(series: Series, say: Say) -> dict[str, Any]:
    return {"key": series.key, "title": say(series.title), "style": series.style, "meaning": series.meaning}


def _panel(panel: Panel, say: Say, units: Mapping[str, str]) -> dict[str, Any]:
    return {
        "key": panel.key,
        "title": say(panel.title),
        "question": say(panel.question),
        "kind": panel.kind,
        "width": panel.width,
        "height": panel.height,
        "columns": [_column(column, say) for column in panel.columns],
        "series": [_series(series, say) for series in panel.series],
        "unit": shown_unit(units.get(panel.unit_of, "") or panel.unit),
        "xUnit": shown_unit(panel.x_unit),
        "xTitle": say(panel.x_title),
        "yTitle": say(panel.y_title),
        "decimals": panel.decimals,
        "low": panel.low,
        "high": panel.high,
        "zones": _zones(panel.zones),
        "values": _values(panel.values, say),
        "limits": [[value, meaning] for value, meaning in panel.limits],
        "legend": panel.legend,
        "steps": panel.steps,
        "links": [_link(link, say) for link in panel.links],
        "actions": list(panel.actions),
        "refresh": panel.refresh,
        "follows": list(panel.follows),
        "empty": say(panel.empty),
    }


def board_view(board: Board, say: Say, units: Mapping[str, str]) -> dict[str, Any]:
    """Keys as in :mod:`boards.definition`, in camel case; units as people write them; durations in milliseconds.

    ``units``: by variable, the unit of what is chosen.
    """
    return {
        "key": board.key,
        "title": say(board.title),
        "question": say(board.question),
        "window": parse_duration(board.window) // 1000,
        "refresh": board.refresh,
        "rows": [
            {"title": say(row.title), "panels": [_panel(panel, say, units) for panel in row.panels]}
            for row in board.rows
        ],
        "annotations": [
            {"key": mark.key, "title": say(mark.title), "values": _values(mark.values, say)}
            for mark in board.annotations
        ],
    }
