"""`/v1/alarms`, and all other routes of the room."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from core.alarm import AlarmEvent, AlarmState
from core.condition import Concern, Priority
from services.alarms import definition_routes, service
from services.alarms.examples import ALARM, ENTRY, OUTCOME
from services.alarms.model import Alarm, Command, JournalEntry, Outcome, Shelve
from services.api.auth import Operating, Reading, Session
from services.api.errors import responses
from services.api.etag import MATCHED, answer_tagged, require_match
from services.api.pagination import Page
from services.api.parameters import examples
from services.api.routing import LongNumber, MaybeEquipment, Pages, maybe_equipment_id, paged

alarms = APIRouter(prefix="/alarms", tags=["alarms"])

_COMMAND: Final[dict[int | str, dict[str, Any]]] = {
    200: examples(done=OUTCOME),
    **MATCHED,
    **responses("not-found", "conflict"),
}


@alarms.get("", summary="Alarms, newest change first", responses=paged("not-found", alarms=ALARM))
async def list_alarms(
    session: Reading,
    paging: Pages,
    state: Annotated[list[AlarmState] | None, Query(description="Any of these states")] = None,
    standing: Annotated[bool | None, Query(description="True: not normal; false: normal")] = None,
    priority: Annotated[list[Priority] | None, Query(description="Any of these priorities")] = None,
    concern: Concern | None = None,
    equipment: MaybeEquipment = None,
    grouped: Annotated[
        bool | None,
        Query(description="True: only those that stand for themselves, with `consequences`; false: only consequences"),
    ] = None,
) -> Page[Alarm]:
    """Without filters: every alarm there ever was, once. A trip's flood is one alarm with `grouped=true`."""
    return await paging.listed(
        session,
        service.page,
        service.alarm_of,
        by={"after_at": "changed_at", "after_id": "id"},
        state=[s.value for s in state] if state else None,
        standing=standing,
        priority=[p.value for p in priority] if priority else None,
        concern=concern.value if concern else None,
        equipment=await maybe_equipment_id(session.db, equipment),
        first_out=grouped,
    )


@alarms.get(
    "/{alarm}",
    summary="One alarm",
    response_model=Alarm,
    responses={200: examples(alarm=ALARM), **responses("not-found")},
)
async def show_alarm(request: Request, session: Reading, alarm: LongNumber) -> Response:
    """With everything that follows from it, and the commands its state allows. The `ETag` counts its journal: a command
    with `If-Match` is done only if nothing happened since."""
    found = await service.show(session.db, alarm)
    # what follows from it changes without it
    return answer_tagged(request, found, await service.version(session.db, alarm), volatile=True)


@alarms.get(
    "/{alarm}/journal", summary="What happened to an alarm, newest first", responses=paged("not-found", journal=ENTRY)
)
async def alarm_journal(session: Reading, alarm: LongNumber, paging: Pages) -> Page[JournalEntry]:
    """Every transition: who or what, when, why. Nothing is ever changed or removed here."""
    return await paging.listed(session, service.journal, service.entry_of, alarm=alarm)


@alarms.post("/{alarm}/acknowledge", summary="Somebody has seen it", responses=_COMMAND)
async def acknowledge_alarm(
    request: Request, session: Operating, alarm: LongNumber, body: Command | None = None
) -> Outcome:
    """An active alarm stays, acknowledged; one that has returned to normal goes."""
    return await _command(request, session, alarm, AlarmEvent.ACKNOWLEDGE, _comment(body))


@alarms.post("/{alarm}/shelve", summary="Silence it for a while", responses=_COMMAND)
async def shelve_alarm(request: Request, session: Operating, alarm: LongNumber, body: Shelve) -> Outcome:
    """Until a time or for some minutes, with a reason; shelving again moves the end. When the time is over it speaks
    again if it holds."""
    until = service.shelf_end(body, service.now())
    return await _command(request, session, alarm, AlarmEvent.SHELVE, body.reason, until)


@alarms.post("/{alarm}/unshelve", summary="Take it off the shelf", responses=_COMMAND)
async def unshelve_alarm(
    request: Request, session: Operating, alarm: LongNumber, body: Command | None = None
) -> Outcome:
    """Acknowledged if the condition holds (who does this knows of it), else normal."""
    return await _command(request, session, alarm, AlarmEvent.UNSHELVE, _comment(body))


@alarms.post("/{alarm}/reset", summary="Reset a latched alarm", responses=_COMMAND)
async def reset_alarm(request: Request, session: Operating, alarm: LongNumber, body: Command | None = None) -> Outcome:
    """Only where it is latched, acknowledged, and its condition has gone."""
    return await _command(request, session, alarm, AlarmEvent.RESET, _comment(body))


@alarms.post("/{alarm}/remove-from-service", summary="Take it out of service", responses=_COMMAND)
async def remove_alarm_from_service(
    request: Request, session: Operating, alarm: LongNumber, body: Command | None = None
) -> Outcome:
    """It follows its condition silently until somebody returns it."""
    return await _command(request, session, alarm, AlarmEvent.REMOVE_FROM_SERVICE, _comment(body))


@alarms.post("/{alarm}/return-to-service", summary="Return it to service", responses=_COMMAND)
async def return_alarm_to_service(
    request: Request, session: Operating, alarm: LongNumber, body: Command | None = None
) -> Outcome:
    """It speaks at once if its condition holds."""
    return await _command(request, session, alarm, AlarmEvent.RETURN_TO_SERVICE, _comment(body))


async def _command(
    request: Request, session: Session, alarm: int, event: AlarmEvent, why: str, until: datetime | None = None
) -> Outcome:
    if "if-match" in request.headers:
        require_match(request, await service.version(session.db, alarm, hold=True))
    return await service.command(session.db, session.principal, alarm, event, why, until)


def _comment(body: Command | None) -> str:
    return body.comment if body else ""


router = APIRouter()
router.include_router(alarms)
router.include_router(definition_routes.router)
