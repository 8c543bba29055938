"""From healthy histories to what a model of normal behaviour is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy
from numpy.typing import NDArray
from sklearn.base import clone

from core.errors import InvalidInputError
from models.normal.operating import OperatingPoint
from models.normal.spread import Spread, spread

if TYPE_CHECKING:
    from models.normal.behaviour import NormalBehaviour

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_US: Final = 1e6
_LEAST_ROWS: Final = 30
_LEAST_VALUES: Final = 3
_FULL: Final = 0.6
"""Weight a smoothed value must have to be learned from: a smoothing time's worth."""
_FINE: Final = 10
"""Grid rows per smoothing time: finer says nothing new about what is smoothed."""
_KNOWN_STRAYING: Final = 20.0
"""Independent stretches after which it is known how far a sensor strays."""
_FEW_MACHINES: Final = 5
_LONG: Final = 40.0
"""Smoothing times of a half history that is long enough to judge limits by."""
_HALVES: Final = 4
"""From so many machines on limits are judged on machines not learned from, else on the later half of each."""
_ROOM: Final = 1.2
"""Over what healthy machines reach."""
_ROOM_EACH: Final = 3.5
"""The same for one sensor: of many, the farthest is looked at, and the most that each reached is one number."""
_REACHED: Final = 0.999
_NO_LIMIT: Final = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One machine, healthy or not: ``ts`` µs growing [T], ``settings`` [T, k] (k may be 0), ``sensors`` [T, m]; NaN is
    unknown."""

    ts: IntArray
    settings: FloatArray
    sensors: FloatArray

    def __len__(self) -> int:
        return len(self.ts)

    def part(self, rows: slice) -> History:
        return History(self.ts[rows], self.settings[rows], self.sensors[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """See the attributes of :class:`~models.normal.behaviour.NormalBehaviour`."""

    operating: OperatingPoint
    used: NDArray[np.intp]
    scale: FloatArray
    spread: Spread
    between: FloatArray
    noise: FloatArray
    step_s: float
    setting_scale: FloatArray
    facts: dict[str, float]


def check(histories: Sequence[History]) -> None:
    """Raises :class:`~core.errors.InvalidInputError` for histories that nothing can be learned from."""
    if not any(len(h) >= _LEAST_ROWS for h in histories):
        raise InvalidInputError(
            f"no history has {_LEAST_ROWS} rows", hint="normal behaviour is learned from healthy running, hours of it"
        )
    for i, h in enumerate(histories):
        if len(h.settings) != len(h) or len(h.sensors) != len(h):
            raise InvalidInputError(
                f"history {i}: ts, settings and sensors differ in length", hint="one row per moment"
            )
        if (np.diff(h.ts) <= 0).any():
            raise InvalidInputError(f"history {i} is not in order of time", hint="sort it, one row per moment")


def learn(model: NormalBehaviour, histories: Sequence[History]) -> Learned:
    """Operating point, scales, spread and differences between machines."""
    check(histories)
    kept = [thinned(h, model.every_s) for h in histories if len(h) >= 2]
    setting_scale = np.nanstd(np.concatenate([h.settings for h in kept]), axis=0)
    step_s = float(np.median(np.concatenate([np.diff(h.ts) for h in kept]))) / _US
    if model.calm_s:
        kept = [h for h in (calmed(h, setting_scale, model.calm, model.calm_s) for h in kept) if len(h) >= 2]
    operating, residuals, offsets = _expected(model, kept)
    inside = np.concatenate([r - o for r, o in zip(residuals, offsets, strict=True)])
    raw = np.concatenate([h.sensors for h in kept])
    used = np.flatnonzero([_moves(raw[:, j], inside[:, j]) for j in range(raw.shape[1])])
    if not len(used):
        raise InvalidInputError("no sensor moves in these histories", hint="are the columns the right ones?")
    scale = np.nanstd(inside[:, used], axis=0)
    grids = []
    for h, r, o in zip(kept, residuals, offsets, strict=True):
        grids += smoothed_grids(h.ts, (r[:, used] - o[used]) / scale, step_s, model.smooth_s, model.recentre_s)
    every = max(1, int(model.smooth_s / (_FINE * step_s)))
    white = _noise_left(step_s, model.smooth_s)
    found = spread(
        [g[::every] for g in grids], step_s * every, model.smooth_s, model.recentre_s, model.ridge * 2 * white
    )
    is_steady = found.stray < model.steady * white
    noise = np.where(is_steady, white, np.inf)
    if found.stretches >= _KNOWN_STRAYING:
        noise = np.maximum(2.0 * found.stray, white)
    apart = np.stack([o[used] / scale for o in offsets])
    between = apart.var(0)
    if len(kept) < _FEW_MACHINES:
        between = np.maximum(between, 1.0)
    facts = {
        "machines": float(len(kept)), "rows": float(len(raw)), "sensors": float(raw.shape[1]),
        "sensors_used": float(len(used)), "steady": float(np.isfinite(noise).sum()),
        "regimes": float(len(operating.regimes_.centres_)) if operating.regressor_ is None else 0.0,
        "stretches": found.stretches,
    }  # fmt: skip
    return Learned(operating, used, scale, found, between, noise, step_s, setting_scale, facts)


def calibrate(model: NormalBehaviour, histories: Sequence[History]) -> None:
    """Raise the limits to what healthy machines reach that the model had not seen; nothing if histories are short."""
    long = [h for h in histories if len(h) and (h.ts[-1] - h.ts[0]) / _US >= 2 * _LONG * model.smooth_s]
    if not long:
        model.each_limits_ = np.full(len(model.used_), np.inf)  # how far one sensor strays by itself is not known
        return
    if len(long) >= _HALVES:
        taught, judged = long[::2], [(h, 0) for h in long[1::2]]
    else:
        taught, judged = [h.part(slice(0, len(h) // 2)) for h in long], [(h, len(h) // 2) for h in long]
    if not any(len(h) >= _LEAST_ROWS for h in taught):
        return
    half = clone(model).set_params(calibrate=False).fit(taught)
    half.limits_ = np.full(2, _NO_LIMIT)  # all of it is healthy: nothing alarms, the baseline follows as it would
    half.each_limits_ = np.full(len(half.used_), _NO_LIMIT)
    reached: list[list[FloatArray]] = [[], []]
    each = np.zeros(len(half.scale_all_))
    for h, first in judged:
        scores = half.run(h)
        for found, level in zip(reached, (scores.t2, scores.q), strict=True):
            found.append(level[first:] * _NO_LIMIT)
        each = np.fmax(each, np.fmax.reduce(np.abs(scores.against[first:]), axis=0, initial=0.0))
    for k, found in enumerate(reached):
        values = np.concatenate(found)
        values = values[np.isfinite(values)]
        if len(values):
            model.limits_[k] = max(model.limits_[k], _ROOM * float(np.quantile(values, _REACHED)))
    model.each_limits_ = np.maximum(model.each_limits_, _ROOM_EACH * each[model.used_])
    model.metrics_["t_limit"], model.metrics_["q_limit"] = (float(x) for x in model.limits_)
    if np.isfinite(model.each_limit):
        model.metrics_["each_limit"] = float(np.median(model.each_limits_))


def thinned(history: History, every_s: float) -> History:
    """The rows that scoring would take: the first of each slot."""
    if every_s <= 0:
        return history
    slot = history.ts // int(every_s * _US)
    first = np.flatnonzero(np.diff(slot, prepend=slot[0] - 1) > 0)
    return History(history.ts[first], history.settings[first], history.sensors[first])


def calmed(history: History, scale: FloatArray, calm: float, calm_s: float) -> History:
    """The rows that scoring would take: those with settings like ``calm_s`` before."""
    with np.errstate(invalid="ignore"):
        moved = (np.abs(np.diff(history.settings, axis=0)) > calm * scale).any(axis=1)
    last = np.maximum.accumulate(np.where(np.append(True, moved), history.ts, history.ts[0]))
    kept = history.ts - last >= calm_s * _US
    return History(history.ts[kept], history.settings[kept], history.sensors[kept])


def smoothed_grids(
    ts: IntArray, residual: FloatArray, step_s: float, smooth_s: float, apart_s: float
) -> list[FloatArray]:
    """Smoothed residuals on an even grid, NaN where too little is known; a new grid after a gap of ``apart_s``."""
    grids = []
    cuts = np.flatnonzero(np.diff(ts) > apart_s * _US) + 1
    keep = float(np.exp(-step_s / smooth_s))
    for times, values in zip(np.split(ts, cuts), np.split(residual, cuts), strict=True):
        place = ((times - times[0]) / (step_s * _US) + 0.5).astype(np.intp)
        grid = np.full((int(place[-1]) + 1, values.shape[1]), np.nan)
        grid[place] = values
        known = np.isfinite(grid)
        total = scipy.signal.lfilter([1.0 - keep], [1.0, -keep], np.where(known, grid, 0.0), axis=0)
        weight = scipy.signal.lfilter([1.0 - keep], [1.0, -keep], known.astype(float), axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            grids.append(np.where(weight >= _FULL, total / weight, np.nan))
    return grids


def _noise_left(step_s: float, smooth_s: float) -> float:
    """Variance that white noise of variance 1 keeps under exponential smoothing."""
    keep = float(np.exp(-step_s / smooth_s))
    return (1.0 - keep) / (1.0 + keep)


def _expected(
    model: NormalBehaviour, histories: Sequence[History]
) -> tuple[OperatingPoint, list[FloatArray], list[FloatArray]]:
    """The operating point's part, learned within machines: what one machine always has over another is no effect of how
    it is driven. (fitted, residuals per machine, offset per machine)"""
    operating = OperatingPoint(model.regressor, random_state=model.random_state, beyond=model.beyond)
    settings = np.concatenate([h.settings for h in histories])
    offsets = [np.zeros(h.sensors.shape[1]) for h in histories]
    residuals: list[FloatArray] = []
    for turn in range(1 if len(histories) == 1 else 3):
        within = np.concatenate([h.sensors - o for h, o in zip(histories, offsets, strict=True)])
        operating.fit(settings, within, again=turn > 0)
        residuals = [h.sensors - operating.expected(h.settings) for h in histories]
        offsets = [np.array([_centre(column) for column in r.T]) for r in residuals]
    return operating, residuals, offsets


def _centre(column: FloatArray) -> float:
    known = column[np.isfinite(column)]
    return float(known.mean()) if len(known) else 0.0


def _moves(raw: FloatArray, inside: FloatArray) -> bool:
    known = raw[np.isfinite(raw)]
    if len(np.unique(known[: 100 * _LEAST_ROWS])) < _LEAST_VALUES and len(np.unique(known)) < _LEAST_VALUES:
        return False
    return bool(np.nanstd(inside) > 1e-9 * (1.0 + abs(float(known.mean()))))
