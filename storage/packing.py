"""Columns to PostgreSQL's binary forms and back, without a Python statement per row.

All columns are parallel numpy arrays; times go in and come out as microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

PG_EPOCH: Final = 946_684_800_000_000
"""2000-01-01, where PostgreSQL's time starts, in our microseconds."""

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER: Final = b"\xff\xff"

_ROW: Final = np.dtype(
    [
        ("fields", ">i2"),
        ("point_bytes", ">i4"),
        ("point_id", ">i4"),
        ("ts_bytes", ">i4"),
        ("ts", ">i8"),
        ("value_bytes", ">i4"),
        ("value", ">f8"),
        ("quality_bytes", ">i4"),
        ("quality", ">i2"),
        ("received_bytes", ">i4"),
        ("received_at", ">i8"),
    ]
)
"""One row of ``COPY … (point_id, ts, value, quality, received_at) … (FORMAT BINARY)``: each field behind its
length."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Readings as the tables hold them: point_id int32, ts int64 µs, value float64, quality uint8, received_at int64
    µs."""

    point_id: NDArray[np.int32]
    ts: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    received_at: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.point_id)

    def take(self, rows: NDArray[Any]) -> Rows:
        """Those at ``rows`` (indices or a mask)."""
        return Rows(self.point_id[rows], self.ts[rows], self.value[rows], self.quality[rows], self.received_at[rows])


def pack(rows: Rows) -> bytes:
    """The rows as COPY wants them, without header and trailer."""
    packed = np.empty(len(rows), _ROW)
    packed["fields"] = 5
    packed["point_bytes"] = 4
    packed["point_id"] = rows.point_id
    packed["ts_bytes"] = 8
    packed["ts"] = rows.ts - PG_EPOCH
    packed["value_bytes"] = 8
    packed["value"] = rows.value
    packed["quality_bytes"] = 2
    packed["quality"] = rows.quality
    packed["received_bytes"] = 8
    packed["received_at"] = rows.received_at - PG_EPOCH
    return packed.tobytes()


def unpack(data: bytes) -> Rows:
    """What ``COPY … TO STDOUT (FORMAT BINARY)`` of the same columns gave, header and trailer included."""
    packed = np.frombuffer(data[len(COPY_HEADER) : len(data) - len(COPY_TRAILER)], _ROW)
    return Rows(
        packed["point_id"].astype(np.int32),
        packed["ts"].astype(np.int64) + PG_EPOCH,
        packed["value"].astype(np.float64),
        packed["quality"].astype(np.uint8),
        packed["received_at"].astype(np.int64) + PG_EPOCH,
    )


class _Array(bytes):
    """A one-dimensional array in PostgreSQL's binary form, to be given as a parameter."""

    element_oid: ClassVar[int]
    dtype: ClassVar[str]

    @classmethod
    def of(cls, values: NDArray[Any]) -> _Array:
        packed = np.empty(len(values), np.dtype([("bytes", ">i4"), ("value", cls.dtype)]))
        packed["bytes"] = np.dtype(cls.dtype).itemsize
        packed["value"] = values
        # dimensions, has-nulls, element type, length, lower bound
        header = np.array([1, 0, cls.element_oid, len(values), 1], ">i4").tobytes()
        return cls(header + packed.tobytes())


class Int2Array(_Array):
    element_oid, dtype = 21, ">i2"


class Int4Array(_Array):
    element_oid, dtype = 23, ">i4"


class Float8Array(_Array):
    element_oid, dtype = 701, ">f8"


class TimeArray(_Array):
    """``timestamptz[]`` of microseconds since 1970."""

    element_oid, dtype = 1184, ">i8"

    @classmethod
    def of(cls, values: NDArray[Any]) -> _Array:
        return super().of(values - PG_EPOCH)


class ByteaArray(_Array):
    """``bytea[]``. As a list the driver would write each byte as two letters, and the server read them back."""

    @classmethod
    def of_bytes(cls, values: Sequence[bytes]) -> ByteaArray:
        header = np.array([1, 0, 17, len(values), 1], ">i4").tobytes()
        return cls(header + b"".join(part for value in values for part in (len(value).to_bytes(4, "big"), value)))


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> Buffer:
        return bytes(obj)


def _dumper(array_oid: int) -> type[_ArrayDumper]:
    return type(f"ArrayDumper{array_oid}", (_ArrayDumper,), {"oid": array_oid})


def register(connection: psycopg.Connection[Any]) -> None:
    """Let ``connection`` take the arrays above as parameters."""
    for kind, oid in (
        (Int2Array, 1005),
        (Int4Array, 1007),
        (Float8Array, 1022),
        (TimeArray, 1185),
        (ByteaArray, 1001),
    ):
        connection.adapters.register_dumper(kind, _dumper(oid))


def array_parameters(rows: Rows) -> dict[str, _Array]:
    """Parameters ``points, times, values, qualities, received`` for ``unnest``."""
    return {
        "points": Int4Array.of(rows.point_id),
        "times": TimeArray.of(rows.ts),
        "values": Float8Array.of(rows.value),
        "qualities": Int2Array.of(rows.quality),
        "received": TimeArray.of(rows.received_at),
    }
