"""A publisher that costs little: MQTT 3.1.1 at QoS 1 on one socket, frames encoded beforehand.

``python -m tests.benchmarks.whole.publisher ORDER.json``. It is no general client: it connects, publishes, counts
acknowledgements and disconnects, and dies of everything unexpected. Its ledger says what it sent and when.
"""

from __future__ import annotations

import gc
import heapq
import mmap
import random
import select
import socket
import struct
import sys
import time
from pathlib import Path

import msgspec

from tests.benchmarks.whole.load import BODIES, FRAME, LATE, PLAIN, REPEATED, Ledger, Order, Pool, topic

_PUBLISH_QOS1 = 0x32
_MAX_UNACKNOWLEDGED = 20_000
_TURN = 64
"""Messages written with one call when there are so many to send."""
_NAP = 0.001


class Connection:
    """One session with the broker."""

    def __init__(self, order: Order) -> None:
        self._socket = socket.create_connection((order.host, order.port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = f"bench-publisher-{time.monotonic_ns()}"
        rest = b"\0\x04MQTT\x04\xc2\0\0" + b"".join(map(_text, (client, order.username, order.password)))
        self._socket.sendall(b"\x10" + _length(len(rest)) + rest)
        answer = self._socket.recv(4)
        if answer[:2] != b"\x20\x02" or answer[3] != 0:
            raise ConnectionError(f"the broker said {answer!r}")
        self._half = b""
        self.sent = self.acknowledged = 0

    def send(self, data: bytes, messages: int) -> None:
        self._socket.sendall(data)
        self.sent += messages

    def listen(self, seconds: float) -> None:
        """Count the acknowledgements that came, waiting at most so long for one."""
        while select.select([self._socket], [], [], seconds)[0]:
            data = self._half + self._socket.recv(1 << 16)
            whole = len(data) // 4 * 4
            if not data or any(kind != 0x40 for kind in data[:whole:4]):
                raise ConnectionError("the broker hung up, or said something else than PUBACK")
            self.acknowledged += whole // 4
            self._half = data[whole:]
            seconds = 0.0

    def close(self) -> None:
        while self.acknowledged < self.sent:
            self.listen(5.0)
        self._socket.sendall(b"\xe0\0")
        self._socket.close()


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def _length(n: int) -> bytes:
    out = bytearray()
    while True:
        n, digit = divmod(n, 128)
        out.append(digit | (0x80 if n else 0))
        if not n:
            return bytes(out)


class Publisher:
    """Runs one order."""

    def __init__(self, order: Order) -> None:
        self.order = order
        pool = Pool(order.seed, order.shares.crossing)
        self.bodies = pool.bodies
        self.topics = [_text(topic(number)) for number in range(order.equipment)]
        self.ledger = Ledger()
        self.connection = Connection(order)
        self.random = random.Random(order.seed)
        self.last = [0] * order.equipment
        self.number = [order.first] * order.equipment
        self.late: list[tuple[int, int, int, int]] = []
        self.identifier = 0
        self.count = 0

    def run(self) -> None:
        order, connection = self.order, self.connection
        with open(order.gate, "rb") as file:
            gate = memoryview(mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)).cast("q")
        messages_per_second = None if order.rate is None else order.rate / FRAME
        gc.freeze()
        begin = time.perf_counter()
        cpu = time.process_time()
        stored_before = gate[0]
        while (elapsed := time.perf_counter() - begin) < order.seconds:
            if messages_per_second is None:
                room = gate[0] - stored_before + order.window - connection.sent
            else:
                room = int(elapsed * messages_per_second) - self.count
            room = min(room, _TURN, _MAX_UNACKNOWLEDGED + connection.acknowledged - connection.sent)
            if room <= 0:
                connection.listen(_NAP)
                continue
            self._send(room)
            connection.listen(0.0)
        ended = time.time_ns() // 1000
        connection.close()
        self.ledger.save(
            Path(order.ledger),
            seconds=time.perf_counter() - begin,
            cpu=time.process_time() - cpu,
            ended=ended,
            never_sent=len(self.late),
        )

    def _send(self, room: int) -> None:
        packets: list[bytes] = []
        now = time.time_ns() // 1000
        while len(packets) < room:
            if self.late and self.late[0][0] <= now:
                _, equipment, ts, body = heapq.heappop(self.late)
                packets.append(self._packet(equipment, ts, body, now, LATE))
                continue
            equipment = self.count % self.order.equipment
            body = self.random.randrange(BODIES)
            ts = max(now // 1000, self.last[equipment] + 1)
            self.last[equipment] = ts
            chance = self.random.random()
            self.count += 1
            if chance < self.order.shares.late:
                low, high = self.order.displaced
                due = now + int(1e6 * self.random.uniform(low, high))
                heapq.heappush(self.late, (due, equipment, ts, body))
                room -= 1
                continue
            packets.append(self._packet(equipment, ts, body, now, PLAIN))
            if chance > 1.0 - self.order.shares.repeated:
                self.number[equipment] -= 1
                packets.append(self._packet(equipment, ts, body, now, REPEATED))
        self.connection.send(b"".join(packets), len(packets))

    def _packet(self, equipment: int, ts: int, body: int, now: int, kind: int) -> bytes:
        self.identifier = self.identifier % 65_535 + 1
        self.number[equipment] += 1
        head = b'{"ts":%d,"seq":%d' % (ts, self.number[equipment])
        about, rest = self.topics[equipment], self.bodies[body]
        size = len(about) + 2 + len(head) + len(rest)
        self.ledger.add(equipment, ts * 1000, body, now, kind)
        return b"%c%b%b%b%b%b" % (
            _PUBLISH_QOS1, _length(size), about, self.identifier.to_bytes(2, "big"), head, rest,
        )  # fmt: skip


if __name__ == "__main__":
    Publisher(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Order)).run()
