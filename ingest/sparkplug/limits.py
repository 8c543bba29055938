"""What one Sparkplug host allows its edge nodes, so that none of them can harm the others."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import InvalidInputError
from core.time import MINUTE, SECOND
from formats.sparkplug.topics import MAX_ID


@dataclass(frozen=True, slots=True)
class SparkplugSettings:
    """``host_id``: under which STATE says that this host is online; unique among the hosts of the broker's world.

    ``reorder_timeout`` µs that a gap in a node's sequence may take to close before it counts as a loss (0: at once).
    """

    host_id: str = "servitize"
    reorder_timeout: int = 2 * SECOND
    reorder_messages: int = 64
    """Messages of one node that wait for a missing one; the next closes the wait."""
    reorder_bytes: int = 16 * 1024 * 1024
    """The same of all nodes together, in bytes."""
    max_bytes: int = 1_048_576
    """Of one payload; a birth certificate of some ten thousand metrics with names and units."""
    max_metrics: int = 20_000
    """In one message."""
    nodes_per_group: int = 1_000
    devices_per_node: int = 1_000
    metrics_per_group: int = 500_000
    """Defined by births and kept in memory (about 0.4 kB each)."""
    rebirth_interval: int = 5 * SECOND
    """Between requests to one node; doubles with each that brings no birth, up to ``rebirth_longest``."""
    rebirth_longest: int = 5 * MINUTE
    rebirths_per_second: int = 20
    """To all nodes together: births are the largest messages there are, and a restart asks every node."""
    birth_grace: int = 10 * SECOND
    """After a node's birth its devices may take this long to be born again before their values count as stale."""
    max_text: int = 4_096
    """Characters of a text that becomes an event."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.host_id) <= MAX_ID or set(self.host_id) & set("/+#"):
            raise InvalidInputError(f"{self.host_id!r} is no host id", hint="a name without / + #")
