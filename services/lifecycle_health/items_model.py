"""Requests and answers about serial numbers and their lives."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from core.lifecycle.genealogy import Deed
from services.api.moments import Moment
from services.api.parameters import Answer, Strict

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Note = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Amount = Annotated[float, Field(allow_inf_nan=False)]
Money = Annotated[str, StringConstraints(pattern=r"^\d{1,11}(\.\d{1,4})?$")]


class RegisterItem(Strict):
    """A serial number. Its identifier is a GS1 Digital Link made of ``gtin`` (on ``domain``, else GS1's own resolver),
    or an identification link after IEC 61406 on the maker's ``domain``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "journal-bearing",
                    "serial": "B-4711",
                    "domain": "id.example.com",
                    "manufacturer": "Example Bearings",
                    "designation": "Tilting-pad journal bearing 120 mm",
                }
            ]
        }
    )

    kind: Kind
    serial: Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[!-~]([ -~]*[!-~])?$")]
    gtin: Annotated[str, StringConstraints(pattern=r"^\d{8,14}$")] | None = None
    domain: Annotated[str, StringConstraints(max_length=180)] | None = None
    equipment: Annotated[str, StringConstraints(max_length=128)] | None = Field(None, description="The machine it is")
    manufacturer: Text
    designation: Text
    attributes: dict[str, Annotated[str, StringConstraints(max_length=300)]] = Field(
        default_factory=dict, max_length=40
    )

    @model_validator(mode="after")
    def _resolvable(self) -> RegisterItem:
        if self.gtin is None and self.domain is None:
            raise ValueError("give a 'gtin' or a 'domain': an identifier leads somewhere")
        return self


class NewStep(Strict):
    """Something that was done to it. ``host`` (its number) and ``position``: where it went, or came from."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"deed": "built", "at": "2026-01-05T08:00:00Z", "cost": "4100.00"}]}
    )

    deed: Annotated[Deed, Field(strict=False)]
    at: Moment
    host: int | None = Field(None, ge=1, le=2_147_483_647)
    position: Annotated[str, StringConstraints(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    failed: bool = Field(False, description="It was removed because it had failed")
    grade: Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z_]*$")] = ""
    cost: Money = "0"
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "EUR"
    note: Note = ""
    measured: dict[str, Amount] = Field(
        default_factory=dict, max_length=40, description="Of an inspection, by quantity"
    )

    @model_validator(mode="after")
    def _placed(self) -> NewStep:
        moves = self.deed in (Deed.INSTALLED, Deed.REMOVED)
        if moves != (self.host is not None):
            raise ValueError("'host' goes with installed and removed, and with nothing else")
        return self


class Step(Answer):
    id: int
    at: Moment
    deed: Deed
    host: int | None
    position: str
    failed: bool
    grade: str
    cost: str
    currency: str
    note: str
    measured: dict[str, float]
    recorded_by: str


class StretchOf(Answer):
    time_from: Moment = Field(serialization_alias="from")
    time_to: Moment = Field(serialization_alias="to")
    machine: int
    host: int
    position: str
    counted: dict[str, float] = Field(description="hours, starts, and hours:state: what the machine ran meanwhile")


class LifeOf(Answer):
    number: int
    time_from: Moment = Field(serialization_alias="from")
    time_to: Moment = Field(serialization_alias="to")
    ended: Deed | None
    failed: bool
    counted: dict[str, float]
    stretches: list[StretchOf]


class Place(Answer):
    host: int
    position: str
    machine: int | None


class ItemSummary(Answer):
    id: int
    kind: str
    serial: str
    identifier: str = Field(description="Leads to it from anywhere")
    manufacturer: str
    designation: str
    equipment: str | None = Field(description="Key of the machine that it is")
    attributes: dict[str, str]
    registered_at: Moment


class Item(ItemSummary):
    place: Place | None
    counted: dict[str, float] = Field(description="Over all lives")
    cost: str
    lives: list[LifeOf]


class Part(Answer):
    depth: int
    position: str
    item: int
    kind: str
    serial: str
    identifier: str


class Structure(Answer):
    item: int
    at: Moment
    parts: list[Part]


class KindLimits(Strict):
    """When a returned part of this kind is reused, repaired, remanufactured or scrapped; what is due when."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "journal-bearing",
                    "design_hours": 40000,
                    "lives": 3,
                    "wear": {"clearance µm": [220, 260, 320]},
                    "intervals": [{"key": "inspection", "title": "Inspection", "hours": 8000, "days": 730}],
                }
            ]
        }
    )

    kind: Kind
    design_hours: float = Field(gt=0, le=1e7, allow_inf_nan=False)
    reuse_share: float = Field(0.5, ge=0, le=1, allow_inf_nan=False)
    remanufacture_share: float = Field(0.9, ge=0, le=2, allow_inf_nan=False)
    lives: int = Field(3, ge=1, le=100)
    health_good: float = Field(85, ge=0, le=100, allow_inf_nan=False)
    health_poor: float = Field(50, ge=0, le=100, allow_inf_nan=False)
    wear: dict[str, Annotated[list[Amount | None], Field(min_length=3, max_length=3)]] = Field(
        default_factory=dict, max_length=20, description="From which amount on: repair, remanufacture, scrap"
    )
    intervals: list[IntervalOf] = Field(default_factory=list, max_length=20)


class IntervalOf(Strict):
    key: Kind
    title: Text
    hours: float | None = Field(None, gt=0, le=1e7, allow_inf_nan=False)
    days: int | None = Field(None, gt=0, le=36_500)


KindLimits.model_rebuild()


class ReasonOf(Answer):
    grade: Literal["reuse", "repair", "remanufacture", "scrap"]
    text: str


class AssessmentOf(Answer):
    item: int
    grade: Literal["reuse", "repair", "remanufacture", "scrap"]
    reasons: list[ReasonOf] = Field(description="Gravest first")
    missing: list[str] = Field(description="What is not known; the verdict is provisional while there is any")


class DueOf(Answer):
    key: str
    title: str
    at: Moment | None = Field(description="At the present rate of use; null: it does not run")
    hours_left: float | None
    because: str


class LifePlan(Answer):
    item: int
    hours: float
    rate: float = Field(description="Hours run per hour over the last 30 days in a machine")
    due: list[DueOf]


class BoundedOf(Answer):
    value: float
    low: float
    high: float


class LifeOfKind(Answer):
    """Weibull life of a kind of part, in hours run; lives that did not end in failure count as suspensions."""

    kind: str
    failures: int
    suspensions: int
    confidence: float
    beta: BoundedOf | None
    eta: BoundedOf | None
    b10: BoundedOf | None
    mean: float | None
    meaning: str


class ShareOf(Answer):
    key: str
    weight: float
    share: float
    cumulated: float


class TypeReliability(Answer):
    """Of all machines of a type over a time."""

    type: str
    machines: int
    up_hours: float
    failures: int
    mtbf: float | None
    mtbf_low: float
    mtbf_high: float | None
    mttr: float | None
    availability: float | None
    pareto: list[ShareOf] = Field(description="Alarms of the machine by failure mode, most frequent first")


class ComparedOf(Answer):
    machine: str
    raw: float | None
    standardised: float | None = Field(description="As if it had run the fleet's mix of duty")
    covered: float
    hours: float


class EqualDuty(Answer):
    type: str
    duty: str
    metric: str
    machines: list[ComparedOf]


class Nameplate(Answer):
    """Asset Administration Shell (metamodel 3.0, JSON) with the submodel IDTA 02006-3-0 Digital Nameplate."""

    model_config = ConfigDict(extra="allow")

    assetAdministrationShells: list[dict[str, Any]]  # noqa: N815 the standard's words
    submodels: list[dict[str, Any]]
