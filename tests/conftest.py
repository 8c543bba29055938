"""Fixtures that start the real thing: one PostgreSQL, one MQTT broker and one Kafka for the whole session.

They are taken from the machine, else from the wheels, exactly as the embedded host takes them; variables of the
user's (``SERVITIZE_DATABASE_URL``, ``SERVITIZE_MQTT_URL``, ``SERVITIZE_HOME``) are left aside, so that a test can never
write into somebody's data.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from runtime.local.accounts import service_account
from runtime.local.broker import LocalBroker
from runtime.local.kafka import LocalKafka
from runtime.local.paths import DataDirectory
from runtime.local.postgres import OWNER, SUPERUSER, LocalPostgres
from tests.support.logins import PASSWORDS

TOGETHER = {
    "the whole system": ("tests/e2e/", "tests/faults/"),
    "both engines": ("tests/integration/storage/", "tests/integration/boards/"),
    "Kafka": ("tests/integration/cluster/",),
}
"""Folders whose tests one process has, one after the other: those of the whole system mostly wait for processes, and
would wait for one another; the rest share servers that take long to start."""


class ByRoom(LoadScopeScheduling):  # type: ignore[misc]
    """Shares the test files among processes, and keeps together what belongs together."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return next((name for name, folders in TOGETHER.items() if file.startswith(folders)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByRoom:
    return ByRoom(config, log)


@dataclass(frozen=True)
class Database:
    """One database of a test: ``dsn`` for its owner (login ``servitize``), ``superuser_dsn`` for what needs that."""

    name: str
    dsn: str
    superuser_dsn: str


DatabaseFactory = Callable[..., Database]
"""``make(template: str | None = None) -> Database``: empty, or a copy of the database named ``template``."""


def short_directory() -> Path:
    """A new directory right below the system's temporary one: other users can reach it, and socket paths fit."""
    return Path(tempfile.mkdtemp(prefix="servitize-test-"))


def clean_environ() -> dict[str, str]:
    """The environment without what would lead to servers or data of the user's."""
    kept = ("SERVITIZE_USER", "SERVITIZE_POSTGRES_BIN", "SERVITIZE_MQTT_BROKER", "SERVITIZE_KAFKA_JARS")
    return {key: value for key, value in os.environ.items() if not key.startswith("SERVITIZE_") or key in kept}


@pytest.fixture(scope="session")
def session_data() -> Iterator[DataDirectory]:
    """The data directory that the session's database and broker share; removed at the end."""
    root = short_directory()
    with DataDirectory(root, service_account(clean_environ())) as data:
        for role, password in PASSWORDS.items():
            data.write_private(data.secret_path(f"database-{role}"), password)
        yield data
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(session_data: DataDirectory) -> Iterator[LocalPostgres]:
    """A real PostgreSQL for the whole session. Without fsync: these tests never cut the power."""
    fast = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
    with LocalPostgres(session_data, port=0, settings=fast, environ=clean_environ()) as server:
        yield server


@pytest.fixture(scope="session")
def database_factory(postgres: LocalPostgres) -> DatabaseFactory:
    """Makes databases that live until the session ends, e.g. a migrated one to be the template of many tests."""
    numbers = itertools.count(1)

    def make(template: str | None = None) -> Database:
        name = f"test_{next(numbers)}"
        dsn = postgres.create_database(name, template=template, owner=OWNER)
        return Database(name, dsn, postgres.dsn(SUPERUSER, name))

    return make


@pytest.fixture
def fresh_database(postgres: LocalPostgres, database_factory: DatabaseFactory) -> Iterator[DatabaseFactory]:
    """Makes databases that are dropped when the test ends: ``fresh_database()`` or ``fresh_database(template=…)``."""
    made: list[Database] = []

    def make(template: str | None = None) -> Database:
        made.append(database_factory(template))
        return made[-1]

    yield make
    for database in made:
        postgres.drop_database(database.name)


@pytest.fixture(scope="session")
def broker(session_data: DataDirectory) -> Iterator[LocalBroker]:
    """A real MQTT broker for the whole session: Mosquitto if it is there, else the iotcore wheel's.

    ``broker.service`` is where and as whom to connect, ``broker.provision([...])`` lets devices in,
    ``broker.capabilities`` says what it can do.
    """
    with LocalBroker(session_data, port=0, environ=clean_environ()) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(session_data: DataDirectory) -> Iterator[LocalKafka]:
    """A real Apache Kafka for the whole session; tests tell themselves apart by their topics (``kafka.bootstrap``)."""
    with LocalKafka(session_data, port=0, fast_start=True, environ=clean_environ()) as server:
        yield server
