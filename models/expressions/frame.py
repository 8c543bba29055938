"""What formulas see of one moment: the values of many equipment of one type at their own times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Rows = slice | NDArray[np.intp]


def _nothing(*_: Any) -> Any:
    raise LookupError("this frame has no states")


@dataclass(slots=True)
class Frame:
    """One frame per row: r equipment, each at its own time.

    ``rows``: their places in the operators' state arrays (a slice where they are all there are: views, no copies).
    ``index``: the same as integers. ``t`` int64 µs [r, 1]. ``values`` float64 [r, columns], measured ones filled in,
    derived ones written by the program; NaN is unknown. ``state`` codes [r, 1] (0 is unknown), valid once the program
    has called ``resolve`` with the truths [r, states] of the states' expressions. ``gate(states, settle)`` bool [r, 1]:
    in these states, and settled. ``active`` bool [r, limit instances]: conditions as they were before this frame.
    ``unless``: truths by limit instance, written by the program. ``fresh`` bool [r, measured columns]: a usable reading
    came with this very frame; elsewhere the value is the last one known.

    A frame may hold many moments of the same equipment, one after the other: all arrays are then [moments × equipment,
    …] and ``steps`` the single moments in their order, for what has memory (:meth:`Operator.scan`).
    """

    rows: Rows
    index: NDArray[np.intp]
    t: IntArray
    values: FloatArray
    resolve: Callable[[FloatArray], None] = _nothing
    gate: Callable[[tuple[str, ...], int], BoolArray | None] = _nothing
    state: NDArray[np.int64] = field(default_factory=lambda: np.zeros((1, 1), np.int64))
    state_since: IntArray = field(default_factory=lambda: np.zeros((1, 1), np.int64))
    active: BoolArray = field(default_factory=lambda: np.zeros((1, 0), np.bool_))
    unless: BoolArray = field(default_factory=lambda: np.zeros((1, 0), np.bool_))
    fresh: BoolArray = field(default_factory=lambda: np.zeros((1, 0), np.bool_))
    steps: Sequence[Frame] = ()
