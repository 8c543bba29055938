"""Requests and answers about roll-outs and inspections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.remote_operations.model import Key, Note, Number, Property
from services.telemetry.model import EquipmentRef

Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Channel = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]
Machine = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Cohort = Annotated[list[Machine], Field(min_length=1, max_length=1000)]
Minutes = Annotated[float, Field(gt=0, le=525_600, allow_inf_nan=False)]


class NewRollout(Strict):
    """One property to many machines, cohort by cohort; the first is the canary."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Report every 30 s",
                    "key": "report_interval_s",
                    "value": 30,
                    "cohorts": [["P-1"]],
                    "patience_minutes": 60,
                    "watch_minutes": 120,
                }
            ]
        }
    )

    title: Title
    key: Property
    value: str | int | Number | bool
    cohorts: Annotated[list[Cohort], Field(min_length=1, max_length=50)]
    patience_minutes: Minutes = 60
    watch_minutes: Annotated[float, Field(ge=0, le=525_600, allow_inf_nan=False)] = 60


class Steer(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"wish": "pause", "reason": "the canary is restless"}]})

    wish: Literal["pause", "resume", "roll_back"]
    reason: Note = ""


class Member(Answer):
    equipment: str
    cohort: int
    version: int | None = Field(description="The desired version it was given; null: its turn has not come")
    reached: bool = Field(description="It has said that it is so")


class Rollout(Answer):
    id: int
    title: str
    key: str
    value: Any
    state: Literal["running", "paused", "completed", "rolled_back"]
    cohort: int
    reason: str = Field(description="Why it paused or was rolled back")
    patience_s: float
    watch_s: float
    started_at: Moment
    changed_at: Moment
    started_by: str
    members: list[Member]


class NewInspection(Strict):
    """Points that each round reads and compares with their own hourly means before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"equipment": "P-1", "title": "Night round", "points": ["vibration"], "every_minutes": 1440}]
        }
    )

    equipment: Machine
    title: Title
    points: Annotated[list[Annotated[str, StringConstraints(max_length=128)]], Field(min_length=1, max_length=200)]
    every_minutes: Annotated[float, Field(ge=10, le=525_600, allow_inf_nan=False)]
    baseline_days: Annotated[float, Field(ge=1, le=365, allow_inf_nan=False)] = 14
    tolerance: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 4
    max_age_minutes: Minutes = 10
    capture: Key | None = Field(None, description="A command of class read that each round asks for")
    channels: Annotated[list[Channel], Field(max_length=20)] = Field(
        default=[], description="Of a waveform that each round asks for; none: no waveform"
    )


class Inspection(Answer):
    id: int
    equipment: EquipmentRef
    title: str
    points: list[str]
    every_minutes: float
    baseline_days: float
    tolerance: float
    max_age_minutes: float
    capture: str | None
    channels: list[str]
    next_at: Moment
    stopped_at: Moment | None
    made_by: str


class Report(Answer):
    id: int
    at: Moment
    state: str | None
    findings: int
    points: dict[str, Any] = Field(
        description="By point: value, its time, baseline mean and deviation, finding or null"
    )
    command_id: int | None = Field(description="The reading command that was asked for")
    waveforms: list[int] = Field(description="Numbers of the waveforms that answered; the page shows them")
