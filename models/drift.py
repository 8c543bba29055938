"""Has what a machine sends moved away from what a model learned from?

The population stability index of a point compares shares p of a recent window with shares q of the training window over
the ten bins between the training window's deciles: Σ (p − q)·ln(p / q). By custom below 0.1 is no change, above 0.25 a
large one. It says that a model deserves less trust here, not that a machine is ill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.time import DAY

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Index = NDArray[np.intp]

BINS: Final = 10
DRIFTED: Final = 0.25
WINDOW: Final = 7 * DAY
"""Daily and weekly rhythms are no drift."""
LEAST: Final = 100
"""Steps in a window, or its shares say nothing."""


def reference(values: Mapping[str, FloatArray]) -> dict[str, dict[str, list[float]]]:
    """Deciles of each point over the training window and the shares between them, as stored with a model. Points with
    less than :data:`LEAST` known values, or that never moved, are left out: there is nothing to compare with.

    >>> reference({"t": np.arange(1000.0), "flat": np.ones(1000)})["t"]["shares"][0]
    0.1
    >>> sorted(reference({"t": np.arange(1000.0), "flat": np.ones(1000)}))
    ['t']
    """
    found = {}
    for key, column in values.items():
        known = np.asarray(column, float)
        known = known[np.isfinite(known)]
        if len(known) < LEAST or known.min() == known.max():
            continue
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
        counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
        found[key] = {
            "edges": [float(edge) for edge in edges],
            "shares": [round(float(n) / len(known), 6) for n in counts],
        }
    return found


def stability_index(counts: FloatArray, shares: FloatArray) -> FloatArray:
    """Of ``counts`` [..., bins] against ``shares`` [..., bins]; bins with a share of NaN are none. Half a value in each
    bin beforehand keeps empty ones finite.

    >>> float(stability_index(np.array([100.0, 100.0]), np.array([0.5, 0.5])).round(9))
    0.0
    """
    there = shares == shares
    bins = there.sum(axis=-1, keepdims=True)
    total = counts.sum(axis=-1, keepdims=True)
    p = (counts + 0.5) / (total + 0.5 * bins)
    q = (np.where(there, shares, 0.0) * 1000.0 + 0.5) / (1000.0 + 0.5 * bins)
    index: FloatArray = np.where(there, (p - q) * np.log(p / q), 0.0).sum(axis=-1)
    return index


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Windows that are over: of the machines ``rows`` [n], from ``since`` [n] to ``at`` [n] µs; ``index`` [n, points],
    NaN where a point said too little."""

    rows: Index
    since: IntArray
    at: IntArray
    index: FloatArray


class DriftWatch:
    """Shares of a model's points over windows of a week, beside ``machines`` machines. ``reference`` as of
    :func:`reference`, for the ``points`` in the order of an ended step's columns."""

    def __init__(self, reference: Mapping[str, Any], points: Sequence[str], machines: int) -> None:
        self.edges = np.full((len(points), BINS - 1), np.inf)
        self.shares = np.full((len(points), BINS), np.nan)
        for i, key in enumerate(points):
            known = reference.get(key)
            if known is not None:
                self.edges[i, : len(known["edges"])] = known["edges"]
                self.shares[i, : len(known["shares"])] = known["shares"]
        self.watches = bool((self.shares == self.shares).any())
        self.counts = np.zeros((machines, len(points), BINS), np.int32)
        self.since = np.full(machines, -1, np.int64)

    def ended(self, rows: Index, at: IntArray, mean: FloatArray) -> Moved | None:
        """A step of ``rows`` (unique) with ``mean`` [n, points] ended at ``at``; the windows it ended, if any."""
        self.since[rows] = np.where(self.since[rows] < 0, at, self.since[rows])
        bins = (mean[:, :, None] > self.edges).sum(axis=2)
        known = mean == mean
        machine, point = np.nonzero(known)
        self.counts[rows[machine], point, bins[machine, point]] += 1
        over = at - self.since[rows] >= WINDOW
        if not over.any():
            return None
        total = self.counts[rows].sum(axis=2)
        over &= total.max(axis=1) >= LEAST
        if not over.any():
            return None
        rows, at, total = rows[over], at[over], total[over]
        index = stability_index(self.counts[rows].astype(float), self.shares)
        index[(total < LEAST) | np.isnan(self.shares[:, 0])] = np.nan
        since = self.since[rows]
        self.counts[rows], self.since[rows] = 0, -1
        return Moved(rows, since, at, index)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state itself, machines along the first axis."""
        return {"counts": self.counts, "since": self.since}
