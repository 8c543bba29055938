"""Which of several readings at one (point, ts) stands: pure, the same rule as in queries/writer.sql.

Better quality class, then the larger value (NaN is largest, as PostgreSQL sorts), then the larger reason bits;
``LATE`` and
``RECEIPT_TIME`` say how a reading came and decide nothing. Of equal ones the first stands.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.outcome import CommitUnit
from core.quality import CLASS_MASK, LATE, REASON_MASK, RECEIPT_TIME
from storage.packing import Rows

DECIDING: Final = (CLASS_MASK | REASON_MASK) & ~(LATE | RECEIPT_TIME) & 0xFF
"""The quality bits that make two readings unequal: 0xFC, also written out in queries/writer.sql."""


def gather(units: tuple[CommitUnit, ...]) -> Rows:
    """All readings of the units, measured and derived, in order."""
    batches = [b for u in units for b in (u.outcome.readings, u.outcome.derived) if len(b)]
    if not batches:
        return Rows(
            np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8), np.empty(0, np.int64)
        )
    return Rows(
        np.concatenate([b.point_id for b in batches]),
        np.concatenate([b.ts for b in batches]),
        np.concatenate([b.value for b in batches]),
        np.concatenate([b.quality for b in batches]),
        np.repeat(np.array([b.received_at for b in batches], np.int64), np.array([len(b) for b in batches], np.intp)),
    )


def deciding(quality: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Quality without the bits that decide nothing; ordered as the rule wants it when the class is compared first."""
    return quality & np.uint8(DECIDING)


def merge(rows: Rows) -> tuple[Rows, int, int]:
    """Rows sorted by (point, ts), one per key; how many equal ones fell away, and how many unequal ones."""
    order = np.lexsort((rows.ts, rows.point_id))
    rows = rows.take(order)
    same = (rows.point_id[1:] == rows.point_id[:-1]) & (rows.ts[1:] == rows.ts[:-1])
    if not same.any():
        return rows, 0, 0
    # rare, so the three further keys are sorted only when some key is there twice; reversed position: of equal ones
    # the first is last
    reason = deciding(rows.quality) & np.uint8(REASON_MASK)
    grade = rows.quality & np.uint8(CLASS_MASK)
    order = np.lexsort((-order, reason, rows.value, grade, rows.ts, rows.point_id))
    rows = rows.take(order)
    loses = np.append(same, False)  # groups lie where they lay
    equal = _equal(rows, np.flatnonzero(loses), np.flatnonzero(loses) + 1)
    return rows.take(~loses), int(equal.sum()), int(len(equal) - equal.sum())


def _equal(rows: Rows, left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.bool_]:
    a, b = rows.value[left], rows.value[right]
    value = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.asarray(value & (deciding(rows.quality[left]) == deciding(rows.quality[right])))


def last_of_each_point(rows: Rows) -> Rows:
    """The newest row of every point; ``rows`` sorted by (point, ts)."""
    return rows.take(np.append(rows.point_id[1:] != rows.point_id[:-1], True) if len(rows) else np.empty(0, bool))


def stands(
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    old_value: NDArray[np.float64],
    old_quality: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """Where a reading replaces the old one at the same key; False where they are equal."""
    grade, old_grade = quality & np.uint8(CLASS_MASK), old_quality & np.uint8(CLASS_MASK)
    nan, old_nan = np.isnan(value), np.isnan(old_value)
    larger = (value > old_value) | (nan & ~old_nan)
    same = (value == old_value) | (nan & old_nan)
    return np.asarray(
        (grade > old_grade) | ((grade == old_grade) & (larger | (same & (deciding(quality) > deciding(old_quality)))))
    )
