"""Survival with what is known meanwhile: remaining life from events, services and telemetry, where most have not
failed yet.

A discrete-time hazard (Cox 1972; Singer and Willett 1993) from landmarks: at each row somebody looks at a machine, sees
its covariates (age since the last repair, errors of the last day, mean and spread of its telemetry, …) and asks for
each coming interval: does it fail in this one, given that it got there? A machine that is still running, or was
taken away, answers "no" up to then and nothing after: that is all censoring is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier

from core.errors import InvalidInputError
from models.prognosis.answer import RemainingLife
from models.prognosis.blend import one_thread

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """Moments at which machines were looked at.

    ``covariates`` [n, k] as known then (NaN allowed: unknown), ``time`` [n] from then to the failure or to the end of
    what is known, in units of the clock, ``failed`` [n] which of the two.
    """

    covariates: FloatArray
    time: FloatArray
    failed: BoolArray


class HazardModel(BaseEstimator):  # type: ignore[misc]
    """Remaining life up to ``edges[-1]``; ``edges`` (first 0, growing) part the coming time into intervals.

    ``classifier``: any of scikit-learn's with ``predict_proba`` that takes NaN where the covariates have it (None:
    boosted trees, shallow). It sees the covariates, the interval's number and its length.

    >>> rng = np.random.default_rng(0)
    >>> worn = rng.uniform(0, 1, 400)
    >>> life = rng.exponential(10 / (0.1 + worn))
    >>> seen = Landmarks(worn[:, None], np.minimum(life, 30), life < 30)
    >>> told = HazardModel(np.arange(0, 31, 3.0)).fit(seen).remaining(np.array([[0.1], [0.9]]))
    >>> bool(told.p50[0] > told.p50[1])
    True
    """

    def __init__(self, edges: FloatArray, classifier: Any = None, unit: str = "h", random_state: int = 0) -> None:
        self.edges = edges
        self.classifier = classifier
        self.unit = unit
        self.random_state = random_state

    def fit(self, seen: Landmarks) -> Self:
        """Raises :class:`~core.errors.InvalidInputError` for edges out of order, and when nothing ever failed."""
        edges = np.asarray(self.edges, float)
        if len(edges) < 2 or edges[0] != 0.0 or (np.diff(edges) <= 0).any():
            raise InvalidInputError("intervals must begin at 0 and grow", hint="for example 0, 24, 48, 96 hours")
        if not (seen.failed & (seen.time <= edges[-1])).any():
            raise InvalidInputError(
                "no failure lies within the intervals: there is nothing to learn from",
                hint="longer intervals, or more history",
            )
        bins = len(edges) - 1
        last = np.clip(np.searchsorted(edges, seen.time, side="left") - 1, 0, bins - 1)
        beyond = seen.time > edges[-1]
        # censored within an interval: it was got through only as far as it was seen, so it does not count
        whole = np.where(
            beyond, bins, np.where(seen.failed, last + 1, np.searchsorted(edges, seen.time, side="right") - 1)
        )
        row = np.repeat(np.arange(len(seen.time)), whole)
        step = np.arange(len(row)) - np.repeat(np.cumsum(whole) - whole, whole)
        event = seen.failed[row] & ~beyond[row] & (step == last[row])
        model = self.classifier if self.classifier is not None else HistGradientBoostingClassifier(
            max_iter=120, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=20, l2_regularization=2.0,
            early_stopping=False, random_state=self.random_state,
        )  # fmt: skip
        with one_thread():
            self.classifier_ = clone(model).fit(self._columns(seen.covariates[row], step), event.astype(int))
        return self

    def survival(self, covariates: FloatArray) -> FloatArray:
        """[n, k] → [n, intervals + 1]: probability to be alive at each edge; the first is 1."""
        bins = len(self.edges) - 1
        n = len(covariates)
        row, step = np.repeat(np.arange(n), bins), np.tile(np.arange(bins), n)
        with one_thread():
            hazard = self.classifier_.predict_proba(self._columns(np.asarray(covariates, float)[row], step))[:, 1]
        alive = np.cumprod(1.0 - hazard.reshape(n, bins), axis=1)
        return np.hstack([np.ones((n, 1)), alive])

    def remaining(self, histories: FloatArray) -> RemainingLife:
        """Of n machines with covariates [n, k]; a life that is likelier than not to outlast the edges reads the
        last."""
        edges = np.asarray(self.edges, float)
        alive = self.survival(histories)
        found = np.stack([_crossing(edges, alive, level) for level in (0.9, 0.5, 0.1)], axis=1)
        return RemainingLife.of(found, self.unit, float(edges[-1]))

    def risk(self, covariates: FloatArray, within: float) -> FloatArray:
        """Probability to fail within so long, [n]."""
        alive = self.survival(covariates)
        risk: FloatArray = 1.0 - np.array([np.interp(within, self.edges, row) for row in alive])
        return risk

    def _columns(self, covariates: FloatArray, step: NDArray[np.intp]) -> FloatArray:
        edges = np.asarray(self.edges, float)
        return np.column_stack([covariates, step, np.diff(edges)[step]])


def _crossing(edges: FloatArray, alive: FloatArray, level: float) -> FloatArray:
    """When survival falls to ``level``, straight between edges; the last edge where it does not."""
    under = alive <= level
    first = under.argmax(1)
    rows = np.arange(len(alive))
    above, below = alive[rows, np.maximum(first - 1, 0)], alive[rows, first]
    share = (above - level) / np.maximum(above - below, 1e-12)
    at = edges[np.maximum(first - 1, 0)] + share * (edges[first] - edges[np.maximum(first - 1, 0)])
    crossing: FloatArray = np.where(under.any(1), at, edges[-1])
    return crossing
