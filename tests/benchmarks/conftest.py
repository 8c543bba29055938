"""A database as safe as in service: fsync, synchronous commits and full-page writes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from storage.migrate import migrate
from tests.conftest import clean_environ
from tests.integration.storage.helpers import Store, open_store, populate
from tests.support.logins import PASSWORDS


@pytest.fixture(scope="session")
def durable_postgres(session_data: DataDirectory) -> Iterator[LocalPostgres]:
    with LocalPostgres(session_data, port=0, environ=clean_environ()) as server:
        yield server


@pytest.fixture
def durable_store(durable_postgres: LocalPostgres) -> Iterator[Store]:
    dsn = durable_postgres.create_database("bench")
    migrate(dsn, PASSWORDS)
    populate(dsn)
    yield open_store(dsn)
    durable_postgres.drop_database("bench")
