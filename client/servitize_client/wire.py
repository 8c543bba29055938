"""What both clients do alike: requests out of calls, answers out of responses, when to try again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from servitize_client.calls import Call
from servitize_client.decode import decode
from servitize_client.errors import refusal

T = TypeVar("T")
_AGAIN: Final = frozenset((429, 502, 503, 504))


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": "servitize-client/0.1"}


def arguments(call: Call[Any]) -> dict[str, Any]:
    """For ``request`` of the HTTP client."""
    found: dict[str, Any] = {"method": call.method, "url": call.path, "headers": {}}
    if call.params:
        found["params"] = call.params
    if call.content is not None:
        found["content"] = call.content
        found["headers"]["Content-Type"] = call.media_type
    elif call.json is not None:
        found["json"] = call.json
    if call.method != "GET":
        found["headers"]["Idempotency-Key"] = str(uuid.uuid4())
    return found


def stream_arguments(after: int | None) -> dict[str, Any]:
    found = {"Accept": "text/event-stream"}
    if after is not None:
        found["Last-Event-ID"] = str(after)
    return {"headers": found, "timeout": 60.0}


def retry_after(status: int, given: Mapping[str, str]) -> float | None:
    """Seconds to wait before the same may be tried again; None where trying again helps nothing."""
    if status not in _AGAIN:
        return None
    try:
        return max(0.0, float(given.get("retry-after", "0")))
    except ValueError:
        return 0.0


def answer(status: int, content: bytes) -> Any:
    """The JSON of an answer; raises :class:`~servitize_client.errors.ApiError` for a refusal."""
    try:
        document = json.loads(content) if content else None
    except ValueError:
        document = None
    if status >= 400:
        raise refusal(status, document)
    return document


def decoded(call: Call[T], document: Any) -> T:
    return decode(call.kind, document)


def page(call: Call[T], cursor: str | None) -> Call[T]:
    return call if cursor is None else replace(call, params={**(call.params or {}), "cursor": cursor})


def items(call: Call[T], document: Any) -> Iterator[T]:
    for item in document["items"]:
        yield decode(call.kind, item)
