"""The life of one delivery intent as a transition table. The database reduces deliveries by exactly these rows.

An intent is one event for one subscription (and one stage of escalation). However often sending is tried, it stays one
intent with one message id; only who asks for a replay makes another message of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.errors import ConflictError


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


class DeliveryEvent(StrEnum):
    TAKE = "take"
    SUCCEED = "succeed"
    FAIL = "fail"
    LOSE = "lose"
    GIVE_UP = "give_up"
    CANCEL = "cancel"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Rule:
    """From ``state`` by ``event`` to ``next_state``."""

    state: DeliveryState
    event: DeliveryEvent
    next_state: DeliveryState


_S, _E = DeliveryState, DeliveryEvent
TRANSITIONS: Final = (
    Rule(_S.PENDING, _E.TAKE, _S.SENDING),
    Rule(_S.PENDING, _E.CANCEL, _S.CANCELLED),
    Rule(_S.SENDING, _E.SUCCEED, _S.DELIVERED),
    Rule(_S.SENDING, _E.FAIL, _S.PENDING),
    Rule(_S.SENDING, _E.LOSE, _S.PENDING),  # whoever sent it died: nobody knows whether it arrived, so it is sent again
    Rule(_S.SENDING, _E.GIVE_UP, _S.DEAD),
    Rule(_S.DEAD, _E.REPLAY, _S.PENDING),
    Rule(_S.DELIVERED, _E.REPLAY, _S.PENDING),
    Rule(_S.CANCELLED, _E.REPLAY, _S.PENDING),
)
"""Every allowed step."""

_NEXT: Final = {(rule.state, rule.event): rule.next_state for rule in TRANSITIONS}


def reduce(state: DeliveryState, event: DeliveryEvent) -> DeliveryState:
    """Next state. Raises :class:`~core.errors.ConflictError` where the table has no such step.

    >>> reduce(DeliveryState.SENDING, DeliveryEvent.FAIL).value
    'pending'
    """
    try:
        return _NEXT[state, event]
    except KeyError:
        raise ConflictError(f"a delivery that is {state.value} does not allow {event.value}") from None
