"""A host with one group of one tenant, and what came out of it in a form that reads well in a test."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core import quality as q
from formats.sparkplug.decode import SparkplugPayload, decode_payload
from formats.sparkplug.profile import parse_sparkplug
from ingest.sparkplug.host import Effects, Group, SparkplugHost
from ingest.sparkplug.limits import SparkplugSettings
from tests.unit.sparkplug.edge import T0, Sent


@dataclass(frozen=True)
class Reading:
    equipment: str
    name: str
    ts: int
    value: float
    quality: int = q.GOOD


@dataclass
class Hosting:
    """Feeds a host and remembers all it said."""

    settings: SparkplugSettings = field(default_factory=SparkplugSettings)
    groups: tuple[str, ...] = ("plant",)
    section: dict[str, Any] = field(default_factory=dict)
    now: int = T0

    def __post_init__(self) -> None:
        self.mapping = {
            name: Group(f"tenant-{name}", parse_sparkplug({"group": name, **self.section})) for name in self.groups
        }
        self.host = SparkplugHost(self.mapping, self.settings)
        self.readings: list[Reading] = []
        self.events: list[tuple[str, str, int, dict[str, Any]]] = []
        self.texts: list[tuple[str, str, str]] = []
        self.reasons: list[str] = []
        self.details: list[str] = []
        self.refused_readings = 0
        self.commands: list[tuple[str, SparkplugPayload]] = []
        self.counts: Counter[str] = Counter()

    def send(self, *sent: Sent, at: int | None = None, retained: bool = False) -> Hosting:
        for topic, payload in sent:
            self.now = self.now if at is None else at
            self._note(self.host.message(topic, payload, self.now, retained=retained))
        return self

    def wait(self, duration: int) -> Hosting:
        self.now += duration
        self._note(self.host.passed(self.now))
        return self

    def lose(self) -> None:
        self._note(self.host.lost(self.now))

    def reconnect(self) -> None:
        self._note(self.host.connected(self.now))

    def take(self) -> list[Reading]:
        """Readings since the last call."""
        found, self.readings = self.readings, []
        return found

    @property
    def rebirths(self) -> list[str]:
        return [topic for topic, _ in self.commands]

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        return [body for _, found, _, body in self.events if found == kind]

    def _note(self, effects: Effects) -> None:
        self.counts.update(effects.counts)
        for topic, payload in effects.commands:
            decoded = decode_payload(payload)
            assert isinstance(decoded, SparkplugPayload)
            self.commands.append((topic, decoded))
        for refused in effects.refused:
            self.reasons.append(refused.refusal.reason)
            self.details.append(refused.refusal.detail)
            self.refused_readings += refused.refusal.readings
        for given in effects.given:
            decoded_part = given.decoded
            for refusal in decoded_part.refusals:
                self.reasons.append(refusal.reason)
                self.details.append(refusal.detail)
                self.refused_readings += refusal.readings
            self.texts.extend((given.equipment, text.name, text.text) for text in decoded_part.texts)
            self.events.extend((given.equipment, e.kind, e.ts, dict(e.body)) for e in decoded_part.events)
            for block in decoded_part.blocks:
                assert block.value.shape == (len(block.ts), len(block.names))
                assert np.isfinite(block.value[block.present] if block.present is not None else block.value).all()
                for row, column in itertools.product(range(len(block.ts)), range(len(block.names))):
                    if block.present is None or block.present[row, column]:
                        grade = q.GOOD if block.quality is None else int(block.quality[row, column])
                        reading = Reading(
                            given.equipment,
                            block.names[column],
                            int(block.ts[row]),
                            float(block.value[row, column]),
                            grade,
                        )
                        self.readings.append(reading)
