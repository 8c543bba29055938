"""Migrations: whole or not at all, once, in order, and the same whichever way they came about."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.errors import ConflictError, UnavailableError
from storage.caretaker import roll_up
from storage.migrate import (
    API,
    MIGRATIONS,
    OWNER,
    WRITER,
    Engine,
    available,
    describe_engine,
    migrate,
    pending,
)
from tests.integration.storage.helpers import T0, Committer, open_store, populate
from tests.support.logins import PASSWORDS

pytestmark = pytest.mark.integration


def test_an_empty_database_gets_every_migration_and_a_second_run_finds_nothing_to_do(fresh_database: Any) -> None:
    dsn = fresh_database().dsn
    names = [m.name for m in available()]
    assert pending(dsn) == names
    assert migrate(dsn, PASSWORDS) == names
    assert migrate(dsn, PASSWORDS) == []
    assert pending(dsn) == []


def test_a_migration_that_fails_leaves_nothing_and_the_next_run_goes_on_from_there(
    fresh_database: Any, tmp_path: Path
) -> None:
    dsn = fresh_database().dsn
    (tmp_path / "0001_one.sql").write_text("CREATE TABLE servitize.one (x int);")
    broken = tmp_path / "0002_two.sql"
    broken.write_text("CREATE TABLE servitize.two (x int); SELECT 1 / 0;")
    folder = {"folder": tmp_path}
    with pytest.raises(psycopg.errors.DivisionByZero):
        _apply(dsn, tmp_path)
    assert pending(dsn, **folder) == ["0002_two"]
    broken.write_text("CREATE TABLE servitize.two (x int);")
    _apply(dsn, tmp_path)
    assert pending(dsn, **folder) == []


def _apply(dsn: str, folder: Path) -> None:
    """Foreign migrations lack maintain_partitions, the last step; everything before it is what is tested."""
    with contextlib.suppress(psycopg.errors.UndefinedFunction):
        migrate(dsn, folder=folder)


def test_killed_in_the_middle_of_a_migration_it_runs_again(fresh_database: Any, tmp_path: Path) -> None:
    dsn = fresh_database().dsn
    (tmp_path / "0001_slow.sql").write_text("CREATE TABLE servitize.slow (x int); SELECT pg_sleep(30);")

    def run() -> None:
        with pytest.raises(psycopg.OperationalError):
            _apply(dsn, tmp_path)

    thread = threading.Thread(target=run)
    thread.start()
    with psycopg.connect(dsn, autocommit=True) as other:
        while not other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(30)%%' "
            "AND pid <> pg_backend_pid() AND datname = current_database() AND state = 'active'"
        ).fetchall():
            pass
    thread.join()
    (tmp_path / "0001_slow.sql").write_text("CREATE TABLE servitize.slow (x int);")
    _apply(dsn, tmp_path)
    assert pending(dsn, folder=tmp_path) == []


def test_two_at_once_wait_for_each_other(fresh_database: Any) -> None:
    dsn = fresh_database().dsn
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(dsn, PASSWORDS))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, results)) == [0, 0, len(available())]


def test_a_changed_text_and_a_newer_database_are_refused(fresh_database: Any, tmp_path: Path) -> None:
    dsn = fresh_database().dsn
    file = tmp_path / "0001_one.sql"
    file.write_text("CREATE TABLE servitize.one (x int);")
    _apply(dsn, tmp_path)
    file.write_text("CREATE TABLE servitize.one (x bigint);")
    with pytest.raises(ConflictError, match="another text of 0001_one"):
        migrate(dsn, folder=tmp_path)
    file.unlink()
    with pytest.raises(ConflictError, match="does not: 0001_one"):
        migrate(dsn, folder=tmp_path)


def test_nobody_logs_in_as_the_owner_and_no_role_passes_row_security(fresh_database: Any) -> None:
    dsn = fresh_database().dsn
    migrate(dsn, PASSWORDS)
    with psycopg.connect(dsn) as connection:
        roles = connection.execute(
            "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname LIKE "
            "'servitize_%%'"
        ).fetchall()
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'servitize'::regnamespace"
        ).fetchall()
    assert (OWNER, False, False, False, False) in roles
    assert not any(superuser or bypass or create for _, _, superuser, bypass, create in roles)
    assert {name for name, login, *_ in roles if login} >= {WRITER, API}
    assert owners == [(OWNER,)]


FINGERPRINT = {
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
    "WHERE table_schema = 'servitize' AND table_name !~ '_[0-9]{8}$'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'servitize'::regnamespace AND conrelid::regclass::text !~ '_[0-9]{8}$' AND contype <> 'n'",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'servitize' "
    "AND tablename !~ '_[0-9]{8}$'",
    "functions": "SELECT oid::regprocedure::text, pg_get_functiondef(oid), proacl::text FROM pg_proc "
    "WHERE pronamespace = 'servitize'::regnamespace",
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'servitize'",
    "policies": "SELECT tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies "
    "WHERE schemaname = 'servitize'",
    "rights": "SELECT relname, relacl::text, relrowsecurity, relforcerowsecurity, reloptions::text FROM pg_class "
    "WHERE relnamespace = 'servitize'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname !~ '_[0-9]{8}$'",
    "triggers": "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal "
    "AND tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'servitize'::regnamespace)",
}


def fingerprint(dsn: str) -> dict[str, list[Any]]:
    """Everything of the schema that a program could notice, in no order of making."""
    with psycopg.connect(dsn) as connection:
        return {name: sorted(connection.execute(query).fetchall(), key=repr) for name, query in FINGERPRINT.items()}


def earlier(folder: Path, names: set[str]) -> Path:
    """A folder with only these migrations, as an earlier version had."""
    for path in [*MIGRATIONS.glob("*.sql"), *(MIGRATIONS / "plain").glob("*.sql")]:
        if path.stem in names:
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_an_upgraded_database_is_like_a_fresh_one_and_its_readings_are_rolled_up(
    fresh_database: Any, tmp_path: Path
) -> None:
    fresh, old = fresh_database().dsn, fresh_database().dsn
    migrate(fresh, PASSWORDS)
    first = {m.name for m in available() if m.name < "0500" or m.name == "0500_api"}
    migrate(old, PASSWORDS, folder=earlier(tmp_path, first))
    populate(old)
    with psycopg.connect(old) as connection:  # a version that knew neither rollups nor a choice of engine
        connection.execute("SET ROLE servitize_owner")
        point = connection.execute("SELECT min(id) FROM servitize.point").fetchone()
        connection.execute("SELECT servitize.ensure_partitions(servitize.from_us(%s), servitize.from_us(%s))", (T0, T0))
        connection.execute(
            "INSERT INTO servitize.reading SELECT %s, servitize.from_us(%s) + n * interval '1 minute', n, 192, now() "
            "FROM generate_series(0, 149) n",
            (point[0] if point else 0, T0),
        )
        connection.execute("DROP TABLE servitize.engine")
    assert set(migrate(old, PASSWORDS)) == {m.name for m in available()} - first
    assert fingerprint(old) == fingerprint(fresh)
    store = open_store(old)
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        assert roll_up(connection, everything=True) == 3
    assert store.all("SELECT count FROM servitize.rollup_hour ORDER BY bucket") == [(60,), (60,), (30,)]
    assert store.one("SELECT count FROM servitize.rollup_day") == 150
    with Committer(store) as c:
        c.commit([(store.points[0], T0 + 1, 5.0, 192)])


@pytest.mark.parametrize("victim", ["0003_readings", "0590_retention", "0600_engine", "0620_expiry"])
def test_killed_in_any_migration_it_goes_on_to_the_same_schema(
    fresh_database: Any, tmp_path: Path, victim: str
) -> None:
    fresh, dsn = fresh_database().dsn, fresh_database().dsn
    migrate(fresh, PASSWORDS)
    folder = earlier(tmp_path, {m.name for m in available()})
    file = folder / f"{victim}.sql"
    file.write_text(file.read_text() + "\nRESET ROLE; SELECT pg_terminate_backend(pg_backend_pid());")
    with pytest.raises(psycopg.OperationalError):
        migrate(dsn, PASSWORDS, folder=folder)
    assert pending(dsn)[0] == victim
    assert migrate(dsn, PASSWORDS)[0] == victim
    assert fingerprint(dsn) == fingerprint(fresh)


def test_the_engine_is_fixed_by_the_first_migration(fresh_database: Any) -> None:
    dsn = fresh_database().dsn
    migrate(dsn, PASSWORDS)
    assert describe_engine(dsn).startswith("plain PostgreSQL 1")
    assert migrate(dsn, engine=Engine.PLAIN) == []
    with pytest.raises(ConflictError, match="set up with the engine plain"):
        migrate(dsn, engine=Engine.TIMESCALE)


def test_an_engine_that_is_not_there_is_refused_before_anything_is_made(fresh_database: Any) -> None:
    dsn = fresh_database().dsn
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
    if row != (0,):
        pytest.skip("this PostgreSQL has TimescaleDB")
    with pytest.raises(UnavailableError, match="has no TimescaleDB"):
        migrate(dsn, PASSWORDS, engine=Engine.TIMESCALE)
    assert migrate(dsn, PASSWORDS) == [m.name for m in available()]


@pytest.mark.timescale
def test_a_server_with_timescaledb_is_used_by_itself_and_nobody_can_log_in_as_its_jobs(timescaledb: Any) -> None:
    name, dsn = timescaledb.create()
    assert pending(dsn) == [m.name for m in available(Engine.TIMESCALE)]
    assert migrate(dsn, PASSWORDS) == pending_names()
    assert migrate(dsn, PASSWORDS) == []
    assert describe_engine(dsn).startswith("TimescaleDB 2.")
    with psycopg.connect(dsn) as connection:
        limit = connection.execute(
            "SELECT rolconnlimit, rolpassword IS NULL FROM pg_authid WHERE rolname = 'servitize_owner'"
        ).fetchone()
        jobs = connection.execute("SELECT proc_name FROM timescaledb_information.jobs WHERE job_id >= 1000").fetchall()
    assert limit == (0, True)
    assert {job for (job,) in jobs} == {"policy_compression", "refresh_rollups"}
    timescaledb.drop(name)


def pending_names() -> list[str]:
    return [m.name for m in available(Engine.TIMESCALE)]
