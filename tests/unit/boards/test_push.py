"""Pushing boards into a Grafana, against a stand-in that checks every request."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from boards.all import BOARDS
from boards.grafana.client import Grafana
from boards.grafana.parts import Place
from boards.grafana.push import Database, Done, push
from core.errors import ForbiddenError, InvalidInputError, UnavailableError
from tests.support.grafana_server import GrafanaServer

pytestmark = pytest.mark.boards

TOKEN = "glsa_test"
PLACE = Place("servitize-acme", "Servitize · acme")
DATABASE = Database("db.example.org:5432", "servitize", "servitize_board_1", "require", "secret-1")


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with GrafanaServer(TOKEN) as running:
        yield running


def go(server: GrafanaServer, place: Place = PLACE, database: Database = DATABASE, token: str = TOKEN) -> list[Done]:
    return [one.done for one in push(Grafana(server.url, token), place, database, BOARDS.values())]


def test_the_first_push_makes_data_source_folder_and_every_board(server: GrafanaServer) -> None:
    assert go(server) == [Done.CREATED] * (2 + len(BOARDS))
    assert set(server.dashboards) == {f"servitize-acme-{key}" for key in BOARDS}
    assert {one["meta"]["folderUid"] for one in server.dashboards.values()} == {"servitize-acme-folder"}
    source = server.datasources["servitize-acme-data"]
    assert (source["user"], source["url"]) == ("servitize_board_1", "db.example.org:5432")
    assert server.passwords == {"servitize-acme-data": "secret-1"}


def test_a_second_push_changes_nothing(server: GrafanaServer) -> None:
    go(server)
    server.requests.clear()
    assert go(server, database=dataclasses.replace(DATABASE, password=None)) == [Done.UNCHANGED] * (2 + len(BOARDS))
    assert server.writes == []
    assert server.passwords == {"servitize-acme-data": "secret-1"}


def test_only_what_differs_is_put_again_under_its_uid(server: GrafanaServer) -> None:
    go(server)
    server.dashboards["servitize-acme-fleet"]["dashboard"]["title"] = "somebody changed it"
    server.dashboards["servitize-acme-train"]["meta"]["folderUid"] = "elsewhere"
    server.requests.clear()
    done = go(server, database=dataclasses.replace(DATABASE, password=None))
    assert done.count(Done.UPDATED) == 2
    assert server.writes == [("POST", "/api/dashboards/db")] * 2
    assert server.dashboards["servitize-acme-fleet"]["dashboard"]["title"] == "Fleet"
    assert server.dashboards["servitize-acme-fleet"]["dashboard"]["version"] == 2
    assert server.dashboards["servitize-acme-train"]["meta"]["folderUid"] == "servitize-acme-folder"


def test_a_new_password_address_or_title_is_told(server: GrafanaServer) -> None:
    go(server)
    assert go(server, database=dataclasses.replace(DATABASE, password="secret-2"))[0] is Done.UPDATED
    assert server.passwords["servitize-acme-data"] == "secret-2"
    moved = dataclasses.replace(DATABASE, host="other:5432", password=None)
    assert go(server, database=moved)[0] is Done.UPDATED
    assert server.passwords["servitize-acme-data"] == "secret-2", "an address does not cost the password"
    renamed = dataclasses.replace(PLACE, title="Machines of acme")
    assert go(server, place=renamed, database=moved)[:2] == [Done.UPDATED, Done.UPDATED]
    assert server.folders["servitize-acme-folder"]["title"] == "Machines of acme"


def test_tenants_do_not_meet(server: GrafanaServer) -> None:
    go(server)
    other = Place("servitize-bolt", "Servitize · bolt")
    login = dataclasses.replace(DATABASE, login="servitize_board_2", password="secret-3")
    assert go(server, place=other, database=login) == [Done.CREATED] * (2 + len(BOARDS))
    assert len(server.dashboards) == 2 * len(BOARDS)
    for uid, one in server.dashboards.items():
        tenant = uid.split("-")[1]
        assert f"servitize-{tenant}-data" in str(one)
        assert f"servitize-{'bolt' if tenant == 'acme' else 'acme'}-data" not in str(one)


def test_an_interrupted_push_goes_on(server: GrafanaServer) -> None:
    steps = push(Grafana(server.url, TOKEN), PLACE, DATABASE, BOARDS.values())
    for _ in range(4):
        next(steps)
    done = go(server)
    assert done[1:4] == [Done.UNCHANGED] * 3
    assert done[4:] == [Done.CREATED] * (len(BOARDS) - 2)


def test_a_grafana_below_a_path_is_reached() -> None:
    with GrafanaServer(TOKEN, prefix="/ops/grafana") as server:
        assert go(server)[0] is Done.CREATED
        assert all(path.startswith("/ops/grafana/api/") for _, path in server.requests)


def test_a_user_of_grafanas_may_push_as_well(server: GrafanaServer) -> None:
    assert Grafana(server.url, ("admin", TOKEN)).folder("none") is None
    with pytest.raises(ForbiddenError):
        Grafana(server.url, ("admin", "wrong")).folder("none")


def test_what_goes_wrong_is_a_sentence(server: GrafanaServer) -> None:
    with pytest.raises(ForbiddenError, match="token"):
        go(server, token="wrong")
    server.broken = lambda: (403, {"message": "You'll need additional permissions"})
    with pytest.raises(ForbiddenError, match="additional permissions"):
        go(server)
    server.broken = lambda: (502, {"message": "database is locked"})
    with pytest.raises(UnavailableError, match="database is locked"):
        go(server)
    for address in ("grafana.example.org", "ftp://x", "http://", "http://x/?a=b"):
        with pytest.raises(InvalidInputError):
            Grafana(address, TOKEN)
    with pytest.raises(UnavailableError, match="does not answer"):
        Grafana("http://127.0.0.1:9", TOKEN).folder("x")
    with pytest.raises(InvalidInputError):
        Grafana(server.url, TOKEN).folder("../admin")
