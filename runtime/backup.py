"""A backup of an instance as one file, and an instance out of such a file.

The file is an uncompressed ZIP, mode 0600, since it holds what opens doors: ``manifest.json``, ``database.dump``
(pg_dump's custom format), ``broker-access.json`` (devices' rights and password hashes) and ``api-keys/TENANT`` (the
keys that the instance made for itself). Passwords of our own servers are not in it: every instance has its own.

What the broker holds and ingest has not committed is in no backup of the database; it is still at the old broker.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from core.errors import ConflictError, InvalidInputError, UnavailableError
from core.time import isoformat
from runtime import bootstrap
from runtime.bootstrap import OWNER
from runtime.endpoints import read_endpoints
from runtime.local.access import RESERVED_PREFIX
from runtime.local.engines import choose_engine, machine_engines, wheel_engine
from runtime.local.paths import DataDirectory
from runtime.local.postgres import DATABASE, LocalPostgres
from runtime.steps import Steps
from storage import backup as dumps
from storage.consistency import Consistency, examine
from storage.migrate import ensure_roles, migrate

FORMAT: Final = "servitize-backup"
VERSION: Final = 1
_MANIFEST, _DUMP, _ACCESS, _KEYS = "manifest.json", "database.dump", "broker-access.json", "api-keys/"
_SECRETS = "secrets/"
_PROGRESS_SECONDS: Final = 5.0
_LARGEST_PART: Final = 256 * 1024 * 1024
"""Of the small parts; the dump is streamed."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BackupDone:
    """What was written; ``seconds`` in all."""

    file: str
    bytes: int
    seconds: float
    readings: int
    alarms: int
    equipment: int
    devices: int
    newest: str | None


@dataclass(frozen=True, slots=True)
class RestoreDone:
    """What was made of it, out of so many ``bytes``. ``problems``: what does not agree in it (nothing should);
    ``board_logins``: to be made again."""

    home: str
    made_at: str
    bytes: int
    seconds: float
    readings: int
    alarms: int
    equipment: int
    devices: int
    newest: str | None
    migrations: int
    problems: tuple[str, ...]
    board_logins: tuple[str, ...]


# -- backup ------------------------------------------------------------------------------------------------------------


def make_backup(data: DataDirectory, file: Path, steps: Steps, say: Say) -> BackupDone:
    """Write a backup of the instance in ``data``, which may be running; ``file`` must not exist.

    It appears under its name only when it is complete.
    """
    if file.exists():
        raise ConflictError(f"{file} is there already", hint="name another file, or move this one away")
    began = time.monotonic()
    part = file.with_name(f".{file.name}.part")
    try:
        with _owner_dsn(data) as dsn:
            contents = _write(data, dsn, part, steps, say)
        os.replace(part, file)
    except OSError as error:
        raise UnavailableError(
            f"{file} cannot be written: {error.strerror}", hint="is there room on the disk?"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return BackupDone(
        str(file),
        file.stat().st_size,
        round(time.monotonic() - began, 2),
        contents.readings,
        contents.alarms,
        contents.equipment,
        contents.devices,
        None if contents.newest is None else isoformat(contents.newest),
    )


def _write(data: DataDirectory, dsn: str, part: Path, steps: Steps, say: Say) -> dumps.Contents:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as target, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        with dumps.held(dsn) as (snapshot, contents):
            program = _tool("pg_dump", data, contents.server_version // 10_000)
            manifest = {"format": FORMAT, "version": VERSION, "made_at": time.time(), **asdict(contents)}
            archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
            with steps.step("database") as step, archive.open(_DUMP, "w", force_zip64=True) as stream:
                written = dumps.dump(program, dsn, snapshot, stream, _told(say))
                step.detail = f"{contents.readings} readings in {size(written)}"
        with steps.step("access") as step:
            _write_secrets(data, archive)
            step.detail = f"{_write_access(data, archive)} devices, {_write_keys(data, archive)} keys of its own"
        target.flush()
        os.fsync(target.fileno())
    return contents


def _write_access(data: DataDirectory, archive: zipfile.ZipFile) -> int:
    path = data.root / "broker" / "access.json"
    entries = json.loads(path.read_text()) if path.exists() else {}
    devices = {name: entry for name, entry in entries.items() if not name.startswith(RESERVED_PREFIX)}
    archive.writestr(_ACCESS, json.dumps(devices))
    return len(devices)


def _write_keys(data: DataDirectory, archive: zipfile.ZipFile) -> int:
    keys = sorted((data.root / "secrets").glob("api-key-*"))
    for key in keys:
        archive.writestr(_KEYS + key.name.removeprefix("api-key-"), key.read_text())
    return len(keys)


def _write_secrets(data: DataDirectory, archive: zipfile.ZipFile) -> None:
    """Those without which the database's contents mean nothing; what somebody else gave us stays with them."""
    for name in bootstrap.KEPT_SECRETS:
        path = data.root / "secrets" / name
        if data.given is None and path.exists():
            archive.writestr(_SECRETS + name, path.read_text())


@contextmanager
def _owner_dsn(data: DataDirectory) -> Iterator[str]:
    """Of the running instance, else of its database alone, started for the purpose as it is."""
    if data.holder() is not None:
        yield read_endpoints(data).databases[OWNER]
        return
    with data, LocalPostgres.from_environment(data) as postgres:
        yield postgres.dsn()


# -- restore -----------------------------------------------------------------------------------------------------------


def restore_backup(data: DataDirectory, file: Path, *, force: bool, steps: Steps, say: Say) -> RestoreDone:
    """Make the instance in ``data``, which must not be running, what ``file`` holds.

    Refused where the instance holds something, without ``force``. With our own server the old contents are replaced
    only once the new ones are complete; on an external server they are cleared first, since a database of its own may
    not be ours to make there.
    """
    began = time.monotonic()
    with _opened(file) as archive, data, LocalPostgres.from_environment(data) as postgres:
        manifest = _manifest(archive, file)
        dumps.check_migrations([(name, checksum) for name, checksum in manifest["migrations"]])
        with steps.step("check") as step:
            if dumps.in_use(postgres.dsn()) and not force:
                raise ConflictError(
                    f"the instance in {data.root} is in use",
                    hint="restore into another --home, or say --force to give up what is here",
                )
            step.detail = f"made {_when(manifest)}, {manifest['readings']} readings"
        program = _tool("pg_restore", data, manifest["server_version"] // 10_000)
        applied, found, lost = _restore_database(postgres, archive, program, steps, say)
        with steps.step("access") as step:
            _restore_secrets(data, archive)
            step.detail = f"{_restore_access(data, archive)} devices, {_restore_keys(data, archive)} keys of its own"
    return RestoreDone(
        str(data.root),
        _when(manifest),
        file.stat().st_size,
        round(time.monotonic() - began, 2),
        found.readings,
        manifest["alarms"],
        manifest["equipment"],
        manifest["devices"],
        None if manifest["newest"] is None else isoformat(manifest["newest"]),
        applied,
        found.problems,
        tuple(lost),
    )


def _restore_database(
    postgres: LocalPostgres, archive: zipfile.ZipFile, program: Path, steps: Steps, say: Say
) -> tuple[int, Consistency, list[str]]:
    own = postgres.external_url is None
    fresh, former = f"{DATABASE}_restored", f"{DATABASE}_replaced"
    passwords = {role: postgres.password(role) for role in (bootstrap.WRITER, bootstrap.API)}
    if own:
        postgres.drop_database(fresh)
        dsn = postgres.create_database(fresh)
    else:
        dsn = postgres.dsn()
        dumps.clear(dsn)
    with steps.step("database") as step, archive.open(_DUMP) as stream:
        ensure_roles(dsn, passwords)
        try:
            dumps.restore(program, dsn, stream, _told(say))
        except zipfile.BadZipFile as error:
            raise InvalidInputError(f"the backup is damaged: {error}", hint="nothing was changed here") from error
        step.detail = "restored"
    with steps.step("tables") as step:
        applied = migrate(dsn, passwords)
        lost = dumps.finish(dsn)
        step.detail = f"{len(applied)} migrations applied" if applied else "of this version"
    with steps.step("consistency") as step:
        found = examine(dsn)
        step.detail = "everything agrees" if found.holds else f"{len(found.problems)} contradictions"
    if own:
        postgres.drop_database(former)
        postgres.replace_database(DATABASE, by=fresh, keep_as=former)
        postgres.drop_database(former)
    return len(applied), found, lost


def _restore_access(data: DataDirectory, archive: zipfile.ZipFile) -> int:
    """Devices' rights as they were; our own accounts stay this instance's."""
    devices = json.loads(_small(archive, _ACCESS))
    path = data.directory("broker") / "access.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    own = {name: entry for name, entry in known.items() if name.startswith(RESERVED_PREFIX)}
    data.write_private(path, json.dumps(own | devices, indent=1))
    return len(devices)


def _restore_secrets(data: DataDirectory, archive: zipfile.ZipFile) -> None:
    if data.given is not None:
        return
    held = set(archive.namelist())  # a backup of an older version has none
    for name in bootstrap.KEPT_SECRETS:
        if _SECRETS + name in held:
            data.write_private(data.directory("secrets") / name, _small(archive, _SECRETS + name))


def _restore_keys(data: DataDirectory, archive: zipfile.ZipFile) -> int:
    secrets = data.directory("secrets")
    for old in secrets.glob("api-key-*"):
        old.unlink()  # it opens nothing any more
    keys = [name for name in archive.namelist() if name.startswith(_KEYS)]
    for name in keys:
        tenant = name.removeprefix(_KEYS)
        if not tenant or "/" in tenant or tenant.startswith("."):
            raise InvalidInputError(f"the backup names a key {name!r}", hint="it was not made by servitize")
        data.write_private(secrets / f"api-key-{tenant}", _small(archive, name))
    return len(keys)


# -- the file ----------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except (OSError, zipfile.BadZipFile) as error:
        raise InvalidInputError(f"{file} is no backup: {error}", hint="make one: servitize backup FILE") from error
    with archive:
        yield archive


def _manifest(archive: zipfile.ZipFile, file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(_small(archive, _MANIFEST))
        known = manifest["format"] == FORMAT
        version = manifest["version"]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{file} is no backup of servitize", hint="make one: servitize backup FILE") from error
    if not known or version != VERSION:
        raise InvalidInputError(
            f"{file} is a backup of version {version}; this program reads {VERSION}",
            hint="restore it with the version of servitize that made it",
        )
    return dict(manifest)


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _LARGEST_PART:
        raise InvalidInputError(f"{name} in the backup is too large", hint="it was not made by servitize")
    try:
        return archive.read(name)
    except zipfile.BadZipFile as error:
        raise InvalidInputError(f"the backup is damaged: {error}", hint="nothing was changed here") from error


# -- parts -------------------------------------------------------------------------------------------------------------


def _tool(name: str, data: DataDirectory, server: int) -> Path:
    """``pg_dump`` or ``pg_restore``, at least as new as the server that made or makes the dump."""
    places: list[Path] = []
    if (data.root / "postgres" / "PG_VERSION").exists():
        places.append(choose_engine(data, data.root / "postgres").bin)
    places += [engine.bin for engine in machine_engines()]
    if (wheel := wheel_engine()) is not None:
        places.append(wheel.bin)
    if (found := shutil.which(name)) is not None:
        places.append(Path(found).parent)
    for place in places:
        if dumps.program_version(place / name) >= server:
            return place / name
    raise UnavailableError(
        f"no {name} for PostgreSQL {server} was found",
        hint=f"install the client programs of PostgreSQL {server} or newer (Debian: apt-get install postgresql-client)",
    )


def _told(say: Say) -> dumps.Progress:
    """Says how far it is, every few seconds."""
    said = time.monotonic()

    def progress(moved: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _PROGRESS_SECONDS:
            said = now
            say(f"… {size(moved)}")

    return progress


def size(count: int) -> str:
    """Bytes for people.

    >>> size(500), size(12_345_678)
    ('500 B', '12.3 MB')
    """
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def _when(manifest: Mapping[str, Any]) -> str:
    return isoformat(int(manifest["made_at"]) * 1_000_000)
