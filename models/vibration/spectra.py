"""Spectra whose amplitudes are right, and single lines measured between the bins.

Amplitudes are those of a sine (zero to peak) unless said otherwise; a phase is that of a cosine at the first sample.
Windows and their bandwidths: Harris 1978, *On the use of windows for harmonic analysis with the discrete Fourier
transform*; averaging: Welch 1967.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import fft

from core.errors import InvalidInputError

FloatArray = NDArray[np.float64]

SCALES: Final = {"peak": 1.0, "rms": 2**-0.5, "pp": 2.0}
"""What an amplitude is told as, times the amplitude zero to peak."""


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """``amplitude`` [bins] (or [channels, bins]) at ``frequency`` [bins] in Hz.

    ``noise_bandwidth`` of the window is in Hz: a band's power is the sum of squares over it (:meth:`rms`).
    """

    frequency: FloatArray
    amplitude: FloatArray
    noise_bandwidth: float
    averages: int
    scale: str = "peak"

    @property
    def step(self) -> float:
        """Hz between bins."""
        return float(self.frequency[1] - self.frequency[0])

    def rms(self, low: float, high: float) -> float | FloatArray:
        """Root of the power between two frequencies, in the signal's unit, of a tone and of noise alike."""
        inside = (self.frequency >= low) & (self.frequency < high)
        peak = self.amplitude[..., inside] / SCALES[self.scale]
        found = np.sqrt(np.sum(peak**2, axis=-1) / 2 * self.step / self.noise_bandwidth)
        return float(found) if np.ndim(found) == 0 else np.asarray(found)


@dataclass(frozen=True, slots=True)
class Line:
    """One sine in a signal: Hz, amplitude zero to peak, phase of the cosine at the first sample in degrees."""

    frequency: float
    amplitude: float
    phase: float

    @property
    def vector(self) -> complex:
        """Amplitude and phase as one number."""
        return complex(self.amplitude * np.exp(1j * np.radians(self.phase)))


@lru_cache(maxsize=32)
def window(name: str, length: int) -> FloatArray:
    """A periodic window of a length, by name; cached, so not to be written to."""
    made = np.asarray(scipy.signal.get_window(name, length), dtype=np.float64)
    made.setflags(write=False)
    return made


def spectrum(
    samples: NDArray[np.floating],
    rate: float,
    *,
    resolution: float | None = None,
    name: str = "flattop",
    overlap: float = 0.5,
    scale: str = "peak",
) -> Spectrum:
    """Averaged amplitude spectrum of ``samples`` [n] or [channels, n] at ``rate`` Hz.

    ``resolution`` is the step between bins (default: the whole record at once). Powers are averaged over segments that
    overlap. With ``flattop`` a line between two bins loses less than 0.2 % of its amplitude (``hann``: 15 %, but lines
    closer together are still told apart). Raises if there are fewer than 16 samples.

    >>> t = np.arange(4096) / 1024
    >>> found = spectrum(3 * np.cos(2 * np.pi * 100.125 * t), 1024)
    >>> float(round(found.amplitude.max(), 2))
    3.0
    """
    x = np.asarray(samples, dtype=np.float64)
    n = x.shape[-1]
    if n < 16:
        raise InvalidInputError(f"{n} samples are too few for a spectrum", hint="at least 16")
    length = n if resolution is None else int(min(n, max(16, round(rate / resolution))))
    step = max(1, round(length * (1 - overlap)))
    w = window(name, length)
    power, count = np.zeros((*x.shape[:-1], length // 2 + 1)), 0
    for start in range(0, n - length + 1, step):
        part = x[..., start : start + length]
        power += np.abs(fft.rfft((part - part.mean(axis=-1, keepdims=True)) * w, axis=-1)) ** 2
        count += 1
    amplitude = np.sqrt(power / count) * (2 / w.sum()) * SCALES[scale]
    amplitude[..., 0] = 0.0
    bandwidth = rate * float((w**2).sum()) / float(w.sum()) ** 2
    return Spectrum(fft.rfftfreq(length, 1 / rate), amplitude, bandwidth, count, scale)


def line(samples: NDArray[np.floating], rate: float, near: float, *, within: float | None = None) -> Line:
    """The strongest line within ``within`` Hz (default two bins) of ``near``, measured between the bins.

    Frequency from the two highest bins under a Hann window (Grandke 1983), then amplitude and phase by the windowed
    transform at that frequency, with the line's own mirror image taken out. Two lines closer than four bins disturb
    each other.

    >>> t = np.arange(2000) / 1000
    >>> found = line(2 * np.cos(2 * np.pi * 50.25 * t + np.radians(30)), 1000, 50)
    >>> round(found.frequency, 3), round(found.amplitude, 3), round(found.phase, 1)
    (50.25, 2.0, 30.0)
    """
    x = np.asarray(samples, dtype=np.float64)
    x = x - x.mean()
    n = len(x)
    step = rate / n
    w = window("hann", n)
    bins = np.abs(fft.rfft(x * w))
    reach = 2 * step if within is None else within
    low = max(1, int(np.floor((near - reach) / step)))
    high = min(len(bins) - 2, int(np.ceil((near + reach) / step)))
    if low > high:
        raise InvalidInputError(f"{near:g} Hz is outside what {n} samples at {rate:g} Hz can show")
    k = low + int(np.argmax(bins[low : high + 1]))
    frequency = (k + _between(bins, k)) * step
    return at_frequency(x, rate, frequency)


def at_frequency(samples: NDArray[np.floating], rate: float, frequency: float) -> Line:
    """Amplitude and phase of a line whose frequency is known (Hz)."""
    x = np.asarray(samples, dtype=np.float64)
    n = len(x)
    w = window("hann", n)
    turn = np.exp(-2j * np.pi * frequency / rate * np.arange(n))
    # x = a/2 e^{+} + conj(a)/2 e^{-}: two equations, so that lines of few periods come out right too
    found, leak = np.dot(w * (x - x.mean()), turn), np.dot(w, turn**2)
    whole = w.sum()
    vector = 2 * (whole * found - leak * np.conj(found)) / (whole**2 - abs(leak) ** 2)
    return Line(frequency, float(abs(vector)), float(np.degrees(np.angle(vector))))


def _between(bins: FloatArray, k: int) -> float:
    """Where between the bins the peak of a Hann-windowed line lies, -0.5 … 0.5."""
    left, top, right = bins[k - 1], bins[k], bins[k + 1]
    if top <= 0:
        return 0.0
    side, sign = (right, 1.0) if right >= left else (left, -1.0)
    ratio = side / top
    return float(np.clip(sign * (2 * ratio - 1) / (1 + ratio), -0.5, 0.5))


def peaks(found: Spectrum, count: int, *, low: float = 0.0, high: float = np.inf) -> list[tuple[float, float]]:
    """The ``count`` highest local maxima (Hz, amplitude) of one channel between two frequencies, highest first."""
    a = found.amplitude
    top = np.flatnonzero((a[1:-1] > a[:-2]) & (a[1:-1] >= a[2:])) + 1
    top = top[(found.frequency[top] >= low) & (found.frequency[top] <= high)]
    best = top[np.argsort(-a[top])][:count]
    return [(float(found.frequency[i]), float(a[i])) for i in best]


def local_background(power: FloatArray, width: int) -> FloatArray:
    """Median of what surrounds each bin, ``width`` bins wide, as the mean of exponentially distributed noise.

    A median is not moved by lines as long as they fill less than half of the width. Blocks of half a width are
    summarised and joined by straight lines, which costs one sort instead of a running one.

    ``power`` [bins] or [rows, bins], not negative.
    """
    p = np.atleast_2d(power)
    n = p.shape[1]
    width = int(max(8, min(width, n)))
    half = max(4, width // 2)
    blocks = max(1, n // half)
    edges = np.linspace(0, n, blocks + 1).astype(int)
    if blocks < 3:
        level = np.repeat(np.median(p, axis=1)[:, None], n, axis=1)
    else:
        usual = int(edges[1] - edges[0])
        trimmed = p[:, : usual * blocks].reshape(p.shape[0], blocks, usual)
        medians = np.median(trimmed, axis=2)
        # three blocks together: a block that lies under a broad peak does not call the peak its background
        joined = np.median(np.stack([np.roll(medians, 1, axis=1), medians, np.roll(medians, -1, axis=1)]), axis=0)
        joined[:, 0], joined[:, -1] = medians[:, 0], medians[:, -1]
        centres = (np.arange(blocks) + 0.5) * usual
        where = np.arange(n)
        level = np.stack([np.interp(where, centres, row) for row in joined])
    level = np.maximum(level / np.log(2), np.finfo(float).tiny)
    return np.asarray(level[0] if np.ndim(power) == 1 else level)
