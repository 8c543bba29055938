"""The boards as Grafana dashboards: stable, complete, and with nothing in them that Grafana would not understand."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from boards.all import BOARDS
from boards.definition import Board, Kind, Query
from boards.grafana import sql
from boards.grafana.dashboards import render, text_of
from boards.grafana.parts import Place, panel_id
from boards.grafana.provisioning import files
from boards.grafana.units import OWN, grafana_unit

pytestmark = pytest.mark.boards

PLACE = Place("servitize-acme", "Servitize · acme")
DEPLOY = Path(__file__).parents[3] / "deploy" / "grafana"
FILES = files()
MACROS = {"$__unixEpochNanoFrom()", "$__unixEpochNanoTo()", "$__interval_ms"}


def panels(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def statements(document: dict[str, Any]) -> Iterator[str]:
    for panel in panels(document):
        yield from (target["rawSql"] for target in panel["targets"])
    yield from (one["target"]["rawSql"] for one in document["annotations"].get("list", ()))
    yield from (one["query"] for one in document["templating"].get("list", ()))


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_board_is_rendered_the_same_every_time(board: Board) -> None:
    assert text_of(render(board, PLACE)) == text_of(render(board, PLACE))
    assert "id" not in render(board, PLACE), "every Grafana gives its own"


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_each_panel_is_there_with_title_question_place_and_query(board: Board) -> None:
    document = render(board, PLACE)
    assert document["uid"] == f"servitize-acme-{board.key}"
    found = {panel["id"]: panel for panel in panels(document)}
    assert list(found) == [panel_id(panel.key) for panel in board.panels]
    for panel in board.panels:
        rendered = found[panel_id(panel.key)]
        assert rendered["title"] == panel.title
        assert rendered["description"] == panel.question
        assert rendered["datasource"]["uid"] == "servitize-acme-data"
        assert rendered["targets"][0]["datasource"] == rendered["datasource"]
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_panels_lie_beside_each_other_and_never_upon(board: Board) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in render(board, PLACE)["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_statements_have_macros_and_quoted_variables_and_nothing_left_over(board: Board) -> None:
    known = {variable.key: variable for variable in board.variables}
    for text in statements(render(board, PLACE)):
        assert "%(" not in text
        assert "%%" not in text
        assert "[[" not in text, "Grafana would take it for a variable"
        assert set(re.findall(r"\$__\w+(?:\(\))?", text)) <= MACROS
        for name, form in re.findall(r"\$\{(\w+)(?::(\w+))?\}", text):
            assert form == "sqlstring", "what stands in an address must be quoted"
            assert name in known
            if known[name].integer:
                assert re.findall(rf"\$\{{{name}:sqlstring\}}(?!::(?:big)?int)", text) == []
        assert re.findall(r"\$(?!__|\{|')", text) == []


def test_literals_cannot_end_their_quotes() -> None:
    assert sql.literal("it's; DROP") == "'it''s; DROP'"
    assert sql.literal(("a", "b'")) == "ARRAY['a', 'b''']"
    assert [sql.literal(v) for v in (None, 3, 0.5, ())] == ["NULL", "3", "0.5", "ARRAY[]"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_units_are_of_grafanas_own_list_or_a_suffix(board: Board) -> None:
    def units(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if node.get("id") == "unit":
                yield node["value"]
            if isinstance(node.get("unit"), str):
                yield node["unit"]
            for value in node.values():
                yield from units(value)
        elif isinstance(node, list):
            for value in node:
                yield from units(value)

    document = render(board, PLACE)
    found = list(units(document["panels"]))
    assert found
    assert [unit for unit in found if unit not in OWN and not unit.startswith("suffix:")] == []


def test_a_unit_that_grafana_is_not_told_of_fails_here() -> None:
    assert grafana_unit("Cel") == "celsius"
    board = BOARDS["compressor"]
    wrong = dataclasses.replace(board.panel("shaft"), unit="furlong")
    broken = dataclasses.replace(board, rows=(dataclasses.replace(board.rows[0], panels=(wrong,)),))
    with pytest.raises(KeyError, match="furlong"):
        render(broken, PLACE)


def test_a_query_that_is_not_there_fails_here() -> None:
    board = BOARDS["fleet"]
    wrong = dataclasses.replace(board.panels[0], query=Query("fleet", "gone"))
    with pytest.raises(AttributeError, match="gone"):
        sql.of_panel(board, wrong)


def test_series_bring_their_own_frame_and_thresholds_their_meaning() -> None:
    document = render(BOARDS["compressor"], PLACE)
    shaft = next(panel for panel in panels(document) if panel["title"] == "Shaft vibration, peak to peak")
    assert shaft["transformations"][0] == {
        "id": "partitionByValues",
        "options": {"fields": ["metric"], "keepFields": False, "naming": {"asLabels": False}},
    }
    assert 'AS "Value"' in shaft["targets"][0]["rawSql"]
    steps = shaft["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 86.9, 127.4], "ISO 20816-3 at 10 728 r/min"
    names = {one["matcher"]["options"] for one in shaft["fieldConfig"]["overrides"]}
    assert "compressor.rotor.de_x_pp" in names


def test_a_look_back_of_its_own_ends_where_the_board_ends() -> None:
    panel = BOARDS["fleet"].panel("health_over_time")
    text = sql.of_panel(BOARDS["fleet"], panel)
    assert f"$__unixEpochNanoTo() / 1000) - {7 * 86_400_000_000}" in text
    assert "$__unixEpochNanoFrom" not in text


def test_links_carry_the_rows_values_and_the_time() -> None:
    machines = panels(render(BOARDS["fleet"], PLACE))[1]
    of_name = next(o for o in machines["fieldConfig"]["overrides"] if o["matcher"]["options"] == "equipment")
    link = next(p["value"][0] for p in of_name["properties"] if p["id"] == "links")
    assert link["url"] == (
        "/d/servitize-acme-equipment?${__url_time_range}&var-equipment=${__data.fields.equipment_id:percentencode}"
    )
    hidden = next(o for o in machines["fieldConfig"]["overrides"] if o["matcher"]["options"] == "equipment_id")
    assert {"id": "custom.hidden", "value": True} in hidden["properties"]


def test_a_cell_is_filled_only_where_its_word_or_number_means_something() -> None:
    machines = panels(render(BOARDS["fleet"], PLACE))[1]
    settings = {
        one["matcher"]["options"]: {p["id"]: p["value"] for p in one["properties"]}
        for one in machines["fieldConfig"]["overrides"]
    }
    filled = {name for name, found in settings.items() if "custom.cellOptions" in found}
    assert filled == {"health", "urgent", "high", "medium", "state"}
    assert settings["urgent"]["thresholds"]["steps"][0]["color"] == "transparent"
    assert settings["state"]["color"] == {"mode": "fixed", "fixedColor": "transparent"}
    assert "color" not in settings["state"]["mappings"][0]["options"]["depot"]


def test_uids_fit_grafanas_forty_letters_whatever_the_tenant_is_called() -> None:
    long = Place("servitize-" + "a" * 60, "x")
    other = Place("servitize-" + "a" * 59 + "b", "x")
    uids = {place.uid(part) for place in (long, other) for part in ("data", "folder", *BOARDS)}
    assert len(uids) == 2 * (2 + len(BOARDS))
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid) for uid in uids)


def test_a_board_speaks_chinese() -> None:
    document = render(BOARDS["fleet"], dataclasses.replace(PLACE, language="zh"))
    assert document["title"] == "机群"
    assert "健康度" in json.dumps(document, ensure_ascii=False)


def test_a_replayed_past_opens_at_its_end() -> None:
    document = render(BOARDS["equipment"], dataclasses.replace(PLACE, until="2026-02-02T22:00:00+00:00"))
    assert document["time"] == {"from": "2026-02-01T22:00:00Z", "to": "2026-02-02T22:00:00+00:00"}
    assert render(BOARDS["equipment"], PLACE)["time"] == {"from": "now-24h", "to": "now"}


def test_every_kind_is_used() -> None:
    assert {panel.kind for board in BOARDS.values() for panel in board.panels} == set(Kind)


# --- files for provisioning -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES)
def test_files_for_grafanas_start_are_current(path: str) -> None:
    made = DEPLOY / path
    assert made.exists(), "servitize boards render --out deploy/grafana"
    assert made.read_text(encoding="utf-8") == FILES[path], "servitize boards render --out deploy/grafana"


def test_no_file_is_left_of_a_board_that_went() -> None:
    assert {str(file.relative_to(DEPLOY)) for file in DEPLOY.rglob("*") if file.is_file()} == set(FILES)


def test_files_for_grafanas_start_agree_with_each_other_and_hold_no_secret() -> None:
    source = yaml.safe_load(FILES["provisioning/datasources/servitize.yaml"])["datasources"][0]
    assert source["secureJsonData"]["password"].startswith("$")
    provider = yaml.safe_load(FILES["provisioning/dashboards/servitize.yaml"])["providers"][0]
    assert provider["options"]["path"].endswith("/dashboards")
    for path, text in FILES.items():
        if path.endswith(".json"):
            assert all(panel["datasource"]["uid"] == source["uid"] for panel in panels(json.loads(text)))
