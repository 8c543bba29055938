"""What a tenant reads: equipment, health, latest values, readings, gaps, events, refusals."""

from __future__ import annotations

import json

import httpx2
import pytest

from core.time import MINUTE, SECOND, isoformat, to_datetime
from services.api.access import Scope
from tests.integration.api.conftest import T0, World

pytestmark = pytest.mark.integration


def test_me_says_whose_key_it_is(a: httpx2.Client) -> None:
    me = a.get("/v1/me").json()
    assert me["tenant"] == {"key": "anvil", "name": "Anvil"}
    assert me["api_key"]["scopes"] == [scope.value for scope in Scope]


def test_the_list_shows_state_health_and_alarms_at_a_glance(a: httpx2.Client, world: World) -> None:
    items = a.get("/v1/equipment").json()["items"]
    assert [e["key"] for e in items] == ["P-1", "P-2"]
    first = items[0]
    assert (first["state"], first["health"], first["site"], first["type"]) == ("running", 85.0, "works", "pump")
    assert (first["tenant"], first["rights"], first["status"]) == ("anvil", "manage", "approved")
    assert first["alarms"] == {"urgent": 0, "high": 1, "medium": 0, "low": 0}
    assert first["last_reading_at"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("site=works", ["P-1"]),
        ("site=elsewhere", []),
        ("type=pump", ["P-1", "P-2"]),
        ("status=pending", ["P-2"]),
        ("state=running", ["P-1"]),
        ("health_below=90", ["P-1"]),
        ("health_below=80", []),
    ],
)
def test_filters_of_equipment(a: httpx2.Client, query: str, keys: list[str]) -> None:
    assert [e["key"] for e in a.get(f"/v1/equipment?{query}").json()["items"]] == keys


def test_pages_follow_each_other_without_gap_or_repeat(a: httpx2.Client) -> None:
    seen, address = [], "/v1/equipment?limit=1"
    while address:
        page = a.get(address).json()
        seen += [e["key"] for e in page["items"]]
        address = page["next"] and f"/v1/equipment?limit=1&cursor={page['next']}"
    assert seen == ["P-1", "P-2"]


def test_a_cursor_answers_its_own_question_only(a: httpx2.Client, api, world: World) -> None:
    cursor = a.get("/v1/equipment?limit=1").json()["next"]
    assert a.get(f"/v1/equipment?limit=1&type=pump&cursor={cursor}").status_code == 400
    assert a.get(f"/v1/sites?cursor={cursor}").json()["type"] == "/docs#invalid-cursor"
    assert a.get(f"/v1/equipment?limit=1&cursor={cursor[:-2]}AA").status_code == 400
    with api.client(world.b.keys["all"]) as b:
        assert b.get(f"/v1/equipment?limit=1&cursor={cursor}").status_code == 400


@pytest.mark.parametrize("reference", ["P-1", "key:P-1", "{number}"])
def test_a_tree_by_number_or_key(a: httpx2.Client, world: World, reference: str) -> None:
    tree = a.get(f"/v1/equipment/{reference.format(number=world.a.equipment)}").json()
    assert tree["id"] == world.a.equipment
    assert [(c["key"], [p["key"] for p in c["points"]]) for c in tree["components"]] == [
        ("bearing", ["vibration"]),
        ("seal", ["leakage"]),
    ]
    assert tree["components"][0]["health"] == 70.0


def test_health_comes_with_its_reasons(a: httpx2.Client) -> None:
    health = a.get("/v1/equipment/P-1/health").json()
    assert health["index"] == 85.0
    assert health["components"][0]["component"] == "bearing"
    assert health["components"][0]["reasons"][0]["text"] == "vibration 99 over 7.1"


def test_latest_values(a: httpx2.Client, world: World) -> None:
    items = a.get("/v1/equipment/P-1/latest").json()["items"]
    assert [(i["point"], i["value"], i["unit"], i["quality"]) for i in items] == [("vibration", 0.999, "mm/s", "good")]


def readings(a: httpx2.Client, world: World, **query):
    answer = a.get(f"/v1/points/{world.a.point}/readings", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_raw_readings_in_pages_are_all_readings_once(a: httpx2.Client, world: World) -> None:
    query = {"from": isoformat(T0), "to": T0 // 1000 + 3_600_000, "limit": 300}
    page = readings(a, world, **query)
    sizes, times = [len(page["items"])], [i["ts"] for i in page["items"]]
    while page["next"]:
        page = readings(a, world, **query, cursor=page["next"])
        sizes.append(len(page["items"]))
        times += [i["ts"] for i in page["items"]]
    assert sizes == [300, 300, 300, 100]
    assert len(set(times)) == 1000
    assert times == sorted(times)


def test_a_value_that_is_no_number_is_null_with_its_quality(a: httpx2.Client, world: World) -> None:
    at = T0 + 700 * SECOND + 10 * MINUTE
    items = readings(a, world, **{"from": isoformat(at), "to": isoformat(at + 1)})["items"]
    assert items == [{"ts": isoformat(at), "value": None, "quality": "bad (sensor)"}]


@pytest.mark.parametrize("pixels", [4, 50, 333])
def test_thinned_readings_keep_the_extremes(a: httpx2.Client, world: World, pixels: int) -> None:
    answer = readings(a, world, **{"from": isoformat(T0), "to": isoformat(T0 + 3600 * SECOND), "pixels": pixels})
    values = [i["value"] for i in answer["items"]]
    assert answer["thinned"] is True
    assert len(values) <= pixels
    assert max(v for v in values if v is not None) == 99.0
    assert min(v for v in values if v is not None) == 0.0


def test_without_times_the_last_hour_of_the_data_is_meant(a: httpx2.Client, world: World) -> None:
    assert readings(a, world, limit=1000)["items"][-1]["ts"] == isoformat(T0 + 999 * SECOND + 10 * MINUTE)


def test_gaps(a: httpx2.Client, world: World) -> None:
    end = T0 + 1600 * SECOND
    query = {"from": isoformat(T0), "to": isoformat(end), "longer_than": "5 min"}
    gaps = a.get(f"/v1/points/{world.a.point}/gaps", params=query).json()
    assert gaps["items"] == [
        {"from": isoformat(T0 + 499 * SECOND), "to": isoformat(T0 + 1100 * SECOND), "seconds": 601.0}
    ]
    query["longer_than"] = "999 ms"
    page = a.get(f"/v1/points/{world.a.point}/gaps", params={**query, "limit": 600}).json()
    rest = a.get(f"/v1/points/{world.a.point}/gaps", params={**query, "limit": 600, "cursor": page["next"]}).json()
    assert (len(page["items"]), len(rest["items"]), rest["next"]) == (600, 400, None)


def test_a_point(a: httpx2.Client, world: World) -> None:
    point = a.get(f"/v1/points/{world.a.point}").json()
    assert (point["key"], point["component"], point["equipment"]["key"]) == ("vibration", "bearing", "P-1")
    assert point["latest"]["value"] == 0.999


def test_events(a: httpx2.Client) -> None:
    assert a.get("/v1/events").json()["items"][0]["body"] == {"text": "oil changed"}
    assert a.get("/v1/events?kind=start").json()["items"] == []
    assert len(a.get("/v1/events?equipment=P-1&kind=maintenance").json()["items"]) == 1


def test_what_was_missing_and_refused_is_shown_with_the_limits_that_hold(a: httpx2.Client, world: World) -> None:
    gap = {"first": 3, "last": 14, "missing": 12}
    for at, body in enumerate((gap, {"missing": "x"})):
        said = [world.a.pending, to_datetime(T0 + at), json.dumps(body)]
        world.execute("INSERT INTO servitize.event VALUES (%s, 'sequence_gap', %s, 'h', %s, now())", said)
    world.execute("INSERT INTO servitize.intake_tally VALUES (%s, 'sequence_gap', 2, 12, now())", [world.a.pending])
    shown = a.get("/v1/equipment/P-2/intake").json()
    assert [(g["first"], g["missing"]) for g in shown["sequence"]["recent"]] == [(None, 0), (3, 12)]
    assert (shown["sequence"]["gaps"], shown["sequence"]["missing"], shown["refused"]) == (2, 12, [])
    shown = a.get("/v1/equipment/P-1/intake").json()
    assert [(r["reason"], r["times"], r["readings"]) for r in shown["refused"]] == [("not-json", 1, 1)]
    assert shown["last_received_at"] is not None
    assert shown["limits"]["messages_per_second"] == 5000
    (device,) = a.get("/v1/devices").json()["items"]
    assert (device["missing_messages"], device["refused_readings"]) == (15, 1)
    world.execute("UPDATE servitize.intake_tally SET amount = 0 WHERE equipment_id = %s", [world.a.pending])


def test_dead_letters_show_what_came_and_can_be_asked_to_go_again(a: httpx2.Client, world: World) -> None:
    (letter,) = a.get("/v1/dead-letters?reason=not-json").json()["items"]
    assert letter["whole"] is True
    assert letter["count"] == 1
    shown = a.get(f"/v1/dead-letters/{letter['id']}").json()
    assert (shown["payload_text"], shown["payload_base64"]) == ("{{{{", "e3t7ew==")
    first = a.post(f"/v1/dead-letters/{letter['id']}/replay")
    again = a.post(f"/v1/dead-letters/{letter['id']}/replay")
    assert (first.status_code, again.json()) == (202, first.json())
    taken = world.execute("SELECT dead_letter_id, topic, payload FROM servitize.take_replays(10)")
    assert [(row[0], row[1], bytes(row[2])) for row in taken] == [(letter["id"], "t", b"{{{{")]
    assert a.get(f"/v1/dead-letters/{letter['id']}").json()["replayed_at"] is not None
    assert world.execute("SELECT * FROM servitize.take_replays(10)") == []


def test_types_carry_an_etag(a: httpx2.Client) -> None:
    assert [t["key"] for t in a.get("/v1/types").json()["items"]] == ["pump"]
    first = a.get("/v1/types/pump")
    assert first.json()["document"]["name"] == "Pump"
    assert a.get("/v1/types/pump", headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_sites(a: httpx2.Client) -> None:
    assert a.get("/v1/sites").json()["items"] == [
        {"key": "works", "name": "Works of anvil", "timezone": "UTC", "equipment": 1}
    ]
