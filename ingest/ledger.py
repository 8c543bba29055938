"""Which messages may be acknowledged: MQTT wants PUBACKs in the order of arrival, and we owe them only what is durable.

A FIFO per connection. A prefix of it is acknowledged when all of it is durable. What came over an older connection is
never acknowledged, since the broker sends it again and its packet identifiers may by then mean something else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

OVERHEAD: Final = 512
"""Bytes that a message costs beside its topic and payload (object, queue, packet), so that empty ones count too."""


class Handle:
    """One received message, from arrival until it is durable. Opaque to all but the ledger."""

    __slots__ = ("durable", "generation", "mid", "once", "qos", "size")

    def __init__(self, generation: int, mid: int, qos: int, size: int, *, once: bool = False) -> None:
        self.generation = generation
        self.mid = mid
        self.qos = qos
        self.size = size
        self.once = once
        self.durable = False


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """``received`` = ``durable`` + ``pending``; ``superseded`` were durable too, but on a connection that is gone.

    ``unrepeatable``: of those pending, the ones that nobody sends again (QoS 0).
    """

    received: int
    durable: int
    acknowledged: int
    superseded: int
    pending: int
    pending_bytes: int
    unrepeatable: int


class Ledger:
    """Thread-safe: messages arrive in the network thread and become durable in the writer's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Handle] = deque()
        self._ready: list[int] = []
        self._generation = 0
        self._received = self._durable = self._acknowledged = self._superseded = 0
        self._pending_bytes = self._unrepeatable = 0

    def new_connection(self) -> int:
        """A connection was made: nothing of the earlier ones will be acknowledged. Its generation."""
        with self._lock:
            self._generation += 1
            self._waiting.clear()
            self._ready.clear()
            return self._generation

    def received(self, mid: int, qos: int, size: int, *, kept: bool = False) -> Handle:
        """A message of ``size`` bytes came over the present connection. ``kept``: who needs it finds it elsewhere, as
        the broker keeps what is retained."""
        with self._lock:
            handle = Handle(self._generation, mid, qos, size + OVERHEAD, once=qos == 0 and size > 0 and not kept)
            self._received += 1
            self._pending_bytes += handle.size
            if qos > 0:
                self._waiting.append(handle)
            self._unrepeatable += handle.once
            return handle

    def durable(self, handles: Sequence[Handle]) -> bool:
        """These are stored for good. True where something became ready to be acknowledged."""
        with self._lock:
            for handle in handles:
                if handle.durable:
                    continue
                handle.durable = True
                self._durable += 1
                self._pending_bytes -= handle.size
                self._unrepeatable -= handle.once
                if handle.generation != self._generation:
                    self._superseded += 1
            before = len(self._ready)
            waiting = self._waiting
            while waiting and waiting[0].durable:
                self._ready.append(waiting.popleft().mid)
            return len(self._ready) > before

    def take_acknowledgements(self) -> list[int]:
        """Packet identifiers to acknowledge now on the present connection, in order; each is given once."""
        with self._lock:
            ready, self._ready = self._ready, []
            self._acknowledged += len(ready)
            return ready

    @property
    def pending_bytes(self) -> int:
        """Bytes received and not yet durable; what memory holds of messages."""
        return self._pending_bytes

    def counts(self) -> LedgerCounts:
        """Figures of one moment."""
        with self._lock:
            pending = self._received - self._durable
            return LedgerCounts(
                self._received,
                self._durable,
                self._acknowledged,
                self._superseded,
                pending,
                self._pending_bytes,
                self._unrepeatable,
            )
