"""Requests and answers about contracts, records, statements and energy. Money and quantities are decimal text."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from services.api.moments import Moment
from services.api.parameters import Answer, Strict

Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}$")]
Amount = Annotated[str, Field(description="Decimal text, exact", examples=["8400.00"])]
Exact = Annotated[str, StringConstraints(pattern=r"^\d{1,12}(\.\d{1,9})?$")]

TERMS: dict[str, Any] = {
    "key": "ex-lease",
    "title": "Excavator by the hour",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "versions": [
        {
            "effective": "2026-01-01",
            "equipment": ["P-1"],
            "fees": [{"key": "lease", "title": "Lease", "amount": "1200"}],
            "usage": [
                {
                    "key": "hours",
                    "title": "Engine hours",
                    "meter": {
                        "kind": "counter",
                        "point": "engine.hours",
                        "unit": "h",
                        "resolution": "0.1",
                        "gap": "hold",
                    },
                    "tiers": [{"up_to": "100", "price": "62.00"}, {"price": "55.00"}],
                }
            ],
        }
    ],
}


class NewContract(Strict):
    """Terms (docs/reference/contracts.md), and the organisation that pays, where it has an account here."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"terms": TERMS}]})

    terms: dict[str, Any]
    customer: Key | None = None


class ChangedContract(Strict):
    """All terms anew, every version of them; ``revision`` is the one you read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"terms": TERMS, "revision": 1}]})

    terms: dict[str, Any]
    revision: int = Field(ge=1, le=2_147_483_647)


class Contract(Answer):
    id: int
    key: str
    title: str
    currency: str
    timezone: str
    months: int = Field(description="Length of a billing period")
    begins: date
    ends: date | None
    revision: int
    provides: bool = Field(description="You are the provider; else you are the customer")
    machines: dict[str, int] = Field(description="Equipment numbers by key")
    closed_to: str | None = Field(description="The latest closed period")
    recorded_at: Moment
    document: dict[str, Any]


class NewRecord(Strict):
    """A stop that the contract may exclude (with its cause and end), or an incident (with its machine)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "exclusion",
                    "equipment": "P-1",
                    "starts_at": "2026-10-03T08:00:00Z",
                    "ends_at": "2026-10-03T18:00:00Z",
                    "cause": "planned",
                    "reference": "WO-17",
                }
            ]
        }
    )

    kind: Literal["exclusion", "incident"]
    equipment: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    starts_at: Moment
    ends_at: Moment | None = None
    responded_at: Moment | None = None
    cause: Annotated[str, StringConstraints(max_length=60, pattern=r"^[a-z0-9_-]*$")] = ""
    reference: Text


class ChangedRecord(Strict):
    """When an incident was answered or was over; or that the record was a mistake."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"responded_at": "2026-10-03T09:00:00Z"}]})

    ends_at: Moment | None = None
    responded_at: Moment | None = None
    withdraw: bool = False


class Record(Answer):
    id: int
    kind: Literal["exclusion", "incident"]
    equipment: str | None
    starts_at: Moment
    ends_at: Moment | None
    responded_at: Moment | None
    cause: str
    reference: str
    recorded_at: Moment
    recorded_by: str
    withdrawn_at: Moment | None


class Line(Answer):
    """One figure; its trace is at ``/v1/statements/{statement}/lines/{position}``."""

    position: int
    term: str
    part: str
    equipment: str
    version: str = Field(description="First day of the version of the terms")
    title: str
    quantity: Amount
    unit: str
    price: Amount | None
    amount: Amount
    rule: str = Field(description="How the amount came about")


class TracedLine(Line):
    trace: dict[str, Any] = Field(description="Readings, states, events and records the figure was computed from")


class Draft(Answer):
    """A period as it stands now; nothing is stored."""

    contract: str
    period: str
    currency: str
    revision: int
    lines: list[TracedLine]
    total: Amount
    results: list[dict[str, Any]] = Field(description="What guarantees came to")
    sha256: str
    closed: bool = Field(description="There is a closed statement of the period; closing again makes a correction")


class CloseOrder(Strict):
    """The period that begins with this month. For a correction, why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"period": "2026-10", "reason": ""}]})

    period: Month
    reason: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")] = ""


class CloseManyOrder(CloseOrder):
    """The same period of many contracts, e.g. of all that `/v1/contracts` lists."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"period": "2026-10", "contracts": [4, 5]}]})

    contracts: Annotated[list[Annotated[int, Field(ge=1, le=2_147_483_647)]], Field(min_length=1, max_length=100)]


class Closed(Answer):
    """What became of one contract's period: its new statement, or why there is none."""

    contract_id: int
    statement: int | None
    problem: str | None


class ClosedMany(Answer):
    items: list[Closed]


class StatementSummary(Answer):
    id: int
    contract_id: int
    contract: str
    period: str
    number: int = Field(description="0: the statement; 1 and on: its corrections")
    period_from: Moment
    period_to: Moment
    revision: int
    currency: str
    total: Amount
    sha256: str
    reason: str
    closed_at: Moment
    closed_by: str


class Statement(StatementSummary):
    lines: list[Line]
    results: list[dict[str, Any]]


class Verification(Answer):
    """The period computed anew from what is stored now, with the terms and the clock of then."""

    same: bool = Field(description="Every figure and every piece of evidence is as it was")
    stated: str
    recomputed: str
    differences: list[str]


class NewFactor(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "carrier": "diesel",
                    "effective": "2026-01-01",
                    "kg_per_unit": "2.66",
                    "unit": "L",
                    "source": "national inventory 2025",
                }
            ]
        }
    )

    carrier: Key
    effective: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    kg_per_unit: Exact
    unit: Annotated[str, StringConstraints(min_length=1, max_length=20, pattern=r"^[!-~]+$")]
    source: Text


class Factor(Answer):
    id: int
    carrier: str
    effective: date
    kg_per_unit: Amount
    unit: str
    source: str
    recorded_at: Moment
    recorded_by: str


class Footprint(Answer):
    equipment: str
    carrier: str
    energy: Amount
    energy_unit: str
    output: Amount | None
    output_unit: str | None
    intensity: Amount | None = Field(description="Energy per unit of output")
    co2e_kg: Amount
    co2e_per_unit: Amount | None = Field(description="kg per unit of output")
    parts: list[dict[str, Any]] = Field(description="One per emission factor in force, each with its trace")


class Money(Answer):
    currency: str
    statements: int
    corrections: int
    revenue: Amount
    fixed: Amount = Field(description="Fees, whatever is used")
    damages: Amount
    bonus: Amount


class ServiceIndicators(Answer):
    """Of the firm, over a time."""

    contracts: int
    machines: int = Field(description="Under contract")
    installed: int = Field(description="Approved machines of yours")
    attached_share: float | None = Field(description="Machines under contract of those installed")
    incidents: int
    unanswered: int
    response_hours: float | None = Field(description="Mean, by the wall clock")
    restoration_hours: float | None
    corrective_closed: int = Field(description="Corrective work orders done in this time and closed since")
    first_time_fix: float | None = Field(
        description="Share of them neither reopened nor followed by corrective work on the component within "
        "`first_time_fix_days`; null: there were none"
    )
    first_time_fix_days: int
    money: list[Money]


def decimal_text(value: Decimal) -> str:
    return f"{value:f}"
