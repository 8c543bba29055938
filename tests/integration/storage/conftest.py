"""A migrated and populated database per test: a copy of one template."""

from __future__ import annotations

from typing import Any

import pytest

from storage.migrate import migrate
from tests.integration.storage.helpers import PASSWORDS, Store, open_store, populate

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
