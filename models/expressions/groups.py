"""Functions across the instances of a repeated point: peers of a group, or many instances made one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.expressions.frame import FloatArray

Gather = NDArray[np.intp]
"""[groups or instances, members]: which instances each result looks at; −1 fills up."""

MIN_PEERS = 3
"""Of two that disagree nobody can say which one is wrong."""


def gathered(x: FloatArray, gather: Gather) -> FloatArray:
    """[r, results, members] with NaN where there is none."""
    if x.shape[-1] == 1 and gather.max() > 0:
        x = np.broadcast_to(x, (x.shape[0], int(gather.max()) + 1))
    picked = x[:, gather]
    if (gather < 0).any():
        picked[:, gather < 0] = np.nan
    return picked


def median(members: FloatArray, least: int) -> FloatArray:
    """Median of the known along the last axis; NaN where fewer than ``least`` are known.

    np.nanmedian costs a hundred microseconds a call at these sizes; a sort puts NaN last and costs ten.
    """
    ordered = np.sort(members, axis=-1)
    n = np.count_nonzero(ordered == ordered, axis=-1)
    low = np.maximum(n - 1, 0) // 2
    high = n // 2
    high = np.minimum(high, members.shape[-1] - 1)
    pick_low = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
    pick_high = np.take_along_axis(ordered, high[..., None], axis=-1)[..., 0]
    return np.where(n >= least, 0.5 * (pick_low + pick_high), np.nan)


def peer_median(gather: Gather) -> Callable[[FloatArray], FloatArray]:
    """Median of an instance's group, itself included, of those known; unknown below three."""
    groups, place = _unique(gather)

    def run(x: FloatArray) -> FloatArray:
        return median(gathered(x, groups), MIN_PEERS)[:, place]

    return run


def peer_spread(gather: Gather) -> Callable[[FloatArray], FloatArray]:
    """1.4826 × median absolute deviation from the group's median: a standard deviation that outliers do not move."""
    groups, place = _unique(gather)

    def run(x: FloatArray) -> FloatArray:
        members = gathered(x, groups)
        centre = median(members, MIN_PEERS)
        return (1.4826 * median(np.abs(members - centre[..., None]), MIN_PEERS))[:, place]

    return run


def over(name: str, gather: Gather) -> Callable[[FloatArray], FloatArray]:
    """Many instances made one, of those known: max, min, mean, sum, median, count (of the true); unknown if none is
    known."""

    def run(x: FloatArray) -> FloatArray:
        members = gathered(x, gather)
        unknown = np.isnan(members)
        none = unknown.all(axis=-1)
        if name == "max_of":
            result = np.where(unknown, -np.inf, members).max(axis=-1)
        elif name == "min_of":
            result = np.where(unknown, np.inf, members).min(axis=-1)
        elif name == "median_of":
            return median(members, 1)
        elif name == "count_of":
            result = np.where(unknown, 0.0, np.sign(np.abs(members))).sum(axis=-1)
        else:
            result = np.where(unknown, 0.0, members).sum(axis=-1)
            if name == "mean_of":
                result = result / np.maximum((~unknown).sum(axis=-1), 1)
        return np.where(none, np.nan, result)

    return run


def _unique(gather: Gather) -> tuple[Gather, NDArray[np.intp]]:
    """Each group once (its members sorted once), and each instance's place among them."""
    groups, place = np.unique(gather, axis=0, return_inverse=True)
    return groups, place.reshape(-1)
