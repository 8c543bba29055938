"""A diagnosis case: opinion needs a second pair of eyes, and what an inspection finds is kept apart from it.

The table is the whole of the rules: the database holds it too (servitize.case_rule) and reduces by it under lock; a
test holds the two equal.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class CaseState(StrEnum):
    OPEN = "open"
    CONCLUDED = "concluded"
    SIGNED = "signed"
    """A second analyst agrees."""
    CLOSED = "closed"


class CaseEvent(StrEnum):
    DIAGNOSE = "diagnose"
    """The platform says what it thinks, and freezes what that rests on."""
    ALARM = "alarm"
    """Another alarm of the same component came meanwhile."""
    NOTE = "note"
    CONCLUDE = "conclude"
    SIGN = "sign"
    DISAGREE = "disagree"
    FIND = "find"
    """What somebody saw with the machine open: no opinion, and no step of one."""
    CLOSE = "close"
    REOPEN = "reopen"


class Outcome(StrEnum):
    """The label that models learn from: what was found against what was concluded."""

    CONFIRMED = "confirmed"
    ANOTHER_FAULT = "another_fault"
    NOTHING_FOUND = "nothing_found"


class Rule(NamedTuple):
    state: CaseState
    event: CaseEvent
    next_state: CaseState


_S, _E = CaseState, CaseEvent
TRANSITIONS: Final = (
    Rule(_S.OPEN, _E.CONCLUDE, _S.CONCLUDED),
    Rule(_S.CONCLUDED, _E.CONCLUDE, _S.CONCLUDED),
    Rule(_S.CONCLUDED, _E.SIGN, _S.SIGNED),
    Rule(_S.CONCLUDED, _E.DISAGREE, _S.OPEN),
    Rule(_S.OPEN, _E.CLOSE, _S.CLOSED),
    Rule(_S.SIGNED, _E.CLOSE, _S.CLOSED),
    Rule(_S.SIGNED, _E.REOPEN, _S.OPEN),
    Rule(_S.CLOSED, _E.REOPEN, _S.OPEN),
    *(Rule(state, event, state) for event in (_E.NOTE, _E.FIND) for state in _S),
    *(Rule(s, e, s) for e in (_E.DIAGNOSE, _E.ALARM) for s in (_S.OPEN, _S.CONCLUDED, _S.SIGNED)),
)


def allowed(state: CaseState) -> list[CaseEvent]:
    """What people may do to a case in ``state``, in the order of :class:`CaseEvent`."""
    events = {rule.event for rule in TRANSITIONS if rule.state is state} - {CaseEvent.DIAGNOSE, CaseEvent.ALARM}
    return [event for event in CaseEvent if event in events]
