"""Published and acknowledged means stored: over restarts, kills, and an ingest that is away."""

from __future__ import annotations

import random
import signal
import time

import orjson
import pytest

from tests.integration.ingest.conftest import POINTS, System, readings
from tests.support.conservation import accounted

pytestmark = pytest.mark.integration


def frames(count: int, rigs: int = 4, start_ms: int | None = None) -> list[tuple[str, bytes]]:
    """``count`` messages of all points in turn by the rigs, a millisecond apart, numbered per rig."""
    start = start_ms or int(time.time() * 1000) - count
    rng = random.Random(count)
    made = []
    for number in range(count):
        values = {f"p{n}": rng.uniform(-1e3, 1e3) for n in range(POINTS)}
        message = {"ts": start + number, "seq": number // rigs, "values": values}
        made.append((f"servitize/v1/acme/rig-{number % rigs}/telemetry", orjson.dumps(message)))
    return made


def expected(messages: list[tuple[str, bytes]]) -> list[tuple[str, str, int, float, int]]:
    rows = []
    for topic, payload in messages:
        message = orjson.loads(payload)
        rig = topic.split("/")[3]
        rows += [(rig, name, message["ts"] * 1000, value, 192) for name, value in message["values"].items()]
    return sorted(rows)


def test_what_is_published_is_stored_and_counted(system: System) -> None:
    process = system.start()
    messages = frames(400)
    with system.publisher() as publisher:
        for topic, payload in messages:
            publisher.publish(topic, payload)
        publisher.drain()
    system.settle(lambda: system.one("SELECT count(*) FROM servitize.reading") == 400 * POINTS)
    assert system.stop(process) == 0, system.log()
    assert readings(system) == expected(messages)
    counts = system.counts()
    assert counts["ingest.messages"] == 400
    assert not accounted(counts)


def test_an_ingest_that_was_away_finds_everything_waiting(system: System) -> None:
    assert system.stop(system.start()) == 0, system.log()
    messages = frames(300)
    with system.publisher() as publisher:
        for topic, payload in messages:
            publisher.publish(topic, payload)
        publisher.drain()
    process = system.start()
    system.settle(lambda: system.one("SELECT count(*) FROM servitize.reading") == 300 * POINTS)
    system.stop(process)
    assert readings(system) == expected(messages)


@pytest.mark.slow
def test_killed_while_devices_publish_it_loses_nothing(system: System) -> None:
    process = system.start()
    messages = frames(6_000)
    kills = {1_000, 2_200, 4_000}
    with system.publisher() as publisher:
        for number, (topic, payload) in enumerate(messages):
            if number in kills:
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = system.start()
            publisher.publish(topic, payload)
            time.sleep(0.0003)
        publisher.drain()
    system.settle(lambda: system.one("SELECT count(*) FROM servitize.reading") == 6_000 * POINTS)
    assert system.stop(process) == 0, system.log()
    assert readings(system) == expected(messages)
    assert not system.all("SELECT reason FROM servitize.dead_letter")
    # a message that came again after a kill is a duplicate and no reading; numbers that came twice are no gap
    counts = system.counts()
    assert counts["ingest.readings"] >= 6_000 * POINTS
    assert not accounted(counts)
    assert not system.all("SELECT body FROM servitize.event WHERE kind = 'sequence_gap'")


def test_terminated_it_leaves_its_stream_in_order(system: System) -> None:
    process = system.start()
    with system.publisher() as publisher:
        for topic, payload in frames(200):
            publisher.publish(topic, payload)
        publisher.drain()
    assert system.stop(process, signal.SIGINT) == 0, system.log()
    (position,) = system.all("SELECT next_offset FROM servitize.stream_position WHERE stream = 'embedded'")
    assert system.one('SELECT "offset" FROM servitize.stream_snapshot') == position[0] - 1
    assert system.one("SELECT count(*) FROM servitize.stream_journal") == 0


def test_of_two_the_second_takes_the_stream_and_the_first_ends(system: System) -> None:
    first = system.start()
    second = System(system.dsn, system.mqtt_as(f"{system.mqtt.client_id}-other"), system.folder, system.processes)
    process = second.start()
    with system.publisher() as publisher:
        publisher.publish(*frames(1)[0])
        publisher.drain()
    assert first.wait(30) == 3, system.log()
    system.settle(lambda: system.one("SELECT count(*) FROM servitize.reading") == POINTS)
    assert readings(system)
    system.stop(process)
