"""Alarms for the page: listed, explained, and worked with the rights of the key that signed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from boards.web.session import CSRF_HEADER, genuine, visit
from core.alarm import AlarmEvent, AlarmState
from core.condition import Priority
from core.errors import NotFoundError
from services.alarms import service
from services.alarms.model import Alarm, Command, JournalEntry, Outcome, Shelve
from services.api.auth import Scope
from services.api.parameters import Answer
from services.api.routing import INT4, INT8

router = APIRouter()

_PAGE: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMMANDS: Final = {command.value.replace("_", "-"): command for command in service.COMMANDS}


class Alarms(Answer):
    """A page of the list. ``more``: what to give as ``before`` and ``before_id`` for the next; null on the last."""

    items: list[Alarm]
    more: tuple[int, int] | None


class Story(Answer):
    alarm: Alarm
    journal: list[JournalEntry]


@router.get("/data/alarm-list")
async def list_alarms(
    request: Request,
    standing: bool | None = None,
    state: Annotated[list[AlarmState] | None, Query()] = None,
    priority: Annotated[list[Priority] | None, Query()] = None,
    equipment: Annotated[int | None, Query(ge=1, le=INT4)] = None,
    before: Annotated[int | None, Query(ge=0, le=INT8, description="µs since 1970")] = None,
    before_id: Annotated[int | None, Query(ge=0, le=INT8)] = None,
) -> Alarms:
    """Those that stand for themselves, newest change first, with what follows from each."""
    async with visit(request) as (_, session):
        rows = await service.page(
            session.db,
            _PAGE + 1,
            standing=standing,
            state=[one.value for one in state] if state else None,
            priority=[one.value for one in priority] if priority else None,
            equipment=equipment,
            first_out=True,
            after_at=None if before is None else _EPOCH + timedelta(microseconds=before),
            after_id=before_id,
        )
    kept = rows[:_PAGE]
    more = None
    if len(rows) > _PAGE:
        more = ((kept[-1]["changed_at"] - _EPOCH) // timedelta(microseconds=1), kept[-1]["id"])
    return Alarms(items=[service.alarm_of(row) for row in kept], more=more)


@router.get("/data/alarm-list/{alarm}")
async def show_alarm(request: Request, alarm: int) -> Story:
    """One alarm with what was said and done about it."""
    async with visit(request) as (_, session):
        found = await service.show(session.db, alarm)
        rows = await service.journal(session.db, _PAGE, alarm, None)
    return Story(alarm=found, journal=[service.entry_of(row) for row in rows])


async def _command(request: Request, alarm: int, command: AlarmEvent, why: str, until: Any = None) -> Outcome:
    genuine(request, request.headers.get(CSRF_HEADER))
    async with visit(request) as (visitor, session):
        visitor.principal.require(Scope.OPERATE)
        return await service.command(session.db, visitor.principal, alarm, command, why, until)


@router.post("/do/alarms/{alarm}/shelve")
async def shelve(request: Request, alarm: int, body: Shelve) -> Outcome:
    """Silence it for a while, with a reason."""
    return await _command(request, alarm, AlarmEvent.SHELVE, body.reason, service.shelf_end(body, service.now()))


@router.post("/do/alarms/{alarm}/{command}")
async def work(request: Request, alarm: int, command: str, body: Command | None = None) -> Outcome:
    """Any other command that the alarm's state allows, with a comment if one is given."""
    known = _COMMANDS.get(command)
    if known is None or known is AlarmEvent.SHELVE:
        raise NotFoundError("there is no such command")
    return await _command(request, alarm, known, body.comment if body else "")
