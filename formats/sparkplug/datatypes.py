"""Sparkplug's data types: which become numbers, which text, which are refused, and how numbers stand on the wire.

Values of a message are converted as columns, one pass per data type that occurs in it (usually one to three).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray


class DataType(IntEnum):
    """Codes of the specification (3.0, 6.4.16)."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


class Wire(IntEnum):
    """Which field of the value is set, by its number; NONE where none is."""

    NONE = 0
    INT = 10
    LONG = 11
    FLOAT = 12
    DOUBLE = 13
    BOOLEAN = 14
    STRING = 15
    BYTES = 16
    DATASET = 17
    TEMPLATE = 18
    EXTENSION = 19


class Verdict(IntEnum):
    """What became of a value."""

    NUMBER = 0
    TEXT = 1
    NO_VALUE = 2
    WRONG_FIELD = 3
    OUT_OF_TYPE = 4
    NOT_FINITE = 5
    UNSUPPORTED = 6
    UNKNOWN_TYPE = 7


REASONS: Final = {
    Verdict.NO_VALUE: ("no-value", "has neither a value nor the flag that says so"),
    Verdict.WRONG_FIELD: ("wrong-type", "is not sent in the field of its data type"),
    Verdict.OUT_OF_TYPE: ("out-of-type", "does not fit its data type"),
    Verdict.NOT_FINITE: ("not-finite", "is no finite number"),
    Verdict.UNSUPPORTED: ("unsupported-datatype", "is of a data type that is no single value"),
    Verdict.UNKNOWN_TYPE: ("unknown-datatype", "has no data type of the specification"),
}
"""Reason of the dead letter and how its sentence goes on after the metric's name."""

# Members of an enumeration cost a look-up each time; the hot path has them as plain integers.
_NUMBER, _TEXT, _NO_VALUE, _WRONG_FIELD = (
    int(v) for v in (Verdict.NUMBER, Verdict.TEXT, Verdict.NO_VALUE, Verdict.WRONG_FIELD)
)
_OUT_OF_TYPE, _NOT_FINITE, _UNSUPPORTED, _UNKNOWN = (
    int(v) for v in (Verdict.OUT_OF_TYPE, Verdict.NOT_FINITE, Verdict.UNSUPPORTED, Verdict.UNKNOWN_TYPE)
)
_INT, _LONG, _FLOAT, _DOUBLE, _BOOLEAN, _STRING = (
    int(w) for w in (Wire.INT, Wire.LONG, Wire.FLOAT, Wire.DOUBLE, Wire.BOOLEAN, Wire.STRING)
)
_BOOLEAN_TYPE, _DATETIME_TYPE = int(DataType.BOOLEAN), int(DataType.DATETIME)

SIGNED: Final = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
UNSIGNED: Final = {DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64}
TEXTS: Final = frozenset({DataType.STRING, DataType.TEXT, DataType.UUID})
FLOATS: Final = frozenset({DataType.FLOAT, DataType.DOUBLE})
_KNOWN: Final = frozenset(DataType)
_NUMBERS: Final = frozenset((*SIGNED, *UNSIGNED, DataType.FLOAT, DataType.DOUBLE, DataType.BOOLEAN, DataType.DATETIME))


def is_number(datatype: int) -> bool:
    """Whether values of this type are readings.

    >>> is_number(DataType.BOOLEAN), is_number(DataType.STRING)
    (True, False)
    """
    return datatype in _NUMBERS


def convert(
    datatype: NDArray[np.uint8], wire: NDArray[np.uint8], whole: NDArray[np.uint64], real: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """(value, :class:`Verdict`) of n values. ``whole`` holds what came as integer or boolean, ``real`` what came as
    float or double. Booleans become 0 and 1, a DateTime seconds since 1970.

    Negative integers are two's complement. Senders extend small ones to 32 or 64 bits or do not; both are read.
    """
    value = np.full(len(datatype), np.nan)
    verdict = np.full(len(datatype), _UNKNOWN, np.uint8)
    kinds = np.unique(datatype).tolist()
    for kind in kinds:
        at = slice(None) if len(kinds) == 1 else np.flatnonzero(datatype == kind)
        value[at], verdict[at] = _of_type(kind, wire[at], whole[at], real[at])
    return value, verdict


def _of_type(
    kind: int, wire: NDArray[np.uint8], whole: NDArray[np.uint64], real: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | float, NDArray[np.uint8] | int]:
    if kind not in _KNOWN:
        return np.nan, _UNKNOWN
    if kind in TEXTS:
        return np.nan, np.where(wire == _STRING, _TEXT, _missing(wire)).astype(np.uint8)
    if kind not in _NUMBERS:
        return np.nan, _UNSUPPORTED
    if kind in FLOATS:
        right = (wire == _DOUBLE) | (wire == _FLOAT)
        value, fits, otherwise = real, np.isfinite(real), _NOT_FINITE
    elif kind == _BOOLEAN_TYPE:
        right = wire == _BOOLEAN
        value, fits, otherwise = whole.astype(np.float64), np.ones(len(wire), np.bool_), _OUT_OF_TYPE
    else:
        right = (wire == _INT) | (wire == _LONG)
        value, fits = _integers(kind, whole)
        otherwise = _OUT_OF_TYPE
    if right.all() and fits.all():
        return value, _NUMBER
    verdict = np.where(right, np.where(fits, _NUMBER, otherwise), _missing(wire)).astype(np.uint8)
    return np.where(verdict == _NUMBER, value, np.nan), verdict


def _missing(wire: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(wire == 0, _NO_VALUE, _WRONG_FIELD).astype(np.uint8)


def _integers(kind: int, whole: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    everything = np.ones(len(whole), np.bool_)
    if kind == _DATETIME_TYPE:
        return whole / 1000.0, everything
    bits = UNSIGNED.get(DataType(kind))
    if bits is not None:
        return whole.astype(np.float64), everything if bits == 64 else whole < np.uint64(1 << bits)
    bits = SIGNED[DataType(kind)]
    if bits == 64:
        return whole.view(np.int64).astype(np.float64), everything
    low = whole & np.uint64((1 << bits) - 1)
    high = whole >> np.uint64(bits)
    negative = low >= np.uint64(1 << (bits - 1))
    extended = (high == np.uint64((1 << (64 - bits)) - 1)) | (high == np.uint64((1 << max(0, 32 - bits)) - 1))
    value = low.astype(np.float64) - np.where(negative, float(1 << bits), 0.0)
    return value, (high == 0) | (negative & extended)
