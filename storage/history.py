"""Stored readings in order of time, in columns: what a backtest and a training run read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import psycopg

from core.telemetry import TelemetryBatch
from core.time import DAY, HOUR, MINUTE
from storage.errors import translated
from storage.packing import unpack
from storage.queries import load

CHUNK: Final = 400_000
"""Readings in a chunk, about: a few tens of megabytes, whatever the fleet's rate."""


class History:
    """Reads by a login that may read the tables (owner or writer); writes nothing."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._queries = load("history")

    def span(self, points: Sequence[int]) -> tuple[int, int] | None:
        """(first, last) reading in µs; None where there are none."""
        with translated():
            first, last = self._queries.span(self._connection, points=list(points))
        return None if first is None else (first, last)

    def chunks(self, points: Sequence[int], time_from: int, time_to: int) -> Iterator[TelemetryBatch]:
        """Readings with ``time_from <= ts < time_to`` in order of time, about :data:`CHUNK` at once; none of empty
        stretches.

        A chunk holds all readings of a stretch of time, so none of a later chunk is older than one of an earlier one.
        """
        at, stretch = time_from, HOUR
        while at < time_to:
            until = min(at + stretch, time_to)
            batch = self._between(points, at, until)
            if len(batch):
                yield batch
            at = until
            wanted = stretch * CHUNK // max(len(batch), 1)
            stretch = min(max(wanted, stretch // 8, MINUTE), stretch * 4, 30 * DAY)

    def _between(self, points: Sequence[int], time_from: int, time_to: int) -> TelemetryBatch:
        parameters = {"points": list(points), "time_from": time_from, "time_to": time_to}
        sql = self._queries.copy_history.sql.rstrip(";\n ")
        with translated(), self._connection.cursor() as cursor, cursor.copy(sql, parameters) as copy:
            rows = unpack(b"".join(copy))
        order = np.argsort(rows.ts, kind="stable")
        received_at = int(rows.received_at.max()) if len(rows) else time_to
        return TelemetryBatch(rows.point_id[order], rows.ts[order], rows.value[order], rows.quality[order], received_at)

    def raised_live(self, equipment: Sequence[int], time_from: int, time_to: int) -> list[tuple[int, str, int, bool]]:
        """(equipment, condition, at µs, announced) that the live run raised of readings that came in time; without
        silence."""
        with translated():
            rows = self._queries.raised_live(
                self._connection, equipment=list(equipment), time_from=time_from, time_to=time_to
            )
            return [(int(e), str(c), int(at), bool(announced)) for e, c, at, announced in rows]
