"""A database with two organisations, their alarms, and whoever listens: receivers on sockets of our own."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from core.time import SECOND, to_datetime
from services.notifications.deliverer import Deliverer, Patience
from services.notifications.senders import SEAL, Channels, owner_of
from services.vetted import OutboundPolicy
from storage.sealing import Sealer
from tests.integration.api.conftest import World
from tests.integration.api.conftest import api_template as api_template
from tests.integration.api.conftest import world as world

MASTER = "a secret of the installation"
SECRET = b"s" * 32
NOON = datetime.fromisoformat("2026-11-23T12:00:00+00:00")
LOOPBACK = OutboundPolicy(allowed=(ip_network("127.0.0.0/8"),), seconds=2.0)


@dataclass
class Book:
    """What the tests do to the tables of notifications, as the platform."""

    world: World

    def endpoint(self, address: str, kind: str = "webhook", tenant: int | None = None) -> int:
        party = tenant or self.world.a.id
        number = int(
            self.world.as_owner(
                "INSERT INTO servitize.notification_endpoint (tenant_id, name, kind, address)"
                " VALUES (%s, %s, %s, %s) RETURNING id",
                [party, address[:50], kind, address],
            )[0][0]
        )
        sealed = Sealer(MASTER, SEAL).seal(SECRET, owner_of(number))
        self.world.as_owner("UPDATE servitize.notification_endpoint SET secret = %s WHERE id = %s", [sealed, number])
        return number

    def subscribe(self, endpoint: int | None, tenant: int | None = None, **more: Any) -> int:
        columns = {"tenant_id": tenant or self.world.a.id, "name": "s", "endpoint_id": endpoint, **more}
        names, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
        sql = f"INSERT INTO servitize.subscription ({names}) VALUES ({places}) RETURNING id"
        self.begin()
        return int(self.world.as_owner(sql, list(columns.values()))[0][0])

    def begin(self) -> None:
        """From here on: the deliverer starts at the head."""
        self.world.execute("SELECT servitize.sequence_outbox()")
        self.world.execute("SELECT servitize.fan_out(now(), 1000)")

    def event(self, priority: str = "high", kind: str = "alarm", equipment: int | None = None, **payload: Any) -> int:
        """One event in the outbox, numbered; its number."""
        body = {"title": "it is hot", "priority": priority, "event": "raised", **payload}
        self.world.as_owner(
            "INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload) VALUES (%s, %s, %s, %s)",
            [self.world.a.id, equipment or self.world.a.equipment, kind, Jsonb(body)],
        )
        return int(self.world.execute("SELECT servitize.sequence_outbox()")[0][0])

    def fan_out(self, at: datetime = NOON) -> int:
        return int(self.world.execute("SELECT servitize.fan_out(%s, 1000)", [at])[0][0])

    def escalate(self, at: datetime) -> int:
        return int(self.world.execute("SELECT servitize.escalate(%s, 1000)", [at])[0][0])

    def take(self, at: datetime, seconds: float = 60, at_most: int = 100) -> list[dict[str, Any]]:
        rows = self.world.execute(
            "SELECT to_jsonb(t) - 'secret' - 'former_secret' FROM servitize.take_deliveries(%s, %s, %s) t",
            [at, at + timedelta(seconds=seconds), at_most],
        )
        return [row for (row,) in rows]

    def finish(
        self, taken: dict[str, Any], happened: str, at: datetime, lease: datetime, due: datetime | None = None
    ) -> bool:
        return bool(
            self.world.execute(
                "SELECT servitize.finish_deliveries(%s, %s, %s, %s, %s, NULL, 'x')",
                [taken["delivery_ids"], happened, at, lease, due],
            )[0][0]
        )

    def deliveries(self) -> list[tuple[int, int, str, datetime]]:
        """(seq, stage, state, due) in order."""
        return self.world.execute("SELECT seq, stage, state, due_at FROM servitize.delivery ORDER BY seq, stage, id")

    def states(self) -> dict[str, int]:
        rows = self.world.execute("SELECT state, count(*) FROM servitize.delivery GROUP BY state")
        return {state: int(n) for state, n in rows}


@pytest.fixture
def book(world: World) -> Book:
    """With nobody subscribed."""
    names = ("delivery", "delivery_attempt", "escalation_timer", "escalation_step", "subscription", "on_call_override")
    more = ("on_call_member", "on_call_schedule", "notification_endpoint")
    world.as_owner(f"TRUNCATE {', '.join(f'servitize.{name}' for name in (*names, *more))}")
    return Book(world)


@dataclass
class Receiver:
    """A web server of few words: ``answer(request_number, head, body)`` gives the bytes to send back, None hangs up."""

    answer: Callable[[int, str, bytes], bytes | None]
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Receiver:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def _run(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line:
            line.settimeout(5)
            data = b""
            try:
                while b"\r\n\r\n" not in data:
                    more = line.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, body = data.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")[1:]
                headers = {name.lower(): value for name, _, value in (entry.partition(": ") for entry in lines)}
                while len(body) < int(headers.get("content-length", 0)):
                    body += line.recv(65536)
                self.got.append((headers, body))
                answer = self.answer(len(self.got), head.decode("latin-1"), body)
                if answer is not None:
                    line.sendall(answer)
            except OSError:
                return

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    @property
    def events(self) -> list[int]:
        return [json.loads(body)["seq"] for _, body in self.got]


OK = b"HTTP/1.1 204 No Content\r\n\r\n"
SOON = Patience(delays=(0.05, 0.05, 0.1, 0.1, 0.1, 0.1), lease=20.0)


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.05)
    return true()


@pytest.fixture
def deliver(world: World) -> Iterator[Callable[..., Deliverer]]:
    """Starts deliverers, and stops them at the end."""
    started: list[Deliverer] = []

    def start(channels: Channels | None = None, patience: Patience = SOON) -> Deliverer:
        one = Deliverer(lambda: world.writer_dsn, channels or Channels(outbound=LOOPBACK, master=MASTER), patience)
        one.start()
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()


def at(seconds: float) -> datetime:
    """So long after noon."""
    return to_datetime(round(NOON.timestamp() + seconds) * SECOND)


def connect(world: World) -> psycopg.Connection[Any]:
    return psycopg.connect(world.writer_dsn, autocommit=True)
