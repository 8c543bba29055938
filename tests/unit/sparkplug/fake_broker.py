"""A broker of one connection that writes down every packet it gets: what the host does on the wire, in order."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Connect:
    client_id: str
    clean: bool
    will_topic: str
    will_payload: bytes
    will_qos: int
    will_retain: bool
    expiry: int | None
    """Session expiry of MQTT 5; None where it was not said."""


@dataclass(frozen=True)
class Publish:
    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True)
class Subscribe:
    topics: tuple[str, ...]


@dataclass(frozen=True)
class Disconnect:
    pass


Packet = Connect | Publish | Subscribe | Disconnect


@dataclass
class FakeBroker:
    v5: bool = False
    packets: list[Packet] = field(default_factory=list)

    def __enter__(self) -> FakeBroker:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connection: socket.socket | None = None
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Drop the connection without a word."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Deliver a message at QoS 0."""
        assert self._connection is not None
        name = topic.encode()
        body = struct.pack(">H", len(name)) + name + (b"\0" if self.v5 else b"") + payload
        self._connection.sendall(bytes([0x30 | retain]) + _length(len(body)) + body)

    def of(self, kind: type) -> list[Packet]:
        return [packet for packet in self.packets if isinstance(packet, kind)]

    def wait(self, ready: Callable[[], object], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, f"nothing came of it; seen: {self.packets}"
            time.sleep(0.005)

    # --- the other side

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connection = connection
            with contextlib.suppress(OSError, struct.error, IndexError):
                while self._packet(connection):
                    pass
            connection.close()

    def _packet(self, connection: socket.socket) -> bool:
        head = self._exactly(connection, 1)[0]
        size, shift = 0, 0
        while True:
            byte = self._exactly(connection, 1)[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        body = self._exactly(connection, size)
        kind = head >> 4
        if kind == 1:
            self.packets.append(self._connect(body))
            connection.sendall(b"\x20\x03\0\0\0" if self.v5 else b"\x20\x02\0\0")
        elif kind == 8:
            topics = self._topics(body[3:] if self.v5 else body[2:])
            self.packets.append(Subscribe(topics))
            answer = body[:2] + (b"\0" if self.v5 else b"") + b"\x01" * len(topics)
            connection.sendall(b"\x90" + _length(len(answer)) + answer)
        elif kind == 3:
            qos, (name, at) = (head >> 1) & 3, _text(body, 0)
            if qos:
                connection.sendall(b"\x40\x02" + body[at : at + 2])
                at += 2
            at += 1 if self.v5 else 0
            self.packets.append(Publish(name.decode(), body[at:], qos, bool(head & 1)))
        elif kind == 12:
            connection.sendall(b"\xd0\0")
        elif kind == 14:
            self.packets.append(Disconnect())
            return False
        return True

    def _connect(self, body: bytes) -> Connect:
        flags, at, expiry = body[7], 10, None
        if self.v5:
            properties = body[11 : 11 + body[10]]
            if properties[:1] == b"\x11":
                expiry = struct.unpack(">I", properties[1:5])[0]
            at = 11 + body[10]
        client, at = _text(body, at)
        at += 1 if self.v5 else 0  # the will's properties: none
        topic, at = _text(body, at)
        payload, at = _text(body, at)
        clean = bool(flags & 2)
        return Connect(client.decode(), clean, topic.decode(), payload, (flags >> 3) & 3, bool(flags & 32), expiry)

    @staticmethod
    def _topics(body: bytes) -> tuple[str, ...]:
        found, at = [], 0
        while at < len(body):
            name, at = _text(body, at)
            found.append(name.decode())
            at += 1
        return tuple(found)

    @staticmethod
    def _exactly(connection: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = connection.recv(size - len(data))
            if not part:
                raise OSError("closed")
            data += part
        return data


def _text(body: bytes, at: int) -> tuple[bytes, int]:
    size = struct.unpack(">H", body[at : at + 2])[0]
    return body[at + 2 : at + 2 + size], at + 2 + size


def _length(size: int) -> bytes:
    encoded = b""
    while True:
        size, digit = divmod(size, 128)
        encoded += bytes([digit | (0x80 if size else 0)])
        if not size:
            return encoded
