"""The life of an alarm through the API is the life that core.alarm's table says, and the journal tells it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from core.alarm import ACTIVE_AFTER, TRANSITIONS, AlarmEvent, AlarmState, reduce
from core.errors import ConflictError
from core.time import SECOND
from services.alarms.service import COMMANDS, allowed
from tests.integration.api.conftest import T0, Running, World

pytestmark = pytest.mark.integration

CLOCK = itertools.count(T0 + 3600 * SECOND, SECOND)
NAMES = itertools.count(1)


def act(client: httpx2.Client, alarm: int, event: AlarmEvent) -> httpx2.Response:
    body = {"reason": "test", "minutes": 60} if event is AlarmEvent.SHELVE else {"comment": "test"}
    return client.post(f"/v1/alarms/{alarm}/{event.value.replace('_', '-')}", json=body)


def tell(world: World, condition: str, event: AlarmEvent, latching: bool) -> None:
    world.transition(
        world.a.equipment, condition, event.value, next(CLOCK), detail={"latching": latching}, priority="low"
    )


def paths_to_states(latching: bool) -> dict[tuple[AlarmState, bool], list[AlarmEvent]]:
    """The shortest way from a new alarm to each state and activity that an API and a processor can bring about."""
    events = [*COMMANDS, *ACTIVE_AFTER]
    found: dict[tuple[AlarmState, bool], list[AlarmEvent]] = {}
    queue: list[tuple[AlarmState, bool, list[AlarmEvent]]] = [(AlarmState.NORMAL, False, [])]
    while queue:
        state, active, path = queue.pop(0)
        for event in events:
            if not path and event not in (AlarmEvent.RAISED, AlarmEvent.CLEARED):
                continue
            try:
                next_state, next_active, _ = reduce(state, active, event, latching=latching)
            except ConflictError:
                continue
            if (next_state, next_active) not in found:
                found[next_state, next_active] = [*path, event]
                queue.append((next_state, next_active, [*path, event]))
    return found


def situations() -> Iterator[tuple[bool, AlarmState, bool, list[AlarmEvent]]]:
    for latching in (False, True):
        for (state, active), path in paths_to_states(latching).items():
            yield latching, state, active, path


def bring(world: World, client: httpx2.Client, path: list[AlarmEvent], latching: bool) -> int:
    """A new alarm led along ``path``."""
    condition = f"seal/leakage/{next(NAMES)}"
    alarm = 0
    for event in path:
        if event in ACTIVE_AFTER:
            tell(world, condition, event, latching)
        else:
            assert act(client, alarm, event).status_code == 200
        alarm = world.alarm_id(world.a.equipment, condition)
    return alarm


@pytest.mark.parametrize(
    "situation",
    list(situations()),
    ids=lambda s: f"{s[1].value}-{'active' if s[2] else 'over'}-{'latching' if s[0] else 'plain'}",
)
def test_each_command_does_what_the_table_says_or_is_a_conflict(a: httpx2.Client, world: World, situation) -> None:
    latching, state, active, path = situation
    for command in COMMANDS:
        alarm = bring(world, a, path, latching)
        before = a.get(f"/v1/alarms/{alarm}").json()
        assert (before["state"], before["active"]) == (state.value, active)
        assert before["allowed"] == [c.value for c in allowed(state, active, before["latching"])]
        answer = act(a, alarm, command)
        try:
            expected, _, announced = reduce(state, active, command, latching=before["latching"])
        except ConflictError:
            assert answer.status_code == 409, answer.text
            assert answer.json()["type"] == "/docs#conflict"
            assert command.value not in before["allowed"]
            assert a.get(f"/v1/alarms/{alarm}").json() == before
            continue
        assert answer.status_code == 200, answer.text
        done = answer.json()
        assert (done["from_state"], done["to_state"], done["announced"]) == (state.value, expected.value, announced)
        assert done["alarm"]["state"] == expected.value
        assert command.value in before["allowed"]
        entry = a.get(f"/v1/alarms/{alarm}/journal?limit=1").json()["items"][0]
        assert (entry["event"], entry["from_state"], entry["to_state"]) == (command.value, state.value, expected.value)
        assert entry["actor"].startswith("api-key:")
        assert entry["reason"] == "test"


def test_every_step_of_an_operator_was_tried() -> None:
    tried = {(state, command) for _, state, _, _ in situations() for command in COMMANDS}
    assert {(rule.state, rule.event) for rule in TRANSITIONS if rule.event in COMMANDS} <= tried


def test_acknowledging_keeps_who_and_when(a: httpx2.Client, world: World) -> None:
    alarm = bring(world, a, [AlarmEvent.RAISED], False)
    done = a.post(f"/v1/alarms/{alarm}/acknowledge").json()["alarm"]
    assert done["acknowledged_by"].startswith("api-key:")
    assert datetime.fromisoformat(done["acknowledged_at"]) > datetime.now(UTC) - timedelta(minutes=1)


def test_a_shelf_ends_by_itself_and_the_alarm_speaks_again(a: httpx2.Client, world: World) -> None:
    alarm = bring(world, a, [AlarmEvent.RAISED, AlarmEvent.ACKNOWLEDGE], False)
    until = (datetime.now(UTC) + timedelta(seconds=0.6)).isoformat()
    shelved = a.post(f"/v1/alarms/{alarm}/shelve", json={"reason": "known", "until": until}).json()["alarm"]
    assert shelved["shelf"]["reason"] == "known"
    deadline = time.monotonic() + 10
    while a.get(f"/v1/alarms/{alarm}").json()["state"] == "shelved":
        assert time.monotonic() < deadline, "the shelf did not end"
        time.sleep(0.05)
    after = a.get(f"/v1/alarms/{alarm}").json()
    assert (after["state"], after["shelf"]) == ("unacknowledged", None)
    newest = a.get(f"/v1/alarms/{alarm}/journal?limit=1").json()["items"][0]
    assert (newest["event"], newest["actor"], newest["announced"]) == ("shelf_expired", "timer", True)


def test_consequences_stand_under_their_first_out(a: httpx2.Client, world: World) -> None:
    first = "bearing/trip/first"
    world.transition(world.a.equipment, first, "raised", next(CLOCK), priority="urgent")
    for n in range(3):
        world.transition(world.a.equipment, f"seal/trip/{n}", "raised", next(CLOCK), first_out=first, announce=False)
    grouped = a.get("/v1/alarms?grouped=true&priority=urgent").json()["items"]
    (flood,) = [alarm for alarm in grouped if alarm["condition"] == first]
    assert [c["condition"] for c in flood["consequences"]] == [f"seal/trip/{n}" for n in range(3)]
    consequence = a.get(f"/v1/alarms/{flood['consequences'][0]['id']}").json()
    assert consequence["first_out_id"] == flood["id"]
    assert all(alarm["first_out_id"] for alarm in a.get("/v1/alarms?grouped=false").json()["items"])


def test_filters_and_pages_of_alarms(a: httpx2.Client, world: World) -> None:
    for _ in range(3):
        bring(world, a, [AlarmEvent.RAISED], False)
    everything = a.get("/v1/alarms?limit=1000").json()["items"]
    seen, cursor = [], None
    while True:
        page = a.get("/v1/alarms", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [x["id"] for x in seen] == [x["id"] for x in everything]
    assert {x["state"] for x in a.get("/v1/alarms?state=unacknowledged").json()["items"]} == {"unacknowledged"}
    assert {x["priority"] for x in a.get("/v1/alarms?priority=high&priority=low").json()["items"]} <= {"high", "low"}
    assert all(x["state"] != "normal" for x in a.get("/v1/alarms?standing=true").json()["items"])
    assert a.get("/v1/alarms?equipment=P-2").json()["items"] == []
    assert a.get("/v1/alarms?concern=instrument").json()["items"] == []


def test_who_may_only_read_a_machine_cannot_silence_it(api: Running, world: World) -> None:
    world.transition(world.a.pending, "seal/leakage/high", "raised", next(CLOCK))
    alarm = world.alarm_id(world.a.pending, "seal/leakage/high")
    with api.client(world.partner.keys["all"]) as partner:
        assert partner.get(f"/v1/alarms/{alarm}").status_code == 200
        assert partner.post(f"/v1/alarms/{alarm}/acknowledge").status_code == 403
    with api.client(world.a.keys["operate"]) as operator:
        assert operator.post(f"/v1/alarms/{alarm}/acknowledge").status_code == 200
