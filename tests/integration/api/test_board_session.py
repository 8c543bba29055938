"""Signing in to the web board: what the cookie opens, what it does not, and who cannot forge a request with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from boards.web.app import mount
from boards.web.session import Doorkeeper
from models.types import load_type, to_document
from services.api.settings import ApiSettings
from storage import admin
from tests.integration.api.conftest import Running, World, serving

pytestmark = pytest.mark.integration
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def board(world: World) -> Iterator[Running]:
    with serving(ApiSettings(world.api_dsn, heartbeat=1.0), mount) as running:
        yield running


@pytest.fixture
def door(board: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx2.Client]:
    """A browser without a session; attempts of other tests are forgotten."""
    board.server.config.app.state.board.state.doorkeeper = Doorkeeper()  # type: ignore[union-attr]
    with board.client(None) as client:
        yield client


def sign_in(client: httpx2.Client, key: str) -> httpx2.Response:
    return client.post("/board/sign-in", data={"key": key})


def csrf(client: httpx2.Client) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/board/fleet", headers=PAGE).text)
    assert found
    return found[1]


class TestTheDoor:
    def test_a_browser_is_led_from_the_root_to_the_fleet_and_a_program_is_told_of_the_contract(
        self, door: httpx2.Client
    ) -> None:
        assert door.get("/", headers=PAGE).headers["location"] == "/board/fleet"
        assert door.get("/").status_code == 404

    def test_without_a_session_a_page_leads_to_the_door_and_data_are_refused(self, door: httpx2.Client) -> None:
        page = door.get("/board/fleet?range=7d", headers=PAGE)
        assert page.status_code == 303
        assert page.headers["location"] == "/board/sign-in?after=%2Fboard%2Ffleet%3Frange%3D7d"
        for path in ("/board/data/fleet", "/board/data/alarm-list", "/board/stream"):
            assert door.get(path).status_code == 401

    def test_a_key_opens_it_with_a_cookie_that_scripts_and_other_sites_cannot_use(
        self, door: httpx2.Client, world: World
    ) -> None:
        answer = sign_in(door, world.a.keys["read"])
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/board" in cookie
        assert door.get("/board/data/fleet").status_code == 200

    def test_over_https_the_cookie_is_for_https_and_this_host_alone(self, door: httpx2.Client, world: World) -> None:
        answer = door.post("/board/sign-in", data={"key": world.a.keys["read"]}, headers={"x-forwarded-proto": "https"})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert {"secure", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}

    @pytest.mark.parametrize("key", ["", "sv_nonsense", "sv_000000000000_" + "x" * 43, "\x00' OR 1=1 --"])
    def test_what_is_no_key_opens_nothing(self, door: httpx2.Client, key: str) -> None:
        answer = sign_in(door, key)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers

    def test_attempts_that_fail_are_counted(self, door: httpx2.Client, world: World) -> None:
        codes = [sign_in(door, "sv_000000000000_" + "x" * 43).status_code for _ in range(12)]
        assert codes == [401] * 10 + [429] * 2
        assert sign_in(door, world.a.keys["read"]).status_code == 429

    def test_a_key_without_the_right_to_read_sees_nothing(self, door: httpx2.Client, world: World) -> None:
        sign_in(door, world.a.keys["none"])
        assert door.get("/board/data/fleet").status_code == 403

    def test_a_revoked_key_ends_its_sessions_at_once(self, door: httpx2.Client, world: World) -> None:
        with psycopg.connect(world.owner_dsn) as connection:
            connection.execute("SET ROLE servitize_owner")
            key = admin.create_api_key(connection, world.a.id, "short", scopes=["read"])
        sign_in(door, key.text)
        assert door.get("/board/data/fleet").status_code == 200
        with psycopg.connect(world.owner_dsn) as connection:
            connection.execute("SET ROLE servitize_owner")
            admin.revoke_api_key(connection, key.id)
        assert door.get("/board/data/fleet").status_code == 401

    def test_a_session_ends_after_twelve_hours_without_use_and_after_a_week(
        self, door: httpx2.Client, world: World
    ) -> None:
        for column, age in (("used_at", "13 hours"), ("opened_at", "8 days")):
            sign_in(door, world.a.keys["read"])
            assert door.get("/board/data/fleet").status_code == 200
            world.as_owner(f"UPDATE servitize.board_session SET {column} = now() - interval '{age}'")
            assert door.get("/board/data/fleet").status_code == 401

    def test_only_hashes_are_kept(self, door: httpx2.Client, world: World) -> None:
        sign_in(door, world.a.keys["read"])
        secret = next(iter(door.cookies.values()))
        kept = world.as_owner("SELECT hash FROM servitize.board_session")
        assert all(secret.encode() not in bytes(row[0]) for row in kept)
        assert all(len(row[0]) == 32 for row in kept)

    @pytest.mark.parametrize(
        "after",
        ["https://elsewhere.example/", "//elsewhere.example", "/board/\\elsewhere.example", "/v1/me", "/board//x"],
    )
    def test_signing_in_never_leads_elsewhere(self, door: httpx2.Client, world: World, after: str) -> None:
        answer = door.post("/board/sign-in", data={"key": world.a.keys["read"], "after": after})
        assert answer.headers["location"] == "/board/fleet"


class TestLinks:
    def test_a_link_works_once_and_not_after_its_time(self, door: httpx2.Client, world: World) -> None:
        words = []
        for seconds in (60, -1):
            with psycopg.connect(world.owner_dsn) as connection:
                connection.execute("SET ROLE servitize_owner")
                words.append(admin.create_board_ticket(connection, world.a.keys["read"].split("_")[1], seconds))
        codes = [
            door.post("/board/sign-in", data={"ticket": word}).status_code for word in (words[0], words[0], words[1])
        ]
        assert codes == [303, 401, 401]


class TestForgedRequests:
    def shelve(self, client: httpx2.Client, alarm: int, **headers: str) -> int:
        body = {"reason": "a reason", "minutes": 5}
        return client.post(f"/board/do/alarms/{alarm}/shelve", json=body, headers=headers).status_code

    def test_a_change_needs_the_token_of_this_session(self, board: Running, door: httpx2.Client, world: World) -> None:
        sign_in(door, world.a.keys["all"])
        with board.client(None) as other:
            sign_in(other, world.b.keys["all"])
            foreign = csrf(other)
        assert self.shelve(door, world.a.alarm) == 403
        assert self.shelve(door, world.a.alarm, **{"x-csrf-token": foreign}) == 403
        assert self.shelve(door, world.a.alarm, **{"x-csrf-token": csrf(door)}) == 200

    def test_another_site_s_request_is_refused_whatever_it_carries(self, door: httpx2.Client, world: World) -> None:
        sign_in(door, world.a.keys["all"])
        token = {"x-csrf-token": csrf(door)}
        assert self.shelve(door, world.a.alarm, **token, **{"sec-fetch-site": "cross-site"}) == 403
        assert self.shelve(door, world.a.alarm, **token, origin="https://elsewhere.example") == 403
        refused = door.post(
            "/board/sign-in", data={"key": world.b.keys["all"]}, headers={"sec-fetch-site": "same-site"}
        )
        assert refused.status_code == 403

    def test_a_reader_cannot_work_alarms_and_nobody_works_another_s(self, door: httpx2.Client, world: World) -> None:
        sign_in(door, world.a.keys["read"])
        assert self.shelve(door, world.a.alarm, **{"x-csrf-token": csrf(door)}) == 403
        sign_in(door, world.b.keys["all"])
        assert self.shelve(door, world.a.alarm, **{"x-csrf-token": csrf(door)}) == 404

    def test_signing_out_needs_it_too_and_ends_every_copy_of_the_cookie(
        self, door: httpx2.Client, world: World
    ) -> None:
        sign_in(door, world.a.keys["read"])
        copy = "; ".join(f"{name}={value}" for name, value in door.cookies.items())
        assert door.post("/board/sign-out", data={"csrf": "0" * 64}).status_code == 403
        assert door.post("/board/sign-out", data={"csrf": csrf(door)}).status_code == 303
        assert door.get("/board/data/fleet", headers={"cookie": copy}).status_code == 401


class TestPages:
    def test_a_page_allows_nothing_from_elsewhere_and_nothing_inline(self, door: httpx2.Client, world: World) -> None:
        sign_in(door, world.a.keys["read"])
        for path in ("/board/fleet", "/board/alarm-list", "/board/sign-in", "/board/nothing"):
            page = door.get(path, headers=PAGE)
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert not re.search(r"<script(?![^>]*(src=|application/json))|<style| style=| on\w+=", page.text)

    def test_what_is_static_is_kept_for_ever_under_the_name_of_its_version(self, door: httpx2.Client) -> None:
        page = door.get("/board/sign-in", headers=PAGE).text
        for path in re.findall(r'(?:href|src)="(/board/static/[^"]+)"', page):
            answer = door.get(path)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
        assert door.get("/board/static/0123456789ab/board.css").headers["cache-control"] == "no-cache"
        assert door.get("/board/static/0123456789ab/..%2Fapp.py").status_code == 404

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("pixels=3", 422),
            ("pixels=²", 422),
            ("from=0", 422),
            ("from=5&to=4", 422),
            ("from=x&to=y", 422),
            ("range=soon", 400),
            ("panels=none", 404),
        ],
    )
    def test_a_question_that_makes_no_sense_is_refused(
        self, door: httpx2.Client, world: World, query: str, code: int
    ) -> None:
        sign_in(door, world.a.keys["read"])
        assert door.get(f"/board/data/fleet?{query}").status_code == code

    @pytest.mark.isolation
    def test_somebody_else_s_machine_is_not_there(self, door: httpx2.Client, world: World) -> None:
        sign_in(door, world.a.keys["all"])
        assert door.get(f"/board/data/equipment?equipment={world.b.equipment}").status_code == 404
        assert door.get(f"/board/equipment?equipment={world.b.equipment}", headers=PAGE).status_code == 404
        assert door.get(f"/board/data/alarm-list/{world.b.alarm}").status_code == 404
        mine = door.get(f"/board/data/equipment?equipment={world.a.equipment}").json()
        assert all("error" not in panel for panel in mine["panels"].values())

    def test_the_stream_says_how_far_the_data_have_come(self, door: httpx2.Client, world: World) -> None:
        sign_in(door, world.a.keys["read"])
        with door.stream("GET", "/board/stream") as stream:
            heard: dict[str, str] = {}
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    heard[event] = line
                if {"ready", "pulse"} <= heard.keys():
                    break
        assert '"unacknowledged"' in heard["pulse"]


def test_a_train_of_any_name_has_the_board_for_what_it_has(door: httpx2.Client, world: World) -> None:
    type_ = load_type((Path(__file__).parents[2] / "judges/train/regional.yaml").read_text(encoding="utf-8"))
    with psycopg.connect(world.owner_dsn) as connection:
        connection.execute(b"SET ROLE servitize_owner")
        admin.publish_type(connection, type_, to_document(type_))
        number = admin.create_equipment(connection, world.a.id, "R-1", type_, name="Regional 1")
    sign_in(door, world.a.keys["read"])
    page = door.get(f"/board/equipment?equipment={number}", headers=PAGE).text
    assert "/board/train_health" in page
    assert f"/board/train_health?equipment={world.a.equipment}" not in page
    other = door.get(f"/board/equipment?equipment={world.a.equipment}", headers=PAGE).text
    assert "/board/train_health" not in other
    chooser = door.get("/board/train_health", headers=PAGE).text
    assert "Regional 1" in chooser
    assert "/board/compressor" not in chooser
