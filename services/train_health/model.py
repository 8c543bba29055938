"""What the API says of trains."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from services.api.moments import Moment
from services.api.parameters import Answer
from services.telemetry.model import EquipmentRef


class CodeSeen(Answer):
    """One code of one component within a trouble."""

    code: str
    title: str
    component: str = Field(description="Key of the component that reported it; empty: the train")
    first: Moment
    last: Moment
    count: int
    active: bool = Field(description="It was not yet reported gone")


class Trouble(Answer):
    """What came together: one cause, as many codes as it had consequences."""

    first_out: CodeSeen = Field(description="The code with the earliest time of its own: look here first")
    environment: dict[str, Any] = Field(description="What the device noted in that moment")
    start: Moment
    end: Moment
    reports: int
    codes: list[CodeSeen]


class Troubles(Answer):
    """Troubles of an equipment, newest first."""

    equipment: EquipmentRef
    items: list[Trouble]
    complete: bool = Field(description="False: there were more reports than are looked at; ask for a shorter time")


class Looked(Answer):
    """A value that helps to answer."""

    point: str
    description: str
    unit: str
    value: float | None
    ts: Moment | None


class GuideStep(Answer):
    """Where a search by a code stands."""

    code: str
    title: str
    component: str
    priority: str
    advice: str | None
    consequence: str
    action: str
    step: str | None = Field(description="Key of the step; null: there is no guide for this code")
    ask: str | None = Field(description="Answer it with one more `yes` or `no` in `answers`")
    do: str | None = Field(description="The end of the search")
    failure_mode: str | None
    look: list[Looked]


class Vehicle(Answer):
    """Who stood where, and from when on."""

    place: str
    vehicle: int
    since: Moment


class Configuration(Answer):
    """Vehicles of a train by place, as it reported them."""

    equipment: EquipmentRef
    vehicles: list[Vehicle]


class TrainFigures(Answer):
    """One train within the time asked for."""

    equipment: EquipmentRef
    type: str
    km: float | None
    withdrawals: int = Field(description="Alarms that took it off the line at once")
    end_of_day: int = Field(description="Alarms that took it off the line at the end of the day")
    mdbf_km: float | None = Field(description="Kilometres per failure; null where there was none")
    delay_minutes: float
    cycles: int = Field(description="Door strokes, brake applications and all other cycles recorded")


class FleetFigures(Answer):
    """All trains, and the fleet as one."""

    trains: list[TrainFigures]
    km: float
    failures: int
    mdbf_km: float | None
    delay_minutes: float
