"""What the board of remaining life says: the champion's words, by when, how far from normal; and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest

from boards.all import BOARDS
from boards.definition import Value
from boards.queries import Range, bind, fetch_now
from core.time import DAY
from tests.integration.boards.conftest import Demo
from tests.integration.boards.test_panels import busy_ms, now_of, span_of
from tests.support.demo_fleet import HOURS, MODELLED

pytestmark = [pytest.mark.boards, pytest.mark.integration]

BOARD = BOARDS["prognosis"]
FILTER = "remaining-life/compressor-train/lube_oil.filter"
ALLOWED_MS = 50
"""Of the server's processor, for the time range with which the board opens, in a year of words every ten minutes; twice
that for the whole year."""
YEAR = 365


def ask(connection: psycopg.Connection[Any], demo: Demo, panel: str, span: Range | None = None) -> list[dict[str, Any]]:
    chosen: Mapping[str, Value] = {"equipment": demo.history.equipment[MODELLED], "life": FILTER}
    found = BOARD.panel(panel)
    return fetch_now(connection, found.query, bind(found, chosen, span or span_of(connection, BOARD))).mappings()


@pytest.fixture
def board(demo: Demo) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(demo.board) as connection:
        yield connection


def test_it_is_for_machines_of_which_a_model_speaks(board: psycopg.Connection[Any]) -> None:
    rows = fetch_now(board, BOARD.variable("equipment").query, {}).mappings()
    assert [row["text"] for row in rows] == [MODELLED]


def test_nobody_else_sees_any_of_it(demo: Demo) -> None:
    with psycopg.connect(demo.other_board) as other:
        assert fetch_now(other, BOARD.variable("equipment").query, {}).rows == ()
        span = span_of(other, BOARD)
        assert [panel.key for panel in BOARD.panels if ask(other, demo, panel.key, span)] == []


def test_the_champion_is_drawn_and_nobody_hears_its_challenger(demo: Demo, board: psycopg.Connection[Any]) -> None:
    (life,) = ask(board, demo, "lives")
    assert life["model"] == "remaining-life/compressor-train@3"
    assert (life["unit"], life["reads"]) == ("h", "as_told")
    assert 880 < life["p50"] < 900 - HOURS + 1
    now = now_of(board)
    rows = ask(board, demo, "life", Range(now - DAY, now, 800))
    middle = [row["value"] for row in rows if row["metric"] == "p50"]
    assert len(middle) == HOURS * 6
    assert middle == sorted(middle, reverse=True)
    assert min(middle) == pytest.approx(life["p50"])


def test_the_date_is_told_and_so_is_how_many_days_it_is_off(demo: Demo, board: psycopg.Connection[Any]) -> None:
    (life,) = ask(board, demo, "lives")
    assert life["date_p10"] < life["date_p50"] < life["date_p90"]
    days = {row["metric"]: row["value"] for row in ask(board, demo, "calendar")}
    assert days["p50"] == pytest.approx(life["p50"] / 24, rel=1e-6)
    assert (life["date_p50"] - life["at"]).total_seconds() == pytest.approx(days["p50"] * 86400, rel=1e-6)


def test_the_distance_and_what_it_comes_from(demo: Demo, board: psycopg.Connection[Any]) -> None:
    distance = [row["value"] for row in ask(board, demo, "distance")]
    assert distance == sorted(distance)
    first, second = ask(board, demo, "contributions")
    assert (first["component"], first["share"], first["status"]) == ("lube_oil.filter", 71.0, "normal")
    assert first["distance"] == pytest.approx(distance[-1])
    assert second["share"] == 18.0


def test_a_standing_alarm_of_the_model_shows_as_such(plain_demo: Demo) -> None:
    machine = plain_demo.history.equipment[MODELLED]
    condition = "lube_oil.filter/normal/compressor-train"
    with psycopg.connect(plain_demo.board) as connection:
        span = span_of(connection, BOARD)
    with psycopg.connect(plain_demo.dsn) as owner, owner.transaction(force_rollback=True):
        for concern in ("instrument", "machine"):
            owner.execute(
                "INSERT INTO servitize.alarm (equipment_id, condition, component, active, priority, concern, title,"
                " changed_at) VALUES (%s, %s, 'lube_oil.filter', true, 'medium', %s, '', now())",
                (machine, f"{'' if concern == 'machine' else 'point/'}{condition}", concern),
            )
            found = ask(owner, plain_demo, "contributions", span)
            assert {row["status"] for row in found} == {concern}


def test_what_models_look_at_is_put_against_what_they_learned_from(demo: Demo, board: psycopg.Connection[Any]) -> None:
    (drift,) = ask(board, demo, "drift")
    assert (drift["model"], drift["index"]) == ("normal/compressor-train@2", 0.17)


@pytest.fixture
def of_a_year(plain_demo: Demo) -> Iterator[Demo]:
    """A year before the demonstration in which the models spoke, taken away again."""
    machine = plain_demo.history.equipment[MODELLED]
    with psycopg.connect(plain_demo.dsn) as owner:
        (first,) = owner.execute(
            "SELECT min(at) FROM servitize.prognosis WHERE equipment_id = %s", (machine,)
        ).fetchall()[0]
        times = {"first": first, "machine": machine, "rows": YEAR * 144}
        owner.execute(
            "INSERT INTO servitize.prognosis"
            " SELECT equipment_id, model, component, version, %(first)s - n * interval '10 min', champion, p10, p50,"
            " p90, unit, horizon, date_p10, date_p50, date_p90 FROM servitize.prognosis, generate_series(1, %(rows)s) n"
            " WHERE equipment_id = %(machine)s AND at = %(first)s",
            times,
        )
        owner.execute(
            "INSERT INTO servitize.model_score"
            " SELECT equipment_id, model, component, version, %(first)s - n * interval '1 h', champion, score, change,"
            " concern, text, contributions FROM servitize.model_score, generate_series(1, %(rows)s / 6) n"
            " WHERE equipment_id = %(machine)s AND at = %(first)s",
            times,
        )
    with psycopg.connect(plain_demo.dsn, autocommit=True) as owner:
        owner.execute("ANALYZE servitize.prognosis, servitize.model_score")
    yield plain_demo
    with psycopg.connect(plain_demo.dsn) as owner:
        for table in ("prognosis", "model_score"):
            owner.execute(f"DELETE FROM servitize.{table} WHERE equipment_id = %s AND at < %s", (machine, first))


def test_each_panel_costs_little_with_a_year_of_words_and_draws_no_more_than_it_can_show(of_a_year: Demo) -> None:
    slow: dict[str, float] = {}
    with psycopg.connect(of_a_year.board) as connection:
        pid = connection.info.backend_pid
        now = now_of(connection)
        year = Range(now - YEAR * DAY, now, 800)
        assert len(ask(connection, of_a_year, "life", year)) <= 3 * (year.pixels + 1)
        assert len(ask(connection, of_a_year, "distance", year)) <= year.pixels + 1
        for allowed, span in ((ALLOWED_MS, span_of(connection, BOARD)), (2 * ALLOWED_MS, year)):
            for panel in BOARD.panels:
                ask(connection, of_a_year, panel.key, span)  # plans and catalogue, once per connection
                before = busy_ms(pid)
                ask(connection, of_a_year, panel.key, span)
                after = busy_ms(pid)
                if before is not None and after is not None and after - before > allowed:
                    slow[panel.key] = after - before
    assert slow == {}
