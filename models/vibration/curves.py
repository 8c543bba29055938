"""What a person looks at: spectra, envelopes, orbits, waterfalls, Bode plots as curves with marks, drawn by nobody yet.

A curve is thinned to what a screen can show, and a peak is never thinned away. Marks stand where lines are expected, so
that a reader sees at once whether what sticks out is one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.vibration import shaft, spectra
from models.vibration.bearings import PARTS, Bearing
from models.vibration.envelope import Band, best_band, demodulate
from models.vibration.gears import Gear
from models.vibration.transients import Start

FloatArray = NDArray[np.float64]
POINTS: Final = 1_200
"""Of a curve: about one per pixel of a wide screen."""
ENVELOPE_STEP: Final = 1.0
"""Hz between the bins of an envelope spectrum."""
ORBIT_ORDERS: Final = 5.5
"""Above that an orbit shows noise."""
HARMONICS: Final = 4
"""Of an expected line that are marked."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something is expected: ``family`` (``1x``, ``BPFO``, ``GMF``, …) and a label, at ``x``."""

    x: float
    label: str
    family: str


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One line of a picture."""

    name: str
    x: FloatArray
    y: FloatArray
    at: int = 0
    """µs, where a picture shows several moments."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A picture: ``kind`` waveform, spectrum, envelope, orbit, waterfall or bode."""

    kind: str
    title: str
    x_title: str
    x_unit: str
    y_title: str
    y_unit: str
    traces: tuple[Trace, ...]
    marks: tuple[Mark, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As plain JSON values, six digits."""
        return {
            "kind": self.kind,
            "title": self.title,
            "x": {"title": self.x_title, "unit": self.x_unit},
            "y": {"title": self.y_title, "unit": self.y_unit},
            "traces": [{"name": t.name, "at": t.at, "x": _digits(t.x), "y": _digits(t.y)} for t in self.traces],
            "marks": [asdict(mark) for mark in self.marks],
            "facts": {name: float(f"{value:.6g}") for name, value in self.facts.items()},
        }


def from_document(document: Mapping[str, Any]) -> Curve:
    """The curve that :meth:`Curve.document` wrote."""
    return Curve(
        document["kind"],
        document["title"],
        document["x"]["title"],
        document["x"]["unit"],
        document["y"]["title"],
        document["y"]["unit"],
        tuple(Trace(t["name"], np.array(t["x"]), np.array(t["y"]), t["at"]) for t in document["traces"]),
        tuple(Mark(**mark) for mark in document["marks"]),
        document["facts"],
    )


@dataclass(frozen=True, slots=True)
class Place:
    """What is known where a channel sits: its name for people and in data, unit, r/min of its shaft (NaN: unknown)."""

    name: str
    unit: str
    speed: float = float("nan")
    bearing: Bearing | None = None
    gear: Gear | None = None


def waveform(samples: NDArray[np.floating], rate: float, place: Place) -> Curve:
    """Samples over time in seconds, lowest and highest of each stretch."""
    x = np.asarray(samples, np.float64)
    n = len(x)
    block = max(1, -(-2 * n // POINTS))
    if block > 1:
        rows = x[: n // block * block].reshape(-1, block)
        low, high = rows.argmin(axis=1), rows.argmax(axis=1)
        first, second = np.minimum(low, high), np.maximum(low, high)
        base = np.arange(len(rows)) * block
        kept = np.stack((base + first, base + second), axis=1).ravel()
    else:
        kept = np.arange(n)
    trace = Trace(place.name, kept / rate, x[kept])
    return Curve("waveform", f"{place.name}: waveform", "time", "s", "amplitude", place.unit, (trace,))


def spectrum(
    samples: NDArray[np.floating],
    rate: float,
    place: Place,
    *,
    top: float | None = None,
    resolution: float | None = None,
) -> Curve:
    """Amplitudes zero to peak up to ``top`` Hz (default: half the rate), with the orders that are expected."""
    found = spectra.spectrum(samples, rate, resolution=resolution, name="hann")
    inside = found.frequency <= (top or rate / 2)
    x, y = peaks_kept(found.frequency[inside], found.amplitude[inside])
    marks = _orders(place, float(x[-1]))
    trace = Trace(place.name, x, y)
    facts = {"resolution": found.step, "averages": float(found.averages)}
    return Curve(
        "spectrum", f"{place.name}: spectrum", "frequency", "Hz", "amplitude", place.unit, (trace,), marks, facts
    )


def envelope(samples: NDArray[np.floating], rate: float, place: Place, band: Band | None = None) -> Curve:
    """The envelope's spectrum in ``band`` (default: where the signal is most impulsive), as depth of modulation in per
    cent, with the bearing's lines."""
    band = band or best_band(samples, rate)
    fastest = max(place.bearing.lines(place.speed).values(), default=0.0) if _turning(place) and place.bearing else 0.0
    top = min(max(5.0 * fastest, 400.0), (band.high - band.low) / 2)
    (found,) = demodulate(samples, rate, resolution=ENVELOPE_STEP, top=top, bands=(band,))
    x, y = peaks_kept(found.frequency, 100.0 * found.depth[0])
    marks = (*_orders(place, top, count=2), *bearing_marks(place, top))
    facts = {"band_low": band.low, "band_high": band.high, "kurtosis": float(found.kurtosis[0])}
    title = f"{place.name}: envelope spectrum, band {band.low:.0f} to {band.high:.0f} Hz"
    return Curve("envelope", title, "frequency", "Hz", "modulation", "%", (Trace(place.name, x, y),), marks, facts)


def orbit(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    angle: FloatArray | None,
    place: Place,
    *,
    rate: float,
    turns: int = 8,
) -> Curve:
    """The shaft's path over the last ``turns``, up to its fifth order, and where the key phasor passed."""
    begin, end = 0, len(x)
    if _turning(place):
        highest = ORBIT_ORDERS * place.speed / 60.0
        x, y = _smooth(x, rate, highest), _smooth(y, rate, highest)
        turn = 60.0 / place.speed * rate
        end -= min(round(turn), end // 2)  # the very end is bent by the smoothing
        begin = max(0, end - round(turns * turn))
    found = shaft.orbit(x, y, angle)
    path = Trace(place.name, found.x[begin:end], found.y[begin:end])
    marks = found.marks[(found.marks >= begin) & (found.marks < end)]
    dots = Trace("key phasor", found.x[marks], found.y[marks])
    traces = (path, dots) if len(marks) else (path,)
    return Curve("orbit", f"{place.name}: orbit", "horizontal", place.unit, "vertical", place.unit, traces)


def waterfall(
    records: Sequence[tuple[int, NDArray[np.floating], float]], place: Place, *, top: float, enveloped: bool = False
) -> Curve:
    """Spectra (or envelope spectra) of several moments (µs, samples, Hz), oldest first. Where the speed was another,
    who asks gives a rate by which the orders stand where those of the newest do."""
    traces = []
    band = None
    for at, samples, rate in sorted(records, key=lambda r: r[0], reverse=True):
        if enveloped:
            band = band or best_band(samples, rate)  # one band for all: that of the newest
            (found,) = demodulate(samples, rate, resolution=ENVELOPE_STEP, top=top, bands=(band,))
            x, y = peaks_kept(found.frequency, 100.0 * found.depth[0], 400)
        else:
            seen = spectra.spectrum(samples, rate, name="hann")
            inside = seen.frequency <= top
            x, y = peaks_kept(seen.frequency[inside], seen.amplitude[inside], 400)
        traces.append(Trace(place.name, x, y, at))
    traces.reverse()
    what, unit = ("modulation", "%") if enveloped else ("amplitude", place.unit)
    marks = bearing_marks(place, top) if enveloped else _orders(place, top)
    title = f"{place.name}: {'envelope spectra' if enveloped else 'spectra'} over time"
    return Curve("waterfall", title, "frequency", "Hz", what, unit, tuple(traces), marks)


def bode(start: Start, place: Place, *, order: float = 1.0) -> Curve:
    """Amplitude peak to peak and phase lag over speed, as two traces."""
    vectors = start.of(order)
    lag = np.degrees(-np.unwrap(np.angle(vectors))) if len(vectors) else np.empty(0)
    if len(lag):
        lag -= 360.0 * np.floor(lag.min() / 360.0)
    traces = Trace("amplitude", start.speed, 2.0 * np.abs(vectors)), Trace("phase lag", start.speed, lag)
    return Curve("bode", f"{place.name}: {order:g}x over speed", "speed", "r/min", "amplitude", place.unit, traces)


def bearing_marks(place: Place, top: float) -> tuple[Mark, ...]:
    """Where the bearing's lines and their first harmonics are expected."""
    if place.bearing is None or not _turning(place):
        return ()
    found = []
    for line, hz in place.bearing.lines(place.speed).items():
        for k in range(1, (2 if line == "FTF" else HARMONICS) + 1):
            if 0 < k * hz <= top:
                label = PARTS[line] if k == 1 else f"{k}×"
                found.append(Mark(k * hz, label, line))
    return tuple(found)


def _orders(place: Place, top: float, count: int = 3) -> tuple[Mark, ...]:
    if not _turning(place):
        return ()
    hz = place.speed / 60.0
    found = [Mark(k * hz, f"{k}×", "order") for k in range(1, count + 1) if k * hz <= top]
    if place.gear is not None and place.gear.mesh(place.speed) <= top:
        found.append(Mark(place.gear.mesh(place.speed), "gear mesh", "GMF"))
    return tuple(found)


def _smooth(samples: NDArray[np.floating], rate: float, highest: float) -> FloatArray:
    """Without what lies above ``highest`` Hz."""
    found = np.fft.rfft(np.asarray(samples, np.float64))
    found[np.fft.rfftfreq(len(samples), 1.0 / rate) > highest] = 0.0
    return np.asarray(np.fft.irfft(found, len(samples)))


def _turning(place: Place) -> bool:
    return bool(np.isfinite(place.speed)) and place.speed > 0


def peaks_kept(x: FloatArray, y: FloatArray, points: int = POINTS) -> tuple[FloatArray, FloatArray]:
    """At most about ``points`` of the curve: of each stretch its highest, where it stands."""
    n = len(y)
    block = -(-n // points)
    if block <= 1:
        return x, y
    whole = n // block * block
    highest = y[:whole].reshape(-1, block).argmax(axis=1) + np.arange(whole // block) * block
    if whole < n:
        highest = np.append(highest, whole + int(y[whole:].argmax()))
    return x[highest], y[highest]


def _digits(values: FloatArray) -> list[float]:
    return [float(f"{v:.6g}") for v in values.tolist()]
