"""Evidence of periods, fetched in columns and for many machines at once from what the tenant asking sees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.contracts.evidence import EventAt, Exclusion, Incident, Machine, Series, StateAt
from core.contracts.intervals import Span
from core.time import from_datetime, to_datetime
from services.api.database import Row, Transaction, statements
from storage.packed_readings import columns

_SERIES_AT_ONCE: Final = 20
"""A month of so many points, one reading per minute each, is 14 MB and a second: well inside a statement's time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One machine's part in a period: readings of ``points`` from ``back`` µs before the span to its end, states, and
    events of ``kinds``."""

    equipment: int
    points: frozenset[str]
    kinds: frozenset[str]
    span: Span
    back: int


async def machines(db: Transaction, wanted: Sequence[Wanted]) -> list[Machine]:
    """What is stored of each, in their order.

    A point that a machine does not have is a series without readings: the figure then shows that nothing was seen.
    """
    series = await _series(db, wanted)
    spans = {"lows": [to_datetime(w.span[0]) for w in wanted], "highs": [to_datetime(w.span[1]) for w in wanted]}
    states: dict[int, tuple[StateAt, ...]] = {}
    for row in await db.rows("evidence_states", equipment=[w.equipment for w in wanted], **spans):
        states[row["n"] - 1] = tuple(map(StateAt, row["ts"], row["states"]))
    events = await _events(db, wanted)
    return [Machine(series[n], states.get(n, ()), tuple(events[n])) for n in range(len(wanted))]


async def _series(db: Transaction, wanted: Sequence[Wanted]) -> list[dict[str, Series]]:
    pairs = sorted({(w.equipment, key) for w in wanted for key in w.points})
    numbers = {}
    if pairs:
        found = await db.rows("evidence_points", equipment=[e for e, _ in pairs], keys=[k for _, k in pairs])
        numbers = {(row["equipment_id"], row["key"]): row["id"] for row in found}
    asked = [
        (n, key, numbers[w.equipment, key], w.span[0] - w.back, w.span[1] + 1)
        for n, w in enumerate(wanted)
        for key in sorted(w.points)
        if (w.equipment, key) in numbers
    ]
    series: list[dict[str, Series]] = [{} for _ in wanted]
    for first in range(0, len(asked), _SERIES_AT_ONCE):
        some = asked[first : first + _SERIES_AT_ONCE]
        packed = await _packed(db, [(point, low, high) for _, _, point, low, high in some])
        for (n, key, point, _, _), body in zip(some, packed, strict=True):
            series[n][key] = Series(point, *columns(body))
    return series


async def _packed(db: Transaction, asked: Iterable[tuple[int, int, int]]) -> list[bytes]:
    """Usable readings of points, each in [low, high) µs."""
    points, lows, highs = zip(*asked, strict=True)
    parameters = {"points": list(points), "lows": [*map(to_datetime, lows)], "highs": [*map(to_datetime, highs)]}
    # binary: as text every byte would be two letters
    cursor = await db.connection.execute(statements()["evidence_readings"], parameters, binary=True)
    return [row["packed"] for row in await cursor.fetchall()]


async def _events(db: Transaction, wanted: Sequence[Wanted]) -> dict[int, list[EventAt]]:
    asked = [(n, w, kind) for n, w in enumerate(wanted) for kind in sorted(w.kinds)]
    events: dict[int, list[EventAt]] = defaultdict(list)
    if asked:
        rows = await db.rows(
            "evidence_events",
            equipment=[w.equipment for _, w, _ in asked],
            kinds=[kind for _, _, kind in asked],
            lows=[to_datetime(w.span[0]) for _, w, _ in asked],
            highs=[to_datetime(w.span[1]) for _, w, _ in asked],
        )
        for row in rows:
            events[asked[row["n"] - 1][0]].append(EventAt(row["ts"], row["kind"], row["identity"]))
    return events


async def records(db: Transaction, asked: Sequence[tuple[int, Span]]) -> dict[int, list[Exclusion | Incident]]:
    """What stands on record for contracts, each in its period, by contract."""
    found: dict[int, list[Exclusion | Incident]] = defaultdict(list)
    for row in await db.rows(
        "evidence_records",
        contracts=[number for number, _ in asked],
        lows=[to_datetime(span[0]) for _, span in asked],
        highs=[to_datetime(span[1]) for _, span in asked],
    ):
        made = _exclusion(row) if row["kind"] == "exclusion" else _incident(row)
        found[row["contract_id"]].append(made)
    return found


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else from_datetime(moment)


def _exclusion(row: Row) -> Exclusion:
    return Exclusion(
        from_datetime(row["starts_at"]),
        from_datetime(row["ends_at"]),
        row["cause"],
        row["reference"],
        row["equipment"] or "",
    )


def _incident(row: Row) -> Incident:
    return Incident(
        row["equipment"],
        from_datetime(row["starts_at"]),
        row["reference"],
        _us(row["responded_at"]),
        _us(row["ends_at"]),
    )
