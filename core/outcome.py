"""What the pure core gives back for one record, and what one commit stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.condition import ConditionTransition, HealthAssessment, StateChange
from core.learned import Drift, ModelScore, Prognosis
from core.telemetry import StreamRecord, TelemetryBatch


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Effects of one :class:`~core.telemetry.StreamRecord`, in event order.

    ``readings``: what to store of the record's batch, with the quality the core gave (same length and order as came
    in: the core rejects nothing, that was ingest's part). ``derived``: readings of derived points to store, and
    those that the record's parcels became.
    """

    readings: TelemetryBatch
    derived: TelemetryBatch
    transitions: tuple[ConditionTransition, ...] = ()
    states: tuple[StateChange, ...] = ()
    health: tuple[HealthAssessment, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    prognoses: tuple[Prognosis, ...] = ()
    scores: tuple[ModelScore, ...] = ()
    drifts: tuple[Drift, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CommitUnit:
    """All that one database transaction stores: a record, its outcome, its place in the stream.

    ``offset`` is the record's place, ``epoch`` the right to write it (core.ports.StreamPosition). ``journal`` is the
    encoded record (embedded host; None in the cluster, where Kafka is the journal); ``snapshot`` the processor's
    state *after* this record, given every few seconds. ``span``: how many places of the stream the unit takes; a host
    that puts records of a backlog together stores them as one, and one that only has a snapshot to store takes none.
    """

    stream: str
    epoch: int
    offset: int
    record: StreamRecord
    outcome: Outcome
    journal: bytes | None = None
    snapshot: bytes | None = None
    span: int = 1

    @property
    def end(self) -> int:
        """The first offset after it."""
        return self.offset + self.span
