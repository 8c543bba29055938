"""One closing of a passenger door, 5 ms by 5 ms, for many doors at once.

``M·dv/dt = kF·i − Fc·sgn v − b·v − Fs(x)`` with a speed loop ``kF·i = 600·e + 2500·∫e``, |i| ≤ 4 A, towards 0.36 m/s,
and 0.10 m/s over the last 0.10 m of 0.68 m. The speed loop hides friction: current tells first, closing time last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.contract import FloatArray

STEP_S: Final = 0.005
MASS: Final = 100.0
"""kg: leaves and drive."""
DAMPING: Final = 60.0
FORCE_PER_AMPERE: Final = 65.0
LARGEST_CURRENT: Final = 4.0
WAY: Final = 0.68
CREEP_WAY: Final = 0.10
FAST: Final = 0.36
CREEP: Final = 0.10
RAMP: Final = 0.72
"""m/s²: how the wanted speed begins."""
FRICTION: Final = 45.0
"""N, new and at 20 °C."""
SEAL: Final = 90.0
TIME_OUT_S: Final = 12.0
_WINDING: Final = 2.0
"""Ω"""


@dataclass(frozen=True, slots=True)
class Strokes:
    """Of each closing: s, A, A, A·s, W, A; ``closed`` False where it stalled."""

    time: FloatArray
    peak: FloatArray
    mean: FloatArray
    charge: FloatArray
    power: FloatArray
    ripple: FloatArray
    closed: FloatArray


def stiffness(celsius: FloatArray) -> FloatArray:
    """Friction against that at 20 °C: 0.8 % more per kelvin below."""
    return 1.0 + 0.008 * np.maximum(20.0 - celsius, 0.0)


def close(friction: FloatArray, roller: FloatArray, obstacle: FloatArray) -> Strokes:
    """Closings with ``friction`` times that of a new door at 20 °C.

    ``roller``: share of the friction that a broken roller adds every 0.12 m; ``obstacle`` N against the door
    between 0.30 and 0.36 m. Nobody opens again here: that is the door's control, not its mechanics.
    """
    n = len(friction)
    x, v, integral = np.zeros(n), np.zeros(n), np.zeros(n)
    time, peak, charge, energy = np.full(n, np.nan), np.zeros(n), np.zeros(n), np.zeros(n)
    running, count, total, square = np.ones(n, np.bool_), np.zeros(n), np.zeros(n), np.zeros(n)
    coulomb = FRICTION * friction
    for k in range(round(TIME_OUT_S / STEP_S)):
        error = np.where(x < WAY - CREEP_WAY, min(FAST, RAMP * k * STEP_S), CREEP) - v
        wanted = (600.0 * error + 2500.0 * integral) / FORCE_PER_AMPERE
        current = np.clip(wanted, -LARGEST_CURRENT, LARGEST_CURRENT)
        # the integral stands still where the current is at its end: else it winds up
        integral += np.where(wanted == current, error * STEP_S, 0.0)
        rough = coulomb * (1.0 + roller * (np.sin(2 * np.pi * x / 0.12) > 0.6))
        against = rough + np.maximum(SEAL * (x - 0.63) / 0.05, 0.0) + obstacle * ((x > 0.30) & (x < 0.36))
        drive = FORCE_PER_AMPERE * current - DAMPING * v
        force = np.where((v > 1e-4) | (drive > against), drive - against, 0.0)
        v = np.maximum(v + force / MASS * STEP_S, 0.0)
        x = x + v * STEP_S
        live = running * STEP_S
        peak = np.where(running, np.maximum(peak, current), peak)
        charge += np.abs(current) * live
        energy += (np.abs(current * FORCE_PER_AMPERE * v) + _WINDING * current**2) * live
        steady = running & (x > 0.32) & (x < 0.57)
        count += steady
        total += np.where(steady, current, 0.0)
        square += np.where(steady, current**2, 0.0)
        arrived = running & (x >= WAY)
        time[arrived] = (k + 1) * STEP_S
        running &= ~arrived
        if not running.any():
            break
    closed = ~np.isnan(time)
    time = np.where(closed, time, TIME_OUT_S)
    middle = total / np.maximum(count, 1.0)
    ripple = np.sqrt(np.maximum(square / np.maximum(count, 1.0) - middle**2, 0.0))
    return Strokes(time, peak, charge / time, charge, energy / time, ripple, closed.astype(np.float64))
