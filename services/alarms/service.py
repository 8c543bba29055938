"""Alarms: read them, and hand operators' commands to the one place that reduces them (the database)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core.alarm import TRANSITIONS, AlarmEvent, AlarmState
from services.alarms.model import MAX_SHELF_MINUTES, Alarm, JournalEntry, Outcome, Shelf, Shelve
from services.api.auth import Principal
from services.api.database import Row, Transaction, visible
from services.api.errors import ParameterError
from services.telemetry.model import EquipmentRef
from services.telemetry.service import finite

COMMANDS: Final = (
    AlarmEvent.ACKNOWLEDGE,
    AlarmEvent.SHELVE,
    AlarmEvent.UNSHELVE,
    AlarmEvent.RESET,
    AlarmEvent.REMOVE_FROM_SERVICE,
    AlarmEvent.RETURN_TO_SERVICE,
)
"""What people may do to an alarm; everything else is what a processor or a timer says."""


def allowed(state: AlarmState, active: bool, latching: bool) -> list[AlarmEvent]:
    """Commands that the transition table has for an alarm as it is, in the order of :data:`COMMANDS`."""
    possible = {
        rule.event
        for rule in TRANSITIONS
        if rule.state == state and rule.active in (None, active) and rule.latching in (None, latching)
    }
    return [command for command in COMMANDS if command in possible]


def alarm_of(row: Row) -> Alarm:
    shelf = None
    if row["shelved_until"] is not None:
        shelf = Shelf(until=row["shelved_until"], by=row["shelved_by"] or "", reason=row["shelved_reason"] or "")
    return Alarm.model_validate(
        {
            **row,
            "equipment": EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"]),
            "value": finite(row["value"]),
            "limit": finite(row["limit"]),
            "shelf": shelf,
            "allowed": allowed(AlarmState(row["state"]), row["active"], row["latching"]),
        }
    )


_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(
    ("id", "state", "standing", "priority", "concern", "equipment", "first_out", "after_at", "after_id")
)


async def page(db: Transaction, count: int, **filters: Any) -> list[Row]:
    """Rows of alarms, newest change first.

    ``filters``: parameters of the statement ``alarms``; those left out do not filter.
    """
    return await db.rows("alarms", **{**_NO_FILTER, **filters, "count": count})


async def show(db: Transaction, alarm_id: int) -> Alarm:
    return alarm_of(visible(await page(db, 1, id=alarm_id), "alarm"))


async def journal(db: Transaction, count: int, alarm: int, after: int | None) -> list[Row]:
    """Entries of one alarm, newest first. Raises NotFoundError for an alarm that is not visible."""
    await show(db, alarm)
    return await db.rows("alarm_journal", alarm=alarm, after=after, count=count)


def entry_of(row: Row) -> JournalEntry:
    return JournalEntry.model_validate({**row, "value": finite(row["value"]), "limit": finite(row["limit"])})


def shelf_end(order: Shelve, now: datetime) -> datetime:
    """When the shelf ends: in the future and within a year, since a longer one is forgotten, not shelved."""
    until = order.until if order.until is not None else now + timedelta(minutes=order.minutes or 0)
    if until <= now:
        raise ParameterError("the end of the shelf lies in the past", pointer="/until")
    if until > now + timedelta(minutes=MAX_SHELF_MINUTES):
        raise ParameterError("an alarm is shelved for a year at most", pointer="/until")
    return until


async def version(db: Transaction, alarm_id: int, *, hold: bool = False) -> str:
    """What of an alarm changes with each step: its last journal entry. ``hold`` keeps the alarm at it until the
    transaction ends."""
    if hold:
        return f"alarm/{alarm_id}/{await db.value('hold_alarm', alarm=alarm_id)}"
    return f"alarm/{alarm_id}/{await db.value('last_journal_entry', alarm=alarm_id)}"


async def command(
    db: Transaction, who: Principal, alarm_id: int, event: AlarmEvent, why: str, until: datetime | None = None
) -> Outcome:
    """One step of an alarm by an operator.

    Raises (through the database) not-found, forbidden where the tenant's right to the equipment is only to read,
    conflict where the alarm's state does not allow it.
    """
    step = await db.row(
        "operate_alarm", alarm=alarm_id, command=event.value, who=who.actor, why=why.strip(), until=until
    )
    assert step is not None
    return Outcome.model_validate({**step, "alarm": await show(db, alarm_id)})


def now() -> datetime:
    return datetime.now(UTC)
