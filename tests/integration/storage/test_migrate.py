"""Migrations: whole or not at all, once, in order, and the same whichever way they came about."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.errors import ConflictError
from storage.migrate import API, OWNER, WRITER, available, migrate, pending
from tests.integration.storage.helpers import PASSWORDS

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
