"""Asks an MQTT broker whether it lets somebody in, without a client library's threads."""

from __future__ import annotations

import contextlib
import socket
import uuid

_CONNECT, _CONNACK, _DISCONNECT = 0x10, 0x20, b"\xe0\x00"
_CLEAN_WITH_CREDENTIALS = 0b1100_0010


def is_let_in(host: str, port: int, username: str, password: str, *, timeout: float = 2.0) -> bool:
    """Whether ``host:port`` answers an MQTT 3.1.1 CONNECT of this user with "accepted"; False also when unreachable."""
    body = (
        _text("MQTT")
        + bytes((4, _CLEAN_WITH_CREDENTIALS, 0, 10))
        + _text(f"servitize-probe-{uuid.uuid4().hex[:8]}")
        + _text(username)
        + _text(password)
    )
    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            connection.sendall(bytes((_CONNECT,)) + _remaining_length(len(body)) + body)
            answer = b""
            while len(answer) < 4 and (more := connection.recv(4 - len(answer))):
                answer += more
            with contextlib.suppress(OSError):
                connection.sendall(_DISCONNECT)
    except OSError:
        return False
    return len(answer) == 4 and answer[0] == _CONNACK and answer[3] == 0


def _text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2, "big") + data


def _remaining_length(length: int) -> bytes:
    encoded = bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes(encoded)
