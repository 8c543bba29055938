"""From a request over a real broker to a simulated compressor and back; nothing is lost when either side is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from models.types import catalog, to_document
from runtime.commands import Commands
from runtime.demo.control import DemoControl
from runtime.demo.fleet import DemoFleet
from runtime.demo.plan import Segment
from runtime.local.broker import LocalBroker
from runtime.local.postgres import LocalPostgres
from storage import admin
from storage.migrate import API, WRITER, migrate
from storage.queries import load
from tests.conftest import Database

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


def until(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come in time")


class Machine:
    """The demonstration's K-101 on a line of its own."""

    def __init__(self, broker: Any) -> None:
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, "demo.gateway", clean_session=False)
        self.client.username_pw_set(broker.username, broker.password)
        self.control = DemoControl("demo", self.say)
        self.client.on_connect = lambda client, *_: client.subscribe(self.control.topics())
        self.client.on_message = lambda client, data, message: self.control.hear(bytes(message.payload), message.topic)
        self.fleet = DemoFleet(1, Segment(1, 1_780_000_000_000_000, 1_780_400_000_000_000, 30, ()))
        self.instants = self.fleet.instants()
        self.broker = broker

    def say(self, topic: str, payload: bytes) -> None:
        self.client.publish(topic, payload, qos=1)

    def online(self) -> None:
        self.client.connect(self.broker.host, self.broker.port)
        self.client.loop_start()
        self.control.take_over(self.fleet)

    def offline(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def run(self, count: int) -> bool:
        for _ in range(count):
            next(self.instants)
            self.control.work()
        return True


@pytest.fixture
def place(fresh_database: Callable[..., Database], postgres: LocalPostgres) -> Database:
    database = fresh_database()
    migrate(database.dsn, {role: postgres.password(role) for role in (API, WRITER)})
    return database


def test_a_speed_change_goes_to_the_machine_and_back(
    place: Database, postgres: LocalPostgres, broker: LocalBroker
) -> None:
    type_ = catalog()["compressor-train"]
    with psycopg.connect(place.dsn) as connection:
        connection.execute("SET ROLE servitize_owner")
        tenant = admin.create_tenant(connection, "demo", "Demo")
        admin.publish_type(connection, type_, to_document(type_))
        equipment = admin.create_equipment(connection, tenant, "K-101", type_)
    dsn = postgres.dsn(WRITER, place.name)
    queries = load("api_commands")

    def api(name: str, **values: Any) -> Any:
        with psycopg.connect(postgres.dsn(API, place.name)) as c:
            c.execute("SELECT set_config('servitize.tenant', %s, true)", (str(tenant),))
            return getattr(queries, name)(c, **values)

    def ask(key: str, speed: float | None, of_class: str = "adjust") -> int:
        parameters = "{}" if speed is None else f'{{"speed": {speed}}}'
        number = api(
            "request_command", equipment=equipment, key=key, title=key, of_class=of_class, parameters=parameters,
            conditions='[{"outside": [4420, 5980], "parameter": "speed", "from": "train.speed", "text": "critical"}]'
            if speed else "[]",
            needed=0 if of_class == "read" else 1, valid_us=60_000_000, against=None, why="", who="anna",
        )  # fmt: skip
        if of_class != "read":
            api("approve_command", command=number, why="", who="ben")
        return int(number)

    def one(sql: str, *values: Any) -> Any:
        with psycopg.connect(place.dsn) as c:
            row = c.execute(sql.encode(), values).fetchone()
            return None if row is None else row[0]

    def state(number: int) -> str:
        return str(one("SELECT state FROM servitize.command WHERE id = %s", number))

    machine = Machine(broker.service)
    machine.online()
    commands = Commands(lambda: dsn, lambda: broker.service)
    commands.start()
    try:
        machine.run(2)
        mode = "SELECT reported FROM servitize.twin_property WHERE key = 'control_mode'"
        while one(mode) is None:  # the platform may begin to listen after it first spoke
            machine.control.take_over(machine.fleet)
            time.sleep(0.3)
        assert one(mode) == "remote"
        speed_point = one("SELECT id FROM servitize.point WHERE equipment_id = %s AND key = 'train.speed'", equipment)
        with psycopg.connect(dsn) as c:
            c.execute(
                "INSERT INTO servitize.latest_reading VALUES (%s, now() + interval '1 minute', 10000, 192, now())",
                (speed_point,),
            )
        number = ask("set_speed", 9_000)
        until(lambda: machine.run(1) and state(number) in ("succeeded", "rejected"))
        story = one(
            "SELECT string_agg(event, ' ' ORDER BY id) FROM servitize.command_step WHERE command_id = %s", number
        )
        assert story.startswith("request consent approve dispatch")
        assert state(number) == "succeeded", story
        machine.run(180)
        _, values = machine.fleet.latest("K-101")
        assert values["train.speed"] == pytest.approx(9_000, rel=0.005)
        # offline: sent on proof of the broker, no further; back again: done, once
        machine.offline()
        waiting = ask("read_settings", None, "read")
        until(lambda: state(waiting) == "sent")
        commands.stop()
        machine.online()
        until(lambda: machine.run(1) and machine.control._devices["K-101"].memory.get(waiting))
        assert state(waiting) == "sent"  # its answer waits at the broker for us
        again = Commands(lambda: dsn, lambda: broker.service)
        again.start()
        until(lambda: state(waiting) == "succeeded")
        again.stop()
    finally:
        commands.stop()
        machine.offline()
