"""Times at the border: ISO 8601 with a zone, or epoch milliseconds, come in; ISO 8601 in UTC with ``Z`` goes out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS: Final = re.compile(r"-?\d{1,15}", re.ASCII)
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|z|[+-]\d\d(:?\d\d)?)", re.ASCII)
_BLANK_ZONE: Final = re.compile(r"(?<=\d) (\d\d:?\d\d)$")
"""A ``+`` that nobody escaped reads as a blank in a query string: what was meant is unmistakable."""
# What PostgreSQL and Python both hold without surprises; nobody's machine reports from outside.
_FIRST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def parse(value: Any) -> datetime:
    """An aware UTC datetime from ISO 8601 with a zone or epoch milliseconds (number or digits).

    >>> parse(1_500).isoformat()
    '1970-01-01T00:00:01.500000+00:00'
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, bool):
        raise ValueError("a time is ISO 8601 with a zone, or epoch milliseconds")
    elif isinstance(value, int) or (isinstance(value, str) and _MILLISECONDS.fullmatch(value)):
        try:
            moment = _EPOCH + timedelta(milliseconds=int(value))
        except OverflowError:
            raise ValueError("a time lies between 1900 and 2200") from None
    elif isinstance(value, str) and _ISO.fullmatch(text := _BLANK_ZONE.sub(r"+\1", value)):
        try:
            moment = datetime.fromisoformat(text.replace(",", ".").upper())
        except ValueError:
            raise ValueError(f"{value!r} is no moment of any calendar") from None
    else:
        raise ValueError("a time is ISO 8601 with a zone (2026-11-22T10:00:00Z), or epoch milliseconds")
    if not _FIRST <= moment <= _LAST:
        raise ValueError("a time lies between 1900 and 2200")
    return moment.astimezone(UTC)


def render(moment: datetime) -> str:
    """ISO 8601, UTC, ``Z``; microseconds only when there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_EXAMPLE: Final = "2026-11-22T10:00:00Z"

Moment = Annotated[
    datetime,
    BeforeValidator(parse),
    PlainSerializer(render, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": [_EXAMPLE]}, mode="serialization"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "integer", "minimum": -2208988800000, "maximum": 7258118400000},
            ],
            "description": "ISO 8601 with a zone, or epoch milliseconds",
            "examples": [_EXAMPLE],
        },
        mode="validation",
    ),
]
"""A point in time in requests and answers."""
