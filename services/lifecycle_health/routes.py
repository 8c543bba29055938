"""`/v1/equipment/…/health`."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from services.api.auth import Reading
from services.api.errors import responses
from services.api.parameters import examples
from services.api.routing import EquipmentRef, equipment_id
from services.lifecycle_health import items_routes, learned, service
from services.lifecycle_health.model import EquipmentHealth
from services.tenancy.service import equipment_ref

router = APIRouter(tags=["health"])
router.include_router(learned.router)
router.include_router(items_routes.router)

_REASON: Final[dict[str, Any]] = {
    "condition": "lube_oil.filter/filter_dp_45/high",
    "text": "filter differential pressure 0.86 bar over 0.8 bar",
    "takes": 39.0,
    "failure_mode": "filter_clogging",
}
_HEALTH: Final[dict[str, Any]] = {
    "equipment": {"id": 7, "key": "K-101", "name": "Compressor K-101"},
    "index": 82.5,
    "at": "2026-11-22T10:00:00Z",
    "reasons": [{**_REASON, "takes": 17.5}],
    "components": [
        {
            "component": "lube_oil.filter",
            "name": "Lube-oil filter",
            "criticality": 3.0,
            "index": 61.0,
            "at": "2026-11-22T10:00:00Z",
            "reasons": [_REASON],
        }
    ],
}


@router.get(
    "/equipment/{equipment}/health",
    summary="How is it, and why?",
    responses={200: examples(health=_HEALTH), **responses("not-found")},
)
async def equipment_health(session: Reading, equipment: EquipmentRef) -> EquipmentHealth:
    """Index 0–100 of the equipment and of each component, each with what takes points away."""
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    return await service.health(session.db, found)
