"""What the API asks for is done at the broker within a second: devices in and out, dead letters sent again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from core.time import to_datetime
from runtime.devices import credential
from runtime.local.access import DeviceCredential
from runtime.local.broker import LocalBroker
from runtime.local.errors import AccessError
from runtime.local.postgres import LocalPostgres
from runtime.orders import Orders
from storage import admin, secrets
from storage.migrate import API, WRITER, migrate
from tests.conftest import Database, DatabaseFactory
from tests.integration.local.test_broker import KINDS, client, eventually, needs_plugin
from tests.integration.local.test_broker import make as make  # fixture: a broker of a kind

pytestmark = pytest.mark.integration

MASTER = "a secret of the installation"


class Tenant:
    """What the API does for a tenant, by the functions that it calls."""

    def __init__(self, postgres: LocalPostgres, database: Database) -> None:
        migrate(database.dsn, {role: postgres.password(role) for role in (API, WRITER)})
        self.writer = postgres.dsn(WRITER, database.name)
        self._api = postgres.dsn(API, database.name)
        with psycopg.connect(database.dsn) as connection:
            self.id = admin.create_tenant(connection, "acme", "Acme")
        with psycopg.connect(self.writer) as connection:
            self.letter = connection.execute(
                "INSERT INTO servitize.dead_letter (hash, tenant_id, topic, payload, payload_bytes, reason, detail,"
                " first_received_at, last_received_at) VALUES ('h', %s, 'servitize/v1/acme/K/telemetry', '{}', 2, 'x',"
                " '', %s, %s) RETURNING id",
                [self.id, to_datetime(0), to_datetime(0)],
            ).fetchone()[0]  # type: ignore[index]

    def call(self, sql: str, *values: Any) -> Any:
        with psycopg.connect(self._api) as connection:
            connection.execute("SELECT set_config('servitize.tenant', %s, true)", [str(self.id)])
            row = connection.execute(sql, values).fetchone()
            return row[0] if row else None

    def gateway(self, name: str) -> tuple[int, DeviceCredential]:
        nonce = secrets.new_nonce()
        password = secrets.derived_password(MASTER, nonce)
        sql = "SELECT servitize.register_device(NULL, %s, NULL, %s, %s)"
        number = self.call(sql, name, nonce, secrets.digest(password))
        return number, credential("acme", None, f"acme.{name}", f"acme.{name}", password)

    def problem(self, device: int) -> str | None:
        return str(self.call("SELECT problem FROM servitize.device_order WHERE device_id = %s", device))

    def told(self, device: int) -> bool:
        sql = "SELECT done_at IS NOT NULL FROM servitize.device_order WHERE device_id = %s"
        return eventually(lambda: bool(self.call(sql, device)), 20.0)


@pytest.fixture
def tenant(postgres: LocalPostgres, database_factory: DatabaseFactory) -> Iterator[Tenant]:
    database = database_factory()
    yield Tenant(postgres, database)
    postgres.drop_database(database.name)


def doing(tenant: Tenant, broker: Any) -> Orders:
    return Orders(lambda: tenant.writer, broker, lambda: broker.service, lambda: MASTER)


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_device_made_by_api_comes_in_is_renewed_and_shut_out(
    make: Callable[..., LocalBroker], tenant: Tenant, kind: str
) -> None:
    early, before = tenant.gateway("early")  # asked for while nobody listened
    with make(kind) as broker:
        orders = doing(tenant, broker)
        orders.start()
        try:
            number, device = tenant.gateway("hall-2")
            assert tenant.told(number)
            assert tenant.told(early)
            for who in (before, device):
                with client(broker, who) as connection:
                    assert connection.let_in
            nonce = secrets.new_nonce()
            password = secrets.derived_password(MASTER, nonce)
            tenant.call("SELECT servitize.renew_device(%s, %s, %s)", number, nonce, secrets.digest(password))
            assert tenant.told(number)
            with client(broker, device) as connection:
                assert not connection.let_in
            with client(broker, replace(device, password=password)) as connection:
                assert connection.let_in
                tenant.call("SELECT servitize.shut_device_out(%s)", number)
                assert connection.disconnected.wait(20)
            with client(broker, replace(device, password=password)) as connection:
                assert not connection.let_in
        finally:
            orders.stop()


@needs_plugin
def test_a_dead_letter_asked_for_is_sent_again_and_marked(make: Callable[..., LocalBroker], tenant: Tenant) -> None:
    with make("dynamic") as broker, client(broker) as service:
        service.subscribe("servitize/#")
        orders = doing(tenant, broker)
        orders.start()
        try:
            tenant.call("SELECT servitize.request_replay(%s, 'me')", tenant.letter)
            assert eventually(lambda: ("servitize/v1/acme/K/telemetry", b"{}") in service.received)
            marked = "SELECT replayed_at IS NOT NULL FROM servitize.dead_letter"
            assert eventually(lambda: bool(tenant.call(marked)))
        finally:
            orders.stop()


class Nobody:
    """A broker that is managed elsewhere, and one that is away."""

    service = None

    def provision(self, credentials: Any) -> None:
        raise AccessError("managed elsewhere", hint="go there")

    def revoke(self, username: str) -> bool:
        return False


def test_what_cannot_be_done_says_why_and_dead_letters_wait(tenant: Tenant) -> None:
    orders = doing(tenant, Nobody())
    orders.start()
    try:
        number, _ = tenant.gateway("hall-3")
        tenant.call("SELECT servitize.request_replay(%s, 'me')", tenant.letter)
        assert tenant.told(number)
        assert tenant.problem(number) == "managed elsewhere; go there"
        foreign = tenant.call("SELECT servitize.register_device(NULL, 'g', NULL, 'n', 'h')")  # by another master
        assert tenant.told(foreign)
        assert "another installation" in str(tenant.problem(foreign))
        time.sleep(0.1)
        assert tenant.call("SELECT count(*) FROM servitize.replay_request") == 1
    finally:
        orders.stop()


def test_it_waits_for_a_database_that_is_away_and_stops_when_told() -> None:
    orders = Orders(lambda: "host=127.0.0.1 port=1 connect_timeout=1", Nobody(), lambda: None, lambda: MASTER)
    orders.start()
    time.sleep(0.1)
    began = time.monotonic()
    orders.stop()
    assert time.monotonic() - began < 3
    assert not [t for t in threading.enumerate() if t.name == "orders"]
