"""An equipment's type in the words of vibration: its channels, what sits at each, the machine behind a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.equipment import EquipmentType, WaveformInstance
from core.parcels import UNKNOWN
from models.vibration.curves import Place
from models.vibration.places import bearing_of, gear_of
from services.api.database import Row
from storage.waveforms import unpack, unpack_tacho


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """A stored waveform: ``samples`` float32 [channel, n], ``tacho`` s after the first sample, ``speed`` r/min or
    NaN."""

    id: int
    ts: int
    rate: float
    channels: tuple[str, ...]
    units: tuple[str, ...]
    samples: NDArray[np.float32]
    speed: float
    tacho: NDArray[np.float64]
    gaps: tuple[float | None, ...]

    def of(self, channel: str) -> NDArray[np.float32]:
        """[n] of one channel. Raises KeyError."""
        if channel not in self.channels:
            raise KeyError(channel)
        return np.asarray(self.samples[self.channels.index(channel)], np.float32)


def samples_of(row: Row) -> Samples:
    """Out of a row of the statement ``waveform_samples``."""
    channels: Sequence[Mapping[str, Any]] = row["channels"]
    return Samples(
        row["id"],
        round(row["ts"].timestamp() * 1e6),
        row["rate"],
        tuple(c["name"] for c in channels),
        tuple(c["unit"] for c in channels),
        unpack(row["encoding"], channels, row["samples"], bytes(row["data"])),
        UNKNOWN if row["speed"] is None else row["speed"],
        unpack_tacho(None if row["tacho"] is None else bytes(row["tacho"])),
        tuple(c.get("gap") for c in channels),
    )


class Places:
    """The channels of one equipment's type."""

    def __init__(self, type_: EquipmentType) -> None:
        self.type = type_
        self.instances: dict[str, WaveformInstance] = {i.channel: i for i in type_.waveform_instances()}

    def at(self, component: str) -> list[WaveformInstance]:
        """Channels on a component, in the order of the type."""
        return [i for i in self.instances.values() if i.component == component]

    def place(self, samples: Samples, channel: str) -> Place:
        """What is known where the channel sits, at that waveform's speed."""
        unit = samples.units[samples.channels.index(channel)]
        instance = self.instances.get(channel)
        if instance is None:
            return Place(channel, unit, samples.speed)
        d = instance.definition
        name = d.description or channel
        return Place(name, unit, samples.speed * d.ratio, bearing_of(d.machine), gear_of(d.machine))

    def pair(self, channel: str) -> str | None:
        """The channel that sees the same shaft at a right angle."""
        instance = self.instances.get(channel)
        if instance is None or not instance.definition.pair:
            return None
        binding = next(
            (i.channel for i in self.instances.values() if i.definition.channel == instance.definition.pair), None
        )
        return instance.definition.pair if instance.definition.pair in self.instances else binding
