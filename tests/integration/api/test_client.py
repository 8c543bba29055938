"""The Python client against the real API, by the blocks of its how-to; and what it does when the line is bad."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest

from core.time import DAY, to_datetime
from services.predictive_maintenance.examples import ADVISORY, WORK_DETAIL
from servitize_client import AsyncClient, Client, ConflictError, NoAnswerError, UnavailableError
from servitize_client.decode import decode
from servitize_client.models import Advisory, WorkOrder
from tests.integration.api.conftest import T0, Running, World
from tests.integration.api.test_maintenance import MAINTENANCE, until

pytestmark = [pytest.mark.integration, pytest.mark.documented]

PAGE = Path(__file__).parents[3] / "docs/how-to/use-the-python-client.md"


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_how_to_runs_from_its_first_line_to_its_last(
    world: World, api: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(world.owner_dsn) as connection:
        connection.execute(b"SET ROLE servitize_owner")
        connection.execute(
            b"UPDATE servitize.equipment_type SET revision = revision + 1, document = document || %s",
            [json.dumps({"maintenance": {**MAINTENANCE, "tasks": MAINTENANCE["tasks"][:1]}})],
        )
    more = {"failure_mode": "wear", "value": 7.9, "limit": 7.1, "point": "vibration"}
    world.transition(world.a.equipment, "bearing/vibration/zone_c", "raised", T0 + DAY, **more)
    names: dict[str, Any] = {"URL": api.url, "KEY": world.a.keys["all"], "PICTURE": b"\xff\xd8\xff\xe0 a picture"}
    with Client(api.url, world.a.keys["all"]) as client:
        until(lambda: any(x.failure_mode == "wear" for x in client.advisories(state=["open"])))
    for number, block in enumerate(blocks(), 1):
        exec(compile(block, f"{PAGE.name} block {number}", "exec"), names)
    shown = capsys.readouterr().out
    for said in ("Change the bearing", "act by", "(holds)", "does not allow start", "done", "expected loss"):
        assert said in shown, shown


def test_every_operation_is_one_of_the_document(api: Running) -> None:
    """Methods and paths that the client speaks are those that the API has."""
    from services.api.app import create_app
    from services.api.settings import ApiSettings

    document = create_app(ApiSettings("")).openapi()
    known = {
        (method.upper(), re.sub(r"\{\w+\}", "*", path)) for path, ways in document["paths"].items() for method in ways
    }
    source = inspect.getsource(Client)
    spoken = set()
    for verb, path in re.findall(r"calls\.(get|pages|post|put)\(\s*m\.\w+,\s*f?\"(/v1[^\"]*)\"", source):
        spoken.add(({"pages": "GET"}.get(verb, verb.upper()), re.sub(r"\{[^}]*\}", "*", path)))
    for step in re.findall(r"calls\.work_step\(\s*work_order,\s*\"(\w+)\"", source):
        spoken.add(("POST", f"/v1/work-orders/*/{step}"))
    for step in re.findall(r"calls\.decision\(\s*advisory,\s*\"(\w+)\"", source):
        spoken.add(("POST", f"/v1/advisories/*/{step}"))
    assert len(spoken) > 22
    assert spoken - known == set()


def test_examples_of_the_document_decode_with_every_field() -> None:
    advisory, order = decode(Advisory, ADVISORY), decode(WorkOrder, WORK_DETAIL)
    assert advisory.work is not None
    assert advisory.due_at == to_datetime(1_795_946_400_000_000)
    assert (advisory.evidence[0].detail["value"], advisory.work.parts[0].key) == (4.9, "bearing-6222-c3")
    assert (order.entries[0].quantity, order.photos[0].bytes) == (order.entries[0].quantity, 48213)
    for found in (advisory, order):
        missing = [
            n for n in found.__slots__ if n in ("title", "state", "work", "allowed") and getattr(found, n) is None
        ]
        assert missing == []


class Moody(BaseHTTPRequestHandler):
    """Refuses for load, breaks the line, or says half of an answer, by plan; remembers idempotency keys."""

    plan: ClassVar[list[str]] = []
    keys: ClassVar[list[str | None]] = []
    resumed: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        self.keys.append(self.headers.get("Idempotency-Key"))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mood = self.plan.pop(0)
        if mood == "break":
            self.connection.close()
            return
        status = {"busy": 503, "ok": 200, "conflict": 409}[mood]
        body = json.dumps({"on_hand": "1", "available": "1", "type": "/docs#conflict", "title": "t", "detail": "d"})
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self) -> None:
        self.resumed.append(self.headers.get("Last-Event-ID"))
        seq = int(self.headers.get("Last-Event-ID") or 6)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"event: ready\nid: {seq}\ndata: {{}}\n\n: alive\n\n".encode())
        self.wfile.write(f'event: alarm\nid: {seq + 1}\ndata: {{"payload": {{"n": {seq + 1}}}}}\n\nevent: al'.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def moody() -> Iterator[str]:
    Moody.plan, Moody.keys, Moody.resumed = [], [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_a_retry_is_the_same_request(moody: str) -> None:
    Moody.plan += ["busy", "break", "ok"]
    with Client(moody, "sv_x") as client:
        assert client.move_stock("brg", "received", 1).on_hand == 1
    assert len(Moody.keys) == 3
    assert len(set(Moody.keys)) == 1
    assert Moody.keys[0]


def test_what_helps_nothing_is_not_tried_again_and_patience_ends(moody: str) -> None:
    Moody.plan += ["conflict"]
    with Client(moody, "sv_x", patience=0.5) as client:
        with pytest.raises(ConflictError, match="t: d"):
            client.move_stock("brg", "received", 1)
        Moody.plan += ["busy"] * 9
        with pytest.raises(UnavailableError):
            client.move_stock("brg", "received", 1)
        Moody.plan[:] = ["break"] * 9
        with pytest.raises(NoAnswerError):
            client.move_stock("brg", "received", 1)


def test_a_stream_that_breaks_goes_on_after_the_last_event(moody: str) -> None:
    with Client(moody, "sv_x") as client:
        found = []
        for event in client.events():
            found.append((event.kind, event.seq))
            if len(found) == 4:
                break
    assert found == [("ready", 6), ("alarm", 7), ("alarm", 8), ("alarm", 9)]
    assert Moody.resumed == [None, "7", "8"]


def test_the_asynchronous_stream_too(moody: str) -> None:
    async def listen() -> list[int]:
        found = []
        async with AsyncClient(moody, "sv_x") as client:
            async for event in client.events(kinds=["alarm"]):
                found.append(event.seq)
                if len(found) == 3:
                    break
        return found

    assert asyncio.run(listen()) == [7, 8, 9]
