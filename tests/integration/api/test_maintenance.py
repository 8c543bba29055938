"""From an alarm to closed work by API: decisions, parts, photos, the watch after the repair, calendar, oil."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import psycopg
import pytest

from core.time import DAY, HOUR, MINUTE, SECOND, to_datetime
from tests.integration.api.conftest import PUMP, T0, Running, World

pytestmark = pytest.mark.integration

NOW = T0 + 10 * DAY
MAINTENANCE: dict[str, Any] = {
    "currency": "EUR",
    "tasks": [
        {
            "key": "change-bearing",
            "name": "Change the bearing",
            "component": "bearing",
            "modes": ["wear"],
            "consequence": "It seizes",
            "steps": ["Lock out", "Change it"],
            "optional_steps": ["Take a photo"],
            "parts": [{"key": "brg", "quantity": 2}],
            "skills": ["mechanic"],
            "crew": 2,
            "duration": "4 h",
            "cost": 300,
            "failure": 20000,
            "renews": True,
            "watch": "3 h",
        },
        {"key": "grease", "name": "Grease it", "component": "bearing", "duration": "1 h", "every": {"calendar": "5 d"}},
        {"key": "look", "name": "Look", "component": "seal", "every": {"point": "leakage", "high": 5}},
    ],
    "parts": [{"key": "brg", "name": "Bearing", "number": "6222", "price": "99.50", "lead": "14 d"}],
    "oils": [{"component": "bearing", "lubricant": "VG 32", "viscosity": 32}],
}
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 300
"""Over the limit of other bodies, under that of photos."""


@pytest.fixture(scope="module", autouse=True)
def timeline(world: World) -> None:
    """Both machines' time is told by what they send; the type says something of upkeep."""
    with psycopg.connect(world.owner_dsn) as connection:
        connection.execute(b"SET ROLE servitize_owner")
        connection.execute(b"UPDATE servitize.tenant SET publisher_clock = true")
        connection.execute(
            b"UPDATE servitize.equipment_type SET revision = revision + 1, document = document || %s",
            [json.dumps({"maintenance": MAINTENANCE, "running": ["running"]})],
        )
        connection.execute(b"UPDATE servitize.equipment SET commissioned_at = %s WHERE key = 'P-1'", [to_datetime(T0)])
    assert PUMP["type"] == "pump"
    for party in (world.a, world.b):
        reading(world, party.point, NOW)


def reading(world: World, point: int, at: int, value: float = 1.0) -> None:
    world.execute(
        "INSERT INTO servitize.latest_reading VALUES (%s, %s, %s, 192, now()) "
        "ON CONFLICT (point_id) DO UPDATE SET ts = excluded.ts, value = excluded.value",
        [point, to_datetime(at), value],
    )


def until(found: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)
    return answer


def ok(response: httpx2.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


def raise_alarm(
    world: World, at: int, change: str = "raised", condition: str = "bearing/vibration/zone_c", **more: Any
) -> None:
    said = {"failure_mode": "wear", "value": 7.9, "limit": 7.1, "point": "vibration", "action": "Look at it", **more}
    world.transition(world.a.equipment, condition, change, at, **said)


@pytest.fixture
def advisory(world: World, a: httpx2.Client) -> Iterator[dict[str, Any]]:
    """Open, made by an alarm; whatever a test leaves is put away."""
    at = NOW - HOUR + int(time.monotonic() * 1e6) % (HOUR // 2)  # before any work is done, or the watch finds it again
    raise_alarm(world, at)

    def found() -> Any:
        items = ok(a.get("/v1/advisories", params={"state": "open"}))["items"]
        return [x for x in items if x["failure_mode"] == "wear"]

    yield until(found)[0]
    raise_alarm(world, at + SECOND, "cleared")
    for order in ok(a.get("/v1/work-orders", params={"unfinished": True}))["items"]:
        if "cancel" in order["allowed"]:
            ok(a.post(f"/v1/work-orders/{order['id']}/cancel", json={"reason": "end of the test"}))


def accepted(a: httpx2.Client, advisory: dict[str, Any]) -> int:
    return int(ok(a.post(f"/v1/advisories/{advisory['id']}/accept"))["work_order_id"])


def test_an_alarm_becomes_an_advisory_that_says_what_why_and_by_when(advisory: dict[str, Any]) -> None:
    assert (advisory["component"], advisory["priority"]) == ("bearing", "high")
    assert advisory["consequence"] == "It seizes"
    assert advisory["work"]["name"] == "Change the bearing"
    assert advisory["work"]["parts"][0] | {"price": "", "quantity": ""} == {
        "key": "brg", "name": "Bearing", "number": "6222", "quantity": "", "unit": "1", "price": "", "lead_days": 14.0,
    }  # fmt: skip
    assert float(advisory["work"]["cost"]) == 300 + 2 * 99.5
    assert "7 d after a high alarm" in advisory["due_rule"]
    (line,) = [e for e in advisory["evidence"] if e["holds"]]
    assert (line["kind"], line["detail"]["value"], line["detail"]["limit"]) == ("alarm", 7.9, 7.1)
    assert advisory["allowed"] == ["accept", "reject", "defer"]


def test_a_prognosis_gives_the_date(world: World, a: httpx2.Client) -> None:
    at = NOW + 2 * HOUR
    world.execute(
        "INSERT INTO servitize.remaining_life VALUES (%s, 'seal', 'rul', 1, %s, 100, 200, 300, 'h', NULL, %s, %s, %s)",
        [world.a.equipment, *(to_datetime(at + d * DAY) for d in (0, 3, 5, 9))],
    )
    raise_alarm(world, at + HOUR, condition="seal/leakage/high", component="seal", failure_mode="leak", priority="low")
    (found,) = until(lambda: [x for x in ok(a.get("/v1/advisories"))["items"] if x["failure_mode"] == "leak"])
    assert found["due_at"] == to_datetime(at + 3 * DAY).isoformat().replace("+00:00", "Z")
    assert "P10" in found["due_rule"]
    assert found["priority"] == "high"
    raise_alarm(world, at + 2 * HOUR, "cleared", condition="seal/leakage/high", component="seal", failure_mode="leak")


def test_what_was_put_off_comes_back_when_its_time_is_over(
    world: World, a: httpx2.Client, advisory: dict[str, Any]
) -> None:
    path = f"/v1/advisories/{advisory['id']}"
    ok(a.post(path + "/defer", json={"reason": "no crew", "until": (NOW + 2 * DAY) // 1000}))
    assert ok(a.get(path))["deferred_until"] is not None
    reading(world, world.a.point, NOW + 2 * DAY + MINUTE)
    until(lambda: ok(a.get(path))["state"] == "open")
    (first, *_) = ok(a.get(path + "/journal"))["items"]
    assert (first["event"], first["announced"]) == ("deferral_over", True)
    reading(world, world.a.point, NOW)


def test_what_was_rejected_speaks_again_when_it_is_more_urgent(
    world: World, a: httpx2.Client, advisory: dict[str, Any]
) -> None:
    path = f"/v1/advisories/{advisory['id']}"
    assert a.post(path + "/reject", json={"reason": ""}).status_code == 422
    ok(a.post(path + "/reject", json={"reason": "measured by hand"}))
    raise_alarm(world, NOW + 3 * HOUR, condition="bearing/vibration/zone_d", priority="urgent")
    found = until(lambda: (x := ok(a.get(path))) and x["state"] == "open" and x)
    assert found["priority"] == "urgent"
    assert len([e for e in found["evidence"] if e["holds"]]) == 2
    raise_alarm(world, NOW + 3 * HOUR + SECOND, "cleared", condition="bearing/vibration/zone_d")


def test_from_acceptance_to_closed_by_what_the_machine_shows(
    world: World, a: httpx2.Client, advisory: dict[str, Any]
) -> None:
    ok(
        a.post("/v1/parts", json={"key": "brg", "name": "Bearing", "price": "99.50", "lead_days": 14, "minimum": "1"}),
        201,
    )
    ok(a.post("/v1/parts/brg/movements", json={"kind": "received", "quantity": "3"}))
    work = accepted(a, advisory)
    path = f"/v1/work-orders/{work}"
    order = ok(a.get(path))
    assert (order["state"], order["advisory_id"], order["allowed"]) == (
        "planned",
        advisory["id"],
        ["approve", "cancel"],
    )
    assert [line["obligatory"] for line in order["checklist"]] == [True, True, False]

    tag = a.get(path).headers["etag"]
    ok(a.post(path + "/approve"))
    assert a.post(path + "/start", headers={"If-Match": tag}).status_code == 412
    assert ok(a.get("/v1/parts/brg"))["available"] == "1.0000"
    ok(a.post(path + "/schedule", json={"start": NOW // 1000, "end": (NOW + 4 * HOUR) // 1000, "crew": "north"}))
    assert a.post(path + "/complete").status_code == 409
    ok(a.post(path + "/start"))
    refused = a.post(path + "/complete")
    assert refused.status_code == 409
    assert "checklist" in refused.json()["detail"]
    for line in (0, 1):
        ok(a.put(f"{path}/checklist/{line}", json={"done": True, "note": "0.02 mm"}))
    assert a.put(f"{path}/checklist/7", json={"done": True}).status_code == 404
    ok(a.post("/v1/parts/brg/movements", json={"kind": "taken", "quantity": "2", "work_order": work}))
    assert a.post("/v1/parts/brg/movements", json={"kind": "taken", "quantity": "9"}).status_code == 409
    ok(
        a.post(
            path + "/entries", json={"kind": "labour", "item": "mechanic", "quantity": 7.5, "unit": "h", "cost": 480}
        )
    )
    ok(a.post(path + "/entries", json={"kind": "lubricant", "item": "grease", "quantity": "0.35", "unit": "kg"}))

    for _ in range(2):
        photo = ok(a.post(path + "/photos", content=JPEG, headers={"Content-Type": "image/jpeg"}), 201)
    assert a.get(f"{path}/photos/{photo['sha256']}").content == JPEG
    assert a.post(path + "/photos", content=b"#!/bin/sh", headers={"Content-Type": "image/jpeg"}).status_code == 415
    too_much = JPEG + bytes(5 * 1024 * 1024)
    assert a.post(path + "/photos", content=too_much, headers={"Content-Type": "image/jpeg"}).status_code == 413

    ok(a.post(path + "/complete", json={"outcome": "repaired", "findings": "cage broken"}))
    detail = ok(a.get(path))
    assert detail["state"] == "done"
    assert (len(detail["photos"]), float(detail["cost"])) == (1, 480 + 2 * 99.5)
    done = world.execute("SELECT servitize.to_us(done_at) FROM servitize.work_order WHERE id = %s", [work])[0][0]
    (notice,) = world.execute("SELECT topic, payload FROM servitize.take_notices(10)")
    assert json.loads(bytes(notice[1]))["body"]["renewed"] == ["bearing"]

    raise_alarm(world, done - SECOND, "cleared")
    for at, state in ((done, "stopped"), (done + HOUR, "running")):
        world.execute(
            "INSERT INTO servitize.state_change VALUES (%s, %s, %s)", [world.a.equipment, to_datetime(at), state]
        )
    reading(world, world.a.point, done + 3 * HOUR)
    # it may have looked before the machine ran
    seen = until(lambda: (x := ok(a.get(path))["verification"]) and x.get("ran_hours") and x)
    assert (seen["verdict"], seen["ran_hours"], seen["needed_hours"]) == ("watching", 2.0, 3.0)
    reading(world, world.a.point, done + 5 * HOUR)
    until(lambda: ok(a.get(path))["state"] == "closed")
    resting = ok(a.get(f"/v1/advisories/{advisory['id']}"))
    assert (resting["state"], resting["outcome"]) == ("resting", "done")
    label = world.execute(
        "SELECT verdict, found, reference FROM servitize.confirmed_outcome WHERE equipment_id = %s", [world.a.equipment]
    )
    assert label == [("defect", "cage broken", str(work))]
    assert [x["event"] for x in ok(a.get(path + "/journal"))["items"]][:3] == ["close", "verify", "complete"]
    reading(world, world.a.point, NOW)


def test_a_fault_that_comes_back_reopens_the_work(world: World, a: httpx2.Client, advisory: dict[str, Any]) -> None:
    work = accepted(a, advisory)
    path = f"/v1/work-orders/{work}"
    for step in ("approve", "start"):
        ok(a.post(f"{path}/{step}"))
    for line in (0, 1):
        ok(a.put(f"{path}/checklist/{line}", json={"done": True}))
    ok(a.post(path + "/complete"))
    raise_alarm(world, NOW + 5 * HOUR, "cleared")
    raise_alarm(world, NOW + 6 * HOUR)
    found = until(lambda: (x := ok(a.get(path))) and x["state"] == "reopened" and x)
    assert found["checklist"][0]["done_at"] is None
    assert ok(a.get(path + "/journal"))["items"][0]["reason"].startswith("raised again")
    raise_alarm(world, NOW + 7 * HOUR, "cleared")


def test_a_key_without_the_scope_and_another_tenant_get_nowhere(
    world: World, api: Running, a: httpx2.Client, advisory: dict[str, Any]
) -> None:
    with api.client(world.a.keys["read"]) as reader:
        assert reader.get(f"/v1/advisories/{advisory['id']}").status_code == 200
        assert reader.post(f"/v1/advisories/{advisory['id']}/accept").status_code == 403
    with api.client(world.b.keys["all"]) as other:
        assert other.get(f"/v1/advisories/{advisory['id']}").status_code == 404
        assert other.post(f"/v1/advisories/{advisory['id']}/accept").status_code == 404
        assert all(x["equipment"]["id"] == world.b.equipment for x in ok(other.get("/v1/advisories"))["items"])


def test_preventive_tasks_come_due_by_calendar_and_by_condition(world: World, a: httpx2.Client) -> None:
    path = "/v1/equipment/P-1/preventive-tasks"
    tasks = {x["task"]: x for x in ok(a.get(path))["items"]}
    assert (tasks["grease"]["overdue"], tasks["grease"]["rule"]) == (True, "every 5 d")
    assert tasks["look"]["due_at"] is None
    leakage = world.execute(
        "SELECT id FROM servitize.point WHERE equipment_id = %s AND key = 'leakage'", [world.a.equipment]
    )[0][0]
    reading(world, leakage, NOW, 6.0)
    made = ok(a.post(path + "/plan", json={"days": 10}))["work_order_ids"]
    assert len(made) == 2
    assert ok(a.post(path + "/plan", json={"days": 10}))["work_order_ids"] == []
    assert {x["work_order_id"] for x in ok(a.get(path))["items"]} == set(made)


def test_the_calendar_puts_work_together_and_says_why(a: httpx2.Client) -> None:
    ok(a.post("/v1/maintenance/crews", json={"key": "north", "name": "North", "people": 2, "skills": ["mechanic"]}))
    start = NOW + DAY
    ok(
        a.post(
            "/v1/maintenance/windows",
            json={
                "equipment": "P-1",
                "starts_at": start // 1000,
                "ends_at": (start + 12 * HOUR) // 1000,
                "stands": True,
            },
        ),
        201,
    )
    for title in ("Seal ring", "Coupling"):
        made = ok(a.post("/v1/work-orders", json={"equipment": "P-1", "component": "seal", "title": title}), 201)
        ok(a.post(f"/v1/work-orders/{made['id']}/approve"))
    proposal = ok(a.get("/v1/maintenance/calendar"))
    assert not proposal["windows_assumed"]
    assert all(item["why"] for item in proposal["items"])
    applied = ok(a.post("/v1/maintenance/calendar/apply"))
    states = {x["id"]: x["state"] for x in ok(a.get("/v1/work-orders"))["items"]}
    assert applied["scheduled"]
    assert all(states[work] == "scheduled" for work in applied["scheduled"])


def test_a_bad_oil_sample_is_an_advisory_and_a_good_one_takes_it_back(a: httpx2.Client) -> None:
    path = "/v1/equipment/P-1/oil-samples"
    for day, water in ((1, 100), (31, 180), (61, 260)):
        sample = {
            "sampled_at": (T0 - 100 * DAY + day * DAY) // 1000,
            "water": water,
            "viscosity_40": 32.1,
            "cleanliness": "18/16/13",
        }
        found = ok(a.post(path, json=sample), 201)
    (water_line,) = [x for x in found["verdict"] if x["figure"] == "water"]
    assert (found["level"], water_line["level"], water_line["limit"]) == ("warning", "warning", 200.0)
    assert 80 < water_line["days_to_alarm"] < 100
    assert a.post(path, json=sample).status_code == 409
    (advisory,) = [x for x in ok(a.get("/v1/advisories"))["items"] if x["failure_mode"] == "oil_condition"]
    assert "water" in advisory["title"]
    ok(a.post(path, json={"sampled_at": (T0 - 10 * DAY) // 1000, "water": 50}), 201)
    after = ok(a.get(f"/v1/advisories/{advisory['id']}"))
    assert [e["holds"] for e in after["evidence"]] == [False]
    assert a.post(path, json={"sampled_at": T0 // 1000, "cleanliness": "x"}).status_code == 422


def test_the_bill_of_materials_names_parts_by_component(a: httpx2.Client) -> None:
    (line,) = ok(a.get("/v1/equipment/P-1/bill-of-materials"))["items"]
    assert (line["component"], line["part"], line["task"]) == ("bearing", "brg", "Change the bearing")
