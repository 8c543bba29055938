"""Answers about learned models: remaining life, drift, comparison; and labels: what turned out to be true."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.telemetry.model import EquipmentRef


class Told(Answer):
    """Remaining life of a component ("": the whole equipment): over by then with 10, 50 and 90 % probability."""

    component: str
    model: str
    version: int
    at: Moment = Field(description="End of the step of the machine's clock after which it was told")
    p10: float = Field(description="In `unit`; a value equal to `horizon` reads “at least”")
    p50: float
    p90: float
    unit: str
    horizon: float | None = Field(description="Lives beyond it are not told apart")
    date_p10: Moment | None = Field(description="As a date, by how it was used lately; null: beyond what is told")
    date_p50: Moment | None
    date_p90: Moment | None


class Life(Told):
    name: str | None


class Prognosis(Told):
    champion: bool = Field(description="False: a challenger said it, beside the model that speaks")


class Drift(Answer):
    """How far what it sends has moved from what a model learned from, over the last window."""

    model: str
    version: int
    champion: bool
    since: Moment
    at: Moment
    index: float = Field(description="Population stability index of the point that moved most; > 0.25 is much")
    drifted: bool
    points: dict[str, float]


class RemainingLife(Answer):
    """What the champions said last, the shortest life first, and how far each can be trusted here."""

    equipment: EquipmentRef
    lives: list[Life]
    drift: list[Drift]


class Verdict(StrEnum):
    FAILURE = "failure"
    DEFECT = "defect"
    HEALTHY = "healthy"


class Source(StrEnum):
    PERSON = "person"
    CASE = "case"
    WORK_ORDER = "work-order"
    INSPECTION = "inspection"


_OUTCOME = {"verdict": "defect", "at": "2026-01-05T08:00:00Z", "component": "bearing"}


class NewOutcome(Strict, json_schema_extra={"examples": [_OUTCOME]}):
    """What turned out to be true of an equipment."""

    verdict: Verdict = Field(description="It failed; it had a defect; somebody looked and it was healthy", strict=False)
    at: Moment = Field(description="When it failed, or was found so")
    component: str = Field("", max_length=128, description="Empty: the whole equipment")
    failure_mode: str = Field("", max_length=100)
    found: str = Field("", max_length=2000, description="In words")
    source: Source = Field(Source.PERSON, strict=False)
    reference: str = Field("", max_length=200, description="Number of the case, work order …")


class Outcome(Answer):
    """A label that models learn from and are judged by."""

    id: int
    equipment: EquipmentRef
    component: str
    failure_mode: str
    at: Moment
    verdict: Verdict
    found: str
    source: Source
    reference: str
    recorded_at: Moment
    recorded_by: str
    withdrawn_at: Moment | None


class LifeFigures(Answer):
    """A version that tells remaining lives. Errors are of those steps whose life has ended since, in steps."""

    version: int
    champion: bool
    told: int
    machines: int
    first: Moment
    last: Moment
    width: float = Field(description="Mean of P90 − P10")
    judged: int
    rmse: float | None
    bias: float | None = Field(description="Positive: told too long")
    coverage: float | None = Field(description="Share of true lives within P10 … P90; 0.8 is right")


class ScoreFigures(Answer):
    """A version that tells distances from normal: alarms it raised, or would have."""

    version: int
    champion: bool
    told: int
    machines: int
    first: Moment
    last: Moment
    score: float | None = Field(description="Mean distance; 1 is the edge of normal")
    machine_alarms: int
    instrument_alarms: int
    unfollowed: int = Field(description="Alarms of the machine that no failure or defect followed within the horizon")
    known: int = Field(description="Failures and defects confirmed while it looked")
    foreseen: int


class DriftFigures(Answer):
    version: int
    windows: int
    drifted: int
    worst: float
    point: str | None


class Comparison(Answer):
    """Champion and challenger over the same stretch, on the machines you see."""

    model: str
    lives: list[LifeFigures]
    scores: list[ScoreFigures]
    drift: list[DriftFigures]
    pairs: int = Field(description="Moments at which champion and challenger both told a life")
    apart: float | None = Field(description="Mean distance of their P50")
