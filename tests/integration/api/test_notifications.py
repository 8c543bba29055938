"""Endpoints, schedules and subscriptions by API, and what becomes of them."""

from __future__ import annotations

import base64
from typing import Any

import httpx2
import psycopg
import pytest

from core.time import SECOND
from storage.sealing import Sealer
from tests.integration.api.conftest import DEVICE_MASTER, T0, Running, World
from tests.integration.api.test_isolation import is_problem

pytestmark = pytest.mark.integration


def made(a: httpx2.Client, path: str, **order: Any) -> dict[str, Any]:
    answer = a.post(path, json=order)
    assert answer.status_code == 201, answer.text
    assert a.get(answer.headers["location"]).json()["id"] == answer.json()["id"]
    return dict(answer.json())


def test_a_webhook_is_made_with_a_secret_that_nobody_else_can_open(a: httpx2.Client, world: World) -> None:
    endpoint = made(a, "/v1/endpoints", name="Tickets", kind="webhook", address="https://t.example/hook")
    assert endpoint["secret"].startswith("whsec_")
    assert "secret" not in a.get(f"/v1/endpoints/{endpoint['id']}").json()
    sealed = bytes(world.execute("SELECT secret FROM servitize.notification_endpoint")[0][0])
    opened = Sealer(DEVICE_MASTER, "webhook").open(sealed, f"endpoint/{endpoint['id']}")
    assert base64.b64encode(opened).decode() == endpoint["secret"].removeprefix("whsec_")
    rotated = a.post(f"/v1/endpoints/{endpoint['id']}/rotate", json={"former_hours": 1}).json()
    assert rotated["secret"] != endpoint["secret"]
    assert rotated["former_until"] is not None


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("webhook", "ftp://x.example"), ("webhook", "https://u:p@x.example"), ("webhook", "not a url"),
        ("email", "nobody"), ("email", "a@b.example\nBcc: c@d"), ("mqtt", "a/#"), ("mqtt", "/a"), ("mqtt", "+"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(a: httpx2.Client, kind: str, address: str) -> None:
    is_problem(a.post("/v1/endpoints", json={"name": "x", "kind": kind, "address": address}), 422)


def test_a_subscription_hears_of_the_next_alarm_and_can_be_sent_again(a: httpx2.Client, world: World) -> None:
    endpoint = made(a, "/v1/endpoints", name="Mail", kind="email", address="kim@example.com")
    schedule = made(
        a, "/v1/on-call", name="Hall", starts_at="2026-01-01T00:00:00Z", shift_hours=24, members=[endpoint["id"]]
    )
    assert schedule["on_call_now"] == endpoint["id"]
    subscription = made(
        a,
        "/v1/subscriptions",
        name="Night",
        schedule=schedule["id"],
        equipment="P-1",
        escalation=[{"stage": 1, "priority": "high", "after_minutes": 5, "endpoint": endpoint["id"]}],
        quiet_from="22:00",
        quiet_to="06:00",
        timezone="Europe/Berlin",
    )
    assert subscription["equipment"] == "P-1"
    assert subscription["quiet_to"] == "06:00"
    world.execute("SELECT servitize.fan_out(now(), 1000)")
    world.transition(world.a.equipment, "seal/leakage/high", "raised", T0 + 4000 * SECOND, priority="urgent")
    world.execute("SELECT servitize.sequence_outbox()")
    world.execute("SELECT servitize.fan_out(now(), 1000)")
    (delivery,) = a.get("/v1/deliveries", params={"subscription": subscription["id"]}).json()["items"]
    assert (delivery["state"], delivery["priority"], delivery["endpoint"]) == ("pending", "urgent", "Mail")
    is_problem(a.post(f"/v1/deliveries/{delivery['id']}/replay"), 409)
    world.execute("SELECT servitize.take_deliveries(now(), now() - interval '1 second', 10)")
    world.as_owner("SELECT servitize.step_delivery(%s, 'give_up', now(), NULL, NULL, 500, 'no')", [delivery["id"]])
    dead = a.get("/v1/deliveries", params={"state": "dead"}).json()["items"]
    assert [d["id"] for d in dead] == [delivery["id"]]
    again = a.post(f"/v1/deliveries/{delivery['id']}/replay")
    assert again.status_code == 202
    assert again.json()["message_id"] != delivery["message_id"]
    history = a.get(f"/v1/deliveries/{delivery['id']}").json()["history"]
    assert [entry["event"] for entry in history] == ["take", "give_up", "replay"]


def test_changed_whole_by_version_and_removed(a: httpx2.Client) -> None:
    endpoint = made(a, "/v1/endpoints", name="M", kind="mqtt", address="hall/2")
    subscription = made(a, "/v1/subscriptions", name="S", endpoint=endpoint["id"])
    place = f"/v1/subscriptions/{subscription['id']}"
    tag = a.get(place).headers["etag"]
    order = {"name": "T", "endpoint": endpoint["id"], "digest_minutes": 30}
    assert a.put(place, json=order, headers={"If-Match": tag}).json()["digest_minutes"] == 30
    is_problem(a.put(place, json=order, headers={"If-Match": tag}), 412)
    assert a.delete(place).status_code == 204
    is_problem(a.get(place), 404)


@pytest.mark.parametrize(
    "more",
    [
        {"endpoint": 987654321}, {"schedule": 987654321}, {"equipment": "nobody's"}, {"timezone": "Mars/Olympus"},
        {"quiet_from": "22:00"}, {"kinds": []}, {"digest_minutes": 0}, {"quiet_from": "22:00", "quiet_to": "22:00"},
    ],
)  # fmt: skip
def test_a_subscription_that_makes_no_sense_is_refused(a: httpx2.Client, more: dict[str, Any]) -> None:
    endpoint = made(a, "/v1/endpoints", name="M", kind="mqtt", address="hall/2")
    order = {"name": "S", **({} if "schedule" in more else {"endpoint": endpoint["id"]}), **more}
    assert a.post("/v1/subscriptions", json=order).status_code in (400, 404, 422)


def test_row_security_looks_at_what_a_row_points_at(api: Running, world: World) -> None:
    """Even where the API itself would not: foreign keys look past row security."""
    theirs = world.as_owner(
        "INSERT INTO servitize.notification_endpoint (tenant_id, name, kind, address)"
        " VALUES (%s, 'b', 'mqtt', 'b') RETURNING id",
        [world.b.id],
    )[0][0]
    on_equipment = (
        "INSERT INTO servitize.subscription (name, endpoint_id, equipment_id)"
        " SELECT 'x', min(id), %s FROM servitize.notification_endpoint"
    )
    attempts = [
        ("INSERT INTO servitize.subscription (name, endpoint_id) VALUES ('x', %s)", theirs),
        ("INSERT INTO servitize.on_call_member SELECT max(id), 99, %s FROM servitize.on_call_schedule", theirs),
        (on_equipment, world.b.equipment),
    ]
    for sql, value in attempts:
        with psycopg.connect(world.api_dsn) as connection:
            connection.execute("SELECT set_config('servitize.tenant', %s, true)", [str(world.a.id)])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.encode(), [value])
