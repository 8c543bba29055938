"""`/v1/advisories`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from core.condition import Priority
from core.maintenance import AdvisoryEvent, AdvisoryState
from services.api.auth import Planning, Reading, Session
from services.api.errors import responses
from services.api.etag import MATCHED, TAGGED, answer_tagged, require_match
from services.api.moments import Moment
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import LongNumber, MaybeEquipment, Pages, maybe_equipment_id, paged
from services.predictive_maintenance import service
from services.predictive_maintenance.examples import ADVISORY, ADVISORY_ENTRY, DECIDED
from services.predictive_maintenance.model import (
    Accept,
    Advisory,
    AdvisoryEntry,
    AdvisoryStep,
    Defer,
    Reject,
)

router = APIRouter(prefix="/advisories", tags=["advisories"])

_DECISION: Final[dict[int | str, dict[str, Any]]] = {
    200: examples(decided=DECIDED),
    **MATCHED,
    **responses("not-found", "conflict", "invalid-input"),
}


@router.get("", summary="What should be done, newest change first", responses=paged("not-found", advisories=ADVISORY))
async def list_advisories(
    session: Reading,
    paging: Pages,
    state: Annotated[list[AdvisoryState] | None, Query(description="Any of these states")] = None,
    priority: Annotated[list[Priority] | None, Query(description="Any of these priorities")] = None,
    equipment: MaybeEquipment = None,
    due_before: Annotated[Moment | None, Query(description="To be acted on before")] = None,
) -> Page[Advisory]:
    """One for each component and failure mode that was ever noticed; `resting` ones want nothing now."""
    return await paging.listed(
        session,
        service.advisories,
        service.advisory_of,
        by={"after_at": "changed_at", "after_id": "id"},
        state=[s.value for s in state] if state else None,
        priority=[p.value for p in priority] if priority else None,
        equipment=await maybe_equipment_id(session.db, equipment),
        due_before=due_before,
    )


@router.get(
    "/{advisory}",
    summary="One advisory",
    response_model=Advisory,
    responses={200: examples(advisory=ADVISORY), **TAGGED, **responses("not-found")},
)
async def show_advisory(request: Request, session: Reading, advisory: LongNumber) -> Response:
    """What, why with evidence, by when and by which rule, and what to do with which parts and people."""
    found = await service.advisory(session.db, advisory)
    # the case is in the answer and no version of the advisory
    return answer_tagged(request, found, f"advisory/{found.id}/{found.revision}", volatile=True)


@router.get(
    "/{advisory}/journal",
    summary="What happened to an advisory, newest first",
    responses=paged("not-found", journal=ADVISORY_ENTRY),
)
async def advisory_journal(session: Reading, advisory: LongNumber, paging: Pages) -> Page[AdvisoryEntry]:
    """Every step: who or what, when, why. More of the same evidence is no step."""
    await service.advisory(session.db, advisory)
    return await paging.listed(session, "advisory_journal", AdvisoryEntry.model_validate, advisory=advisory)


@router.post("/{advisory}/accept", summary="Do it: makes a work order", responses=_DECISION)
async def accept_advisory(
    request: Request, session: Planning, advisory: LongNumber, body: Accept | None = None
) -> AdvisoryStep:
    """The work order begins as `planned`, with the advisory's date, checklist and parts."""
    return await _decide(request, session, advisory, AdvisoryEvent.ACCEPT, body.comment if body else "")


@router.post("/{advisory}/reject", summary="Do nothing, for a reason", responses=_DECISION)
async def reject_advisory(request: Request, session: Planning, advisory: LongNumber, body: Reject) -> AdvisoryStep:
    """It speaks again only if it becomes more urgent."""
    return await _decide(request, session, advisory, AdvisoryEvent.REJECT, body.reason)


@router.post("/{advisory}/defer", summary="Later, for a reason", responses=_DECISION)
async def defer_advisory(request: Request, session: Planning, advisory: LongNumber, body: Defer) -> AdvisoryStep:
    """Open again at that time, or at once if it becomes more urgent."""
    return await _decide(request, session, advisory, AdvisoryEvent.DEFER, body.reason, body.until)


async def _decide(
    request: Request, session: Session, advisory: int, event: AdvisoryEvent, why: str, until: Moment | None = None
) -> AdvisoryStep:
    revision = await session.db.value("advisory_revision", advisory=advisory)
    require_match(request, f"advisory/{advisory}/{revision}")
    step = await service.decide(session.db, session.principal, advisory, event, why, until)
    await session.audit(f"advisory.{event.value}", f"advisory/{advisory}", reason=why, work_order=step.work_order_id)
    return step
