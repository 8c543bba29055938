"""`/v1/parts`, and the parts of machines and work orders."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response

from services.api.auth import Operating, Planning, Reading
from services.api.errors import responses
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import EquipmentRef, LongNumber, Pages, equipment_id, paged
from services.predictive_maintenance import service, stock
from services.predictive_maintenance.planning_model import (
    Bill,
    KeepPart,
    Move,
    Movement,
    Part,
    Reservations,
    Reserve,
    Stock,
)

router = APIRouter(tags=["spare parts"])

Key = Annotated[str, Path(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,79}$", examples=["bearing-6222-c3"])]
PART: Final[dict[str, Any]] = {
    "key": "bearing-6222-c3",
    "name": "Deep groove ball bearing 6222 C3, insulated",
    "number": "6222-M-C3-VL0241",
    "unit": "1",
    "price": "640.00",
    "currency": "EUR",
    "lead_days": 14.0,
    "minimum": "1",
    "on_hand": "2",
    "available": "1",
    "revision": 1,
}
MOVEMENT: Final[dict[str, Any]] = {
    "id": 9,
    "at": "2026-11-22T10:00:00Z",
    "recorded_at": "2026-11-22T10:00:00Z",
    "kind": "received",
    "quantity": "2",
    "work_order_id": None,
    "actor": "api-key:5mTq0aXe",
    "note": "",
}
RESERVED: Final[dict[str, Any]] = {
    "items": [
        {
            "key": "bearing-6222-c3",
            "name": "Deep groove ball bearing 6222 C3, insulated",
            "quantity": "1",
            "unit": "1",
            "short": "0",
            "lead_days": 14.0,
            "work_order_id": 5,
        }
    ]
}
BILL: Final[dict[str, Any]] = {
    "equipment": {"id": 7, "key": "K-101", "name": "Compressor K-101"},
    "items": [
        {
            "component": "motor.bearing_de",
            "part": "bearing-6222-c3",
            "name": "Deep groove ball bearing 6222 C3, insulated",
            "number": "6222-M-C3-VL0241",
            "quantity": "1",
            "unit": "1",
            "task": "Replace the motor's rolling bearing (de)",
            "on_hand": "2",
        }
    ],
}


@router.get("/parts", summary="Your spare parts", responses=paged(parts=PART))
async def list_parts(session: Reading, paging: Pages) -> Page[Part]:
    """In order of key."""
    return await paging.listed(session, "parts", Part.model_validate, by={"after": "key"})


@router.get("/parts/{part}", summary="One spare part", responses={200: examples(part=PART), **responses("not-found")})
async def show_part(session: Reading, part: Key) -> Part:
    """With what is on hand and what of it is free."""
    return await stock.part(session.db, part)


@router.post(
    "/parts",
    summary="List a spare part, or change it",
    responses={200: examples(part=PART), 201: {"description": "New in the list"}, **responses("invalid-input")},
)
async def keep_part(session: Planning, response: Response, body: KeepPart) -> Part:
    """A part of that key is changed, else it is new (`201`). How many there are is told by movements, not here."""
    if await stock.keep(session.db, body):
        response.status_code = 201
    await session.audit("part.keep", f"part/{body.key}", name=body.name)
    return await stock.part(session.db, body.key)


@router.post(
    "/parts/{part}/movements",
    summary="Into or out of stock",
    responses={
        200: examples(stock={"on_hand": "2", "available": "1"}),
        **responses("not-found", "conflict", "invalid-input"),
    },
)
async def move_stock(session: Operating, part: Key, body: Move) -> Stock:
    """`received` and `returned` add, `taken` takes, `counted` says how many there are. With `work_order` the part and
    its cost stand in the order too."""
    found = await stock.move(session.db, session.principal, part, body)
    await session.audit("part.move", f"part/{part}", kind=body.kind, quantity=body.quantity, work_order=body.work_order)
    return found


@router.get(
    "/parts/{part}/movements",
    summary="What went into and out of stock, newest first",
    responses=paged("not-found", movements=MOVEMENT),
)
async def list_movements(session: Reading, part: Key, paging: Pages) -> Page[Movement]:
    """Their sum is what is on hand."""
    await stock.part(session.db, part)
    return await paging.listed(session, "stock_movements", Movement.model_validate, part=part)


@router.get("/reservations", summary="What unfinished work will need", responses={200: examples(reserved=RESERVED)})
async def list_reservations(session: Reading) -> Reservations:
    """By work order. `short`: so many are not there, counted in the order in which they were reserved."""
    return await stock.reservations(session.db, None)


@router.get(
    "/work-orders/{work_order}/parts",
    summary="Parts reserved for a work order",
    responses={200: examples(reserved=RESERVED), **responses("not-found")},
)
async def list_work_parts(session: Reading, work_order: LongNumber) -> Reservations:
    """Those still to be taken."""
    await service.work_order(session.db, work_order)
    return await stock.reservations(session.db, work_order)


@router.post(
    "/work-orders/{work_order}/parts",
    summary="Reserve a part",
    responses={200: examples(reserved=RESERVED), **responses("not-found", "conflict", "invalid-input")},
)
async def reserve_part(session: Planning, work_order: LongNumber, body: Reserve) -> Reservations:
    """So many in all for this order, also more than there are."""
    await stock.reserve(session.db, work_order, body.part, body.quantity)
    await session.audit("work_order.reserve", f"work_order/{work_order}", part=body.part, quantity=body.quantity)
    return await stock.reservations(session.db, work_order)


@router.get(
    "/equipment/{equipment}/bill-of-materials",
    summary="Spare parts of a machine",
    responses={200: examples(bill=BILL), **responses("not-found")},
)
async def bill_of_materials(session: Reading, equipment: EquipmentRef) -> Bill:
    """By component, from its type's tasks, with what is in your stock."""
    number = await equipment_id(session.db, equipment)
    return await stock.bill(session.db, await service.reference(session.db, number))
