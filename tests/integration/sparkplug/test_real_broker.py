"""Edge nodes on a real broker, the ingest process beside them, and what the database then holds."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from core import quality as q
from formats.sparkplug.datatypes import DataType
from formats.sparkplug.encode import Value
from storage import admin
from tests.integration.ingest.conftest import System, readings
from tests.integration.sparkplug.conftest import LiveNode, until
from tests.unit.sparkplug.edge import SECOND, EdgeNode, Sent, by_alias

pytestmark = pytest.mark.integration

Keep = Callable[[LiveNode], LiveNode]
PROFILE = {
    "profile": "plant",
    "type": "rig",
    "sparkplug": {"group": "plant", "metrics": [{"metric": "Pressure/Main", "point": "p0", "unit": "kPa"}]},
}


def now() -> int:
    """This moment in whole milliseconds, as Sparkplug writes it, and never twice the same; µs."""
    time.sleep(0.002)
    return time.time_ns() // 1_000_000 * 1000


def births(node: EdgeNode) -> list[Sent]:
    ts = now()
    metrics = [Value(100.0, name="Pressure/Main", alias=1), Value(7, DataType.INT16, "p1", 2)]
    return [node.nbirth(ts), node.dbirth("rig-0", ts, metrics), node.dbirth("rig-1", ts, metrics)]


@pytest.fixture
def plant(system: System) -> System:
    """The system with the group mapped, started and subscribed."""
    with psycopg.connect(system.dsn) as connection:
        tenant = admin.tenant_id(connection, "acme")
        assert tenant is not None
        admin.put_profile(connection, tenant, "plant", PROFILE)
    system.start()
    until(lambda: (state(system) or {}).get("online"))
    return system


def state(system: System) -> dict[str, Any] | None:
    """What stands retained under the host's id."""
    found: list[bytes] = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"look-{time.monotonic_ns()}")
    client.username_pw_set(system.mqtt.username, system.mqtt.password)
    client.on_message = lambda _c, _u, message: found.append(bytes(message.payload))
    client.connect(system.mqtt.host, system.mqtt.port)
    client.subscribe("spBv1.0/STATE/servitize", qos=1)
    client.loop_start()
    end = time.monotonic() + 0.5
    while not found and time.monotonic() < end:
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()
    return json.loads(found[0]) if found else None


def stored(system: System, equipment: str, point: str) -> list[tuple[int, float, int]]:
    return [(ts, value, grade) for e, p, ts, value, grade in readings(system) if (e, p) == (equipment, point)]


def test_births_and_data_are_stored_under_the_profile_s_names_and_units(plant: System, live: Keep) -> None:
    node = live(LiveNode(plant.mqtt, EdgeNode(), births))
    node.birth()
    ts = now()
    node.send(node.node.ddata("rig-0", ts, [by_alias(1, 250.0), by_alias(2, -3, DataType.INT16)]))
    until(lambda: len(stored(plant, "rig-0", "p1")) == 2)
    assert [value for _, value, _ in stored(plant, "rig-0", "p0")] == pytest.approx([1.0, 2.5])
    assert stored(plant, "rig-0", "p1")[-1] == (ts, -3.0, q.GOOD)
    assert plant.one("SELECT count(*) FROM servitize.dead_letter") == 0


def test_a_vanished_node_s_values_go_stale_and_come_back_with_its_birth(plant: System, live: Keep) -> None:
    node = live(LiveNode(plant.mqtt, EdgeNode(), births))
    node.birth()
    until(lambda: stored(plant, "rig-0", "p0"))
    node.vanish()
    until(lambda: stored(plant, "rig-0", "p0")[-1][2] == q.BAD | q.DEVICE)
    events = plant.all("SELECT body->>'state' FROM servitize.event WHERE kind = 'connection' ORDER BY ts")
    assert ("offline",) in events
    again = live(LiveNode(plant.mqtt, EdgeNode(bdseq=1), births))
    again.birth()
    until(lambda: stored(plant, "rig-0", "p0")[-1][2] == q.GOOD)


def test_a_gap_is_recorded_and_repaired_by_a_rebirth(plant: System, live: Keep) -> None:
    node = live(LiveNode(plant.mqtt, EdgeNode(), births))
    node.birth()
    node.node.ddata("rig-0", now(), [by_alias(1, 1.0)])  # lost on the way
    node.send(node.node.ddata("rig-0", now(), [by_alias(1, 300.0)]))
    until(lambda: node.rebirths == 1)
    until(lambda: plant.all("SELECT 1 FROM servitize.event WHERE kind = 'sequence_gap'"))
    until(lambda: stored(plant, "rig-0", "p0")[-1][1:] == (1.0, q.GOOD))
    assert 3.0 in [value for _, value, _ in stored(plant, "rig-0", "p0")]


def test_a_node_that_was_there_before_us_is_asked_for_its_birth(plant: System, live: Keep) -> None:
    node = live(LiveNode(plant.mqtt, EdgeNode(), births))
    births(node.node)  # before our time
    node.send(node.node.ddata("rig-0", now(), [by_alias(1, 1.0)]))
    until(lambda: node.rebirths == 1)
    until(lambda: stored(plant, "rig-0", "p0"))
    assert plant.all("SELECT reason FROM servitize.dead_letter") == [("no-birth",)]


def test_history_is_stored_and_says_so(plant: System, live: Keep) -> None:
    node = live(LiveNode(plant.mqtt, EdgeNode(), births))
    node.birth()
    ts = now()
    history = [by_alias(1, 100.0 * k, ts=ts - k * 60 * SECOND, historical=True) for k in range(1, 20)]
    node.send(node.node.ddata("rig-0", ts, history))
    until(lambda: len(stored(plant, "rig-0", "p0")) >= 20)
    marked = plant.one(
        "SELECT count(*) FROM servitize.reading r JOIN servitize.point p ON p.id = r.point_id"
        " WHERE p.key = 'p0' AND r.quality::int & 1 = 1"
    )
    assert marked == 19
    assert plant.one("SELECT count(*) FROM servitize.condition_transition") == 0


def test_the_host_says_offline_when_it_stops_and_its_will_when_it_is_killed(plant: System) -> None:
    first = state(plant)
    assert first is not None
    plant.stop(plant.processes[-1])
    until(lambda: (state(plant) or {}).get("online") is False)
    second = plant.start()
    until(lambda: (state(plant) or {}).get("online"))
    newer = state(plant)
    assert newer is not None
    assert newer["timestamp"] > first["timestamp"]
    second.kill()
    second.wait()
    until(lambda: (state(plant) or {}).get("online") is False)
    dead = state(plant)
    assert dead is not None
    assert dead["timestamp"] == newer["timestamp"]


def test_a_hostile_node_changes_nothing_for_its_neighbours(plant: System, live: Keep) -> None:
    """The same neighbour beside a quiet and beside a hostile node: the same readings, no refusals of its own."""
    good = live(LiveNode(plant.mqtt, EdgeNode(), births))
    evil = live(LiveNode(plant.mqtt, EdgeNode(node="evil"), births))
    good.birth()
    rng = random.Random(7)
    base, expected = now(), []
    for k in range(200):
        ts = base + (k + 1) * 1000
        good.send(good.node.ddata("rig-1", ts, [by_alias(2, k, DataType.INT16)]))
        expected.append((ts, float(k), q.GOOD))
        evil.send(*mischief(evil.node, rng))
    until(lambda: len(stored(plant, "rig-1", "p1")) >= 201)
    assert [row for row in stored(plant, "rig-1", "p1") if row[0] > base] == expected
    assert good.rebirths == 0
    assert plant.processes[-1].poll() is None


def mischief(node: EdgeNode, rng: random.Random) -> list[Sent]:
    good = [replace(v, described=True) for v in (Value(1.0, name="p2", alias=1), Value(2.0, name="p3", alias=1))]
    return [
        rng.choice(
            [
                node.nbirth(now()),
                node.dbirth("rig-2", now(), good),
                (node.topic("DDATA", "rig-2"), rng.randbytes(rng.randrange(400))),
                (node.topic("NDATA"), b"\x12\x00" * 30_000),
                (node.topic("DBIRTH", f"x{rng.randrange(10**6)}"), node.dbirth("x", now(), good)[1]),
                node.ndeath(bdseq=rng.randrange(5)),
                node.ddata("rig-2", 2**55, [by_alias(1, 1.0)]),
                node.ddata("rig-1", now(), [by_alias(2, 9.0)]),
                (f"spBv1.0/plant/NOISE/{rng.randrange(9)}", b""),
            ]
        )
    ]
