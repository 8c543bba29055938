"""A migrated and populated database per test: a copy of one template, on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from storage.migrate import Engine, migrate
from tests.integration.storage.helpers import Store, open_store, populate
from tests.support import timescale
from tests.support.logins import PASSWORDS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def storage_template(database_factory: Any) -> str:
    database = database_factory()
    migrate(database.dsn, PASSWORDS)
    populate(database.dsn)
    return str(database.name)


@pytest.fixture
def store(fresh_database: Any, storage_template: str) -> Store:
    return open_store(fresh_database(template=storage_template).dsn)


@pytest.fixture(scope="session")
def timescaledb() -> Iterator[timescale.Timescale]:
    """TimescaleDB, or a skip that says in one line what is missing."""
    try:
        server = timescale.start()
    except timescale.NotHereError as missing:
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def timescale_template(timescaledb: timescale.Timescale) -> str:
    name, dsn = timescaledb.create()
    migrate(dsn, PASSWORDS, engine=Engine.TIMESCALE)
    populate(dsn)
    timescaledb.freeze(name)
    return name


@pytest.fixture
def timescale_store(timescaledb: timescale.Timescale, timescale_template: str) -> Iterator[Store]:
    name, dsn = timescaledb.create(timescale_template)
    yield open_store(dsn, Engine.TIMESCALE)
    timescaledb.drop(name)


@pytest.fixture(params=["plain", pytest.param("timescale", marks=pytest.mark.timescale)])
def engine_store(request: pytest.FixtureRequest) -> Store:
    """A store on each engine in turn."""
    return request.getfixturevalue("store" if request.param == "plain" else "timescale_store")
