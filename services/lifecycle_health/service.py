"""Health as last assessed."""

from __future__ import annotations

from services.api.database import Transaction
from services.lifecycle_health.model import ComponentHealth, EquipmentHealth, Reason
from services.telemetry.model import EquipmentRef


async def health(db: Transaction, equipment: EquipmentRef) -> EquipmentHealth:
    """Of the equipment as a whole (the row without a component) and of each component, worst first."""
    rows = await db.rows("health_of", equipment=equipment.id)
    whole = next((row for row in rows if row["component"] == ""), None)
    return EquipmentHealth(
        equipment=equipment,
        index=whole["index"] if whole else None,
        at=whole["at"] if whole else None,
        reasons=[Reason.model_validate(reason) for reason in whole["reasons"]] if whole else [],
        components=[ComponentHealth.model_validate(row) for row in rows if row["component"]],
    )
