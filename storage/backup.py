"""The database as one stream of bytes and back, by PostgreSQL's own ``pg_dump`` and ``pg_restore``.

A logical dump, not a copy of files: it is one consistent moment beside a running instance, and it can be read by newer
servers and by another engine, which a copy of files can not. What it costs in time, it has in use.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from core.errors import ConflictError, UnavailableError
from storage.migrate import OWNER, available
from storage.queries import load

Progress = Callable[[int], None]
"""Called with the bytes moved so far."""

_CHUNK: Final = 1 << 20
_ENVIRONMENT: Final = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "passfile": "PGPASSFILE",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a dump holds. ``migrations`` are (name, checksum); ``newest`` event time, µs."""

    server_version: int
    migrations: tuple[tuple[str, str], ...]
    readings: int
    alarms: int
    equipment: int
    devices: int
    tenants: int
    newest: int | None
    streams: dict[str, int]


@contextmanager
def held(dsn: str) -> Iterator[tuple[str, Contents]]:
    """A moment of the database, held as long as the body runs: its name for :func:`dump`, and what it contains."""
    queries = load("backup")
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        if not queries.has_schema(connection):
            raise ConflictError("the database is empty", hint="there is nothing to back up before a first start")
        readings, alarms, equipment, devices, tenants, newest = queries.contents(connection)
        contents = Contents(
            int(queries.server_version(connection)),
            tuple((str(name), str(checksum)) for name, checksum in queries.migrations(connection)),
            int(readings),
            int(alarms),
            int(equipment),
            int(devices),
            int(tenants),
            newest,
            {str(stream): int(place) for stream, place in queries.streams(connection)},
        )
        yield str(queries.export_snapshot(connection)), contents


def dump(program: Path, dsn: str, snapshot: str, target: IO[bytes], progress: Progress) -> int:
    """Write the schema ``servitize`` as of ``snapshot`` to ``target``; bytes written. ``dsn`` is the owner's."""
    command = [
        str(program),
        "--format=custom",
        "--compress=1",  # a dump is written once and seldom read: time counts
        "--schema=servitize",
        f"--snapshot={snapshot}",
        f"--role={OWNER}",
        "--load-via-partition-root",  # so that the data fits any partitioning
        "--enable-row-security",  # the owner's policies let it see every row
        "--no-password",
        "--lock-wait-timeout=60000",
    ]
    written = 0
    with _running(command, dsn, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while chunk := process.stdout.read(_CHUNK):
            target.write(chunk)
            written += len(chunk)
            progress(written)
    return written


def restore(program: Path, dsn: str, source: IO[bytes], progress: Progress) -> None:
    """Make what :func:`dump` wrote in a database without the schema; the roles must be there. All or nothing."""
    command = [
        str(program),
        "--exit-on-error",
        "--single-transaction",
        "--no-password",
        f"--dbname={conninfo_to_dict(dsn)['dbname']}",
    ]
    read = 0
    with _running(command, dsn, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            while chunk := source.read(_CHUNK):
                process.stdin.write(chunk)
                read += len(chunk)
                progress(read)
        except BrokenPipeError:
            pass  # it says why on its own
        except BaseException:
            process.kill()  # the source is damaged: what came so far is not kept
            raise
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()


@contextmanager
def _running(
    command: Sequence[str], dsn: str, *, stdin: int | None = None, stdout: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, connected by its environment so that no password is on a command line; its failure is a sentence."""
    settings = conninfo_to_dict(dsn)
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
    environment |= {_ENVIRONMENT[key]: str(value) for key, value in settings.items() if key in _ENVIRONMENT}
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=said, env=environment) as process,
    ):
        yield process
        if process.wait() != 0:
            said.seek(0)
            words = said.read().decode(errors="replace").strip()
            raise UnavailableError(
                f"{Path(command[0]).name} failed: {words[-600:] or f'code {process.returncode}'}",
                hint="`servitize doctor` looks at disk and database",
            )


def program_version(program: Path) -> int:
    """Major version of ``pg_dump`` or ``pg_restore``; 0 where it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"(\d+)(?:\.\d+)?", said)
    return int(found[1]) if found else 0


def check_migrations(migrations: Sequence[tuple[str, str]]) -> None:
    """Raises :class:`~core.errors.ConflictError` for a backup that this version cannot bring up to date."""
    ours = {m.name: m.checksum for m in available()}
    newer = [name for name, _ in migrations if name not in ours]
    if newer:
        raise ConflictError(
            f"the backup was made by a newer version (it knows {', '.join(newer)})",
            hint="restore it with that version of servitize, or a later one",
        )
    changed = [name for name, checksum in migrations if ours[name] != checksum]
    if changed:
        raise ConflictError(
            f"the backup was made with another text of {', '.join(changed)}",
            hint="restore it with the version of servitize that made it",
        )


def in_use(dsn: str) -> bool:
    """Whether the database holds what somebody would miss."""
    queries = load("backup")
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        return bool(queries.has_schema(connection)) and bool(queries.in_use(connection))


def clear(dsn: str) -> None:
    """Drop the schema with all that is in it."""
    with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        load("backup").drop_schema(connection)


def finish(dsn: str) -> list[str]:
    """Statistics for the planner; names of board logins that have to be made again."""
    queries = load("backup")
    with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        queries.analyze(connection)
        rows: list[Any] = list(queries.lost_board_logins(connection))
    return [str(row[0]) for row in rows]
