"""Ingest as it runs: a real broker, a real database, the embedded host in this process or in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.equipment import ComponentDef, EquipmentType, PointDef
from ingest.routes import STATUS_TOPIC
from ingest.session import MqttSettings
from models.types import to_document
from storage import admin
from storage.migrate import WRITER, migrate
from tests.support.logins import PASSWORDS
from workbench.replay.publisher import Publisher, last_retained

POINTS = 8
RIG = EquipmentType(
    "rig",
    "Rig",
    components=(ComponentDef("rig", "Rig"),),
    points=tuple(PointDef(f"p{n}", "rig", "bar") for n in range(POINTS)),
)


@dataclass
class System:
    """A database with tenant ``acme`` and rigs ``rig-0`` …, a broker, and ingest processes started on demand."""

    dsn: str
    mqtt: MqttSettings
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    """More of the configuration than where things are."""

    def all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        return self.all(query, *values)[0][0]

    def counts(self) -> dict[str, int]:
        """Conservation counters by name, of all hops."""
        return {str(name): int(count) for name, count in self.all("SELECT name, count FROM servitize.conservation")}

    def start(self) -> subprocess.Popen[bytes]:
        """An ingest process; returns when the broker has taken its subscriptions."""
        process = self.launch()
        self.wait_until_served(process)
        return process

    def launch(self, *, database_port: int | None = None) -> subprocess.Popen[bytes]:
        """An ingest process that is not waited for."""
        config = self.folder / "ingest.json"
        database = make_conninfo(self.dsn, user=WRITER, password=PASSWORDS[WRITER])
        if database_port is not None:
            database = make_conninfo(database, port=database_port)
        told = {"database": database, "mqtt": asdict(self.mqtt), "snapshot_seconds": 1.0, **self.options}
        config.write_text(json.dumps(told))
        log = (self.folder / "ingest.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "stream_processors.process", "embedded", str(config)],
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[3],
        )
        self.processes.append(process)
        return process

    def wait_until_served(self, process: subprocess.Popen[bytes]) -> None:
        version = self.one("SELECT version FROM servitize.registry_version")
        deadline = time.monotonic() + 60

        def serves(payload: bytes) -> bool:
            status = json.loads(payload)
            return bool(status["online"]) and status.get("registry", -1) >= version and status.get("pid") == process.pid

        while not last_retained(self.mqtt_as("watch"), STATUS_TOPIC, serves, 1.0):
            assert process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()

    def mqtt_as(self, client_id: str) -> MqttSettings:
        settings = asdict(self.mqtt) | {"client_id": client_id}
        return MqttSettings(**settings)

    def publisher(self, name: str = "device") -> Publisher:
        return Publisher(self.mqtt, f"test-{name}-{os.getpid()}-{time.monotonic_ns()}")

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(60)

    def settle(self, done: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until ``done``; what it waits for is asserted by the test."""
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            time.sleep(0.2)

    def log(self) -> str:
        path = self.folder / "ingest.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""


@pytest.fixture(scope="session")
def ingest_template(database_factory: Any) -> str:
    database = database_factory()
    migrate(database.dsn, PASSWORDS)
    with psycopg.connect(database.dsn) as connection:
        admin.publish_type(connection, RIG, to_document(RIG))
        tenant = admin.create_tenant(connection, "acme", "Acme")
        for number in range(4):
            admin.create_equipment(connection, tenant, f"rig-{number}", RIG)
    return str(database.name)


@pytest.fixture
def system(fresh_database: Any, ingest_template: str, broker: Any, tmp_path: Path) -> Iterator[System]:
    database = fresh_database(template=ingest_template)
    service = broker.service
    mqtt = MqttSettings(
        host=service.host,
        port=service.port,
        username=service.username,
        password=service.password,
        client_id=f"ingest-{time.monotonic_ns()}",
    )
    system = System(database.dsn, mqtt, tmp_path)
    yield system
    for process in system.processes:
        if process.poll() is None:
            process.kill()
            process.wait()
    forget_session(system)


def forget_session(system: System) -> None:
    """The broker keeps a session for ever; a test's shall not collect the next test's messages."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=system.mqtt.client_id, clean_session=True)
    if system.mqtt.username is not None:
        client.username_pw_set(system.mqtt.username, system.mqtt.password)
    client.connect(system.mqtt.host, system.mqtt.port)
    client.loop_start()
    time.sleep(0.3)
    client.disconnect()
    client.loop_stop()


def data_folder() -> Path | None:
    """Public recordings: ``SERVITIZE_DATA``, or ``shared/data`` beside the project."""
    named = os.environ.get("SERVITIZE_DATA")
    folder = Path(named) if named else Path(__file__).parents[4] / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture
def recordings() -> Path:
    folder = data_folder()
    if folder is None:
        pytest.skip("public recordings are not here: set SERVITIZE_DATA to the folder that holds skab/, azure_pdm/ …")
    return folder


def readings(system: System) -> Sequence[tuple[Any, ...]]:
    return system.all(
        "SELECT e.key, p.key, servitize.to_us(r.ts), r.value, r.quality::int & 254 FROM servitize.reading r"
        " JOIN servitize.point p ON p.id = r.point_id JOIN servitize.equipment e ON e.id = p.equipment_id"
        " WHERE p.kind = 'measured' ORDER BY 1, 2, 3"
    )
