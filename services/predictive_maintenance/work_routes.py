"""`/v1/work-orders`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from core.maintenance import WorkEvent, WorkState
from services.api.auth import Approving, Engineering, Operating, Planning, Reading, Session
from services.api.database import visible
from services.api.errors import ApiError, responses
from services.api.etag import MATCHED, TAGGED, answer_tagged, require_match
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import INT4, LongNumber, MaybeEquipment, Pages, equipment_id, maybe_equipment_id, paged, plain
from services.predictive_maintenance import service, stock
from services.predictive_maintenance.examples import PHOTO, STEPPED, WORK_DETAIL, WORK_ENTRY, WORK_ORDER
from services.predictive_maintenance.model import (
    Because,
    Comment,
    Complete,
    Enter,
    Kind,
    NewWork,
    Photo,
    Schedule,
    Start,
    Tick,
    WorkDetail,
    WorkJournalEntry,
    WorkOrder,
    WorkStep,
)

router = APIRouter(prefix="/work-orders", tags=["work orders"])

_STEP: Final[dict[int | str, dict[str, Any]]] = {
    200: examples(done=STEPPED),
    **MATCHED,
    **responses("not-found", "conflict", "invalid-input"),
}
_CHANGED: Final[dict[int | str, dict[str, Any]]] = {
    200: examples(work_order=WORK_DETAIL),
    **MATCHED,
    **responses("not-found", "conflict", "invalid-input"),
}
PHOTO_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of one photo: what a telephone makes of a bearing, reduced."""
_SIGNATURES: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"RIFF", "image/webp"),
)


@router.get("", summary="Work orders, newest change first", responses=paged("not-found", work_orders=WORK_ORDER))
async def list_work_orders(
    session: Reading,
    paging: Pages,
    state: Annotated[list[WorkState] | None, Query(description="Any of these states")] = None,
    unfinished: Annotated[bool | None, Query(description="True: neither closed nor cancelled")] = None,
    kind: Kind | None = None,
    equipment: MaybeEquipment = None,
    advisory: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> Page[WorkOrder]:
    """All of the equipment you may see."""
    return await paging.listed(
        session,
        service.work_orders,
        service.work_of,
        by={"after_at": "changed_at", "after_id": "id"},
        state=[s.value for s in state] if state else None,
        unfinished=unfinished,
        kind=kind,
        equipment=await maybe_equipment_id(session.db, equipment),
        advisory=advisory,
    )


@router.post(
    "",
    status_code=201,
    summary="Plan work that no advisory asked for",
    responses={201: examples(work_order=WORK_DETAIL), **responses("not-found", "conflict", "invalid-input")},
)
async def plan_work(session: Planning, body: NewWork, response: Response) -> WorkDetail:
    """With `task`, checklist, parts and skills come from the equipment's type. `Location` leads to it."""
    made = await service.new_work(session.db, session.principal, await equipment_id(session.db, body.equipment), body)
    await session.audit("work_order.plan", f"work_order/{made}", title=body.title)
    response.headers["Location"] = f"/v1/work-orders/{made}"
    return await service.work_order(session.db, made)


@router.get(
    "/{work_order}",
    summary="One work order",
    response_model=WorkDetail,
    responses={200: examples(work_order=WORK_DETAIL), **TAGGED, **responses("not-found")},
)
async def show_work_order(request: Request, session: Reading, work_order: LongNumber) -> Response:
    """With checklist, entries, photos, and what the telemetry said after the repair."""
    found = await service.work_order(session.db, work_order)
    # what the watch has seen so far is in the answer and no version of the order
    return answer_tagged(request, found, _version(found.id, found.revision), volatile=True)


@router.get(
    "/{work_order}/journal",
    summary="What happened to a work order, newest first",
    responses=paged("not-found", journal=WORK_ENTRY),
)
async def work_journal(session: Reading, work_order: LongNumber, paging: Pages) -> Page[WorkJournalEntry]:
    """Every step: who, when, why."""
    await service.work_order(session.db, work_order)
    return await paging.listed(session, "work_journal", WorkJournalEntry.model_validate, work=work_order)


@router.post("/{work_order}/approve", summary="Release it", responses=_STEP)
async def approve_work(
    request: Request, session: Approving, work_order: LongNumber, body: Comment | None = None
) -> WorkStep:
    """Its parts are reserved; what is not in stock counts as to be ordered."""
    step = await _step(request, session, work_order, WorkEvent.APPROVE, body.comment if body else "")
    await stock.reserve_for(session.db, session.principal, step.work_order)
    return step


@router.post("/{work_order}/schedule", summary="Set a time and a crew", responses=_STEP)
async def schedule_work(request: Request, session: Planning, work_order: LongNumber, body: Schedule) -> WorkStep:
    """Again: moves it."""
    return await _step(request, session, work_order, WorkEvent.SCHEDULE, "", service.schedule_facts(body))


@router.post("/{work_order}/unschedule", summary="Take it off the calendar", responses=_STEP)
async def unschedule_work(request: Request, session: Planning, work_order: LongNumber, body: Because) -> WorkStep:
    """It stays approved."""
    return await _step(request, session, work_order, WorkEvent.UNSCHEDULE, body.reason)


@router.post("/{work_order}/start", summary="Begin", responses=_STEP)
async def start_work(
    request: Request, session: Operating, work_order: LongNumber, body: Start | None = None
) -> WorkStep:
    """From now on the checklist is ticked and hours, parts and photos are entered."""
    moment = await service.moment_of(session.db, body.at if body else None)
    return await _step(request, session, work_order, WorkEvent.START, "", None, moment)


@router.post("/{work_order}/complete", summary="People have finished", responses=_STEP)
async def complete_work(
    request: Request, session: Operating, work_order: LongNumber, body: Complete | None = None
) -> WorkStep:
    """When every obligatory line is ticked. From now on the telemetry is watched; what was renewed is learned anew."""
    body = body or Complete(outcome="repaired", findings="", at=None)
    moment = await service.moment_of(session.db, body.at)
    facts = {"outcome": body.outcome, "findings": body.findings}
    return await _step(request, session, work_order, WorkEvent.COMPLETE, "", facts, moment)


@router.post("/{work_order}/verify", summary="It is well, by a person's word", responses=_STEP)
async def verify_work(
    request: Request, session: Engineering, work_order: LongNumber, body: Comment | None = None
) -> WorkStep:
    """Where the telemetry cannot tell, or before it can."""
    return await _step(request, session, work_order, WorkEvent.VERIFY, body.comment if body else "")


@router.post("/{work_order}/close", summary="Close a verified work order", responses=_STEP)
async def close_work(
    request: Request, session: Engineering, work_order: LongNumber, body: Comment | None = None
) -> WorkStep:
    """Its advisory rests; its outcome becomes an example for models."""
    return await _step(request, session, work_order, WorkEvent.CLOSE, body.comment if body else "")


@router.post("/{work_order}/reopen", summary="It was not repaired after all", responses=_STEP)
async def reopen_work(request: Request, session: Engineering, work_order: LongNumber, body: Because) -> WorkStep:
    """Scheduled or started again; the checklist is gone through again."""
    return await _step(request, session, work_order, WorkEvent.REOPEN, body.reason)


@router.post("/{work_order}/cancel", summary="Do not do it", responses=_STEP)
async def cancel_work(request: Request, session: Planning, work_order: LongNumber, body: Because) -> WorkStep:
    """Its advisory is open again; reserved parts are free."""
    return await _step(request, session, work_order, WorkEvent.CANCEL, body.reason)


@router.put("/{work_order}/checklist/{line}", summary="Tick a line of the checklist", responses=_CHANGED)
async def tick_line(
    request: Request,
    session: Operating,
    work_order: LongNumber,
    line: Annotated[int, Path(ge=0, le=INT4, examples=[0])],
    body: Tick,
) -> WorkDetail:
    """With a note, such as a figure measured; lines count from 0."""
    await _match(request, session, work_order)
    await session.db.value(
        "tick_work", work=work_order, line=line, done=body.done, who=session.principal.actor, note=body.note
    )
    await session.audit("work_order.tick", f"work_order/{work_order}", line=line, done=body.done)
    return await service.work_order(session.db, work_order)


@router.post("/{work_order}/entries", summary="Enter hours, lubricant or a finding", responses=_CHANGED)
async def enter_work(request: Request, session: Operating, work_order: LongNumber, body: Enter) -> WorkDetail:
    """What was entered stays; a mistake is entered again with the opposite sign."""
    await _match(request, session, work_order)
    await session.db.value(
        "enter_work",
        work=work_order,
        kind=body.kind,
        item=body.item,
        quantity=body.quantity,
        unit=body.unit,
        cost=body.cost,
        note=body.note,
        who=session.principal.actor,
    )
    await session.audit("work_order.enter", f"work_order/{work_order}", kind=body.kind, item=body.item)
    return await service.work_order(session.db, work_order)


@router.post(
    "/{work_order}/photos",
    status_code=201,
    summary="Keep a photo",
    responses={201: examples(photo=PHOTO), **responses("not-found", "conflict", "media-type", "too-large")},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {media: {"schema": {"type": "string", "format": "binary"}} for _, media in _SIGNATURES},
        }
    },
)
async def keep_photo(
    request: Request,
    session: Operating,
    work_order: LongNumber,
    note: Annotated[str, Query(max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")] = "",
) -> Photo:
    """The body is the picture: JPEG, PNG or WebP, 4 MB at most. The same picture twice is kept once."""
    content = await request.body()
    kind = next((media for start, media in _SIGNATURES if content.startswith(start)), None)
    if kind is None or (kind == "image/webp" and content[8:12] != b"WEBP"):
        raise ApiError("media-type", "the body is neither a JPEG, a PNG nor a WebP picture")
    if len(content) > PHOTO_LIMIT:
        raise ApiError("too-large", f"a photo has at most {PHOTO_LIMIT} bytes")
    digest = await session.db.value(
        "keep_photo", work=work_order, picture=content, media_type=kind, note=note, who=session.principal.actor
    )
    await session.audit("work_order.photo", f"work_order/{work_order}", sha256=digest)
    detail = await service.work_order(session.db, work_order)
    return next(photo for photo in detail.photos if photo.sha256 == digest)


@router.get(
    "/{work_order}/photos/{sha256}",
    summary="A photo",
    response_class=Response,
    responses={
        200: {
            "content": {
                media: {"schema": {"type": "string", "format": "binary"}, "example": start.decode("latin-1") + "…"}
                for start, media in _SIGNATURES
            },
            "description": "The picture as it was sent",
        },
        **responses("not-found"),
    },
)
async def show_photo(
    session: Reading,
    work_order: LongNumber,
    sha256: Annotated[str, Path(max_length=64, examples=[PHOTO["sha256"]])],
) -> Response:
    """By its hash: it never changes."""
    row = visible(await session.db.row("work_photo", work=work_order, hash=plain(sha256)), "photo")
    headers = {"ETag": f'"{sha256}"', "Content-Disposition": "inline"}
    return Response(bytes(row["content"]), media_type=row["media_type"], headers=headers)


def _version(work_order: int, revision: object) -> str:
    return f"work_order/{work_order}/{revision}"


async def _match(request: Request, session: Session, work_order: int) -> None:
    revision = await session.db.value("work_revision", work=work_order)
    require_match(request, _version(work_order, revision))


async def _step(
    request: Request,
    session: Session,
    work_order: int,
    event: WorkEvent,
    why: str,
    facts: dict[str, Any] | None = None,
    moment: Any = None,
) -> WorkStep:
    await _match(request, session, work_order)
    step = await service.operate(session.db, session.principal, work_order, event, why, facts, moment)
    await session.audit(f"work_order.{event.value}", f"work_order/{work_order}", reason=why, to=step.to_state.value)
    return step
