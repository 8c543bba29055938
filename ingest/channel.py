"""Another way in beside the main session: a protocol with a connection of its own, joined to the same core thread, the
same records and the same budget of bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from core.registry import RegistrySnapshot
from core.time import Clock
from ingest.coalesce import Coalescer
from ingest.intake import Intake
from ingest.ledger import Handle, Ledger
from ingest.session import Inbound


@dataclass(frozen=True, slots=True)
class Junction:
    """What a channel may use of the service it joins. ``deliver`` queues for the core thread, from any thread; all else
    belongs to the core thread. ``flush`` hands over what is collected."""

    intake: Intake
    coalescer: Coalescer
    ledger: Ledger
    deliver: Callable[[Inbound], None]
    flush: Callable[[], None]
    clock: Clock


class Channel(Protocol):
    """Life of a channel: :meth:`open`, then messages and moments, then :meth:`stop_reading`, :meth:`stop`."""

    def open(self, junction: Junction, snapshot: RegistrySnapshot) -> None: ...

    def take(self, message: Foreign) -> None:
        """One message that this channel delivered; in the core thread."""
        ...

    def passed(self, now: int) -> None:
        """Time went on; in the core thread, at least five times a second."""
        ...

    def adopt(self, snapshot: RegistrySnapshot) -> None:
        """The registry changed; in the core thread."""
        ...

    def stop_reading(self) -> None: ...

    def stop(self, timeout: float) -> None:
        """Take leave and end, waiting for that ``timeout`` seconds; may be called again to wait longer."""
        ...

    def metrics(self) -> dict[str, Any]: ...


class Foreign(Inbound):
    """A message of a channel. ``word`` is the channel's own: what happened, where it is no message at all."""

    __slots__ = ("channel", "word")

    def __init__(
        self,
        channel: Channel,
        topic: str,
        payload: bytes,
        received_at: int,
        handle: Handle,
        retained: bool = False,
        word: str = "",
    ) -> None:
        super().__init__(topic, payload, received_at, handle, retained)
        self.channel = channel
        self.word = word
