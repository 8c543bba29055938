"""Every operation as data: what to send, and what its answer is. Both clients do these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from servitize_client import models as m

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """``kind`` of the answer; ``content`` is a body that is no JSON; ``items``: a list in pages."""

    kind: type[T]
    method: str
    path: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    content: bytes | None = None
    media_type: str = "application/json"
    items: bool = False


def plain(value: Any) -> Any:
    """A value as it goes over the line: times in ISO 8601, decimals as text, what is None left out."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs a zone")
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value


def get(kind: type[T], path: str, /, **params: Any) -> Call[T]:
    return Call(kind, "GET", path, plain(params))


def pages(kind: type[T], path: str, /, **params: Any) -> Call[T]:
    return Call(kind, "GET", path, plain(params), items=True)


def post(kind: type[T], path: str, /, **body: Any) -> Call[T]:
    return Call(kind, "POST", path, json=plain(body))


def put(kind: type[T], path: str, /, **body: Any) -> Call[T]:
    return Call(kind, "PUT", path, json=plain(body))


def ref(equipment: int | str) -> str:
    """Equipment by number or key, for a path."""
    if isinstance(equipment, int):
        return str(equipment)
    return quote(f"key:{equipment}" if equipment.isdigit() else equipment, safe="")


def work_step(work_order: int, step: str, /, **body: Any) -> Call[m.WorkStep]:
    return post(m.WorkStep, f"/v1/work-orders/{work_order}/{step}", **body)


def decision(advisory: int, step: str, /, **body: Any) -> Call[m.Decision]:
    return post(m.Decision, f"/v1/advisories/{advisory}/{step}", **body)
