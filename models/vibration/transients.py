"""Run-ups and coast-downs: vectors over speed, slow roll, critical speed and amplification factor.

Bode and polar plots are the same data: complex vectors over speed. Amplification factor: API 684 (half-power method)
and the fit of a single-mass rotor, ``d = c + a·r²/(1 - r² + 2jζr)``, ``r = N/Nc``, which also holds for a well-damped
critical, where the half-power points are no longer symmetrical.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from core.errors import InvalidInputError
from models.vibration.orders import fitted

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """What a run-up or coast-down leaves behind: ``speed`` [k] r/min ascending in time, ``vectors`` [orders, k]
    (``A·e^{-j·lag}``, zero to peak), ``overall`` [k] peak to peak, ``time`` [k] s."""

    time: FloatArray
    speed: FloatArray
    orders: tuple[float, ...]
    vectors: ComplexArray
    overall: FloatArray

    def of(self, order: float) -> ComplexArray:
        """[k] of one order."""
        return np.asarray(self.vectors[self.orders.index(order)])


@dataclass(frozen=True, slots=True)
class Critical:
    """A critical speed. ``peak_speed`` is where the compensated 1× is highest (API 684's critical speed), ``speed`` the
    undamped one of the fit, both r/min; ``amplification`` = 1/(2ζ) by the fit, ``half_power`` = N/(N2 - N1);
    ``peak`` amplitude zero to peak; ``fit`` share of the response that the fit explains."""

    speed: float
    peak_speed: float
    peak: float
    damping: float
    amplification: float
    half_power: float
    fit: float


def capture(
    samples: NDArray[np.floating],
    angle: FloatArray,
    rate: float,
    *,
    orders: tuple[float, ...] = (1.0, 2.0),
    step_speed: float = 25.0,
    step_time: float = 2.0,
    turns: int = 16,
) -> Start:
    """Vectors each ``step_speed`` r/min or ``step_time`` s, whichever comes first, each over ``turns`` turns.

    ``angle`` [n] in turns from a tacho; where it is NaN nothing is captured. While the speed changes fast, fewer turns
    are taken (at least 4), so that the speed within one vector changes by less than ``2·step_speed``.
    """
    x = np.asarray(samples, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(angle))
    if len(known) < 8:
        raise InvalidInputError("the shaft's angle is not known", hint="a transient needs a tacho")
    lo, hi = int(known[0]), int(known[-1]) + 1
    a, x = angle[lo:hi], x[lo:hi]
    first, last = int(np.ceil(a[0])), int(np.floor(a[-1]))
    marks = np.interp(np.arange(first, last + 1), a, np.arange(len(a)))  # sample at which each turn begins
    if len(marks) < 5:
        raise InvalidInputError("fewer than four turns", hint="a transient needs more")
    per_turn = 60 * rate / np.diff(marks)  # r/min of each turn
    rows: list[tuple[float, float, float, list[complex]]] = []
    last_speed, last_time = np.inf, -np.inf
    for k in range(len(per_turn)):
        now, speed = marks[k] / rate, per_turn[k]
        if abs(speed - last_speed) < step_speed and now - last_time < step_time:
            continue
        before = per_turn[max(0, k - 2) : k + 3]
        change = abs(before[-1] - before[0]) / max(1, len(before) - 1)  # r/min per turn
        use = int(np.clip(2 * step_speed / change if change > 0 else turns, 4, turns))
        i, j = max(0, k - use // 2), min(len(per_turn), k - use // 2 + use)
        if j - i < 4:
            continue
        s, e = int(np.ceil(marks[i])), int(marks[j])
        part, along = x[s:e], a[s:e]
        if len(part) < 16:
            continue
        middle = (s + e) / 2 / rate
        rows.append(
            (
                middle + lo / rate,
                float((along[-1] - along[0]) / (len(along) - 1) * rate * 60),
                float(np.ptp(part)),
                [fitted(along, part, order) for order in orders],
            )
        )
        last_speed, last_time = speed, now
    if not rows:
        raise InvalidInputError("no stretch of four turns could be evaluated")
    return Start(
        np.array([r[0] for r in rows]),
        np.array([r[1] for r in rows]),
        orders,
        np.array([r[3] for r in rows], dtype=np.complex128).T,
        np.array([r[2] for r in rows]),
    )


def is_transient(speed: FloatArray, seconds: float, *, share: float = 0.02) -> bool:
    """Whether r/min over ``seconds`` ran away by more than a share: then no steady-state limit applies."""
    s = np.asarray(speed, dtype=np.float64)
    s = s[np.isfinite(s)]
    if len(s) < 2 or seconds <= 0:
        return False
    third = max(1, len(s) // 3)
    first, last = float(np.median(s[:third])), float(np.median(s[-third:]))
    return abs(last - first) > share * max(abs(first), abs(last))


def slow_roll(start: Start, below: float, *, order: float = 1.0) -> complex:
    """The run-out vector: what is left at 0 r/min of what is seen below ``below`` r/min.

    There the shaft bends with the square of the speed and hardly; that part is fitted and left out.
    """
    slow = start.speed < below
    if not slow.any():
        raise InvalidInputError(f"nothing was captured below {below:g} r/min", hint="begin the capture at slow roll")
    v, n = start.of(order)[slow], start.speed[slow]
    if len(n) < 6 or n.max() < 1.5 * n.min():
        return complex(np.median(v.real) + 1j * np.median(v.imag))
    design = np.stack([np.ones_like(n), (n / below) ** 2], axis=1)
    coefficients, *_ = np.linalg.lstsq(design.astype(np.complex128), v, rcond=None)
    return complex(coefficients[0])


def compensate(start: Start, runout: complex, *, order: float = 1.0) -> Start:
    """The same start without the run-out vector in one order."""
    vectors = start.vectors.copy()
    vectors[start.orders.index(order)] -= runout
    return Start(start.time, start.speed, start.orders, vectors, start.overall)


def critical(start: Start, *, order: float = 1.0) -> Critical | None:
    """The strongest critical speed passed, or None where nothing of the kind is seen.

    The start should be compensated for run-out; what remains of it is part of the fit.
    """
    sequence = np.argsort(start.speed)
    n, v = start.speed[sequence], start.of(order)[sequence]
    if len(n) < 12 or np.ptp(n) < 0.2 * n[-1]:
        return None
    amplitude = np.abs(v)
    smooth = np.convolve(np.pad(amplitude, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    inside = np.flatnonzero((n > n[0] * 1.1) & (n < n[-1] * 0.97))
    if not len(inside):
        return None
    k = int(inside[np.argmax(smooth[inside])])
    ends = max(float(np.median(smooth[:5])), float(np.median(smooth[-5:])))
    if k in (inside[0], inside[-1]) or ends > 0.87 * smooth[k]:
        return None  # a rise towards the end of the range is no passage
    peak_speed, peak = _vertex(n, amplitude, k)
    half = _half_power(n, smooth, k, peak)
    near = (n > 0.35 * peak_speed) & (n < 1.9 * peak_speed)
    speed, damping, explained = _fit(n[near], v[near], peak_speed)
    if explained < 0.6:
        return None
    if damping < 0.5:
        peak_speed = 0.5 * peak_speed + 0.5 * speed / float(np.sqrt(1 - 2 * damping**2))
    return Critical(speed, peak_speed, peak, damping, 1 / (2 * damping), half, explained)


def _vertex(n: FloatArray, amplitude: FloatArray, k: int) -> tuple[float, float]:
    near = slice(max(0, k - 3), k + 4)
    if len(n[near]) < 4:
        return float(n[k]), float(amplitude[k])
    c, b, a = np.polynomial.polynomial.polyfit(n[near] - n[k], amplitude[near], 2)
    if a >= 0:
        return float(n[k]), float(amplitude[k])
    offset = float(np.clip(-b / (2 * a), n[near][0] - n[k], n[near][-1] - n[k]))
    return float(n[k] + offset), float(c + b * offset + a * offset**2)


def _half_power(n: FloatArray, amplitude: FloatArray, k: int, peak: float) -> float:
    """N/(N2 - N1) at 0.707 of the peak; where one side is not reached, twice the other; NaN where neither is."""
    level = peak / np.sqrt(2)
    below, above = np.flatnonzero(amplitude[:k] < level), np.flatnonzero(amplitude[k:] < level)
    left = right = np.nan
    if len(below):
        i = below[-1]
        left = float(n[k] - np.interp(level, amplitude[i : i + 2], n[i : i + 2]))
    if len(above):
        i = k + above[0]
        right = float(np.interp(-level, -amplitude[i - 1 : i + 1], n[i - 1 : i + 1]) - n[k])
    width = np.nansum([left, right]) * (2 if np.isnan(left) != np.isnan(right) else 1)
    return float(n[k] / width) if width > 0 else float("nan")


def _fit(n: FloatArray, v: ComplexArray, guess: float) -> tuple[float, float, float]:
    """(undamped critical speed, damping ratio, share explained) of a single-mass rotor plus a constant vector."""

    def parts(p: FloatArray) -> ComplexArray:
        r = n / (p[0] * guess)
        shape = r**2 / (1 - r**2 + 2j * np.exp(p[1]) * r)
        design = np.stack([shape, np.ones_like(shape)], axis=1)
        coefficients, *_ = np.linalg.lstsq(design, v, rcond=None)
        return np.asarray(v - design @ coefficients)

    def residual(p: FloatArray) -> FloatArray:
        e = parts(p)
        return np.concatenate([e.real, e.imag])

    scale = float(np.sum(np.abs(v - v.mean()) ** 2)) or 1.0
    best: tuple[float, Any] | None = None
    for damping in (0.03, 0.1, 0.25):
        bounds = ([0.8, np.log(0.004)], [1.2, np.log(1.0)])
        found = scipy.optimize.least_squares(residual, [1.0, np.log(damping)], bounds=bounds)
        if best is None or found.cost < best[0]:
            best = (float(found.cost), found.x)
    assert best is not None
    return float(best[1][0] * guess), float(np.exp(best[1][1])), 1 - 2 * best[0] / scale


def compare(now: Start, reference: Start, *, order: float = 1.0) -> tuple[FloatArray, ComplexArray, ComplexArray]:
    """(r/min [k], now, reference) on the speeds both passed: the overlay on a reference start."""
    low = max(now.speed.min(), reference.speed.min())
    high = min(now.speed.max(), reference.speed.max())
    if high <= low:
        raise InvalidInputError("the two starts have no speeds in common")
    grid = np.linspace(low, high, 200)
    return grid, _along(now, order, grid), _along(reference, order, grid)


def growth(now: Start, reference: Start, *, order: float = 1.0) -> float:
    """By what factor the response to unbalance has grown since the reference start: 2 where it has doubled.

    The least-squares ratio of the magnitudes over all speeds in common; compensate both starts for run-out first.
    """
    _, a, b = compare(now, reference, order=order)
    below = float(np.sum(np.abs(b) ** 2))
    if below == 0:
        raise InvalidInputError("the reference start has no vibration at this order")
    return float(np.sum(np.abs(a) * np.abs(b)) / below)


def _along(start: Start, order: float, grid: FloatArray) -> ComplexArray:
    sequence = np.argsort(start.speed)
    n, v = start.speed[sequence], start.of(order)[sequence]
    return np.asarray(np.interp(grid, n, v.real) + 1j * np.interp(grid, n, v.imag))
