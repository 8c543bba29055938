"""Answers about health."""

from __future__ import annotations

from pydantic import Field

from services.api.moments import Moment
from services.api.parameters import Answer
from services.telemetry.model import EquipmentRef


class Reason(Answer):
    """One thing that lowers an index."""

    condition: str
    text: str
    takes: float = Field(description="Points of 100")
    failure_mode: str | None = None


class ComponentHealth(Answer):
    component: str
    name: str | None
    criticality: float | None
    index: float = Field(description="0 (gone) to 100 (as new)")
    at: Moment
    reasons: list[Reason]


class EquipmentHealth(Answer):
    """Health of an equipment, rolled up by criticality from its components; worst first."""

    equipment: EquipmentRef
    index: float | None = Field(description="Null where nothing has been assessed yet")
    at: Moment | None
    reasons: list[Reason]
    components: list[ComponentHealth]
