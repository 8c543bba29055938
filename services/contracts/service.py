"""Contracts and their statements: compute, close, correct, verify."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from core.contracts import terms
from core.contracts.correction import correct
from core.contracts.document import parse
from core.contracts.numbers import minor_unit
from core.contracts.statement import Line, Statement, digest, line_of
from core.errors import ConflictError, InvalidInputError, NotFoundError, ServitizeError
from core.time import from_datetime, to_datetime
from services.api.database import Row, Transaction, visible
from services.contracts import model
from services.contracts.computing import Asked, Computed, compute_period, compute_periods, contract_row

FIX_HOLDS_DAYS: Final = 30
"""Corrective work on the same component within so many days says that the work before it did not fix it."""


async def show(db: Transaction, number: int) -> model.Contract:
    return model.Contract.model_validate(await contract_row(db, number))


def _machines(contract: terms.Contract) -> list[str]:
    return sorted({key for version in contract.versions for key in version.equipment})


async def put(
    db: Transaction,
    number: int | None,
    document: Mapping[str, Any],
    customer: str | None,
    revision: int | None,
    who: str,
) -> int:
    """A new contract, or other terms of one. Raises invalid-input for terms that make no sense or machines that are not
    one's own, conflict for a key that is taken or a revision that is no longer the latest."""
    contract = parse(document)
    made = await db.value(
        "put_contract",
        contract=number,
        document=json.dumps(document),
        machines=_machines(contract),
        customer=customer,
        expected=revision,
        who=who,
    )
    assert isinstance(made, int)
    return made


# --- records ---------------------------------------------------------------------------------------------------------

_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(("contract", "id", "kind", "withdrawn", "low", "high", "after"))


async def records(db: Transaction, count: int, **filters: Any) -> list[Row]:
    return await db.rows("contract_records", **{**_NO_FILTER, **filters, "count": count})


async def record(db: Transaction, number: int) -> model.Record:
    return model.Record.model_validate(visible(await records(db, 1, id=number), "record"))


async def put_record(db: Transaction, contract: int, order: model.NewRecord, who: str) -> int:
    if order.kind == "exclusion" and (order.ends_at is None or not order.cause):
        raise InvalidInputError(
            "an exclusion has an end and a cause", hint="for example planned, customer, force_majeure"
        )
    if order.kind == "incident" and order.equipment is None:
        raise InvalidInputError("an incident is a machine's", hint="give 'equipment'")
    made = await db.value(
        "put_contract_record",
        contract=contract,
        machine=order.equipment,
        kind=order.kind,
        low=order.starts_at,
        high=order.ends_at,
        responded=order.responded_at,
        why=order.cause,
        named=order.reference,
        who=who,
    )
    assert isinstance(made, int)
    return made


async def change_record(db: Transaction, number: int, order: model.ChangedRecord, who: str) -> model.Record:
    await db.row(
        "change_contract_record",
        record=number,
        high=order.ends_at,
        responded=order.responded_at,
        withdraw=order.withdraw,
        who=who,
    )
    return await record(db, number)


# --- statements ------------------------------------------------------------------------------------------------------


async def preview(db: Transaction, number: int, label: str) -> model.Draft:
    computed = await compute_period(db, Asked(number, label))
    statement = computed.statement
    closed = await db.rows("statement_documents", contracts=[number], periods=[statement.period])
    return model.Draft(
        contract=statement.contract,
        period=statement.period,
        currency=statement.currency,
        revision=computed.row["revision"],
        lines=[_traced(n, line) for n, line in enumerate(statement.lines, 1)],
        total=f"{statement.total:f}",
        results=[dict(result) for result in statement.results],
        sha256=statement.digest(),
        closed=bool(closed),
    )


async def close(db: Transaction, number: int, label: str, reason: str, who: str) -> int:
    """Close the period, or correct it where it is closed: the number of the new statement.

    Raises conflict where the period is not over, or closed already and nothing has changed.
    """
    (closed,) = await close_many(db, [number], label, reason, who)
    if isinstance(closed, ServitizeError):
        raise closed
    return closed


async def close_many(
    db: Transaction, numbers: Sequence[int], label: str, reason: str, who: str
) -> list[int | ServitizeError]:
    """Close the same period of many contracts: the new statements by number, or why there is none.

    What the database itself refuses (a change meanwhile, somebody else's contract) is raised, and closes none.
    """
    computed = await compute_periods(db, [Asked(number, label) for number in numbers])
    done = [c for c in computed if isinstance(c, Computed)]
    before: dict[int, list[Row]] = defaultdict(list)
    for row in await db.rows(
        "statement_documents",
        contracts=[c.row["id"] for c in done],
        periods=[c.statement.period for c in done],
    ):
        before[row["contract_id"]].append(row)
    refused: dict[int, ServitizeError] = {}
    orders = []
    for c in done:
        number, statement = c.row["id"], c.statement
        if c.known_until < statement.to_us:
            refused[number] = ConflictError("the period is not over", hint="look at its draft")
            continue
        try:
            document, total = _next(before[number], statement, reason)
        except (ConflictError, InvalidInputError) as error:
            refused[number] = error
            continue
        orders.append((c, len(before[number]), document, total))
    made = await _close(db, orders, reason, who) if orders else {}
    return [c if isinstance(c, InvalidInputError) else refused.get(c.row["id"]) or made[c.row["id"]] for c in computed]


def _next(before: list[Row], statement: Statement, reason: str) -> tuple[dict[str, Any], Decimal]:
    """The document that follows upon what is closed already, and its total."""
    if not before:
        return statement.document(), statement.total
    correction = correct(_in_force(before), statement, len(before), reason)
    if correction is None:
        raise ConflictError("the period is closed, and every figure is still right", hint="there is nothing to correct")
    if not reason:
        raise InvalidInputError("a correction says why", hint="give 'reason'")
    return correction.document(), correction.total


async def _close(
    db: Transaction, orders: Iterable[tuple[Computed, int, dict[str, Any], Decimal]], reason: str, who: str
) -> dict[int, int]:
    """Keep documents in one statement: new statements by contract."""
    # in one order everywhere: two who close the same contracts wait for each other, and do not lock each other out
    orders = sorted(orders, key=lambda order: int(order[0].row["id"]))
    rows = await db.rows(
        "close_statements",
        contracts=[c.row["id"] for c, _, _, _ in orders],
        periods=[c.statement.period for c, _, _, _ in orders],
        numbers=[number for _, number, _, _ in orders],
        lows=[to_datetime(c.statement.from_us) for c, _, _, _ in orders],
        highs=[to_datetime(c.statement.to_us) for c, _, _, _ in orders],
        revisions=[c.row["revision"] for c, _, _, _ in orders],
        documents=[json.dumps(document) for _, _, document, _ in orders],
        digests=[digest(document) for _, _, document, _ in orders],
        totals=[total for _, _, _, total in orders],
        known=[to_datetime(c.known_until) for c, _, _, _ in orders],
        why=reason,
        who=who,
    )
    return {row["contract"]: row["statement"] for row in rows}


def _in_force(before: list[Row]) -> list[Line]:
    """The lines that hold after all corrections so far."""
    last = before[-1]["document"]
    return [line_of(line) for line in last.get("after", last)["lines"]]


async def verify(db: Transaction, number: int) -> model.Verification:
    """The statement's period computed anew, with its terms and its clock."""
    row = await statement_row(db, number)
    document = await db.value("statement_document", id=number)
    stated = document.get("after", document)
    terms_then = await db.value("contract_revision", contract=row["contract_id"], revision=row["revision"])
    asked = Asked(row["contract_id"], row["period"][:7], terms_then, from_datetime(row["known_until"]))
    computed = await compute_period(db, asked)
    now = computed.statement.document()
    return model.Verification(
        same=digest(now) == digest(stated),
        stated=digest(stated),
        recomputed=digest(now),
        differences=_differences(stated, json.loads(json.dumps(now))),
    )


def _differences(stated: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    def by_identity(document: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
        return {(x["version"], x["term"], x["equipment"], x["part"]): x for x in document["lines"]}

    old, new = by_identity(stated), by_identity(now)
    found = []
    for key in sorted({*old, *new}):
        name = " ".join(part for part in key[1:] if part)
        if key not in new:
            found.append(f"{name}: no longer there")
        elif key not in old:
            found.append(f"{name}: {new[key]['amount']}, was not there")
        elif old[key]["amount"] != new[key]["amount"]:
            found.append(f"{name}: {new[key]['amount']}, stated {old[key]['amount']}")
        elif old[key] != new[key]:
            found.append(f"{name}: same amount from other evidence")
    return found


async def statement_row(db: Transaction, number: int) -> Row:
    rows = await db.rows("statements", contract=None, id=number, period=None, after=None, count=1)
    return visible(rows, "statement")


def summary_of(row: Row) -> model.StatementSummary:
    cent = minor_unit(row["currency"])
    return model.StatementSummary.model_validate({**row, "total": f"{Decimal(row['total']).quantize(cent):f}"})


async def statement(db: Transaction, number: int) -> model.Statement:
    row = await statement_row(db, number)
    document = await db.value("statement_document", id=number)
    return model.Statement(
        **summary_of(row).model_dump(),
        lines=[model.Line.model_validate({**line, "position": n}) for n, line in enumerate(document["lines"], 1)],
        results=[
            {k: v for k, v in result.items() if k != "trace"}
            for result in document.get("after", document).get("results", [])
        ],
    )


async def line(db: Transaction, number: int, position: int) -> model.TracedLine:
    await statement_row(db, number)
    document = await db.value("statement_document", id=number)
    if position > len(document["lines"]):
        raise NotFoundError("the statement has no such line")
    return model.TracedLine.model_validate({**document["lines"][position - 1], "position": position})


def _traced(position: int, found: Line) -> model.TracedLine:
    return model.TracedLine.model_validate({**found.figures(), "position": position, "trace": dict(found.trace)})


# --- energy and the firm ---------------------------------------------------------------------------------------------


async def put_factor(db: Transaction, order: model.NewFactor, who: str) -> int:
    try:
        effective = date.fromisoformat(order.effective)
    except ValueError:
        raise InvalidInputError(f"{order.effective!r} is no day of any calendar") from None
    made = await db.value(
        "put_emission_factor",
        carrier=order.carrier,
        effective=effective,
        kg_per_unit=Decimal(order.kg_per_unit),
        unit=order.unit,
        source=order.source,
        who=who,
    )
    assert isinstance(made, int)
    return made


def factor_of(row: Row) -> model.Factor:
    return model.Factor.model_validate({**row, "kg_per_unit": f"{row['kg_per_unit']:f}"})


async def indicators(db: Transaction, low: Any, high: Any) -> model.ServiceIndicators:
    row = await db.row("service_indicators", low=low, high=high, within=FIX_HOLDS_DAYS)
    assert row is not None
    fixed = row["fixed_first_time"] / row["corrective_closed"] if row["corrective_closed"] else None
    money = []
    for found in await db.rows("service_money", low=low, high=high):
        cent = minor_unit(found["currency"])
        amounts = {k: f"{found[k].quantize(cent):f}" for k in ("revenue", "fixed", "damages", "bonus")}
        money.append(model.Money.model_validate({**found, **amounts}))
    share = row["machines"] / row["installed"] if row["installed"] else None
    return model.ServiceIndicators.model_validate(
        {**row, "attached_share": share, "first_time_fix": fixed, "first_time_fix_days": FIX_HOLDS_DAYS, "money": money}
    )
