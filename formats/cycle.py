"""Cycles over MQTT: ``{"kind", "component", "ts", "end" | "duration", "values": {name: number}, "seq"}``, or a list of
these.

``ts`` is the start (ISO 8601 with a zone, or epoch milliseconds), ``end`` a time, ``duration`` seconds; without either
the cycle ends when it starts. A value that is no number is refused by itself, the others stay.
"""

from __future__ import annotations

import re
from typing import Any, Final

from core.time import SECOND
from formats import timestamps
from formats.decoded import (
    ABSENT,
    DEFAULT_LIMITS,
    CycleMessage,
    Decoded,
    DecodeLimits,
    Refusal,
    part,
    printable,
    shown,
)
from formats.native import number_of, opened

_KIND: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_LONGEST: Final = 366 * 86_400.0


def decode_cycles(
    payload: bytes, *, received_at: int, retained: bool = False, limits: DecodeLimits = DEFAULT_LIMITS
) -> Decoded:
    """The cycles of one message; never raises for what a device may send.

    Without a start a cycle is one of a moment, ``received_at``; a *retained* one without is ignored and counted.
    """
    if len(payload) > limits.max_bytes:
        return Decoded.refused("too-large", f"{len(payload)} bytes; at most {limits.max_bytes} are taken")
    items, decoded = opened(payload)
    count = sum(len(values) if isinstance(values := _member(item, "values"), dict) else 1 for item, _ in items)
    if count > limits.max_values:
        return Decoded.refused("too-many-points", f"{count} values in one message; at most {limits.max_values}", count)
    for item, whole in items:
        if _member(item, "ts") is ABSENT and retained:
            decoded.ignored += 1
            continue
        _one(item, whole, received_at, decoded)
    return decoded


def _member(item: Any, key: str) -> Any:
    return item.get(key, ABSENT) if isinstance(item, dict) else ABSENT


def _one(item: Any, whole: bytes | None, received_at: int, decoded: Decoded) -> None:
    def refuse(reason: str, detail: str) -> None:
        decoded.refusals.append(Refusal(reason, detail, whole))

    if not isinstance(item, dict):
        return refuse("no-kind", f"{shown(item)} is no cycle: an object with kind, component, ts and values")
    kind, component, values = item.get("kind"), item.get("component"), item.get("values")
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        return refuse("no-kind", f"{shown(kind)} is no kind of cycle: 1 to 64 letters, digits, _ -")
    if not isinstance(component, str) or not 1 <= len(component) <= 120 or not printable(component):
        return refuse("unknown-component", f"{shown(component)} is no component: its key, e.g. car1.door3")
    if not isinstance(values, dict):
        return refuse("no-values", "no object `values` with the cycle's numbers in it")
    try:
        start, end = _times(item, received_at)
    except ValueError as error:
        return refuse("bad-timestamp", str(error))
    numbers: dict[str, float] = {}
    for name, value in values.items():
        number, _, problem = number_of(value)
        if problem is None and name and printable(name):
            numbers[name] = number
            continue
        kept = {key: item[key] for key in ("ts", "end", "duration") if key in item}
        spoilt = part({"kind": kind, "component": component, **kept, "values": {name: value}})
        decoded.refusals.append(Refusal(problem or "bad-text", f"{shown(name)} is {shown(value)}, no number", spoilt))
    if not numbers and values:
        return None
    seq = item.get("seq")
    if isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 2**63:
        decoded.sequences.append(seq)
    decoded.cycles.append(CycleMessage(kind, component, start, end, numbers))
    return None


def _times(item: dict[str, Any], received_at: int) -> tuple[int, int]:
    raw = item.get("ts", ABSENT)
    start = received_at if raw is ABSENT else timestamps.parse(raw)
    if "end" in item:
        end = timestamps.parse(item["end"])
    elif "duration" in item:
        seconds = item["duration"]
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= _LONGEST:
            raise ValueError(f"`duration` is {shown(seconds)}: seconds from 0 to {_LONGEST:g}")
        end = start + round(seconds * SECOND)
    else:
        end = start
    if not start <= end <= start + _LONGEST * SECOND:
        raise ValueError("a cycle ends after it starts, within a year")
    return start, end
