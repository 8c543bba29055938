"""Answers about points, readings, gaps, events and dead letters."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from services.api.moments import Moment
from services.api.parameters import Answer


class EquipmentRef(Answer):
    id: int
    key: str
    name: str


class Reading(Answer):
    ts: Moment = Field(description="When it was measured")
    value: float | None = Field(description="Null where the device sent no finite number")
    quality: str = Field(description="`good`, `uncertain` or `bad`, with reasons in brackets")


class PointDetail(Answer):
    id: int
    key: str
    equipment: EquipmentRef
    component: str | None
    unit: str = Field(description="UCUM")
    kind: Literal["measured", "derived"]
    description: str
    range_low: float | None = Field(description="Least value the instrument can measure")
    range_high: float | None
    latest: Reading | None


class LatestPoint(Reading):
    point_id: int
    point: str
    component: str | None
    unit: str
    kind: Literal["measured", "derived"]
    received_at: Moment


class Latest(Answer):
    """Newest reading of every point, by event time."""

    equipment: EquipmentRef
    items: list[LatestPoint]


class Readings(Answer):
    """Readings of one point, oldest first."""

    point_id: int
    point: str
    unit: str
    time_from: Moment = Field(serialization_alias="from", description="Inclusive")
    time_to: Moment = Field(serialization_alias="to", description="Exclusive")
    thinned: bool = Field(
        description="True where only some are given: of each stretch the first, last, least and greatest"
    )
    items: list[Reading]
    next: str | None = Field(
        description="Give it as `cursor` for the next page; null on the last, and always with `pixels`"
    )


class SequenceGap(Answer):
    """Messages that were numbered and never came."""

    ts: Moment = Field(description="Time of the message behind the gap")
    first: int | None = Field(description="First missing number; null where whoever told the gap did not say")
    last: int | None
    missing: int


class SequenceSeen(Answer):
    """What a device's own numbering shows: the one loss that nothing else on the way can show."""

    gaps: int
    missing: int = Field(description="Messages missing in all gaps")
    newest_at: Moment | None = Field(description="Event time behind the newest gap")
    recent: list[SequenceGap] = Field(description="The newest gaps, at most ten; all of them are events `sequence_gap`")


class Refused(Answer):
    reason: str = Field(description="Listed in the MQTT reference")
    times: int = Field(description="Payloads or single values refused")
    readings: int
    newest_at: Moment


class DeviceLimits(Answer):
    """What one equipment's devices may send; what is beyond is refused with the reason in brackets."""

    messages_per_second: float | None = Field(description="`rate-limited`; null where the publisher's clock counts")
    readings_per_second: float | None
    burst_seconds: float | None = Field(description="So many seconds' worth may come at once, after a time away")
    message_bytes: int = Field(description="`too-large`")
    message_readings: int = Field(description="`too-many-points`")
    points: int = Field(description="`too-many-points`; of the equipment, those of its type included")


class Intake(Answer):
    """What became of what an equipment's devices sent, since it was registered."""

    equipment: EquipmentRef
    last_received_at: Moment | None = Field(description="When the newest of its readings came in")
    sequence: SequenceSeen
    refused: list[Refused] = Field(description="By reason; payloads are in `/v1/dead-letters` as long as they are kept")
    limits: DeviceLimits


class Gap(Answer):
    time_from: Moment = Field(serialization_alias="from")
    time_to: Moment = Field(serialization_alias="to")
    seconds: float


class Gaps(Answer):
    """Stretches without a reading longer than asked for."""

    point_id: int
    longer_than_seconds: float
    time_from: Moment = Field(serialization_alias="from")
    time_to: Moment = Field(serialization_alias="to")
    items: list[Gap]
    next: str | None


class Event(Answer):
    """Something a machine or its people reported in words: an error code, a maintenance, a start."""

    equipment: EquipmentRef
    kind: str
    ts: Moment
    body: dict[str, Any]
    received_at: Moment


class DeadLetterSummary(Answer):
    """A payload, or a value of it, that could not be used. The same again is counted, not repeated."""

    id: int
    topic: str
    equipment: str | None
    reason: str = Field(description="A code, such as `not-json`, `unknown-point`, `future`")
    detail: str
    count: int = Field(description="How often the same came")
    readings: int = Field(description="How many readings were refused with it")
    first_seen: Moment
    last_seen: Moment
    bytes: int
    whole: bool = Field(description="False where only the beginning was kept: it cannot be replayed")
    replay_requested_at: Moment | None
    replayed_at: Moment | None


class DeadLetterDetail(DeadLetterSummary):
    payload_text: str | None = Field(description="The payload where it is UTF-8")
    payload_base64: str


class ReplayRequested(Answer):
    id: int
    requested_at: Moment
