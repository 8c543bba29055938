"""The dead man's switch: calls while there are commits, silence otherwise, and no harm where nobody answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
import pytest

from core.errors import InvalidInputError
from stream_processors.heartbeat import Heartbeat


class Listener:
    """Takes calls; ``answer`` is the status it gives."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.answer = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.calls.append(orjson.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(outer.answer)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/beat/secret"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.server.shutdown()
    listener.server.server_close()


def test_it_beats_while_commits_happen_and_is_silent_when_they_stop(listener: Listener) -> None:
    commits = iter([3, 5, 5, 6])
    heart = Heartbeat(listener.url, 60, lambda: (next(commits), {"stored": 7}))
    assert [heart.beat() for _ in range(4)] == [True, True, False, True]
    assert [call["commits"] for call in listener.calls] == [3, 5, 6]
    assert listener.calls[0]["stored"] == 7


def test_it_beats_by_itself(listener: Listener) -> None:
    counter = iter(range(1, 1000))
    heart = Heartbeat(listener.url, 1.0, lambda: (next(counter), {}))
    heart._seconds = 0.01
    arrived = threading.Event()
    listener_calls = listener.calls
    with heart:
        for _ in range(500):
            if len(listener_calls) >= 2 or arrived.wait(0.01):
                break
    assert heart.sent >= 1


@pytest.mark.parametrize("answer", [404, 500])
def test_a_refusal_is_said_once_and_without_the_secret(
    listener: Listener, answer: int, capsys: pytest.CaptureFixture[str]
) -> None:
    counter = iter(range(1, 10))
    listener.answer = answer
    heart = Heartbeat(listener.url, 60, lambda: (next(counter), {}))
    assert [heart.beat(), heart.beat()] == [False, False]
    listener.answer = 204
    assert heart.beat()
    said = capsys.readouterr().out
    assert said.count("heartbeat.not_taken") == 1
    assert said.count("heartbeat.taken_again") == 1
    assert "secret" not in said


def test_nobody_there_is_no_harm() -> None:
    assert not Heartbeat("http://127.0.0.1:9/x", 60, lambda: (1, {})).beat()


@pytest.mark.parametrize(
    ("url", "seconds"), [("file:///etc/passwd", 60), ("beat", 60), ("https://", 60), ("http://a", 0)]
)
def test_what_cannot_work_is_refused(url: str, seconds: float) -> None:
    with pytest.raises(InvalidInputError):
        Heartbeat(url, seconds, lambda: (1, {}))
