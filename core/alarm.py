"""ISA-18.2 / IEC 62682: the life of an alarm as one transition table. The database reduces alarms by exactly these
rows.

States of an alarm are what an operator sees. Beside the state an alarm row keeps ``active`` (does the condition hold
now?): shelved, suppressed and out-of-service alarms follow their condition silently and need it when they come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.errors import ConflictError


class AlarmState(StrEnum):
    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed_by_design"
    OUT_OF_SERVICE = "out_of_service"


class AlarmEvent(StrEnum):
    RAISED = "raised"
    CLEARED = "cleared"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SHELF_EXPIRED = "shelf_expired"
    REMOVE_FROM_SERVICE = "remove_from_service"
    RETURN_TO_SERVICE = "return_to_service"


@dataclass(frozen=True, slots=True)
class Rule:
    """From ``state`` by ``event``: to ``next_state``. ``active`` and ``latching`` are guards (None: either).

    ``active`` is the condition *after* the event. ``announce`` tells people.
    """

    state: AlarmState
    event: AlarmEvent
    next_state: AlarmState
    active: bool | None = None
    latching: bool | None = None
    announce: bool = False


def _table() -> tuple[Rule, ...]:
    s, e = AlarmState, AlarmEvent
    rules = [
        # the ring of a plain alarm
        Rule(s.NORMAL, e.RAISED, s.UNACKNOWLEDGED, announce=True),
        Rule(s.UNACKNOWLEDGED, e.ACKNOWLEDGE, s.ACKNOWLEDGED),
        Rule(s.UNACKNOWLEDGED, e.CLEARED, s.RETURNED_UNACKNOWLEDGED, latching=False),
        Rule(s.ACKNOWLEDGED, e.CLEARED, s.NORMAL, latching=False),
        Rule(s.RETURNED_UNACKNOWLEDGED, e.ACKNOWLEDGE, s.NORMAL),
        Rule(s.RETURNED_UNACKNOWLEDGED, e.RAISED, s.UNACKNOWLEDGED, announce=True),
        # latching: stays until acknowledged and reset by hand
        Rule(s.UNACKNOWLEDGED, e.CLEARED, s.LATCHED_UNACKNOWLEDGED, latching=True),
        Rule(s.ACKNOWLEDGED, e.CLEARED, s.LATCHED_ACKNOWLEDGED, latching=True),
        Rule(s.LATCHED_UNACKNOWLEDGED, e.ACKNOWLEDGE, s.LATCHED_ACKNOWLEDGED),
        Rule(s.LATCHED_UNACKNOWLEDGED, e.RAISED, s.UNACKNOWLEDGED, announce=True),
        Rule(s.LATCHED_ACKNOWLEDGED, e.RESET, s.NORMAL),
        Rule(s.LATCHED_ACKNOWLEDGED, e.RAISED, s.UNACKNOWLEDGED, announce=True),
        # suppressed by design: the condition may still be announced once it means something again
        Rule(s.SUPPRESSED, e.RAISED, s.SUPPRESSED),
        Rule(s.SUPPRESSED, e.SUPPRESSED, s.SUPPRESSED),
        Rule(s.SUPPRESSED, e.CLEARED, s.NORMAL),
        Rule(s.SUPPRESSED, e.UNSUPPRESSED, s.UNACKNOWLEDGED, announce=True),
        # un-shelving by hand: who did it knows of it; by time-out: nobody looks, so it speaks again
        Rule(s.SHELVED, e.UNSHELVE, s.ACKNOWLEDGED, active=True),
        Rule(s.SHELVED, e.UNSHELVE, s.NORMAL, active=False),
        Rule(s.SHELVED, e.SHELF_EXPIRED, s.UNACKNOWLEDGED, active=True, announce=True),
        Rule(s.SHELVED, e.SHELF_EXPIRED, s.NORMAL, active=False),
        Rule(s.SHELVED, e.SHELVE, s.SHELVED),
        Rule(s.OUT_OF_SERVICE, e.RETURN_TO_SERVICE, s.UNACKNOWLEDGED, active=True, announce=True),
        Rule(s.OUT_OF_SERVICE, e.RETURN_TO_SERVICE, s.NORMAL, active=False),
    ]
    annunciated = (
        s.UNACKNOWLEDGED,
        s.ACKNOWLEDGED,
        s.RETURNED_UNACKNOWLEDGED,
        s.LATCHED_UNACKNOWLEDGED,
        s.LATCHED_ACKNOWLEDGED,
    )
    for state in annunciated:
        rules.append(Rule(state, e.SUPPRESSED, s.SUPPRESSED))
        rules.append(Rule(state, e.SHELVE, s.SHELVED))
    for state in (s.NORMAL, *annunciated, s.SHELVED, s.SUPPRESSED):
        rules.append(Rule(state, e.REMOVE_FROM_SERVICE, s.OUT_OF_SERVICE))
    for state in (s.SHELVED, s.OUT_OF_SERVICE):
        rules.extend(Rule(state, event, state) for event in (e.RAISED, e.CLEARED, e.SUPPRESSED, e.UNSUPPRESSED))
    # said again, or said of what is already so: a processor that recovers may repeat itself, nothing changes
    for state in (s.UNACKNOWLEDGED, s.ACKNOWLEDGED):
        rules.extend(Rule(state, event, state) for event in (e.RAISED, e.UNSUPPRESSED))
    for state in (s.NORMAL, s.RETURNED_UNACKNOWLEDGED, s.LATCHED_UNACKNOWLEDGED, s.LATCHED_ACKNOWLEDGED):
        rules.append(Rule(state, e.CLEARED, state))
    rules.append(Rule(s.NORMAL, e.SUPPRESSED, s.NORMAL))
    for state in (s.NORMAL, s.RETURNED_UNACKNOWLEDGED, s.LATCHED_UNACKNOWLEDGED, s.LATCHED_ACKNOWLEDGED):
        rules.append(Rule(state, e.UNSUPPRESSED, s.UNACKNOWLEDGED, announce=True))
    return tuple(rules)


TRANSITIONS: Final = _table()
"""Every allowed step. What is not here is refused (operators) or impossible (processors: all their events are
covered)."""

ACTIVE_AFTER: Final = {
    AlarmEvent.RAISED: True,
    AlarmEvent.UNSUPPRESSED: True,
    AlarmEvent.CLEARED: False,
    AlarmEvent.SUPPRESSED: False,
}
"""What these events say of the condition; all others leave ``active`` as it is."""


def reduce(
    state: AlarmState, active: bool, event: AlarmEvent, *, latching: bool = False
) -> tuple[AlarmState, bool, bool]:
    """Next state, whether the condition holds after it, whether to announce.

    Raises :class:`~core.errors.ConflictError` where the table has no such step.

    >>> reduce(AlarmState.NORMAL, False, AlarmEvent.RAISED)
    (<AlarmState.UNACKNOWLEDGED: 'unacknowledged'>, True, True)
    """
    active = ACTIVE_AFTER.get(event, active)
    for rule in TRANSITIONS:
        if (
            rule.state == state
            and rule.event == event
            and rule.active in (None, active)
            and rule.latching in (None, latching)
        ):
            return rule.next_state, active, rule.announce
    raise ConflictError(
        f"an alarm in state {state.value} does not allow {event.value}",
        hint="read the alarm again; its journal shows what happened meanwhile",
    )
