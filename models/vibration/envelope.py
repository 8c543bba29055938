"""Envelope spectra of many bands at once, whitened: what stands out of noise does so by a known probability.

A defect in a rolling bearing strikes the structure again and again; what is heard are short ringings at the structure's
resonances, whose *envelope* repeats with the defect's rate. Which band carries it is not known beforehand, so all
bands of a 1/k-octave-free tree (halves, thirds, quarters, … of the range, and the same shifted by half a band) are
demodulated: the tree of the fast kurtogram (Antoni 2007), computed from one Fourier transform of the record. The
squared envelope's spectrum (Antoni 2007b; Borghesani 2014) is averaged over segments and divided by the median of its
surroundings, so that under noise each bin follows a gamma distribution, whatever the band's level and colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from core.errors import InvalidInputError
from models.vibration.spectra import local_background, window

FloatArray = NDArray[np.float64]

PARTS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Into how many bands the range up to half the sampling rate is cut."""

_SIDE_BY_SIDE: Final = 1 << 18
"""Samples of envelopes that are transformed at once: faster than one after the other, in 4 MB."""


@dataclass(frozen=True, slots=True)
class Band:
    """Hz from … to; ``parts`` is the level of the tree it belongs to, 0 if none."""

    low: float
    high: float
    parts: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Envelopes:
    """Whitened squared-envelope spectra.

    ``ratio`` [bands, bins]: power over its background; ``depth`` [bands, bins]: amplitude of a line of the squared
    envelope over the envelope's mean, background taken off: 0 for noise, near 2 for rare strikes in silence;
    ``kurtosis`` [bands]: spectral kurtosis, 0 for noise; ``power`` [bands]: mean of the squared envelope, twice the
    band's mean square; ``step`` Hz between bins; ``shape``: half the degrees of freedom of one bin.
    """

    bands: tuple[Band, ...]
    ratio: FloatArray
    depth: FloatArray
    kurtosis: FloatArray
    power: FloatArray
    step: float
    shape: float

    @property
    def frequency(self) -> FloatArray:
        """Hz of each bin."""
        return np.asarray(np.arange(self.ratio.shape[1]) * self.step, dtype=np.float64)

    def surprise(self) -> FloatArray:
        """[bands, bins] -ln of the probability that noise alone gives this much in a bin: 1 on average under noise."""
        return -_log_tail(np.full((len(self.bands), 1), self.shape), self.ratio)


def tree(rate: float, *, floor: float = 0.0, narrowest: float = 600.0) -> tuple[Band, ...]:
    """All bands of the tree between ``floor`` and half the rate that are at least ``narrowest`` Hz wide."""
    top, found = 0.49 * rate, []
    for parts in PARTS:
        width = (top - floor) / parts
        if width < narrowest and parts > 1:
            break
        starts = np.arange(parts) * width if parts == 1 else np.arange(2 * parts - 1) * width / 2
        found += [Band(float(floor + s), float(floor + s + width), parts) for s in starts]
    return tuple(found)


def envelope(samples: NDArray[np.floating], rate: float, low: float, high: float) -> tuple[FloatArray, float]:
    """(squared envelope of the band, its sampling rate): the band is cut out of the spectrum and shifted to zero."""
    x = _faded(samples)
    first, last, size = _place(Band(low, high, 1), len(x), rate)
    (squared,) = _cut(fft.rfft(x), len(x), [(first, last)], size)
    return squared, rate * size / len(x)


def _faded(samples: NDArray[np.floating]) -> FloatArray:
    """Without the mean, and faded in and out over 1 %: the jump from the last sample to the first would be a blow, and
    in quiet bands the loudest."""
    x = np.asarray(samples, dtype=np.float64)
    x = x - x.mean()
    edge = max(8, len(x) // 100)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    x[:edge] *= ramp
    x[-edge:] *= ramp[::-1]
    return np.asarray(x)


def _place(band: Band, n: int, rate: float) -> tuple[int, int, int]:
    """(first bin, bin behind the last, samples of the envelope) of a band in the transform of ``n`` samples."""
    step = rate / n
    first, last = max(1, int(np.ceil(band.low / step))), min(n // 2 + 1, int(band.high / step))
    if last - first < 8:
        raise InvalidInputError(
            f"a band of {band.low:g} to {band.high:g} Hz holds no spectrum at {rate:g} Hz",
            hint="a longer record, or a wider band below half the sampling rate",
        )
    # twice the band's width, since a square has twice the band
    return first, last, fft.next_fast_len(2 * (last - first))


def _cut(transform: NDArray[np.complexfloating], n: int, bins: Sequence[tuple[int, int]], size: int) -> FloatArray:
    """Squared envelopes [bands, size] of bands of a transform; as exact as the transform is."""
    shifted = np.zeros((len(bins), size), transform.dtype)
    for row, (first, last) in zip(shifted, bins, strict=True):
        width = last - first
        edge = max(1, width // 10)
        ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)).astype(transform.real.dtype)
        row[:width] = transform[first:last]
        row[:edge] *= ramp
        row[width - edge : width] *= ramp[::-1]
        row[:width] *= transform.real.dtype.type(2 * size / n)
    analytic = fft.ifft(shifted, axis=1, overwrite_x=True)
    squared = np.square(analytic.real)
    squared += np.square(analytic.imag)
    return np.asarray(squared)


def _together(places: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, list[int]]]:
    """(samples, which bands): bands of one length are transformed side by side, as many as stay in fast memory."""
    by_size: dict[int, list[int]] = {}
    for i, (_, _, size) in enumerate(places):
        by_size.setdefault(size, []).append(i)
    for size, which in by_size.items():
        most = max(1, _SIDE_BY_SIDE // size)
        for k in range(0, len(which), most):
            yield size, which[k : k + most]


def demodulate(
    samples: NDArray[np.floating],
    rate: float,
    *,
    resolution: float | tuple[float, ...],
    top: float,
    bands: tuple[Band, ...] | None = None,
    exact: bool = True,
) -> tuple[Envelopes, ...]:
    """Whitened envelope spectra of each band up to ``top`` Hz, once per resolution in Hz.

    A fine resolution shows lines of steady rate close together; a coarse one lines that slip smears out. Without
    ``exact`` it is counted with 24 bits, in half the time: depth, power and kurtosis are good to 1e-4 of what noise
    makes of them; ratios in a record without any noise are not.
    """
    x = _faded(samples)
    n = len(x)
    if bands is None:
        bands = tree(rate, narrowest=max(600.0, 1.2 * top))
    wanted = resolution if isinstance(resolution, tuple) else (resolution,)
    scale = 1.0
    if not exact:
        # squares of squares must neither vanish nor overflow in 24 bits with 8 of exponent, whatever the unit
        scale = float(np.sqrt(np.mean(np.square(x)))) or 1.0
        x = np.asarray(x / scale, np.float32)
    transform = fft.rfft(x)
    places = [_place(band, n, rate) for band in bands]
    powers = [np.zeros((len(bands), int(top / step) + 1)) for step in wanted]
    worth = np.ones((len(wanted), len(bands)))
    kurtosis, power = np.empty(len(bands)), np.empty(len(bands))
    for size, which in _together(places):
        relative = _cut(transform, n, [places[i][:2] for i in which], size)
        mean = relative.mean(axis=1)
        power[which] = mean
        relative /= np.where(mean > 0, mean, 1)[:, None]
        relative -= (mean > 0)[:, None]
        kurtosis[which] = np.square(relative).mean(axis=1) - 1
        slow, pace = _lowered(relative, rate * size / n, 1.1 * top)
        for i, step in enumerate(wanted):
            seen, worth[i, which], got = _averaged(slow, pace, step)
            powers[i][which] = _onto(seen, got, step, int(top / step) + 1)
    found = []
    for i, step in enumerate(wanted):
        stacked, shape = powers[i], float(worth[i, -1])
        background = local_background(stacked, max(24, stacked.shape[1] // 12)) / _median_to_mean(shape)
        ratio = stacked / background
        depth = 2 * np.sqrt(np.maximum(stacked - background, 0))
        ratio[:, :2] = depth[:, :2] = 0.0  # what is left of the mean
        found.append(Envelopes(bands, ratio, depth, kurtosis, power * scale**2, step, shape))
    return tuple(found)


def _lowered(signal: FloatArray, rate: float, top: float) -> tuple[FloatArray, float]:
    """(signals [bands, n] up to ``top`` Hz only, their lower sampling rate): the rest of the envelope is of no
    interest."""
    n = signal.shape[1]
    keep = int(top * n / rate) + 1
    if 2 * keep > 0.8 * n:
        return signal, rate
    size = fft.next_fast_len(2 * keep, real=True)
    slow = fft.irfft(fft.rfft(signal, axis=1)[:, :keep], size, axis=1)
    slow *= slow.dtype.type(size / n)
    return np.asarray(slow), rate * size / n


def _averaged(signal: FloatArray, rate: float, resolution: float) -> tuple[FloatArray, float, float]:
    """(mean squared half amplitude [bands, bins] of Hann-windowed segments, how many independent ones they are worth,
    Hz per bin)."""
    n = signal.shape[1]
    length = min(n, fft.next_fast_len(max(32, round(rate / resolution)), real=True))
    count = max(1, 2 * n // length - 1)
    starts = np.linspace(0, n - length, count).astype(int)
    w = window("hann", length).astype(signal.dtype, copy=False)
    power = np.zeros((len(signal), length // 2 + 1))
    for start in starts:
        part = fft.rfft(signal[:, start : start + length] * w, axis=1)
        power += np.square(part.real) + np.square(part.imag)
    # neighbours that overlap by half correlate by 1/36 in power under a Hann window (Welch 1967)
    worth = count / (1 + 2 * (count - 1) / count / 36)
    return power / (count * window("hann", length).sum() ** 2), worth, rate / length


def _onto(power: FloatArray, step: float, wanted: float, bins: int) -> FloatArray:
    """Onto bins that all bands share: lengths that transform fast give steps a little finer than asked."""
    index = np.minimum(np.rint(np.arange(bins) * wanted / step).astype(int), power.shape[1] - 1)
    return np.asarray(power[:, index])


def _median_to_mean(shape: float) -> float:
    """:func:`local_background` takes ln 2 for the median of its noise: right for one segment, corrected here."""
    median = float(special.gammaincinv(shape, 0.5)) / shape
    return median / float(np.log(2))


def _log_tail(shape: FloatArray, ratio: FloatArray) -> FloatArray:
    """ln P(gamma of mean 1 and this shape > ratio); far out by the leading term, where the tail underflows."""
    x = shape * ratio
    tail = special.gammaincc(shape, x)
    far = tail < 1e-250
    out = np.log(np.maximum(tail, 1e-300))
    if far.any():
        s, y = np.broadcast_to(shape, x.shape)[far], x[far]
        out[far] = (s - 1) * np.log(y) - y - special.gammaln(s)
    return np.asarray(out)


def kurtogram(
    samples: NDArray[np.floating], rate: float, *, narrowest: float = 600.0
) -> tuple[tuple[Band, ...], FloatArray]:
    """(bands of the tree, spectral kurtosis of each): 0 for noise, -1 for a tone, high where something strikes."""
    x = _faded(samples)
    bands = tree(rate, narrowest=narrowest)
    transform = fft.rfft(x)
    places = [_place(band, len(x), rate) for band in bands]
    found = np.zeros(len(bands))
    for size, which in _together(places):
        squared = _cut(transform, len(x), [places[i][:2] for i in which], size)
        mean = squared.mean(axis=1)
        ratio = np.square(squared).mean(axis=1) / np.square(np.where(mean > 0, mean, 1))
        found[which] = np.where(mean > 0, ratio - 2, 0.0)
    return bands, found


def best_band(samples: NDArray[np.floating], rate: float, *, narrowest: float = 600.0) -> Band:
    """The band in which the signal is most impulsive."""
    bands, kurtosis = kurtogram(samples, rate, narrowest=narrowest)
    return bands[int(np.argmax(kurtosis))]
