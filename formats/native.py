"""The platform's own JSON over MQTT: telemetry in three forms, and events.

``{"ts": …, "values": {name: …}}``, a list of these, or columns ``{"ts": […], "values": {name: […]}}``. ``ts`` is ISO
8601 with a zone or epoch milliseconds; a value is a number, a boolean (0/1), ``{"v": …, "q": …}``, or a text (an
event). ``seq`` counts the messages of the device.

Almost every message is one frame of plain numbers, so that goes a short columnar way. Whatever is unusual in any
respect takes the other way, value by value, where each bad one is refused by itself.
"""

from __future__ import annotations

import re
from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core import quality as q
from formats import strict_json, timestamps
from formats.decoded import (
    ABSENT,
    DEFAULT_LIMITS,
    Block,
    Decoded,
    DecodeLimits,
    Event,
    Refusal,
    RefusedValues,
    Text,
    harmless,
    part,
    shown,
)

RECEIPT: Final = q.UNCERTAIN | q.RECEIPT_TIME
_FRAME_KEYS: Final = frozenset(("ts", "values", "seq"))
_KIND: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_MAX_EVENT_BYTES: Final = 65_536


def decode_telemetry(
    payload: bytes, *, received_at: int, retained: bool = False, limits: DecodeLimits = DEFAULT_LIMITS
) -> Decoded:
    """Readings, texts and refusals of one telemetry message; never raises for what a device may send.

    Without ``ts`` the readings get ``received_at`` and quality uncertain; a *retained* one without ``ts`` could be of
    any age, so it is ignored and counted.
    """
    if len(payload) > limits.max_bytes:
        return Decoded.refused("too-large", f"{len(payload)} bytes; at most {limits.max_bytes} are taken")
    try:
        message = strict_json.fast(payload)
    except ValueError:
        message = None  # NaN and huge numbers end here too, and spoil only themselves on the slow way
    else:
        decoded = _fast(message, payload, limits)
        if decoded is not None:
            return decoded
    try:
        message = strict_json.slow(payload)
    except ValueError as error:
        return Decoded.refused("not-json", str(error))
    return _slow(message, received_at, retained, limits)


# --- the short way ---------------------------------------------------------------------------------------------------


def _fast(message: Any, payload: bytes, limits: DecodeLimits) -> Decoded | None:
    """One frame, or a list or columns, of plain numbers with plain times; None for everything else."""
    if b"\\" in payload:  # an escaped colon would upset the count below
        return None
    if type(message) is dict and type(message.get("ts")) is not list:
        return _one_frame(message, payload, limits)
    frames = message if type(message) is list else [message]
    expected, total, decoded = 0, 0, Decoded()
    rows: list[list[Any]] = []
    times: list[int] = []
    names: tuple[str, ...] = ()
    for frame in frames:
        if type(frame) is not dict or not frame.keys() <= _FRAME_KEYS:
            return None
        values, ts = frame.get("values"), frame.get("ts")
        if type(values) is not dict or not values or ts is None:
            return None
        expected += len(frame) + len(values)
        if type(ts) is str:
            expected += ts.count(":")
        if "seq" in frame and not _sequence(frame["seq"], decoded):
            return None
        if type(ts) is list:
            if len(frames) != 1:
                return None
            block, colons = _fast_columns(values, ts)
            if block is None or block.value.size > limits.max_values:
                return None
            decoded.blocks.append(block)
            expected += colons
            break
        try:
            moment = timestamps.parse(ts)
        except ValueError:
            return None
        frame_names = tuple(values)
        if frame_names != names:
            if rows and not _finish(names, times, rows, decoded):
                return None
            names, rows, times = frame_names, [], []
        rows.append(list(values.values()))
        times.append(moment)
        total += len(values)
    if total > limits.max_values or (rows and not _finish(names, times, rows, decoded)):
        return None
    if payload.count(b":") != expected:
        # a colon within a name is fine, a key that came twice is not
        expected += sum(name.count(":") for frame in frames for name in frame["values"])
        if payload.count(b":") != expected:
            return None
    return decoded if decoded.blocks else None


def _one_frame(frame: dict[str, Any], payload: bytes, limits: DecodeLimits) -> Decoded | None:
    """What nearly every message is."""
    values, ts = frame.get("values"), frame.get("ts")
    if type(values) is not dict or not 0 < len(values) <= limits.max_values or not frame.keys() <= _FRAME_KEYS:
        return None
    decoded = Decoded()
    if "seq" in frame and not _sequence(frame["seq"], decoded):
        return None
    try:
        moment = timestamps.parse(ts)
        # twice as fast as numpy, which would have to find the common type first; refuses whatever is no number
        numbers = array("d", values.values())
    except (ValueError, TypeError, OverflowError):
        return None
    expected = len(frame) + len(values)
    if type(ts) is str:
        expected += ts.count(":")
    if payload.count(b":") != expected and payload.count(b":") != expected + sum(name.count(":") for name in values):
        return None
    decoded.blocks.append(Block(tuple(values), np.array([moment], np.int64), np.frombuffer(numbers).reshape(1, -1)))
    return decoded


def _finish(names: tuple[str, ...], times: list[int], rows: list[list[Any]], decoded: Decoded) -> bool:
    value = _numbers(rows)
    if value is None:
        return False
    decoded.blocks.append(Block(names, np.array(times, np.int64), value))
    return True


def _numbers(rows: list[list[Any]]) -> NDArray[np.float64] | None:
    """A matrix of plain numbers, or None where anything else is among them (numpy finds the common type)."""
    try:
        value = np.array(rows)
    except (ValueError, OverflowError):
        return None
    if value.ndim != 2 or value.dtype.kind not in "fiub":
        return None
    return value.astype(np.float64, copy=False)


def _fast_columns(values: dict[str, Any], ts: list[Any]) -> tuple[Block | None, int]:
    if not ts or any(type(column) is not list or len(column) != len(ts) for column in values.values()):
        return None, 0
    try:
        times = [timestamps.parse(moment) for moment in ts]
    except ValueError:
        return None, 0
    value = _numbers(list(values.values()))
    if value is None:
        return None, 0
    block = Block(tuple(values), np.array(times, np.int64), np.ascontiguousarray(value.T))
    return block, sum(moment.count(":") for moment in ts if type(moment) is str)


def _sequence(value: Any, decoded: Decoded) -> bool:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        decoded.sequences.append(value)
        return True
    return False


# --- value by value --------------------------------------------------------------------------------------------------


def _slow(message: Any, received_at: int, retained: bool, limits: DecodeLimits) -> Decoded:
    frames = message if isinstance(message, list) else [message]
    if not frames:
        return Decoded.refused("no-values", "an empty list")
    count = sum(_count(frame) for frame in frames)
    if count > limits.max_values:
        detail = f"{count} readings in one message; at most {limits.max_values} are taken"
        return Decoded.refused("too-many-points", detail, count)
    decoded, refused = Decoded(), RefusedValues()
    for frame in frames:
        whole = frame is message
        problem = _frame_problem(frame)
        if problem is not None:
            decoded.refusals.append(Refusal(*problem, None if whole else part(frame), max(1, _count(frame))))
            continue
        _sequence(frame.get("seq"), decoded)
        if isinstance(frame.get("ts"), list):
            _slow_columns(frame, decoded, refused)
        else:
            _slow_frame(frame, received_at, retained, decoded, refused, whole)
    decoded.refusals.extend(refused.refusals())
    return decoded


def _count(frame: Any) -> int:
    """How many readings a frame claims to carry."""
    values = frame.get("values") if isinstance(frame, dict) else None
    if not isinstance(values, dict):
        return 1
    columns = isinstance(frame.get("ts"), list)
    repeated = len(values.repeated) if isinstance(values, strict_json.Members) else 0
    return repeated + sum(len(v) if columns and isinstance(v, list) else 1 for v in values.values())


def _frame_problem(frame: Any) -> tuple[str, str] | None:
    if not isinstance(frame, dict):
        return "no-values", f"{shown(frame)} is no object with ts and values"
    repeated = frame.repeated if isinstance(frame, strict_json.Members) else []
    for key, _ in repeated:
        if key in ("ts", "values"):
            return "duplicate-key", f"{key} stands twice: which one is meant?"
    values = frame.get("values")
    if not isinstance(values, dict):
        return "no-values", "no object `values` with the readings in it"
    if not values:
        return "no-values", "`values` is empty"
    return None


def _slow_frame(
    frame: Any, received_at: int, retained: bool, decoded: Decoded, refused: RefusedValues, whole: bool
) -> None:
    raw, values = frame.get("ts", ABSENT), frame["values"]
    base = q.GOOD
    if raw is ABSENT:
        if retained:
            decoded.ignored += _count(frame)
            return
        ts, base = received_at, RECEIPT
    else:
        try:
            ts = timestamps.parse(raw)
        except ValueError as error:
            payload = None if whole else part(frame)
            decoded.refusals.append(Refusal("bad-timestamp", str(error), payload, _count(frame)))
            return
    names: list[str] = []
    numbers: list[float] = []
    qualities: list[int] = []
    for name, value in values.items():
        number, quality, problem = number_of(value)
        if problem is not None:
            if isinstance(number, str):
                decoded.texts.append(Text(name, ts, number))
            else:
                refused.add(problem, raw, name, value, _sentence(problem, name, value))
            continue
        names.append(name)
        numbers.append(number)
        qualities.append(_worse(quality, base))
    _refuse_repeated(values, raw, refused)
    if names:
        matrix = np.array([numbers], np.float64)
        decoded.blocks.append(Block(tuple(names), np.array([ts], np.int64), matrix, np.array([qualities], np.uint8)))


def _worse(quality: int, base: int) -> int:
    """The lower class of the two with the reasons of both."""
    return min(quality & q.CLASS_MASK, base & q.CLASS_MASK) | ((quality | base) & q.REASON_MASK)


def _slow_columns(frame: Any, decoded: Decoded, refused: RefusedValues) -> None:
    raw, values = frame["ts"], frame["values"]
    moments: list[int | None] = []
    for moment in raw:
        try:
            moments.append(timestamps.parse(moment))
        except ValueError:
            moments.append(None)
    columns: dict[str, list[Any]] = {}
    for name, column in values.items():
        if not isinstance(column, list) or len(column) != len(raw):
            size = f"{len(column)} values" if isinstance(column, list) else "no list"
            detail = f"{shown(name)} has {size} for {len(raw)} times"
            count = max(1, len(column)) if isinstance(column, list) else 1
            payload = part({"ts": raw, "values": {name: column}})
            decoded.refusals.append(Refusal("length-mismatch", detail, payload, count))
        else:
            columns[name] = column
    _refuse_repeated(values, raw, refused)
    for row, moment in enumerate(moments):
        if moment is None and columns:
            cells = {name: column[row] for name, column in columns.items()}
            detail = f"{shown(raw[row])} at place {row} is no time"
            payload = part({"ts": raw[row], "values": cells})
            decoded.refusals.append(Refusal("bad-timestamp", detail, payload, len(cells)))
    rows = [row for row, moment in enumerate(moments) if moment is not None]
    if not columns or not rows:
        if not raw and columns:
            decoded.refusals.append(Refusal("no-values", "`ts` is an empty list", None, max(1, _count(frame))))
        return
    shape = (len(rows), len(columns))
    number, quality, present = np.zeros(shape), np.full(shape, q.GOOD, np.uint8), np.ones(shape, np.bool_)
    for j, (name, column) in enumerate(columns.items()):
        for i, row in enumerate(rows):
            value, grade, problem = number_of(column[row])
            if problem is None:
                number[i, j], quality[i, j] = value, grade
                continue
            present[i, j] = False
            if isinstance(value, str):
                decoded.texts.append(Text(name, moments[row] or 0, value))
            else:
                refused.add(problem, raw[row], name, column[row], _sentence(problem, name, column[row]))
    times = np.array([moments[row] for row in rows], np.int64)
    decoded.blocks.append(Block(tuple(columns), times, number, quality, None if present.all() else present))


def number_of(value: Any) -> tuple[Any, int, str | None]:
    """(number, quality, None), or (None, 0, reason); of a text (text, 0, ``not-a-number``)."""
    quality = q.GOOD
    if isinstance(value, dict):
        if isinstance(value, strict_json.Members) and value.repeated:
            return None, 0, "duplicate-key"
        quality = q.parse(value.get("q"))
        value = value.get("v")
    if isinstance(value, str):
        return value, 0, "not-a-number"
    if not isinstance(value, (bool, int, float)):
        return None, 0, "not-a-number"
    try:
        number = float(value)
    except OverflowError:
        return None, 0, "not-finite"
    if number - number != 0.0:  # infinite or no number: faster than two calls, and exact
        return None, 0, "not-finite"
    return number, quality, None


def _refuse_repeated(values: Any, ts: Any, refused: RefusedValues) -> None:
    if isinstance(values, strict_json.Members):
        for name, value in values.repeated:
            refused.add("duplicate-key", ts, name, value, f"{shown(name)} stands twice; the first one was taken")


def _sentence(reason: str, name: str, value: Any) -> str:
    if reason == "not-finite":
        return f"{shown(name)} is {shown(value)}: no instrument measures that"
    if reason == "duplicate-key":
        return f"{shown(name)} gives v or q twice"
    if value is None:
        return f"{shown(name)} is null: leave out what was not measured"
    return f"{shown(name)} is {shown(value)}, not a number"


def opened(payload: bytes) -> tuple[list[tuple[Any, bytes | None]], Decoded]:
    """What a message holds, one thing or a list: each with itself as JSON if it is part of a list. And what to decode
    it into, which says why where there is nothing."""
    try:
        message = strict_json.slow(payload)
    except ValueError as error:
        return [], Decoded.refused("not-json", str(error))
    if not isinstance(message, list):
        return [(message, None)], Decoded()
    if not message:
        return [], Decoded.refused("no-values", "an empty list")
    return [(item, part(item)) for item in message], Decoded()


# --- events ----------------------------------------------------------------------------------------------------------


def decode_events(payload: bytes, *, received_at: int, retained: bool = False) -> Decoded:
    """Events: ``{"ts": …, "kind": "…", "body": {…}}`` or a list of these; else the other members are its body."""
    if len(payload) > _MAX_EVENT_BYTES:
        return Decoded.refused("too-large", f"{len(payload)} bytes; events take at most {_MAX_EVENT_BYTES}")
    items, decoded = opened(payload)
    for item, whole in items:
        if not isinstance(item, dict):
            decoded.refusals.append(Refusal("no-kind", f"{shown(item)} is no event: an object with kind and ts", whole))
            continue
        ts, kind = item.get("ts", ABSENT), item.get("kind")
        if ts is ABSENT and retained:
            decoded.ignored += 1
            continue
        if not isinstance(kind, str) or not _KIND.fullmatch(kind):
            decoded.refusals.append(
                Refusal("no-kind", f"{shown(kind)} is no kind: 1 to 64 letters, digits, _ . : -", whole)
            )
            continue
        try:
            moment = received_at if ts is ABSENT else timestamps.parse(ts)
        except ValueError as error:
            decoded.refusals.append(Refusal("bad-timestamp", str(error), whole))
            continue
        body = item.get("body", ABSENT)
        if body is ABSENT:
            body = {key: value for key, value in item.items() if key not in ("ts", "kind", "seq")}
        why = "not an object" if not isinstance(body, dict) else harmless(body)
        if why:
            decoded.refusals.append(Refusal("bad-body", f"the body is or holds {why}", whole))
            continue
        _sequence(item.get("seq"), decoded)
        decoded.events.append(Event(kind, moment, dict(body)))
    return decoded


def decode_clock(payload: bytes) -> int | None:
    """The publisher's time from ``{"ts": …}``, or None where it says none."""
    if len(payload) > 1_024:
        return None
    try:
        message = strict_json.fast(payload)
        return timestamps.parse(message["ts"])
    except (ValueError, TypeError, KeyError):
        return None
