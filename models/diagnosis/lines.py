"""Lines of one channel's spectrum: velocity in mm/s RMS on a casing, displacement in µm peak to peak on a shaft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from models.diagnosis.record import Channel
from models.vibration.integration import quantity
from models.vibration.spectra import local_background, window

FloatArray = NDArray[np.float64]

_ENBW: Final = 1.5
"""Bins of noise a Hann window lets in: the sum of a line's power over its bins is too large by this."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The strongest thing near a frequency: Hz, level in the table's unit, dB over the background there."""

    frequency: float
    level: float
    over_db: float
    background: float


class Lines:
    """The spectrum of a channel at a resolution in Hz (default: the whole record at once).

    ``unit``: mm/s (RMS) for acceleration and velocity, um (peak to peak) for displacement.
    """

    def __init__(self, channel: Channel, rate: float, *, resolution: float | None = None) -> None:
        kind, factor = quantity(channel.unit) or ("acceleration", 1.0)
        x = np.asarray(channel.samples, dtype=np.float64)
        n = len(x)
        length = n if resolution is None else int(min(n, max(64, round(rate / resolution))))
        # a length that transforms fast; the step stays within a few per cent of what was asked
        length = min(n, fft.next_fast_len(length, real=True)) if length < n else _fast_below(n)
        w = window("hann", length)
        starts = np.linspace(0, n - length, max(1, 2 * n // length - 1)).astype(int)
        power = np.zeros(length // 2 + 1)
        for start in starts:
            part = x[start : start + length]
            spectrum = fft.rfft((part - part.mean()) * w)
            power += np.square(spectrum.real) + np.square(spectrum.imag)
        self.channel = channel
        self.step = rate / length
        self.frequency = np.arange(len(power)) * self.step
        amplitude_squared = power / len(starts) * (2 / w.sum()) ** 2
        self.acceleration = np.sqrt(amplitude_squared / 2) * factor if kind == "acceleration" else None
        if kind == "displacement":
            self.unit, scale = "um", amplitude_squared * (2e6 * factor) ** 2
        else:
            self.unit, scale = "mm/s", amplitude_squared / 2 * (1e3 * factor) ** 2
            if kind == "acceleration":
                scale[1:] /= (2 * np.pi * self.frequency[1:]) ** 2
        scale[:2] = 0.0
        self.power = scale
        self.background = local_background(self.power, max(40, int(length / 400)))

    def at(self, frequency: float, *, reach: float | None = None) -> Seen:
        """The strongest line within ``reach`` Hz (default two bins and 0.03 %); its level sums its neighbours."""
        wide = 2 * self.step + 3e-4 * frequency if reach is None else reach
        low = max(2, int(np.ceil((frequency - wide) / self.step)))
        high = min(len(self.power) - 2, int((frequency + wide) / self.step))
        if high < low:
            return Seen(frequency, 0.0, -99.0, 0.0)
        k = low + int(np.argmax(self.power[low : high + 1]))
        spread = 2 + int(3e-4 * frequency / self.step)
        a, b = max(2, k - spread), min(len(self.power), k + spread + 1)
        background = float(self.background[k])
        total = max(float(self.power[a:b].sum()) - background * (b - a), 0.0) / _ENBW
        over = 10 * np.log10(max(float(self.power[k]), 1e-300) / max(background, 1e-300))
        return Seen(k * self.step, float(np.sqrt(total)), float(over), float(np.sqrt(background)))

    def rms(self, low: float, high: float) -> float:
        """All between two frequencies, in the table's unit (peak to peak of the equivalent sine for displacement)."""
        inside = (self.frequency >= low) & (self.frequency < high)
        return float(np.sqrt(self.power[inside].sum() / _ENBW))

    def outstanding(self, low: float, high: float, level: float, over_db: float) -> list[Seen]:
        """Lines of at least a level that stand out of their surroundings, strongest first."""
        a, b = max(2, int(low / self.step)), min(len(self.power) - 2, int(high / self.step))
        p = self.power[a:b]
        if len(p) < 3:
            return []
        ratio = p / self.background[a:b]
        top = np.flatnonzero(
            (p[1:-1] > p[:-2]) & (p[1:-1] >= p[2:]) & (p[1:-1] > 0.2 * level**2) & (ratio[1:-1] > 10 ** (over_db / 10))
        )
        found = [self.at(float(self.frequency[a + 1 + i]), reach=self.step) for i in top[np.argsort(-p[top + 1])][:40]]
        return [seen for seen in found if seen.level >= level]


def _fast_below(n: int) -> int:
    """The largest length up to n that transforms fast: at most 2 % of a record is left out for it."""
    for length in range(n, int(0.98 * n), -1):
        if fft.next_fast_len(length, real=True) == length:
            return length
    return n


def refined_shaft(tables: list[Lines], shaft: float, tolerance: float) -> float:
    """The shaft's rate in Hz, within a share of what was stated: by its 1× line, if the multiples agree; else as
    stated.

    A line near 1× may be another machine's, and a comb of multiples can lock on one by chance: what both say is
    believed.
    """
    best, found = 0.0, float("nan")
    for lines in tables:
        seen = lines.at(shaft, reach=max(tolerance * shaft, 2 * lines.step))
        if seen.over_db < 12 or seen.level <= best:
            continue
        k = round(seen.frequency / lines.step)
        left, top, right = np.sqrt(lines.power[k - 1 : k + 2])
        side, sign = (right, 1.0) if right >= left else (left, -1.0)
        between = sign * (2 * side - top) / (top + side) if top > 0 else 0.0
        best, found = seen.level, (k + float(np.clip(between, -0.5, 0.5))) * lines.step
    if not np.isfinite(found):
        return shaft
    step = tables[0].step / shaft / 10
    shares = 1 + np.arange(-tolerance, tolerance + step, step)
    score = np.zeros(len(shares))
    for lines in tables:
        level = np.log1p(np.minimum(lines.power / lines.background, 1e3))
        index = np.rint(shares[:, None] * np.arange(1, 6) * shaft / lines.step).astype(int)
        score += np.where(index < len(level), level[np.minimum(index, len(level) - 1)], 0.0).sum(axis=1)
    near = np.abs(shares - found / shaft) <= max(2 * step, 2e-4)
    agrees = bool(near.any()) and float(score[near].max()) > 0.85 * float(score.max())
    return found if agrees else shaft
