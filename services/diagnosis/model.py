"""Answers and requests about waveforms and cases."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from core.case import CaseEvent, CaseState, Outcome
from core.parcels import Purpose, Retention
from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.telemetry.model import EquipmentRef

Text = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]


class WaveformChannel(Answer):
    name: str
    unit: str = Field(description="UCUM")
    orientation: float | None = Field(description="Degrees from the vertical, seen from the driver")
    gap: float | None = Field(description="DC voltage of the sensor, V")


class Waveform(Answer):
    id: int
    equipment: EquipmentRef
    ts: Moment = Field(description="Of the first sample")
    rate: float = Field(description="Hz")
    samples: int = Field(description="Per channel")
    channels: list[WaveformChannel]
    speed: float | None = Field(description="r/min")
    load: float | None = Field(description="%")
    rotation: str
    tacho: bool = Field(description="Times of the shaft's mark came with it")
    state: str | None = Field(description="The machine's at that moment")
    purpose: Purpose
    retention: Retention
    request: str
    meta: dict[str, Any]
    bytes: int = Field(description="As stored")
    received_at: Moment


class Samples(Answer):
    """Samples of one channel, in its unit."""

    waveform_id: int
    channel: str
    unit: str
    ts: Moment
    rate: float = Field(description="Hz")
    values: list[float]


class Axis(Answer):
    title: str
    unit: str


class Trace(Answer):
    name: str
    at: int = Field(description="µs UTC, where a picture shows several moments")
    x: list[float]
    y: list[float]


class Mark(Answer):
    x: float
    label: str
    family: str


class Curve(Answer):
    """A picture's data: what to draw, and where something is expected."""

    kind: str
    title: str
    x: Axis
    y: Axis
    traces: list[Trace]
    marks: list[Mark]
    facts: dict[str, float]


class CaptureRequest(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"channels": ["motor_de"], "seconds": 10, "reason": "after the alarm of today"}]
        }
    )

    channels: Annotated[list[Word], Field(min_length=1, max_length=32)]
    seconds: float = Field(10.0, gt=0, le=60)
    reason: Text = ""
    case: int | None = Field(None, ge=1, description="The case it is for")


class Capture(Answer):
    """A waveform that was asked for; `waveforms` are those that answered."""

    id: int
    equipment: EquipmentRef
    channels: list[str]
    seconds: float
    reason: str
    case_id: int | None
    requested_by: str
    requested_at: Moment
    expires_at: Moment
    sent_at: Moment | None = Field(description="When the device was told")
    waveforms: list[int]


class Opinion(Answer):
    mode: str
    component: str
    text: str
    by: str
    at: Moment


class Case(Answer):
    id: int
    equipment: EquipmentRef
    component: str
    component_name: str | None
    title: str
    origin: Literal["alarm", "person"]
    alarm_id: int | None
    state: CaseState
    about: Moment = Field(description="The moment it is about, in event time")
    opened_at: Moment
    opened_by: str
    diagnosed_at: Moment | None = Field(description="Null: not looked at yet")
    diagnosis: dict[str, Any] | None = Field(
        description="What the platform thinks: ranked `findings` with confidence, evidence, what would confirm or "
        "refute, action"
    )
    pictures: list[str] = Field(description="Names of its plots")
    conclusion: Opinion | None
    signed_by: str | None
    signed_at: Moment | None
    found: Opinion | None = Field(description="Found at inspection; no opinion")
    outcome: Outcome | None
    allowed: list[CaseEvent] = Field(description="What its state allows")


class CaseSummary(Answer):
    id: int
    equipment: EquipmentRef
    component: str
    component_name: str | None
    title: str
    state: CaseState
    about: Moment
    opened_at: Moment
    said: str | None = Field(description="First finding of the platform")
    confidence: float | None
    outcome: Outcome | None


class CaseEntry(Answer):
    id: int
    at: Moment
    event: str
    actor: str
    from_state: CaseState
    to_state: CaseState
    body: dict[str, Any]


class NewCase(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"equipment": "K-101", "component": "motor.bearing_de", "title": "noise at the motor"}]
        }
    )

    equipment: Word = Field(description="Number or key")
    component: Word
    title: Annotated[Text, StringConstraints(min_length=1, max_length=300)]
    about: Moment | None = Field(None, description="The moment in question; now, if not given")


class Note(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "grease was renewed on Monday"}]})

    text: Annotated[Text, StringConstraints(min_length=1)]


class Reason(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "agreed"}]})

    text: Text = ""


class Conclusion(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"mode": "bearing_outer", "text": "outer ring spalled; change at the next stop"}]
        }
    )

    mode: Word = Field(description="Failure mode; the platform's are in docs/reference/diagnosis.md")
    component: Word | None = Field(None, description="The case's own, if not given")
    text: Annotated[Text, StringConstraints(min_length=1)]


class Found(Strict):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"mode": "bearing_outer", "text": "spall of 4 × 12 mm at the loaded side"}]}
    )

    mode: Annotated[Text, StringConstraints(max_length=120)] = Field("", description="Empty: nothing was found")
    component: Word | None = None
    text: Annotated[Text, StringConstraints(min_length=1)]


class Label(Answer):
    """What models learn from."""

    case_id: int
    equipment_id: int
    component: str
    about: Moment
    said_mode: str | None
    concluded_mode: str | None
    found_mode: str | None
    found_component: str | None
    outcome: Outcome
