"""Requests and answers about commands, inhibits, permits and twins."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from core.command import CommandClass, CommandState
from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.telemetry.model import EquipmentRef

Note = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,79}$")]
Property = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,79}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(max_length=60)]


class NewCommand(Strict):
    """Of the type's catalogue. What holds it back is on record as `blocked`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"command": "set_speed", "parameters": {"speed": 9800}, "reason": "less demand tonight"}]
        }
    )

    command: Key
    parameters: dict[Annotated[str, StringConstraints(max_length=60)], Number] = Field(
        default_factory=dict, max_length=20
    )
    reason: Note = ""


class Consent(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "agreed by telephone"}]})

    reason: Note = ""


class Command(Answer):
    id: int
    equipment: EquipmentRef
    key: str
    title: str
    command_class: CommandClass = Field(serialization_alias="class")
    parameters: dict[str, float]
    state: CommandState = Field(description="Claimed on proof only")
    approvals: int
    needed: int = Field(description="Approvals by other people that its class asks for")
    requested_by: str
    requested_at: Moment
    reason: str
    expires_at: Moment
    dispatched_at: Moment | None = Field(description="From then on it may have reached the machine")
    blocked: str | None = Field(description="What held it back")
    result: dict[str, Any] | None = Field(description="What the device said at its end")
    changed_at: Moment


class CommandStep(Answer):
    id: int
    at: Moment
    event: str
    actor: str
    from_state: CommandState | None
    to_state: CommandState
    note: str
    detail: dict[str, Any]


class ParameterOf(Answer):
    key: str
    unit: str
    low: float
    high: float
    description: str


class Offered(Answer):
    """A command of the type, and whether it could be sent now with these parameters."""

    key: str
    title: str
    command_class: CommandClass = Field(serialization_alias="class")
    parameters: list[ParameterOf]
    interlocks: list[dict[str, Any]]
    needed: int


class NewInhibit(Strict):
    """For one machine, or without `equipment` for all of yours."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "people on the machine"}]})

    equipment: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    reason: Reason


class Inhibit(Answer):
    id: int
    equipment: str | None
    reason: str
    set_at: Moment
    set_by: str
    lifted_at: Moment | None
    lifted_by: str | None


class NewPermit(Strict):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"valid_until": "2027-01-01T12:00:00Z", "note": "shift leader on site"}]}
    )

    valid_until: Moment
    note: Note = ""


class Permit(Answer):
    id: int
    valid_until: Moment


class TwinProperty(Answer):
    key: str
    desired: Any
    desired_version: int
    desired_at: Moment | None
    desired_by: str | None
    reported: Any
    reported_version: int | None
    reported_at: Moment | None
    drifts: bool = Field(description="Wanted, and not (yet) reported so")


class Twin(Answer):
    equipment: EquipmentRef
    properties: list[TwinProperty]


class Desire(Strict):
    """One property. ``version`` is the desired version you read (0: none yet); without it whatever it was."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "report_interval_s", "value": 30, "version": 0}]})

    key: Property
    value: str | int | Number | bool
    version: int | None = Field(None, ge=0, le=2_147_483_647)
