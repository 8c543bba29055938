"""What the parts of a cluster ask the database about its streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from core.errors import ConflictError
from storage.errors import translated
from storage.queries import load


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """The newest one of a stream, and the offset after which it was taken."""

    stream: str
    offset: int
    state: bytes


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A numbered event: ``seq`` without gaps, ``equipment`` None where it is the tenant's alone; time in µs UTC."""

    seq: int
    kind: str
    tenant: str
    equipment: str | None
    payload: dict[str, Any]
    created_at: int


def checkpoints(dsn: str, streams: Sequence[str]) -> list[StoredCheckpoint]:
    """Those that there are; raises :class:`~core.errors.UnavailableError`."""
    with translated(), psycopg.connect(dsn, connect_timeout=10) as connection:
        rows = load("cluster").checkpoints(connection, streams=list(streams))
        return [StoredCheckpoint(str(stream), int(offset), bytes(state)) for stream, offset, state in rows]


def positions(dsn: str, streams: Sequence[str]) -> dict[str, int]:
    """The first offset not committed of each stream that was ever held."""
    with translated(), psycopg.connect(dsn, connect_timeout=10) as connection:
        rows = load("cluster").positions(connection, streams=list(streams))
        return {str(stream): int(offset) for stream, offset in rows}


def give_up(dsn: str, stream: str, upto: int, actor: str) -> int:
    """Go on at offset ``upto`` although what lies before it was never read; how many records that gives up.

    Written to the audit log. Raises :class:`~core.errors.ConflictError` where the stream is past it already.
    """
    queries = load("cluster")
    with translated(), psycopg.connect(dsn, connect_timeout=10) as connection:
        known = {str(s): int(o) for s, o in queries.positions(connection, streams=[stream])}
        if queries.skip_to(connection, stream=stream, next=upto) is None:
            raise ConflictError(
                f"{stream} is at {known.get(stream)}, not before {upto}", hint="nothing is to be given up"
            )
        lost = upto - known[stream]
        queries.audit_skip(connection, stream=stream, actor=actor, lost=lost)
        return lost
