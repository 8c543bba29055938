"""Alarms defined otherwise than their type, tried on history first; and alarms that want it."""

from __future__ import annotations

import time

import httpx2
import pytest

from core.time import SECOND
from services.alarms.definitions import try_on
from tests.integration.api.conftest import Running, World
from tests.integration.api.test_isolation import is_problem

pytestmark = pytest.mark.integration


@pytest.fixture
def chatterer(world: World) -> int:
    """An alarm of this morning that came and went twelve times within seconds."""
    start = (time.time_ns() // 1000 // SECOND - 3600) * SECOND
    for n in range(12):
        world.transition(world.a.equipment, "seal/leakage/high", "raised", start + 40 * n * SECOND)
        world.transition(world.a.equipment, "seal/leakage/high", "cleared", start + (40 * n + 5) * SECOND)
    return world.alarm_id(world.a.equipment, "seal/leakage/high")


def test_a_definition_is_tried_given_and_taken_back(a: httpx2.Client, world: World, chatterer: int) -> None:
    place = f"/v1/alarms/{chatterer}/definition"
    assert a.get(place).json()["latching"] is None
    order = {"latching": True, "priority": "urgent", "reason": "a leak is looked at"}
    tried = a.post(f"{place}/dry-run", json=order).json()
    assert tried["transitions"] == 24
    assert (tried["now"]["announced"], tried["now"]["resets"]) == ({"high": 12}, 0)
    assert (tried["then"]["announced"], tried["then"]["resets"]) == ({"urgent": 12}, 12)
    assert a.get(place).json()["latching"] is None  # nothing was changed
    tag = a.get(place).headers["etag"]
    assert a.put(place, json=order, headers={"If-Match": tag}).json()["priority_now"] == "urgent"
    is_problem(a.put(place, json=order, headers={"If-Match": tag}), 412)
    # the next transitions are by the definition, in state and message
    now = time.time_ns() // 1000
    world.transition(world.a.equipment, "seal/leakage/high", "raised", now)
    world.transition(world.a.equipment, "seal/leakage/high", "cleared", now + 1)
    alarm = a.get(f"/v1/alarms/{chatterer}").json()
    assert (alarm["state"], alarm["latching"], alarm["priority"]) == ("latched_unacknowledged", True, "urgent")
    said = world.execute(
        "SELECT payload->>'priority' FROM servitize.outbox WHERE kind = 'alarm' ORDER BY id DESC LIMIT 1"
    )
    assert said == [("urgent",)]
    a.post(f"/v1/alarms/{chatterer}/acknowledge")
    assert a.post(f"/v1/alarms/{chatterer}/reset").json()["to_state"] == "normal"
    back = a.put(place, json={"reason": "as the type says"}).json()
    assert (back["latching_now"], back["priority_now"]) == (False, "high")


def test_only_who_may_manage_the_equipment_defines_its_alarms(api: Running, world: World) -> None:
    world.as_owner(
        "INSERT INTO servitize.equipment_grant (equipment_id, tenant_id, rights) VALUES (%s, %s, 'operate')",
        [world.a.equipment, world.partner.id],
    )
    with api.client(world.partner.keys["all"]) as partner:
        assert partner.get(f"/v1/alarms/{world.a.alarm}/definition").status_code == 200
        is_problem(partner.put(f"/v1/alarms/{world.a.alarm}/definition", json={"reason": "x"}), 403)


def test_an_alarm_that_chatters_is_proposed(a: httpx2.Client, chatterer: int) -> None:
    found = a.get("/v1/bad-actors", params={"days": 1}).json()
    worst = found["items"][0]
    assert worst["id"] == chatterer
    assert worst["announced"] >= 12
    assert worst["chattering"] >= 11
    assert worst["fleeting"] >= 12
    assert any("deadband" in text for text in worst["proposals"])
    assert found["announced"] == sum(item["announced"] for item in found["items"])


def test_trying_counts_the_least_that_is_asked_of_people() -> None:
    history = [
        {"change": change, "announce": True, "priority": "low"}
        for change in ("raised", "cleared", "suppressed", "raised")
    ]
    tried = try_on(history, latching=False, priority=None)
    assert (tried.announced, tried.acknowledged, tried.resets) == ({"low": 2}, 2, 0)
