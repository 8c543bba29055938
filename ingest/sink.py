"""Where ingest hands its records over: the embedded core, or a Kafka producer in the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord
from ingest.ledger import Handle
from ingest.sequences import Mark

Durable = Callable[[Sequence[Handle]], None]
"""Called once the records of these messages are stored for good; from any thread."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where what is durable had come: each device's numbering, each tenant's timeline (µs of its last tick)."""

    sequences: Mapping[int, Mark] = field(default_factory=dict)
    clocks: Mapping[int, int] = field(default_factory=dict)


class Sink(Protocol):
    """Takes records in order. All but :meth:`abandon` is called from one thread, ingest's core thread."""

    def start(self, registry: RegistrySnapshot, durable: Durable, failed: Callable[[BaseException], None]) -> Resumed:
        """Make ready, which may take as long as a recovery. ``failed`` is called when the sink can never go on.

        Gives where what is durable had come, so that a restart takes no value for another time or gap."""
        ...

    def submit(self, record: StreamRecord, handles: Sequence[Handle]) -> None:
        """Take one record and the messages that are complete with it. Blocks while too much is not yet durable.

        Records become durable in the order they were given; ``durable(handles)`` follows each. Raises only when the
        sink can never go on.
        """
        ...

    def reconfigure(self, registry: RegistrySnapshot) -> None:
        """The registry changed; records given from now on are named by this one."""
        ...

    def close(self, timeout: float) -> bool:
        """Make durable what was given, within ``timeout`` seconds.

        False where that did not succeed: nothing is acknowledged then, so the broker keeps it.
        """
        ...

    def abandon(self) -> None:
        """Give up what is not durable; who waits in :meth:`start` or :meth:`submit` gets an error. From any thread."""
        ...
