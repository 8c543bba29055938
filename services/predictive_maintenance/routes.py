"""All routes of the room."""

from __future__ import annotations

from fastapi import APIRouter

from services.predictive_maintenance import (
    advisory_routes,
    calendar_routes,
    oil_routes,
    preventive_routes,
    stock_routes,
    work_routes,
)

router = APIRouter()
for _part in (advisory_routes, work_routes, preventive_routes, calendar_routes, stock_routes, oil_routes):
    router.include_router(_part.router)
