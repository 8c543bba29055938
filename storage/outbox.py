"""Numbered events for whoever publishes them elsewhere: in order, from where publishing had come."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from storage.cluster import OutboxRow
from storage.queries import load

STREAM: Final = "outbox"
"""Its position in servitize.stream_position is the last number published."""
_BATCH: Final = 500


class OutboxReader:
    """One connection of the writer's login in autocommit; used by one thread. Raises :class:`psycopg.Error`.

    Only one reader leads at a time: :meth:`lead` is asked until it says so, and holds until the connection ends.
    """

    def __init__(self, dsn: str) -> None:
        self._queries = load("cluster")
        self._connection: psycopg.Connection[Any] = psycopg.connect(
            dsn, autocommit=True, connect_timeout=10, application_name="servitize outbox"
        )

    def lead(self) -> bool:
        """Whether we are the one who publishes."""
        if not self._queries.lead_outbox(self._connection):
            return False
        self._queries.open_publication(self._connection, stream=STREAM)
        self._queries.listen_outbox(self._connection)
        return True

    def position(self) -> int:
        """The last number that is published."""
        return int(self._queries.publish_position(self._connection, stream=STREAM))

    def after(self, seq: int) -> list[OutboxRow]:
        """The next rows behind ``seq``, in order."""
        rows = self._queries.outbox_after(self._connection, after=seq, max_rows=_BATCH)
        return [
            OutboxRow(int(n), kind, tenant, equipment, payload, int(at))
            for n, kind, tenant, equipment, payload, at in rows
        ]

    def published(self, seq: int) -> None:
        """All up to ``seq`` are where they should be."""
        self._queries.published(self._connection, stream=STREAM, seq=seq)

    def wait(self, seconds: float) -> None:
        """Until something is numbered, ``seconds`` at most."""
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            pass

    def close(self) -> None:
        self._connection.close()
