"""`/v1/waveforms`, `/v1/captures`, `/v1/cases`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from core.case import CaseEvent, CaseState
from core.errors import NotFoundError
from core.parcels import Purpose
from rendering.curves import MEDIA, draw
from services.api.auth import Engineering, Operating, Reading, Session
from services.api.errors import responses
from services.api.etag import MATCHED, answer_tagged, require_match
from services.api.moments import Moment
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import (
    EquipmentRef,
    LongNumber,
    MaybeEquipment,
    MaybeFrom,
    MaybeTo,
    Pages,
    equipment_id,
    maybe_equipment_id,
    paged,
)
from services.diagnosis import report, service
from services.diagnosis.examples import CAPTURE, CASE, CURVE, ENTRY, LABEL, SAMPLES, SUMMARY, WAVEFORM
from services.diagnosis.model import (
    Capture,
    CaptureRequest,
    Case,
    CaseEntry,
    CaseSummary,
    Conclusion,
    Curve,
    Found,
    Label,
    NewCase,
    Note,
    Reason,
    Samples,
    Waveform,
)

router = APIRouter(tags=["diagnosis"])

Form = Annotated[Literal["json", "png", "svg"], Query(description="Data, or a picture of it")]
ChannelName = Annotated[str | None, Query(max_length=120, description="Its first, if not given")]
_PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Data or picture",
        "model": Curve,
        "content": {
            "application/json": {"examples": {"curve": {"value": CURVE}}},
            "image/png": {"schema": {"type": "string", "format": "binary"}, "example": "\x89PNG…"},
            "image/svg+xml": {"schema": {"type": "string"}, "example": "<svg…"},
        },
    },
    **responses("not-found"),
}
_WORK: Final[dict[int | str, dict[str, Any]]] = {
    200: examples(done=CASE),
    **MATCHED,
    **responses("not-found", "conflict"),
}
_CACHED: Final = {"Cache-Control": "private, max-age=86400, immutable"}
"""A stored waveform never changes, so neither does what is seen in it."""


# --- waveforms -------------------------------------------------------------------------------------------------------


@router.get("/waveforms", summary="Waveforms, newest first", responses=paged("not-found", waveforms=WAVEFORM))
async def list_waveforms(
    session: Reading,
    paging: Pages,
    equipment: MaybeEquipment = None,
    channel: Annotated[str | None, Query(max_length=120)] = None,
    purpose: Purpose | None = None,
    time_from: MaybeFrom = None,
    time_to: MaybeTo = None,
) -> Page[Waveform]:
    """What was recorded, without samples."""
    return await paging.listed(
        session,
        service.waveforms,
        service.waveform_of,
        by={"after_ts": "ts", "after_id": "id"},
        equipment=await maybe_equipment_id(session.db, equipment),
        channel=channel,
        purpose=None if purpose is None else purpose.value,
        time_from=time_from,
        time_to=time_to,
    )


@router.get(
    "/waveforms/{waveform}",
    summary="One waveform, without samples",
    responses={200: examples(waveform=WAVEFORM), **responses("not-found")},
)
async def show_waveform(session: Reading, waveform: LongNumber) -> Waveform:
    """Channels, speed, load, the machine's state then, and how long the samples are kept."""
    return await service.waveform(session.db, waveform)


@router.get(
    "/waveforms/{waveform}/samples",
    summary="Samples of one channel",
    responses={200: examples(samples=SAMPLES), **responses("not-found")},
)
async def waveform_samples(
    session: Reading,
    waveform: LongNumber,
    channel: ChannelName = None,
    last: Annotated[int | None, Query(ge=1, le=service.MOST_VALUES, description="Only so many, the last ones")] = None,
) -> Samples:
    """In the unit of the channel. Routine ones were rounded to 65,535 steps of their largest deviation."""
    data, name, _ = await service.one(session.db, waveform, channel)
    values = data.of(name)
    start = 0 if last is None else max(0, len(values) - last)
    found = await service.waveform(session.db, waveform)
    return Samples(
        waveform_id=waveform,
        channel=name,
        unit=data.units[data.channels.index(name)],
        ts=found.ts + timedelta(seconds=start / data.rate),
        rate=data.rate,
        values=service.thin(values[start:], service.MOST_VALUES),
    )


@router.get("/waveforms/{waveform}/{view}", summary="What is seen in it", response_model=None, responses=_PICTURE)
async def waveform_curve(
    session: Reading,
    waveform: LongNumber,
    view: Annotated[str, Path(description="waveform, spectrum, envelope, orbit or bode", examples=["envelope"])],
    channel: ChannelName = None,
    top: Annotated[float | None, Query(gt=0, le=1e6, description="Highest frequency of a spectrum, Hz")] = None,
    resolution: Annotated[float | None, Query(gt=0, le=1e4, description="Of a spectrum, Hz: then averaged")] = None,
    form: Form = "json",
) -> Response:
    """Amplitudes are zero to peak; the envelope is that of the band where the signal is most impulsive; the orbit needs
    a pair of probes, the Bode plot a tacho."""
    data, name, equipment = await service.one(session.db, waveform, channel)
    if view not in service.VIEWS:
        raise NotFoundError(f"there is no view {view[:40]!r}", hint=f"there are {', '.join(service.VIEWS)}")
    known = await service.places(session.db, session.app.parse_type, equipment)
    found = await asyncio.to_thread(service.curve, known, data, name, view, top, resolution)
    return await _shown(found, form)


@router.get("/equipment/{equipment}/waterfall", summary="Spectra over time", response_model=None, responses=_PICTURE)
async def equipment_waterfall(
    session: Reading,
    equipment: EquipmentRef,
    channel: Annotated[str, Query(max_length=120)],
    time_from: Annotated[Moment, Query(alias="from")],
    time_to: Annotated[Moment, Query(alias="to")],
    top: Annotated[float | None, Query(gt=0, le=1e6, description="Highest frequency, Hz")] = None,
    form: Form = "json",
) -> Response:
    """At most sixteen at equal steps; of housings the envelopes, of shafts the spectra."""
    number = await equipment_id(session.db, equipment)
    known = await service.places(session.db, session.app.parse_type, number)
    found = await service.waterfall(session.db, known, number, channel, time_from, time_to, top)
    return await _shown(found, form)


async def _shown(curve: Any, form: str) -> Response:
    if form == "json":
        content = Curve.model_validate(curve.document()).model_dump_json()
        return Response(content, media_type="application/json", headers=_CACHED)
    picture = await asyncio.to_thread(draw, curve, form)
    return Response(picture, media_type=MEDIA[form], headers=_CACHED)


@router.post(
    "/equipment/{equipment}/captures",
    summary="Ask a device for a waveform",
    status_code=201,
    responses={201: examples(asked=CAPTURE), **responses("not-found")},
)
async def ask_capture(session: Operating, equipment: EquipmentRef, body: CaptureRequest) -> Capture:
    """The device hears it on `…/commands/{word}` and repeats the word as `request` of the waveform it sends."""
    number = await equipment_id(session.db, equipment)
    made = await session.db.value(
        "request_capture",
        equipment=number,
        channels=body.channels,
        seconds=body.seconds,
        reason=body.reason,
        case=body.case,
        who=session.principal.actor,
    )
    (row,) = await service.captures(session.db, 1, id=made)
    return service.capture_of(row)


@router.get(
    "/captures", summary="Waveforms that were asked for, newest first", responses=paged("not-found", captures=CAPTURE)
)
async def list_captures(
    session: Reading,
    paging: Pages,
    equipment: MaybeEquipment = None,
) -> Page[Capture]:
    """Each with what answered it."""
    number = await maybe_equipment_id(session.db, equipment)
    return await paging.listed(session, service.captures, service.capture_of, equipment=number)


# --- cases -----------------------------------------------------------------------------------------------------------


@router.get("/cases", summary="Cases, newest first", responses=paged("not-found", cases=SUMMARY))
async def list_cases(
    session: Reading,
    paging: Pages,
    equipment: MaybeEquipment = None,
    component: Annotated[str | None, Query(max_length=120)] = None,
    state: Annotated[list[CaseState] | None, Query(description="Any of these states")] = None,
) -> Page[CaseSummary]:
    """One per component that an alarm spoke of where waveforms are taken, or that somebody opened."""
    return await paging.listed(
        session,
        service.cases,
        service.summary_of,
        equipment=await maybe_equipment_id(session.db, equipment),
        component=component,
        state=[s.value for s in state] if state else None,
    )


@router.post(
    "/cases",
    summary="Open a case",
    status_code=201,
    responses={201: examples(opened=CASE), **responses("not-found", "conflict")},
)
async def open_case(session: Engineering, body: NewCase) -> Case:
    """On a component; there is one open case of a component at a time. What is seen and thought follows within
    seconds."""
    number = await session.db.value(
        "open_case",
        equipment=await equipment_id(session.db, body.equipment),
        component=body.component,
        title=body.title,
        about=body.about or service.now(),
        who=session.principal.actor,
    )
    return service.case_of(await service.case_row(session.db, number))


@router.get("/cases/labels", summary="What was said, and what was found", responses=paged(labels=LABEL))
async def case_labels(session: Reading, paging: Pages) -> Page[Label]:
    """Of cases whose component was opened: what models learn from."""
    return await paging.listed(session, "labels", Label.model_validate, by={"after": "case_id"})


@router.get(
    "/cases/{case}",
    summary="One case",
    response_model=Case,
    responses={200: examples(case=CASE), **responses("not-found")},
)
async def show_case(request: Request, session: Reading, case: LongNumber) -> Response:
    """What the platform thinks, with its evidence; what people concluded; what was found. The `ETag` counts its
    journal."""
    found = service.case_of(await service.case_row(session.db, case))
    return answer_tagged(request, found, await service.version(session.db, case))


@router.get(
    "/cases/{case}/journal",
    summary="What happened to a case, newest first",
    responses=paged("not-found", journal=ENTRY),
)
async def case_journal(session: Reading, case: LongNumber, paging: Pages) -> Page[CaseEntry]:
    """Every step: who, when, and with which words. Nothing is ever changed or removed here."""
    await service.case_row(session.db, case)
    return await paging.listed(session, "case_entries", service.entry_of, case=case)


@router.get("/cases/{case}/plots/{plot}", summary="A plot of a case", response_model=None, responses=_PICTURE)
async def case_plot(session: Reading, case: LongNumber, plot: str, form: Form = "svg") -> Response:
    """Out of the frozen evidence; `pictures` of the case names them."""
    return await _shown(service.picture(await service.case_row(session.db, case), plot), form)


@router.get(
    "/cases/{case}/report",
    summary="The case as a document",
    response_class=Response,
    response_model=None,
    responses={
        200: {
            "description": "Stands by itself: nothing is fetched from elsewhere",
            "content": {
                "text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"},
                "application/pdf": {"schema": {"type": "string", "format": "binary"}, "example": "%PDF-1.7…"},
            },
        },
        **responses("not-found", "conflict"),
    },
)
async def case_report(
    session: Reading, case: LongNumber, form: Annotated[Literal["html", "pdf"], Query()] = "html"
) -> Response:
    """What was seen, what it may mean, what people concluded, what was found: as a page or as PDF."""
    row = await service.case_row(session.db, case)
    journal = await session.db.rows("case_entries", case=case, after=None, count=1000)
    html = await asyncio.to_thread(report.page, service.case_of(row), row["evidence"] or {}, journal)
    if form == "html":
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        return Response(html, media_type="text/html", headers={"Content-Security-Policy": policy})
    data = await asyncio.to_thread(report.pdf, html, f"Case {case}")
    return Response(data, media_type="application/pdf")


@router.post("/cases/{case}/notes", summary="Add a note", responses=_WORK)
async def add_case_note(request: Request, session: Operating, case: LongNumber, body: Note) -> Case:
    """At any time, to any case."""
    return await _work(request, session, case, CaseEvent.NOTE, {"text": body.text})


@router.post("/cases/{case}/conclusion", summary="Say what it is", responses=_WORK)
async def conclude_case(request: Request, session: Engineering, case: LongNumber, body: Conclusion) -> Case:
    """An opinion, with one's name; may be said anew until it is signed."""
    return await _work(request, session, case, CaseEvent.CONCLUDE, body.model_dump(exclude_none=True))


@router.post("/cases/{case}/sign-off", summary="Agree, as a second analyst", responses=_WORK)
async def sign_case(request: Request, session: Engineering, case: LongNumber, body: Reason | None = None) -> Case:
    """Not by who concluded."""
    return await _work(request, session, case, CaseEvent.SIGN, _text(body))


@router.post("/cases/{case}/disagree", summary="Disagree with the conclusion", responses=_WORK)
async def disagree_with_case(request: Request, session: Engineering, case: LongNumber, body: Note) -> Case:
    """It is open again."""
    return await _work(request, session, case, CaseEvent.DISAGREE, {"text": body.text})


@router.post("/cases/{case}/found", summary="Say what an inspection found", responses=_WORK)
async def tell_case_found(request: Request, session: Operating, case: LongNumber, body: Found) -> Case:
    """Kept apart from opinion, at any time; it makes the case a label."""
    return await _work(request, session, case, CaseEvent.FIND, body.model_dump(exclude_none=True))


@router.post("/cases/{case}/close", summary="Close it", responses=_WORK)
async def close_case(request: Request, session: Engineering, case: LongNumber, body: Reason | None = None) -> Case:
    """Once it is signed; or open, where there is nothing to conclude."""
    return await _work(request, session, case, CaseEvent.CLOSE, _text(body))


@router.post("/cases/{case}/reopen", summary="Open it again", responses=_WORK)
async def reopen_case(request: Request, session: Engineering, case: LongNumber, body: Note) -> Case:
    """With a reason."""
    return await _work(request, session, case, CaseEvent.REOPEN, {"text": body.text})


def _text(body: Reason | None) -> dict[str, Any]:
    return {"text": body.text} if body is not None else {}


async def _work(request: Request, session: Session, case: int, event: CaseEvent, facts: dict[str, Any]) -> Case:
    if "if-match" in request.headers:
        require_match(request, await service.version(session.db, case, hold=True))
    return await service.work(session.db, session.principal, case, event, facts)
