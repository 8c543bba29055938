"""Server-sent events: by number, from where the client was, of what the tenant may see, and no more."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import httpx2
import psycopg
import pytest

from core.time import SECOND
from services.api.settings import ApiSettings
from tests.integration.api.conftest import T0, Running, World, serving
from tests.integration.api.test_isolation import is_problem

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]


class Events:
    """What comes out of one stream."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._lines = answer.iter_lines()
        self.comments = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        fields: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(":"):
                self.comments += 1
                yield {"event": "comment"}
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                yield {"event": fields["event"], "id": int(fields["id"]), "data": json.loads(fields["data"])}
                fields = {}


@contextmanager
def streaming(api: Running, key: str, last: int | None = None, **query: Any) -> Iterator[Events]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with api.client(key) as client, client.stream("GET", "/v1/stream", headers=headers, params=query) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer)


def say(world: World, party_id: int, equipment: int | None, number: int) -> None:
    world.execute(
        "INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload) VALUES (%s, %s, 'test', %s)",
        [party_id, equipment, json.dumps({"n": number})],
    )


def test_an_alarm_arrives_within_a_moment(api: Running, world: World) -> None:
    with streaming(api, world.a.keys["read"]) as events:
        stream = iter(events)
        assert next(stream)["event"] == "ready"
        began = time.monotonic()
        world.transition(world.a.equipment, "seal/leakage/high", "raised", T0 + 5000 * SECOND)
        event = next(e for e in stream if e["event"] == "alarm")  # what alarms of before called for may come between
        assert time.monotonic() - began < 2
    assert event["id"] == event["data"]["seq"]
    assert event["data"]["payload"]["equipment"] == "P-1"
    assert event["data"]["at"].endswith("Z")


def test_resuming_by_id_neither_skips_nor_repeats_while_others_commit(api: Running, world: World) -> None:
    """Six writers commit out of order; the client is cut off after every few events and resumes by the last id it
    saw."""
    each, writers = 50, 6
    start = world.execute("SELECT servitize.sequence_outbox()")[0][0]

    def write(writer: int) -> None:
        with psycopg.connect(world.writer_dsn) as connection:
            for n in range(each):
                connection.execute(
                    b"INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)"
                    b" VALUES (%s, %s, 'test', %s)",
                    [world.a.id, world.a.equipment, json.dumps({"n": writer * each + n})],
                )
                if n % 5 == writer % 5:
                    time.sleep(0.01)  # its earlier rows stay unseen while others commit later ones
                    connection.commit()

    threads = [threading.Thread(target=write, args=(w,)) for w in range(writers)]
    for thread in threads:
        thread.start()
    got: list[int] = []
    ids: list[int] = [start]
    deadline = time.monotonic() + 60
    while len(got) < each * writers and time.monotonic() < deadline:
        with streaming(api, world.a.keys["read"], last=ids[-1]) as events:
            taken = 0
            for event in events:
                if event["event"] == "ready":
                    assert event["id"] == ids[-1]
                elif event["event"] == "test":
                    got.append(event["data"]["payload"]["n"])
                    ids.append(event["id"])
                    taken += 1
                if taken == 23 or len(got) == each * writers:
                    break
    for thread in threads:
        thread.join()
    assert sorted(got) == list(range(each * writers))
    assert ids == sorted(set(ids))


def test_a_stream_holds_only_what_its_tenant_sees(api: Running, world: World) -> None:
    with streaming(api, world.a.keys["read"]) as of_a, streaming(api, world.partner.keys["read"]) as of_partner:
        streams = iter(of_a), iter(of_partner)
        for stream in streams:
            assert next(stream)["event"] == "ready"
        say(world, world.b.id, world.b.equipment, 1)
        say(world, world.b.id, None, 2)
        say(world, world.a.id, world.a.equipment, 3)
        say(world, world.a.id, None, 4)
        say(world, world.a.id, world.a.pending, 5)  # granted to the partner
        seen = [
            [e["data"]["payload"]["n"] for e in islice((e for e in stream if e["event"] == "test"), n)]
            for stream, n in zip(streams, (3, 1), strict=True)
        ]
    assert seen == [[3, 4, 5], [5]]


def test_silence_is_filled_so_that_nobody_hangs_up(api: Running, world: World) -> None:
    with streaming(api, world.partner.keys["read"]) as events:
        kinds = [event["event"] for event in islice(events, 3)]
    assert kinds == ["ready", "comment", "comment"]


def test_a_client_told_what_is_no_longer_kept(api: Running, world: World) -> None:
    for n in range(10):
        say(world, world.a.id, world.a.equipment, n)
    head = world.execute("SELECT servitize.sequence_outbox()")[0][0]
    world.execute("DELETE FROM servitize.outbox WHERE seq <= %s", [head - 3])
    with streaming(api, world.a.keys["read"], after=0) as events:
        taken = list(islice(events, 5))
    assert [e["event"] for e in taken] == ["ready", "gap", "test", "test", "test"]
    assert taken[1]["data"] == {"from": 1, "to": head - 3}
    assert [e["id"] for e in taken[2:]] == [head - 2, head - 1, head]


def test_a_number_from_the_future_begins_now(api: Running, world: World) -> None:
    head = world.execute("SELECT servitize.sequence_outbox()")[0][0]
    with streaming(api, world.a.keys["read"], last=head + 1_000_000) as events:
        assert next(iter(events)) == {"event": "ready", "id": head, "data": {"seq": head}}


def test_a_lost_key_ends_the_stream(api: Running, world: World) -> None:
    key = world.a.keys["operate"].split("_")[1]
    world.as_owner("UPDATE servitize.api_key SET scopes = '{read}' WHERE prefix = %s", [key])
    with streaming(api, world.a.keys["operate"]) as events:
        stream = iter(events)
        next(stream)
        world.as_owner("UPDATE servitize.api_key SET revoked_at = now() WHERE prefix = %s", [key])
        began = time.monotonic()
        assert {event["event"] for event in stream} <= {"comment", "test"}
        assert time.monotonic() - began < 10


def test_what_is_no_event_id_is_refused(api: Running, world: World) -> None:
    with api.client(world.a.keys["read"]) as client:
        for wrong in ("abc", "-1", "99999999999999999999"):
            is_problem(client.get("/v1/stream", headers={"Last-Event-ID": wrong}), 422)


def test_too_many_streams_are_refused_and_ended_ones_forgotten(world: World) -> None:
    with serving(ApiSettings(world.api_dsn, heartbeat=0.5, streams_per_tenant=2)) as api:
        with streaming(api, world.a.keys["read"]) as one, streaming(api, world.a.keys["read"]) as two:
            next(iter(one)), next(iter(two))
            with api.client(world.a.keys["read"]) as client:
                is_problem(client.get("/v1/stream"), 429)
            with streaming(api, world.b.keys["read"]) as other:
                assert next(iter(other))["event"] == "ready"
        deadline = time.monotonic() + 10
        while True:
            with api.client(world.a.keys["read"]) as client, client.stream("GET", "/v1/stream") as answer:
                if answer.status_code == 200:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_the_service_ends_though_streams_are_open(world: World) -> None:
    settings = ApiSettings(world.api_dsn, grace=2)
    with serving(settings) as api, streaming(api, world.a.keys["read"]) as events:
        stream = iter(events)
        next(stream)
        began = time.monotonic()
        api.server.say_goodbye()
        api.server.should_exit = True
        assert [e for e in stream if e["event"] not in ("comment", "test")] == []
        assert time.monotonic() - began < 2


def test_numbers_go_on_after_a_restart(world: World) -> None:
    with serving(ApiSettings(world.api_dsn)) as api, streaming(api, world.a.keys["read"]) as events:
        first = next(iter(events))["id"]
    say(world, world.a.id, world.a.equipment, 77)
    with serving(ApiSettings(world.api_dsn)) as api, streaming(api, world.a.keys["read"], last=first) as events:
        stream = iter(events)
        assert next(stream)["event"] == "ready"
        assert next(stream)["data"]["payload"] == {"n": 77}
