"""Does a database agree with itself? The sums of docs/reference/conservation.md, the stream's position against its
snapshot and journal, alarms against their journal: all in one snapshot, beside a running instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

from storage.queries import load


@dataclass(frozen=True, slots=True)
class Consistency:
    """``problems`` in sentences (none: all holds) and what was counted."""

    readings: int
    transitions: int
    dead_letter_readings: int
    counters: dict[str, int] = field(repr=False)
    problems: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.problems


def examine(dsn: str) -> Consistency:
    """Look at everything that can be proven; ``dsn`` is the owner's or the writer's login."""
    queries = load("consistency")
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        counters = {str(name): int(count) for name, count in queries.counters(connection)}
        readings, letters, transitions, journalled = map(int, queries.totals(connection))
        problems = [*_sums(counters), *_tables(counters, readings, letters, transitions, journalled)]
        problems += _streams(queries, connection)
        for number, state, active, last, was in queries.broken_alarms(connection):
            problems.append(f"alarm {number} is {state}/{active}, its journal ends with {last}/{was}")
        for point, ts, value, stored in queries.broken_latest(connection):
            problems.append(f"the latest value {value} of point {point} at {ts} is no stored reading ({stored})")
        for equipment, what, kept, tallied in queries.broken_tallies(connection):
            problems.append(f"{what} of equipment {equipment}: {kept} are kept, {tallied} are shown")
        if (row := queries.broken_outbox(connection)) is not None:
            problems.append(f"the outbox is numbered up to {row[1]}, its head says {row[0]}")
    return Consistency(readings, transitions, letters, counters, tuple(problems))


_PARCELS = ("ingest.waveforms", "ingest.cycles")


def _sums(counters: dict[str, int]) -> list[str]:
    def total(*names: str) -> int:
        return sum(counters.get(name, 0) for name in names)

    refused = sum(count for name, count in counters.items() if name.startswith("ingest.refused."))
    others = total("ingest.accepted", "ingest.texts", "ingest.events", "ingest.ignored.retained", *_PARCELS)
    stored = total("storage.stored", "storage.duplicates", "storage.conflicts")
    found = []
    for what, left, right in (
        ("readings in = accepted + refused + texts + events + parcels", total("ingest.readings"), others + refused),
        ("accepted = into storage", total("ingest.accepted"), total("storage.in_measured")),
        ("into storage = stored + duplicates + conflicts", total("storage.in_measured", "storage.in_derived"), stored),
        ("refused = dead letters", refused, total("storage.dead_letter_readings")),
        ("parcels in = into storage", total(*_PARCELS), total("storage.waveforms_in", "storage.cycles_in")),
    ):
        if left != right:
            found.append(f"{what}: {left} and {right}")
    return found


def _tables(counters: dict[str, int], readings: int, letters: int, transitions: int, journalled: int) -> list[str]:
    def left(stored: str, expired: str) -> int:
        return counters.get(f"storage.{stored}", 0) - counters.get(f"retention.{expired}", 0)

    found = []
    for what, counted, rows in (
        ("stored readings", left("stored", "raw"), readings),
        ("readings in dead letters", left("dead_letter_readings", "dead_letter_readings"), letters),
        ("stored transitions", left("transitions_stored", "transition"), transitions),
        ("transitions in the alarm journal", left("transitions_stored", "journalled"), journalled),
    ):
        if counted != rows:
            found.append(f"{what}: {counted} were counted, the tables hold {rows}")
    return found


def _streams(queries: Any, connection: psycopg.Connection[Any]) -> list[str]:
    return [
        f"stream {stream} is at {position}, its snapshot at {snapshot}, its journal holds {records} ({first} to {last})"
        for stream, position, snapshot, first, last, records in queries.broken_streams(connection)
    ]
