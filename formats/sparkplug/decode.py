"""A Sparkplug B payload as columns: one array per field, one row per metric. Bytes in, columns or a refusal out.

Names, texts and units stay bytes until somebody needs them (births), so what is not UTF-8 harms only its own metric.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from core import quality as q
from formats.decoded import Refusal
from formats.sparkplug.datatypes import Wire
from formats.sparkplug.sparkplug_b_pb2 import Metric, Payload

HISTORICAL: Final = 1
TRANSIENT: Final = 2
NULL: Final = 4
NO_ALIAS: Final = -1
NO_TIME: Final = -1
BAD_TIME: Final = -2
NO_QUALITY: Final = 0xFF
_LATEST_MS: Final = 253_402_300_799_999
"""End of the year 9999: the last moment that everything behind us can write down."""

_WIRE: Final = {
    None: Wire.NONE,
    "int_value": Wire.INT,
    "long_value": Wire.LONG,
    "float_value": Wire.FLOAT,
    "double_value": Wire.DOUBLE,
    "boolean_value": Wire.BOOLEAN,
    "string_value": Wire.STRING,
    "bytes_value": Wire.BYTES,
    "dataset_value": Wire.DATASET,
    "template_value": Wire.TEMPLATE,
    "extension_value": Wire.EXTENSION,
}
_REAL: Final = frozenset({"float_value", "double_value"})
_WHOLE: Final = frozenset({"int_value", "long_value", "boolean_value"})
_UNIT_KEYS: Final = frozenset({b"engUnit", b"engUnits", b"EngUnit", b"Engineering Units", b"unit", b"Unit", b"units"})
"""How senders call the property with the engineering unit; the specification names none. ``engUnit`` is the usual."""


@dataclass(slots=True, eq=False)
class Columns:
    """n metrics of one message.

    ``name`` b"" where none was sent; ``alias`` -1 where none; ``ts`` µs UTC, -1 where none was sent, -2 where it is no
    time; ``datatype`` code, 0 where none; ``wire`` :class:`~formats.sparkplug.datatypes.Wire`; ``whole`` and ``real``:
    the value as integer and as float; ``flags`` of HISTORICAL, TRANSIENT, NULL; ``quality`` uint8 where a Quality
    property was sent, else NO_QUALITY, None where there is none at all; ``other``: values that are no number, by row.
    """

    name: list[bytes]
    alias: list[int]
    ts: NDArray[np.int64]
    datatype: NDArray[np.uint8]
    wire: NDArray[np.uint8]
    whole: NDArray[np.uint64]
    real: NDArray[np.float64]
    flags: NDArray[np.uint8]
    quality: NDArray[np.uint8] | None = None
    other: dict[int, bytes] = field(default_factory=dict)
    unit: dict[int, str] = field(default_factory=dict)
    named: bool = False
    """Whether any name was sent."""
    plain: bool = False
    """Floating-point values with alias and time, and nothing else: the usual data message."""

    def __len__(self) -> int:
        return len(self.alias)

    def shown(self, row: int) -> Any:
        """The value of one metric for a person, JSON-able."""
        wire = int(self.wire[row])
        if wire == Wire.NONE:
            return None
        if wire in (Wire.FLOAT, Wire.DOUBLE):
            return float(self.real[row])
        if wire == Wire.BOOLEAN:
            return bool(self.whole[row])
        if wire in (Wire.INT, Wire.LONG):
            return int(self.whole[row])
        raw = self.other.get(row, b"")
        if wire == Wire.STRING:
            return raw[:200].decode("utf-8", "backslashreplace")
        return f"{Wire(wire).name.lower()}, {len(raw)} bytes"


@dataclass(slots=True, eq=False)
class SparkplugPayload:
    """``ts`` µs UTC as in :class:`Columns`; ``seq`` None where none was sent; ``metrics`` in the order they came."""

    ts: int
    seq: int | None
    metrics: Columns


def decode_payload(
    payload: bytes, *, birth: bool = False, max_bytes: int = 1_048_576, max_metrics: int = 20_000
) -> SparkplugPayload | Refusal:
    """The payload as columns; units are read of ``birth`` payloads only. A payload that is too large, no protobuf, or
    of too many metrics is refused as a whole."""
    if len(payload) > max_bytes:
        return Refusal("too-large", f"{len(payload)} bytes; a message may have {max_bytes}")
    try:
        message = Payload.FromString(payload)
    except DecodeError:
        return Refusal("not-protobuf", "the payload cannot be read as a Sparkplug B payload")
    count = len(message.metrics)
    if count > max_metrics:
        return Refusal("too-many-values", f"{count} metrics; a message may have {max_metrics}", None, count)
    metrics = list(message.metrics)
    columns = _columns(metrics)
    if b"Quality" in payload:
        columns.quality = _qualities(metrics)
        columns.plain = False
    if birth:
        columns.unit = _units(metrics)
    ts = _time(message.timestamp) if message.HasField("timestamp") else NO_TIME
    return SparkplugPayload(ts, message.seq if message.HasField("seq") else None, columns)


def _time(milliseconds: int) -> int:
    return milliseconds * 1000 if milliseconds <= _LATEST_MS else BAD_TIME


def _columns(metrics: list[Metric]) -> Columns:
    # A pass per field: reading a field of a message costs a look-up in C, a pass without branches the least of Python.
    n = len(metrics)
    alias = [m.alias for m in metrics]
    if 0 in alias:
        alias = [a or (0 if m.HasField("alias") else NO_ALIAS) for a, m in zip(alias, metrics, strict=True)]
    ts, timed = _times(metrics)
    kinds = [m.WhichOneof("value") for m in metrics]
    whole, real = np.zeros(n, np.uint64), np.full(n, np.nan)
    other: dict[int, bytes] = {}
    distinct = set(kinds)
    floating = False
    if len(distinct) == 1:
        kind = distinct.pop()
        wire = np.full(n, _WIRE[kind], np.uint8)
        if kind == "double_value":
            real, floating = np.array([m.double_value for m in metrics], np.float64), True
        elif kind in _REAL:
            real, floating = np.array([m.float_value for m in metrics], np.float64), True
        elif kind in _WHOLE:
            whole = np.array([getattr(m, kind) for m in metrics], np.uint64)
        elif kind is not None:
            other = {row: getattr(m, kind) for row, m in enumerate(metrics)}
    else:
        wire = np.array([_WIRE[kind] for kind in kinds], np.uint8)
        for kind in distinct - {None}:
            assert kind is not None
            rows = [row for row, found in enumerate(kinds) if found == kind]
            values = [getattr(metrics[row], kind) for row in rows]
            if kind in _REAL:
                real[rows] = values
            elif kind in _WHOLE:
                whole[rows] = np.array(values, np.uint64)
            else:
                other.update(zip(rows, values, strict=True))
    flags = np.zeros(n, np.uint8)
    marked = False
    for weight, said in (
        (HISTORICAL, [m.is_historical for m in metrics]),
        (TRANSIENT, [m.is_transient for m in metrics]),
        (NULL, [m.is_null for m in metrics]),
    ):
        if True in said:
            flags += np.array(said, np.uint8) * np.uint8(weight)
            marked = True
    types = [m.datatype for m in metrics]
    typed = any(types)
    datatype = np.array([min(t, 255) for t in types], np.uint8) if typed else np.zeros(n, np.uint8)
    names = [m.name for m in metrics]
    named = any(names)
    plain = floating and timed and not (marked or typed or named)
    return Columns(names, alias, ts, datatype, wire, whole, real, flags, None, other, {}, named, plain)


def _times(metrics: list[Metric]) -> tuple[NDArray[np.int64], bool]:
    """µs of each, and whether all of them are times."""
    times = [m.timestamp for m in metrics]
    if not times or (min(times) > 0 and max(times) <= _LATEST_MS):
        return np.array(times, np.int64) * 1000, True
    ts = np.array([t if t <= _LATEST_MS else 0 for t in times], np.int64) * 1000
    for row, t in enumerate(times):
        if t > _LATEST_MS:
            ts[row] = BAD_TIME
        elif t == 0 and not metrics[row].HasField("timestamp"):
            ts[row] = NO_TIME
    return ts, False


def _qualities(metrics: list[Metric]) -> NDArray[np.uint8]:
    """Codes of the specification: 192 good, 0 bad, 500 stale; whatever else is no reason to trust the value."""
    found = np.full(len(metrics), NO_QUALITY, np.uint8)
    for row, metric in enumerate(metrics):
        if metric.HasField("properties"):
            properties = metric.properties
            for key, value in zip(properties.keys, properties.values, strict=False):
                if key == b"Quality":
                    code = value.int_value or value.long_value
                    found[row] = (
                        q.GOOD if code == 192 else q.BAD | q.DEVICE if code in (0, 500) else q.UNCERTAIN | q.DEVICE
                    )
    return found


def _units(metrics: list[Metric]) -> dict[int, str]:
    found: dict[int, str] = {}
    for row, metric in enumerate(metrics):
        if metric.HasField("properties"):
            properties = metric.properties
            for key, value in zip(properties.keys, properties.values, strict=False):
                if key in _UNIT_KEYS and 0 < len(value.string_value) <= 40:
                    found[row] = value.string_value.decode("utf-8", "replace")
    return found
