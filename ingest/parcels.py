"""Waveforms and cycles named by the registry: which channel of which component, in the unit the type stores.

Conservation: a waveform counts as one reading where any of its channels is taken; each channel that is not is a refusal
of its own, besides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core import units
from core.equipment import CycleInstance, EquipmentType, WaveformInstance
from core.errors import UnitError
from core.parcels import RETENTION_OF, Channel, CycleRecord, Retention, Waveform
from core.registry import EquipmentEntry, RegistrySnapshot
from core.time import isoformat
from formats.decoded import CycleMessage, Refusal, WaveformMessage, part, shown


class Parcels:
    """Looks up channels and cycles of one registry snapshot."""

    def __init__(self, snapshot: RegistrySnapshot) -> None:
        self._types = snapshot.types
        self._channels: dict[str, dict[str, WaveformInstance]] = {}
        self._cycles: dict[str, dict[tuple[str, str], CycleInstance]] = {}

    def waveform(self, entry: EquipmentEntry, message: WaveformMessage) -> tuple[Waveform | None, list[Refusal]]:
        """The waveform with the channels the type knows (all, of an open type), and what is refused of it."""
        type_ = self._types.get(entry.type_key)
        known = {} if type_ is None else self._channels_of(type_)
        is_open = type_ is not None and type_.open
        refusals: list[Refusal] = []
        channels: list[Channel] = []
        rows: list[Any] = []
        keep = Retention.SHORT
        for channel, samples in zip(message.channels, message.samples, strict=True):
            instance = known.get(channel.name)
            if instance is None:
                if is_open:
                    channels.append(channel)
                    rows.append(samples)
                    keep = _longer(keep, Retention.ROUTINE)
                else:
                    why = f"{entry.key} has no channel {shown(channel.name)}"
                    refusals.append(Refusal("unknown-channel", why))
                continue
            if any(c.name == instance.channel for c in channels):
                refusals.append(
                    Refusal("duplicate-key", f"{shown(channel.name)} names a channel that is there already")
                )
                continue
            definition = instance.definition
            try:
                conversion = units.conversion(channel.unit, definition.unit) if channel.unit else units.IDENTITY
            except UnitError as error:
                refusals.append(Refusal("unit", f"{shown(channel.name)}: {error}"))
                continue
            if conversion != units.IDENTITY:
                samples = (samples.astype(np.float64) * conversion.scale + conversion.offset).astype(np.float32)
            orientation = definition.orientation if channel.orientation is None else channel.orientation
            channels.append(Channel(instance.channel, definition.unit, orientation, channel.gap))
            rows.append(samples)
            keep = _longer(keep, definition.retention)
        if not channels:
            return None, refusals
        waveform = Waveform(
            entry.id,
            message.ts,
            message.rate,
            tuple(channels),
            np.stack(rows),
            message.speed,
            message.tacho,
            message.load,
            message.rotation,
            message.purpose,
            RETENTION_OF.get(message.purpose, keep),
            message.request,
            message.meta,
        )
        return waveform, refusals

    def cycle(self, entry: EquipmentEntry, message: CycleMessage) -> tuple[CycleRecord | None, Refusal | None]:
        """The cycle, or why it cannot be taken. Numbers that the type does not name are stored, not watched."""
        type_ = self._types.get(entry.type_key)
        known = {} if type_ is None else self._cycles_of(type_)
        if (message.kind, message.component) not in known and not (type_ is not None and type_.open):
            kinds = sorted({kind for kind, component in known if component == message.component})
            if kinds:
                has = f"{shown(message.component)} of {entry.key} has no cycle {shown(message.kind)}"
                why = f"{has}, only {', '.join(kinds)}"
                return None, Refusal("unknown-cycle", why, cycle_part(message))
            why = f"{entry.key} has no component {shown(message.component)} with cycles"
            return None, Refusal("unknown-component", why, cycle_part(message))
        values = dict(message.values)
        return CycleRecord(entry.id, message.kind, message.component, message.ts, message.end, values), None

    def _channels_of(self, type_: EquipmentType) -> dict[str, WaveformInstance]:
        found = self._channels.get(type_.key)
        if found is None:
            found = self._channels[type_.key] = {}
            instances = list(type_.waveform_instances())
            for instance in instances:
                found[instance.channel] = instance
            for instance in instances:
                for name in instance.definition.names:
                    found.setdefault(name, instance)
        return found

    def _cycles_of(self, type_: EquipmentType) -> dict[tuple[str, str], CycleInstance]:
        found = self._cycles.get(type_.key)
        if found is None:
            instances = type_.cycle_instances()
            found = self._cycles[type_.key] = {(i.kind, i.component): i for i in instances}
        return found


def cycle_part(message: CycleMessage) -> bytes:
    """The cycle as a message that can be sent again."""
    return part(
        {
            "kind": message.kind,
            "component": message.component,
            "ts": isoformat(message.ts),
            "end": isoformat(message.end),
            "values": dict(message.values),
        }
    )


_LENGTH = tuple(Retention)


def _longer(one: Retention, other: Retention) -> Retention:
    return max(one, other, key=_LENGTH.index)
