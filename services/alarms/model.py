"""Answers and requests about alarms."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from core.alarm import AlarmEvent, AlarmState
from core.condition import Concern, Priority
from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.telemetry.model import EquipmentRef

Comment = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
MAX_SHELF_MINUTES = 366 * 24 * 60


class Consequence(Answer):
    """An alarm that follows from another of the same equipment."""

    id: int
    condition: str
    title: str
    state: AlarmState
    active: bool
    priority: Priority
    raised_at: Moment | None


class Shelf(Answer):
    until: Moment
    by: str
    reason: str


class Alarm(Answer):
    id: int
    equipment: EquipmentRef
    component: str
    condition: str = Field(description="What is watched: stable and unique within the equipment")
    state: AlarmState = Field(description="ISA-18.2 state")
    active: bool = Field(description="Does the condition hold now? A shelved alarm may well be active")
    latching: bool = Field(description="Stays until it is acknowledged and reset by hand")
    priority: Priority
    concern: Concern = Field(description="What it is about; an instrument's alarm does not say that the machine is ill")
    title: str
    point: str | None
    value: float | None
    limit: float | None
    failure_mode: str | None
    consequence: str = Field(description="What happens if nobody does anything")
    action: str = Field(description="What to do")
    occurrences: int
    raised_at: Moment | None
    cleared_at: Moment | None
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    shelf: Shelf | None
    changed_at: Moment
    first_out_id: int | None = Field(description="The alarm this one follows from; null: it stands for itself")
    consequences: list[Consequence] = Field(description="What follows from this one")
    allowed: list[AlarmEvent] = Field(description="Commands that the present state allows")
    detail: dict[str, Any]


class JournalEntry(Answer):
    id: int
    at: Moment = Field(description="When it happened, in event time")
    recorded_at: Moment
    event: AlarmEvent
    actor: str
    reason: str
    from_state: AlarmState
    to_state: AlarmState
    active: bool
    priority: Priority
    value: float | None
    limit: float | None
    announced: bool = Field(description="People were told")
    late: bool = Field(description="Found in a reading that came late")
    detail: dict[str, Any]


class Command(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"comment": "seen, on my way"}]})

    comment: Comment = Field("", description="Kept in the journal")


class Shelve(Strict):
    """Until when (`until`) or for how long (`minutes`): one of the two."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"minutes": 60, "reason": "sensor is being replaced"}]})

    reason: Annotated[Comment, StringConstraints(min_length=1)]
    until: Moment | None = None
    minutes: float | None = Field(None, gt=0, le=MAX_SHELF_MINUTES)

    @model_validator(mode="after")
    def _one_end(self) -> Shelve:
        if (self.until is None) == (self.minutes is None):
            raise ValueError("give either 'until' or 'minutes'")
        return self


class Outcome(Answer):
    """What a command did, and the alarm after it."""

    from_state: AlarmState
    to_state: AlarmState
    announced: bool
    alarm: Alarm
