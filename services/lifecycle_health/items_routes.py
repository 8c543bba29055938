"""`/v1/items`, `/v1/item-kinds`, `/v1/types/…/reliability`, `/v1/types/…/equal-duty`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from core.errors import ServitizeError
from core.lifecycle import identifiers
from core.lifecycle.genealogy import Deed
from core.time import from_datetime
from rendering import documents
from services.api.auth import Managing, Operating, Reading
from services.api.errors import ParameterError, responses
from services.api.moments import Moment
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import Number, Pages, maybe_equipment_id, paged, plain
from services.lifecycle_health import items, nameplate, reliability
from services.lifecycle_health import items_examples as shown
from services.lifecycle_health import items_model as model

router = APIRouter(tags=["lifecycle"])

_HTML: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/html": {"example": "<!doctype html>…"}}},
    **responses("not-found"),
}
_PDF: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/pdf": {"example": "%PDF-1.7…"}}},
    **responses("not-found"),
}
TypeKey = Annotated[str, Path(max_length=128, examples=["compressor-train"])]
KindKey = Annotated[str, Path(max_length=63, examples=["journal-bearing"])]
Confidence = Annotated[float, Query(ge=0.5, le=0.999, allow_inf_nan=False, description="Of two-sided bounds")]


class ItemPdf(Response):
    media_type = "application/pdf"


@router.get("/items", summary="Serial numbers", responses=paged("not-found", items=shown.SUMMARY))
async def list_items(
    session: Reading,
    paging: Pages,
    kind: Annotated[str | None, Query(max_length=63)] = None,
    serial: Annotated[str | None, Query(max_length=60)] = None,
    identifier: Annotated[str | None, Query(max_length=300, description="A link as scanned, in any spelling")] = None,
    equipment: Annotated[str | None, Query(max_length=128, description="The machine that it is")] = None,
) -> Page[model.ItemSummary]:
    """In the order in which they were registered."""
    link = None
    if identifier is not None:
        try:
            link = identifiers.canonical(plain(identifier))
        except (ServitizeError, ValueError):
            raise ParameterError("no identification link", parameter="identifier") from None
    return await paging.listed(
        session,
        items.rows,
        model.ItemSummary.model_validate,
        kind=plain(kind),
        serial=plain(serial),
        identifier=link,
        equipment=await maybe_equipment_id(session.db, equipment),
    )


@router.post(
    "/items",
    status_code=201,
    summary="Register a serial number",
    responses={201: examples(registered=shown.ITEM), **responses("invalid-input", "not-found", "conflict")},
)
async def register_item(session: Managing, response: Response, body: model.RegisterItem) -> model.Item:
    """A part, or with `equipment` the machine itself. Its identifier leads to it from anywhere."""
    found = await maybe_equipment_id(session.db, body.equipment)
    made = await items.make(session.db, body, found, session.principal.actor)
    await session.audit("item.registered", f"item/{made}", kind=body.kind, serial=body.serial)
    response.headers["Location"] = f"/v1/items/{made}"
    return await items.show(session.db, made)


@router.get(
    "/items/{item}",
    summary="A serial number and its lives",
    responses={200: examples(item=shown.ITEM), **responses("not-found")},
)
async def show_item(session: Reading, item: Number) -> model.Item:
    """Where it is, and what it ran in every machine it was in: hours, starts, hours by state."""
    return await items.show(session.db, item)


@router.get(
    "/items/{item}/steps",
    summary="What was done to it",
    responses={200: examples(steps={"items": [shown.STEP], "next": None}), **responses("not-found")},
)
async def list_item_steps(session: Reading, item: Number) -> Page[model.Step]:
    """In order of time. Nothing is ever changed or removed here."""
    return Page(items=await items.steps_of(session.db, item), next=None)


@router.post(
    "/items/{item}/steps",
    status_code=201,
    summary="Record what was done to it",
    responses={201: examples(taken=shown.STEP), **responses("invalid-input", "not-found", "conflict")},
)
async def take_item_step(session: Operating, item: Number, body: model.NewStep) -> model.Step:
    """Built, installed, removed, inspected, repaired, overhauled, remanufactured, scrapped. What cannot have happened
    (it is somewhere else, the place is taken, it was scrapped) is a conflict."""
    made = await items.take(session.db, item, body, session.principal.actor)
    await session.audit("item.step", f"item/{item}", deed=body.deed.value, host=body.host, position=body.position)
    return made


@router.get(
    "/items/{item}/structure",
    summary="What is built into it",
    responses={200: examples(structure=shown.STRUCTURE), **responses("not-found")},
)
async def item_structure(
    session: Reading,
    item: Number,
    at: Annotated[Moment | None, Query(description="As it was then; now, if not given")] = None,
    as_built: Annotated[bool, Query(description="As it was when it was built")] = False,
) -> model.Structure:
    """As maintained, now or at any moment; or as built."""
    return await items.structure(session.db, item, None if at is None else from_datetime(at), as_built=as_built)


@router.get(
    "/items/{item}/assessment",
    summary="Reuse, repair, remanufacture or scrap?",
    responses={200: examples(assessment=shown.ASSESSMENT), **responses("invalid-input", "not-found")},
)
async def assess_item(session: Reading, item: Number) -> model.AssessmentOf:
    """By its hours, lives, health when it was removed and its inspection, against the limits of its kind; every reason
    is given, and what is not known is said."""
    return await items.assessment(session.db, item)


@router.get(
    "/items/{item}/plan",
    summary="What is due when",
    responses={200: examples(plan=shown.PLAN), **responses("invalid-input", "not-found")},
)
async def item_plan(session: Reading, item: Number) -> model.LifePlan:
    """At the rate at which it ran over the last 30 days, by the intervals of its kind."""
    return await items.plan(session.db, item)


@router.get(
    "/items/{item}/nameplate",
    summary="Its nameplate as Asset Administration Shell",
    responses={200: examples(nameplate=shown.NAMEPLATE), **responses("not-found")},
)
async def item_nameplate(session: Reading, item: Number) -> model.Nameplate:
    """JSON of the metamodel 3.0 with the submodel IDTA 02006-3-0 Digital Nameplate."""
    found = await items.show(session.db, item)
    year = f"{found.lives[0].time_from:%Y}" if found.lives else None
    return model.Nameplate.model_validate(await run_in_threadpool(nameplate.nameplate, found, year))


@router.get("/items/{item}/passport", summary="Its passport to read", response_class=HTMLResponse, responses=_HTML)
async def item_passport(session: Reading, item: Number) -> HTMLResponse:
    """Identity, lives, load spectrum, history, structure, verdict; one page without scripts."""
    html, _ = await _passport(session, item)
    return HTMLResponse(html)


@router.get("/items/{item}/passport/pdf", summary="Its passport to send", response_class=ItemPdf, responses=_PDF)
async def item_passport_pdf(session: Reading, item: Number) -> ItemPdf:
    """The same page as PDF, A4."""
    html, title = await _passport(session, item)
    return ItemPdf(await run_in_threadpool(documents.pdf, html, title))


async def _passport(session: Reading, number: int) -> tuple[str, str]:
    found = await items.show(session.db, number)
    steps = await items.steps_of(session.db, number)
    structure = await items.structure(session.db, number, None, as_built=False)
    rows = await items.rows(session.db, 1_000_000)
    names = {row["id"]: row["equipment"] or f"{row['kind']} {row['serial']}" for row in rows}
    try:
        verdict = await items.assessment(session.db, number) if found.equipment is None else None
    except ServitizeError:
        verdict = None
    keys = [key for key in found.counted if key.startswith("hours:")]
    gone = any(step.deed is Deed.SCRAPPED for step in steps)
    place = "scrapped" if gone else "in no machine" if found.place is None else (
        f"{names[found.place.host]} · {found.place.position}"
    )  # fmt: skip
    content = {
        "item": found,
        "steps": steps,
        "parts": structure.parts,
        "names": names,
        "verdict": verdict,
        "place": found.equipment or place,
        "spectrum_keys": keys,
        "whole": sum(found.counted[key] for key in keys) or 1.0,
        "now": structure.at,
    }
    return documents.page("passport", content), f"Passport {found.kind} {found.serial}"


@router.post(
    "/item-kinds",
    status_code=201,
    summary="Limits and intervals of a kind of part",
    responses={201: examples(limits=shown.LIMITS)},
)
async def put_item_kind(session: Managing, body: model.KindLimits) -> model.KindLimits:
    """When a returned part is reused, repaired, remanufactured or scrapped, and what is due when. Replaces what was."""
    await items.put_limits(session.db, body)
    await session.audit("item_kind.changed", f"item-kind/{body.kind}")
    return await items.limits(session.db, body.kind)


@router.get(
    "/item-kinds/{kind}",
    summary="Limits and intervals of a kind of part",
    responses={200: examples(limits=shown.LIMITS), **responses("not-found")},
)
async def show_item_kind(session: Reading, kind: KindKey) -> model.KindLimits:
    """As last given."""
    return await items.limits(session.db, plain(kind))


@router.get(
    "/item-kinds/{kind}/life",
    summary="How long does this kind of part last?",
    responses={200: examples(life=shown.LIFE), **responses("not-found")},
)
async def life_of_kind(session: Reading, kind: KindKey, confidence: Confidence = 0.9) -> model.LifeOfKind:
    """Weibull life by maximum likelihood over every life of every part you see; parts that did not fail count as
    suspensions. With fewer than two different failures it says so."""
    return await reliability.life_of_kind(session.db, plain(kind), confidence)


@router.get(
    "/types/{key}/reliability",
    summary="How dependable is a type?",
    responses={200: examples(reliability=shown.RELIABILITY), **responses("not-found")},
)
async def type_reliability(
    session: Reading,
    key: TypeKey,
    time_from: Annotated[Moment, Query(alias="from")],
    time_to: Annotated[Moment, Query(alias="to")],
    down: Annotated[list[str] | None, Query(max_length=20, description="States that are failures; `tripped`")] = None,
    confidence: Confidence = 0.9,
) -> model.TypeReliability:
    """MTBF with bounds, MTTR and availability (EN 13306) of your machines of the type, and what alarms were for."""
    if time_to <= time_from:
        raise ParameterError("the end lies before the beginning", parameter="to")
    states = [plain(state) for state in down or ["tripped"]]
    return await reliability.of_type(session.db, plain(key), states, time_from, time_to, confidence)


@router.get(
    "/types/{key}/equal-duty",
    summary="Machines of a type at equal duty",
    responses={200: examples(compared=shown.EQUAL_DUTY), **responses("invalid-input", "not-found")},
)
async def type_at_equal_duty(
    session: Reading,
    key: TypeKey,
    duty: Annotated[str, Query(max_length=128, description="Point that says how hard it works")],
    metric: Annotated[str, Query(max_length=128, description="Point that is compared")],
    time_from: Annotated[Moment, Query(alias="from")],
    time_to: Annotated[Moment, Query(alias="to")],
    classes: Annotated[int, Query(ge=1, le=50)] = 8,
) -> model.EqualDuty:
    """Hourly means, standardised to the fleet's mix of duty: what differs then is the machine, not its work."""
    if time_to <= time_from:
        raise ParameterError("the end lies before the beginning", parameter="to")
    return await reliability.at_equal_duty(
        session.db, plain(key), plain(duty), plain(metric), time_from, time_to, classes
    )
