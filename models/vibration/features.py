"""Numbers of one waveform, to be kept as points: what is trended, compared with peers and judged by limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from core.errors import InvalidInputError
from models.vibration.bearings import Bearing
from models.vibration.envelope import demodulate, tree
from models.vibration.feature_names import EDGES, FEATURES
from models.vibration.gears import Gear
from models.vibration.integration import TRADE, highpass_for, integrals, integrate, quantity
from models.vibration.orders import angle_from_pulses, pulse_times, vector
from models.vibration.spectra import window

FloatArray = NDArray[np.float64]

_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "velocity_rms": ("spectrum",),
    "velocity_peak": ("integral",),
    "displacement_pp": ("integral",),
    **dict.fromkeys((f"band_{i}" for i in range(1, len(EDGES))), ("spectrum",)),
    **dict.fromkeys((n for n in FEATURES if n.startswith(("x1_", "x2_", "x3_", "half_x_", "sub_"))), ("spectrum",)),
    **dict.fromkeys((n for n in FEATURES if n.startswith("gmf_")), ("spectrum",)),
    **dict.fromkeys((n for n in FEATURES if n.startswith("envelope_")), ("envelope",)),
    **dict.fromkeys(("bpfo", "bpfi", "bsf", "ftf"), ("envelope",)),
}
"""What is dear about a feature; the others cost nothing."""

_LINES: Final = {"BPFO": "bpfo", "BPFI": "bpfi", "BSF2": "bsf", "FTF": "ftf"}


def features(
    samples: NDArray[np.floating],
    rate: float,
    *,
    unit: str = "m/s2",
    speed: float = float("nan"),
    tacho: NDArray[np.floating] | None = None,
    bearing: Bearing | None = None,
    gear: Gear | None = None,
    wanted: Collection[str] = tuple(FEATURES),
) -> dict[str, float]:
    """The features (:data:`FEATURES`) of one channel's ``samples`` [n] at ``rate`` Hz; ``speed`` in r/min.

    What cannot be known is left out: orders without a speed, phases without a tacho, velocity of what is no vibration.
    What none of ``wanted`` needs is not computed; more than those may be told. Values are finite. Raises for fewer
    than 256 samples, or samples that are no numbers.

    >>> t = np.arange(12_000) / 12_000
    >>> found = features(np.sin(2 * np.pi * 100 * t), 12_000, unit="m/s2")
    >>> round(found["velocity_rms"], 3)
    1.125
    """
    x = np.asarray(samples, dtype=np.float64)
    if x.ndim != 1 or len(x) < 256:
        raise InvalidInputError(f"{x.size} samples are too few for features", hint="at least 256 of one channel")
    if not np.isfinite(x).all():
        raise InvalidInputError("samples that are no numbers", hint="look at the sensor: see its channel's health")
    mean = float(x.mean())
    x = x - mean
    square = np.square(x)
    rms, top, bottom = float(np.sqrt(square.mean())), float(x.max()), float(x.min())
    peak = max(top, -bottom)
    found = {"mean": mean, "rms": rms, "peak": peak, "peak_to_peak": top - bottom}
    if rms > 0:
        found |= {"crest": peak / rms, "kurtosis": float(np.square(square, out=square).mean()) / rms**4}
    needed = {group for name in wanted for group in _GROUPS.get(name, ())}
    fine = _Transform(x, rate) if "spectrum" in needed else None
    found |= _motion(x, rate, unit, speed, rms, peak, fine, needed)
    if fine is not None:
        found |= {f"band_{i}": fine.rms(low * rate, high * rate) for i, (low, high) in enumerate(pairwise(EDGES), 1)}
        if np.isfinite(speed) and speed > 0:
            found |= _orders(x, rate, speed, tacho, fine)
            if gear is not None:
                found |= _mesh(fine, gear, speed)
    if "envelope" in needed:
        found |= _envelope(x, rate, speed, bearing)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


class _Transform:
    """One Hann-windowed transform, from which lines and bands are read."""

    def __init__(self, x: FloatArray, rate: float) -> None:
        n = len(x)
        while n > 0.98 * len(x) and fft.next_fast_len(n, real=True) != n:
            n -= 1
        w = window("hann", n)
        self.step = rate / n
        lines = fft.rfft(x[:n] * w)
        self.power = (np.square(lines.real) + np.square(lines.imag)) * (2 / w.sum()) ** 2

    def rms(self, low: float, high: float) -> float:
        a, b = max(1, int(np.ceil(low / self.step))), int(np.ceil(high / self.step))
        return float(np.sqrt(self.power[a:b].sum() / 3))

    def velocity(self, low: float, high: float) -> float:
        """RMS of the integral between two frequencies."""
        a, b = max(1, int(np.ceil(low / self.step))), min(len(self.power), int(np.ceil(high / self.step)))
        f = np.arange(a, b) * self.step
        return float(np.sqrt(np.sum(self.power[a:b] / (2 * np.pi * f) ** 2) / 3))

    def amplitude(self, frequency: float, reach: float = 2.0) -> tuple[float, float]:
        """(Hz, amplitude zero to peak) of the strongest line within bins of a frequency."""
        k = round(frequency / self.step)
        low, high = max(1, int(k - reach)), min(len(self.power) - 2, int(k + reach))
        if low > high:
            return frequency, 0.0
        top = low + int(np.argmax(self.power[low : high + 1]))
        return top * self.step, float(np.sqrt(self.power[max(1, top - 2) : top + 3].sum() / 1.5))


def _motion(
    x: FloatArray,
    rate: float,
    unit: str,
    speed: float,
    rms: float,
    peak: float,
    fine: _Transform | None,
    needed: Collection[str],
) -> dict[str, float]:
    known = quantity(unit)
    if known is None:
        return {}
    kind, factor = known
    low = highpass_for(speed)
    if low > rate / 8:
        return {}
    found: dict[str, float] = {}
    top = min(1000.0, 0.49 * rate)
    if kind == "acceleration":
        found |= {"acceleration_rms": factor * rms, "acceleration_peak": factor * peak}
        if fine is not None:
            found["velocity_rms"] = 1e3 * factor * fine.velocity(low, top)
        if "integral" in needed:
            wanted = ((1, min(1000.0, 0.4 * rate)), (2, None))
            velocity, displacement = integrals(x, rate, wanted, highpass=low)
            inside = _inside(len(x), rate, low)
            found["velocity_peak"] = 1e3 * factor * float(np.max(np.abs(velocity[inside])))
            found["displacement_pp"] = 1e6 * factor * float(np.ptp(displacement[inside]))
    elif kind == "velocity":
        found["velocity_peak"] = 1e3 * factor * peak
        if fine is not None:
            found["velocity_rms"] = 1e3 * factor * fine.rms(low, top)
        if "integral" in needed:
            displacement = integrate(x, rate, 1, highpass=low)[_inside(len(x), rate, low)]
            found["displacement_pp"] = 1e6 * factor * float(np.ptp(displacement))
    else:
        found["displacement_pp"] = TRADE["displacement"][1] * factor * float(np.ptp(x))
    return found


def _inside(n: int, rate: float, highpass: float) -> slice:
    """What of an integral has extremes of its own: at the ends a record's sudden start swings, many times as far as a
    machine does at high frequencies. Three periods of the high-pass, or a third of a short record, are left out."""
    edge = min(int(3 * rate / highpass), n // 3)
    return slice(edge, n - edge)


def _orders(
    x: FloatArray, rate: float, speed: float, tacho: NDArray[np.floating] | None, fine: _Transform
) -> dict[str, float]:
    shaft = speed / 60
    found: dict[str, float] = {}
    if tacho is not None:
        pulses = pulse_times(tacho, rate)
        if len(pulses) >= 4:
            angle = angle_from_pulses(pulses, len(x), rate)
            for times in (1, 2):
                if 8 * times * shaft < rate:
                    seen = vector(x, angle, float(times))
                    found |= {f"x{times}_amplitude": seen.amplitude, f"x{times}_phase": seen.phase}
    for name, order in (("x1", 1.0), ("x2", 2.0), ("x3", 3.0), ("half_x", 0.5)):
        if f"{name}_amplitude" not in found and order * shaft < 0.45 * rate and shaft > 4 * fine.step:
            found[f"{name}_amplitude"] = fine.amplitude(order * shaft, 2 + 0.003 * order * shaft / fine.step)[1]
    a, b = int(np.ceil(0.2 * shaft / fine.step)), int(0.49 * shaft / fine.step)
    if b - a >= 6:
        k = a + int(np.argmax(fine.power[a:b]))
        frequency, level = fine.amplitude(k * fine.step)
        found |= {"sub_amplitude": level, "sub_order": frequency / shaft}
    return found


def _mesh(fine: _Transform, gear: Gear, speed: float) -> dict[str, float]:
    shaft, mesh = speed / 60, gear.mesh(speed)
    if mesh + 3 * shaft > fine.step * len(fine.power) or shaft < 6 * fine.step:
        return {}
    reach = 2 + 0.002 * mesh / fine.step
    centre, level = fine.amplitude(mesh, min(reach, 0.4 * shaft / fine.step))
    sides = [fine.amplitude(centre + k * shaft)[1] for k in (-2, -1, 1, 2)]
    ratio = float(np.sqrt(np.sum(np.square(sides)))) / level if level > 0 else 0.0
    return {"gmf_amplitude": level, "gmf_sideband_ratio": ratio}


def _envelope(x: FloatArray, rate: float, speed: float, bearing: Bearing | None) -> dict[str, float]:
    shaft = speed / 60 if np.isfinite(speed) and speed > 0 else float("nan")
    lines = bearing.lines(speed) if bearing is not None and np.isfinite(shaft) else {}
    narrowest = max(200.0, 3.5 * max(lines.values(), default=0.0))
    bands = tuple(band for band in tree(rate, narrowest=narrowest) if band.parts in (3, 6))
    bands = bands or tree(rate, narrowest=narrowest)
    resolution = max(shaft / 60 if np.isfinite(shaft) else 1.0, 1.5 * rate / len(x))
    top = 1.1 * max(lines.values(), default=50.0)
    (seen,) = demodulate(x, rate, resolution=resolution, top=top, bands=bands, exact=False)
    best = int(np.argmax(seen.kurtosis))
    found = {
        "envelope_low": bands[best].low,
        "envelope_high": bands[best].high,
        "envelope_rms": float(np.sqrt(seen.power[best] / 2)),
        "envelope_kurtosis": float(seen.kurtosis[best]),
    }
    for line, hertz in lines.items():
        assert bearing is not None
        reach = bearing.search * hertz + seen.step
        a, b = max(2, int((hertz - reach) / seen.step)), int((hertz + reach) / seen.step) + 2
        part = seen.depth[:, a:b]
        if part.size:
            found[_LINES[line]] = float(part.max())
    return found


__all__ = ["EDGES", "FEATURES", "features"]
