"""Spare parts: what an order needs is reserved when it is approved, and free again when it is over."""

from __future__ import annotations

from decimal import Decimal

from core.errors import NotFoundError
from services.api.auth import Principal
from services.api.database import Transaction
from services.predictive_maintenance import service
from services.predictive_maintenance.model import WorkOrder
from services.predictive_maintenance.planning_model import (
    Bill,
    BillLine,
    KeepPart,
    Move,
    Part,
    Reservation,
    Reservations,
    Stock,
)
from services.telemetry.model import EquipmentRef


async def part(db: Transaction, key: str) -> Part:
    row = await db.row("part", key=key)
    if row is None:
        raise NotFoundError("there is no such part in your stock list")
    return Part.model_validate(row)


async def keep(db: Transaction, body: KeepPart) -> bool:
    """Add or change a part; True where it is new."""
    return bool(
        await db.value(
            "keep_part",
            key=body.key,
            name=body.name,
            number=body.number,
            unit=body.unit,
            price=body.price,
            currency=body.currency,
            lead_days=body.lead_days,
            minimum=body.minimum,
        )
    )


async def move(db: Transaction, who: Principal, key: str, body: Move) -> Stock:
    row = await db.row(
        "move_stock",
        key=key,
        kind=body.kind,
        quantity=body.quantity,
        work=body.work_order,
        note=body.note,
        who=who.actor,
    )
    assert row is not None
    return Stock.model_validate(row)


async def reserve(db: Transaction, work: int, key: str, quantity: Decimal) -> None:
    await db.value("reserve_part", key=key, work=work, quantity=quantity)


async def reserve_for(db: Transaction, who: Principal, work: WorkOrder) -> None:
    """Reserve all that a work order's plan names; a part nobody has listed yet comes into the list, with none there."""
    for need in sorted(
        work.work.parts, key=lambda need: need.key
    ):  # in one order: two orders never wait for each other
        if await db.row("part", key=need.key) is None:
            await keep(
                db,
                KeepPart(
                    key=need.key,
                    name=need.name,
                    number=need.number,
                    unit=need.unit,
                    price=round(need.price, 2),
                    currency=work.work.currency,
                    lead_days=need.lead_days,
                    minimum=Decimal(0),
                ),
            )
        await reserve(db, work.id, need.key, need.quantity)


async def reservations(db: Transaction, work: int | None) -> Reservations:
    rows = await db.rows("reservations", work=work)
    return Reservations(items=[Reservation.model_validate(row) for row in rows])


async def bill(db: Transaction, equipment: EquipmentRef) -> Bill:
    """Spare parts of a machine by component, with what is in stock."""
    plan, row = await service.plan_for(db, equipment.id)
    del row
    stock: dict[str, Decimal] = {}
    lines: list[BillLine] = []
    for task in plan.tasks:
        for component, binding in service.places(task):
            for need in task.parts:
                definition = plan.part(need.key)
                if need.key not in stock:
                    found = await db.row("part", key=need.key)
                    if found is not None:
                        stock[need.key] = found["on_hand"]
                lines.append(
                    BillLine(
                        component=component,
                        part=need.key,
                        name=definition.name if definition else need.key,
                        number=definition.number if definition else "",
                        quantity=need.quantity,
                        unit=definition.unit if definition else need.unit,
                        task=task.name.format_map(binding),
                        on_hand=stock.get(need.key),
                    )
                )
    return Bill(equipment=equipment, items=sorted(lines, key=lambda line: (line.component, line.part)))
