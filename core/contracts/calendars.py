"""Days, service hours and billing periods in the contract's own time zone, daylight-saving days included.

A local time that a clock skips is the moment the skip ends; one that comes twice is its first occurrence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.contracts.intervals import Span, Spans, common, tidy
from core.errors import InvalidInputError
from core.time import from_datetime, to_datetime

_MONTH: Final = re.compile(r"(\d{4})-(\d{2})")


@cache
def zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInputError(f"there is no time zone {name!r}", hint="for example Europe/Berlin or UTC") from None


@cache
def moment(day: date, minute: int, timezone: str) -> int:
    """Microseconds UTC of ``minute`` after midnight of a local day (1440: the next midnight).

    >>> moment(date(2026, 3, 29), 150, "Europe/Berlin") == moment(date(2026, 3, 29), 180, "Europe/Berlin")
    True
    """
    if minute >= 1440:
        day, minute = day + timedelta(days=minute // 1440), minute % 1440
    where = zone(timezone)
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=where)
    found = local.astimezone(UTC)
    if found.astimezone(where).replace(tzinfo=None) != local.replace(tzinfo=None):
        # Skipped: fold=1 reads a moment before the skip, fold=0 one behind it.
        return _skip_end(from_datetime(local.replace(fold=1).astimezone(UTC)), from_datetime(found), where)
    return from_datetime(found)


def _skip_end(low: int, high: int, where: ZoneInfo) -> int:
    """The first microsecond in (low, high] with another offset than ``low``."""
    before = to_datetime(low).astimezone(where).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if to_datetime(middle).astimezone(where).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def local_day(at: int, timezone: str) -> date:
    """The local date of a moment."""
    return to_datetime(at).astimezone(zone(timezone)).date()


def days(first: date, end: date) -> Iterator[date]:
    """Dates from ``first`` up to but not including ``end``."""
    for n in range((end - first).days):
        yield first + timedelta(days=n)


@dataclass(frozen=True, slots=True)
class Period:
    """Local days from ``first`` up to but not including ``end``."""

    first: date
    end: date

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    def span(self, timezone: str) -> Span:
        return moment(self.first, 0, timezone), moment(self.end, 0, timezone)

    def label(self) -> str:
        """``2026-10`` for a month, else both days, the last one inclusive."""
        if self.first.day == 1 and self.end == _next_month(self.first):
            return f"{self.first:%Y-%m}"
        return f"{self.first}..{self.end - timedelta(days=1)}"


def _next_month(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def billing_period(label: str, months: int = 1) -> Period:
    """The period of ``months`` months that begins with the month ``YYYY-MM``.

    >>> billing_period("2026-10").days
    31
    """
    found = _MONTH.fullmatch(label)
    if found is None or not 1 <= int(found[2]) <= 12 or not 1900 <= int(found[1]) < 2200:
        raise InvalidInputError(f"{label!r} is no month", hint="write the first month of the period as YYYY-MM")
    first = date(int(found[1]), int(found[2]), 1)
    end = first
    for _ in range(months):
        end = _next_month(end)
    return Period(first, end)


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes after midnight [from, to) on these weekdays (0 Monday … 6 Sunday)."""

    weekdays: tuple[int, ...]
    from_minute: int
    to_minute: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a clock counts: weekly windows of local time, never on ``holidays``."""

    windows: tuple[Window, ...]
    holidays: frozenset[date] = frozenset()

    def spans(self, span: Span, timezone: str) -> Spans:
        """The counting time inside [from, to)."""
        low, high = span
        found: list[Span] = []
        # A window may begin on the local day before the first moment and end behind it.
        for day in days(local_day(low, timezone) - timedelta(days=1), local_day(high, timezone) + timedelta(days=1)):
            if day in self.holidays:
                continue
            for window in self.windows:
                if day.weekday() in window.weekdays:
                    found.append((moment(day, window.from_minute, timezone), moment(day, window.to_minute, timezone)))
        return common(tidy(found), ((low, high),))


ALWAYS: Final = Calendar((Window((0, 1, 2, 3, 4, 5, 6), 0, 1440),))
"""Round the clock."""
