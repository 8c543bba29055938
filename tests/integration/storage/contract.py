"""What every engine promises, as code: the same facts asked of whichever database a store is in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from core.quality import CLASS_MASK, GOOD
from core.time import DAY, HOUR, MINUTE
from storage.caretaker import roll_up
from storage.migrate import WRITER, Engine
from storage.queries import load
from tests.integration.storage.helpers import Store

LEVELS = {"1 minute": MINUTE, "1 hour": HOUR, "1 day": DAY}
Reading = tuple[int, int, float, int]


@dataclass(frozen=True)
class Bucket:
    """One step of a rollup; extremes, mean, first and last None where nothing is usable."""

    at: int
    least: float | None
    greatest: float | None
    mean: float | None
    first: float | None
    last: float | None
    count: int
    good_share: float

    def agrees(self, other: Bucket) -> bool:
        """Equal, means within rounding (sums are added in another order)."""
        exact = (self.at, self.least, self.greatest, self.first, self.last, self.count)
        if exact != (other.at, other.least, other.greatest, other.first, other.last, other.count):
            return False
        if abs(self.good_share - other.good_share) > 1e-12:
            return False
        if self.mean is None or other.mean is None:
            return self.mean is other.mean
        return math.isclose(self.mean, other.mean, rel_tol=1e-9, abs_tol=1e-9)


def usable(value: float, quality: int) -> bool:
    return quality & CLASS_MASK >= 64 and abs(value) < 1e300


def recomputed(readings: Iterable[Reading], point: int, time_from: int, time_to: int, step: int) -> list[Bucket]:
    """The rollup from its definition, in plain Python."""
    buckets: dict[int, list[Reading]] = {}
    for reading in sorted(readings, key=lambda r: r[1]):
        if reading[0] == point and time_from <= reading[1] < time_to:
            buckets.setdefault(reading[1] // step * step, []).append(reading)
    found = []
    for at, rows in sorted(buckets.items()):
        values = [value for _, _, value, quality in rows if usable(value, quality)]
        good = sum(quality & CLASS_MASK == GOOD for *_, quality in rows)
        found.append(
            Bucket(
                at,
                min(values, default=None),
                max(values, default=None),
                math.fsum(values) / len(values) if values else None,
                values[0] if values else None,
                values[-1] if values else None,
                len(rows),
                good / len(rows),
            )
        )
    return found


def asked(store: Store, point: int, time_from: int, time_to: int, step: str) -> list[Bucket]:
    """The rollup as a reader of the tenant gets it."""
    with store.api(store.acme) as connection:
        rows = load("reading").rollups(connection, point_id=point, time_from=time_from, time_to=time_to, step=step)
        return [Bucket(*row) for row in rows]


def disagreements(store: Store, point: int, time_from: int, time_to: int) -> Iterator[tuple[str, Any, Any]]:
    """Steps of every level at which the database and the definition differ."""
    readings = store.readings()
    for name, step in LEVELS.items():
        want = recomputed(readings, point, time_from, time_to, step)
        got = asked(store, point, time_from, time_to, name)
        if [b.at for b in want] != [b.at for b in got]:
            yield name, [b.at for b in want], [b.at for b in got]
            continue
        yield from ((name, w, g) for w, g in zip(want, got, strict=True) if not w.agrees(g))


def settle(store: Store) -> None:
    """Everything rolled up, as the engine's job would have done by and by."""
    if store.engine is Engine.PLAIN:
        with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
            roll_up(connection, everything=True)
    else:
        with psycopg.connect(store.dsn, autocommit=True) as connection:
            connection.execute("SET ROLE servitize_owner")
            connection.execute("CALL servitize.refresh_rollups()")


def compress(store: Store) -> int:
    """Make columnstore of everything (nothing to do on plain PostgreSQL); how many chunks."""
    if store.engine is Engine.PLAIN:
        return 0
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        connection.execute("SET ROLE servitize_owner")
        chunks = connection.execute("SELECT show_chunks('servitize.reading')::text").fetchall()
        for (chunk,) in chunks:
            connection.execute("CALL convert_to_columnstore(%s::regclass, if_not_columnstore => true)", (chunk,))
    return len(chunks)
