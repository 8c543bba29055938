"""A small world in a migrated database, and shorthand to commit to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from psycopg.conninfo import make_conninfo

from core.condition import Change, Concern, ConditionTransition, Priority
from core.equipment import ComponentDef, EquipmentType, PointDef, PointKind
from core.outcome import CommitUnit, Outcome
from core.ports import CommitReport
from core.telemetry import DeadLetter, EventRecord, StreamRecord, TelemetryBatch
from core.time import SECOND
from storage import admin
from storage.migrate import API, WRITER, Engine
from storage.writer import Writer
from tests.support.logins import PASSWORDS

T0 = 1_704_067_200 * SECOND
"""2024-01-01T00:00:00Z."""

PUMP = EquipmentType(
    "pump",
    "Pump",
    components=(ComponentDef("bearing{n}", "Bearing {n}", 2, repeat={"n": ("1", "2")}),),
    points=(
        PointDef("t{n}", "bearing{n}", "Cel", range=(0, 150), repeat={"n": ("1", "2")}),
        PointDef("hot", "bearing1", "1", kind=PointKind.DERIVED, formula="t1 > 80"),
    ),
)
PUMP_DOCUMENT = {"type": "pump", "name": "Pump", "version": 1}


@dataclass(frozen=True)
class Store:
    """A database with tenants ``acme`` and ``bolt``, a pump of each (``ours``, ``theirs``) with points t1, t2, hot."""

    dsn: str
    acme: int
    bolt: int
    ours: int
    theirs: int
    points: tuple[int, ...]
    their_points: tuple[int, ...]
    engine: Engine = Engine.PLAIN

    def login(self, role: str) -> str:
        return make_conninfo(self.dsn, user=role, password=PASSWORDS[role])

    def all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows as the platform sees them."""
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        return self.all(query, *values)[0][0]

    def readings(self) -> list[tuple[Any, ...]]:
        return self.all(
            "SELECT point_id, servitize.to_us(ts), value, quality FROM servitize.reading ORDER BY point_id, ts"
        )

    @contextlib.contextmanager
    def api(self, tenant: int | None) -> Iterator[psycopg.Connection[Any]]:
        """A transaction of the API on behalf of a tenant."""
        with psycopg.connect(self.login(API)) as connection:
            if tenant is not None:
                connection.execute("SELECT set_config('servitize.tenant', %s, true)", (str(tenant),))
            yield connection


def populate(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        admin.publish_type(connection, PUMP, PUMP_DOCUMENT)
        for slug in ("acme", "bolt"):
            tenant = admin.create_tenant(connection, slug, slug.title())
            admin.create_equipment(connection, tenant, "pump-1", PUMP)


def open_store(dsn: str, engine: Engine = Engine.PLAIN) -> Store:
    """The store in a database that :func:`populate` has filled."""
    with psycopg.connect(dsn) as connection:
        acme, bolt = (admin.tenant_id(connection, slug) for slug in ("acme", "bolt"))
        assert acme is not None
        assert bolt is not None
        ours, theirs = (admin.equipment_id(connection, tenant, "pump-1") for tenant in (acme, bolt))
        assert ours is not None
        assert theirs is not None
        points = [
            tuple(
                row[0]
                for row in connection.execute(
                    "SELECT id FROM servitize.point WHERE equipment_id = %s ORDER BY position", (equipment,)
                )
            )
            for equipment in (ours, theirs)
        ]
    return Store(dsn, acme, bolt, ours, theirs, points[0], points[1], engine)


def batch(rows: Sequence[tuple[int, int, float, int]], received_at: int = T0) -> TelemetryBatch:
    """Readings of (point, ts, value, quality)."""
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return TelemetryBatch(
        np.array(columns[0], np.int32),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.float64),
        np.array(columns[3], np.uint8),
        received_at,
    )


def transition(equipment: int, change: Change, at: int, condition: str = "bearing1/t1/high", **more: Any) -> Any:
    facts: dict[str, Any] = {
        "component": "bearing1",
        "priority": Priority.HIGH,
        "concern": Concern.MACHINE,
        "title": "bearing 1 hot",
        "point": "t1",
        "value": 91.0,
        "limit": 80.0,
    }
    return ConditionTransition(equipment, condition=condition, change=change, at=at, **(facts | more))


class Committer:
    """A writer that holds a stream, and the counting of offsets."""

    def __init__(self, store: Store, stream: str = "test", **options: Any) -> None:
        self.writer = Writer(store.login(WRITER), **options)
        self.position = self.writer.acquire(stream)
        self.offset = self.position.next_offset

    def unit(
        self,
        rows: Sequence[tuple[int, int, float, int]] | TelemetryBatch = (),
        *,
        derived: Sequence[tuple[int, int, float, int]] = (),
        events: Sequence[EventRecord] = (),
        dead_letters: Sequence[DeadLetter] = (),
        counts: dict[str, int] | None = None,
        journal: bytes | None = None,
        snapshot: bytes | None = None,
        **outcome: Any,
    ) -> CommitUnit:
        data = rows if isinstance(rows, TelemetryBatch) else batch(rows)
        record = StreamRecord(data, events=tuple(events), dead_letters=tuple(dead_letters), counts=counts or {})
        self.offset += 1
        return CommitUnit(
            self.position.stream,
            self.position.epoch,
            self.offset - 1,
            record,
            Outcome(data, batch(derived), **outcome),
            journal,
            snapshot,
        )

    def commit(self, *arguments: Any, **options: Any) -> CommitReport:
        return self.writer.commit([self.unit(*arguments, **options)])

    def __enter__(self) -> Committer:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()
