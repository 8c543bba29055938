"""Answers and requests about preventive tasks, the calendar, spare parts and oil."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from core.condition import Priority
from core.maintenance import WorkState
from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.predictive_maintenance.model import Reason, Remark, Short
from services.telemetry.model import EquipmentRef

PartKey = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,79}$")]
Amount = Annotated[Decimal, Field(ge=0, le=100_000, decimal_places=4, strict=False)]
Price = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=2, strict=False)]
Skill = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[\x20-\x7e]*$")]
Level = Literal["good", "warning", "alarm"]


class PreventiveTask(Answer):
    """A task that is due by itself, on one component."""

    equipment: EquipmentRef
    component: str
    task: str
    name: str
    due_at: Moment | None = Field(description="Null: nothing tells yet how fast it is used up")
    overdue: bool
    used: float = Field(description="Share of the interval, 1 is due")
    rule: str
    last_done_at: Moment | None
    work_order_id: int | None = Field(description="The unfinished work order for it")


class Planned(Answer):
    """Work orders made for preventive tasks that come due."""

    work_order_ids: list[int]


class PlanDue(Strict, json_schema_extra={"examples": [{"days": 30}]}):
    days: Annotated[float, Field(ge=0, le=730)] = 30.0


class Part(Answer):
    key: str
    name: str
    number: str
    unit: str
    price: Decimal
    currency: str
    lead_days: float
    minimum: Decimal
    on_hand: Decimal
    available: Decimal = Field(description="On hand less what is reserved; below zero it has to be ordered")
    revision: int


class KeepPart(
    Strict,
    json_schema_extra={
        "examples": [{"key": "brg", "name": "Bearing 6222 C3", "number": "6222-C3", "price": "640.00", "lead_days": 14}]
    },
):
    key: PartKey
    name: Reason
    number: Short = ""
    unit: Annotated[str, StringConstraints(max_length=20, pattern=r"^[\x20-\x7e]*$")] = "1"
    price: Price = Decimal(0)
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = "EUR"
    lead_days: Annotated[float, Field(ge=0, le=3650, strict=False)] = 0.0
    minimum: Amount = Decimal(0)


class Move(Strict, json_schema_extra={"examples": [{"kind": "received", "quantity": "2"}]}):
    """Into or out of stock; `taken` and `returned` may name the work order."""

    kind: Literal["received", "taken", "returned", "counted"]
    quantity: Amount
    work_order: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    note: Remark = ""


class Stock(Answer):
    on_hand: Decimal
    available: Decimal


class Movement(Answer):
    id: int
    at: Moment
    recorded_at: Moment
    kind: Literal["received", "taken", "returned", "counted"]
    quantity: Decimal = Field(description="Change of what is on hand")
    work_order_id: int | None
    actor: str
    note: str


class Reservation(Answer):
    key: str
    name: str
    quantity: Decimal
    unit: str
    short: Decimal = Field(description="So many of them are not there")
    lead_days: float
    work_order_id: int


class Reservations(Answer):
    items: list[Reservation]


class Reserve(Strict, json_schema_extra={"examples": [{"part": "bearing-6222-c3", "quantity": "1"}]}):
    part: PartKey
    quantity: Amount


class BillLine(Answer):
    component: str
    part: str
    name: str
    number: str
    quantity: Decimal
    unit: str
    task: str
    on_hand: Decimal | None = Field(description="Null: not in your stock list")


class Bill(Answer):
    """Spare parts of a machine by component, from its type."""

    equipment: EquipmentRef
    items: list[BillLine]


class CrewAnswer(Answer):
    key: str
    name: str
    people: int
    skills: list[str]


class Crews(Answer):
    items: list[CrewAnswer]


class KeepCrew(
    Strict, json_schema_extra={"examples": [{"key": "north", "name": "North", "people": 3, "skills": ["mechanic"]}]}
):
    key: PartKey
    name: Reason
    people: Annotated[int, Field(ge=1, le=1000)]
    skills: list[Skill] = Field(default_factory=list, max_length=50)


class WindowAnswer(Answer):
    id: int
    equipment: str | None
    starts_at: Moment
    ends_at: Moment
    stands: bool
    note: str


class Windows(Answer):
    items: list[WindowAnswer]


class AddWindow(
    Strict,
    json_schema_extra={"examples": [{"starts_at": "2030-01-07T06:00:00Z", "ends_at": "2030-01-07T14:00:00Z"}]},
):
    equipment: (
        Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")] | None
    ) = None
    starts_at: Moment
    ends_at: Moment
    stands: bool = False
    note: Remark = ""


class CalendarEntry(Answer):
    work_order_id: int
    equipment: str
    component: str
    title: str
    state: WorkState
    priority: Priority
    due_at: Moment | None
    start: Moment | None = Field(description="Null: no window was found")
    end: Moment | None
    expected_loss: float = Field(description="By a breakdown before it is done")
    shares_stop_with: list[int]
    why: list[str]


class CalendarAnswer(Answer):
    """A proposal: nothing is scheduled by asking for it."""

    items: list[CalendarEntry]
    cost: float = Field(description="Expected loss and stops, in the plans' currency")
    cost_apart: float = Field(description="The same if each job took its own best window, a stop each")
    stops: int
    proven: bool = Field(description="Nothing better exists (within 1 %)")
    windows_assumed: bool = Field(description="No windows are known: a shift a day, 06:00 to 14:00, was assumed")


class Apply(Strict, json_schema_extra={"examples": [{"stop_cost": 2000}]}):
    """Schedules what is approved where the proposal puts it."""

    days: Annotated[float, Field(ge=1, le=366, strict=False)] = 28.0
    stop_cost: Annotated[float, Field(ge=0, le=1e9, strict=False, allow_inf_nan=False)] = 2000.0


class Applied(Answer):
    scheduled: list[int]
    calendar: CalendarAnswer


class NewSample(
    Strict,
    json_schema_extra={
        "examples": [
            {"sampled_at": "2026-01-05T08:00:00Z", "viscosity_40": 32.4, "water": 90, "cleanliness": "18/16/13"}
        ]
    },
):
    component: Annotated[str, StringConstraints(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    sampled_at: Moment
    laboratory: Short = ""
    reference: Short = ""
    viscosity_40: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False, strict=False)] | None = None
    water: (
        Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False, strict=False, description="mg/kg")] | None
    ) = None
    acid_number: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, strict=False)] | None = None
    cleanliness: Annotated[str, StringConstraints(max_length=30, pattern=r"^[A-Za-z0-9 /]+$")] | None = None
    metals: dict[
        Annotated[str, StringConstraints(pattern="^[A-Z][a-z]?$")],
        Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False, strict=False)],
    ] = Field(default_factory=dict, max_length=40)


class OilFigure(Answer):
    figure: str
    value: float
    unit: str
    level: Level
    limit: float
    text: str
    per_year: float | None
    days_to_alarm: float | None


class OilSample(Answer):
    id: int
    equipment: EquipmentRef
    component: str
    sampled_at: Moment
    laboratory: str
    reference: str
    figures: dict[str, Any]
    level: Level
    verdict: list[OilFigure] = Field(description="Worst first")
    actor: str
    recorded_at: Moment
