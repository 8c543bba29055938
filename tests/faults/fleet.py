"""What is published while things break: a fleet of presses whose every reading is known beforehand.

A run is a list of messages in order of publishing: one frame of twenty readings per machine and second of the fleet's
own time (the tenant's clock is the publisher's), and after each second a word of the clock. The same run through the
bare processor says which alarms there must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from core.condition import ConditionTransition
from core.equipment import EquipmentType
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch, Tick
from core.time import MILLISECOND, SECOND
from models.types import load_type
from stream_processors.pipeline import Processor

TENANT = "acme"
START = 1_704_067_200 * SECOND
"""2024-01-01T00:00:00Z: the fleet's first second."""

PRESS = """
type: press
name: Press
lateness: {lateness} s
consequence_window: 10 s
components:
  - {{key: press, name: Press, criticality: 3}}
  - {{key: "bearing{{n}}", name: "Bearing {{n}}",
     repeat: {{n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]}}}}
points:
  - {{key: speed, component: press, unit: r/min, range: [0, 4000], stale: 60 s}}
  - {{key: pressure, component: press, unit: bar, range: [-1, 100], stale: 60 s}}
  - {{key: oil, component: press, unit: Cel, stale: 60 s}}
  - {{key: load, component: press, unit: kW, stale: 60 s}}
  - {{key: "bearing{{n}}.t", component: "bearing{{n}}", unit: Cel, stale: 60 s,
     repeat: {{n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]}}}}
derived:
  - {{key: smooth, component: press, unit: bar, formula: "ewma(pressure, '5 s')", when: [running], store: 5 s}}
  - {{key: climb, component: press, unit: Cel, formula: "rise(oil, '8 s')"}}
states:
  - {{name: running, when: "speed > 1000"}}
  - {{name: stopped, when: "speed <= 1000"}}
running: [running]
limits:
  - {{key: high, point: pressure, high: 10, deadband: 1, on_delay: 2 s, off_delay: 2 s, states: [running], settle: 2 s,
     priority: high}}
  - {{key: trip, point: pressure, high: 20, deadband: 1, priority: urgent}}
  - {{key: high, point: smooth, high: 9, deadband: 0.5, states: [running]}}
  - {{key: fast, point: climb, high: 15, deadband: 1, priority: low}}
  - {{key: hot, point: "bearing{{n}}.t", high: 80, deadband: 5, on_delay: 3 s, priority: medium}}
"""

POINTS = ("speed", "pressure", "oil", "load", *(f"bearing{n}.t" for n in range(1, 17)))
FRAME = len(POINTS)


def press(lateness: int = 2) -> EquipmentType:
    """The type of every machine here; ``lateness`` in seconds."""
    return load_type(PRESS.format(lateness=lateness))


@dataclass(frozen=True, slots=True)
class Message:
    """``machine`` −1 is the clock's. ``frame`` says which second of the fleet's time it tells."""

    topic: str
    payload: bytes
    machine: int
    frame: int


@dataclass(frozen=True)
class Run:
    """``machines`` × ``seconds`` frames. ``order``: which (second, machine) is published when, None: as they happen.

    ``skew`` seconds by which a machine's own clock is wrong.
    """

    seed: int
    machines: int = 50
    seconds: int = 100
    lateness: int = 2
    order: tuple[tuple[int, int], ...] | None = None
    skew: dict[int, int] = field(default_factory=dict)
    future_bound: int = 60 * SECOND
    past_window: int | None = None

    @property
    def readings(self) -> int:
        return self.machines * self.seconds * FRAME

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """(seconds, machines, points), with three decimals, so that JSON says them exactly."""
        rng = np.random.default_rng(self.seed)
        n, m = self.seconds, self.machines
        t = np.arange(n)[:, None]
        out = np.empty((n, m, FRAME))
        running = np.cumsum(rng.random((n, m)) < 0.004, axis=0) % 2 == 0
        out[..., 0] = np.where(running, 3000.0, 0.0) + rng.normal(0, 5, (n, m)).clip(0)
        bursts = np.zeros((n, m))
        for _ in range(max(1, n * m // 400)):
            at, machine, length = rng.integers(0, n), rng.integers(0, m), rng.integers(1, 12)
            bursts[at : at + length, machine] += rng.choice([3.0, 5.0, 15.0])
        out[..., 1] = 7.0 + np.sin(t / 9 + np.arange(m)) + 0.2 * rng.normal(size=(n, m)) + bursts
        out[..., 2] = 45 + 3 * np.sin(t / 40 + np.arange(m)) + np.cumsum(rng.normal(0, 0.3, (n, m)), axis=0) + bursts
        out[..., 3] = 200 + 20 * rng.normal(size=(n, m))
        hot = np.cumsum(rng.random((n, m, 16)) < 0.0008, axis=0) % 2 == 1
        out[..., 4:] = 60 + 2 * rng.normal(size=(n, m, 16)) + np.where(hot, 25.0, 0.0)
        return np.round(out, 3)

    @cached_property
    def frames(self) -> tuple[tuple[int, int], ...]:
        """(second, machine) in order of publishing."""
        return self.order or tuple((s, m) for s in range(self.seconds) for m in range(self.machines))

    def ts(self, second: int, machine: int) -> int:
        """Event time of a frame, as the machine says it."""
        return START + second * SECOND + machine * MILLISECOND + self.skew.get(machine, 0) * SECOND

    def taken(self, second: int, machine: int) -> bool:
        """Whether its time is within what the tenant takes, by the clock that was said last."""
        off = self.ts(second, machine) - (START + second * SECOND)
        return off <= self.future_bound and (self.past_window is None or off >= -self.past_window)

    def __len__(self) -> int:
        return len(self.frames)

    def messages(self) -> Iterator[Message]:
        """In order of publishing, clocks between; machines number their messages."""
        numbers = [0] * self.machines
        told = -1
        yield self._clock(0)
        for second, machine in self.frames:
            if second > told and told >= 0:
                yield self._clock(told + 1)
            told = max(told, second)
            values = dict(zip(POINTS, self.values[second, machine].tolist(), strict=True))
            ts = self.ts(second, machine) // MILLISECOND
            body = {"ts": ts, "seq": numbers[machine], "values": values}
            numbers[machine] += 1
            topic = f"servitize/v1/{TENANT}/press-{machine}/telemetry"
            yield Message(topic, orjson.dumps(body), machine, second)
        for extra in range(1, 13):  # time goes on, so that what waits is looked at
            yield self._clock(told + extra)

    def _clock(self, second: int) -> Message:
        ts = (START + second * SECOND) // MILLISECOND
        return Message(f"servitize/v1/{TENANT}/clock", orjson.dumps({"ts": ts}), -1, second)

    # --- what must come of it ----------------------------------------------------------------------------------

    def rows(self, registry: RegistrySnapshot, frames: Sequence[tuple[int, int]]) -> NDArray[Any]:
        """(point_id, ts, value) of these frames, each once, in order of key."""
        ids = point_ids(registry, self.machines)
        wanted = np.array(sorted({frame for frame in frames if self.taken(*frame)}), np.int64).reshape(-1, 2)
        second, machine = wanted[:, 0], wanted[:, 1]
        ts = np.array([self.ts(s, m) for s, m in wanted.tolist()], np.int64)
        out = np.empty(len(wanted) * FRAME, ROW)
        out["point"] = ids[machine].ravel()
        out["ts"] = np.repeat(ts, FRAME)
        out["value"] = self.values[second, machine].ravel()
        return np.sort(out, order=("point", "ts"))

    def alarms(self, registry: RegistrySnapshot, missing: frozenset[tuple[int, int]] = frozenset()) -> Said:
        """Transitions of an undisturbed run: one processor, frames in order of publishing, cut anyhow."""
        processor = Processor(registry)
        tenant = next(t.id for t in registry.tenants.values() if t.slug == TENANT)
        ids = point_ids(registry, self.machines)
        said: list[ConditionTransition] = []
        told, waiting = -1, list[tuple[int, int]]()

        def step(ticks: tuple[Tick, ...] = ()) -> None:
            at = np.array(waiting, np.int64).reshape(-1, 2)
            batch = TelemetryBatch(
                ids[at[:, 1]].ravel().astype(np.int32),
                np.repeat(np.array([self.ts(*frame) for frame in waiting], np.int64), FRAME),
                self.values[at[:, 0], at[:, 1]].ravel(),
                np.full(len(waiting) * FRAME, 0xC0, np.uint8),
                0,
            )
            waiting.clear()
            said.extend(processor.step(StreamRecord(batch, ticks)).transitions)

        step((Tick(tenant, START),))
        for second, machine in self.frames:
            if second > told and told >= 0:
                step((Tick(tenant, START + (told + 1) * SECOND),))
            told = max(told, second)
            if self.taken(second, machine) and (second, machine) not in missing:
                waiting.append((second, machine))
        for extra in range(1, 13):
            step((Tick(tenant, START + (told + extra) * SECOND),))
        return frozenset((t.equipment_id, t.condition, t.at, t.change.value, t.first_out or "", t.late) for t in said)


ROW = np.dtype([("point", np.int32), ("ts", np.int64), ("value", np.float64)])
Said = frozenset[tuple[int, str, int, str, str, bool]]
"""(equipment, condition, at, change, first-out, late) of every transition."""


def point_ids(registry: RegistrySnapshot, machines: int) -> NDArray[np.int32]:
    """(machines, points)"""
    by_key = {entry.key: entry for entry in registry.equipment.values()}
    return np.array([[by_key[f"press-{m}"].points[key].id for key in POINTS] for m in range(machines)], np.int32)


def disturbed(run: Run, *, repeated: float, within: float, beyond: float = 0.0) -> Run:
    """The same frames as a bad network delivers them: ``repeated`` of them twice, all displaced by up to ``within``
    seconds, ``beyond`` of them by up to a minute more than that."""
    rng = np.random.default_rng(run.seed + 1)
    frames = [(s, m) for s in range(run.seconds) for m in range(run.machines)]
    again = [frame for frame in frames if rng.random() < repeated]
    delivered = []
    for second, machine in frames + again:
        delay = float(rng.uniform(0, within))
        if rng.random() < beyond:
            delay += float(rng.uniform(5, 60))
        delivered.append((second + delay, second, machine))
    delivered.sort()
    return replace(run, order=tuple((second, machine) for _, second, machine in delivered))
