"""A small registry, and an intake that names by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from core.equipment import EquipmentType, PointDef, PointKind
from core.registry import (
    EquipmentEntry,
    EquipmentStatus,
    MappingProfileEntry,
    PointEntry,
    RegistrySnapshot,
    Tenant,
    UnknownEquipmentPolicy,
)
from core.telemetry import StreamRecord
from ingest.coalesce import Coalescer
from ingest.intake import Intake
from ingest.ledger import Handle, Ledger
from ingest.limits import IngestLimits
from ingest.session import Inbound

NOW = 1_800_000_000_000_000
TOPIC = "servitize/v1/acme/pump-1/telemetry"

PUMP = EquipmentType(
    "pump",
    "Pump",
    points=(
        PointDef("pressure", "pump", "bar", names=("PT-101",)),
        PointDef("bearing{n}", "pump", "Cel", repeat={"n": ("1", "2")}, names=("TT-20{n}",)),
        PointDef("health", "pump", "1", kind=PointKind.DERIVED, formula="pressure"),
    ),
)
ANYTHING = EquipmentType("anything", "Anything", open=True)
METER = {
    "profile": "meter",
    "topic": "meters/{id}",
    "equipment": "meter-{id}",
    "type": "pump",
    "points": [{"path": "p", "point": "pressure", "unit": "psi"}, {"path": "t", "point": "bearing1", "unit": "[degF]"}],
}


def equipment(id_: int, key: str, type_key: str = "pump", tenant: int = 1, status: str = "approved") -> EquipmentEntry:
    points = {}
    if type_key == "pump":
        keys = [("pressure", "bar", "measured"), ("bearing1", "Cel", "measured"), ("bearing2", "Cel", "measured")]
        for number, (name, unit, kind) in enumerate([*keys, ("health", "1", "derived")]):
            points[name] = PointEntry(id_ * 10 + number, name, unit, PointKind(kind))
    return EquipmentEntry(id_, tenant, key, type_key, EquipmentStatus(status), points)


def registry() -> RegistrySnapshot:
    tenants = [
        Tenant(1, "acme", "Acme"),
        Tenant(2, "demo", "Demo", publisher_clock=True),
        Tenant(3, "open", "Open", unknown_equipment=UnknownEquipmentPolicy.ACCEPT),
        Tenant(4, "window", "Window", past_window=3_600_000_000),
    ]
    entries = [
        equipment(1, "pump-1"),
        equipment(2, "pump-2", status="pending"),
        equipment(3, "pump-3", status="retired"),
        equipment(4, "sim", tenant=2),
        equipment(5, "box", "anything", tenant=3),
        equipment(6, "meter-7"),
        equipment(7, "aged", tenant=4),
    ]
    return RegistrySnapshot(
        1,
        {tenant.id: tenant for tenant in tenants},
        {"pump": PUMP, "anything": ANYTHING},
        {entry.id: entry for entry in entries},
        (MappingProfileEntry(1, "meter", METER),),
    )


class World:
    """An intake, what it was told to register, and what came out of it."""

    def __init__(self, limits: IngestLimits | None = None) -> None:
        self.snapshot = registry()
        self.coalescer = Coalescer()
        self.ledger = Ledger()
        self.ledger.new_connection()
        self.registered: list[Any] = []
        self.just_added: set[str] = set()
        """Equipment that somebody added and the intake has not heard of."""
        self.intake = Intake(self.snapshot, self.coalescer, limits or IngestLimits(), self)
        self._mid = 0

    def equipment(self, tenant: Tenant, key: str, type_key: str | None) -> None:
        if tenant.unknown_equipment is UnknownEquipmentPolicy.REJECT and key not in self.just_added:
            return
        self.registered.append((tenant.slug, key, type_key))
        new = equipment(100 + len(self.registered), key, type_key or "anything", tenant.id)
        self._adopt({**self.snapshot.equipment, new.id: new})

    def points(self, entry: EquipmentEntry, names: Iterable[str]) -> None:
        self.registered.append((entry.key, *names))
        points = dict(entry.points)
        for name in names:
            points[name] = PointEntry(1000 + len(points), name, "1")
        self._adopt({**self.snapshot.equipment, entry.id: replace(entry, points=points)})

    def _adopt(self, entries: dict[int, EquipmentEntry]) -> None:
        self.snapshot = replace(self.snapshot, version=self.snapshot.version + 1, equipment=entries)
        self.intake.adopt(self.snapshot)

    def send(self, payload: Any, topic: str = TOPIC, *, now: int = NOW, retained: bool = False) -> Handle:
        data = payload if isinstance(payload, bytes) else orjson.dumps(payload)
        self._mid += 1
        handle = self.ledger.received(self._mid, 1, len(data))
        self.intake.message(Inbound(topic, data, now, handle, retained))
        return handle

    def record(self, now: int = NOW) -> StreamRecord:
        """Everything so far, which must fit one record."""
        ((record, _),) = self.coalescer.take(now)
        return record

    def readings(self, now: int = NOW) -> list[tuple[int, int, float, int]]:
        batch = self.record(now).batch
        columns = (batch.point_id, batch.ts, batch.value, batch.quality)
        return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_world() -> Callable[[IngestLimits], World]:
    return World
