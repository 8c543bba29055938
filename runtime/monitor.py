"""Takes snapshots of an instance out of its database, for the live view, ``status`` and the demo's verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from runtime.demo.verdict import AlarmSeen
from runtime.status import AlarmLine, EquipmentHealth, Flow, PartStatus, Rates, Snapshot, Totals, flow, rates

NEWEST_ALARMS = 8
_RATE_SECONDS = 4.0
"""Rates are taken over about this long: shorter jumps with every commit."""


class Monitor:
    """One connection of the writer's login, which reads only; made again after it was lost.

    ``tenant_id`` narrows health, alarms and event time to one tenant; totals are the instance's. ``status_file``:
    where ingest writes how it is.
    """

    def __init__(self, dsn: str, tenant_id: int | None = None, status_file: Path | None = None) -> None:
        self._dsn = dsn
        self._status_file = status_file
        self.tenant_id = tenant_id
        self._connection: psycopg.Connection[Any] | None = None
        self._history: list[Totals] = []
        self._last = Snapshot(Totals(0.0))

    def snapshot(self, parts: Sequence[PartStatus] = (), news: Sequence[str] = ()) -> Snapshot:
        """The present state; while the database is away, the last one known with the parts of now."""
        try:
            self._last = self._read()
        except psycopg.OperationalError:
            self.close()
        known = self._last
        return Snapshot(
            known.totals,
            known.rates,
            tuple(parts),
            known.health,
            known.alarms,
            known.active_alarms,
            tuple(news),
            self._flow(),
        )

    def totals(self) -> Totals:
        """Totals of now."""
        from storage.queries import load

        queries, connection = load("instance"), self._connected()
        counts = {name: int(count) for name, count in queries.totals(connection)}
        return Totals(
            at=time.monotonic(),
            messages=counts.get("ingest.messages", 0),
            readings=counts.get("storage.in_measured", 0) + counts.get("storage.in_derived", 0),
            stored=counts.get("storage.stored", 0),
            dead_letters=int(queries.dead_letter_count(connection)),
            refused=sum(count for name, count in counts.items() if name.startswith("ingest.refused.")),
            missing=counts.get("ingest.sequence_missing", 0),
            event_time=queries.newest_event(connection, tenant_id=self.tenant_id),
            committed_at=queries.newest_received(connection),
        )

    def _flow(self) -> Flow | None:
        if self._status_file is None:
            return None
        try:
            return flow(json.loads(self._status_file.read_bytes()))
        except (OSError, ValueError):
            return None

    def newest_event(self) -> int | None:
        """Event time (µs UTC) of the newest stored measured reading of the tenant."""
        from storage.queries import load

        found = load("instance").newest_event(self._connected(), tenant_id=self.tenant_id)
        return None if found is None else int(found)

    def journal_head(self) -> int:
        """Number of the newest alarm journal entry: what is announced later has a higher one."""
        from storage.queries import load

        return int(load("instance").journal_head(self._connected()))

    def announced_since(self, journal_head: int) -> list[AlarmSeen]:
        """Alarms of the tenant announced after that journal entry."""
        from storage.queries import load

        rows = load("instance").announced_since(self._connected(), tenant_id=self.tenant_id, id=journal_head)
        return [
            AlarmSeen(
                equipment=row[0],
                component=row[1],
                condition=row[2],
                concern=row[3],
                at=int(row[4]),
                title=row[5],
                priority=row[6],
                point=row[7],
                failure_mode=row[8],
            )
            for row in rows
        ]

    def _read(self) -> Snapshot:
        from storage.queries import load

        queries, connection = load("instance"), self._connected()
        totals = self.totals()
        self._history.append(totals)
        while len(self._history) > 2 and totals.at - self._history[1].at > _RATE_SECONDS:
            del self._history[0]
        pace = rates(self._history[0], totals) if len(self._history) > 1 else Rates()
        health = tuple(_health_line(row) for row in queries.health(connection, tenant_id=self.tenant_id))
        alarms = tuple(
            AlarmLine(int(row[0]), *row[1:])
            for row in queries.newest_alarms(connection, tenant_id=self.tenant_id, most=NEWEST_ALARMS)
        )
        active = int(queries.active_alarms(connection, tenant_id=self.tenant_id))
        return Snapshot(totals, pace, (), health, alarms, active)

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=3)
        return self._connection

    def close(self) -> None:
        """Let go of the connection; the next question makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _health_line(row: Sequence[Any]) -> EquipmentHealth:
    key, type_key, state, index, worst, worst_index, reasons = row
    first = reasons[0] if reasons else {}
    return EquipmentHealth(key, type_key, state, index, worst or "", worst_index, str(first.get("text", "")))
