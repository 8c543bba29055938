"""What the whole-system benchmark publishes: a type, frames of random values, and a ledger of every message.

A value is a multiple of 1/64, so sums of them are exact in any order and a frame is compared by count and sum.
"""

from __future__ import annotations

import itertools
import json
import os
from array import array
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.condition import Priority
from core.equipment import ComponentDef, EquipmentType, LimitDef, PointDef, Side
from core.time import SECOND
from stream_processors.kafka.partitions import partition_of

FRAME = 50
"""Points of an equipment, and readings of a frame."""
BODIES = 4096
"""Different frames of values; equipment takes them in turn."""
TENANT = "bench"
SPREAD = int(os.environ.get("SERVITIZE_BENCH_PARTITIONS") or 0)
"""Over how many partitions of a cluster the equipment lies (0: over all). In the environment, for the publisher."""
NAMES = tuple(f"p{number:02d}" for number in range(FRAME))
PLAIN, LATE, REPEATED = range(3)
"""Kinds of messages: in their order, sent after others that are newer, sent a second time."""


def rig(lateness: int) -> EquipmentType:
    """A machine of fifty points with a limit on each. ``lateness`` µs."""
    return EquipmentType(
        key="bench-rig",
        name="Benchmark rig",
        components=tuple(ComponentDef(f"part{n}", f"Part {n}") for n in range(5)),
        points=tuple(
            PointDef(name, f"part{place // 10}", "bar", range=(-1000.0, 1000.0)) for place, name in enumerate(NAMES)
        ),
        limits=tuple(
            LimitDef("high", name, Side.HIGH, 90.0, priority=Priority.HIGH, title=f"{name} is high", action="Look.")
            for name in NAMES
        ),
        lateness=lateness,
    )


@dataclass(frozen=True, slots=True)
class Shares:
    """Of the messages, how many come late (by more than the lateness) and twice; of the readings, how many cross."""

    late: float = 0.01
    repeated: float = 0.001
    crossing: float = 0.001


@dataclass(frozen=True, slots=True)
class Order:
    """What a publisher process is told. ``rate`` readings per second, None: as fast as ``gate`` allows.

    ``gate`` is a file of one int64, the messages stored so far; at most ``window`` more are under way. ``displaced``
    seconds (from, to) by which late messages come behind. ``first`` numbers the messages of this run per equipment.
    """

    host: str
    port: int
    username: str
    password: str
    equipment: int
    seconds: float
    seed: int
    rate: float | None
    window: int
    gate: str
    ledger: str
    displaced: tuple[float, float]
    shares: Shares
    first: int = 0


class Pool:
    """Bodies of messages by index, with their sums."""

    def __init__(self, seed: int, crossing: float) -> None:
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 80 * 64, (BODIES, FRAME)) / 64
        beyond: NDArray[np.bool_] = np.less(rng.random(values.shape), crossing)
        values[beyond] = 95 + rng.integers(0, 64, int(beyond.sum())) / 64
        self.sums: NDArray[np.float64] = values.sum(axis=1)
        self.bodies = [
            b',"values":' + json.dumps(dict(zip(NAMES, row, strict=True)), separators=(",", ":")).encode() + b"}"
            for row in values.tolist()
        ]


class Ledger:
    """Every message in the order it was sent: which equipment, frame time (µs), body, when (µs), kind."""

    def __init__(self) -> None:
        self.equipment, self.body, self.kind = array("i"), array("i"), array("b")
        self.ts, self.sent = array("q"), array("q")

    def add(self, equipment: int, ts: int, body: int, sent: int, kind: int) -> None:
        self.equipment.append(equipment)
        self.ts.append(ts)
        self.body.append(body)
        self.sent.append(sent)
        self.kind.append(kind)

    def save(self, path: Path, **figures: float) -> None:
        columns: dict[str, Any] = {
            "equipment": self.equipment,
            "ts": self.ts,
            "body": self.body,
            "sent": self.sent,
            "kind": self.kind,
        }
        arrays: Any = {name: np.array(values) for name, values in (columns | figures).items()}
        np.savez(path, **arrays)


def topic(equipment: int) -> str:
    return f"servitize/v1/{TENANT}/{key(equipment)}/telemetry"


def key(equipment: int) -> str:
    return _in_partition(equipment, SPREAD) if SPREAD else f"rig-{equipment:05d}"


@cache
def _in_partition(equipment: int, spread: int) -> str:
    """Of the first ``spread`` partitions of a cluster, in turn."""
    names = (f"rig-{equipment:05d}-{number}" for number in itertools.count())
    return next(name for name in names if partition_of(TENANT, name) == equipment % spread)


def displacement(lateness: int) -> tuple[float, float]:
    """Seconds from and to by which a message must come late to be late."""
    least = lateness / SECOND + 0.5
    return least, least + 1.5
