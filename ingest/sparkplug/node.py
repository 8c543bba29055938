"""An edge node as the host sees it: who is born, which message comes next, what waits for a missing one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from formats.sparkplug.decode import SparkplugPayload
from formats.sparkplug.profile import SparkplugProfile
from formats.sparkplug.topics import Topic
from ingest.sparkplug.metrics import Definitions

CYCLE: Final = 256
_BEHIND: Final = CYCLE // 2
LOST_TOUCH: Final = 8
"""So many messages in a row from behind: the node counts differently from what its birth said."""


@dataclass(slots=True, eq=False)
class Held:
    """A message as it came, decoded. ``size`` in bytes."""

    topic: Topic
    raw_topic: str
    raw: bytes
    payload: SparkplugPayload
    received_at: int

    @property
    def size(self) -> int:
        return len(self.raw)


@dataclass(slots=True, eq=False)
class Device:
    """A node's device, or the node itself as a holder of metrics. ``stale_due`` µs: when its values count as stale
    unless it is born again before; then they are as of ``stale_at``."""

    definitions: Definitions | None = None
    born: bool = False
    stale_due: int | None = None
    stale_at: int = 0


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that never came: ``missing`` of them, from ``first`` to ``last`` (both modulo 256)."""

    first: int
    last: int
    missing: int


@dataclass(slots=True, eq=False)
class Node:
    """State of one edge node. ``expected`` is the next number in its sequence, None before a birth.

    ``doubtful``: a message is missing that may have changed aliases, until the next birth of the node.
    """

    group: str
    name: str
    profile: SparkplugProfile
    own: Device = field(default_factory=Device)
    devices: dict[str, Device] = field(default_factory=dict)
    bdseq: int | None = None
    born_ts: int = -1
    expected: int | None = None
    waiting: dict[int, Held] = field(default_factory=dict)
    waiting_since: int | None = None
    doubtful: bool = False
    wants_rebirth: bool = False
    rebirth_at: int = 0
    rebirth_pause: int = 0
    _seen: int = 0
    _behind: int = 0

    def begin(self, seq: int | None) -> None:
        """A birth of the node: its sequence starts anew."""
        self.expected = ((seq or 0) + 1) % CYCLE
        self.waiting.clear()
        self.waiting_since = None
        self.doubtful = False
        self.wants_rebirth = False
        self._seen = 1
        self._behind = 0

    def end(self) -> None:
        """The session is over; nothing is expected before the next birth."""
        self.expected = None
        self.waiting.clear()
        self.waiting_since = None

    def place(self, seq: int) -> int:
        """Distance of ``seq`` from the expected one: 0 it is that, > 0 ahead, < 0 behind."""
        assert self.expected is not None
        distance = (seq - self.expected) % CYCLE
        return distance if distance < _BEHIND else distance - CYCLE

    def advance(self, by: int = 1, *, arrived: bool = True) -> None:
        """The expected one came, or is given up (with ``by`` − 1 more)."""
        assert self.expected is not None
        self.expected = (self.expected + by) % CYCLE
        self._seen = ((self._seen << by) | arrived) & ((1 << _BEHIND) - 1)
        self._behind = 0

    def straggler(self, distance: int) -> bool:
        """A number from behind: True where it was given up as missing and came late, False where it came before."""
        bit = 1 << (-distance - 1)
        late = not self._seen & bit
        self._seen |= bit
        self._behind += 1
        return late

    @property
    def out_of_touch(self) -> bool:
        return self._behind >= LOST_TOUCH

    def resume_at(self, seq: int) -> None:
        """Count from what the node says, since it does not count on from its birth. Nothing waits any more."""
        assert not self.waiting
        self.expected = (seq + 1) % CYCLE
        self._seen = 1
        self._behind = 0

    def next_waiting(self) -> Held | None:
        """The expected message, if it has been waiting."""
        if self.expected is None or self.expected not in self.waiting:
            return None
        held = self.waiting.pop(self.expected)
        self.advance()
        if not self.waiting:
            self.waiting_since = None
        return held

    def give_up(self) -> Gap | None:
        """The numbers up to the first waiting message are lost; None where nothing waits."""
        if self.expected is None or not self.waiting:
            return None
        nearest = min(self.place(seq) for seq in self.waiting)
        gap = Gap(self.expected, (self.expected + nearest - 1) % CYCLE, nearest)
        self.advance(nearest, arrived=False)
        self.doubtful = True
        return gap

    def all(self) -> list[tuple[str | None, Device]]:
        """The node itself (None) and its devices."""
        return [(None, self.own), *self.devices.items()]

    def metrics(self) -> int:
        return sum(len(d.definitions) for _, d in self.all() if d.definitions is not None)
