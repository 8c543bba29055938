"""What flows: batches of readings, parcels, events, ticks of time, dead letters; and the record that carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.parcels import CycleRecord, Waveform

MAX_BATCH_READINGS: Final = 5_000
"""Past this a batch gains nothing per reading (measured) and only holds its neighbours up."""


@dataclass(frozen=True, slots=True, eq=False)
class TelemetryBatch:
    """Readings of any number of points as parallel arrays of one length.

    ``point_id`` int32; ``ts`` int64 µs UTC, event time; ``value`` float64 in the point's own unit (booleans 0/1,
    enumerations their code); ``quality`` uint8 (:mod:`core.quality`). ``received_at`` µs UTC is one for the batch: a
    batch is filled within 50 ms. Order is the order of arrival, within one message by ``ts``: it decides nothing but
    which readings count as late.
    """

    point_id: NDArray[np.int32]
    ts: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    received_at: int

    def __post_init__(self) -> None:
        n = len(self.point_id)
        if not (len(self.ts) == len(self.value) == len(self.quality) == n):
            raise ValueError("the arrays of a batch have one length")

    def __len__(self) -> int:
        return len(self.point_id)

    @classmethod
    def empty(cls, received_at: int = 0) -> TelemetryBatch:
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8), received_at)

    @classmethod
    def concatenate(cls, batches: Sequence[TelemetryBatch], received_at: int) -> TelemetryBatch:
        if not batches:
            return cls.empty(received_at)
        return cls(
            np.concatenate([b.point_id for b in batches]),
            np.concatenate([b.ts for b in batches]),
            np.concatenate([b.value for b in batches]),
            np.concatenate([b.quality for b in batches]),
            received_at,
        )

    def take(self, rows: NDArray[Any] | slice) -> TelemetryBatch:
        """The readings at ``rows`` (indices, a mask or a slice)."""
        return TelemetryBatch(
            self.point_id[rows], self.ts[rows], self.value[rows], self.quality[rows], self.received_at
        )


@dataclass(frozen=True, slots=True)
class Tick:
    """One second passed on a tenant's timeline. ``at`` µs UTC; ticks of a tenant never go back."""

    tenant_id: int
    at: int


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened, with text: an error code, a maintenance, a start. Identity: equipment, kind, ts,
    content."""

    equipment_id: int
    kind: str
    ts: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A payload, or one value of it, that could not be used. Identity: (tenant, topic, payload, reason); repeats are
    counted.

    ``payload`` is the whole payload where all of it is bad, else a JSON object of just the refused part; ``reason`` a
    code of :mod:`core.errors` or of the codec (``not-json``, ``unknown-point``, ``not-a-number``, ``future``, …),
    ``detail`` a sentence. ``tenant_id`` is None where the topic names no tenant of ours.
    """

    topic: str
    payload: bytes
    reason: str
    detail: str
    received_at: int
    tenant_id: int | None = None
    equipment_id: int | None = None
    readings: int = 1
    """How many readings were refused with it (at least one: a message nobody can read counts as one)."""


@dataclass(frozen=True, slots=True, eq=False)
class StreamRecord:
    """One record of the log between ingest and core: at most :data:`MAX_BATCH_READINGS` readings and what came with
    them.

    ``counts`` are this record's conservation counters by name; see docs/reference/conservation.md. ``sequences``: per
    equipment the highest number of its messages so far, with that message's event time (µs). Waveforms and cycles know
    how many of the batch's readings came before them.
    """

    batch: TelemetryBatch
    ticks: tuple[Tick, ...] = ()
    events: tuple[EventRecord, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    sequences: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    waveforms: tuple[Waveform, ...] = ()
    cycles: tuple[CycleRecord, ...] = ()
