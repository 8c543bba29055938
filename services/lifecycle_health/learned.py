"""`/v1/equipment/…/remaining-life`, `…/prognoses`, `…/outcomes`, `/v1/model-comparison`."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from services.api.auth import Engineering, Reading
from services.api.database import Row, Transaction, visible
from services.api.errors import responses
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import EquipmentRef, LongNumber, MaybeFrom, MaybeTo, Pages, equipment_id, paged, plain
from services.lifecycle_health.learned_model import (
    Comparison,
    Drift,
    DriftFigures,
    Life,
    LifeFigures,
    NewOutcome,
    Outcome,
    Prognosis,
    RemainingLife,
    ScoreFigures,
)
from services.tenancy.service import equipment_ref

router = APIRouter()

_AT: Final = "2026-11-22T10:00:00Z"
_EQUIPMENT: Final = {"id": 7, "key": "K-101", "name": "Compressor K-101"}
_TOLD: Final[dict[str, Any]] = {
    "component": "motor.bearing_de", "model": "remaining-life/compressor-train", "version": 3, "at": _AT,
    "p10": 310.0, "p50": 420.0, "p90": 560.0, "unit": "h", "horizon": 800.0,
    "date_p10": "2026-12-06T02:00:00Z", "date_p50": "2026-12-11T15:00:00Z", "date_p90": None,
}  # fmt: skip
_DRIFT: Final[dict[str, Any]] = {
    "model": "remaining-life/compressor-train", "version": 3, "champion": True, "since": "2026-11-15T10:00:00Z",
    "at": _AT, "index": 0.31, "drifted": True, "points": {"lube_oil.temperature": 0.31},
}  # fmt: skip
_OUTCOME: Final[dict[str, Any]] = {
    "id": 12, "equipment": _EQUIPMENT, "component": "motor.bearing_de", "failure_mode": "bearing_wear", "at": _AT,
    "verdict": "failure", "found": "inner race spalled", "source": "work-order", "reference": "WO-118",
    "recorded_at": _AT, "recorded_by": "api-key:k1", "withdrawn_at": None,
}  # fmt: skip
_COMPARED: Final[dict[str, Any]] = {
    "model": "remaining-life/pump", "pairs": 410, "apart": 6.2, "scores": [],
    "lives": [
        {
            "version": 3, "champion": True, "told": 410, "machines": 4, "first": _AT, "last": _AT, "width": 61.0,
            "judged": 96, "rmse": 14.1, "bias": -2.0, "coverage": 0.81,
        }
    ],
    "drift": [{"version": 3, "windows": 12, "drifted": 1, "worst": 0.31, "point": "lube_oil.temperature"}],
}  # fmt: skip


def _finite(row: Row) -> Row:
    """JSON knows no infinity: a life without a horizon has none."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


@router.get(
    "/equipment/{equipment}/remaining-life",
    summary="How long will it last?",
    responses={
        200: examples(life={"equipment": _EQUIPMENT, "lives": [{**_TOLD, "name": "Motor bearing"}], "drift": [_DRIFT]}),
        **responses("not-found"),
    },
)
async def remaining_life(session: Reading, equipment: EquipmentRef) -> RemainingLife:
    """In the machine's own clock and as dates, as P10, P50 and P90; only what a model that speaks has said."""
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    lives = await session.db.rows("remaining_life_of", equipment=found.id)
    drifts = await session.db.rows("drifts_of", equipment=found.id)
    return RemainingLife(
        equipment=found,
        lives=[Life.model_validate(_finite(row)) for row in lives],
        drift=[Drift.model_validate(row) for row in sorted(drifts, key=lambda row: -row["index"])],
    )


@router.get(
    "/equipment/{equipment}/prognoses",
    summary="What was said of its remaining life, newest first",
    responses=paged("not-found", prognoses={**_TOLD, "champion": True}),
)
async def prognoses(
    session: Reading,
    equipment: EquipmentRef,
    paging: Pages,
    component: Annotated[str | None, Query(max_length=128)] = None,
    model: Annotated[str | None, Query(max_length=128)] = None,
    champion: Annotated[bool | None, Query(description="False: only what challengers said")] = None,
    time_from: MaybeFrom = None,
    time_to: MaybeTo = None,
) -> Page[Prognosis]:
    """One line per step of the machine's clock and model; challengers stand beside the model that speaks."""
    return await paging.listed(
        session,
        "prognoses_of",
        lambda row: Prognosis.model_validate(_finite(row)),
        by={"after_at": "at", "after_key": "place"},
        equipment=await equipment_id(session.db, equipment),
        component=plain(component),
        model=plain(model),
        champions=champion,
        time_from=time_from,
        time_to=time_to,
    )


@router.get(
    "/equipment/{equipment}/outcomes",
    summary="What turned out to be true, newest first",
    responses=paged("not-found", outcomes=_OUTCOME),
)
async def list_outcomes(session: Reading, equipment: EquipmentRef, paging: Pages) -> Page[Outcome]:
    """Failures, defects and all-clears that somebody confirmed: models learn from them and are judged by them."""
    return await paging.listed(
        session,
        "outcomes_of",
        _outcome,
        by={"after_at": "at", "after_id": "id"},
        equipment=await equipment_id(session.db, equipment),
        id=None,
    )


@router.post(
    "/equipment/{equipment}/outcomes",
    status_code=201,
    summary="Record what turned out to be true",
    responses={201: examples(recorded=_OUTCOME), 200: examples(known=_OUTCOME), **responses("not-found")},
)
async def record_outcome(
    session: Engineering, equipment: EquipmentRef, body: NewOutcome, response: Response
) -> Outcome:
    """The same label again (place, mode, time, source, reference) is the same label, and answered 200; with other
    words it is corrected."""
    row = await session.db.row(
        "record_outcome",
        equipment=await equipment_id(session.db, equipment),
        component=plain(body.component),
        mode=plain(body.failure_mode),
        at=body.at,
        verdict=body.verdict.value,
        found=plain(body.found),
        source=body.source.value,
        reference=plain(body.reference),
        who=session.principal.actor,
    )
    assert row is not None
    if row["fresh"]:
        await session.audit("outcome.recorded", f"outcome/{row['id']}", verdict=body.verdict.value)
    else:
        response.status_code = 200
    return await _one(session.db, row["id"])


@router.post(
    "/outcomes/{outcome}/withdraw",
    summary="A label was wrong",
    responses={200: examples(withdrawn={**_OUTCOME, "withdrawn_at": _AT}), **responses("not-found")},
)
async def withdraw_outcome(session: Engineering, outcome: LongNumber) -> Outcome:
    """It stays on record and counts no more; recording it again brings it back."""
    await session.db.row("withdraw_outcome", outcome=outcome, who=session.principal.actor)
    await session.audit("outcome.withdrawn", f"outcome/{outcome}")
    return await _one(session.db, outcome)


@router.get(
    "/model-comparison",
    summary="Champion and challenger side by side",
    responses={200: examples(compared=_COMPARED)},
)
async def compare_models(
    session: Reading,
    model: Annotated[str, Query(max_length=128, description="Name of the model, without a version")],
    time_from: MaybeFrom = None,
    time_to: MaybeTo = None,
    horizon_days: Annotated[int, Query(ge=1, le=3650, description="How long before a failure an alarm warns")] = 30,
) -> Comparison:
    """Of the machines you see: what each version said, and how it compares with what turned out to be true."""
    asked = {"model": plain(model), "time_from": time_from, "time_to": time_to}
    lives = await session.db.rows("compare_lives", **asked)
    scores = await session.db.rows("compare_scores", **asked, horizon=f"{horizon_days} days")
    drift = await session.db.rows("drift_of", **asked)
    agreed = await session.db.row("agreement", **asked)
    assert agreed is not None
    return Comparison(
        model=model,
        lives=[LifeFigures.model_validate(_finite(row)) for row in lives],
        scores=[ScoreFigures.model_validate(_finite(row)) for row in scores],
        drift=[DriftFigures.model_validate(_finite(row)) for row in drift],
        pairs=agreed["pairs"],
        apart=agreed["apart"],
    )


async def _one(db: Transaction, outcome: int) -> Outcome:
    row = await db.row("outcomes_of", equipment=None, id=outcome, after_at=None, after_id=None, count=1)
    return _outcome(visible(row, "outcome"))


def _outcome(row: Row) -> Outcome:
    equipment = {"id": row["equipment_id"], "key": row["equipment_key"], "name": row["equipment_name"]}
    return Outcome.model_validate({**row, "equipment": equipment})
