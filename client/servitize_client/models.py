"""Answers of the service. Times are aware datetimes in UTC, money and quantities decimals."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class EquipmentRef:
    id: int
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Me:
    tenant: dict[str, Any] = field(default_factory=dict)
    scopes: list[str] = field(default_factory=list)
    role: str = ""


@dataclass(frozen=True, slots=True)
class Equipment:
    id: int
    key: str
    name: str
    status: str
    type: str | None = None
    state: str | None = None
    health: float | None = None


@dataclass(frozen=True, slots=True)
class LatestPoint:
    point: str
    component: str | None
    unit: str
    ts: datetime
    value: float | None
    quality: str


@dataclass(frozen=True, slots=True)
class Alarm:
    id: int
    equipment: EquipmentRef
    component: str
    condition: str
    state: str
    active: bool
    priority: str
    concern: str
    title: str
    value: float | None
    limit: float | None
    failure_mode: str | None
    consequence: str
    action: str
    raised_at: datetime | None
    allowed: list[str]


@dataclass(frozen=True, slots=True)
class Evidence:
    source: str
    kind: str
    title: str
    at: datetime
    since: datetime
    holds: bool
    priority: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PartNeed:
    key: str
    name: str
    number: str
    quantity: Decimal
    unit: str
    price: Decimal
    lead_days: float


@dataclass(frozen=True, slots=True)
class Task:
    task: str | None
    name: str
    steps: list[str]
    parts: list[PartNeed]
    skills: list[str]
    crew: int
    minutes: int
    stop: bool
    cost: Decimal
    failure_cost: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Advisory:
    id: int
    equipment: EquipmentRef
    component: str
    failure_mode: str
    state: str
    outcome: str | None
    title: str
    priority: str
    due_at: datetime | None
    due_rule: str
    consequence: str
    work: Task | None
    evidence: list[Evidence]
    reason: str
    work_order_id: int | None
    case_id: int | None
    revision: int
    allowed: list[str]


@dataclass(frozen=True, slots=True)
class CheckLine:
    line: int
    text: str
    obligatory: bool
    done_at: datetime | None
    note: str


@dataclass(frozen=True, slots=True)
class Verification:
    verdict: str | None = None
    text: str = ""
    ran_hours: float | None = None
    needed_hours: float | None = None


@dataclass(frozen=True, slots=True)
class WorkEntry:
    id: int
    at: datetime
    actor: str
    kind: str
    item: str
    quantity: Decimal | None
    unit: str
    cost: Decimal | None
    note: str


@dataclass(frozen=True, slots=True)
class Photo:
    sha256: str
    media_type: str
    bytes: int
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WorkOrder:
    id: int
    equipment: EquipmentRef
    component: str
    kind: str
    advisory_id: int | None
    title: str
    state: str
    priority: str
    due_at: datetime | None
    work: Task
    checklist: list[CheckLine]
    scheduled_start: datetime | None
    scheduled_end: datetime | None
    crew: str
    done_at: datetime | None
    outcome: str | None
    findings: str
    verification: Verification
    closed_at: datetime | None
    reopenings: int
    cost: Decimal
    revision: int
    allowed: list[str]
    entries: list[WorkEntry] = field(default_factory=list)
    photos: list[Photo] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a decision on an advisory did."""

    from_state: str
    to_state: str
    work_order_id: int | None
    advisory: Advisory


@dataclass(frozen=True, slots=True)
class WorkStep:
    from_state: str
    to_state: str
    work_order: WorkOrder


@dataclass(frozen=True, slots=True)
class PreventiveTask:
    equipment: EquipmentRef
    component: str
    task: str
    name: str
    due_at: datetime | None
    overdue: bool
    used: float
    rule: str
    work_order_id: int | None


@dataclass(frozen=True, slots=True)
class Part:
    key: str
    name: str
    number: str
    unit: str
    price: Decimal
    currency: str
    lead_days: float
    minimum: Decimal
    on_hand: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True)
class Stock:
    on_hand: Decimal
    available: Decimal


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    work_order_id: int
    equipment: str
    component: str
    title: str
    state: str
    start: datetime | None
    end: datetime | None
    expected_loss: float
    shares_stop_with: list[int]
    why: list[str]


@dataclass(frozen=True, slots=True)
class Calendar:
    items: list[CalendarEntry]
    cost: float
    cost_apart: float
    stops: int
    proven: bool
    windows_assumed: bool


@dataclass(frozen=True, slots=True)
class OilFigure:
    figure: str
    value: float
    unit: str
    level: str
    text: str
    days_to_alarm: float | None = None


@dataclass(frozen=True, slots=True)
class OilSample:
    id: int
    equipment: EquipmentRef
    component: str
    sampled_at: datetime
    level: str
    verdict: list[OilFigure]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream. ``seq`` is where to go on."""

    seq: int
    kind: str
    at: datetime | None
    payload: dict[str, Any]
