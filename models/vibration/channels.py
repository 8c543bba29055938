"""Is the sensor telling the truth? Asked before anything is said about a machine.

Each finding names the channel and what was seen. The signs are the usual ones of vibration channels (API 670, ISO
10817): a bias or gap voltage outside the range in which the sensor works, samples that stand at the rail, a spectrum
that falls like 1/f from its lowest bins because the amplifier was overloaded ("ski slope"), no signal, interruptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from models.vibration.orders import pulse_times
from models.vibration.spectra import window

FloatArray = NDArray[np.float64]

GAP_RANGE: Final = (-18.0, -2.5)
"""V within which an eddy-current probe on -24 V is linear."""

BIAS_RANGE: Final = (4.0, 20.0)
"""V of a healthy IEPE sensor's bias on a 24 V supply; usually 8 … 14."""


@dataclass(frozen=True, slots=True)
class ChannelFinding:
    """``fault``: flat, clipping, ski_slope, interrupted, spikes, gap, bias, not_a_number, tacho_lost, swapped."""

    channel: str
    fault: str
    why: str
    confidence: float


def health(
    name: str, samples: NDArray[np.floating], rate: float, *, others: Sequence[FloatArray] = ()
) -> list[ChannelFinding]:
    """What is wrong with one channel; nothing, mostly. ``others``: channels recorded with it, for what concerns all."""
    x = np.asarray(samples, dtype=np.float64)
    known = np.isfinite(x)
    if not known.all():
        missing = 1 - float(known.mean())
        if missing > 0.001:
            return [ChannelFinding(name, "not_a_number", f"{100 * missing:.1f} % of the samples are no numbers", 0.99)]
        x = np.interp(np.arange(len(x)), np.flatnonzero(known), x[known])
    x = x - x.mean()
    spread = float(x.std())
    loudest = max((float(np.std(other)) for other in others), default=0.0)
    if spread == 0 or (loudest > 0 and spread < 1e-4 * loudest):
        return [ChannelFinding(name, "flat", "the signal does not move: cable, supply or sensor", 0.98)]
    found: list[ChannelFinding] = []
    for look in (_stands_still, _clipped, _ski_slope, _interrupted, _spikes):
        said = look(name, x, rate, spread)
        if said is not None and said.fault not in {one.fault for one in found}:
            found.append(said)
    return found


def _stands_still(name: str, x: FloatArray, rate: float, spread: float) -> ChannelFinding | None:
    """Equal samples in a row for longer than chance gives, away from the rails."""
    same = np.diff(x) == 0
    if not same.any():
        return None
    edges = np.flatnonzero(np.diff(np.concatenate([[0], same.astype(np.int8), [0]])))
    runs = edges[1::2] - edges[::2]
    longest = int(runs.max())
    if longest / rate < 0.02 or longest < 64:
        return None
    share = float(runs[runs >= 64].sum()) / len(x)
    return ChannelFinding(
        name,
        "interrupted",
        f"the signal stood still for {1000 * longest / rate:.0f} ms ({100 * share:.1f} % in all)",
        0.95,
    )


def _clipped(name: str, x: FloatArray, rate: float, spread: float) -> ChannelFinding | None:
    """Many samples at one extreme value: a rail, not a peak."""
    top, bottom = float(x.max()), float(x.min())
    reach = 1e-3 * (top - bottom)
    at_top, at_bottom = int((x >= top - reach).sum()), int((x <= bottom + reach).sum())
    flat = 0
    for at, side in ((at_top, x >= top - reach), (at_bottom, x <= bottom + reach)):
        if at >= 6:
            flat += int((side[1:] & side[:-1]).sum())
    # a sine of few samples per period also stays near its top; a rail is where pairs of samples stand *on* it
    crest = max(top, -bottom) / spread
    share = (at_top + at_bottom) / len(x)
    if flat >= 6 and share > 2e-4 and not (crest < 1.5 and share < 0.06):
        return ChannelFinding(
            name, "clipping", f"{at_top + at_bottom} samples stand at the rail: range or overload", 0.95
        )
    return None


def _ski_slope(name: str, x: FloatArray, rate: float, spread: float) -> ChannelFinding | None:
    """The lowest frequencies carry nearly everything and fall steadily: an overloaded amplifier, warming up."""
    bins = int(np.ceil(5 * len(x) / rate)) - 1  # above 0 and below 5 Hz
    if bins < 4:
        return None
    lines = fft.rfft(x * window("hann", len(x)))[1:]
    power = np.square(lines.real) + np.square(lines.imag)
    inside = power[:bins]
    share = float(inside.sum()) / max(float(power.sum()), 1e-300)
    if share < 0.5:
        return None
    # a line is not a slope: more than one bin must carry it, each further one less
    thirds = [float(part.mean()) for part in np.array_split(inside, 3)]
    if thirds[0] > 3 * thirds[1] > 0 and thirds[1] > thirds[2]:
        return ChannelFinding(
            name,
            "ski_slope",
            f"{100 * share:.0f} % of the power lies below 5 Hz and falls off: overload or warming up",
            0.9,
        )
    return None


def _interrupted(name: str, x: FloatArray, rate: float, spread: float) -> ChannelFinding | None:
    """Stretches in which a signal that is otherwise there nearly vanishes."""
    size = max(16, round(0.01 * rate))
    blocks = x[: len(x) // size * size].reshape(-1, size)
    if len(blocks) < 10:
        return None
    levels = blocks.std(axis=1)
    usual = float(np.median(levels))
    quiet = levels < 0.02 * usual
    if quiet.sum() >= 2 and (quiet[1:] & quiet[:-1]).any():
        return ChannelFinding(name, "interrupted", f"no signal for {100 * float(quiet.mean()):.1f} % of the time", 0.93)
    return None


def _spikes(name: str, x: FloatArray, rate: float, spread: float) -> ChannelFinding | None:
    """Single samples far outside with nothing before or after: electrical, since structures ring."""
    scale = 1.4826 * float(np.median(np.abs(x)))
    if scale == 0:
        return None
    high = np.flatnonzero(np.abs(x) > 12 * scale)
    high = high[(high > 1) & (high < len(x) - 2)]
    if len(high) < 3:
        return None
    around = np.maximum.reduce([np.abs(x[high + k]) for k in (-2, -1, 1, 2)])
    lonely = around < 0.25 * np.abs(x[high])
    if lonely.sum() >= 3 and lonely.mean() > 0.8:
        return ChannelFinding(
            name,
            "spikes",
            f"{int(lonely.sum())} spikes of one sample, without ringing: cable, connector, interference",
            0.93,
        )
    return None


def gap(name: str, volts: float, *, usual: tuple[float, float] = GAP_RANGE) -> ChannelFinding | None:
    """Whether a probe's gap voltage is outside of where it measures.

    >>> gap("x", -21.5).fault
    'gap'
    """
    low, high = usual
    if low <= volts <= high:
        return None
    return ChannelFinding(name, "gap", f"gap voltage {volts:.1f} V, outside {low:g} … {high:g} V", 0.97)


def bias(name: str, volts: float, *, usual: tuple[float, float] = BIAS_RANGE) -> ChannelFinding | None:
    """Whether an IEPE sensor's bias says short (low) or open (high)."""
    low, high = usual
    if low <= volts <= high:
        return None
    what = "short circuit or damaged amplifier" if volts < low else "open circuit"
    return ChannelFinding(name, "bias", f"bias {volts:.1f} V, outside {low:g} … {high:g} V: {what}", 0.97)


def tacho(samples: NDArray[np.floating], rate: float, speed: float, *, name: str = "tacho") -> ChannelFinding | None:
    """Whether a tacho has lost its pulses: none, far from the speed stated (r/min; NaN: not compared), or gaps."""
    pulses = pulse_times(samples, rate)
    seconds = len(samples) / rate
    if len(pulses) < 3:
        return ChannelFinding(name, "tacho_lost", f"{len(pulses)} pulses in {seconds:.1f} s", 0.97)
    steps = np.diff(pulses)
    usual = float(np.median(steps))
    gaps = int((steps > 1.6 * usual).sum())
    if gaps:
        return ChannelFinding(name, "tacho_lost", f"{gaps} pulses are missing among {len(pulses)}", 0.9)
    if np.isfinite(speed) and speed > 0:
        per_turn = 60 / usual / speed
        if abs(per_turn - round(per_turn)) > 0.1 or round(per_turn) < 1:
            return ChannelFinding(
                name, "tacho_lost", f"{60 / usual:.0f} pulses/min do not fit a speed of {speed:.0f} r/min", 0.85
            )
    return None


def swapped(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    rate: float,
    frequency: float,
    *,
    names: tuple[str, str] = ("x", "y"),
) -> ChannelFinding | None:
    """Whether two shaft probes are exchanged: the 1× runs against the shaft's rotation (x to y) at both of them."""
    from models.vibration.shaft import precession

    forward, reverse = precession(x, y, rate, frequency)
    if reverse > 3 * forward and reverse > 0:
        return ChannelFinding(
            f"{names[0]}, {names[1]}",
            "swapped",
            f"1× runs backwards ({reverse:.3g} against {forward:.3g}): channels exchanged, or rotation stated wrongly",
            0.85,
        )
    return None
