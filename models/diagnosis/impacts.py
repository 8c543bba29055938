"""Who strikes how often? Families of lines in the envelopes of all bands, and which of them are the bearing's.

A defect shows as a line at its rate and at multiples of it. That a line stands out of noise proves little on a real
machine, whose envelopes are full of lines. So a family must be
- **strong**: the logarithms of its first three lines over their background add up to :data:`STRONG`;
- **deep**: its first line modulates the band's power by :data:`DEEP` or more (how much of the band's power is the
  fault's);
- **outstanding**: in the same band no other family between the machine's lowest and highest rate is as strong, of all
  those that are not related to it (multiples, fractions); siblings (one or more shaft rates away, as modulation makes
  them) must not be stronger than it.
What repeats with the shaft is left out beforehand. The weakest of the four conditions is the family's quality. The
conditions are the same for every bearing, machine and rate. Nothing is trained on a data set, but the three thresholds
were set by hand with all records of the CWRU set in view.

Envelope analysis and its tests: Randall and Antoni 2011; benchmark of what it can tell: Smith and Randall 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.vibration.envelope import Band, Envelopes, demodulate

FloatArray = NDArray[np.float64]

STRONG: Final = 9.0
"""Sum of three ln(line/background) beyond noise: each line about 13 dB over it, or one 40 dB."""

DEEP: Final = 0.4
"""Modulation of the band's power by the family's first line."""

OUTSTANDING: Final = 1.5
"""How much stronger than the strongest stranger, in the unit of :data:`STRONG`: a factor of 4.5 in power."""

_REVOLUTIONS: Final = (100, 33)
"""Revolutions per segment, by resolution: 0.01 and 0.03 of the shaft's rate between bins."""

_FRACTIONS: Final = (0.5, 1 / 3, 2.0, 3.0, 1.5, 2 / 3)
_HARMONICS: Final = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Family:
    """Lines at multiples of ``frequency`` Hz. ``quality`` > 0: strong, deep and outstanding, by the weakest of them in
    ``limited_by``; ``lines``: (harmonic, Hz, dB over background) of those that stand out."""

    expected: float
    frequency: float
    order: float
    strength: float
    depth: float
    margin: float
    sibling_margin: float
    quality: float
    limited_by: str
    band: Band
    kurtosis: float
    lines: tuple[tuple[int, float, float], ...]
    row: int = 0


class Impacts:
    """The families of one channel. ``rate`` Hz, ``shaft`` Hz; ``highest``: largest order of the shaft to look for.

    ``shaft`` is refined within ``tolerance``, by the shaft's own multiples in the envelopes.
    """

    def __init__(
        self,
        samples: NDArray[np.floating],
        rate: float,
        shaft: float,
        *,
        highest: float = 6.0,
        tolerance: float = 0.01,
    ) -> None:
        n = len(samples)
        top = min(3.2 * max(highest, 3.0) * shaft, 0.2 * rate)
        finest = 1.5 * rate / n
        steps = sorted({max(shaft / turns, finest) for turns in _REVOLUTIONS})
        self.envelopes: tuple[Envelopes, ...] = demodulate(samples, rate, resolution=tuple(steps), top=top)
        self.highest = highest
        self.shaft = self._refined(shaft, tolerance)
        self.bands = [band for found in self.envelopes for band in found.bands]
        self._explained: list[tuple[float, float]] = []
        self._level: list[FloatArray] = []
        self._grid = np.arange(0.3, 1.12 * highest, self.envelopes[0].step / self.shaft / 3)
        self._look()

    # --- strengths ----------------------------------------------------------------------------------------------------

    def _refined(self, shaft: float, tolerance: float) -> float:
        """The shaft's rate by which its multiples in the envelopes are strongest."""
        found = self.envelopes[0]
        if tolerance <= 0:
            return shaft
        bins = found.ratio.shape[1]
        multiples = np.arange(1, max(2, int(bins * found.step / shaft)))
        step = found.step / shaft / multiples[-1] / 2
        shares = 1 + np.arange(-tolerance, tolerance + step, step)
        index = np.rint(shares[:, None] * multiples * shaft / found.step).astype(int)
        inside = index < bins
        # the median over bands: what all bands repeat is the shaft's, what one band shows may be another's
        level = np.median(np.log1p(found.ratio), axis=0)
        score = np.sum(np.where(inside, level[np.minimum(index, bins - 1)], 0.0), axis=1)
        best = int(np.argmax(score))
        spread = 1.4826 * float(np.median(np.abs(score - np.median(score)))) + 1e-9
        if score[best] - float(np.median(score)) < 5 * spread:
            return shaft
        near = score >= score[best] - 1e-9
        return float(shaft * shares[near].mean())

    def _look(self) -> None:
        """Strength of each family on the grid of orders, per band and resolution."""
        strengths, self._level = [], []
        for found in self.envelopes:
            bins = found.ratio.shape[1]
            f = np.arange(bins) * found.step
            level = np.maximum(np.log(np.maximum(found.ratio, 1e-6)) - np.log(1 + 6 / found.shape), 0.0)
            nearest = np.rint(f / self.shaft)
            level[:, np.abs(f - nearest * self.shaft) <= 1.6 * found.step] = 0.0
            for low, high in self._explained:
                level[:, (f >= low - 1.6 * found.step) & (f <= high + 1.6 * found.step)] = 0.0
            total = np.zeros((level.shape[0], len(self._grid)))
            for h in _HARMONICS:
                index = np.rint(self._grid * h * self.shaft / found.step).astype(int)
                inside = index < bins
                total[:, inside] += level[:, index[inside]]
            strengths.append(total)
            self._level.append(level)
        self._strength = np.concatenate(strengths)

    def explain(self, frequency: float, *, sidebands: tuple[float, ...] = ()) -> None:
        """Take a family out: its multiples, and those with up to three sidebands at each rate of ``sidebands`` (Hz)."""
        shifts = {0.0} | {k * side for side in (self.shaft, *sidebands) for k in (-3, -2, -1, 1, 2, 3)}
        top = self.envelopes[0].ratio.shape[1] * self.envelopes[0].step
        spread = 0.003
        for h in range(1, int(top / frequency) + 2):
            for shift in shifts:
                centre = h * frequency + shift
                if 0 < centre < top:
                    self._explained.append((centre - spread * h * frequency, centre + spread * h * frequency))
        self._look()

    # --- families -----------------------------------------------------------------------------------------------------

    def family(
        self, order: float, search: float, *, side_orders: tuple[float, ...] = (), row: int | None = None
    ) -> Family:
        """The family expected at ``order`` of the shaft within the share ``search``, in the band of best quality or in
        that of ``row``."""
        grid = self._grid
        inside = np.abs(grid / order - 1) <= search
        if not inside.any():
            return _nothing(order, self.shaft, self.bands[0])
        related = np.abs(grid / order - 1) <= 1.5 * search
        for fraction in _FRACTIONS:
            related |= np.abs(grid / (order * fraction) - 1) <= 1.2 * search
        sibling = np.zeros(len(grid), dtype=bool)
        for side in (1.0, *side_orders):
            for k in (-3, -2, -1, 1, 2, 3):
                sibling |= np.abs(grid - order - k * side) <= search * order
        sibling &= ~related
        low = 1.2 if order > 1.2 else 0.3
        stranger = ~related & ~sibling & (grid >= low)
        best = self._strength[:, inside]
        strength = best.max(axis=1)
        where = np.flatnonzero(inside)[best.argmax(axis=1)]
        margin = strength - (self._strength[:, stranger].max(axis=1) if stranger.any() else 0.0)
        sibling_margin = strength - (self._strength[:, sibling].max(axis=1) if sibling.any() else 0.0)
        depth = self._depths(grid[where])
        conditions = np.stack(
            [(strength - STRONG) / 6, (depth - DEEP) / 0.3, (margin - OUTSTANDING) / 3, (sibling_margin + 0.5) / 2]
        )
        quality = conditions.min(axis=0)
        b = int(np.argmax(quality)) if row is None else row
        names = ("strength", "depth", "strangers", "siblings")
        frequency = float(grid[where[b]] * self.shaft)
        return Family(
            order * self.shaft,
            frequency,
            order,
            float(strength[b]),
            float(depth[b]),
            float(margin[b]),
            float(sibling_margin[b]),
            float(quality[b]),
            names[int(np.argmin(conditions[:, b]))],
            self.bands[b],
            self._kurtosis(b),
            self._lines(b, frequency),
            b,
        )

    def strongest(self, known: tuple[float, ...], search: float) -> Family | None:
        """The best family on no order of ``known`` (nor related to one), or None where nothing is strong
        and at least half deep: what is not healthy is doubted before it is named."""
        grid = self._grid
        free = grid >= 1.2
        for order in known:
            for fraction in (1.0, *_FRACTIONS):
                free &= np.abs(grid / (order * fraction) - 1) > 1.5 * search
            for k in (-2, -1, 1, 2):
                free &= np.abs(grid - order - k) > 1.5 * search * order
        if not free.any():
            return None
        best = self._strength[:, free]
        for b in np.argsort(-best.max(axis=1))[:6]:
            order = float(grid[free][int(np.argmax(best[b]))])
            found = self.family(order, 0.004)
            if found.strength >= STRONG and found.depth >= 0.6 * DEEP:
                return found
        return None

    def per_turn(
        self, floor: float
    ) -> tuple[float, float, float, float, Band, tuple[tuple[int, float, float], ...]] | None:
        """The family at the shaft's own rate, in bands above ``floor`` Hz: (sum of ln(line/background) over six
        multiples, depth of the first, fourth to sixth over the first, spectral kurtosis, band, lines), where strongest.

        A blow per turn has many multiples, a swing (unbalance, an uneven load) one or two.
        """
        found = self.envelopes[0]
        rows = [i for i, band in enumerate(found.bands) if band.low >= floor]
        if not rows:
            return None
        index = np.rint(np.arange(1, 7) * self.shaft / found.step).astype(int)
        index = index[index < found.ratio.shape[1] - 1]
        if len(index) < 6:
            return None
        near = np.stack([index - 1, index, index + 1])
        level = np.maximum(
            np.log(np.maximum(found.ratio[rows][:, near].max(axis=1), 1e-6)) - np.log(1 + 6 / found.shape), 0
        )
        depth = found.depth[rows][:, near].max(axis=1)
        strength = level.sum(axis=1)
        score = strength * np.minimum(depth[:, 0], 1.0)
        k = int(np.argmax(score))
        decay = float(np.mean(depth[k, 3:]) / max(float(depth[k, 0]), 1e-9))
        over = 10 * np.log10(np.maximum(found.ratio[rows[k]][near].max(axis=0), 1e-6))
        lines = tuple(
            (h + 1, float(i * found.step), float(o)) for h, (i, o) in enumerate(zip(index, over, strict=True))
        )
        return (
            float(strength[k]),
            float(depth[k, 0]),
            decay,
            float(found.kurtosis[rows[k]]),
            found.bands[rows[k]],
            lines,
        )

    def _depths(self, orders: FloatArray) -> FloatArray:
        """Depth of the first line of the family of each row's order; a neighbouring bin may hold it."""
        out, row = np.empty(len(orders)), 0
        for found in self.envelopes:
            rows = found.depth.shape[0]
            index = np.rint(orders[row : row + rows] * self.shaft / found.step).astype(int)
            index = np.clip(index, 1, found.depth.shape[1] - 2)
            here = np.arange(rows)
            out[row : row + rows] = np.maximum.reduce([found.depth[here, index + k] for k in (-1, 0, 1)])
            row += rows
        return out

    def sideband(self, family: Family, spacing: float) -> float:
        """Depth of the weaker of a family's first sidebands at ``spacing`` Hz over that of its first line."""
        per = len(self.envelopes[0].bands)
        found, row = self.envelopes[family.row // per], family.row % per

        def depth(hertz: float) -> float:
            k = round(hertz / found.step)
            if not 2 <= k < found.depth.shape[1] - 1:
                return 0.0
            return float(found.depth[row, k - 1 : k + 2].max())

        centre = depth(family.frequency)
        if centre <= 0:
            return 0.0
        return min(depth(family.frequency - spacing), depth(family.frequency + spacing)) / centre

    def _kurtosis(self, row: int) -> float:
        return float(self.envelopes[0].kurtosis[row % len(self.envelopes[0].bands)])

    def _lines(self, row: int, frequency: float) -> tuple[tuple[int, float, float], ...]:
        per = len(self.envelopes[0].bands)
        found, level = self.envelopes[row // per], self._level[row // per]
        lines = []
        for h in _HARMONICS:
            k = round(h * frequency / found.step)
            if k < level.shape[1] and level[row % per, k] > 0:
                lines.append((h, k * found.step, float(10 * np.log10(found.ratio[row % per, k]))))
        return tuple(lines)


def _nothing(order: float, shaft: float, band: Band) -> Family:
    nan = float("nan")
    return Family(order * shaft, nan, order, 0.0, 0.0, -9.0, -9.0, -9.0, "range", band, nan, ())
