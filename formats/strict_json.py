"""JSON that forgives nothing silently: duplicate keys are seen, NaN and huge numbers spoil only themselves.

The fast parser keeps the last of two equal keys without a word. Every member of an object has exactly one colon outside
of strings, so comparing the colons in the text with those the parsed value accounts for tells whether a key was
dropped; only then is the slow parser asked.
"""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

NESTING: Final = 64
"""Deeper than any telemetry; keeps recursion of ours far from the interpreter's limit."""


class Members(dict[str, Any]):
    """A JSON object that also knows the members whose key had come before (the first one counts)."""

    __slots__ = ("repeated",)

    repeated: list[tuple[str, Any]]


def fast(payload: bytes) -> Any:
    """The value, or :class:`ValueError`. Duplicate keys go unnoticed: see :func:`colons`."""
    return orjson.loads(payload)


def slow(payload: bytes) -> Any:
    """The value with every object a :class:`Members`; NaN, Infinity and numbers too big come as non-finite floats.

    Raises :class:`ValueError` with a sentence for what is not JSON.
    """
    try:
        value = _DECODER.decode(payload.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None
    if too_deep(value, NESTING):
        raise ValueError(f"nested more than {NESTING} levels")
    return value


def too_deep(value: Any, levels: int) -> bool:
    """Whether lists and objects stand in one another more than ``levels`` times; iterative, so safe for any depth."""
    layer = [value]
    for _ in range(levels + 1):
        following: list[Any] = []
        for item in layer:
            if isinstance(item, dict):
                following.extend(item.values())
            elif isinstance(item, list):
                following.extend(item)
        if not following:
            return False
        layer = following
    return any(isinstance(item, (dict, list)) for item in layer)


def _members(pairs: list[tuple[str, Any]]) -> Members:
    members = Members()
    members.repeated = []
    for key, value in pairs:
        if key in members:
            members.repeated.append((key, value))
        else:
            members[key] = value
    return members


def _integer(digits: str) -> int | float:
    # Python refuses to convert thousands of digits, and no reading needs more than a double holds
    return int(digits) if len(digits) <= 40 else float(digits)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_int=_integer)
