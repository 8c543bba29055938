"""A panel of ours as a panel of Grafana's, by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    barchart,
    common,
    stat,
    statetimeline,
    statushistory,
    table,
    timeseries,
    xychart,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard, units
from grafana_foundation_sdk.models import xychart as xychart_models

from boards.definition import Board, Column, Format, Kind, Meaning, Panel, Series, Style
from boards.grafana import sql
from boards.grafana.parts import (
    Made,
    Place,
    SqlQuery,
    by_thresholds,
    coloured_cell,
    data_link,
    fixed,
    fixed_colour,
    lines,
    mapping,
    panel_id,
    series_colour,
    setting,
    thresholds,
    transformation,
)
from boards.grafana.units import grafana_unit

Builder = Any
"""The SDK's panel builders share their methods, but no class says so."""

_DASHES: Final = {"fill": "dash", "dash": [10, 10]}
_LEGEND_BELOW: Final = (
    common.VizLegendOptions()
    .display_mode(common_models.LegendDisplayMode.LIST)
    .placement(common_models.LegendPlacement.BOTTOM)
    .calcs([])
)


def build_panel(place: Place, board: Board, panel: Panel, x: int, y: int) -> dashboard.Panel:
    """The finished panel at (x, y) of the grid."""
    builder = _KINDS[panel.kind](place, panel)
    builder = (
        builder.id(panel_id(panel.key))
        .title(place.text(panel.title))
        .description(place.text(panel.question))
        .datasource(place.datasource)
        .with_target(Made(SqlQuery(sql.of_panel(board, panel), place.datasource)))
        .grid_pos(dashboard.GridPos(h=panel.height, w=panel.width, x=x, y=y))
    )
    if panel.window:
        builder = builder.time_from(panel.window.replace(" ", ""))
    if panel.empty:
        builder = builder.no_value(place.text(panel.empty))
    built: dashboard.Panel = builder.build()
    return built


def _stat(place: Place, panel: Panel) -> Builder:
    builder = (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().values(False).calcs(["lastNotNull"]).fields("/.*/"))
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .text_mode(common_models.BigValueTextMode.VALUE_AND_NAME)
        .orientation(common_models.VizOrientation.VERTICAL)
    )
    return _columns(place, panel, builder, cells=False)


def _table(place: Place, panel: Panel) -> Builder:
    builder = table.Panel().show_header(True).cell_height(common_models.TableCellHeight.SM)
    return _columns(place, panel, builder, cells=True)


def _columns(place: Place, panel: Panel, builder: Builder, *, cells: bool) -> Builder:
    """Only the panel's columns are shown, in its order; what links need stays, hidden."""
    shown = ["branch" if panel.kind is Kind.TREE and c.key == "name" else c.key for c in panel.columns]
    units_shown = sorted({c.unit_column for c in panel.columns if c.unit_column})
    needed = {
        source
        for column in panel.columns
        if column.link
        for source in column.link.variables.values()
        if not source.startswith("$") and source not in shown
    }
    if not cells:
        needed, units_shown = set(), []
    order = _with_units(panel, shown) if cells else shown
    builder = builder.with_transformation(
        transformation("filterFieldsByName", include={"names": [*order, *sorted(needed - set(order))]})
    ).with_transformation(
        transformation(
            "organize", excludeByName={}, indexByName={key: i for i, key in enumerate(order)}, renameByName={}
        )
    )
    for key, column in zip(shown, panel.columns, strict=True):
        builder = builder.override_by_name(key, _settings(place, column, cells=cells))
    for key in units_shown:
        builder = builder.override_by_name(
            key, [setting("displayName", place.text("Unit")), setting("custom.width", 70)]
        )
    for key in sorted(needed - set(order)):
        builder = builder.override_by_name(key, [setting("custom.hidden", True)])
    return builder


def _with_units(panel: Panel, shown: list[str]) -> list[str]:
    """No cell of Grafana's knows a unit of its row, so the units' column stands behind the last that needs it."""
    order = list(shown)
    for unit in sorted({c.unit_column for c in panel.columns if c.unit_column}):
        last = max(i for i, c in enumerate(panel.columns) if c.unit_column == unit)
        order.insert(order.index(shown[last]) + 1, unit)
    return order


def _settings(place: Place, column: Column, *, cells: bool) -> list[dashboard.DynamicConfigValue]:
    found = [setting("displayName", place.text(column.title))]
    if column.format is Format.NUMBER and not column.unit_column:
        found.append(setting("unit", grafana_unit(column.unit)))
    elif column.format is Format.DURATION:
        found.append(setting("unit", units.DurationSeconds))
    elif column.format is Format.TIME:
        found.append(setting("unit", "dateTimeAsLocal"))
    elif column.format is Format.TEXT:
        found.append(setting("unit", units.String))
    if column.decimals is not None:
        found.append(setting("decimals", column.decimals))
    if column.values:
        found.append(setting("mappings", [mapping(place, column.values)]))
    named = any(v.meaning is not Meaning.NEUTRAL for v in (column.values or {}).values())
    if column.zones:
        quiet = "transparent" if cells else "text"
        found += [setting("thresholds", thresholds(column.zones, quiet)), setting("color", by_thresholds())]
    else:
        # a cell is filled with it where its word says nothing
        found.append(setting("color", fixed_colour("transparent" if cells and named else "text")))
    if not cells:
        return found
    if column.zones or named:
        found.append(setting("custom.cellOptions", coloured_cell()))
    if column.width is not None:
        found.append(setting("custom.width", column.width))
    if column.link:
        found.append(setting("links", [data_link(place, column.link)]))
    return found


def _timeseries(place: Place, panel: Panel) -> Builder:
    builder = (
        timeseries.Panel()
        .unit(grafana_unit(panel.unit))
        .line_width(1)
        .fill_opacity(0)
        .show_points(common_models.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(_LEGEND_BELOW if panel.legend else common.VizLegendOptions().show_legend(False))
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .line_interpolation(
            common_models.LineInterpolation.STEP_AFTER if panel.steps else common_models.LineInterpolation.LINEAR
        )
    )
    builder = _partition(_ends(builder, panel), "metric")
    if panel.zones:
        builder = builder.thresholds(Made(thresholds(panel.zones))).thresholds_style(_style("area"))
    elif panel.limits:
        builder = builder.thresholds(Made(lines(panel.limits))).thresholds_style(_style("dashed"))
    for i, series in enumerate(panel.series):
        builder = builder.override_by_name(series.key, _of_series(place, i, series))
    return builder


def _ends(builder: Builder, panel: Panel) -> Builder:
    if panel.decimals is not None:
        builder = builder.decimals(panel.decimals)
    if panel.low is not None:
        builder = builder.min(panel.low)
    if panel.high is not None:
        builder = builder.max(panel.high)
    return builder


def _partition(builder: Builder, by: str) -> Builder:
    """A frame per value of the column, named by it."""
    return builder.with_transformation(
        transformation("partitionByValues", fields=[by], keepFields=False, naming={"asLabels": False})
    )


def _style(mode: str) -> Any:
    return common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode(mode))


def _of_series(place: Place, i: int, series: Series) -> list[dashboard.DynamicConfigValue]:
    look = fixed(series.meaning) if series.meaning else fixed_colour(series_colour(i))
    found = [setting("displayName", place.text(series.title)), setting("color", look)]
    if series.style is Style.DASHED:
        found.append(setting("custom.lineStyle", _DASHES))
    return found


def _states(place: Place, panel: Panel) -> Builder:
    builder = statetimeline.Panel().show_value(common_models.VisibilityMode.AUTO).row_height(0.8).merge_values(True)
    builder = builder.legend(common.VizLegendOptions().show_legend(panel.legend))
    if panel.values:
        builder = builder.mappings([mapping(place, panel.values)])
    return _partition(builder, "metric")


def _grid(place: Place, panel: Panel) -> Builder:
    builder = statushistory.Panel().show_value(common_models.VisibilityMode.NEVER).row_height(0.9).col_width(1.0)
    builder = builder.legend(common.VizLegendOptions().show_legend(panel.legend)).unit(grafana_unit(panel.unit))
    if panel.zones:
        builder = builder.thresholds(Made(thresholds(panel.zones))).color_scheme(Made(by_thresholds()))
    return _partition(_ends(builder, panel), "metric")


def _matrix(place: Place, panel: Panel) -> Builder:
    builder = (
        table.Panel()
        .show_header(True)
        .cell_height(common_models.TableCellHeight.SM)
        .unit(grafana_unit(panel.unit))
        .with_transformation(
            transformation(
                "groupingToMatrix", columnField="column", rowField="row", valueField="value", emptyValue="null"
            )
        )
    )
    builder = _ends(builder, panel)
    if panel.zones:
        builder = (
            builder.thresholds(Made(thresholds(panel.zones)))
            .color_scheme(Made(by_thresholds()))
            .cell_options(_raw(coloured_cell()))
        )
    first = [
        setting("displayName", " "),
        setting("unit", units.String),
        setting("custom.cellOptions", common_models.TableAutoCellOptions().to_json()),
    ]
    if panel.values:
        first.append(setting("mappings", [mapping(place, panel.values)]))
    return builder.override_by_name("row\\column", first)


def _raw(value: Mapping[str, object]) -> Any:
    """The SDK's cell options take their own classes; what counts is their JSON."""
    return value


def _bars(place: Place, panel: Panel) -> Builder:
    builder = (
        barchart.Panel()
        .unit(grafana_unit(panel.unit))
        .x_field("label")
        .with_transformation(transformation("filterFieldsByName", include={"names": ["label", "value"]}))
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .show_value(common_models.VisibilityMode.ALWAYS)
        .legend(common.VizLegendOptions().show_legend(False))
        .fill_opacity(90)
    )
    builder = _ends(builder, panel)
    if panel.zones:
        builder = builder.thresholds(Made(thresholds(panel.zones))).color_scheme(Made(by_thresholds()))
    elif panel.values:
        builder = builder.color_by_field("label")
    if panel.values:
        builder = builder.override_by_name("label", [setting("mappings", [mapping(place, panel.values)])])
    return builder


def _xy(place: Place, panel: Panel) -> Builder:
    builder = (
        xychart.Panel()
        .mapping(xychart_models.SeriesMapping.AUTO)
        .series([])
        .unit(grafana_unit(panel.unit))
        .legend(_LEGEND_BELOW if panel.legend else common.VizLegendOptions().show_legend(False))
        .show(xychart_models.XYShowMode.POINTS)
    )
    builder = _partition(_ends(builder, panel), "series")
    for i, series in enumerate(panel.series):
        look = _of_series(place, i, series)
        if series.style in (Style.LINE, Style.DASHED):
            look += [setting("custom.show", "lines"), setting("custom.lineWidth", 2)]
        else:
            size = 14 if series.style is Style.BIG_POINT else 4
            look += [setting("custom.show", "points"), setting("custom.pointSize", {"fixed": size})]
        builder = builder.override_by_name(
            f"{series.key} y", [*look, setting("custom.axisLabel", place.text(panel.y_title))]
        )
    axis = [setting("unit", grafana_unit(panel.x_unit)), setting("custom.axisLabel", place.text(panel.x_title))]
    return builder.override_by_regexp("/(^|.* )x$/", axis)


_KINDS: Final[Mapping[Kind, Callable[[Place, Panel], Builder]]] = {
    Kind.STAT: _stat,
    Kind.TABLE: _table,
    Kind.TREE: _table,
    Kind.TIMESERIES: _timeseries,
    Kind.STATES: _states,
    Kind.GRID: _grid,
    Kind.MATRIX: _matrix,
    Kind.BARS: _bars,
    Kind.XY: _xy,
}
