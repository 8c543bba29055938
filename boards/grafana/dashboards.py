"""A board of ours as a Grafana dashboard: JSON that is the same, to the byte, whenever the definition is."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from boards.definition import Annotation, Board, Meaning
from boards.definition import place as lay_out
from boards.grafana import sql
from boards.grafana.panels import build_panel
from boards.grafana.parts import Made, Place, SqlQuery, colour, menu, panel_id
from core.time import from_datetime, isoformat, parse_duration

Json = dict[str, Any]
TAG: Final = "servitize"
NOW: Final = "now"


def render(board: Board, place: Place) -> Json:
    """The dashboard as Grafana's API and its provisioning take it; without an id, which every Grafana gives itself."""
    builder = (
        build.Dashboard(place.text(board.title))
        .uid(place.uid(board.key))
        .description(place.text(board.question))
        .tags([TAG, place.prefix])
        .timezone("browser")
        .time(_start(board, place), place.until)
        .refresh(f"{board.refresh}s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(menu(place))
    )
    for variable in board.variables:
        builder = builder.with_variable(
            build.QueryVariable(variable.key)
            .label(place.text(variable.title))
            .query(sql.of_variable(board, variable))
            .datasource(place.datasource)
            .refresh(dashboard.VariableRefresh.ON_DASHBOARD_LOAD)
            .sort(dashboard.VariableSort.DISABLED)
            .multi(False)
            .include_all(False)
            .allow_custom_value(False)
        )
    for annotation in board.annotations:
        builder = builder.annotation(Made(_annotation(board, annotation, place)))
    document = _json(builder.build())
    for variable_document in document["templating"].get("list", ()):
        # the SDK gives every variable what only one of an interval has; Grafana's own types refuse it
        for name in ("auto", "auto_min", "auto_count"):
            variable_document.pop(name, None)
    document["panels"] = _panels(board, place)
    return document


def text_of(document: Json) -> str:
    """As a file: keys in order, so that versions can be compared."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _start(board: Board, place: Place) -> str:
    if place.until == NOW:
        return f"now-{board.window.replace(' ', '')}"
    return isoformat(from_datetime(datetime.fromisoformat(place.until)) - parse_duration(board.window))


def _panels(board: Board, place: Place) -> list[Json]:
    found: list[Json] = []
    below = 0
    for row in board.rows:
        if row.title:
            title = build.Row(place.text(row.title)).id(panel_id(f"row/{row.title}"))
            title = title.grid_pos(dashboard.GridPos(h=1, w=24, x=0, y=below))
            found.append(_json(title.build()))
            below += 1
        placed = lay_out(row.panels)
        found += [_json(build_panel(place, board, panel, x, below + y)) for panel, x, y in placed]
        below += max(y + panel.height for panel, _, y in placed)
    return found


class _Target(dashboard.AnnotationTarget):
    """An annotation's query is an ordinary one; the SDK only knows that of Grafana's own annotations."""

    def __init__(self, query: SqlQuery) -> None:
        super().__init__()
        self._query = query

    def to_json(self) -> dict[str, object]:
        return self._query.to_json()


def _annotation(board: Board, annotation: Annotation, place: Place) -> dashboard.AnnotationQuery:
    query = SqlQuery(sql.of_annotation(board, annotation), place.datasource, "Marks")
    return dashboard.AnnotationQuery(
        name=place.text(annotation.title),
        datasource=place.datasource,
        enable=True,
        icon_color=colour(Meaning.ALARM),
        target=_Target(query),
    )


def _json(made: object) -> Json:
    document: Json = json.loads(json.dumps(made, cls=JSONEncoder))
    return document
