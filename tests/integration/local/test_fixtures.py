"""The fixtures that other tests stand on."""

from __future__ import annotations

import psycopg
import pytest

from runtime.local.broker import LocalBroker
from runtime.local.mqtt_probe import is_let_in
from tests.conftest import DatabaseFactory

pytestmark = pytest.mark.integration


def test_a_fresh_database_is_empty_or_a_copy(fresh_database: DatabaseFactory) -> None:
    template = fresh_database()
    with psycopg.connect(template.dsn) as connection:
        connection.execute("CREATE TABLE made (n int)")
    copy = fresh_database(template=template.name)
    with psycopg.connect(copy.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM made").fetchone() == (0,)
    with psycopg.connect(fresh_database().dsn) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT count(*) FROM made")


def test_the_broker_lets_the_service_in_and_nobody_else(broker: LocalBroker) -> None:
    at = broker.service
    assert at.username is not None
    assert at.password is not None
    assert is_let_in(at.host, at.port, at.username, at.password)
    assert not is_let_in(at.host, at.port, at.username, "guess")
