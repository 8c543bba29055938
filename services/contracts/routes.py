"""`/v1/contracts`, `/v1/contract-records`, `/v1/statements`, `/v1/emission-factors`, `/v1/service-indicators`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from core.time import from_datetime
from rendering import documents
from services.api.auth import Managing, Operating, Reading
from services.api.errors import ParameterError, responses
from services.api.moments import Moment
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import EquipmentRef, LongNumber, Number, Pages, equipment_id, paged, plain
from services.contracts import energy, service
from services.contracts.computing import contract_row
from services.contracts.examples import (
    CLOSED,
    CONTRACT,
    DRAFT,
    FACTOR,
    FOOTPRINT,
    INDICATORS,
    RECORD,
    STATEMENT,
    SUMMARY,
    TRACED,
    VERIFICATION,
)
from services.contracts.model import (
    ChangedContract,
    ChangedRecord,
    Closed,
    ClosedMany,
    CloseManyOrder,
    CloseOrder,
    Contract,
    Draft,
    Factor,
    Footprint,
    Month,
    NewContract,
    NewFactor,
    NewRecord,
    Record,
    ServiceIndicators,
    Statement,
    StatementSummary,
    TracedLine,
    Verification,
)
from services.tenancy.service import equipment_ref

router = APIRouter(tags=["contracts"])

_HTML: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/html": {"example": "<!doctype html>…"}}},
    **responses("not-found"),
}
_PDF: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/pdf": {"example": "%PDF-1.7…"}}},
    **responses("not-found"),
}


class PdfResponse(Response):
    media_type = "application/pdf"


@router.get("/contracts", summary="Contracts you provide or pay", responses=paged(contracts=CONTRACT))
async def list_contracts(session: Reading, paging: Pages) -> Page[Contract]:
    """In the order in which they were made."""
    return await paging.listed(session, "contracts", Contract.model_validate, ids=None)


@router.post(
    "/contracts",
    status_code=201,
    summary="Make a contract",
    responses={201: examples(made=CONTRACT), **responses("invalid-input", "conflict")},
)
async def make_contract(session: Managing, response: Response, body: NewContract) -> Contract:
    """For machines that you own or manage. A mistake in the terms is named by its place."""
    made = await service.put(session.db, None, body.terms, body.customer, None, session.principal.actor)
    await session.audit("contract.made", f"contract/{made}", key=body.terms.get("key"), customer=body.customer)
    response.headers["Location"] = f"/v1/contracts/{made}"
    return await service.show(session.db, made)


@router.get(
    "/contracts/{contract}",
    summary="One contract with its terms",
    responses={200: examples(contract=CONTRACT), **responses("not-found")},
)
async def show_contract(session: Reading, contract: Number) -> Contract:
    """All versions of the terms, each from its day on."""
    return await service.show(session.db, contract)


@router.put(
    "/contracts/{contract}",
    summary="Give a contract other terms",
    responses={200: examples(changed=CONTRACT), **responses("invalid-input", "not-found", "conflict")},
)
async def change_contract(session: Managing, contract: Number, body: ChangedContract) -> Contract:
    """A new revision: usually the terms there are, and a version with a later day. Closed statements stay."""
    await service.put(session.db, contract, body.terms, None, body.revision, session.principal.actor)
    await session.audit("contract.changed", f"contract/{contract}", revision=body.revision + 1)
    return await service.show(session.db, contract)


@router.get(
    "/contracts/{contract}/draft",
    summary="A period as it stands now",
    responses={200: examples(draft=DRAFT), **responses("invalid-input", "not-found")},
)
async def draft_statement(
    session: Reading, contract: Number, period: Annotated[Month, Query(description="First month of the period")]
) -> Draft:
    """Computed from what is stored at this moment, with every figure's trace; nothing is kept."""
    return await service.preview(session.db, contract, period)


@router.get(
    "/contracts/{contract}/statements",
    summary="Closed statements and corrections, newest first",
    responses=paged("not-found", statements=SUMMARY),
)
async def list_statements(
    session: Reading, contract: Number, paging: Pages, period: Annotated[Month | None, Query()] = None
) -> Page[StatementSummary]:
    """Of one contract."""
    await contract_row(session.db, contract)
    return await paging.listed(session, "statements", service.summary_of, contract=contract, id=None, period=period)


@router.post(
    "/contracts/{contract}/statements",
    status_code=201,
    summary="Close a period, or correct a closed one",
    responses={201: examples(closed=STATEMENT), **responses("invalid-input", "not-found", "conflict")},
)
async def close_statement(session: Managing, response: Response, contract: Number, body: CloseOrder) -> Statement:
    """Closed is closed: where figures have changed since, the answer is a correction that reverses the old lines and
    states the new ones; where none has, it is a conflict."""
    made = await service.close(session.db, contract, body.period, body.reason, session.principal.actor)
    await session.audit("statement.closed", f"statement/{made}", contract=contract, period=body.period)
    response.headers["Location"] = f"/v1/statements/{made}"
    return await service.statement(session.db, made)


@router.post(
    "/statements",
    summary="Close the same period of many contracts",
    responses={200: examples(closed=CLOSED), **responses("invalid-input", "not-found", "conflict")},
)
async def close_statements(session: Managing, body: CloseManyOrder) -> ClosedMany:
    """As for each by itself; a contract whose period cannot be closed or has nothing to correct says why and keeps no
    other one from it."""
    numbers = list(dict.fromkeys(body.contracts))
    made = await service.close_many(session.db, numbers, body.period, body.reason, session.principal.actor)
    items = []
    for number, outcome in zip(numbers, made, strict=True):
        if isinstance(outcome, int):
            await session.audit("statement.closed", f"statement/{outcome}", contract=number, period=body.period)
            items.append(Closed(contract_id=number, statement=outcome, problem=None))
        else:
            items.append(Closed(contract_id=number, statement=None, problem=str(outcome)))
    return ClosedMany(items=items)


@router.get(
    "/contracts/{contract}/records",
    summary="What is on record for a contract",
    responses=paged("not-found", records=RECORD),
)
async def list_contract_records(session: Reading, contract: Number, paging: Pages) -> Page[Record]:
    """Stops that may be excluded, and incidents; with those that were withdrawn."""
    await contract_row(session.db, contract)
    return await paging.listed(session, service.records, Record.model_validate, contract=contract)


@router.post(
    "/contracts/{contract}/records",
    status_code=201,
    summary="Put a stop or an incident on record",
    responses={201: examples(recorded=RECORD), **responses("invalid-input", "not-found")},
)
async def put_contract_record(session: Operating, contract: Number, body: NewRecord) -> Record:
    """What the contract makes of it is in its terms: which causes it excludes, and which clocks an incident starts."""
    made = await service.put_record(session.db, contract, body, session.principal.actor)
    await session.audit("contract_record.made", f"contract-record/{made}", contract=contract, kind=body.kind)
    return await service.record(session.db, made)


@router.patch(
    "/contract-records/{record}",
    summary="An incident was answered or is over; or a record was a mistake",
    responses={200: examples(changed=RECORD), **responses("invalid-input", "not-found", "conflict")},
)
async def change_contract_record(session: Operating, record: LongNumber, body: ChangedRecord) -> Record:
    """Each moment is put on record once. A mistake is withdrawn and stays visible."""
    changed = await service.change_record(session.db, record, body, session.principal.actor)
    await session.audit("contract_record.changed", f"contract-record/{record}", withdrawn=body.withdraw)
    return changed


@router.get(
    "/statements/{statement}",
    summary="One closed statement or correction",
    responses={200: examples(statement=STATEMENT), **responses("not-found")},
)
async def show_statement(session: Reading, statement: LongNumber) -> Statement:
    """With its lines and what the guarantees came to."""
    return await service.statement(session.db, statement)


@router.get(
    "/statements/{statement}/lines/{position}",
    summary="One figure and where it comes from",
    responses={200: examples(line=TRACED), **responses("not-found")},
)
async def show_statement_line(session: Reading, statement: LongNumber, position: Number) -> TracedLine:
    """Readings by point and time (`/v1/points/…/readings` shows them), states, events, records, and the gap rule."""
    return await service.line(session.db, statement, position)


@router.get(
    "/statements/{statement}/verification",
    summary="Compute it anew and compare",
    responses={200: examples(verified=VERIFICATION), **responses("not-found")},
)
async def verify_statement(session: Reading, statement: LongNumber) -> Verification:
    """With the terms and the clock of then, from what is stored now. What differs came later."""
    return await service.verify(session.db, statement)


@router.get("/statements/{statement}/page", summary="A statement to read", response_class=HTMLResponse, responses=_HTML)
async def statement_page(session: Reading, statement: LongNumber) -> HTMLResponse:
    """One page without scripts."""
    html, _ = await _document(session, statement)
    return HTMLResponse(html)


@router.get("/statements/{statement}/pdf", summary="A statement to send", response_class=PdfResponse, responses=_PDF)
async def statement_pdf(session: Reading, statement: LongNumber) -> PdfResponse:
    """The same page as PDF, A4."""
    html, title = await _document(session, statement)
    return PdfResponse(await run_in_threadpool(documents.pdf, html, title))


async def _document(session: Reading, number: int) -> tuple[str, str]:
    found = await service.statement(session.db, number)
    contract = await service.show(session.db, found.contract_id)
    document = await session.db.value("statement_document", id=number)
    lines = [{"position": n, **line} for n, line in enumerate(document["lines"], 1)]
    html = documents.page("statement", {"statement": found, "contract": contract, "lines": lines})
    return html, f"{contract.title} {found.period}"


@router.get("/emission-factors", summary="Emission factors by carrier and day", responses=paged(factors=FACTOR))
async def list_emission_factors(
    session: Reading, paging: Pages, carrier: Annotated[str | None, Query(max_length=63)] = None
) -> Page[Factor]:
    """In the order in which they were recorded."""
    return await paging.listed(session, "emission_factors", service.factor_of, carrier=plain(carrier))


@router.post(
    "/emission-factors",
    status_code=201,
    summary="Record an emission factor",
    responses={201: examples(recorded=FACTOR), **responses("invalid-input", "conflict")},
)
async def put_emission_factor(session: Managing, body: NewFactor) -> Factor:
    """From a day on, with its source. Factors are never changed: a better one has a later day, or another carrier."""
    made = await service.put_factor(session.db, body, session.principal.actor)
    await session.audit("emission_factor.recorded", f"emission-factor/{made}", carrier=body.carrier)
    rows = await session.db.rows("emission_factors", carrier=body.carrier, after=made - 1, count=1)
    return service.factor_of(rows[0])


@router.get(
    "/equipment/{equipment}/footprint",
    summary="Energy per unit of output, and CO₂e",
    responses={200: examples(footprint=FOOTPRINT), **responses("invalid-input", "not-found")},
)
async def equipment_footprint(
    session: Reading,
    equipment: EquipmentRef,
    carrier: Annotated[str, Query(max_length=63, description="Carrier of the emission factors, such as `diesel`")],
    energy_point: Annotated[str, Query(max_length=128, description="Counter or rate per hour of energy")],
    time_from: Annotated[Moment, Query(alias="from")],
    time_to: Annotated[Moment, Query(alias="to")],
    output_point: Annotated[str | None, Query(max_length=128, description="Counter or rate of output")] = None,
    timezone: Annotated[str, Query(max_length=60, description="In which the factors' days begin")] = "UTC",
) -> Footprint:
    """Energy × the factor of the day, cut where factors change. Gaps in a rate count for nothing and are listed."""
    if time_to <= time_from:
        raise ParameterError("the end lies before the beginning", parameter="to")
    found = await equipment_ref(session.db, await equipment_id(session.db, equipment))
    return await energy.of_machine(
        session.db,
        found.id,
        found.key,
        plain(carrier),
        plain(energy_point),
        plain(output_point),
        (from_datetime(time_from), from_datetime(time_to)),
        timezone,
    )


@router.get(
    "/service-indicators",
    summary="How is the service business?",
    responses={200: examples(indicators=INDICATORS)},
)
async def service_indicators(
    session: Reading,
    time_from: Annotated[Moment, Query(alias="from")],
    time_to: Annotated[Moment, Query(alias="to")],
) -> ServiceIndicators:
    """What is under contract, what it brought (statements of periods that ended in this time), how fast incidents were
    answered. As the provider."""
    if time_to <= time_from:
        raise ParameterError("the end lies before the beginning", parameter="to")
    return await service.indicators(session.db, time_from, time_to)
