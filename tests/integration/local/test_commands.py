"""From a request over a real broker to a simulated compressor and back; nothing is lost when either side is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from models.types import catalog, from_document, to_document
from runtime.commands import Commands
from runtime.demo.control import DemoControl
from runtime.demo.fleet import DemoFleet
from runtime.demo.plan import Segment
from runtime.local.broker import LocalBroker
from runtime.local.postgres import LocalPostgres
from services.api.settings import ApiSettings
from storage import admin
from storage.migrate import API, WRITER, migrate
from storage.queries import load
from tests.conftest import Database
from tests.integration.api.conftest import serving

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


def registered(place: Database) -> tuple[int, int]:
    """Numbers of the tenant and of K-101, of the catalogue's type."""
    type_ = catalog()["compressor-train"]
    with psycopg.connect(place.dsn) as connection:
        connection.execute("SET ROLE servitize_owner")
        tenant = admin.create_tenant(connection, "demo", "Demo")
        admin.publish_type(connection, type_, to_document(type_))
        return tenant, admin.create_equipment(connection, tenant, "K-101", type_)


def test_a_speed_change_goes_to_the_machine_and_back(
    place: Database, postgres: LocalPostgres, broker: LocalBroker
) -> None:
    tenant, equipment = registered(place)
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


class Control:
    """Two people at the API of a platform that has the simulated machine's readings, and the machine itself."""

    def __init__(
        self, machine: Machine, dsn: str, equipment: int, asking: httpx2.Client, agreeing: httpx2.Client
    ) -> None:
        self.machine, self.dsn, self.equipment = machine, dsn, equipment
        self.asking, self.agreeing = asking, agreeing

    @property
    def speed(self) -> float:
        return self.machine.fleet.latest("K-101")[1]["train.speed"]

    def see(self, age: str = "0 s", **changed: float) -> None:
        """Its last readings reach the platform, some of them changed (``__`` for a dot in a key)."""
        values = self.machine.fleet.latest("K-101")[1] | {key.replace("__", "."): v for key, v in changed.items()}
        with psycopg.connect(self.dsn) as c:
            c.execute(
                "INSERT INTO servitize.latest_reading SELECT p.id, now() - %s::interval, v.value, 192, now()"
                " FROM unnest(%s::text[], %s::float8[]) v (key, value)"
                " JOIN servitize.point p ON p.equipment_id = %s AND p.key = v.key"
                " ON CONFLICT (point_id) DO UPDATE SET ts = excluded.ts, value = excluded.value",
                (age, list(values), list(values.values()), self.equipment),
            )

    def ask(self, command: str, **parameters: float) -> Any:
        made = self.asking.post("/v1/equipment/K-101/commands", json={"command": command, "parameters": parameters})
        assert made.status_code == 201, made.text
        return made.json()

    def journal(self, number: int) -> list[tuple[str, str]]:
        steps = self.asking.get(f"/v1/commands/{number}/journal").json()["items"]
        return [(step["event"], step["note"]) for step in steps]

    def blocked(self, speed: float, why: str) -> None:
        """A change to that speed is held back, and the journal says why."""
        held = self.ask("set_speed", speed=speed)
        assert held["state"] == "rejected", (why, held)
        asked, block = self.journal(held["id"])
        assert (asked[0], block[0]) == ("request", "block")
        assert why in block[1]
        assert block[1] == held["blocked"]

    def done(self, number: int) -> Any:
        """Agreed by the other person and carried through, however it ends."""
        agreed = self.agreeing.post(f"/v1/commands/{number}/approve")
        assert agreed.status_code == 200, agreed.text

        def ended() -> Any:
            self.machine.run(1)
            found = self.asking.get(f"/v1/commands/{number}").json()
            return found if found["state"] in ("succeeded", "failed", "rejected") else None

        return until(ended)


@pytest.fixture
def control(place: Database, postgres: LocalPostgres, broker: LocalBroker) -> Iterator[Control]:
    tenant, equipment = registered(place)
    with psycopg.connect(place.dsn) as connection:
        connection.execute("SET ROLE servitize_owner")
        keys = [
            admin.create_api_key(connection, tenant, who, scopes=["read", "operate"], person=who).text
            for who in ("Anna", "Ben")
        ]
    dsn = postgres.dsn(WRITER, place.name)
    with psycopg.connect(dsn) as c:
        c.execute("INSERT INTO servitize.state_change VALUES (%s, now() - interval '1 hour', 'loaded')", (equipment,))
    machine = Machine(broker.service)
    machine.online()
    commands = Commands(lambda: dsn, lambda: broker.service)
    commands.start()
    try:
        with (
            serving(ApiSettings(postgres.dsn(API, place.name)), parse=from_document) as api,
            api.client(keys[0]) as asking,
            api.client(keys[1]) as agreeing,
        ):
            made = Control(machine, dsn, equipment, asking, agreeing)
            machine.run(2)
            _says(made, "remote")
            yield made
    finally:
        commands.stop()
        machine.offline()


def _says(control: Control, mode: str) -> None:
    """The machine says its mode until the platform has heard it."""

    def heard() -> bool:
        control.machine.control.take_over(control.machine.fleet)
        time.sleep(0.3)
        twin = control.asking.get("/v1/equipment/K-101/twin").json()["properties"]
        return any((p["key"], p["reported"]) == ("control_mode", mode) for p in twin)

    until(heard)


def test_what_the_machine_s_situation_forbids_is_blocked_and_what_it_allows_is_done(control: Control) -> None:
    """Issue 10's second proof, over the catalogue's own interlocks, the API, the broker and the simulated machine."""
    faster, slower = control.speed + 200.0, control.speed - 800.0
    troubles: list[tuple[dict[str, Any], str]] = [
        ({"process__inlet_flow": 8.4}, "predicted surge margin"),  # 10.3 % as it runs, 8.4 % faster
        ({"compressor__rotor__de_x_pp": 70.0}, "shaft vibration"),
        ({"lube_oil__header_pressure": 1.0}, "lube oil"),
    ]
    for readings, said in troubles:
        control.see(**readings)
        control.blocked(faster, said)
        assert control.ask("set_speed", speed=slower)["state"] == "requested", f"{said}: slower stays possible"
        control.blocked(4_300.0, "critical")
    control.see(age="5 min")
    control.blocked(slower, "old")
    control.see()
    control.blocked(5_000.0, "critical")
    device = control.machine.control._devices["K-101"]
    device.local = True
    _says(control, "local")
    control.blocked(slower, "the machine is in local")
    device.local = False
    _says(control, "remote")

    asked = control.ask("set_speed", speed=slower)
    assert control.asking.post(f"/v1/commands/{asked['id']}/approve").status_code == 403
    done = control.done(asked["id"])
    assert (done["state"], done["result"]) == ("succeeded", {"speed_set_point": slower})
    story = [event for event, _ in control.journal(asked["id"])]
    assert story[:4] == ["request", "consent", "approve", "dispatch"]
    assert {"acknowledged", "received", "started", "done"} <= set(story)
    control.machine.run(180)
    assert control.speed == pytest.approx(slower, rel=0.005)

    # turned to local when nobody had heard of it yet: the machine itself refuses
    control.see()
    asked = control.ask("set_speed", speed=slower + 100.0)
    device.local = True
    refused = control.done(asked["id"])
    assert refused["state"] == "rejected"
    assert any("in local" in note for _, note in control.journal(asked["id"]))
    device.local = False
    _says(control, "remote")

    control.see()
    stopped = control.done(control.ask("unload")["id"])
    assert stopped["state"] == "succeeded", stopped
    control.machine.run(180)
    assert control.speed < 5.0
