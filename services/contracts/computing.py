"""Statements of periods from what is stored: of many contracts at once, with as many questions as for one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.contracts import terms
from core.contracts.calendars import Period, billing_period
from core.contracts.document import parse
from core.contracts.evidence import Evidence, Exclusion, Incident, Machine
from core.contracts.intervals import Span
from core.contracts.statement import Statement, compute, lookback, needed
from core.errors import InvalidInputError, NotFoundError
from services.api.database import Row, Transaction
from services.contracts import evidence

_NO_CONTRACT: Final = "there is no such contract, or it is not yours to see"


async def contract_row(db: Transaction, number: int) -> Row:
    return (await contract_rows(db, [number]))[0]


async def contract_rows(db: Transaction, numbers: Sequence[int]) -> list[Row]:
    """Contracts by number, in order. Raises not-found where one of them is not there."""
    rows = {row["id"]: row for row in await db.rows("contracts", ids=list(numbers), after=None, count=None)}
    missing = [number for number in numbers if number not in rows]
    if missing:
        raise NotFoundError(_NO_CONTRACT if len(numbers) == 1 else f"{_NO_CONTRACT}: {missing[0]}")
    return [rows[number] for number in numbers]


@dataclass(frozen=True, slots=True)
class Asked:
    """A contract's period to compute. ``document``: other terms than those in force; ``known_until`` µs: where clocks
    still running are read (now, if not given)."""

    number: int
    label: str
    document: Mapping[str, Any] | None = None
    known_until: int | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """A period as computed, and what was computed from."""

    row: Row
    contract: terms.Contract
    period: Period
    statement: Statement
    known_until: int


@dataclass(frozen=True, slots=True)
class _Draft:
    """A period to compute, and the moment at which clocks still running are read."""

    row: Row
    contract: terms.Contract
    period: Period
    span: Span
    known: int


async def compute_periods(db: Transaction, asked: Sequence[Asked]) -> list[Computed | InvalidInputError]:
    """Statements in the order asked for. A contract that has no such period, or no terms in it, is given as the error;
    all others are computed. Raises not-found where a contract is not there."""
    now = int(await db.value("now_us"))
    rows = await contract_rows(db, [one.number for one in asked])
    drafts = [_draft(row, one, now) for row, one in zip(rows, asked, strict=True)]
    wanted, owners = [], []
    for n, draft in enumerate(drafts):
        if isinstance(draft, InvalidInputError):
            continue
        for key, (points, kinds) in needed(draft.contract, draft.period).items():
            if key in draft.row["machines"]:
                machine, back = draft.row["machines"][key], lookback(draft.contract)
                wanted.append(evidence.Wanted(machine, frozenset(points), frozenset(kinds), draft.span, back))
                owners.append((n, key))
    machines: list[dict[str, Machine]] = [{} for _ in drafts]
    for (n, key), found in zip(owners, await evidence.machines(db, wanted), strict=True):
        machines[n][key] = found
    records = await evidence.records(db, [(d.row["id"], d.span) for d in drafts if isinstance(d, _Draft)])
    computed: list[Computed | InvalidInputError] = []
    for draft, stored in zip(drafts, machines, strict=True):
        if isinstance(draft, _Draft):
            computed.append(_compute(draft, stored, records[draft.row["id"]]))
            await asyncio.sleep(0)  # other requests between two statements
        else:
            computed.append(draft)
    return computed


async def compute_period(db: Transaction, asked: Asked) -> Computed:
    """One of them. Raises invalid-input where the contract has no terms in the period."""
    (found,) = await compute_periods(db, [asked])
    if isinstance(found, InvalidInputError):
        raise found
    return found


def _draft(row: Row, asked: Asked, now: int) -> _Draft | InvalidInputError:
    contract = parse(row["document"] if asked.document is None else asked.document)
    try:
        period = billing_period(asked.label, contract.months)
    except InvalidInputError as error:
        return error
    span = period.span(contract.timezone)
    # A clock that still ran at the end of the period is read no later than its end: later days are another period's.
    return _Draft(row, contract, period, span, min(now if asked.known_until is None else asked.known_until, span[1]))


def _compute(
    draft: _Draft, machines: Mapping[str, Machine], records: Sequence[Exclusion | Incident]
) -> Computed | InvalidInputError:
    stored = Evidence(
        machines,
        tuple(r for r in records if isinstance(r, Exclusion)),
        tuple(r for r in records if isinstance(r, Incident)),
        draft.known,
    )
    try:
        statement = compute(draft.contract, draft.period, stored)
    except InvalidInputError as error:
        return error
    return Computed(draft.row, draft.contract, draft.period, statement, draft.known)
