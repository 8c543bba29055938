"""Answers and requests about advisories and work orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from core.condition import Priority
from core.maintenance import AdvisoryEvent, AdvisoryState, WorkEvent, WorkState
from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.telemetry.model import EquipmentRef

_PLAIN = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
Remark = Annotated[str, StringConstraints(max_length=2000, pattern=_PLAIN)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=_PLAIN)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]*$")]
Short = Annotated[str, StringConstraints(max_length=200, pattern=_PLAIN)]
Money = Annotated[Decimal, Field(ge=-1_000_000_000, le=1_000_000_000, decimal_places=2, strict=False)]
Quantity = Annotated[Decimal, Field(ge=-1_000_000, le=1_000_000, decimal_places=4, strict=False)]
Kind = Literal["corrective", "preventive", "inspection"]
Outcome = Literal["repaired", "no_fault_found", "not_repaired"]


class Evidence(Answer):
    """One reason: an alarm, a prognosis, an oil sample, a case."""

    source: str = Field(description="Stable name of where it comes from")
    kind: str
    title: str
    at: Moment = Field(description="Last word of it")
    since: Moment = Field(description="Since when it holds, or held")
    holds: bool
    priority: Priority
    detail: dict[str, Any] = Field(description="Figures: point, value, limit, interval …")


class PartNeed(Answer):
    key: str
    name: str
    number: str
    quantity: Decimal
    unit: str
    price: Decimal
    lead_days: float


class LubricantNeed(Answer):
    key: str
    quantity: Decimal
    unit: str


class Task(Answer):
    """What to do, with what and whom."""

    task: str | None = Field(description="Key in the equipment type; null: the type knows none")
    name: str
    steps: list[str]
    optional_steps: list[str]
    parts: list[PartNeed]
    lubricants: list[LubricantNeed]
    skills: list[str]
    crew: int = Field(description="People")
    minutes: int
    stop: bool = Field(description="The machine has to stand")
    cost: Decimal = Field(description="Labour and parts, estimated")
    failure_cost: Decimal = Field(description="What a breakdown costs, estimated")
    currency: str


class Advisory(Answer):
    id: int
    equipment: EquipmentRef
    component: str
    failure_mode: str
    state: AdvisoryState
    outcome: Literal["done", "gone", "unfounded"] | None = Field(description="How the last one ended")
    title: str = Field(description="What is wrong")
    priority: Priority
    due_at: Moment | None = Field(description="Act by then")
    due_rule: str = Field(description="Where that date comes from")
    consequence: str = Field(description="What happens if nobody does anything")
    work: Task | None
    evidence: list[Evidence] = Field(description="Why")
    occurrences: int
    opened_at: Moment | None
    deferred_until: Moment | None
    decided_by: str | None
    decided_at: Moment | None
    reason: str
    work_order_id: int | None
    case_id: int | None = Field(description="The case in which its diagnosis stands, while one is open")
    changed_at: Moment
    revision: int
    allowed: list[AdvisoryEvent]


class AdvisoryEntry(Answer):
    id: int
    at: Moment
    recorded_at: Moment
    event: AdvisoryEvent
    actor: str
    reason: str
    from_state: AdvisoryState
    to_state: AdvisoryState
    priority: Priority
    due_at: Moment | None
    announced: bool


class Accept(Strict, json_schema_extra={"examples": [{"comment": "with the next planned stop"}]}):
    comment: Remark = ""


class Reject(Strict, json_schema_extra={"examples": [{"reason": "measured by hand: nothing there"}]}):
    reason: Reason


class Defer(Strict, json_schema_extra={"examples": [{"reason": "no crew before", "until": "2030-01-07T06:00:00Z"}]}):
    reason: Reason
    until: Moment


class AdvisoryStep(Answer):
    """What a decision did, and the advisory after it."""

    from_state: AdvisoryState
    to_state: AdvisoryState
    announced: bool
    work_order_id: int | None
    advisory: Advisory


class CheckLine(Answer):
    line: int
    text: str
    obligatory: bool
    done_at: Moment | None
    by: str | None
    note: str


class WorkEntry(Answer):
    id: int
    at: Moment
    recorded_at: Moment
    actor: str
    kind: Literal["labour", "part", "lubricant", "finding"]
    item: str
    quantity: Decimal | None
    unit: str
    cost: Decimal | None
    note: str


class Photo(Answer):
    sha256: str
    media_type: str
    bytes: int
    note: str
    actor: str
    at: Moment


class Verification(Answer):
    """What the telemetry said after the work."""

    verdict: Literal["watching", "verified", "relapsed", "unproven"] | None = None
    text: str = ""
    ran_hours: float | None = None
    needed_hours: float | None = None
    seen_until: Moment | None = None


class WorkOrder(Answer):
    id: int
    equipment: EquipmentRef
    component: str
    kind: Kind
    advisory_id: int | None
    failure_mode: str | None
    title: str
    state: WorkState
    priority: Priority
    due_at: Moment | None
    work: Task
    checklist: list[CheckLine]
    scheduled_start: Moment | None
    scheduled_end: Moment | None
    crew: str
    started_at: Moment | None
    done_at: Moment | None
    outcome: Outcome | None
    findings: str
    verification: Verification
    closed_at: Moment | None
    reopenings: int
    approved_by: str | None
    created_by: str
    created_at: Moment
    cost: Decimal = Field(description="Of what has been entered")
    changed_at: Moment
    revision: int
    allowed: list[WorkEvent]


class WorkDetail(WorkOrder):
    entries: list[WorkEntry]
    photos: list[Photo]


class WorkJournalEntry(Answer):
    id: int
    at: Moment
    recorded_at: Moment
    event: str = Field(description="`plan` is its beginning")
    actor: str
    reason: str
    from_state: WorkState
    to_state: WorkState
    announced: bool
    detail: dict[str, Any]


class WorkStep(Answer):
    from_state: WorkState
    to_state: WorkState
    announced: bool
    work_order: WorkOrder


class NewWork(
    Strict,
    json_schema_extra={"examples": [{"equipment": "K-101", "component": "bearing", "title": "Look at the noise"}]},
):
    """Work that no advisory asked for. With ``task``, plan and checklist come from the equipment's type."""

    equipment: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_PLAIN)]
    component: Annotated[str, StringConstraints(max_length=120, pattern=_PLAIN)] = ""
    title: Reason
    kind: Kind = "corrective"
    task: Key | None = None
    failure_mode: Key | None = None
    priority: Annotated[Priority, Field(strict=False)] = Priority.MEDIUM
    due_at: Moment | None = None


class Comment(Strict, json_schema_extra={"examples": [{"comment": "as discussed"}]}):
    comment: Remark = ""


class Because(Strict, json_schema_extra={"examples": [{"reason": "the machine is taken out of use"}]}):
    reason: Reason


class Schedule(
    Strict,
    json_schema_extra={"examples": [{"start": "2030-01-07T06:00:00Z", "end": "2030-01-07T14:00:00Z", "crew": "north"}]},
):
    start: Moment
    end: Moment
    crew: Short = ""


class Start(Strict, json_schema_extra={"examples": [{}]}):
    at: Moment | None = Field(None, description="When it began; null: now of the machine's timeline")


class Complete(Strict, json_schema_extra={"examples": [{"outcome": "repaired", "findings": "cage broken"}]}):
    outcome: Outcome = "repaired"
    findings: Remark = ""
    at: Moment | None = Field(None, description="When it was finished; null: now of the machine's timeline")


class Tick(Strict, json_schema_extra={"examples": [{"done": True, "note": "0.02 mm"}]}):
    done: bool = True
    note: Remark = ""


class Enter(
    Strict, json_schema_extra={"examples": [{"kind": "labour", "item": "mechanic", "quantity": 2.5, "unit": "h"}]}
):
    """Hours of people, lubricant used, a finding. Parts are taken from stock (`…/parts`)."""

    kind: Literal["labour", "lubricant", "finding"]
    item: Short = ""
    quantity: Quantity | None = None
    unit: Annotated[str, StringConstraints(max_length=20, pattern=_PLAIN)] = "1"
    cost: Money | None = None
    note: Remark = ""
