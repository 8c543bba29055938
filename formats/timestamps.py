"""Times as devices write them, to int64 microseconds UTC; anything doubtful is refused, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from core.time import MILLISECOND, SECOND, from_datetime
from formats.decoded import shown

LATEST: Final = 253_402_300_799_999_999
"""End of the year 9999 in µs: the last moment that Python and PostgreSQL both can write down."""


def parse(value: Any) -> int:
    """µs of ISO 8601 text with an offset or ``Z``, or of epoch milliseconds. :class:`ValueError` says what is wrong.

    >>> parse("1970-01-01T01:00:00+01:00"), parse(1_500)
    (0, 1500000)
    """
    if isinstance(value, str):
        return _checked(_iso(value, None), value)
    return epoch(value, MILLISECOND)


def epoch(value: Any, unit: int) -> int:
    """µs of a number counted in ``unit`` µs since 1970; whole numbers stay exact."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{shown(value)} is no time: ISO 8601 text with a zone, or milliseconds since 1970")
    if not 0 <= value <= LATEST // unit:  # also False for NaN
        raise ValueError(f"{shown(value)} lies outside 1970 to 9999")
    return value * unit if isinstance(value, int) else round(value * unit)


def parser(pattern: str, zone: tzinfo | None) -> Callable[[Any], int]:
    """A parser for a mapping profile.

    ``pattern``: ``iso``, ``epoch_s``, ``epoch_ms``, ``epoch_us``, or a ``strptime`` format. ``zone`` stands in where
    the text names none; without it such a time is refused. In the hour that a clock change repeats the earlier reading
    is taken.
    """
    units = {"epoch_s": SECOND, "epoch_ms": MILLISECOND, "epoch_us": 1}
    if pattern in units:
        unit = units[pattern]
        return lambda value: epoch(_number(value), unit)
    if pattern == "iso":
        return lambda value: _checked(_iso(_text(value), zone), value)

    def by_format(value: Any) -> int:
        text = _text(value)
        try:
            moment = datetime.strptime(text, pattern)  # noqa: DTZ007 (the zone follows)
        except ValueError:
            raise ValueError(f"{shown(value)} is not written as {pattern!r}") from None
        return _checked(_zoned(moment, zone, value), value)

    return by_format


def _iso(text: str, zone: tzinfo | None) -> datetime:
    if len(text) < 10:
        raise ValueError(f"{shown(text)} is not ISO 8601")
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{shown(text)} is not ISO 8601") from None
    return _zoned(moment, zone, text)


def _zoned(moment: datetime, zone: tzinfo | None, value: Any) -> datetime:
    if moment.tzinfo is not None:
        return moment
    if zone is None:
        raise ValueError(f"{shown(value)} names no time zone: add Z or an offset")
    return moment.replace(tzinfo=zone)


def _checked(moment: datetime, value: Any) -> int:
    try:
        ts = from_datetime(moment.astimezone(UTC))
    except OverflowError:
        ts = -1
    if not 0 <= ts <= LATEST:
        raise ValueError(f"{shown(value)} lies outside 1970 to 9999")
    return ts


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is no text with a time")
    return value


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{shown(value)} is no count of seconds") from None
