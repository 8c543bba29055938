"""Commands down and receipts up, as JSON on ``servitize/v1/{tenant}/{equipment}/commands/{id}[/receipt]``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.command import RECEIPTS, CommandEvent
from core.errors import InvalidInputError

_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """What a device is told. ``expires`` µs UTC: from then on it must not begin. ``interlocks`` as its type has."""

    id: int
    command: str
    command_class: str
    parameters: Mapping[str, float]
    expires: int
    interlocks: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a device says of an order. ``word``: received, started, done, failed, refused."""

    id: int
    word: str
    note: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def event(self) -> CommandEvent:
        return RECEIPTS[self.word]


def order_topic(tenant: str, equipment: str, number: int) -> str:
    return f"servitize/v1/{tenant}/{equipment}/commands/{number}"


def write_order(order: Order) -> bytes:
    return json.dumps(
        {
            "id": order.id,
            "command": order.command,
            "class": order.command_class,
            "parameters": dict(order.parameters),
            "expires": order.expires // 1000,
            "interlocks": [dict(i) for i in order.interlocks],
        },
        separators=(",", ":"),
    ).encode()


def read_order(payload: bytes) -> Order:
    """Raises :class:`~core.errors.InvalidInputError`."""
    found = _object(payload)
    try:
        return Order(
            int(found["id"]),
            str(found["command"]),
            str(found["class"]),
            {str(k): float(v) for k, v in found["parameters"].items()},
            int(found["expires"]) * 1000,
            tuple(found.get("interlocks", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(f"no order: {error}") from None


def write_receipt(receipt: Receipt) -> bytes:
    said = {"status": receipt.word, "note": receipt.note, "detail": dict(receipt.detail)}
    return json.dumps(said, separators=(",", ":")).encode()


def read_receipt(topic: str, payload: bytes) -> tuple[str, str, Receipt]:
    """(tenant, equipment, receipt); the number is the topic's. Raises :class:`~core.errors.InvalidInputError`."""
    levels = topic.split("/")
    if len(levels) != 7 or levels[:2] != ["servitize", "v1"] or levels[4] != "commands" or levels[6] != "receipt":
        raise InvalidInputError(f"{topic[:120]!r} is no topic of a receipt")
    if not levels[5].isascii() or not levels[5].isdigit() or len(levels[5]) > 18:
        raise InvalidInputError(f"{levels[5][:40]!r} is no number of a command")
    found = _object(payload)
    word = found.get("status")
    if not isinstance(word, str) or word not in RECEIPTS:
        raise InvalidInputError(f"{word!r} is no word of a receipt", hint=f"one of {', '.join(RECEIPTS)}")
    detail = found.get("detail", {})
    note = found.get("note", "")
    if not isinstance(detail, dict) or not isinstance(note, str):
        raise InvalidInputError("'detail' is an object, 'note' a text")
    return levels[2], levels[3], Receipt(int(levels[5]), word, note[:500].replace("\0", ""), detail)


def read_reported(payload: bytes) -> tuple[dict[str, Any], dict[str, int]]:
    """Values and versions of ``twin/reported``: ``{"properties": {…}, "versions": {…}}``."""
    found = _object(payload)
    values, versions = found.get("properties"), found.get("versions", {})
    if not isinstance(values, dict) or not isinstance(versions, dict) or len(values) > 200:
        raise InvalidInputError("'properties' and 'versions' are objects, of at most 200 properties")
    return values, {str(k): int(v) for k, v in versions.items() if isinstance(v, int) and not isinstance(v, bool)}


def _object(payload: bytes) -> dict[str, Any]:
    if len(payload) > _LONGEST:
        raise InvalidInputError(f"more than {_LONGEST} bytes")
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        raise InvalidInputError("no JSON") from None
    if not isinstance(found, dict):
        raise InvalidInputError("a JSON object is wanted here")
    return found
