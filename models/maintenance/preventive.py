"""When is a preventive task due? By calendar, running hours, a counter, or a condition, whichever comes first: pure."""

from __future__ import annotations

from dataclasses import dataclass

from core.maintenance_plan import Due
from core.time import DAY, HOUR


@dataclass(frozen=True, slots=True)
class Use:
    """What a component has seen since the task was last done (or since it began). Times µs UTC.

    ``hours`` of running; ``count`` of the counter; ``value`` of the watched point now. None: nobody knows.
    """

    since: int
    now: int
    hours: float | None = None
    count: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class DueDate:
    """``due_at`` µs UTC, None where nothing tells; ``used`` share of the interval, 1 is due; ``rule`` in words."""

    due_at: int | None
    used: float
    rule: str


def due_date(due: Due, use: Use) -> DueDate:
    """The earliest of what a task's interval says. Use goes on as it has been since the task was last done.

    >>> due_date(Due(calendar=10 * DAY), Use(0, 5 * DAY))
    DueDate(due_at=864000000000, used=0.5, rule='every 10 d')
    """
    found: list[DueDate] = []
    elapsed = use.now - use.since
    if due.calendar is not None:
        found.append(DueDate(use.since + due.calendar, elapsed / due.calendar, f"every {due.calendar / DAY:g} d"))
    if due.hours is not None and use.hours is not None:
        at = _ahead(use, elapsed, use.hours, due.hours)
        found.append(DueDate(at, use.hours / due.hours, f"every {due.hours:g} h of running, {use.hours:.0f} h so far"))
    if due.count is not None and use.count is not None:
        at = _ahead(use, elapsed, use.count, due.count)
        text = f"every {due.count:g} of {due.counter}, {use.count:.0f} so far"
        found.append(DueDate(at, use.count / due.count, text))
    if due.point is not None and use.value is not None:
        for limit, past, word in (
            (due.high, due.high is not None and use.value > due.high, "above"),
            (due.low, due.low is not None and use.value < due.low, "below"),
        ):
            if past:
                found.append(DueDate(use.now, 1.0, f"{due.point} {word} {limit:g}"))
    dated = [one for one in found if one.due_at is not None]
    if dated:
        return min(dated, key=lambda one: (one.due_at or 0, -one.used))
    return max(found, key=lambda one: one.used, default=DueDate(None, 0.0, "nothing tells yet"))


def _ahead(use: Use, elapsed: int, spent: float, interval: float) -> int | None:
    if spent >= interval:
        return use.now
    if spent <= 0 or elapsed < HOUR:
        return None
    return use.now + round((interval - spent) * elapsed / spent)
