"""Where a type takes waveforms: whether what comes from there means anything, and what it becomes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from core.equipment import WaveformDef, WaveformInstance
from core.parcels import Waveform


def is_open(definition: WaveformDef, waveform: Waveform) -> bool:
    """Whether the waveform's own speed and load lie where the type wants them; what it does not say closes nothing."""
    for span, told in ((definition.speed, waveform.speed), (definition.load, waveform.load)):
        if span is not None and not math.isnan(told) and not span[0] <= told <= span[1]:
            return False
    return True


def features(waveform: Waveform, place: int, instance: WaveformInstance) -> Mapping[str, float]:
    """The features of the channel at ``place`` that the type asks for, by name; of the signal less its mean.

    ``mean``, ``rms``, ``peak``, ``peak_to_peak`` in the channel's unit, ``crest`` (peak over RMS), ``kurtosis`` (3 for
    noise); NaN where the signal stands still.
    """
    x = waveform.samples[place].astype(np.float64)
    mean = float(x.mean())
    x -= mean
    square = x * x
    power = float(square.mean())
    peak = float(np.abs(x).max())
    found = {
        "mean": mean,
        "rms": math.sqrt(power),
        "peak": peak,
        "peak_to_peak": float(x.max() - x.min()),
        "crest": peak / math.sqrt(power) if power > 0 else math.nan,
        "kurtosis": float((square * square).mean()) / power**2 if power > 0 else math.nan,
    }
    return {name: value for name, value in found.items() if name in instance.points}
