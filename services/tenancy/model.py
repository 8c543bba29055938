"""Answers and requests about tenants, sites, types, equipment, devices and grants."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from services.api.moments import Moment
from services.api.parameters import Answer, Strict

Status = Literal["approved", "pending", "retired"]
Rights = Literal["read", "operate", "manage"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
EquipmentKey = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^/+#\x00-\x1f\x7f]+$")]
"""It stands in MQTT topics and URLs."""

EdgeNode = Annotated[
    str, StringConstraints(max_length=401, pattern=r"^[^/+#\x00-\x1f\x7f]{1,200}/[^/+#\x00-\x1f\x7f]{1,200}$")
]


class TenantRef(Answer):
    key: str
    name: str


class KeyInfo(Answer):
    prefix: str
    name: str
    scopes: list[str]
    role: str
    expires_at: Moment | None


class UserInfo(Answer):
    id: int
    subject: str
    expires_at: Moment = Field(description="When the token ends")


class Me(Answer):
    """Who the key or token says you are: one of the two."""

    tenant: TenantRef
    role: str
    scopes: list[str] = Field(description="What you may do; each operation names the one it asks for")
    api_key: KeyInfo | None = None
    user: UserInfo | None = None


class Site(Answer):
    key: str
    name: str
    timezone: str
    equipment: int = Field(description="Equipment at the site that you see")


class TypeSummary(Answer):
    key: str
    name: str
    version: int
    revision: int = Field(description="Counts published documents of this key")


class TypeDetail(TypeSummary):
    document: dict[str, Any] = Field(description="The type as published: components, points, states, limits")


class AlarmCounts(Answer):
    """Alarms that stand (not normal), by priority; consequences under a first-out are not counted."""

    urgent: int = 0
    high: int = 0
    medium: int = 0
    low: int = 0


class EquipmentSummary(Answer):
    id: int
    key: str
    name: str
    serial: str | None
    type: str | None
    site: str | None
    tenant: str = Field(description="Whose it is")
    rights: Rights = Field(description="What your tenant may do with it")
    status: Status
    state: str | None = Field(description="Operating state; null before the first")
    state_since: Moment | None
    health: float | None = Field(description="0 (gone) to 100 (as new); null where unknown")
    last_reading_at: Moment | None
    alarms: AlarmCounts


class PointSummary(Answer):
    id: int
    key: str
    unit: str = Field(description="UCUM")
    kind: Literal["measured", "derived"]
    description: str


class ComponentNode(Answer):
    key: str
    name: str
    criticality: float
    health: float | None
    points: list[PointSummary]


class EquipmentTree(EquipmentSummary):
    commissioned_at: Moment | None
    registered_at: Moment
    attributes: dict[str, Any]
    components: list[ComponentNode]
    points: list[PointSummary] = Field(description="Points that belong to no component")


class RegisterEquipment(Strict):
    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "P-9", "type": "pump"}]})

    key: EquipmentKey
    type: Text
    name: Text | None = Field(None, description="The key, if not given")
    serial: Text | None = None
    site: Text | None = Field(None, description="Key of one of your sites")


class ChangeEquipment(Strict):
    """Only what is given changes. Approving needs a type, given here or before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Feed pump"}]})

    name: Text | None = None
    serial: Text | None = None
    site: Text | None = None
    type: Text | None = None
    status: Literal["approved", "retired"] | None = Field(None, description="`approved` also brings a retired one back")


class Device(Answer):
    """Something that may publish over MQTT."""

    id: int
    client_id: str = Field(description="Bound to the account: no other is let in")
    username: str
    equipment: str | None = Field(description="What it may publish for; null: a gateway for any of yours")
    edge_node: str | None = Field(description="`GROUP/NODE` of a Sparkplug edge node")
    created_at: Moment
    rotated_at: Moment | None
    revoked_at: Moment | None
    pending: bool = Field(description="The broker has not been told yet of the last change; it is within a second")
    note: str | None = Field(description="Why the broker could not be told, or what to know about it")
    last_received_at: Moment | None = Field(description="When the newest reading of its equipment came in")
    missing_messages: int | None = Field(description="Gaps in its equipment's numbering; null for a gateway")
    refused_readings: int | None = Field(description="Of its equipment; `/v1/equipment/{equipment}/intake` says why")


class NewDevice(Device):
    password: str = Field(description="Shown this once. It opens the broker as soon as `pending` is false")


class RegisterDevice(Strict):
    """Exactly one of the three."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"gateway": "hall-9"}]})

    equipment: Text | None = Field(None, description="Number or key of one of your own: the device sends for it alone")
    gateway: EquipmentKey | None = Field(None, description="Name of a gateway, which sends for any of your equipment")
    edge_node: EdgeNode | None = Field(
        None, description="`GROUP/NODE` of a Sparkplug edge node; the group must be yours"
    )

    @model_validator(mode="after")
    def _one(self) -> RegisterDevice:
        if sum(value is not None for value in (self.equipment, self.gateway, self.edge_node)) != 1:
            raise ValueError("give one of equipment, gateway, edge_node")
        return self


class Grant(Answer):
    """Another organisation's right to an equipment: yours to theirs, or theirs to yours."""

    id: int
    equipment_id: int
    equipment: str
    owner: str
    tenant: str = Field(description="Who may")
    rights: Rights
    given: bool = Field(description="True: you gave it; false: you got it")
    valid_from: Moment
    valid_until: Moment | None


class NewGrant(Strict):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"equipment": "P-1", "tenant": "partner", "rights": "read"}]}
    )

    equipment: Text = Field(description="Number or key of one of your own")
    tenant: Text
    rights: Rights
    valid_until: Moment | None = None
