"""The registry of learned models: versions, their files, which of them speaks, and who decided so.

Files are bytes here; what is in them, and whether the signature is good, is for who loads them (models.packing).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from core.errors import ConflictError, NotFoundError
from core.time import to_datetime
from storage.effects import clean
from storage.errors import translated
from storage.queries import load

Connection = psycopg.Connection[Any]


class ModelStatus(StrEnum):
    CANDIDATE = "candidate"
    CHALLENGER = "challenger"
    """Scored beside the champion, speaks to nobody."""
    CHAMPION = "champion"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class NewModel:
    """What is stored of a fitted model. ``window``: first and last reading learned from, µs UTC."""

    name: str
    kind: str
    type_key: str
    window: tuple[int, int]
    machines: int
    features: Mapping[str, Any]
    code_version: str
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any]
    file: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A row of the registry without its file."""

    name: str
    version: int
    kind: str
    type_key: str
    status: ModelStatus
    window_from: datetime
    window_to: datetime
    machines: int
    features: Mapping[str, Any]
    code_version: str
    metrics: Mapping[str, Any]
    calibration: Mapping[str, Any]
    size: int
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    kind: str
    type_key: str
    data: bytes
    signature: bytes


def add(connection: Connection, model: NewModel, actor: str) -> int:
    """Store as the next version of its name, a candidate; the version."""
    with translated():
        return int(
            load("models").add(
                connection,
                name=model.name,
                kind=model.kind,
                type_key=model.type_key,
                window_from=to_datetime(model.window[0]),
                window_to=to_datetime(model.window[1]),
                machines=model.machines,
                features=Jsonb(clean(model.features)),
                code_version=model.code_version,
                metrics=Jsonb(clean(model.metrics)),
                calibration=Jsonb(clean(model.calibration)),
                file=model.file,
                signature=model.signature,
                actor=actor,
            )
        )


def promote(
    connection: Connection, name: str, version: int, to: ModelStatus, actor: str, reason: str = ""
) -> ModelStatus:
    """Make it challenger or champion (or retire it); whoever had the place is retired. What it was before."""
    with translated():
        before = load("models").set_status(
            connection, name=name, version=version, status=to.value, actor=actor, reason=reason
        )
    return ModelStatus(before)


def rollback(connection: Connection, name: str, actor: str, reason: str = "") -> int:
    """Make the champion before this one champion again; its version.

    Raises :class:`~core.errors.ConflictError` where there was none.
    """
    if not stored(connection, name):
        raise NotFoundError(f"there is no model {name!r}", hint="see what there is: servitize models")
    with translated():
        version = load("models").before_champion(connection, name=name)
    if version is None:
        raise ConflictError(
            f"there was no champion of {name} before this one", hint="promote a version: servitize promote"
        )
    promote(connection, name, int(version), ModelStatus.CHAMPION, actor, reason or "rolled back")
    return int(version)


def stored(connection: Connection, name: str | None = None) -> list[StoredModel]:
    """All versions, newest first within a name."""
    with translated():
        rows = list(load("models").list_models(connection, name=name))
    return [
        StoredModel(**{**dict(zip(StoredModel.__dataclass_fields__, row, strict=True)), "status": ModelStatus(row[4])})
        for row in rows
    ]


def speaking(connection: Connection) -> list[tuple[str, int, ModelStatus]]:
    """(name, version, status) of champions and challengers."""
    with translated():
        return [(name, version, ModelStatus(status)) for name, version, status in load("models").speaking(connection)]


def file(connection: Connection, name: str, version: int) -> ModelFile:
    """Raises :class:`~core.errors.NotFoundError` for a version there is not."""
    with translated():
        row = load("models").file(connection, name=name, version=version)
    if row is None:
        raise NotFoundError(
            f"there is no version {version} of the model {name!r}", hint="see what there is: servitize models"
        )
    return ModelFile(row[0], row[1], bytes(row[2]), bytes(row[3]))


def faults_of(connection: Connection, type_key: str) -> dict[int, list[int]]:
    """When (µs) machines of a type failed or had a defect, by equipment id: confirmed outcomes and events of the kind
    ``failure``."""
    with translated():
        rows = list(load("models").faults_of(connection, type_key=type_key))
    found: dict[int, list[int]] = {}
    for equipment, at in rows:
        found.setdefault(int(equipment), []).append(int(at))
    return found


def steps(connection: Connection, name: str) -> list[tuple[Any, ...]]:
    """(version, at, actor, from, to, reason), oldest first."""
    with translated():
        return [tuple(row) for row in load("models").steps(connection, name=name)]
