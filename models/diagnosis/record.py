"""What is diagnosed: a recording, and what is known of the machine it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from models.vibration.bearings import Bearing
from models.vibration.gears import Gear
from models.vibration.integration import quantity

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One sensor's samples [n] in ``unit`` (UCUM: m/s2, g, mm/s, um).

    ``direction``: radial, axial, x, y (a pair of shaft probes) or unknown; ``location`` names the component it sits on.
    """

    name: str
    samples: FloatArray
    unit: str = "m/s2"
    direction: str = "unknown"
    location: str = ""

    @property
    def quantity(self) -> str:
        """acceleration, velocity, displacement, or nothing for another kind of signal."""
        known = quantity(self.unit)
        return known[0] if known else ""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Channels sampled together at ``rate`` Hz; ``speed`` r/min or NaN; ``tacho`` [n] pulses; ``ts`` µs UTC of the
    first sample.

    Raises where there is nothing to look at: no channel, lengths that differ, less than a quarter of a second.
    """

    rate: float
    channels: tuple[Channel, ...]
    speed: float = float("nan")
    tacho: FloatArray | None = None
    ts: int = 0

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise InvalidInputError(f"a sampling rate of {self.rate:g} Hz", hint="give the rate in Hz")
        if not self.channels:
            raise InvalidInputError("a recording without channels")
        lengths = {len(channel.samples) for channel in self.channels}
        if self.tacho is not None:
            lengths.add(len(self.tacho))
        if len(lengths) > 1:
            raise InvalidInputError(f"channels of different lengths: {sorted(lengths)}")
        if self.samples < max(64, self.rate / 4):
            raise InvalidInputError(
                f"{self.samples} samples at {self.rate:g} Hz are too short to diagnose", hint="record a second or more"
            )

    @property
    def samples(self) -> int:
        return len(self.channels[0].samples)

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


@dataclass(frozen=True, slots=True)
class Machine:
    """What the type knows. Everything may be missing: modes that need it are then not spoken of.

    ``bearings`` and ``gears`` by component key; ``line_frequency`` Hz of the motor's supply (an inverter's output
    frequency) and ``poles`` of the motor; ``support``: rolling or fluid-film; ``critical_speed`` r/min, the first;
    ``group`` and ``foundation`` of ISO 20816-3; ``baseline``: by channel, its features
    (:func:`models.vibration.features.features`: ``x1_amplitude``, ``x2_amplitude``) at the same speed and
    load; ``modes``: keys to consider, all if empty; ``tolerance``: share by which the true speed may differ from what
    is stated.
    """

    name: str = ""
    bearings: Mapping[str, Bearing] = field(default_factory=dict)
    gears: Mapping[str, Gear] = field(default_factory=dict)
    blades: int = 0
    line_frequency: float = float("nan")
    poles: int = 0
    support: str = "rolling"
    critical_speed: float = float("nan")
    group: int = 2
    foundation: str = "rigid"
    clearance: float = float("nan")
    baseline: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    modes: tuple[str, ...] = ()
    tolerance: float = 0.01
