"""Brings a database to the schema of this version: roles first, then each file of ``migrations/`` in its own
transaction.

Killed at any moment it leaves whole migrations only, and running it again goes on from there. Two at once wait for
each other.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import errors

from core.errors import ConflictError, UnavailableError
from storage.queries import load

MIGRATIONS: Final = Path(__file__).parent / "migrations"
OWNER: Final = "servitize_owner"
WRITER: Final = "servitize_writer"
API: Final = "servitize_api"
BOARD: Final = "servitize_board"
_ROLES: Final = (OWNER, WRITER, API, BOARD)
_ATTEMPTS: Final = 20
"""Roles belong to the whole server: migrations of two databases may meet there, and the loser simply tries again."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: ``name`` is its stem (``0001_tenants``), ``checksum`` SHA-256 of its text with line ends unified."""

    name: str
    sql: str
    checksum: str


class Engine(StrEnum):
    """What stores readings and rollups; everything outside ``migrations/<engine>/`` is the same for both."""

    PLAIN = "plain"
    TIMESCALE = "timescale"


def available(engine: Engine = Engine.PLAIN, *, folder: Path = MIGRATIONS) -> list[Migration]:
    """All migrations in order: those of every engine, and those of this one (``folder/<engine>/``)."""
    found = []
    pattern = "[0-9][0-9][0-9][0-9]_*.sql"
    for path in sorted([*folder.glob(pattern), *(folder / engine).glob(pattern)], key=lambda path: path.name):
        sql = path.read_text(encoding="utf-8").replace("\r\n", "\n")
        found.append(Migration(path.stem, sql, hashlib.sha256(sql.encode()).hexdigest()))
    return found


def ensure_roles(owner_dsn: str, passwords: Mapping[str, str]) -> None:
    """Create the four roles where missing; give those named in ``passwords`` a login with that password.

    ``owner_dsn`` is a login that owns the database and may create roles. The password never leaves this process: the
    server is
    sent its SCRAM verifier.
    """
    unknown = set(passwords) - {WRITER, API, BOARD}
    if unknown:
        raise ValueError(f"no login for {', '.join(sorted(unknown))}")
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        for role in _ROLES:
            _retrying(functools.partial(_ensure_role, connection, role, passwords.get(role)))


def _ensure_role(connection: psycopg.Connection[Any], role: str, password: str | None) -> None:
    queries = load("migrate")
    with connection.transaction():
        keep_for_roles(connection, role, password)
        if not queries.role_exists(connection, role=role):
            queries.create_role(connection)
        if role == OWNER:
            queries.grant_role_to_me(connection)
        if password is not None:
            queries.set_login(connection)


def keep_for_roles(connection: psycopg.Connection[Any], role: str, password: str | None) -> None:
    """Leave role and password verifier where the role statements of queries/migrate.sql find them (this transaction
    only)."""
    verifier = ""
    if password is not None:
        verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    load("migrate").keep_for_roles(connection, role=role, verifier=verifier)


def _retrying(action: Callable[[], None]) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            action()
            return
        except (errors.DuplicateObject, errors.UniqueViolation, errors.InternalError_):
            # "tuple concurrently updated" comes as an internal error
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.05 * (attempt + 1))


def migrate(
    owner_dsn: str,
    passwords: Mapping[str, str] | None = None,
    *,
    engine: Engine | None = None,
    folder: Path = MIGRATIONS,
) -> list[str]:
    """Apply what is missing; names of the migrations applied (empty: nothing to do).

    ``passwords`` by role name (``servitize_writer``, ``servitize_api``, ``servitize_board``) make these roles logins.
    The first migration fixes the engine: ``engine``, else TimescaleDB where the server has it. Later ``engine`` may
    only confirm it.
    Raises :class:`~core.errors.ConflictError` when the database was migrated by another text of the same migration,
    by a newer version or with another engine,
    :class:`~core.errors.UnavailableError` when the login lacks a right or the server the wanted engine.
    """
    try:
        ensure_roles(owner_dsn, passwords or {})
        with psycopg.connect(owner_dsn, autocommit=True) as connection:
            return _apply(connection, engine, folder)
    except errors.InsufficientPrivilege as error:
        raise UnavailableError(
            f"the database does not let this login set it up: {error}",
            hint="the login must own the database and have CREATEROLE, and the servitize_* roles must be its own",
        ) from error


def _apply(connection: psycopg.Connection[Any], wanted: Engine | None, folder: Path) -> list[str]:
    queries = load("migrate")
    queries.lock(connection)  # held until the connection closes, however it does
    queries.create_schema(connection)
    engine = _fix_engine(connection, wanted)
    with connection.transaction():
        queries.become_owner(connection)
        done = dict(queries.ledger(connection))
    migrations = available(engine, folder=folder)
    _check(done, migrations)
    applied = []
    for migration in migrations:
        if migration.name in done:
            continue
        with connection.transaction():
            queries.become_owner(connection)
            connection.execute(migration.sql.encode())
            queries.record(connection, name=migration.name, checksum=migration.checksum)
        applied.append(migration.name)
    queries.maintain(connection)
    return applied


def _fix_engine(connection: psycopg.Connection[Any], wanted: Engine | None) -> Engine:
    """The engine of this database, chosen now if no migration has run yet."""
    queries = load("migrate")
    with connection.transaction():
        queries.become_owner(connection)
        queries.create_ledger(connection)
        queries.create_engine(connection)
        known = queries.engine(connection)
        if known is None and next(iter(queries.ledger(connection)), None) is not None:
            known = Engine.PLAIN  # set up before there was a choice
            queries.record_engine(connection, engine=known.value)
    if known is not None:
        if wanted is not None and wanted != known:
            raise ConflictError(
                f"this database was set up with the engine {known}, not {wanted}",
                hint="an engine stays for life: make a backup, and restore it into a database set up with the other",
            )
        return Engine(known)
    engine = wanted or (Engine.TIMESCALE if queries.timescale_available(connection) else Engine.PLAIN)
    if engine is Engine.TIMESCALE:
        if not queries.timescale_available(connection):
            raise UnavailableError(
                "the server has no TimescaleDB",
                hint="install the extension and preload it, or set the database up with the engine plain",
            )
        queries.create_timescale(connection)
        queries.let_owner_run_jobs(connection)
    with connection.transaction():
        queries.become_owner(connection)
        queries.record_engine(connection, engine=engine.value)
    return engine


def _check(done: Mapping[str, str], migrations: Sequence[Migration]) -> None:
    ours = {m.name: m.checksum for m in migrations}
    newer = sorted(done.keys() - ours.keys())
    if newer:
        raise ConflictError(
            f"the database knows migrations that this version does not: {', '.join(newer)}",
            hint="it was used by a newer version; run that one, or restore a backup",
        )
    changed = sorted(name for name, checksum in done.items() if ours[name] != checksum)
    if changed:
        raise ConflictError(
            f"the database was set up by another text of {', '.join(changed)}",
            hint="a migration never changes once it has run; put the old text back and add a new file",
        )


def pending(owner_dsn: str, *, folder: Path = MIGRATIONS) -> list[str]:
    """Names of migrations the database does not have yet; changes nothing."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        queries = load("migrate")
        try:
            done = dict(queries.ledger(connection))
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            done = {}
        engine = current_engine(connection)
        if engine is None and not done and queries.timescale_available(connection):
            engine = Engine.TIMESCALE
    return [m.name for m in available(engine or Engine.PLAIN, folder=folder) if m.name not in done]


def current_engine(connection: psycopg.Connection[Any]) -> Engine | None:
    """The engine that a database was set up with; None where it was not set up yet. ``connection`` in autocommit."""
    queries = load("migrate")
    try:
        known = queries.engine(connection)
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return None
    return None if known is None else Engine(known)


def describe_engine(owner_dsn: str) -> str:
    """Engine and versions in words: ``plain PostgreSQL 18.6``, ``TimescaleDB 2.23.0 on PostgreSQL 17.5``."""
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        server, extension = load("migrate").versions(connection)
        if current_engine(connection) is Engine.TIMESCALE:
            return f"TimescaleDB {extension} on PostgreSQL {server}"
    return f"plain PostgreSQL {server}"
