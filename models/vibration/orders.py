"""The shaft's angle, and signals seen along it: order tracking, 1×, 2× vectors, time-synchronous average.

Angles are in turns of the shaft. A phase is told as a *lag* in degrees, as API 670 has it: how far the shaft turns from
the key phasor's pulse until the vibration is at its maximum.
Resampling by angle: Fyfe and Munck 1997; time-synchronous average: Braun 1975, McFadden 1987.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import fft

from core.errors import InvalidInputError
from models.vibration.spectra import Spectrum, window

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """Amplitude (zero to peak) and phase lag in degrees [0, 360) of one order."""

    order: float
    amplitude: float
    phase: float

    @property
    def phasor(self) -> complex:
        """``amplitude · e^{-j·lag}``: what is added and subtracted."""
        return complex(self.amplitude * np.exp(-1j * np.radians(self.phase)))

    @classmethod
    def of(cls, order: float, value: complex) -> Vector:
        return cls(order, abs(value), float(-np.degrees(np.angle(value)) % 360))


def pulse_times(tacho: NDArray[np.floating], rate: float, *, rising: bool = True) -> FloatArray:
    """Seconds at which a tacho passes the middle of its range, between samples; with hysteresis of a quarter range.

    Levels are taken where the signal mostly is, so single spikes make no pulse. Empty where there are no pulses.
    """
    x = np.asarray(tacho, dtype=np.float64)
    if not rising:
        x = -x
    low, high = np.quantile(x, [0.002, 0.998])
    if not np.isfinite(high - low) or high <= low:
        return np.empty(0)
    middle, reach = (low + high) / 2, (high - low) / 8
    state = np.where(x > middle + reach, 1, np.where(x < middle - reach, -1, 0))
    known = np.flatnonzero(state)
    if len(known) < 2:
        return np.empty(0)
    flips = np.flatnonzero((state[known][1:] == 1) & (state[known][:-1] == -1))
    times = np.empty(len(flips))
    for i, k in enumerate(flips):
        a, b = known[k], known[k + 1]
        part = x[a : b + 1]
        j = a + int(np.argmax(part[1:] >= middle))
        times[i] = (j + (middle - x[j]) / (x[j + 1] - x[j])) / rate
    return times


def angle_from_pulses(pulses: FloatArray, samples: int, rate: float, per_turn: int = 1) -> FloatArray:
    """Turns at each sample [n]; zero at the first pulse, NaN outside the pulses. Needs three pulses."""
    if len(pulses) < 3:
        raise InvalidInputError(
            f"{len(pulses)} pulses are too few to know the shaft's angle", hint="look at the tacho, or give the speed"
        )
    t = np.arange(samples) / rate
    turns = np.arange(len(pulses)) / per_turn
    spline: Any = scipy.interpolate
    if len(pulses) > 40 * per_turn:
        # a rotor's inertia makes its speed smooth; a pulse's edge is only known to a sample: a spline with a knot each
        # eight pulses averages that out
        each = 8 * per_turn
        knots = np.concatenate([[pulses[0]] * 4, pulses[each:-each:each], [pulses[-1]] * 4])
        along = spline.make_lsq_spline(pulses, turns, knots, k=3)
    else:
        along = spline.CubicSpline(pulses, turns) if len(pulses) > 8 else spline.PchipInterpolator(pulses, turns)
    angle = np.asarray(along(t), dtype=np.float64)
    angle[(t < pulses[0]) | (t > pulses[-1])] = np.nan
    return angle


def angle_from_speed(speed: float | NDArray[np.floating], samples: int, rate: float) -> FloatArray:
    """Turns at each sample from r/min, constant or [n]; the phase has no reference then."""
    if np.ndim(speed) == 0:
        return np.asarray(float(speed) / 60 / rate * np.arange(samples))
    per_sample = np.asarray(speed, dtype=np.float64) / 60 / rate
    return np.concatenate([[0.0], np.cumsum((per_sample[1:] + per_sample[:-1]) / 2)])


def speed_of(angle: FloatArray, rate: float) -> FloatArray:
    """r/min at each sample of an angle."""
    return np.asarray(np.gradient(angle) * rate * 60)


def by_angle(samples: NDArray[np.floating], angle: FloatArray, per_turn: int) -> tuple[FloatArray, int]:
    """(samples at equal steps of angle [turns · per_turn], first whole turn), whole turns only.

    The signal is taken as a cubic spline through its samples: good to 1 % up to a tenth of the sampling rate.
    """
    known = np.flatnonzero(np.isfinite(angle))
    if len(known) < 4:
        raise InvalidInputError("the shaft's angle is not known")
    a = angle[known[0] : known[-1] + 1]
    x = np.asarray(samples, dtype=np.float64)[known[0] : known[-1] + 1]
    first, last = int(np.ceil(a[0] - 1e-9)), int(np.floor(a[-1] + 1e-9))
    if last <= first:
        raise InvalidInputError("the record is shorter than one turn")
    wanted = first + np.arange((last - first) * per_turn) / per_turn
    where = np.interp(wanted, a, np.arange(len(a)))
    return np.asarray(scipy.interpolate.CubicSpline(np.arange(len(x)), x)(where)), first


def order_spectrum(samples: NDArray[np.floating], angle: FloatArray, *, per_turn: int = 64) -> Spectrum:
    """Amplitude (zero to peak) over orders; ``frequency`` is in orders of the shaft."""
    turned, _ = by_angle(samples, angle, per_turn)
    w = window("flattop", len(turned))
    amplitude = np.abs(fft.rfft((turned - turned.mean()) * w)) * 2 / w.sum()
    amplitude[0] = 0.0
    bandwidth = per_turn * float((w**2).sum()) / float(w.sum()) ** 2
    return Spectrum(fft.rfftfreq(len(turned), 1 / per_turn), amplitude, bandwidth, 1)


def vector(samples: NDArray[np.floating], angle: FloatArray, order: float) -> Vector:
    """The vector of one order over the whole record: a Hann-weighted fit along the angle, mirror image taken out."""
    known = np.isfinite(angle)
    a, x = angle[known], np.asarray(samples, dtype=np.float64)[known]
    if len(a) < 8 or abs(a[-1] - a[0]) * order < 1:
        raise InvalidInputError(f"less than one period of order {order:g}")
    return Vector.of(order, fitted(a, x, order))


def fitted(angle: FloatArray, samples: FloatArray, order: float) -> complex:
    """``A·e^{-j·lag}`` (zero to peak) by least squares over a stretch; several orders must not lie too close."""
    w = window("hann", len(angle))
    step = np.gradient(angle)  # equal weight per angle, not per time, where the speed changes
    weight = w * np.abs(step)
    turn = np.exp(-2j * np.pi * order * angle)
    x = samples - np.average(samples, weights=weight)
    found, leak, whole = np.dot(weight * x, turn), np.dot(weight, turn**2), weight.sum()
    # cos(θ - lag) has the phasor e^{-j·lag}
    return complex(2 * (whole * found - leak * np.conj(found)) / (whole**2 - abs(leak) ** 2))


def synchronous_average(
    samples: NDArray[np.floating], angle: FloatArray, *, per_turn: int = 1024
) -> tuple[FloatArray, int]:
    """(one turn [per_turn], number of turns averaged): what repeats with the shaft remains, all else falls off."""
    turned, _ = by_angle(samples, angle, per_turn)
    turns = turned.reshape(-1, per_turn)
    return turns.mean(axis=0), len(turns)
