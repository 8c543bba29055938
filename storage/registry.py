"""The registry as ingest and the pipeline read it, and the two ways in which devices themselves add to it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from core.equipment import EquipmentType, PointKind
from core.registry import (
    EquipmentEntry,
    EquipmentStatus,
    MappingProfileEntry,
    PointEntry,
    RegistrySnapshot,
    Tenant,
    UnknownEquipmentPolicy,
)
from storage.errors import translated
from storage.queries import load

Parser = Callable[[Mapping[str, Any]], EquipmentType]
"""Makes a type of its document; raises :class:`~core.errors.TypeDefinitionError`."""


class Registry:
    """Implements :class:`core.ports.RegistryPort`. Safe for threads; ``pool`` gives connections of the writer role.

    A load fetches only what changed since the last one, so a fleet of 10,000 costs nothing while nobody touches it.
    ``parse_type`` is
    given by who wires, since types are documents here and the room that reads them is a sibling.
    """

    def __init__(self, pool: ConnectionPool[psycopg.Connection[Any]], parse_type: Parser) -> None:
        self._pool = pool
        self._parse = parse_type
        self._queries = load("registry")
        self._lock = threading.Lock()
        self._types: dict[str, tuple[int, EquipmentType]] = {}
        self._snapshot = RegistrySnapshot(0, {}, {}, {})

    def version(self) -> int:
        with translated(), self._pool.connection() as connection:
            return int(self._queries.version(connection))

    def load(self) -> RegistrySnapshot:
        with self._lock, translated(), self._pool.connection() as connection:
            # one snapshot of the database for all of it, or a point might come without its equipment
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            try:
                with connection.transaction():
                    self._snapshot = self._read(connection)
            finally:
                connection.isolation_level = None
            return self._snapshot

    def _read(self, connection: psycopg.Connection[Any]) -> RegistrySnapshot:
        old = self._snapshot
        version = int(self._queries.version(connection))
        if version == old.version:
            return old
        points: defaultdict[int, dict[str, PointEntry]] = defaultdict(dict)
        for equipment_id, point_id, key, unit, kind in self._queries.points_since(connection, version=old.version):
            points[equipment_id][key] = PointEntry(point_id, key, unit, PointKind(kind))
        equipment = dict(old.equipment)
        for row in self._queries.equipment_since(connection, version=old.version):
            equipment_id, tenant_id, key, type_key, status = row
            equipment[equipment_id] = EquipmentEntry(
                equipment_id, tenant_id, key, type_key, EquipmentStatus(status), points.get(equipment_id, {})
            )
        tenants = {
            row[0]: Tenant(row[0], row[1], row[2], UnknownEquipmentPolicy(row[3]), row[4], row[5], row[6])
            for row in self._queries.tenants(connection)
        }
        profiles = tuple(MappingProfileEntry(*row) for row in self._queries.profiles(connection))
        return RegistrySnapshot(version, tenants, self._read_types(connection), equipment, profiles)

    def _read_types(self, connection: psycopg.Connection[Any]) -> dict[str, EquipmentType]:
        for key, revision in list(self._queries.types(connection)):
            if key not in self._types or self._types[key][0] != revision:
                _, document = self._queries.type_document(connection, key=key)
                self._types[key] = (revision, self._parse(document))
        return {key: parsed for key, (_, parsed) in self._types.items()}

    def register_unknown(self, tenant: Tenant, equipment_key: str, type_key: str | None) -> None:
        """Pending, or approved where the tenant accepts and the type is known: without a type nobody knows what its
        values mean."""
        if tenant.unknown_equipment is UnknownEquipmentPolicy.REJECT:
            return
        with translated(), self._pool.connection() as connection:
            known = self._queries.type_document(connection, key=type_key) if type_key else None
            accept = known is not None and tenant.unknown_equipment is UnknownEquipmentPolicy.ACCEPT
            status = EquipmentStatus.APPROVED if accept else EquipmentStatus.PENDING
            equipment_id = self._queries.register_unknown(
                connection, tenant_id=tenant.id, key=equipment_key, type_key=type_key, status=status.value
            )
            if equipment_id is not None and known is not None:
                sync_type(connection, self._parse(known[1]), equipment_id)

    def register_points(self, equipment_id: int, keys: Iterable[str]) -> None:
        wanted = sorted(set(keys))
        if wanted:
            with translated(), self._pool.connection() as connection:
                self._queries.register_points(connection, equipment_id=equipment_id, keys=wanted)


def sync_type(connection: psycopg.Connection[Any], type_: EquipmentType, equipment_id: int | None = None) -> None:
    """Give one equipment of the type (None: all of them) the components and points it has now. Nothing is ever taken
    away:
    readings of a point that a type no longer names stay readable."""
    queries = load("registry")
    components = list(type_.component_instances())
    queries.sync_components(
        connection,
        type_key=type_.key,
        equipment_id=equipment_id,
        keys=[key for key, _, _ in components],
        names=[name for _, name, _ in components],
        criticalities=[float(definition.criticality) for _, _, definition in components],
        classes=[definition.item_class for _, _, definition in components],
    )
    points = type_.point_instances()
    ranges = [p.definition.range or (None, None) for p in points]
    queries.sync_points(
        connection,
        type_key=type_.key,
        equipment_id=equipment_id,
        keys=[p.key for p in points],
        components=[p.component for p in points],
        units=[p.definition.unit for p in points],
        kinds=[p.definition.kind.value for p in points],
        descriptions=[p.definition.description.format_map(p.binding) for p in points],
        lows=[low for low, _ in ranges],
        highs=[high for _, high in ranges],
    )
