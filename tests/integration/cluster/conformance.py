"""Both hosts beside each other: one broker, the same messages, two databases that begin as the same one; then the
tables are compared."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from core.time import HOUR, MINUTE, SECOND
from ingest.routes import STATUS_TOPIC
from models.types import catalog, to_document
from runtime.demo.fleet import TENANT, DemoFleet, clock_message
from runtime.demo.plan import TYPES, PlannedFault, Segment
from storage import admin
from storage.migrate import WRITER
from tests.support.cluster import REPOSITORY, Cluster
from tests.support.logins import PASSWORDS
from workbench.replay.publisher import last_retained

START = 1_770_026_400 * SECOND
"""2026-02-02T10:00:00Z: the train is in service."""
TOLERANCE = 1e-9
"""Relative, of floats: sums are taken in another order where a stream is cut otherwise."""

TABLES = {
    "reading": "SELECT point_id, servitize.to_us(ts), quality, value FROM servitize.reading",
    "latest_reading": "SELECT point_id, servitize.to_us(ts), quality, value FROM servitize.latest_reading",
    "event": "SELECT equipment_id, kind, servitize.to_us(ts), body::text FROM servitize.event",
    "state_change": "SELECT equipment_id, servitize.to_us(at), state FROM servitize.state_change",
    "condition_transition": (
        "SELECT equipment_id, condition, servitize.to_us(at), change, component, priority, concern, point,"
        " failure_mode, first_out, announce, late, consequence, action, title, value,"
        ' "limit" FROM servitize.condition_transition'
    ),
    "alarm": (
        "SELECT equipment_id, condition, component, state, active, priority, concern, first_out, occurrences,"
        " servitize.to_us(raised_at), servitize.to_us(cleared_at), title, value FROM servitize.alarm"
    ),
    "alarm_journal": (
        "SELECT equipment_id, condition, servitize.to_us(at), event, from_state, to_state, active, announced, late,"
        " first_out, priority, value FROM servitize.alarm_journal"
    ),
    "health": "SELECT equipment_id, component, servitize.to_us(at), index FROM servitize.health",
    "health_history": "SELECT equipment_id, component, servitize.to_us(at), index FROM servitize.health_history",
    "dead_letter": "SELECT tenant_id, equipment_id, topic, reason, payload, detail, count, readings"
    " FROM servitize.dead_letter",
    "conservation": (
        "SELECT name, sum(count)::bigint FROM servitize.conservation"
        " WHERE (name LIKE 'ingest.%' AND name <> 'ingest.own') OR name LIKE 'storage.%'"
        " OR name IN ('core.readings_in', 'core.late', 'core.bad', 'core.derived', 'core.transitions') GROUP BY name"
    ),
    "outbox": (
        "SELECT tenant_id, equipment_id, kind, payload->>'condition', payload->>'event', payload->>'to_state', count(*)"
        " FROM servitize.outbox GROUP BY 1, 2, 3, 4, 5, 6"
    ),
}  # fmt: skip
"""All that both hosts must agree on: everything but time of receipt, positions, and numbers of rows."""


@dataclass
class Both:
    """``cluster`` and the database of the embedded host, served by the same broker."""

    cluster: Cluster
    embedded: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def databases(self) -> tuple[str, str]:
        return self.embedded, self.cluster.dsn

    def register(self, what: Any) -> None:
        """Do the same to both databases."""
        for dsn in self.databases:
            with psycopg.connect(dsn) as connection:
                what(connection)

    @contextmanager
    def running(self, *workers: str) -> Iterator[None]:
        """Both hosts, with all of the registry taken up."""
        self._start_embedded()
        try:
            self.cluster.start("ingest-0", *workers)
            yield
        finally:
            if self.process is not None:
                self.process.terminate()
                self.process.wait(60)
            self.cluster.stop_all()

    def _start_embedded(self) -> None:
        cluster = self.cluster
        mqtt = asdict(cluster.mqtt) | {"client_id": f"{cluster.mqtt.client_id}-embedded"}
        config = cluster.folder / "embedded.json"
        database = make_conninfo(self.embedded, user=WRITER, password=PASSWORDS[WRITER])
        config.write_text(json.dumps({"database": database, "mqtt": mqtt, "snapshot_seconds": 1.0}))
        with (cluster.folder / "embedded.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream_processors.process", "embedded", str(config)],
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
            )
        pid, deadline = self.process.pid, time.monotonic() + 120

        def serves(payload: bytes) -> bool:
            said = json.loads(payload)
            return bool(said["online"]) and said.get("pid") == pid

        while not last_retained(cluster.mqtt_as("watch"), STATUS_TOPIC, serves, 1.0):
            assert self.process.poll() is None, cluster.log("embedded")
            assert time.monotonic() < deadline, cluster.log("embedded")

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> int:
        """To both, over the broker they share; how many."""
        sent = 0
        with self.cluster.publisher("both") as publisher:
            for topic, payload in messages:
                publisher.publish(topic, payload)
                sent += 1
            publisher.drain()
        return sent

    def settle(self, messages: int, seconds: float) -> None:
        """Until both have stored all that came of ``messages``."""
        deadline = time.monotonic() + seconds
        for dsn in self.databases:
            while _messages(dsn) < messages:
                assert time.monotonic() < deadline, (messages, [_messages(d) for d in self.databases])
                time.sleep(0.3)
        self.cluster.drain()


def _messages(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT coalesce(sum(count), 0)::bigint FROM servitize.conservation WHERE name = 'ingest.messages'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def differences(left: str, right: str) -> list[str]:
    """What the two databases do not agree on, in sentences; at most a few per table."""
    found: list[str] = []
    with psycopg.connect(left) as a, psycopg.connect(right) as b:
        for table, query in TABLES.items():
            rows = [sorted(c.execute(query).fetchall(), key=_key) for c in (a, b)]
            found += _compare(table, *rows)
    return found


def sizes(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as connection:
        names = ("reading", "state_change", "condition_transition", "alarm", "health_history", "event")
        return {
            name: int((connection.execute(f"SELECT count(*) FROM servitize.{name}").fetchone() or (0,))[0])
            for name in names
        }


def _key(row: Sequence[Any]) -> tuple[str, ...]:
    return tuple("" if isinstance(cell, float) else str(cell) for cell in row)


def _compare(table: str, left: list[Any], right: list[Any]) -> list[str]:
    if len(left) != len(right):
        only = set(map(_key, left)) ^ set(map(_key, right))
        return [f"{table}: {len(left)} rows and {len(right)}, e.g. {sorted(only)[:4]}"]
    unequal = [(a, b) for a, b in zip(left, right, strict=True) if not _same(a, b)]
    return [f"{table}: {len(unequal)} rows differ, e.g. {a} and {b}" for a, b in unequal[:3]]


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    for x, y in zip(a, b, strict=True):
        if isinstance(x, float) and isinstance(y, float):
            if not (math.isclose(x, y, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(x) and math.isnan(y))):
                return False
        elif x != y:
            return False
    return True


# --- what is played ---------------------------------------------------------------------------------------------------


def install_demo(connection: psycopg.Connection[Any]) -> None:
    """The demonstration's tenant and machines."""
    types = catalog()
    for type_ in types.values():
        admin.publish_type(connection, type_, to_document(type_))
    tenant = admin.create_tenant(connection, TENANT, "Demonstration", publisher_clock=True)
    for key, type_key in TYPES.items():
        admin.create_equipment(connection, tenant, key, types[type_key])


def demo(minutes: float) -> Iterator[tuple[str, bytes]]:
    """The fleet a frame a second, with faults that show within minutes; a clock message after each second, repeats,
    values out of their time, text, and what nobody can read among them."""
    length = round(minutes * MINUTE)
    faults = (
        PlannedFault("K-101", "open_circuit", "process.discharge_temperature", START + length // 10, length // 4),
        PlannedFault("K-102", "wiped_pad", "compressor.journal_de", START + length // 8, length // 3),
        PlannedFault("T-01", "burst_hose", "car1.air_supply", START + length // 6, length // 3),
        PlannedFault("T-01", "hot_box", "car3.axle_box5", START + length // 6, length // 2),
    )
    fleet = DemoFleet(3, Segment(1, START, START + length, 1, faults))
    last, held = START, None
    for number, instant in enumerate(fleet.instants()):
        last = instant.ts
        for topic, payload in instant.messages:
            if number % 97 == 13 and topic.endswith("K-103/telemetry"):
                held = (topic, payload)  # comes four seconds late
                continue
            yield topic, payload
            if number % 50 == 7:
                yield topic, payload
        if held is not None and number % 97 == 17:
            yield held
            held = None
        if number % 101 == 50:
            yield f"servitize/v1/{TENANT}/K-101/telemetry", b"{no json"
            yield f"servitize/v1/{TENANT}/K-999/telemetry", b'{"ts": 1, "values": {"a": 1}}'
            event = {"ts": instant.ts // 1000, "kind": "maintenance", "body": {"text": f"looked at {number}"}}
            yield f"servitize/v1/{TENANT}/K-102/event", json.dumps(event).encode()
        yield clock_message(instant.ts)
    for later in (3, 6, 10, 20):
        yield clock_message(last + later * SECOND)
    yield clock_message(last + HOUR)


def data_folder() -> Path | None:
    """Public recordings, by the convention of the replay tests."""
    from tests.integration.ingest.conftest import data_folder as folder

    return folder()
