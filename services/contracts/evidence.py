"""Evidence of a period, fetched in columns from what the tenant asking sees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from core.contracts.calendars import Period
from core.contracts.evidence import EventAt, Evidence, Exclusion, Incident, Machine, Series, StateAt
from core.contracts.intervals import Span
from core.contracts.statement import lookback, needed
from core.contracts.terms import Contract
from core.time import from_datetime, to_datetime
from services.api.database import Row, Transaction, statements
from storage.packed_readings import columns


async def gather(
    db: Transaction, contract_id: int, contract: Contract, machines: Mapping[str, int], period: Period, known_until: int
) -> Evidence:
    """Everything that the period's figures rest on. ``machines``: numbers of equipment by the contract's keys."""
    span = period.span(contract.timezone)
    back = lookback(contract)
    found = {}
    for key, (points, kinds) in needed(contract, period).items():
        if key in machines:
            found[key] = await machine(db, machines[key], points, kinds, span, back)
    rows = await db.rows(
        "contract_records", contract=contract_id, id=None, kind=None, withdrawn=False, low=to_datetime(span[0]),
        high=to_datetime(span[1]), after=None, count=None,
    )  # fmt: skip
    return Evidence(
        found,
        tuple(_exclusion(row) for row in rows if row["kind"] == "exclusion"),
        tuple(_incident(row) for row in rows if row["kind"] == "incident"),
        known_until,
    )


async def machine(db: Transaction, equipment: int, points: set[str], kinds: set[str], span: Span, back: int) -> Machine:
    """One machine's readings of ``points`` from ``back`` µs before [from, to) to its end, states, events of ``kinds``.

    A point that the machine does not have is a series without readings: the figure then shows that nothing was seen.
    """
    low, high = to_datetime(span[0]), to_datetime(span[1])
    series = {}
    for row in await db.rows("evidence_points", equipment=equipment, keys=sorted(points)):
        series[row["key"]] = await readings(db, row["id"], span[0] - back, span[1] + 1)
    states = await db.rows("evidence_states", equipment=equipment, low=low, high=high)
    events = (
        await db.rows("evidence_events", equipment=equipment, kinds=sorted(kinds), low=low, high=high) if kinds else []
    )
    return Machine(
        series,
        tuple(StateAt(row["ts"], row["state"]) for row in states),
        tuple(EventAt(row["ts"], row["kind"], row["identity"]) for row in events),
    )


async def readings(db: Transaction, point: int, low: int, high: int) -> Series:
    """Usable readings of a point in [low, high) µs."""
    parameters = {"point": point, "low": to_datetime(low), "high": to_datetime(high)}
    # binary: as text every byte would be two letters
    cursor = await db.connection.execute(statements()["evidence_readings"], parameters, binary=True)
    row = await cursor.fetchone()
    assert row is not None
    return Series.of(point, *columns(row["packed"]))


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
