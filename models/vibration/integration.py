"""From acceleration to velocity to displacement and back, with the high-pass that integration needs.

Integration divides by 2πf: what is noise near 0 Hz would drown everything. The high-pass has the amplitude of a
Butterworth filter of order 4 (-3 dB at its corner, as ISO 2954 has it) and no phase.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from core.errors import InvalidInputError
from models.vibration.spectra import Spectrum

FloatArray = NDArray[np.float64]

QUANTITIES: Final = ("displacement", "velocity", "acceleration")

_UNITS: Final[dict[str, tuple[str, float]]] = {
    "m/s2": ("acceleration", 1.0),
    "m/s²": ("acceleration", 1.0),
    "mm/s2": ("acceleration", 1e-3),
    "g": ("acceleration", 9.80665),
    "[g]": ("acceleration", 9.80665),
    "m/s": ("velocity", 1.0),
    "mm/s": ("velocity", 1e-3),
    "[in_i]/s": ("velocity", 0.0254),
    "in/s": ("velocity", 0.0254),
    "m": ("displacement", 1.0),
    "mm": ("displacement", 1e-3),
    "um": ("displacement", 1e-6),
    "µm": ("displacement", 1e-6),
    "mil": ("displacement", 25.4e-6),
}

TRADE: Final = {"acceleration": ("m/s2", 1.0), "velocity": ("mm/s", 1e3), "displacement": ("um", 1e6)}
"""Unit a quantity is told in, and how many of it are one SI unit."""


_KEPT: Final = 1 << 18
"""Bins' worth of a filter that is kept: 1 MB each."""


def quantity(unit: str) -> tuple[str, float] | None:
    """(acceleration, velocity or displacement; SI units per unit), or None for what is no vibration (V, 1, …).

    >>> quantity("mm/s")
    ('velocity', 0.001)
    """
    return _UNITS.get(unit)


def highpass_for(speed: float) -> float:
    """Hz from which on broad-band vibration is judged: 10, or 2 at and below 600 r/min (ISO 20816-3); NaN: 10."""
    return 2.0 if speed <= 600 else 10.0


def response(frequency: NDArray[np.floating], highpass: float, lowpass: float | None = None) -> FloatArray:
    """Amplitude of the band's filter at frequencies in Hz."""
    f2 = np.square(frequency)
    f8 = np.square(np.square(f2))
    gain = np.sqrt(f8 / (f8 + highpass**8))
    if lowpass is not None:
        gain = gain / np.sqrt(1 + f8 / lowpass**8)
    return np.asarray(gain)


def integrate(
    samples: NDArray[np.floating],
    rate: float,
    times: int,
    *,
    highpass: float = 10.0,
    lowpass: float | None = None,
) -> FloatArray:
    """``samples`` [..., n] integrated ``times`` (1, 2; -1, -2 differentiates), high-passed at Hz; SI in, SI out.

    The ends are continued by their mirror image and faded, so that a record of any length integrates without ringing;
    within three periods of the high-pass of an end, amplitudes are less exact.
    """
    return integrals(samples, rate, ((times, lowpass),), highpass=highpass)[0]


def integrals(
    samples: NDArray[np.floating], rate: float, wanted: tuple[tuple[int, float | None], ...], *, highpass: float = 10.0
) -> list[FloatArray]:
    """Several integrals (times, low-pass in Hz or None) of one signal for one forward transform; see
    :func:`integrate`."""
    x = np.asarray(samples, dtype=np.float64)
    n = x.shape[-1]
    if not 0 < highpass < rate / 2:
        raise InvalidInputError(f"a high-pass of {highpass:g} Hz does not fit a rate of {rate:g} Hz")
    x = x - x.mean(axis=-1, keepdims=True)
    pad = min(n - 1, int(np.ceil(3 * rate / highpass)))
    fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(pad) + 0.5) / pad)
    # mirrored, not turned over: a turned-over end would add an offset, which integration blows up
    head = x[..., pad:0:-1] * fade
    tail = x[..., -2 : -pad - 2 : -1] * fade[::-1]
    full = np.concatenate([head, x, tail], axis=-1)
    size = fft.next_fast_len(full.shape[-1], real=True)
    transform = fft.rfft(full, size, axis=-1)
    found = []
    for times, lowpass in wanted:
        gain = (_gain if size <= _KEPT else _gain.__wrapped__)(size, rate, times, highpass, lowpass)
        turned = np.asarray(transform * gain, dtype=np.complex128)
        turned *= _turn(times)
        found.append(np.asarray(fft.irfft(turned, size, axis=-1)[..., pad : pad + n]))
    return found


@lru_cache(maxsize=8)
def _gain(size: int, rate: float, times: int, highpass: float, lowpass: float | None) -> FloatArray:
    """Amplitude at each bin; machines are measured with the same settings again and again."""
    f = np.arange(size // 2 + 1) * (rate / size)
    gain = response(f, highpass, lowpass)
    gain[1:] *= (2 * np.pi * f[1:]) ** float(-times)
    gain.setflags(write=False)
    return gain


def _turn(times: int) -> complex:
    """1/j to a power: -j, -1, j, 1, …"""
    return complex((1, -1j, -1, 1j)[times % 4])


def convert(found: Spectrum, unit: str, wanted: str, *, highpass: float = 0.0) -> Spectrum:
    """A spectrum in ``unit`` as acceleration, velocity or displacement in trade units (:data:`TRADE`)."""
    known = quantity(unit)
    if known is None:
        raise InvalidInputError(f"{unit!r} is no unit of vibration", hint="m/s2, g, mm/s, um, …")
    kind, factor = known
    times = QUANTITIES.index(kind) - QUANTITIES.index(wanted)
    f = found.frequency
    gain = np.zeros_like(f)
    gain[1:] = (2 * np.pi * f[1:]) ** (-float(times))
    if highpass > 0:
        gain = gain * response(f, highpass)
    amplitude = found.amplitude * (gain * factor * TRADE[wanted][1])
    return Spectrum(f, amplitude, found.noise_bandwidth, found.averages, found.scale)


def band_rms(found: Spectrum, unit: str, wanted: str, *, low: float = 10.0, high: float = 1000.0) -> float:
    """Broad-band RMS in trade units, e.g. velocity in mm/s between 10 and 1000 Hz, of one channel's spectrum."""
    converted = convert(found, unit, wanted)
    return float(converted.rms(low, min(high, float(found.frequency[-1]))))
