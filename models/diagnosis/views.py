"""What a person looks at beside a diagnosis: waveform, spectrum, envelope spectrum, as data with lines expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.diagnosis.finding import Diagnosis, Finding
from models.diagnosis.lines import Lines
from models.diagnosis.record import Channel, Machine, Record
from models.vibration.bearings import PARTS
from models.vibration.envelope import Band, best_band, envelope
from models.vibration.integration import quantity
from models.vibration.spectra import spectrum

FloatArray = NDArray[np.float64]

_POINTS: Final = 6000
"""More points than a picture has pixels are merged, keeping each stretch's highest and lowest."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A line expected at ``x``; one ``family``, one colour; ``reach``: the band searched, on either side."""

    x: float
    label: str
    family: str
    reach: float = 0.0
    found: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One picture's data."""

    kind: str
    x: FloatArray
    y: FloatArray
    xlabel: str
    ylabel: str
    title: str
    marks: tuple[Mark, ...] = ()

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "kind": self.kind,
            "x": [float(f"{value:.6g}") for value in self.x],
            "y": [float(f"{value:.6g}") for value in self.y],
            "xlabel": self.xlabel,
            "ylabel": self.ylabel,
            "title": self.title,
            "marks": [
                {"x": float(f"{m.x:.6g}"), "label": m.label, "family": m.family, "reach": m.reach, "found": m.found}
                for m in self.marks
            ],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The three pictures of one channel."""

    channel: str
    waveform: View
    spectrum: View
    envelope: View
    extra: dict[str, View] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "channel": self.channel,
            "waveform": self.waveform.document(),
            "spectrum": self.spectrum.document(),
            "envelope": self.envelope.document(),
        }


def views(record: Record, machine: Machine, diagnosis: Diagnosis | None = None, *, channel: str | None = None) -> Views:
    """Pictures of one channel: by name, or the one the diagnosis speaks of, or the first.

    The envelope's band is the one in which the finding was made, else the most impulsive; its lines are those of the
    part found, else of all the machine's bearings.
    """
    finding = _told(diagnosis)
    chosen = _chosen(record, finding, channel)
    speed = diagnosis.speed if diagnosis is not None and np.isfinite(diagnosis.speed) else record.speed
    return Views(
        chosen.name,
        _waveform(chosen, record, speed),
        _spectrum(chosen, record, machine, speed, finding),
        _envelope(chosen, record, machine, speed, finding),
    )


def _told(diagnosis: Diagnosis | None) -> Finding | None:
    if diagnosis is None or not diagnosis.findings:
        return None
    return next(iter(diagnosis.decided), diagnosis.findings[0])


def _chosen(record: Record, finding: Finding | None, name: str | None) -> Channel:
    wanted = name or (finding.evidence[0].channel if finding is not None and finding.evidence else None)
    return next((channel for channel in record.channels if channel.name == wanted), record.channels[0])


def _waveform(channel: Channel, record: Record, speed: float) -> View:
    """Some turns of it: what repeats is seen by the eye."""
    turns = 12 * 60 / speed if np.isfinite(speed) and speed > 0 else record.seconds
    n = min(record.samples, max(256, int(turns * record.rate)))
    t = np.arange(n) / record.rate
    x, y = thinned(t, np.asarray(channel.samples[:n], dtype=np.float64))
    return View("waveform", x, y, "time, s", f"{channel.quantity or 'signal'}, {channel.unit}", "Waveform, first turns")


def _spectrum(channel: Channel, record: Record, machine: Machine, speed: float, finding: Finding | None) -> View:
    rolling = quantity(channel.unit) is not None
    shaft = speed / 60 if np.isfinite(speed) and speed > 0 else float("nan")
    lines = Lines(channel, record.rate, resolution=max(shaft / 40, 1 / record.seconds) if np.isfinite(shaft) else 1.0)
    top = min(record.rate / 2.56, max(20 * shaft, 1000.0) if np.isfinite(shaft) else 1000.0)
    inside = (lines.frequency <= top) & (lines.frequency >= min(5.0, 0.1 * shaft if np.isfinite(shaft) else 5.0))
    y = np.sqrt(lines.power[inside] / 1.0)
    unit = (
        {"mm/s": "velocity, mm/s RMS", "um": "displacement, µm peak to peak"}[lines.unit] if rolling else channel.unit
    )
    marks = []
    if np.isfinite(shaft):
        marks = [Mark(k * shaft, f"{k}×", "shaft") for k in range(1, 6) if k * shaft < top]
        if np.isfinite(machine.line_frequency):
            marks.append(Mark(2 * machine.line_frequency, "2×line", "supply"))
        if machine.blades:
            marks.append(Mark(machine.blades * shaft, "blades", "blades"))
        marks += [
            Mark(g.mesh(speed), f"mesh {name}", "gear") for name, g in machine.gears.items() if g.mesh(speed) < top
        ]
    if finding is not None:
        marks += [
            Mark(e.found, e.what, "finding", found=True)
            for e in finding.evidence
            if e.kind == "spectrum" and np.isfinite(e.found) and e.channel == channel.name and e.found < top
        ]
    return View("spectrum", *thinned(lines.frequency[inside], y), "frequency, Hz", unit, "Spectrum", tuple(marks))


def _envelope(channel: Channel, record: Record, machine: Machine, speed: float, finding: Finding | None) -> View:
    shaft = speed / 60 if np.isfinite(speed) and speed > 0 else 1.0
    highest = max((o for b in machine.bearings.values() for o in b.multiples.values()), default=6.0)
    top = min(3.3 * highest * shaft, 0.2 * record.rate)
    samples = np.asarray(channel.samples, dtype=np.float64)
    band = _band_of(finding) or best_band(samples, record.rate, narrowest=max(200.0, 1.2 * top))
    squared, slower = envelope(samples, record.rate, band.low, band.high)
    root = np.sqrt(squared)
    found = spectrum(root, slower, resolution=max(shaft / 60, 1 / record.seconds), name="hann")
    inside = (found.frequency <= top) & (found.frequency >= 0.15 * shaft)
    marks = [Mark(k * shaft, f"{k}×", "shaft") for k in (1, 2, 3)]
    part = finding.mode if finding is not None and finding.mode.startswith("bearing_") else None
    for name, bearing in machine.bearings.items():
        if part is not None and finding is not None and finding.component not in ("", name):
            continue
        for line, order in bearing.multiples.items():
            told = part is not None and PARTS_OF[line] == part
            if part is not None and not told:
                continue
            for h in (1, 2, 3) if told else (1,):
                hertz = h * order * shaft
                if hertz < top:
                    label = line if h == 1 else f"{h}×{line}"
                    marks.append(Mark(hertz, label, PARTS[line], bearing.search * hertz, found=told))
    title = f"Envelope spectrum, band {band.low:.0f}–{band.high:.0f} Hz"
    x, y = thinned(found.frequency[inside], found.amplitude[inside])
    return View("envelope", x, y, "frequency, Hz", f"envelope, {channel.unit}", title, tuple(marks))


PARTS_OF: Final = {
    "BPFO": "bearing_outer", "BPFI": "bearing_inner", "BSF2": "bearing_element", "FTF": "bearing_cage"
}  # fmt: skip


def _band_of(finding: Finding | None) -> Band | None:
    """The band its evidence names."""
    if finding is None:
        return None
    return next((Band(*e.band, 1) for e in finding.evidence if e.band is not None), None)


def thinned(x: NDArray[np.floating], y: NDArray[np.floating], points: int = _POINTS) -> tuple[FloatArray, FloatArray]:
    """Highest and lowest of each stretch, so that no line and no blow is lost in a picture."""
    n = len(x)
    if n <= points:
        return x.astype(np.float64), y.astype(np.float64)
    size = int(np.ceil(2 * n / points))
    blocks = n // size
    part = y[: blocks * size].reshape(blocks, size)
    base = np.arange(blocks) * size
    keep = np.unique(np.concatenate([base + part.argmin(axis=1), base + part.argmax(axis=1)]))
    return x[keep].astype(np.float64), y[keep].astype(np.float64)
