"""Two probes at one bearing: orbit, full spectrum, centreline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from models.vibration.spectra import Spectrum, window

FloatArray = NDArray[np.float64]

PROBE_SCALE = 7.87
"""V per mm of a usual eddy-current probe (API 670: 200 mV per mil); the gap's voltage falls as the gap grows."""


@dataclass(frozen=True, slots=True, eq=False)
class Orbit:
    """``x``, ``y`` [n] horizontal, vertical in the probes' unit; ``marks``: samples at which the key phasor passed."""

    x: FloatArray
    y: FloatArray
    marks: NDArray[np.int64]


def orbit(
    x: NDArray[np.floating], y: NDArray[np.floating], angle: FloatArray | None = None, *, mounted: float = 45.0
) -> Orbit:
    """The path of the shaft. Probes stand ``mounted`` degrees left (y) and right (x) of the vertical, as API 670 has
    them; 90 leaves them as they are (x horizontal, y vertical)."""
    a = np.asarray(x, dtype=np.float64) - np.mean(x)
    b = np.asarray(y, dtype=np.float64) - np.mean(y)
    turned = np.radians(90 - mounted) if mounted != 90 else 0.0
    horizontal = a * np.cos(turned) - b * np.sin(turned)
    vertical = a * np.sin(turned) + b * np.cos(turned)
    marks = np.empty(0, dtype=np.int64)
    if angle is not None:
        whole = np.floor(angle)
        marks = np.flatnonzero(np.diff(whole) > 0) + 1
    return Orbit(horizontal, vertical, marks)


def full_spectrum(x: NDArray[np.floating], y: NDArray[np.floating], rate: float) -> Spectrum:
    """Forward (positive Hz, with rotation from x to y) and reverse precession (negative), amplitude zero to peak."""
    z = np.asarray(x, dtype=np.float64) + 1j * np.asarray(y, dtype=np.float64)
    w = window("flattop", len(z))
    amplitude = np.abs(fft.fft((z - z.mean()) * w)) / w.sum()
    frequency = fft.fftfreq(len(z), 1 / rate)
    sequence = np.argsort(frequency)
    bandwidth = rate * float((w**2).sum()) / float(w.sum()) ** 2
    return Spectrum(frequency[sequence], amplitude[sequence], bandwidth, 1)


def precession(x: NDArray[np.floating], y: NDArray[np.floating], rate: float, frequency: float) -> tuple[float, float]:
    """(forward, reverse) amplitude of one line: whirl runs forward, rub often backward."""
    z = (np.asarray(x, dtype=np.float64) - np.mean(x)) + 1j * (np.asarray(y, dtype=np.float64) - np.mean(y))
    w = window("hann", len(z))
    turn = np.exp(-2j * np.pi * frequency / rate * np.arange(len(z)))
    return float(abs(np.dot(w * z, turn)) / w.sum()), float(abs(np.dot(w * z, np.conj(turn))) / w.sum())


def centreline(
    gap_x: NDArray[np.floating],
    gap_y: NDArray[np.floating],
    rest: tuple[float, float],
    *,
    scale: float = PROBE_SCALE,
    mounted: float = 45.0,
) -> tuple[FloatArray, FloatArray]:
    """(horizontal, vertical) mean position of the shaft in µm from where it rested, from DC gap voltages in V."""
    x = (np.asarray(gap_x, dtype=np.float64) - rest[0]) / scale * 1000
    y = (np.asarray(gap_y, dtype=np.float64) - rest[1]) / scale * 1000
    # a smaller gap is a higher (less negative) voltage: the shaft came towards that probe
    turned = np.radians(90 - mounted) if mounted != 90 else 0.0
    return x * np.cos(turned) - y * np.sin(turned), x * np.sin(turned) + y * np.cos(turned)
