"""Which numbers a waveform has, apart from how they are computed: whoever only reads a type needs no signal library."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

EDGES: Final = (0.005, 0.02, 0.05, 0.1, 0.2, 0.35, 0.49)
"""Bands as shares of the sampling rate: ``band_1`` to ``band_6``."""

FEATURES: Final[dict[str, tuple[str, str]]] = {
    "mean": ("", "mean (gap or bias, in the signal's unit)"),
    "rms": ("", "RMS without the mean"),
    "peak": ("", "largest distance from the mean"),
    "peak_to_peak": ("", "highest minus lowest"),
    "crest": ("1", "peak over RMS"),
    "kurtosis": ("1", "kurtosis, 3 for noise"),
    "velocity_rms": ("mm/s", "velocity RMS, 10-1000 Hz (from 2 Hz at and below 600 r/min)"),
    "velocity_peak": ("mm/s", "velocity, peak of the waveform"),
    "acceleration_rms": ("m/s2", "acceleration RMS up to half the sampling rate"),
    "acceleration_peak": ("m/s2", "acceleration, peak of the waveform"),
    "displacement_pp": ("um", "displacement peak to peak"),
    **{f"band_{i}": ("", f"RMS between {a:g} and {b:g} of the sampling rate") for i, (a, b) in
       enumerate(pairwise(EDGES), 1)},
    "x1_amplitude": ("", "1x, zero to peak"),
    "x1_phase": ("deg", "1x phase lag; needs a tacho"),
    "x2_amplitude": ("", "2x, zero to peak"),
    "x2_phase": ("deg", "2x phase lag; needs a tacho"),
    "x3_amplitude": ("", "3x, zero to peak"),
    "half_x_amplitude": ("", "1/2x, zero to peak"),
    "sub_amplitude": ("", "strongest line between 0.2x and 0.49x, zero to peak"),
    "sub_order": ("1", "where that line is, in orders"),
    "envelope_low": ("Hz", "band of the envelope, from: the most impulsive"),
    "envelope_high": ("Hz", "band of the envelope, to"),
    "envelope_rms": ("", "RMS of the band's signal"),
    "envelope_kurtosis": ("1", "spectral kurtosis of the band, 0 for noise"),
    "bpfo": ("1", "modulation of the band's power at BPFO, 0 ... 2"),
    "bpfi": ("1", "modulation of the band's power at BPFI"),
    "bsf": ("1", "modulation of the band's power at 2 BSF"),
    "ftf": ("1", "modulation of the band's power at FTF"),
    "gmf_amplitude": ("", "gear mesh, zero to peak"),
    "gmf_sideband_ratio": ("1", "first two pairs of sidebands of the mesh over the mesh"),
}  # fmt: skip
"""Name -> (unit, what it is); no unit: that of the signal. A type declares points from it."""
