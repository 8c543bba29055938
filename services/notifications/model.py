"""What a stream says; answers and requests about endpoints, schedules, subscriptions and deliveries."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from core.condition import Priority
from core.delivery import DeliveryState
from services.api.moments import Moment
from services.api.parameters import Answer, Strict
from services.api.routing import INT4


class StreamItem(Answer):
    """The data of one server-sent event. Its SSE `event` is `kind`, its SSE `id` is `seq`."""

    seq: int
    kind: str = Field(description="`alarm`: people are to be told; `alarm_change`: an alarm changed quietly")
    at: Moment = Field(description="When it was recorded")
    payload: dict[str, Any]


Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Address = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9_+/-]+$")]
Ref = Annotated[int, Field(ge=1, le=INT4)]
Urgency = Annotated[Priority, Field(strict=False)]
Channel = Literal["webhook", "email", "mqtt"]


class Endpoint(Answer):
    """Where notifications go."""

    id: int
    name: str
    kind: Channel
    address: str = Field(description="URL, mail address, or the end of an MQTT topic")
    enabled: bool
    disabled_reason: str | None = Field(description="Why the service itself switched it off")
    former_until: Moment | None = Field(description="Until when the secret of before signs too")
    created_at: Moment


class NewEndpoint(Endpoint):
    secret: str | None = Field(description="What a webhook's messages are signed with, shown this once")


class AddEndpoint(Strict):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Ticket system", "kind": "webhook", "address": "https://tickets.example.com/hook"}]
        }
    )

    name: Name
    kind: Channel
    address: Address


class ChangeEndpoint(Strict):
    """Only what is given changes. Enabled again, it gets what waited."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": True}]})

    name: Name | None = None
    address: Address | None = None
    enabled: bool | None = None


class RotateSecret(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"former_hours": 24}]})

    former_hours: int = Field(24, ge=0, le=720, description="So long messages carry a signature of the old one too")


class Override(Strict):
    """Somebody else for a while."""

    time_from: Moment = Field(alias="from")
    time_to: Moment = Field(alias="to")
    endpoint: Ref

    @model_validator(mode="after")
    def _forward(self) -> Override:
        if self.time_to <= self.time_from:
            raise ValueError("'to' lies behind 'from'")
        return self


class PutSchedule(Strict):
    """Members take turns of ``shift_hours`` each, the first from ``starts_at``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "Hall 2", "starts_at": "2026-11-23T06:00:00Z", "shift_hours": 168, "members": [987654321]}
            ]
        }
    )

    name: Name
    starts_at: Moment
    shift_hours: int = Field(ge=1, le=8784)
    members: list[Ref] = Field(min_length=1, max_length=100, description="Numbers of endpoints, in turn")
    overrides: list[Override] = Field([], max_length=500)


class OverrideInfo(Answer):
    time_from: Moment = Field(alias="from")
    time_to: Moment = Field(alias="to")
    endpoint: int


class Schedule(Answer):
    """Who is on call when."""

    id: int
    name: str
    starts_at: Moment
    shift_hours: int
    members: list[int]
    overrides: list[OverrideInfo]
    on_call_now: int | None = Field(description="Number of the endpoint; null before it starts")
    created_at: Moment


class Step(Strict):
    """Who is told when nobody has acknowledged for so long."""

    stage: int = Field(ge=1, le=9)
    priority: Urgency
    after_minutes: int = Field(ge=1, le=10_080, description="Since the alarm was announced")
    endpoint: Ref | None = None
    schedule: Ref | None = None

    @model_validator(mode="after")
    def _one(self) -> Step:
        if (self.endpoint is None) == (self.schedule is None):
            raise ValueError("give either 'endpoint' or 'schedule'")
        return self


class PutSubscription(Strict):
    """Who hears of what, when. Without ``equipment``: of all that you see."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Night shift", "endpoint": 987654321, "least_priority": "high", "kinds": ["alarm"]}]
        }
    )

    name: Name
    endpoint: Ref | None = None
    schedule: Ref | None = Field(None, description="Instead of an endpoint: whoever is on call")
    equipment: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="Number or key"
    )
    kinds: list[Kind] = Field(["alarm"], min_length=1, max_length=20, description="As in the event stream")
    least_priority: Urgency = Priority.LOW
    quiet_from: Clock | None = Field(
        None, description="Local time from which on nobody is disturbed", examples=["22:00"]
    )
    quiet_to: Clock | None = Field(None, examples=["06:00"])
    timezone: Zone = "UTC"
    break_through: Urgency = Field(
        Priority.URGENT, description="This and above is sent at once, whatever the hour and without a digest"
    )
    digest_minutes: int | None = Field(None, ge=1, le=10_080, description="One message for all of so many minutes")
    escalation: list[Step] = Field([], max_length=36)
    enabled: bool = True

    @model_validator(mode="after")
    def _fits(self) -> PutSubscription:
        if (self.endpoint is None) == (self.schedule is None):
            raise ValueError("give either 'endpoint' or 'schedule'")
        if (self.quiet_from is None) != (self.quiet_to is None) or (
            self.quiet_from and self.quiet_from == self.quiet_to
        ):
            raise ValueError("quiet hours have a beginning and another end")
        if len({(s.stage, s.priority) for s in self.escalation}) < len(self.escalation):
            raise ValueError("a stage has one step per priority")
        return self


class StepInfo(Answer):
    stage: int
    priority: str
    after_minutes: int
    endpoint: int | None
    schedule: int | None


class Subscription(Answer):
    """Who hears of what, when."""

    id: int
    name: str
    endpoint: int | None
    schedule: int | None
    equipment: str | None = Field(description="Its key; null: all that you see")
    kinds: list[str]
    least_priority: str
    quiet_from: str | None
    quiet_to: str | None
    timezone: str
    break_through: str
    digest_minutes: int | None
    escalation: list[StepInfo]
    enabled: bool
    created_at: Moment


class Delivery(Answer):
    """One event for one subscription: what became of it."""

    id: int
    message_id: str = Field(description="The same for every attempt; what `webhook-id` says")
    subscription: str
    subscription_id: int
    endpoint: str
    endpoint_id: int
    seq: int = Field(description="Number of the event, as in the stream")
    stage: int = Field(description="0: the event itself; else stage of escalation")
    kind: str
    subject: str | None
    priority: str | None
    state: DeliveryState
    attempts: int
    due_at: Moment
    created_at: Moment
    settled_at: Moment | None
    last_status: int | None
    last_error: str | None


class Attempt(Answer):
    at: Moment
    event: str
    from_state: str
    to_state: str
    attempt: int
    status: int | None
    detail: str | None


class DeliveryDetail(Delivery):
    payload: dict[str, Any]
    history: list[Attempt]
