"""The proxy does what it says to a connection, so that a scenario that passes proves something."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that says back what it hears."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(100):
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()
    server.close()


def connect(proxy: Proxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    connection.settimeout(5)
    return connection


def is_dead(line: socket.socket) -> bool:
    try:
        line.sendall(b"hello?")
        return not line.recv(10)
    except ConnectionError:
        return True


def test_it_passes_on_delays_swallows_cuts_and_refuses(echo: tuple[str, int]) -> None:
    with Proxy(lambda: echo) as proxy, connect(proxy) as line:
        line.sendall(b"one")
        assert line.recv(10) == b"one"

        proxy.delay(0.1)
        began = time.monotonic()
        line.sendall(b"two")
        assert line.recv(10) == b"two"
        assert time.monotonic() - began >= 0.2
        proxy.delay(0)

        proxy.swallow()
        line.sendall(b"three")
        line.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.recv(10)
        line.settimeout(5)
        proxy.swallow(False)
        assert line.recv(10) == b"three"

        proxy.cut()
        assert is_dead(line)

        proxy.refuse()
        with connect(proxy) as refused:
            assert is_dead(refused)
        proxy.refuse(False)
        with connect(proxy) as again:
            again.sendall(b"six")
            assert again.recv(10) == b"six"
        assert proxy.connections == 2
