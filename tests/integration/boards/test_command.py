"""``servitize boards``: what the commands do with a real database, and with the stand-in for Grafana."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from boards.all import BOARDS
from boards.grafana.push import Done
from core.errors import InvalidInputError, NotFoundError
from runtime import boards, bootstrap
from runtime.endpoints import Endpoints
from storage import board_logins
from storage.migrate import WRITER
from tests.integration.boards.conftest import OF_ANOTHER_CASE, Demo
from tests.support.demo_fleet import MACHINES, TENANT
from tests.support.grafana_server import GrafanaServer
from tests.support.logins import PASSWORDS

pytestmark = [pytest.mark.boards, pytest.mark.integration]

TOKEN = "glsa_test"


@pytest.fixture
def endpoints(plain_demo: Demo) -> Iterator[Endpoints]:
    writer = make_conninfo(plain_demo.dsn, user=WRITER, password=PASSWORDS[WRITER])
    yield Endpoints({bootstrap.OWNER: plain_demo.dsn, bootstrap.WRITER: writer, bootstrap.API: plain_demo.api})
    with psycopg.connect(plain_demo.dsn) as connection:  # the password that other tests know
        board_logins.put(connection, plain_demo.history.tenant, "look")


def order(server: GrafanaServer, **given: object) -> boards.Order:
    wanted: dict[str, object] = {
        "tenant": TENANT, "url": server.url, "access": TOKEN, "database": "", "ssl_mode": "disable", "rotate": False,
        "until": None, "language": "en",
    }  # fmt: skip
    return boards.Order(**(wanted | given))  # type: ignore[arg-type]


def test_a_push_makes_a_login_that_works_and_opens_boards_where_the_readings_end(
    plain_demo: Demo, endpoints: Endpoints
) -> None:
    with GrafanaServer(TOKEN) as server:
        done = list(boards.push_boards(endpoints, order(server)))
        assert [one.done for one in done] == [Done.CREATED] * (2 + len(BOARDS))
        source = server.datasources["servitize-demo-data"]
        login = {"user": source["user"], "password": server.passwords["servitize-demo-data"]}
        with psycopg.connect(make_conninfo(plain_demo.dsn, **login)) as connection:
            assert connection.execute("SELECT count(*) FROM servitize.equipment").fetchone() == (len(MACHINES),)
        where = conninfo_to_dict(plain_demo.dsn)
        assert source["url"] == f"{where['host']}:{where['port']}"
        fleet = server.dashboards["servitize-demo-fleet"]["dashboard"]
        assert fleet["time"]["to"].startswith("2026-02-02T22:")
        server.requests.clear()
        again = list(boards.push_boards(endpoints, order(server)))
        assert {one.done for one in again} == {Done.UNCHANGED}
        assert server.writes == []
        kept = server.passwords["servitize-demo-data"]
        rotated = list(boards.push_boards(endpoints, order(server, rotate=True)))
        assert rotated[0].done is Done.UPDATED
        assert server.passwords["servitize-demo-data"] != kept


def test_where_grafana_finds_the_database_may_be_said(endpoints: Endpoints) -> None:
    with GrafanaServer(TOKEN) as server:
        list(boards.push_boards(endpoints, order(server, database="db.example.org:5433/plant", language="zh")))
        source = server.datasources["servitize-demo-data"]
        assert (source["url"], source["jsonData"]["database"]) == ("db.example.org:5433", "plant")
        assert server.dashboards["servitize-demo-fleet"]["dashboard"]["title"] == "机群"
        with pytest.raises(InvalidInputError):
            list(boards.push_boards(endpoints, order(server, database="db.example.org")))
        with pytest.raises(NotFoundError, match="nobody"):
            list(boards.push_boards(endpoints, order(server, tenant="nobody")))


def test_a_login_is_made_again_with_another_password_and_may_be_let_see_the_platform(
    plain_demo: Demo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("secret") / "password"
    file.write_text("0123456789abcdef-and-more\n")
    with psycopg.connect(plain_demo.dsn) as connection:
        made = boards.make_login(connection, plain_demo.history.other, operator=True, password_file=file)
    with psycopg.connect(make_conninfo(plain_demo.dsn, user=made.login, password="0123456789abcdef-and-more")) as c:
        assert c.execute("SELECT count(*) > 0 FROM servitize.figures_for_operator()").fetchone() == (True,)
    with psycopg.connect(plain_demo.dsn) as connection:
        again = boards.make_login(connection, plain_demo.history.other, operator=False)
        assert again.login == made.login
        assert again.password != made.password
        file.write_text("short")
        with pytest.raises(InvalidInputError, match="16"):
            boards.make_login(connection, plain_demo.history.other, password_file=file)
        actions = connection.execute("SET ROLE servitize_owner; SELECT action FROM servitize.audit_log")
        assert actions.nextset()
        assert {"board_login.put", "platform_operator.set"} <= {action for (action,) in actions}
        connection.execute("RESET ROLE")
        board_logins.put(connection, plain_demo.history.other, "look")
    with psycopg.connect(plain_demo.other_board) as c:
        assert c.execute("SELECT count(*) FROM servitize.figures_for_operator()").fetchone() == (0,)


def test_a_check_runs_every_panel_as_the_tenant(endpoints: Endpoints) -> None:
    findings = boards.check_boards(endpoints, TENANT)
    assert {finding.board for finding in findings} == set(BOARDS)
    assert [f for f in findings if f.error or not (f.rows or (f.board, f.panel) in OF_ANOTHER_CASE)] == []


def test_access_to_grafana_comes_from_files_or_the_environment(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path_factory.mktemp("secret") / "token"
    file.write_text("glsa_file\n")
    monkeypatch.delenv(boards.TOKEN, raising=False)
    assert boards.grafana_access(file, None, None) == "glsa_file"
    assert boards.grafana_access(None, "admin", file) == ("admin", "glsa_file")
    with pytest.raises(InvalidInputError, match="token"):
        boards.grafana_access(None, None, None)
    with pytest.raises(InvalidInputError, match="password"):
        boards.grafana_access(None, "admin", None)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        boards.grafana_access(file.with_name("gone"), None, None)
    monkeypatch.setenv(boards.TOKEN, "glsa_environment")
    assert boards.grafana_access(None, None, None) == "glsa_environment"
