"""The simulated fleet of one segment, and its frames as MQTT messages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from core.time import HOUR
from formats.waveform import encode_int16
from runtime.demo.plan import COMPRESSORS, EXCAVATORS, INSTRUMENT_MODES, TRAINS, Segment
from runtime.demo.verdict import SeededFault
from simulators.compressor.fleet import WAVEFORMS_ABOVE
from simulators.excavator.fleet import ExcavatorFleet
from simulators.fleet import NEVER, CompressorTrainFleet, FaultPlan, Frames, MetroTrainFleet

TENANT: Final = "demo"
CLOCK_TOPIC: Final = f"servitize/v1/{TENANT}/clock"
_BLOCK: Final = 60
"""Frames per call of the simulators, which compute in blocks of this length anyway."""
WAVEFORMS_EVERY: Final = HOUR
"""Simulated time between two waveforms of a sensor."""
_SITE_C: Final = 16.0
"""One mild site: a heat wave is a matter for `servitize evaluate`, not for the first three minutes."""


@dataclass(frozen=True, slots=True)
class Instant:
    """All messages of one moment: (topic, payload), how many readings are in them, and its time (µs UTC)."""

    ts: int
    messages: tuple[tuple[str, bytes], ...]
    readings: int


class DemoFleet:
    """Three compressor trains, a metro train and an excavator, deterministic for seed and segment."""

    def __init__(self, seed: int, segment: Segment) -> None:
        self._segment = segment
        self._turns: dict[str, int] = {}
        self._turning: dict[str, bool] = {}
        self._latest: dict[str, tuple[int, dict[str, float]]] = {}
        leased = [seed * 100 + 81 + n for n in range(len(EXCAVATORS))]
        excavators = ExcavatorFleet(leased, segment.start, segment.period_s)
        self._groups: list[tuple[CompressorTrainFleet | MetroTrainFleet | ExcavatorFleet, Sequence[str]]] = [
            (self._make(CompressorTrainFleet, seed * 100 + 1, COMPRESSORS), COMPRESSORS),
            (self._make(MetroTrainFleet, seed * 100 + 51, TRAINS), TRAINS),
            (excavators, EXCAVATORS),
        ]

    def _make(self, kind: type[Any], first_seed: int, keys: Sequence[str]) -> Any:
        plans = [
            FaultPlan(
                unit=keys.index(fault.equipment),
                component=fault.place,
                mode=fault.mode,
                onset=fault.onset,
                horizon=fault.horizon,
                point=fault.place if fault.mode in INSTRUMENT_MODES else "",
            )
            for fault in self._segment.faults
            if fault.equipment in keys
        ]
        return kind(
            seeds=[first_seed + i for i in range(len(keys))],
            start=self._segment.start,
            period_s=self._segment.period_s,
            faults=plans,
            site_mean_c=_SITE_C,
            sites=[1] * len(keys),
        )

    def instants(self) -> Iterator[Instant]:
        """Every moment of the segment in order, each as messages of one frame per equipment."""
        while True:
            blocks = [(fleet, fleet.advance(_BLOCK), keys, _Writer(fleet)) for fleet, keys in self._groups]
            for row in range(_BLOCK):
                ts = int(blocks[0][1].ts[row])
                if ts > self._segment.end:
                    return
                messages: list[tuple[str, bytes]] = []
                readings = 0
                for fleet, frames, keys, writer in blocks:
                    for unit, key in enumerate(keys):
                        payload, count = writer.payload(frames, row, unit)
                        self._latest[key] = ts, dict(zip(writer.keys, frames.values[row, unit].tolist(), strict=True))
                        if count:
                            messages.append((f"servitize/v1/{TENANT}/{key}/telemetry", payload))
                            readings += count
                        if isinstance(fleet, CompressorTrainFleet) and self._due(key, unit, ts):
                            taken = fleet.waveforms(frames, row, unit)
                            topic = f"servitize/v1/{TENANT}/{key}/waveform"
                            messages += [(topic, encode_int16(waveform)) for waveform in taken]
                        if isinstance(fleet, CompressorTrainFleet) and self._started(key):
                            start = fleet.run_up(ts, unit)
                            if start is not None:
                                messages.append((f"servitize/v1/{TENANT}/{key}/waveform", encode_int16(start)))
                yield Instant(ts, tuple(messages), readings)

    def repair(self, equipment: str, component: str) -> int:
        """As :meth:`simulators.engine.Fleet.repair`; raises KeyError for equipment that has no faults to repair."""
        for fleet, keys in self._groups:
            if equipment in keys and not isinstance(fleet, ExcavatorFleet):
                return fleet.repair(keys.index(equipment), component)
        raise KeyError(equipment)

    def _due(self, key: str, unit: int, ts: int) -> bool:
        """Whether the machine's turn has come; one after the other, so that they do not all send at once."""
        turn = (ts - unit * WAVEFORMS_EVERY // 4) // WAVEFORMS_EVERY
        if self._turns.get(key) == turn:
            return False
        self._turns[key] = turn
        return True

    def _started(self, key: str) -> bool:
        """Whether the compressor has come up to speed since it was last asked about."""
        speed = self._latest[key][1]["train.speed"]
        if not math.isfinite(speed):
            return False
        before, self._turning[key] = self._turning.get(key, True), speed > WAVEFORMS_ABOVE
        return self._turning[key] and not before

    def latest(self, equipment: str) -> tuple[int, dict[str, float]]:
        """Time (µs) and readings of the machine's last frame; NaN where a sensor said nothing."""
        return self._latest.get(equipment, (self._segment.start, {}))

    def set_speed(self, equipment: str, speed: float | None) -> None:
        """Of a compressor; takes effect with the next block of frames."""
        for fleet, keys in self._groups:
            if isinstance(fleet, CompressorTrainFleet) and equipment in keys:
                fleet.set_speed(keys.index(equipment), speed)

    def unload(self, equipment: str, seconds: float) -> float:
        """Stop a compressor with the next block of frames, for so long; when (s). ValueError where it cannot."""
        for fleet, keys in self._groups:
            if isinstance(fleet, CompressorTrainFleet) and equipment in keys:
                return fleet.unload(keys.index(equipment), seconds)
        raise KeyError(equipment)

    def truth(self) -> list[SeededFault]:
        """The ground truth as of the last moment handed out."""
        found: list[SeededFault] = []
        for fleet, keys in self._groups:
            for line in fleet.truth():
                law = fleet.FAULTS[line.mode]
                found.append(
                    SeededFault(
                        equipment=keys[line.unit],
                        component=line.component,
                        mode=line.mode,
                        kind=line.kind,
                        onset=line.ts,
                        limit_at=min(line.limit_at, NEVER),
                        point=line.point,
                        shows_on=law.shows_on,
                    )
                )
        return found


def clock_message(ts: int) -> tuple[str, bytes]:
    """The publisher's clock: the time up to which it has sent everything."""
    return CLOCK_TOPIC, orjson.dumps({"ts": ts // 1000})


class _Writer:
    """Frames as native JSON telemetry: ``{"ts": epoch ms, "values": {name: value or {"v": value, "q": "bad"}}}``."""

    def __init__(self, fleet: CompressorTrainFleet | MetroTrainFleet | ExcavatorFleet) -> None:
        self.keys = [spec.key for spec in fleet.POINTS]
        self._decimals = [spec.decimals for spec in fleet.POINTS]

    def payload(self, frames: Frames, row: int, unit: int) -> tuple[bytes, int]:
        values: NDArray[np.float64] = frames.values[row, unit]
        bad = frames.quality_bad[row, unit]
        known = np.flatnonzero(~np.isnan(values))
        written: dict[str, Any] = {self.keys[i]: round(float(values[i]), self._decimals[i]) for i in known.tolist()}
        for i in np.flatnonzero(bad).tolist():
            if self.keys[i] in written:
                written[self.keys[i]] = {"v": written[self.keys[i]], "q": "bad"}
        return orjson.dumps({"ts": int(frames.ts[row]) // 1000, "values": written}), len(written)
