"""A database for the board's tests: an organisation with fifty machines of forty points, a year of one point, and
somebody else's machine. Rows are written as the platform writes them, without broker or processing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from core.equipment import ComponentDef, EquipmentType, PointDef
from runtime.local.postgres import LocalPostgres
from storage import admin
from storage.migrate import API, WRITER, ensure_roles, migrate
from storage.queries import load
from tests.conftest import Database

MACHINES: Final = 50
COMPONENTS: Final = 4
POINTS: Final = 40
SPIKE: Final = 99.0
"""The greatest value of the year, ten minutes long."""
_DOCUMENT: Final[dict[str, Any]] = {
    "type": "works-machine",
    "name": "Works machine",
    "components": [{"key": f"part{n}", "name": f"Part {n}"} for n in range(COMPONENTS)],
    "points": [{"key": f"part{n % COMPONENTS}.value{n}", "unit": "Cel"} for n in range(POINTS)],
    "limits": [{"key": "high", "point": "part0.value0", "high": 80.0, "priority": "urgent"}],
}
_TYPE: Final = EquipmentType(
    key="works-machine",
    name="Works machine",
    components=tuple(ComponentDef(key=f"part{n}", name=f"Part {n}", criticality=2) for n in range(COMPONENTS)),
    points=tuple(
        PointDef(key=f"part{n % COMPONENTS}.value{n}", component=f"part{n % COMPONENTS}", unit="Cel")
        for n in range(POINTS)
    ),
)


@dataclass
class World:
    """``keys``: API keys by what they may do. ``stranger``: one of the other organisation."""

    owner_dsn: str
    writer_dsn: str
    api_dsn: str
    machines: list[int]
    theirs: int
    point: int
    keys: dict[str, str]
    stranger: str

    def execute(self, sql: str, parameters: Any = None) -> list[Any]:
        """As the platform (writer role), committed."""
        with psycopg.connect(self.writer_dsn) as connection:
            cursor = connection.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def alarm(self, machine: int, title: str, change: str = "raised", condition: str = "part0/value0/high") -> float:
        """What a processor would say of a machine; the time (``time.time()``) at which it was committed."""
        said = {
            "equipment_id": machine, "component": "part0", "condition": condition, "change": change,
            "at": time.time_ns() // 1000, "priority": "urgent", "concern": "machine", "title": title,
            "point": "part0.value0", "value": 93.5, "limit": 80.0, "consequence": "It stops by itself.",
            "action": "Cool it, then look at the fan.",
        }  # fmt: skip
        self.execute("SELECT servitize.apply_transitions(%s)", [json.dumps([said])])
        return time.time()

    def health(self, machine: int, index: float, reason: str) -> None:
        now = time.time_ns() // 1000
        reasons = [{"condition": "part0/value0/high", "text": reason, "takes": 100 - index, "failure_mode": "wear"}]
        rows = [
            {
                "equipment_id": machine,
                "component": part,
                "at": now,
                "index": index,
                "reasons": reasons,
            }
            for part in ("", "part0")
        ]
        self.execute("SELECT servitize.record_health(%s)", [json.dumps(rows)])

    def tell(self) -> None:
        """A new value of every point of every machine, as a second of telemetry would."""
        self.execute(
            "UPDATE servitize.latest_reading SET ts = now(), received_at = now(), value = 60 + 10 * sin(point_id + "
            "extract(epoch FROM now())) WHERE point_id IN (SELECT p.id FROM servitize.point p "
            "JOIN servitize.equipment e ON e.id = p.equipment_id JOIN servitize.tenant t ON t.id = e.tenant_id "
            "WHERE t.slug = 'works')"
        )

    @contextmanager
    def link(self, key: str) -> Iterator[str]:
        """The word of a link that signs in once."""
        with psycopg.connect(self.owner_dsn) as connection:
            connection.execute("SET ROLE servitize_owner")
            word = admin.create_board_ticket(connection, key.split("_")[1], 60)
        yield word


def make_world(postgres: LocalPostgres, database: Database) -> World:
    """Fill a fresh database: a few seconds, most of them for a year of ten-minute values and their rollups."""
    passwords = {role: postgres.password(role) for role in (API, WRITER)}
    migrate(database.dsn, passwords)
    ensure_roles(database.dsn, passwords)
    with psycopg.connect(database.dsn) as connection:
        connection.execute("SET ROLE servitize_owner")
        works = admin.create_tenant(connection, "works", "Works")
        others = admin.create_tenant(connection, "others", "Others")
        admin.publish_type(connection, _TYPE, _DOCUMENT)
        site = admin.create_site(connection, works, "hall", "Hall 1")
        machines = [
            admin.create_equipment(connection, works, f"M-{n:02d}", _TYPE, site_id=site) for n in range(1, MACHINES + 1)
        ]
        theirs = admin.create_equipment(connection, others, "X-1", _TYPE)
        scopes = {"all": ["read", "operate"], "read": ["read"]}
        keys = {
            name: admin.create_api_key(connection, works, name, scopes=some, role="operator").text
            for name, some in scopes.items()
        }
        stranger = admin.create_api_key(connection, others, "stranger", scopes=["read", "operate"]).text
    world = World(
        database.dsn, postgres.dsn(WRITER, database.name), postgres.dsn(API, database.name),
        machines, theirs, 0, keys, stranger,
    )  # fmt: skip
    world.execute("INSERT INTO servitize.latest_reading SELECT id, now(), 60, 192, now() FROM servitize.point")
    for n, machine in enumerate(machines):
        world.health(machine, 100 - n % 3, "")
    world.execute(
        "INSERT INTO servitize.state_change SELECT id, now() - interval '3 hours', 'loaded' FROM servitize.equipment"
    )
    world.health(machines[6], 58.0, "value 0 of part 0 rises")
    rows = world.execute(
        "SELECT id FROM servitize.point WHERE equipment_id = %s AND key = 'part0.value0'", [machines[6]]
    )
    world.point = rows[0][0]
    _year(world)
    return world


def _year(world: World) -> None:
    with psycopg.connect(world.writer_dsn) as connection:
        connection.execute("SELECT servitize.ensure_partitions(now() - interval '366 days', now())")
        connection.execute(
            "INSERT INTO servitize.reading SELECT %s, date_trunc('minute', t), "
            "CASE WHEN t BETWEEN now() - interval '100 days 10 minutes' AND now() - interval '100 days' THEN %s ELSE "
            "60 + 15 * sin(extract(epoch FROM t) / 400000) + 3 * sin(extract(epoch FROM t) / 5000) END, 192, t "
            "FROM generate_series(now() - interval '365 days', now(), interval '10 minutes') t",
            [world.point, SPIKE],
        )
        # hours that were there before rollups were, as a migration notes them
        connection.execute(
            "INSERT INTO servitize.rollup_dirty (generation, point_id, hour) "
            "SELECT DISTINCT 0, point_id, date_trunc('hour', ts, 'UTC') FROM servitize.reading"
        )
    with psycopg.connect(world.writer_dsn, autocommit=True) as connection:
        while load("caretaker").roll_up(connection, at_most=20_000, everything=True):
            pass
