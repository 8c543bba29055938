"""Time inside the platform: ``int`` microseconds since 1970-01-01T00:00:00Z, as event time unless a name says
otherwise."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from core.errors import InvalidInputError

MICROSECOND: Final = 1
MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s|sec|min|h|d|w)\s*")
_UNIT: Final = {
    "us": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "sec": SECOND,
    "min": MINUTE,
    "h": HOUR,
    "d": DAY,
    "w": 7 * DAY,
}


class Clock(Protocol):
    """Where the edge reads the time; the core never does."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        ...


def from_datetime(moment: datetime) -> int:
    """Microseconds of an aware datetime; exact, no float in between.

    >>> from_datetime(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    if moment.tzinfo is None:
        raise InvalidInputError("a time without a zone", hint="give an offset or Z")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(ts: int) -> datetime:
    """Aware UTC datetime of microseconds; exact."""
    return _EPOCH + timedelta(microseconds=int(ts))


def isoformat(ts: int) -> str:
    """ISO 8601 in UTC with ``Z``, microseconds only when there are any.

    >>> isoformat(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    return to_datetime(ts).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> int:
    """Microseconds of ISO 8601, a date alone being its midnight; UTC where no zone is given.

    >>> parse_instant("1970-01-02") == DAY, parse_instant("1970-01-01T01:00:00+01:00")
    (True, 0)
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInputError(
            f"{text!r} is no time", hint="write for example 2026-03-01 or 2026-03-01T06:00:00Z"
        ) from None
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def parse_duration(text: str | float) -> int:
    """Microseconds of ``"90 s"``, ``"10 min"``, ``"1 h 30 min"``, ``"7 d"``; a bare number is seconds.

    >>> parse_duration("1 h 30 min") == 90 * MINUTE
    True
    """
    if isinstance(text, (int, float)):
        return round(text * SECOND)
    position, total = 0, 0.0
    for match in _DURATION.finditer(text):
        if match.start() != position:
            break
        total += float(match[1]) * _UNIT[match[2]]
        position = match.end()
    if position != len(text) or not position:
        raise InvalidInputError(
            f"{text!r} is no duration", hint="write for example '90 s', '10 min', '1 h 30 min', '7 d'"
        )
    return round(total)
