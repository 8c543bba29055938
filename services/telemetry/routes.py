"""`/v1/points`, `/v1/equipment/…/latest`, `/v1/events`, `/v1/dead-letters`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.api.auth import Managing, Reading
from services.api.errors import ParameterError, responses
from services.api.moments import Moment
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import (
    EquipmentRef,
    LongNumber,
    MaybeEquipment,
    MaybeFrom,
    MaybeTo,
    Number,
    Pages,
    equipment_id,
    maybe_equipment_id,
    paged,
    plain,
)
from services.telemetry import service
from services.telemetry.examples import DEAD_LETTER, EVENT, GAPS, INTAKE, LATEST, POINT, READINGS
from services.telemetry.model import (
    DeadLetterDetail,
    DeadLetterSummary,
    Event,
    Gap,
    Gaps,
    Intake,
    Latest,
    PointDetail,
    Readings,
    ReplayRequested,
)
from services.tenancy.service import equipment_ref

router = APIRouter(tags=["telemetry"])

From = Annotated[Moment | None, Query(alias="from", description="Inclusive; an hour before `to`, if not given")]
To = Annotated[
    Moment | None,
    Query(
        alias="to",
        description="Exclusive; if not given, just behind the newest value of `/latest`, which follows by up to 2 s",
    ),
]


@router.get(
    "/equipment/{equipment}/latest",
    summary="Newest reading of every point",
    responses={200: examples(latest=LATEST), **responses("not-found")},
)
async def latest_readings(session: Reading, equipment: EquipmentRef) -> Latest:
    """Newest by event time, however late others arrive."""
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    return await service.latest(session.db, found)


@router.get(
    "/equipment/{equipment}/intake",
    summary="What was missing and what was refused of what it sent",
    responses={200: examples(intake=INTAKE), **responses("not-found")},
)
async def show_intake(session: Reading, equipment: EquipmentRef) -> Intake:
    """Gaps in its own numbering, refusals by reason, and the limits that hold."""
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    return await service.intake(session.db, found, session.app.settings.device_limits)


@router.get("/points/{point}", summary="One point", responses={200: examples(point=POINT), **responses("not-found")})
async def show_point(session: Reading, point: Number) -> PointDetail:
    """What is measured, in which unit, and its newest reading."""
    return await service.point(session.db, point)


@router.get(
    "/points/{point}/readings",
    summary="Readings of a point",
    responses={200: examples(readings=READINGS), **responses("not-found", "invalid-cursor", "too-slow")},
)
async def list_readings(
    request: Request,
    session: Reading,
    point: Number,
    paging: Pages,
    time_from: From = None,
    time_to: To = None,
    pixels: Annotated[
        int | None,
        Query(ge=4, le=10_000, description="At most so many readings, extremes kept; excludes `limit` and `cursor`"),
    ] = None,
) -> Readings:
    """Raw, in pages; or as many as a chart has pixels, each of them really stored."""
    if pixels is not None and ("limit" in request.query_params or paging.cursor is not None):
        raise ParameterError("readings come by 'pixels' or in pages, not both", parameter="pixels")
    found = await service.point(session.db, point)
    start, end = service.window(time_from, time_to, found.latest)
    following = None
    if pixels is not None:
        rows = await service.thinned(session.db, point, start, end, pixels)
    else:
        resume, until = paging.after(session, 2)
        if resume is not None:
            start, end = datetime.fromisoformat(resume), datetime.fromisoformat(until)
        fetched = await service.readings(session.db, point, start, end, paging.count)
        rows = fetched[: paging.limit]
        if len(fetched) > paging.limit:
            # the next page begins with the reading that did not fit, and keeps the end that this one had
            following = session.app.cursors.encode(
                session.question(request), (fetched[paging.limit]["ts"].isoformat(), end.isoformat())
            )
    return Readings(
        point_id=found.id,
        point=found.key,
        unit=found.unit,
        time_from=start,
        time_to=end,
        thinned=pixels is not None and len(rows) > 0,
        items=[service.reading_of(row) for row in rows],
        next=following,
    )


@router.get(
    "/points/{point}/gaps",
    summary="Stretches without readings",
    responses={200: examples(gaps=GAPS), **responses("not-found", "invalid-cursor", "too-slow")},
)
async def list_gaps(
    session: Reading,
    point: Number,
    paging: Pages,
    time_from: From = None,
    time_to: To = None,
    longer_than: Annotated[
        str, Query(max_length=40, description="A duration such as `90 s`, `10 min`, `1 h 30 min`", examples=["5 min"])
    ] = "5 min",
) -> Gaps:
    """Open ends count: from `from` to the first reading, and from the last one to `to`."""
    longest = service.duration(longer_than, "longer_than")
    found = await service.point(session.db, point)
    span = service.window(time_from, time_to, found.latest)
    after, start, end = paging.after(session, 3)
    if after is not None:
        span = datetime.fromisoformat(start), datetime.fromisoformat(end)
    rows = await service.gaps(session.db, point, span, longest, after, paging.count)
    kept, following = paging.cut(
        session, rows, lambda row: (row["gap_from"].isoformat(), span[0].isoformat(), span[1].isoformat())
    )
    return Gaps(
        point_id=point,
        longer_than_seconds=longest.total_seconds(),
        time_from=span[0],
        time_to=span[1],
        items=[
            Gap(
                time_from=row["gap_from"],
                time_to=row["gap_to"],
                seconds=(row["gap_to"] - row["gap_from"]).total_seconds(),
            )
            for row in kept
        ],
        next=following,
    )


@router.get("/events", summary="Events, newest first", responses=paged("not-found", events=EVENT))
async def list_events(
    session: Reading,
    paging: Pages,
    equipment: MaybeEquipment = None,
    kind: Annotated[str | None, Query(max_length=100)] = None,
    time_from: MaybeFrom = None,
    time_to: MaybeTo = None,
) -> Page[Event]:
    """What machines and people reported in words. (Alarms are elsewhere; what happens live is `/v1/stream`.)"""
    return await paging.listed(
        session,
        "events",
        service.event_of,
        by={"after_ts": "ts", "after_key": "place"},
        equipment=await maybe_equipment_id(session.db, equipment),
        kind=plain(kind),
        time_from=time_from,
        time_to=time_to,
    )


@router.get(
    "/dead-letters", summary="What could not be used, newest first", responses=paged("not-found", letters=DEAD_LETTER)
)
async def list_dead_letters(
    session: Reading,
    paging: Pages,
    reason: Annotated[str | None, Query(max_length=100)] = None,
    equipment: MaybeEquipment = None,
) -> Page[DeadLetterSummary]:
    """Nothing is thrown away: each payload or value that was refused, why, and how often."""
    return await paging.listed(
        session,
        service.dead_letters,
        service.dead_letter_of,
        reason=plain(reason),
        equipment=await maybe_equipment_id(session.db, equipment),
    )


@router.get(
    "/dead-letters/{letter}",
    summary="One dead letter with its payload",
    responses={
        200: examples(
            letter={**DEAD_LETTER, "payload_text": '{"temp": 21.5}', "payload_base64": "eyJ0ZW1wIjogMjEuNX0="}
        ),
        **responses("not-found"),
    },
)
async def show_dead_letter(session: Reading, letter: LongNumber) -> DeadLetterDetail:
    """The bytes as they came, and as text where they are."""
    return await service.dead_letter(session.db, letter)


@router.post(
    "/dead-letters/{letter}/replay",
    status_code=202,
    summary="Send it through the broker again",
    responses={
        202: examples(requested={"id": 5, "requested_at": "2026-11-22T10:00:00Z"}),
        **responses("not-found", "conflict"),
    },
)
async def replay_dead_letter(session: Managing, letter: LongNumber) -> ReplayRequested:
    """After its cause is mended.

    Asking twice before it is sent is one request; what was stored meanwhile is stored once.
    """
    asked = await service.request_replay(session.db, letter, session.principal.actor)
    await session.audit("dead_letter.replay_requested", f"dead-letter/{letter}")
    return ReplayRequested(id=letter, requested_at=asked)
