"""The one place that wires: rooms that must not know each other get each other's parts here, as core objects.

Types are documents in the database and objects in the core; ``models`` reads them, ``storage`` keeps them, and neither
imports the other: :func:`parse_type` is handed over. So is everything else below.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import psycopg

from core.equipment import EquipmentType
from core.errors import NotFoundError, TypeDefinitionError
from runtime.endpoints import Endpoints
from runtime.local import external
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from services.api.access import Scope

FIRST_TENANT: Final = "main"
SCOPES: Final = tuple(scope.value for scope in Scope)
DEVICE_MASTER: Final = "device-master"
"""The secret that devices' passwords are derived from, by its name among the secrets of a data directory."""
MODEL_SIGNING: Final = "model-signing"
"""The secret under which learned models' files are signed."""
KEPT_SECRETS: Final = (DEVICE_MASTER, MODEL_SIGNING)
"""Those that the database's contents hang on: they go with a backup."""
OWNER, WRITER, API = "owner", "servitize_writer", "servitize_api"


def status_file(data: DataDirectory) -> Path:
    """Where the ingest process writes how it is, every second."""
    return data.root / "run" / "ingest.json"


# -- database ----------------------------------------------------------------------------------------------------------


def prepare_database(postgres: LocalPostgres, engine: str | None = None) -> str:
    """Bring the schema up to date and give our logins their passwords; what was done, and with which engine, in
    words. ``engine``: what a new database is set up with; by itself TimescaleDB where the server has it."""
    from storage.migrate import Engine, describe_engine, migrate

    passwords = {role: postgres.password(role) for role in (WRITER, API)}
    applied = migrate(postgres.dsn(), passwords, engine=None if engine is None else Engine(engine))
    done = f"{len(applied)} migrations applied" if applied else "up to date"
    return f"{done}, {describe_engine(postgres.dsn())}"


def database_logins(postgres: LocalPostgres) -> dict[str, str]:
    """Connection strings by role: ``owner``, ``servitize_writer``, ``servitize_api``."""
    return {OWNER: postgres.dsn(), WRITER: postgres.dsn(WRITER), API: postgres.dsn(API)}


def with_databases(data: DataDirectory, postgres: LocalPostgres) -> Endpoints:
    """Endpoints of an instance of which only the database runs, and the broker if that is somebody else's; not written
    anywhere."""
    broker, control = external.service_endpoint(data), external.control_endpoint(data)
    return Endpoints(databases=database_logins(postgres), broker=broker, control=control)


# -- contents ----------------------------------------------------------------------------------------------------------


def parse_type(document: Mapping[str, Any]) -> EquipmentType:
    """A type's document as the core knows it; raises :class:`~core.errors.TypeDefinitionError`."""
    from models.types import from_document

    return from_document(document)


def read_type(file: Path) -> tuple[EquipmentType, Mapping[str, Any]]:
    """A type's file as the core knows it and as it is stored; raises :class:`~core.errors.TypeDefinitionError` with all
    that is wrong with it."""
    from models.types import check_type, load_type, to_document

    problems = check_type(file)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise TypeDefinitionError(
            f"{file} has {count}:\n{listed}", hint="the language of types: docs/how-to/add-a-machine-type.md"
        )
    type_ = load_type(file)
    return type_, to_document(type_)


def first_contents(data: DataDirectory, endpoints: Endpoints) -> str:
    """Publish the catalogue's types and make a first tenant with a key, whose people run the platform; idempotent. What
    was done, in words."""
    from storage import admin, board_logins

    with psycopg.connect(endpoints.databases[OWNER]) as connection:
        published = _publish_catalogue(data, connection)
        if admin.tenant_id(connection, FIRST_TENANT) is None:
            first = admin.create_tenant(connection, FIRST_TENANT, "Main")
            board_logins.operates(connection, first, yes=True)
    ensure_api_key(data, endpoints, FIRST_TENANT)
    return f"published {', '.join(published)}" if published else "nothing new"


def publish_catalogue(data: DataDirectory, owner_dsn: str) -> list[str]:
    """Keys of the catalogue's types that were new or changed in that database, and are not any more."""
    with psycopg.connect(owner_dsn) as connection:
        return _publish_catalogue(data, connection)


def _publish_catalogue(data: DataDirectory, connection: psycopg.Connection[Any]) -> list[str]:
    """Keys of the types that were new or changed.

    Reading and checking every type takes seconds, so a start that finds the catalogue as the last one left it in this
    database does not. The mark names both, by what they contain: the files' digest and the database's revisions.
    """
    from storage import admin
    from storage.queries import load

    mark = data.root / "catalogue.json"
    digest = _catalogue_digest()

    def state() -> str:
        return json.dumps([digest, [list(row) for row in load("registry").types(connection)]])

    if mark.exists() and mark.read_text() == state():
        return []
    from models.types import catalog, to_document

    published = [
        key for key, type_ in catalog().items() if admin.publish_type(connection, type_, to_document(type_)) is not None
    ]
    data.write_private(mark, state())
    return published


def _catalogue_digest() -> str:
    """Of all files that say what a catalogue type is: the types, and the code that reads them."""
    digest = hashlib.sha256()
    for package in ("models", "models.catalog", "models.vibration", "core"):
        for entry in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name):
            if entry.is_file() and entry.name.endswith((".py", ".yaml", ".json")):
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()


def ensure_api_key(data: DataDirectory, endpoints: Endpoints, slug: str) -> str:
    """The key of our own that opens a tenant's API, made once and kept 0600 in the data directory."""
    from storage import admin

    path = data.directory("secrets") / f"api-key-{slug}"
    if path.exists():
        return path.read_text().strip()
    with psycopg.connect(endpoints.databases[OWNER]) as connection:
        tenant = admin.tenant_id(connection, slug)
        if tenant is None:
            raise NotFoundError(f"there is no tenant {slug!r}", hint="servitize tenant list")
        key = admin.create_api_key(
            connection, tenant, "made at start, kept in the data directory", scopes=SCOPES, role="admin"
        )
        data.write_private(path, key.text)
    return key.text


def load_type(connection: psycopg.Connection[Any], key: str) -> EquipmentType:
    """A published type by key, or :class:`~core.errors.NotFoundError` naming those there are."""
    from storage.queries import load

    queries = load("registry")
    found = queries.type_document(connection, key=key)
    if found is None:
        known = ", ".join(row[0] for row in queries.types(connection)) or "none"
        raise NotFoundError(
            f"there is no type {key!r} (known: {known})", hint="look at `servitize types list`, or add your own YAML"
        )
    return parse_type(found[1])
