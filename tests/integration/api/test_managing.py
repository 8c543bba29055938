"""Registering, approving, retiring, granting: with the scope manage, within one's own, and written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx2
import psycopg
import pytest

from services.api.settings import ApiSettings
from storage import secrets
from tests.integration.api.conftest import DEVICE_MASTER, Running, World, serving
from tests.integration.api.test_isolation import is_problem

pytestmark = pytest.mark.integration


def test_registering_gives_a_machine_all_that_its_type_has(a: httpx2.Client, world: World) -> None:
    answer = a.post(
        "/v1/equipment", json={"key": "P-7", "type": "pump", "name": "Pump 7", "serial": "S7", "site": "works"}
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["key"], made["name"], made["serial"], made["site"]) == ("P-7", "Pump 7", "S7", "works")
    assert (made["status"], made["rights"]) == ("approved", "manage")
    assert [c["key"] for c in made["components"]] == ["bearing", "seal"]
    assert a.get(answer.headers["location"]).json() == made
    version = world.execute("SELECT version FROM servitize.equipment_version WHERE equipment_id = %s", [made["id"]])
    assert version, "ingest and pipeline are told by the registry's version"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"key": "P-1", "type": "pump"}, 409),
        ({"key": "P-8", "type": "no such type"}, 400),
        ({"key": "P-8", "type": "pump", "site": "nowhere"}, 400),
        ({"key": "a/b", "type": "pump"}, 422),
        ({"key": "a+", "type": "pump"}, 422),
        ({"key": "", "type": "pump"}, 422),
        ({"key": "P-8"}, 422),
        ({"key": 8, "type": "pump"}, 422),
    ],
)
def test_what_cannot_be_registered(a: httpx2.Client, body: dict, status: int) -> None:
    is_problem(a.post("/v1/equipment", json=body), status)
    assert a.get("/v1/equipment/P-8").status_code == 404


def test_pending_equipment_is_approved_with_a_type(a: httpx2.Client, world: World) -> None:
    world.execute(
        "INSERT INTO servitize.equipment (tenant_id, key, name, status) VALUES (%s, 'new', 'new', 'pending')",
        [world.a.id],
    )
    is_problem(a.patch("/v1/equipment/new", json={"status": "approved"}), 409)
    is_problem(a.patch("/v1/equipment/new", json={"status": "pending"}), 422)
    approved = a.patch("/v1/equipment/new", json={"status": "approved", "type": "pump"}).json()
    assert approved["status"] == "approved"
    assert [c["key"] for c in approved["components"]] == ["bearing", "seal"]
    is_problem(a.patch("/v1/equipment/new", json={"type": "fan"}), 409)


def test_retiring_and_coming_back(a: httpx2.Client) -> None:
    assert a.patch("/v1/equipment/P-1", json={"status": "retired"}).json()["status"] == "retired"
    back = a.patch("/v1/equipment/P-1", json={"status": "approved", "name": "Pump one"}).json()
    assert (back["status"], back["name"], back["serial"]) == ("approved", "Pump one", None)


def test_what_was_done_is_in_the_audit_log(a: httpx2.Client, world: World) -> None:
    a.patch("/v1/equipment/P-1", json={"serial": "S-1"})
    actor, action, thing, detail = world.as_owner(
        "SELECT actor, action, object, detail FROM servitize.audit_log WHERE tenant_id = %s ORDER BY id DESC LIMIT 1",
        [world.a.id],
    )[0]
    assert actor.startswith("api-key:")
    assert (action, thing, detail) == ("equipment.changed", f"equipment/{world.a.equipment}", {"serial": "S-1"})


def test_a_grant_opens_and_closes_a_door(a: httpx2.Client, api: Running, world: World) -> None:
    with api.client(world.partner.keys["all"]) as partner:
        assert partner.get(f"/v1/equipment/{world.a.equipment}").status_code == 404
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        given = a.post(
            "/v1/grants", json={"equipment": "P-1", "tenant": "partner", "rights": "operate", "valid_until": until}
        )
        assert given.status_code == 201, given.text
        assert (given.json()["owner"], given.json()["given"]) == ("anvil", True)
        assert partner.get("/v1/equipment/P-1").json()["rights"] == "operate"
        assert partner.post(f"/v1/alarms/{world.a.alarm}/acknowledge").status_code == 200
        is_problem(partner.post("/v1/grants", json={"equipment": "P-1", "tenant": "brook", "rights": "read"}), 403)
        assert a.delete(f"/v1/grants/{given.json()['id']}").status_code == 204
        assert partner.get(f"/v1/equipment/{world.a.equipment}").status_code == 404
        kept = [g for g in a.get("/v1/grants").json()["items"] if g["id"] == given.json()["id"]]
        assert datetime.fromisoformat(kept[0]["valid_until"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "change", [{"tenant": "nobody"}, {"tenant": "anvil"}, {"valid_until": "2001-01-01T00:00:00Z"}], ids=str
)
def test_grants_that_make_no_sense(a: httpx2.Client, change: dict) -> None:
    is_problem(a.post("/v1/grants", json={"equipment": "P-1", "tenant": "partner", "rights": "read", **change}), 400)


def test_devices_are_listed_without_any_secret(a: httpx2.Client) -> None:
    (device,) = a.get("/v1/devices").json()["items"]
    assert (device["client_id"], device["equipment"]) == ("anvil-P-1", "P-1")
    assert "secret" not in str(device)
    assert "password" not in str(device)


def device_row(world: World, number: int) -> tuple[str, bytes, bytes]:
    rows = world.as_owner("SELECT username, nonce, secret_hash FROM servitize.device WHERE id = %s", [number])
    return rows[0][0], bytes(rows[0][1]), bytes(rows[0][2])


def test_a_device_is_made_with_a_password_that_only_the_answer_holds(a: httpx2.Client, world: World) -> None:
    answer = a.post("/v1/devices", json={"equipment": "P-2"})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert (made["client_id"], made["equipment"], made["pending"]) == ("anvil.P-2", "P-2", True)
    username, nonce, digest = device_row(world, made["id"])
    assert made["password"] == secrets.derived_password(DEVICE_MASTER, nonce)  # as who holds the broker derives it
    assert digest == secrets.digest(made["password"])
    shown = a.get(answer.headers["location"]).json()
    assert "password" not in shown
    assert shown["username"] == username
    is_problem(a.post("/v1/devices", json={"equipment": "P-2"}), 409)

    again = a.post(f"/v1/devices/{made['id']}/rotate").json()
    assert again["password"] != made["password"]
    assert a.delete(f"/v1/devices/{made['id']}").status_code == 204
    assert a.get(f"/v1/devices/{made['id']}").json()["revoked_at"] is not None
    assert a.post(f"/v1/devices/{made['id']}/rotate").json()["revoked_at"] is None
    said = world.execute("SELECT action FROM servitize.audit_log WHERE action LIKE 'device.%%' ORDER BY id")
    assert [row[0] for row in said] == ["device.created", "device.rotated", "device.revoked", "device.rotated"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"equipment": "P-1", "gateway": "g"}, 422),
        ({"gateway": "a/b"}, 422),
        ({"gateway": "a:b"}, 400),
        ({"edge_node": "Hall"}, 422),
        ({"edge_node": "Hall/+"}, 422),
        ({"edge_node": "Nobodys/n1"}, 400),
        ({"equipment": "no such"}, 404),
    ],
)
def test_what_no_device_can_be_for(a: httpx2.Client, body: dict, status: int) -> None:
    is_problem(a.post("/v1/devices", json=body), status)


def test_a_device_is_changed_by_who_has_seen_it_as_it_is(a: httpx2.Client) -> None:
    place = f"/v1/devices/{a.post('/v1/devices', json={'gateway': 'seen'}).json()['id']}"
    tag = {"If-Match": a.get(place).headers["etag"]}
    assert a.post(f"{place}/rotate", headers=tag).status_code == 200
    assert a.post(f"{place}/rotate", headers=tag).status_code == 412
    assert a.delete(place, headers=tag).status_code == 412
    assert a.delete(place).status_code == 204


def test_an_edge_node_needs_a_group_of_ones_own(a: httpx2.Client, api: Running, world: World) -> None:
    profile = '{"profile": "hall", "sparkplug": {"group": "Hall"}}'
    for tenant in (world.a.id, world.b.id):  # the first that names it has it
        world.as_owner("INSERT INTO servitize.mapping_profile VALUES (%s, 'hall', %s)", [tenant, profile])
    made = a.post("/v1/devices", json={"edge_node": "Hall/n1"}).json()
    assert (made["edge_node"], made["username"], made["equipment"]) == ("Hall/n1", "anvil.Hall.n1", None)
    with api.client(world.b.keys["all"]) as b:
        is_problem(b.post("/v1/devices", json={"edge_node": "Hall/n2"}), 400)


def test_an_api_without_the_secret_makes_no_devices(world: World) -> None:
    with serving(ApiSettings(world.api_dsn)) as alone, alone.client(world.a.keys["all"]) as client:
        is_problem(client.post("/v1/devices", json={"gateway": "g9"}), 409)


def test_shelves_end_by_the_database_s_clock_alone(world: World) -> None:
    with psycopg.connect(world.api_dsn) as connection:
        assert connection.execute(b"SELECT servitize.expire_due_shelves()").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(b"SELECT servitize.expire_shelves('infinity')")
