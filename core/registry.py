"""Which equipment and points exist: what ingest needs to name a reading and the pipeline to watch it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.equipment import EquipmentType, PointKind
from core.learned import ModelEntry


class EquipmentStatus(StrEnum):
    APPROVED = "approved"
    PENDING = "pending"
    """Auto-registered and waiting for approval: its readings are dead-lettered with that reason and can be replayed."""
    RETIRED = "retired"


class UnknownEquipmentPolicy(StrEnum):
    """What a tenant wants done with equipment nobody registered."""

    REJECT = "reject"
    PENDING = "pending"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation. ``publisher_clock``: its timeline is the publisher's clock message (demo, replay), not the
    host's clock.

    ``past_window`` µs: older readings are refused (None: any age). ``future_bound`` µs ahead of the timeline likewise.
    """

    id: int
    slug: str
    name: str
    unknown_equipment: UnknownEquipmentPolicy = UnknownEquipmentPolicy.REJECT
    publisher_clock: bool = False
    past_window: int | None = None
    future_bound: int = 60_000_000


@dataclass(frozen=True, slots=True)
class PointEntry:
    """A registered point. ``key`` is the type's (or the sender's own, on an open type); unit UCUM."""

    id: int
    key: str
    unit: str
    kind: PointKind = PointKind.MEASURED


@dataclass(frozen=True, slots=True)
class EquipmentEntry:
    """A registered equipment with its points by key. ``key`` is unique within the tenant and stands in topics and
    URLs."""

    id: int
    tenant_id: int
    key: str
    type_key: str
    status: EquipmentStatus
    points: Mapping[str, PointEntry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MappingProfileEntry:
    """A tenant's mapping profile (formats/profile): how foreign topics and payloads become readings of that tenant."""

    tenant_id: int
    name: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RegistrySnapshot:
    """Everything registered, at ``version`` (grows with every change).

    ``models``: champions and challengers at work, for who runs a processor. ``recall`` gives one that was, in the role
    it had (None where it cannot be had): a replay steps through records with the models of then.
    """

    version: int
    tenants: Mapping[int, Tenant]
    types: Mapping[str, EquipmentType]
    equipment: Mapping[int, EquipmentEntry]
    profiles: tuple[MappingProfileEntry, ...] = ()
    models: tuple[ModelEntry, ...] = ()
    recall: Callable[[str, int, bool], ModelEntry | None] | None = field(default=None, compare=False, repr=False)
