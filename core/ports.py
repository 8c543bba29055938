"""The ports: what the rooms ask of the outside, implemented by storage and wired by runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.outcome import CommitUnit
from core.registry import RegistrySnapshot, Tenant
from core.telemetry import StreamRecord


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """The right to write a stream: ``epoch`` is ours alone, ``next_offset`` the first offset not yet committed.

    ``snapshot`` is the newest processor state with the offset *after* which it was taken; ``journal`` the encoded
    records from there up to ``next_offset`` (embedded host), to be replayed with effects discarded.
    """

    stream: str
    epoch: int
    next_offset: int
    snapshot: bytes | None
    snapshot_offset: int
    journal: Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class CommitReport:
    """What a commit did to the tables: new readings, equal ones already there, unequal ones at the same key."""

    stored: int
    duplicates: int
    conflicts: int


class RegistryPort(Protocol):
    """Equipment and points, as ingest and the pipeline see them."""

    def version(self) -> int:
        """Cheap: has anything changed?"""
        ...

    def load(self) -> RegistrySnapshot: ...

    def register_unknown(self, tenant: Tenant, equipment_key: str, type_key: str | None) -> None:
        """Auto-registration by the tenant's policy (``pending`` or ``accept``); idempotent."""
        ...

    def register_points(self, equipment_id: int, keys: Iterable[str]) -> None:
        """Points a device sends on an open type; unit ``1`` until somebody says better; idempotent."""
        ...


class WriterPort(Protocol):
    """The one way into the database for a stream."""

    def acquire(self, stream: str) -> StreamPosition:
        """Fence out whoever held the stream, then give position, state and journal to start from."""
        ...

    def commit(self, units: Sequence[CommitUnit]) -> CommitReport:
        """Store consecutive units in one transaction, all or nothing.

        Raises :class:`~core.errors.FencedError` when the epoch is no longer ours. Every other error leaves the
        database as it was and may be tried again with the same units. Units below ``next_offset`` are skipped
        (already stored).
        """
        ...


class RecordCodec(Protocol):
    """A stream record as bytes, for journal and Kafka."""

    def encode(self, record: StreamRecord) -> bytes: ...

    def decode(self, data: bytes) -> StreamRecord: ...
