"""A real API (uvicorn) on a real PostgreSQL, with two organisations that know nothing of each other and a third with
grants."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi import FastAPI

from core.equipment import ComponentDef, EquipmentType, PointDef
from core.time import MINUTE, SECOND, to_datetime
from runtime.local.postgres import LocalPostgres
from services.api.access import ROLES, Scope
from services.api.server import Server, make_server
from services.api.settings import ApiSettings
from storage import admin
from storage.migrate import API, WRITER, migrate
from tests.conftest import Database, DatabaseFactory
from tests.support.logins import PASSWORDS

T0 = 1_780_000_000 * SECOND
"""2026-05-28T20:26:40Z: when the story of the test machines begins."""


DEVICE_MASTER = "a secret of the installation"


def parse_type(document: Mapping[str, Any]) -> EquipmentType:
    """The few keys of a type that these tests use."""
    return EquipmentType(
        key=document["type"],
        name=document["name"],
        components=tuple(ComponentDef(key=key, name=key.title()) for key in document["components"]),
        points=tuple(PointDef(key=key, component=component, unit=unit) for key, component, unit in document["points"]),
    )


PUMP: dict[str, Any] = {
    "type": "pump",
    "name": "Pump",
    "components": ["bearing", "seal"],
    "points": [["vibration", "bearing", "mm/s"], ["leakage", "seal", "L/h"]],
}


@dataclass
class Party:
    """One organisation of the tests: its keys by scope set and role (``role:viewer``), and the numbers of its own."""

    id: int
    slug: str
    keys: dict[str, str] = field(default_factory=dict)
    equipment: int = 0
    pending: int = 0
    point: int = 0
    alarm: int = 0
    dead_letter: int = 0
    grant: int = 0
    device: int = 0


@dataclass
class World:
    """The database and who is in it."""

    owner_dsn: str
    writer_dsn: str
    api_dsn: str
    a: Party
    b: Party
    partner: Party

    def execute(self, sql: str, parameters: Any = None) -> list[Any]:
        """As the platform (writer role), committed."""
        with psycopg.connect(self.writer_dsn) as connection:
            cursor = connection.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def as_owner(self, sql: str, parameters: Any = None) -> list[Any]:
        with psycopg.connect(self.owner_dsn) as connection:
            connection.execute(b"SET ROLE servitize_owner")
            cursor = connection.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def transition(self, equipment: int, condition: str, change: str, at: int, **more: Any) -> None:
        """What a processor would say."""
        said = {
            "equipment_id": equipment,
            "component": condition.split("/")[0],
            "condition": condition,
            "change": change,
            "at": at,
            "priority": "high",
            "concern": "machine",
            "title": f"{condition} is {change}",
            **more,
        }
        self.execute("SELECT servitize.apply_transitions(%s)", [json.dumps([said])])

    def alarm_id(self, equipment: int, condition: str) -> int:
        rows = self.execute(
            "SELECT id FROM servitize.alarm WHERE equipment_id = %s AND condition = %s", [equipment, condition]
        )
        return int(rows[0][0])


def _party(connection: psycopg.Connection[Any], slug: str) -> Party:
    party = Party(admin.create_tenant(connection, slug, slug.title()), slug)
    plain: dict[str, list[str]] = {"all": list(Scope), "read": ["read"], "operate": ["operate"], "none": []}
    for name, scopes in plain.items():
        party.keys[name] = admin.create_api_key(connection, party.id, f"{slug} {name}", scopes=scopes).text
    for role, granted in ROLES.items():
        key = admin.create_api_key(connection, party.id, f"{slug} {role}", scopes=sorted(granted), role=role)
        party.keys[f"role:{role}"] = key.text
    return party


def _machine(connection: psycopg.Connection[Any], party: Party) -> None:
    """The same machine for each: nothing but whose it is tells them apart."""
    type_ = parse_type(PUMP)
    site = admin.create_site(connection, party.id, "works", f"Works of {party.slug}")
    party.equipment = admin.create_equipment(
        connection, party.id, "P-1", type_, name=f"Pump of {party.slug}", site_id=site
    )
    party.pending = admin.create_equipment(connection, party.id, "P-2", type_)
    party.device = admin.create_device(
        connection, party.id, party.equipment, f"{party.slug}-P-1", f"{party.slug}-P-1", "x" * 32
    )
    row = connection.execute(
        b"SELECT id FROM servitize.point WHERE equipment_id = %s AND key = 'vibration'", [party.equipment]
    ).fetchone()
    assert row is not None
    party.point = row[0]


def _story(world: World, party: Party) -> None:
    """A thousand readings a second apart with one spike and a gap of ten minutes, an event, a refusal, an alarm."""
    world.execute("SELECT servitize.ensure_partitions(%s, %s)", [to_datetime(T0), to_datetime(T0 + 3600 * SECOND)])
    with psycopg.connect(world.writer_dsn) as connection, connection.cursor() as cursor:
        rows = []
        for n in range(1000):
            at = to_datetime(T0 + n * SECOND + (10 * MINUTE if n >= 500 else 0))
            value, quality = (99.0, 192) if n == 321 else (float("nan"), 16) if n == 700 else (n / 1000, 192)
            rows.append([party.point, at, value, quality, at])
        # in one go: a thousand turns on a busy machine are minutes
        cursor.executemany(b"INSERT INTO servitize.reading VALUES (%s, %s, %s, %s, %s)", rows)
        cursor.execute(
            b"INSERT INTO servitize.latest_reading VALUES (%s, %s, %s, %s, %s)", [party.point, at, 0.999, 192, at]
        )
        cursor.execute(
            b"INSERT INTO servitize.event VALUES (%s, 'maintenance', %s, %s, %s, %s)",
            [party.equipment, at, party.slug.encode(), json.dumps({"text": "oil changed"}), at],
        )
        cursor.execute(b"INSERT INTO servitize.state_change VALUES (%s, %s, 'running')", [party.equipment, at])
        cursor.execute(
            b"INSERT INTO servitize.dead_letter (hash, tenant_id, equipment_id, topic, payload, payload_bytes, reason,"
            b" detail, first_received_at, last_received_at)"
            b" VALUES (%s, %s, %s, 't', %s, 4, 'not-json', 'no JSON', %s, %s) RETURNING id",
            [party.slug.encode(), party.id, party.equipment, b"{{{{", at, at],
        )
        row = cursor.fetchone()
        assert row is not None
        party.dead_letter = row[0]
        cursor.execute(
            b"INSERT INTO servitize.intake_tally VALUES (%(e)s, 'refused.not-json', 1, 1, %(at)s),"
            b" (%(e)s, 'sequence_gap', 2, 15, %(at)s)",
            {"e": party.equipment, "at": at},
        )
        reason = [
            {
                "condition": "bearing/vibration/high",
                "text": "vibration 99 over 7.1",
                "takes": 30,
                "failure_mode": "wear",
            }
        ]
        for component, index in (("", 85.0), ("bearing", 70.0)):
            said = {
                "equipment_id": party.equipment,
                "component": component,
                "at": T0,
                "index": index,
                "reasons": reason,
            }
            cursor.execute(b"SELECT servitize.record_health(%s)", [json.dumps([said])])
    world.transition(
        party.equipment, "bearing/vibration/high", "raised", T0 + 321 * SECOND, point="vibration", value=99.0, limit=7.1
    )
    party.alarm = world.alarm_id(party.equipment, "bearing/vibration/high")


@pytest.fixture(scope="session")
def api_template(postgres: LocalPostgres, database_factory: DatabaseFactory) -> Database:
    """A migrated database with nobody in it."""
    database = database_factory()
    migrate(database.dsn, PASSWORDS)
    return database


def make_world(postgres: LocalPostgres, database: Database) -> World:
    with psycopg.connect(database.dsn) as connection:
        connection.execute(b"SET ROLE servitize_owner")
        a, b, partner = (_party(connection, slug) for slug in ("anvil", "brook", "partner"))
        admin.publish_type(connection, parse_type(PUMP), PUMP)
        for party in (a, b):
            _machine(connection, party)
        for party in (a, b):
            party.grant = admin.grant_equipment(connection, party.pending, partner.id, "read")
        connection.execute(b"UPDATE servitize.equipment SET status = 'pending' WHERE key = 'P-2'")
    world = World(database.dsn, postgres.dsn(WRITER, database.name), postgres.dsn(API, database.name), a, b, partner)
    for party in (a, b):
        _story(world, party)
    return world


@pytest.fixture(scope="module")
def world(postgres: LocalPostgres, database_factory: DatabaseFactory, api_template: Database) -> Iterator[World]:
    """Two organisations with a machine each, and a partner who may read one more of each."""
    database = database_factory(api_template.name)
    yield make_world(postgres, database)
    postgres.drop_database(database.name)


@dataclass
class Running:
    """A served API: ``url``, and clients that carry a key."""

    url: str
    server: Server
    clients: dict[str | None, httpx2.Client] = field(default_factory=dict)

    def known(self, key: str | None) -> httpx2.Client:
        """A client that is kept: making one costs more than a request does."""
        if key not in self.clients:
            self.clients[key] = self.client(key)
        return self.clients[key]

    def client(self, key: str | None) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=20)


@contextmanager
def serving(
    settings: ApiSettings,
    mount: Callable[[FastAPI], None] | None = None,
    parse: Callable[[Mapping[str, Any]], EquipmentType] = parse_type,
) -> Iterator[Running]:
    """Serve on a free port of loopback until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = make_server(settings, parse, mount)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the server ended before it began"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        try:
            running = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", server)
            yield running
            for client in running.clients.values():
                client.close()
        finally:
            server.say_goodbye()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive(), "the server did not end"


@pytest.fixture(scope="module")
def api(world: World) -> Iterator[Running]:
    """One API for the tests of a module."""
    with serving(ApiSettings(world.api_dsn, heartbeat=1.0, shelf_interval=0.1, device_master=DEVICE_MASTER)) as running:
        yield running


@pytest.fixture
def a(world: World, api: Running) -> Iterator[httpx2.Client]:
    """Organisation A, with every scope."""
    with api.client(world.a.keys["all"]) as client:
        yield client
