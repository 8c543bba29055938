"""Readings as columns, packed by the database into one value: a month of a machine without a Python statement per
reading, and without a message per row."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.packing import PG_EPOCH

_READING: Final = np.dtype([("ts", ">i8"), ("value", ">f8")])


def columns(packed: bytes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """ts (µs UTC) and value of what ``servitize.readings_packed`` gives."""
    body = np.frombuffer(packed, _READING)
    return body["ts"].astype(np.int64) + PG_EPOCH, body["value"].astype(np.float64)
