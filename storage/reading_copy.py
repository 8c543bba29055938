"""Readings as columns, out of PostgreSQL's binary COPY: a month of a machine without a Python statement per reading."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.packing import COPY_HEADER, COPY_TRAILER, PG_EPOCH

_ROW: Final = np.dtype(
    [
        ("fields", ">i2"),
        ("ts_bytes", ">i4"),
        ("ts", ">i8"),
        ("value_bytes", ">i4"),
        ("value", ">f8"),
        ("quality_bytes", ">i4"),
        ("quality", ">i2"),
    ]
)


def columns(copied: bytes) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint8]]:
    """ts (µs UTC), value, quality of ``COPY (SELECT ts, value, quality …) TO STDOUT (FORMAT BINARY)``, none of them
    NULL."""
    body = np.frombuffer(copied[len(COPY_HEADER) : len(copied) - len(COPY_TRAILER)], _ROW)
    return (
        body["ts"].astype(np.int64) + PG_EPOCH,
        body["value"].astype(np.float64),
        body["quality"].astype(np.uint8),
    )
