"""The registry as ingest and the pipeline read it, and the two ways in which devices themselves add to it."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg
import structlog
from psycopg_pool import ConnectionPool

from core.equipment import EquipmentType, PointKind
from core.errors import ServitizeError
from core.learned import ModelEntry, ModelKind
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

log = structlog.get_logger(__name__)

Parser = Callable[[Mapping[str, Any]], EquipmentType]
"""Makes a type of its document; raises :class:`~core.errors.TypeDefinitionError`."""

ModelLoader = Callable[[bytes, bytes], Any]
"""A fitted model of (file, signature); raises :class:`~core.errors.ServitizeError` where it is not to be trusted."""


class Registry:
    """Implements :class:`core.ports.RegistryPort`. Safe for threads; ``pool`` gives connections of the writer role.

    A load fetches only what changed since the last one, so a fleet of 10,000 costs nothing while nobody touches it.
    ``parse_type`` is
    given by who wires, since types are documents here and the room that reads them is a sibling; so is ``load_model``,
    by who runs a processor (None: models are not loaded). A model that cannot be trusted is said in the log and left
    out: everything else goes on.
    """

    def __init__(
        self,
        pool: ConnectionPool[psycopg.Connection[Any]],
        parse_type: Parser,
        load_model: ModelLoader | None = None,
    ) -> None:
        self._pool = pool
        self._parse = parse_type
        self._load_model = load_model
        self._estimators: dict[tuple[str, int], Any] = {}
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
        types = self._read_types(connection)
        return RegistrySnapshot(
            version, tenants, types, equipment, profiles, self._read_models(connection), self.recall
        )

    def _read_types(self, connection: psycopg.Connection[Any]) -> dict[str, EquipmentType]:
        for key, revision in list(self._queries.types(connection)):
            if key not in self._types or self._types[key][0] != revision:
                _, document = self._queries.type_document(connection, key=key)
                self._types[key] = (revision, self._parse(document))
        return {key: parsed for key, (_, parsed) in self._types.items()}

    def _read_models(self, connection: psycopg.Connection[Any]) -> tuple[ModelEntry, ...]:
        if self._load_model is None:
            return ()
        found = [
            self._model(connection, name, version, status == "champion")
            for name, version, status in list(load("models").speaking(connection))
        ]
        return tuple(entry for entry in found if entry is not None)

    def _model(self, connection: psycopg.Connection[Any], name: str, version: int, champion: bool) -> ModelEntry | None:
        assert self._load_model is not None
        row = load("models").at_work(connection, name=name, version=version)
        if row is None:
            return None
        kind, type_key, features, reference = row
        if (name, version) not in self._estimators:
            _, _, data, signature = load("models").file(connection, name=name, version=version)
            try:
                self._estimators[name, version] = self._load_model(bytes(data), bytes(signature))
            except ServitizeError as error:
                log.error("model.unusable", model=name, version=version, problem=str(error), hint=error.hint)
                self._estimators[name, version] = None
        estimator = self._estimators[name, version]
        if estimator is None:
            return None
        return ModelEntry(name, version, champion, ModelKind(kind), type_key, features, reference, estimator)

    def recall(self, name: str, version: int, champion: bool) -> ModelEntry | None:
        """A version that need not be at work any more, in the role it had; None where there is none that can be
        used."""
        if self._load_model is None:
            return None
        with self._lock, translated(), self._pool.connection() as connection:
            return self._model(connection, name, version, champion)

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
