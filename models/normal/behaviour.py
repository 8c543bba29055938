"""Normal behaviour of the machines of one type, and how far a fleet is from it.

A sensor is expected from the operating point (:mod:`~models.normal.operating`), from the machine's own baseline and
from the other sensors. What is left is smoothed and measured in two ways (Jackson and Mudholkar 1979, with the
covariance of :mod:`~models.normal.spread`): T², all residuals together by their covariance, and Q, the residuals of
the sensors that keep steady, each by its own noise. The others' opinion of each sensor and each sensor's contribution
come from the same products (reconstruction-based contributions, Alcala and Qin 2009): with the inverse covariance P
and the residual r, sensor j is ``(P r)_j / P_jj`` away from what the others say of it, and without it T² would be
less by ``(P r)_j² / P_jj``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from models.normal import learning
from models.normal.gaps import filled
from models.normal.learning import History
from models.normal.products import product
from models.normal.scores import Scores
from models.normal.state import NONE, NormalState
from models.normal.words import words

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Index = NDArray[np.intp]

_US: Final = 1e6
_FORGOTTEN: Final = 10.0
"""Smoothing times of silence after which smoothing starts anew."""
_SAID: Final = 0.1
"""Weight below which a sensor has said too little lately to count (2.3 smoothing times of silence)."""
_ENOUGH: Final = 0.5
"""Of the sensors must be known."""
_PRIOR: Final = 0.1
"""Of the learning time: how much the type's baseline weighs against a new machine's own."""
_FOLLOW: Final = 5.0
"""Smoothing times: nothing is followed faster, or a fault would be."""
_REST: Final = 0.6
"""Of the limit: the others agree among themselves when T² without the suspect is below it."""


class NormalBehaviour(BaseEstimator):  # type: ignore[misc]
    """The model of a type: :meth:`fit` on healthy histories, then :meth:`start` and :meth:`step` for a fleet.

    Times in seconds. ``smooth_s`` of residuals; ``settle_s`` in a scored state before anything is said; ``learn_s``
    until a machine's own baseline stands; ``recentre_s`` memory of the baseline where the machine keeps steady (along
    axes that wander it is shorter, as a local-level model has it: the root of noise over wander, Harvey 1989);
    ``on_s``, ``off_s`` delays of the alarm; ``every_s`` at most one row is taken per so long (0: each), learning and
    scoring alike. ``t_limit``, ``q_limit`` in standard deviations (root of the mean square over what is summed): the
    least that is alarmed; histories long enough to score one part by the other raise them to what healthy machines
    reach there. ``agree``: alarm only where T² *and* Q are over their limits, instead of either. ``steady``: a sensor
    keeps steady if its variogram at the long lag is less than so many times what noise alone would give, or has been
    seen to stray often enough for that to be known. ``release``: share of the limit below which an alarm goes.
    ``each_limit``: alarm also where one sensor alone is so many standard deviations from what the others say of it
    (infinite: not); raised for each sensor to what healthy machines reach. ``calm_s``: nothing is said or learned for
    so long after a setting moved between two rows by more than ``calm`` of its standard deviation: what is slow lags.
    ``regressor``, ``beyond``: see :class:`~models.normal.operating.OperatingPoint`.

    ``sensors``, ``settings``, ``units``: names of the columns, kept with the model.

    >>> rng = np.random.default_rng(0)
    >>> ts = np.arange(4000) * 1_000_000
    >>> heat = rng.normal(size=(4000, 1))
    >>> x = np.hstack([heat, 2 * heat, -heat]) + 0.1 * rng.normal(size=(4000, 3))
    >>> model = NormalBehaviour(smooth_s=10, settle_s=10, learn_s=100, recentre_s=1000)
    >>> model = model.fit([History(ts, np.empty((4000, 0)), x)])
    >>> faulty = x[:600] + np.where(ts[:600, None] > 4e8, [2.0, 0, 0], 0)
    >>> scores = model.run(History(ts[:600], np.empty((600, 0)), faulty))
    >>> bool(scores.alarm[300]), bool(scores.alarm[500]), int(scores.instrument[500])
    (False, True, 0)
    """

    def __init__(
        self,
        sensors: tuple[str, ...] = (),
        settings: tuple[str, ...] = (),
        units: tuple[str, ...] = (),
        smooth_s: float = 300.0,
        settle_s: float = 900.0,
        learn_s: float = 6 * 3600.0,
        recentre_s: float = 7 * 86400.0,
        on_s: float = 0.0,
        off_s: float = 0.0,
        every_s: float = 0.0,
        t_limit: float = 5.0,
        q_limit: float = 5.0,
        each_limit: float = np.inf,
        calm_s: float = 0.0,
        calm: float = 0.25,
        beyond: float = 0.25,
        release: float = 0.9,
        agree: bool = False,
        steady: float = 15.0,
        ridge: float = 0.02,
        calibrate: bool = True,
        regressor: Any = None,
        random_state: int = 0,
    ) -> None:
        self.sensors = sensors
        self.settings = settings
        self.units = units
        self.smooth_s = smooth_s
        self.settle_s = settle_s
        self.learn_s = learn_s
        self.recentre_s = recentre_s
        self.on_s = on_s
        self.off_s = off_s
        self.every_s = every_s
        self.t_limit = t_limit
        self.q_limit = q_limit
        self.each_limit = each_limit
        self.calm_s = calm_s
        self.calm = calm
        self.beyond = beyond
        self.release = release
        self.agree = agree
        self.steady = steady
        self.ridge = ridge
        self.calibrate = calibrate
        self.regressor = regressor
        self.random_state = random_state

    def fit(self, histories: Sequence[History]) -> Self:
        """From healthy histories, rows of the scored states only.

        Raises :class:`~core.errors.InvalidInputError` for histories that nothing can be learned from.
        """
        learned = learning.learn(self, histories)
        self.operating_ = learned.operating
        self.used_ = learned.used
        self.scale_ = learned.scale
        self.axes_ = learned.spread.axes
        self.wander_ = learned.spread.wander
        self.back_: FloatArray = np.asarray(np.linalg.inv(self.axes_), np.float64)
        slowest = max(self.recentre_s, _FOLLOW * self.smooth_s)
        with np.errstate(divide="ignore"):
            best = np.sqrt(2.0 * self.smooth_s / self.wander_)
        self.memory_ = np.clip(best, _FOLLOW * self.smooth_s, slowest)
        self.between_ = learned.between
        self.noise_ = learned.noise
        self.step_s_ = learned.step_s
        self.limits_ = np.array([self.t_limit, self.q_limit])
        self.each_limits_ = np.full(len(self.used_), float(self.each_limit))
        self.setting_scale_ = learned.setting_scale
        self.metrics_ = dict(learned.facts)
        if self.calibrate:
            learning.calibrate(self, histories)
        return self

    # --- scoring ---

    def start(self, machines: int) -> NormalState:
        """Nothing is known of these machines but their type."""
        return NormalState.new(machines, len(self.used_), len(self.setting_scale_))

    def step(
        self,
        state: NormalState,
        rows: Index,
        at: IntArray,
        settings: FloatArray,
        sensors: FloatArray,
        scored: BoolArray | None = None,
        frozen: BoolArray | None = None,
    ) -> Scores:
        """A frame of the machines ``rows`` (unique) at ``at`` µs; changes ``state``.

        ``settings`` [rows, k], ``sensors`` [rows, m] in the order of the fit, NaN where unknown. ``scored``: the
        machine is in a state that the model knows. ``frozen``: an alarm stands, the baseline is left as it is. A row
        not later than the machine's last one is passed over.
        """
        scores = Scores.nothing(len(rows), len(self.scale_all_))
        before = state.at[rows]
        taken = (at > before) & ((before < 0) | (self._slot(at) > self._slot(before)))
        scores.alarm[:] = state.alarm[rows]
        i = np.flatnonzero(taken)
        if not len(i):
            return scores
        r, now = rows[i], at[i]
        in_state = np.ones(len(i), np.bool_) if scored is None else scored[i]
        gap = np.where(before[i] < 0, self.step_s_, (now - before[i]) / _US)
        anew = (before[i] < 0) | (gap > _FORGOTTEN * self.smooth_s) | ~in_state
        dt = np.minimum(gap, self.smooth_s)
        own = settings[i]
        foreign = self.operating_.foreign(own) | self._moved(state, r, now, own, anew)
        residual = (sensors[np.ix_(i, self.used_)] - self.operating_.expected(own)[:, self.used_]) / self.scale_
        smooth = self._smooth(state, r, residual, np.where(anew, self.step_s_, gap), anew, in_state & ~foreign)
        since = np.where(in_state, np.where(anew | (state.since[r] < 0), now, state.since[r]), NONE)
        state.at[r], state.since[r] = now, since
        known = np.isfinite(smooth)
        settled = in_state & ((now - since) >= self.settle_s * _US)
        ready = settled & ~foreign & (known.mean(1) >= _ENOUGH)
        i, r, dt, smooth = i[ready], r[ready], dt[ready], smooth[ready]
        if not len(i):
            return scores
        held = np.zeros(len(i), np.bool_) if frozen is None else frozen[i]
        self._judge(state, r, i, dt, smooth, held, scores)
        return scores

    def run(self, history: History, frozen: BoolArray | None = None) -> Scores:
        """Score one machine's history from its beginning, as the stream would: a row of the scores per row."""
        state = self.start(1)
        row = np.zeros(1, np.intp)
        steps = [
            self.step(
                state,
                row,
                history.ts[k : k + 1],
                history.settings[k : k + 1],
                history.sensors[k : k + 1],
                None,
                None if frozen is None else frozen[k : k + 1],
            )
            for k in range(len(history.ts))
        ]
        return Scores.concatenate(steps, len(self.scale_all_))

    def reset(self, state: NormalState, rows: Index) -> None:
        """After a repair: back to the type's model, to learn the machine anew."""
        state.forget(rows)

    def adopt(self, state: NormalState, rows: Index) -> None:
        """Somebody says: as it is now it is right. The present level becomes the baseline, the alarm goes."""
        with np.errstate(invalid="ignore", divide="ignore"):
            level = state.total[rows] / state.weight[rows]
        state.baseline[rows] = np.where(state.weight[rows] >= _SAID, level, state.baseline[rows])
        state.learned[rows] = np.maximum(state.learned[rows], self.learn_s)
        for name in ("frozen", "over", "under"):
            getattr(state, name)[rows] = 0.0
        state.alarm[rows] = False

    def words(self, scores: Scores, row: int, names: Sequence[str] = ()) -> str:
        """See :func:`models.normal.words.words`; names of the sensors are the model's own unless given."""
        own = names or self.sensors or [f"sensor {j + 1}" for j in range(self.sensors_)]
        return words(scores, row, own, self.units)

    # --- within ---

    def _moved(self, state: NormalState, r: Index, now: IntArray, own: FloatArray, anew: BoolArray) -> BoolArray:
        """Which machines are driven otherwise than ``calm_s`` ago, so that what is slow has not followed yet."""
        if not self.calm_s:
            return np.zeros(len(r), np.bool_)
        moved = anew | other_settings(state.settings[r], own, self.setting_scale_, self.calm)
        state.settings[r] = np.where(np.isfinite(own), own, state.settings[r])
        state.moved[r] = np.where(moved, now, state.moved[r])
        restless: BoolArray = now - state.moved[r] < self.calm_s * _US
        return restless

    @property
    def scale_all_(self) -> FloatArray:
        """Standard deviation of each sensor in its own unit, NaN where it was never seen to move."""
        everything = np.full(self.sensors_, np.nan)
        everything[self.used_] = self.scale_
        return everything

    @property
    def sensors_(self) -> int:
        """How many columns there are."""
        return int(self.metrics_["sensors"])

    def _slot(self, at: IntArray) -> IntArray:
        return at // int(self.every_s * _US) if self.every_s > 0 else at

    def _smooth(
        self, state: NormalState, r: Index, residual: FloatArray, gap: FloatArray, anew: BoolArray, counts: BoolArray
    ) -> FloatArray:
        """Time-weighted mean of the residuals, [rows, used]; NaN where too little was said lately."""
        keep = np.exp(-gap / self.smooth_s)[:, None]
        known = np.isfinite(residual) & counts[:, None]
        start = anew[:, None]
        total = np.where(start, 0.0, keep * state.total[r]) + np.where(known, (1.0 - keep) * residual, 0.0)
        weight = np.where(start, 0.0, keep * state.weight[r]) + (1.0 - keep) * known
        state.total[r], state.weight[r] = total, weight
        with np.errstate(invalid="ignore", divide="ignore"):
            smooth: FloatArray = np.where(weight >= _SAID, total / weight, np.nan)
        return smooth

    def _judge(
        self, state: NormalState, r: Index, i: Index, dt: FloatArray, smooth: FloatArray, held: BoolArray, out: Scores
    ) -> None:
        away = smooth - state.baseline[r]
        known = np.isfinite(away)
        learned = state.learned[r]
        cold = np.clip(1.0 - learned / self.learn_s, 0.0, 1.0)
        age = np.minimum(learned[:, None], self.memory_) + state.frozen[r][:, None]
        variance = 1.0 + self.wander_ * age + cold[:, None] * product_of_squares(self.between_, self.axes_)
        away, precision, weighted, square = self._opinions(away, known, variance)
        count = np.maximum(known.sum(1), 1)
        t = np.sqrt(np.maximum(square, 0.0) / count)
        against = weighted / np.sqrt(precision)
        steady = known & np.isfinite(self.noise_)
        own = np.where(np.isfinite(self.noise_), self.noise_, 1.0) + cold[:, None] * self.between_
        share = np.where(steady, away**2 / own, 0.0)
        any_steady = steady.any(1)
        q = np.where(any_steady, np.sqrt(share.sum(1) / np.maximum(steady.sum(1), 1)), np.nan)
        t2, q2 = t / self.limits_[0], q / self.limits_[1]
        both = np.minimum(t2, q2) if self.agree else np.maximum(t2, q2)
        each = (np.where(known, np.abs(against), 0.0) / self.each_limits_).max(1)
        distance = np.maximum(np.where(any_steady, both, t2), each)
        alarm = self._alarm(state, r, dt, distance)
        self._recentre(state, r, dt, away, known, distance, alarm | held)
        removes = np.where(known, against**2, 0.0)
        suspect = removes.argmax(1)
        most = removes[np.arange(len(r)), suspect]
        rest = np.sqrt(np.maximum(square - most, 0.0) / np.maximum(count - 1, 1)) / self.limits_[0]
        alone = (distance >= 1.0) & (rest < _REST) & (count >= 3)
        if np.isfinite(self.each_limits_).any() and alone.any():
            k = np.flatnonzero(alone)
            alone[k] = self._without(known[k], variance[k], weighted[k], precision[k], suspect[k]) < _REST
        out.fill(
            i,
            self.used_,
            self.scale_,
            t2=t2,
            q=q2,
            each=each,
            distance=distance,
            residual=np.where(known, weighted / precision, np.nan),
            against=np.where(known, against, np.nan),
            contribution=removes / np.maximum(removes.sum(1), 1e-300)[:, None],
            instrument=np.where(alone, self.used_[suspect], -1),
            share=np.minimum(most / np.maximum(square, 1e-300), 1.0),
            alarm=alarm,
            cold=cold,
        )

    def _opinions(
        self, away: FloatArray, known: BoolArray, variance: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(residuals without gaps, diagonal of P, P r, r' P r), by three products; rows with gaps by solving each."""
        squares = self.axes_**2
        complete = known.all(1)
        away = np.where(known, away, 0.0)
        along = product(away, self.axes_)
        weighted = product(along / variance, self.axes_.T)
        precision = product(1.0 / variance, squares.T)
        square = (along**2 / variance).sum(1)
        if not complete.all():
            k = np.flatnonzero(~complete)
            precision[k], weighted[k], square[k] = filled(away[k], known[k], variance[k], self.axes_)
        return away, precision, weighted, square

    def _without(
        self, known: BoolArray, variance: FloatArray, weighted: FloatArray, precision: FloatArray, suspect: Index
    ) -> FloatArray:
        """How far the farthest of the others is from what the rest say of it, in units of its limit, the suspect not
        being heard. Exact where nothing is unknown."""
        row = np.arange(len(suspect))
        column = product(self.axes_[suspect] / variance, self.axes_.T)
        own = precision[row, suspect][:, None]
        left = precision - column**2 / own
        apart = weighted - column * weighted[row, suspect][:, None] / own
        apart = np.abs(apart) / np.sqrt(np.maximum(left, 1e-12 * precision))
        apart = np.where(known, apart, 0.0) / self.each_limits_
        apart[row, suspect] = 0.0
        farthest: FloatArray = apart.max(1)
        return farthest

    def _alarm(self, state: NormalState, r: Index, dt: FloatArray, distance: FloatArray) -> BoolArray:
        over, under = distance > 1.0, distance < self.release
        state.over[r] = np.where(over, state.over[r] + dt, 0.0)
        state.under[r] = np.where(under, state.under[r] + dt, 0.0)
        alarm = np.where(state.alarm[r], ~(under & (state.under[r] >= self.off_s)), over & (state.over[r] >= self.on_s))
        state.alarm[r] = alarm
        return alarm

    def _recentre(
        self,
        state: NormalState,
        r: Index,
        dt: FloatArray,
        away: FloatArray,
        known: BoolArray,
        distance: FloatArray,
        stands: BoolArray,
    ) -> None:
        """Towards the present level while healthy; in alarm it is left alone, and what it says grows old."""
        healthy = ~stands & (distance <= 1.0)
        learned = state.learned[r] + np.where(healthy, dt, 0.0)
        young = np.maximum(learned + _PRIOR * self.learn_s, dt)[:, None]
        moved = product(product(away, self.axes_) * dt[:, None] / np.minimum(young, self.memory_), self.back_)
        complete = known.all(1, keepdims=True)
        if not complete.all():  # what the others say of an unknown sensor is no reason to move its baseline
            each = away * dt[:, None] / np.minimum(young, self.memory_.max())
            moved = np.where(complete, moved, np.where(known, each, 0.0))
        state.baseline[r] += np.where(healthy[:, None], moved, 0.0)
        state.learned[r] = learned
        state.frozen[r] = np.where(stands, state.frozen[r] + dt, np.maximum(state.frozen[r] - dt, 0.0))


def other_settings(before: FloatArray, now: FloatArray, scale: FloatArray, calm: float) -> BoolArray:
    """Whether a machine is driven otherwise than a row before: [rows]; a setting that was or is unknown is no news."""
    with np.errstate(invalid="ignore"):
        return np.asarray((np.abs(now - before) > calm * scale).any(axis=-1))


def product_of_squares(variances: FloatArray, axes: FloatArray) -> FloatArray:
    """Variance along each axis of independent sensors' variances, [m]."""
    along: FloatArray = variances @ axes**2
    return along


__all__ = ["History", "NormalBehaviour", "Scores"]
