"""Where a type takes waveforms: whether what comes from there means anything, and what it becomes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from core.equipment import WaveformDef, WaveformInstance
from core.parcels import Waveform
from models.vibration import channels
from models.vibration.bearings import Bearing, bearing, from_multiples, of_geometry
from models.vibration.channels import ChannelFinding
from models.vibration.features import features as compute
from models.vibration.gears import Gear
from models.vibration.orders import angle_from_pulses

FAULT: Final = "fault"
"""The feature that says whether the channel itself is ill: 1, or 0."""


class TachoTimes(Protocol):
    """What has pulse times (s after the first sample) beside its samples [channel, n]."""

    @property
    def tacho(self) -> NDArray[np.float64]: ...

    @property
    def samples(self) -> NDArray[np.float32]: ...

    @property
    def rate(self) -> float: ...


def is_open(definition: WaveformDef, waveform: Waveform) -> bool:
    """Whether the waveform's own speed and load lie where the type wants them; what it does not say closes nothing."""
    for span, told in ((definition.speed, waveform.speed), (definition.load, waveform.load)):
        if span is not None and not math.isnan(told) and not span[0] <= told <= span[1]:
            return False
    return True


def features(waveform: Waveform, place: int, instance: WaveformInstance) -> Mapping[str, float]:
    """The features (:data:`~models.vibration.feature_names.FEATURES`) of the channel at ``place`` that the type wants.

    The channel's own health comes first: of one that is ill only :data:`FAULT` is told, 1, and no feature.
    """
    definition = instance.definition
    if faults(waveform, place, definition):
        return {FAULT: 1.0} if FAULT in instance.points else {}
    found = {FAULT: 0.0} | compute(
        waveform.samples[place],
        waveform.rate,
        unit=definition.unit,
        speed=waveform.speed * definition.ratio,
        tacho=tacho_signal(waveform) if definition.ratio == 1.0 else None,
        bearing=bearing_of(definition.machine),
        gear=gear_of(definition.machine),
        wanted=instance.points.keys(),
    )
    return {name: value for name, value in found.items() if name in instance.points}


def faults(waveform: Waveform, place: int, definition: WaveformDef) -> list[ChannelFinding]:
    """What is wrong with the sensor at ``place``, if anything: signal, bias or gap, tacho."""
    name = waveform.channels[place].name
    beside = (i for i, c in enumerate(waveform.channels) if i != place and c.unit == definition.unit)
    same = [waveform.samples[i].astype(np.float64) for i in beside]
    found = channels.health(name, waveform.samples[place], waveform.rate, others=same)
    volts = waveform.channels[place].gap
    if volts is not None and definition.gap is not None:
        judge = channels.gap if definition.unit == "um" else channels.bias
        wrong = judge(name, volts, usual=definition.gap)
        found += [] if wrong is None else [wrong]
    return found


def tacho_signal(waveform: Waveform | TachoTimes) -> NDArray[np.float64] | None:
    """[n] a sine that rises through zero whenever the shaft's mark passes; None without a tacho."""
    if len(waveform.tacho) < 2:
        return None
    angle = angle_from_pulses(waveform.tacho, waveform.samples.shape[1], waveform.rate)
    return np.where(np.isfinite(angle), np.sin(2.0 * np.pi * np.nan_to_num(angle)), 0.0)


def bearing_of(machine: Mapping[str, Any]) -> Bearing | None:
    """The rolling bearing at a place: ``bearing: "6322"``, its geometry, or its lines in orders."""
    told = machine.get("bearing")
    if told is None:
        return None
    if isinstance(told, str):
        return bearing(told)
    if "multiples" in told:
        return from_multiples(str(told.get("name", "bearing")), told["multiples"])
    return of_geometry(
        str(told.get("name", "bearing")),
        int(told["elements"]),
        float(told["element_diameter"]),
        float(told["pitch_diameter"]),
        float(told.get("contact_angle", 0.0)),
    )


def gear_of(machine: Mapping[str, Any]) -> Gear | None:
    """The gear on the shaft at a place: ``gear: {teeth, mate}``."""
    told = machine.get("gear")
    return None if told is None else Gear(int(told["teeth"]), int(told["mate"]))
