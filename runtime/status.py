"""What an instance looks like at one moment: the words that the live view, ``status`` and ``demo`` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One process: ``state`` is ``running``, ``restarting``, ``finished`` or ``down``."""

    name: str
    state: str
    pid: int | None = None
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class EquipmentHealth:
    """Health 0–100 of one equipment (None: not known yet), with its worst component and why."""

    equipment: str
    type_key: str
    state: str | None
    index: float | None
    worst: str = ""
    worst_index: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """A newest alarm, as an operator reads it. ``at`` µs UTC of event time."""

    at: int
    equipment: str
    component: str
    priority: str
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts since the beginning of the database; two of them make a rate.

    ``refused`` readings of all reasons, ``missing`` messages by the devices' own numbering.
    ``event_time`` is the newest stored event, ``committed_at`` the host's time of the last commit (both µs UTC).
    """

    at: float
    messages: int = 0
    readings: int = 0
    stored: int = 0
    dead_letters: int = 0
    refused: int = 0
    missing: int = 0
    event_time: int | None = None
    committed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second, between two :class:`Totals`."""

    messages: float = 0.0
    readings: float = 0.0
    stored: float = 0.0
    time_factor: float = 0.0
    """Simulated seconds per second."""


def rates(before: Totals, after: Totals) -> Rates:
    """Rates between two moments (``at`` in seconds of one monotonic clock); zero where no time passed."""
    seconds = after.at - before.at
    if seconds <= 0:
        return Rates()
    moved = 0 if before.event_time is None or after.event_time is None else after.event_time - before.event_time
    return Rates(
        (after.messages - before.messages) / seconds,
        (after.readings - before.readings) / seconds,
        (after.stored - before.stored) / seconds,
        moved / 1e6 / seconds,
    )


@dataclass(frozen=True, slots=True)
class Sparkplug:
    """The Sparkplug host's connection: edge nodes known, of them born (online)."""

    host_id: str
    connected: bool
    groups: int
    nodes: int
    online: int


@dataclass(frozen=True, slots=True)
class Flow:
    """The ingest process at one moment, by its own word; counts since its start.

    ``pending`` messages wait to be durable, ``acknowledged`` are; ``paused``: the broker is held back meanwhile.
    ``sparkplug`` None: no group is mapped.
    """

    connected: bool
    paused: bool
    received: int
    acknowledged: int
    pending: int
    pending_bytes: int
    sparkplug: Sparkplug | None = None


def flow(document: Mapping[str, Any]) -> Flow:
    """Out of what ingest writes to its status file every second."""
    ledger = document.get("ledger", {})
    channel = next((c for c in document.get("channels", ()) if c.get("name") == "sparkplug" and c.get("groups")), None)
    return Flow(
        bool(document.get("connected")),
        bool(document.get("paused")),
        int(ledger.get("received", 0)),
        int(ledger.get("acknowledged", 0)),
        int(ledger.get("pending", 0)),
        int(ledger.get("pending_bytes", 0)),
        None
        if channel is None
        else Sparkplug(
            str(channel.get("host_id", "")),
            bool(channel.get("connected")),
            int(channel.get("groups", 0)),
            int(channel.get("nodes", 0)),
            int(channel.get("online", 0)),
        ),
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a live view shows. ``flow`` None: ingest has not said yet."""

    totals: Totals
    rates: Rates = Rates()
    parts: tuple[PartStatus, ...] = ()
    health: tuple[EquipmentHealth, ...] = ()
    alarms: tuple[AlarmLine, ...] = ()
    active_alarms: int = 0
    news: tuple[str, ...] = field(default_factory=tuple)
    flow: Flow | None = None
