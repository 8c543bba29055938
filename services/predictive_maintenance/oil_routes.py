"""`/v1/oil-samples`."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response

from services.api.auth import Operating, Reading
from services.api.errors import responses
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import (
    EquipmentRef,
    LongNumber,
    MaybeEquipment,
    Pages,
    equipment_id,
    maybe_equipment_id,
    paged,
)
from services.predictive_maintenance import oil
from services.predictive_maintenance.planning_model import NewSample, OilSample

router = APIRouter(tags=["lubrication"])

SAMPLE: Final[dict[str, Any]] = {
    "id": 4,
    "equipment": {"id": 7, "key": "K-101", "name": "Compressor K-101"},
    "component": "lube_oil",
    "sampled_at": "2026-11-20T08:00:00Z",
    "laboratory": "Oil Lab",
    "reference": "2026-4711",
    "figures": {"viscosity_40": 32.4, "water": 310, "cleanliness": "18/16/13"},
    "level": "warning",
    "verdict": [
        {
            "figure": "water",
            "value": 310.0,
            "unit": "mg/kg",
            "level": "warning",
            "limit": 200.0,
            "text": "310 mg/kg, limit 200",
            "per_year": None,
            "days_to_alarm": None,
        }
    ],
    "actor": "api-key:5mTq0aXe",
    "recorded_at": "2026-11-22T10:00:00Z",
}


@router.get("/oil-samples", summary="Oil samples, newest first", responses=paged("not-found", samples=SAMPLE))
async def list_oil_samples(
    session: Reading,
    paging: Pages,
    equipment: MaybeEquipment = None,
) -> Page[OilSample]:
    """Each as it was judged when it came in."""
    return await paging.listed(
        session,
        oil.samples,
        oil.sample_of,
        by={"after_at": "sampled_at", "after_id": "id"},
        equipment=await maybe_equipment_id(session.db, equipment),
    )


@router.get(
    "/oil-samples/{sample}",
    summary="One oil sample",
    responses={200: examples(sample=SAMPLE), **responses("not-found")},
)
async def show_oil_sample(session: Reading, sample: LongNumber) -> OilSample:
    """Figures, verdict and trend."""
    return await oil.sample(session.db, sample)


@router.post(
    "/equipment/{equipment}/oil-samples",
    status_code=201,
    summary="Hand in an oil sample",
    responses={201: examples(sample=SAMPLE), **responses("not-found", "conflict", "invalid-input")},
)
async def keep_oil_sample(
    session: Operating, equipment: EquipmentRef, body: NewSample, response: Response
) -> OilSample:
    """Judged against the limits of the equipment's type and the samples before. One that is not good becomes an
    advisory; a good one takes it back."""
    number = await equipment_id(session.db, equipment)
    made = await oil.keep(session.db, session.principal, number, body)
    await session.audit("oil_sample.keep", f"oil_sample/{made}", equipment=number)
    response.headers["Location"] = f"/v1/oil-samples/{made}"
    return await oil.sample(session.db, made)
