"""Readings that wait for the watermark of their equipment, in the parts in which they came.

At 100,000 readings a second and two seconds of lateness 200,000 wait. Looking at all of them with every record would
cost more than all other work together; so each part knows the earliest time it holds of every equipment, and is looked
at only when something in it is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream_processors.pipeline.layout import IntArray

Arrays = dict[str, NDArray[Any]]
DTYPES: Final[dict[str, Any]] = {
    "row": np.intp,
    "column": np.intp,
    "ts": np.int64,
    "value": np.float64,
    "good": np.bool_,
    "rank": np.uint8,
}
"""Row and column in the state's matrices, ts, value, whether its class allows using it, its quality class."""
_MOST_PARTS: Final = 64
"""Two seconds of records are 40; more means equipment that stopped, whose rests are then put together."""
_FAR: Final = np.iinfo(np.int64).max


@dataclass(slots=True, eq=False)
class _Part:
    arrays: Arrays
    first: IntArray
    """[equipment] earliest ts it holds."""


class Waiting:
    """Of the equipment of one type, ``n`` rows."""

    def __init__(self, n: int, arrays: Arrays | None = None) -> None:
        self._n = n
        self._parts: list[_Part] = []
        if arrays is not None:
            self.put(arrays)

    def put(self, arrays: Arrays) -> None:
        """These wait from now on."""
        if not len(arrays["row"]):
            return
        if len(self._parts) >= _MOST_PARTS:
            oldest, self._parts = self._parts[: _MOST_PARTS // 2], self._parts[_MOST_PARTS // 2 :]
            self._parts.insert(0, self._part(_joined([part.arrays for part in oldest])))
        self._parts.append(self._part(arrays))

    def take(self, until: IntArray) -> Arrays | None:
        """Those at or before ``until`` [n] of their equipment, which wait no longer; None where there are none."""
        due: list[Arrays] = []
        kept: list[_Part] = []
        for part in self._parts:
            if not (part.first <= until).any():
                kept.append(part)
                continue
            now = part.arrays["ts"] <= until[part.arrays["row"]]
            if now.all():
                due.append(part.arrays)
                continue
            due.append({name: values[now] for name, values in part.arrays.items()})
            kept.append(self._part({name: values[~now] for name, values in part.arrays.items()}))
        self._parts = kept
        return _joined(due) if due else None

    def all(self) -> Arrays:
        """Everything that waits, for snapshots."""
        return _joined([part.arrays for part in self._parts])

    def _part(self, arrays: Arrays) -> _Part:
        first = np.full(self._n, _FAR)
        np.minimum.at(first, arrays["row"], arrays["ts"])
        return _Part(arrays, first)


def _joined(parts: list[Arrays]) -> Arrays:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return {name: np.empty(0, dtype) for name, dtype in DTYPES.items()}
    return {name: np.concatenate([part[name] for part in parts]) for name in DTYPES}
