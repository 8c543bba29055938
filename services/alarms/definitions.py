"""Definitions of alarms: what would have been with another one, and which alarms want another one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.alarm import AlarmEvent, AlarmState, reduce

_CHATTER: Final = 3
"""So many repetitions within a minute of going are chattering (ISA-18.2: three a minute)."""
_STALE_SECONDS: Final = 24 * 3600.0
_SHARE: Final = 0.05
"""One alarm with this share of all announcements is a bad actor, however well it behaves."""


@dataclass
class Tried:
    """What a definition would have made of a history: how often people are told, by priority, and what is left for
    hands."""

    announced: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    resets: int = 0


def try_on(history: Iterable[Mapping[str, Any]], latching: bool, priority: str | None) -> Tried:
    """Replay what a condition did (rows ``change``, ``announce``, ``priority``, in event order).

    Somebody acknowledges at once and resets as soon as it may be reset: what is counted is the least that the
    definition asks of people.
    """
    tried = Tried()
    state, active = AlarmState.NORMAL, False

    def step(event: AlarmEvent) -> bool:
        nonlocal state, active
        state, active, announce = reduce(state, active, event, latching=latching)
        return announce

    for row in history:
        if step(AlarmEvent(row["change"])) and row["announce"]:
            urgency = priority or row["priority"]
            tried.announced[urgency] = tried.announced.get(urgency, 0) + 1
        if state in (
            AlarmState.UNACKNOWLEDGED,
            AlarmState.RETURNED_UNACKNOWLEDGED,
            AlarmState.LATCHED_UNACKNOWLEDGED,
        ):
            step(AlarmEvent.ACKNOWLEDGE)
            tried.acknowledged += 1
        if state is AlarmState.LATCHED_ACKNOWLEDGED:
            step(AlarmEvent.RESET)
            tried.resets += 1
    return tried


def proposals(row: Mapping[str, Any]) -> list[str]:
    """What to do about an alarm with these figures, in sentences; none where it behaves.

    After ISA-18.2 and EEMUA 191: chattering and fleeting alarms want a delay or a wider deadband, standing ones a
    look at whether they say anything, frequent ones the cause mended.
    """
    found = []
    if row["chattering"] >= _CHATTER:
        found.append(
            f"It spoke again within a minute {row['chattering']} times: give the limit a deadband, or a delay before "
            "it clears."
        )
    if row["fleeting"] >= _CHATTER:
        found.append(f"It was gone within 10 s {row['fleeting']} times: give the limit a delay before it is raised.")
    if row["active"] and (row["standing_seconds"] or 0.0) > _STALE_SECONDS:
        days = row["standing_seconds"] / 86_400
        found.append(
            f"It has stood for {days:.1f} days: mend the cause, or shelve it with a reason while it is mended."
        )
    if row["announced"] >= 5 and row["announced"] >= _SHARE * row["all_announced"]:
        share = 100 * row["announced"] / row["all_announced"]
        found.append(
            f"It alone makes {share:.0f} % of all announcements: mend the cause first, then look at the limit."
        )
    return found
