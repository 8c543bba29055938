"""JSON to frozen dataclasses by their annotations. What a newer service says beyond them is left out."""

from __future__ import annotations

import dataclasses
import types
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def decode(kind: type[T], data: Any) -> T:
    """``data`` as ``kind``; a field that is not there takes its default, else None.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Point:
    ...     x: Decimal
    >>> decode(Point, {"x": "1.50", "new": True})
    Point(x=Decimal('1.50'))
    """
    found: T = _value(kind, data)
    return found


def _value(kind: Any, data: Any) -> Any:
    if data is None or kind is Any:
        return data
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        (inner,) = [a for a in get_args(kind) if a is not type(None)] or [Any]
        return _value(inner, data)
    if origin is list:
        (inner,) = get_args(kind)
        return [_value(inner, item) for item in data]
    if origin is dict:
        return dict(data)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        known = {}
        for field in dataclasses.fields(kind):
            if field.name in data:
                known[field.name] = _value(hints[field.name], data[field.name])
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                known[field.name] = None
        return kind(**known)
    if kind is datetime:
        return datetime.fromisoformat(data)
    if kind is Decimal:
        return Decimal(str(data))
    return data
