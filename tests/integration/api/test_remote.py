"""Remote operations by API: what a type offers, two people, what holds back, roll-outs, inspections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest
from psycopg.types.json import Jsonb

from core.command import CommandClass, CommandDef, Parameter
from core.equipment import ComponentDef, EquipmentType, PointDef
from services.api.settings import ApiSettings
from storage import admin
from storage.queries import load
from tests.integration.api.conftest import Running, World, serving

pytestmark = pytest.mark.integration

SPEED = CommandDef(
    "set_speed",
    "Set speed",
    CommandClass.ADJUST,
    (Parameter("speed", "1", 0, 100),),
    interlocks=({"point": "vibration", "op": "<", "value": 7.1, "max_age": "36500 d", "text": "vibration"},),
)


def with_commands(document: Any) -> EquipmentType:
    return EquipmentType(
        document["type"],
        document["name"],
        components=tuple(ComponentDef(key, key.title()) for key in document["components"]),
        points=tuple(PointDef(key, component, unit) for key, component, unit in document["points"]),
        commands=(SPEED, CommandDef("capture", "Capture", CommandClass.READ)),
    )


@pytest.fixture(scope="module")
def remote(world: World) -> Iterator[Running]:
    with psycopg.connect(world.writer_dsn, autocommit=True) as c:
        mode = Jsonb({"control_mode": "remote"})
        load("commands").reported(c, whose="anvil", machine="P-1", given=mode, versions=Jsonb({}))
    with serving(ApiSettings(world.api_dsn), parse=with_commands) as running:
        yield running


@pytest.fixture
def a(world: World, remote: Running) -> Iterator[httpx2.Client]:
    with remote.client(world.a.keys["all"]) as client:
        yield client


def test_asked_by_one_and_agreed_by_another(world: World, remote: Running, a: httpx2.Client) -> None:
    offered = a.get("/v1/equipment/P-1/commands/offered").json()["items"]
    assert [(o["key"], o["class"], o["needed"]) for o in offered] == [
        ("set_speed", "adjust", 1),
        ("capture", "read", 0),
    ]
    order = {"command": "set_speed", "parameters": {"speed": 50.0}, "reason": "less"}
    made = a.post("/v1/equipment/P-1/commands", json=order)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert made.json()["state"] == "requested"
    assert a.post(f"/v1/commands/{number}/approve").status_code == 403
    with psycopg.connect(world.owner_dsn) as c:
        c.execute(b"SET ROLE servitize_owner")
        other = admin.create_api_key(c, world.a.id, "second", scopes=["read", "operate"]).text
    with remote.client(other) as second:
        assert second.post(f"/v1/commands/{number}/approve", json={"reason": "yes"}).json()["state"] == "approved"
    mine = a.post("/v1/keys", json={"name": "my second", "role": "operator"}).json()
    theirs = a.post("/v1/keys", json={"name": "Ben's", "role": "operator", "person": "Ben"}).json()
    assert (mine["person"], theirs["person"]) == (None, "Ben")
    again = a.post("/v1/equipment/P-1/commands", json=order).json()["id"]
    for key in (mine, theirs):
        with remote.client(key["key"]) as same:
            refused = same.post(f"/v1/commands/{again}/approve")
            assert (refused.status_code, "another person" in refused.json()["detail"]) == (403, True), refused.text
    story = [s["event"] for s in a.get(f"/v1/commands/{number}/journal").json()["items"]]
    assert story == ["request", "consent", "approve"]
    assert a.post(f"/v1/commands/{number}/cancel").json()["state"] == "cancelled"
    with remote.client(world.b.keys["all"]) as stranger:
        assert stranger.get(f"/v1/commands/{number}").status_code == 404


def test_what_makes_no_sense_is_refused_and_what_is_not_allowed_is_held_back(world: World, a: httpx2.Client) -> None:
    def ask(**order: Any) -> httpx2.Response:
        usual = {"command": "set_speed", "parameters": {"speed": 50.0}}
        return a.post("/v1/equipment/P-1/commands", json={**usual, **order})

    assert ask(command="explode").status_code == 400
    assert ask(parameters={"speed": 101.0}).status_code == 400
    assert ask(parameters={}).status_code == 400
    inhibit = a.post("/v1/inhibits", json={"equipment": "P-1", "reason": "people on it"}).json()
    held = ask().json()
    assert (held["state"], held["blocked"]) == ("rejected", "emergency inhibit: people on it")
    assert ask(command="capture", parameters={}).json()["state"] == "approved"
    assert a.delete(f"/v1/inhibits/{inhibit['id']}").status_code == 204
    world.execute("UPDATE servitize.latest_reading SET value = 9 WHERE point_id = %s", [world.a.point])
    assert "vibration is 9" in ask().json()["blocked"]
    assert a.post("/v1/equipment/P-1/permits", json={"valid_until": "2020-01-01T00:00:00Z"}).status_code == 400


def test_twin_roll_out_and_inspection(a: httpx2.Client) -> None:
    wish = {"key": "interval", "value": 30, "version": 0}
    assert a.post("/v1/equipment/P-1/twin", json=wish).status_code == 200
    assert a.post("/v1/equipment/P-1/twin", json=wish).status_code == 409
    found = {p["key"]: p for p in a.get("/v1/equipment/P-1/twin").json()["properties"]}
    assert (found["interval"]["drifts"], found["control_mode"]["drifts"]) == (True, False)
    order = {"title": "faster", "key": "interval", "value": 20, "cohorts": [["P-1"]]}
    rollout = a.post("/v1/rollouts", json=order)
    assert rollout.status_code == 201, rollout.text
    number = rollout.json()["id"]
    assert [m["version"] for m in rollout.json()["members"]] == [2]
    assert a.post(f"/v1/rollouts/{number}/steer", json={"wish": "resume"}).status_code == 409
    assert a.post(f"/v1/rollouts/{number}/steer", json={"wish": "roll_back"}).json()["state"] == "rolled_back"
    found = {p["key"]: p for p in a.get("/v1/equipment/P-1/twin").json()["properties"]}
    assert (found["interval"]["desired"], found["interval"]["desired_version"]) == (30, 3)
    plan = {"equipment": "P-1", "title": "Night round", "points": ["vibration"], "every_minutes": 60.0}
    made = a.post("/v1/inspections", json={**plan, "capture": "capture"})
    assert made.status_code == 201, made.text
    assert a.post("/v1/inspections", json={**plan, "capture": "set_speed"}).status_code == 400
    assert a.post("/v1/inspections", json={**plan, "points": ["nothing"]}).status_code == 400
    assert a.get(f"/v1/inspections/{made.json()['id']}/reports").json()["items"] == []
    assert a.delete(f"/v1/inspections/{made.json()['id']}").status_code == 204
