"""What comes in one piece: a stretch of evenly sampled signal, and one cycle of a machine with its numbers.

Both keep what they are (they are stored whole) and become ordinary readings besides: the features of a waveform and
the numbers of a cycle stand on points that the equipment's type declares, at the moment the parcel ends.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.time import SECOND

DURATION: Final = "duration"
"""A cycle's number that need not be sent: its end less its start, in seconds."""
UNKNOWN: Final = float("nan")


class Purpose(StrEnum):
    """Why a waveform was taken."""

    ROUTINE = "routine"
    TRANSIENT = "transient"
    """During run-up or coast-down, per step of speed or time."""
    ON_DEMAND = "on_demand"
    """Somebody asked for it (:attr:`Waveform.request`)."""
    REFERENCE = "reference"
    """Of a machine known to be well: what later ones are compared with."""


class Retention(StrEnum):
    """How long the samples of a waveform are kept; its features stay as long as readings do."""

    SHORT = "short"
    ROUTINE = "routine"
    REFERENCE = "reference"
    EVIDENCE = "evidence"
    """As long as the case that rests on it."""


RETENTION_OF: Final[Mapping[Purpose, Retention]] = {
    Purpose.TRANSIENT: Retention.REFERENCE,
    Purpose.ON_DEMAND: Retention.REFERENCE,
    Purpose.REFERENCE: Retention.REFERENCE,
}
"""What a purpose asks for, whatever the type says of routine ones."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One sensor's part of a waveform. ``orientation`` in degrees from the vertical against the sense of rotation, seen
    from the driver; ``gap`` the sensor's DC voltage (bias, or a proximity probe's gap), V. None: not known."""

    name: str
    unit: str
    orientation: float | None = None
    gap: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Channels sampled together.

    ``ts`` µs UTC of the first sample, ``rate`` Hz, ``samples`` float32 [channel, n] in each channel's unit. ``speed``
    r/min of the shaft that the type counts orders by (NaN: unknown), ``tacho`` float64 seconds after the first sample
    at which its mark passed. ``load`` % (NaN: unknown). ``rotation`` ``cw`` or ``ccw`` seen from the driver, or empty.
    ``after``: how many readings of its record's batch had come before it.
    """

    equipment_id: int
    ts: int
    rate: float
    channels: tuple[Channel, ...]
    samples: NDArray[np.float32]
    speed: float = UNKNOWN
    tacho: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    load: float = UNKNOWN
    rotation: str = ""
    purpose: Purpose = Purpose.ROUTINE
    retention: Retention = Retention.ROUTINE
    request: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    after: int = 0

    @property
    def end(self) -> int:
        """µs at which the last sample's interval ends: when its features are known."""
        return self.ts + round(int(self.samples.shape[1]) * SECOND / self.rate)

    def digest(self) -> bytes:
        """Identity of the content: 16 bytes over what was measured, not over why or how long it is kept."""
        state = hashlib.blake2b(digest_size=16)
        state.update(struct.pack("<qdd", self.ts, self.rate, self.speed))
        for channel in self.channels:
            named = f"{channel.name}\0{channel.unit}".encode()
            state.update(len(named).to_bytes(4, "little") + named)
        state.update(np.ascontiguousarray(self.tacho, "<f8").tobytes())
        state.update(np.ascontiguousarray(self.samples, "<f4").tobytes())
        return state.digest()


@dataclass(frozen=True, slots=True)
class CycleRecord:
    """One door stroke, load cycle, brake application, start: ``kind`` of ``component`` (key) from ``ts`` to ``end`` µs,
    with its numbers in the units the type declares. ``after`` as of a :class:`Waveform`."""

    equipment_id: int
    kind: str
    component: str
    ts: int
    end: int
    values: Mapping[str, float]
    after: int = 0

    def digest(self) -> bytes:
        """Identity of the content: 16 bytes, the same for any order of the numbers."""
        state = hashlib.blake2b(digest_size=16)
        state.update(struct.pack("<q", self.end))
        for name in sorted(self.values):
            encoded = name.encode()
            state.update(len(encoded).to_bytes(4, "little") + encoded + struct.pack("<d", self.values[name]))
        return state.digest()
