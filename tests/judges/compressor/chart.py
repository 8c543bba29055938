"""The judge's surge chart: compressors anywhere on their map, whose true margin is known at every moment.

Every machine is drawn anew in each run: the head curve, how far the true line lies from the data sheet's 0.70 and bends
with the machine Mach number (a data sheet has one figure for all speeds and inlets), the flow meter's calibration, the
noise, which grows near the line. Machines without a drawn path stand still at a point of the map.

Nothing is taken from the simulators. Never changed in a commit that changes a detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.time import SECOND
from tests.judges.compressor.platform import Platform

START = 1_772_000_000 * SECOND
SHEET = 0.70
"""Reduced flow of the surge line by the data sheet of the catalogue's machine."""
CP, R = 1_007.0, 287.4


@dataclass
class Chart:
    """``machines`` compressors over ``minutes``, sampled each ``period`` s; set the inputs, then :meth:`measured`.

    Inputs [moments, machines]: ``speed`` share of design, ``flow`` true reduced flow φ, ``inlet`` °C, ``suction`` bar,
    ``recycle`` % of the recycle valve.
    """

    machines: int
    minutes: float
    rng: np.random.Generator
    period: int = 20
    speed: Any = field(init=False)
    flow: Any = field(init=False)
    inlet: Any = field(init=False)
    suction: Any = field(init=False)
    recycle: Any = field(init=False)

    def __post_init__(self) -> None:
        m, rng = self.machines, self.rng
        n = round(self.minutes * 60 / self.period)
        self.shape = n, m
        self.minute = np.arange(n)[:, None] * self.period / 60.0
        self.sheet_off = np.clip(rng.normal(0, 0.003, m), -0.006, 0.006)
        self.bend = rng.uniform(0.0, 0.05, m)
        self.fall, self.curve = rng.uniform(0.2, 0.5, m), rng.uniform(0.8, 1.8, m)
        self.meter = np.clip(rng.normal(0, 0.004, m), -0.008, 0.008)
        self.noise = rng.uniform(0.004, 0.01, m)
        self.speed = np.full(self.shape, 1.0) * rng.uniform(0.78, 1.04, m)
        self.inlet = np.full(self.shape, 1.0) * rng.uniform(-5, 38, m)
        self.suction = np.full(self.shape, 1.0) * rng.uniform(0.86, 1.03, m)
        self.flow = np.full(self.shape, 1.0) * rng.uniform(0.85, 1.15, m)
        self.recycle = np.zeros(self.shape)

    def line(self) -> Any:
        """True reduced flow of the surge line."""
        mach = self.speed * np.sqrt(288.15 / (self.inlet + 273.15))
        return SHEET * (1 + self.sheet_off) * (1 + self.bend * (mach - 1))

    def margin(self) -> Any:
        """True surge margin, %."""
        return 100.0 * (self.flow - self.line()) / self.flow

    def head(self, beyond: Any) -> Any:
        """Head coefficient, of that at the line, at a reduced flow of so much beyond it."""
        return 1.0 - self.fall * beyond - self.curve * beyond**2

    def beyond(self, head: Any) -> Any:
        """Where the machine makes this head: how far beyond the line, in reduced flow; 0 where it cannot."""
        left = np.maximum(1.0 - head, 0.0)
        return (np.sqrt(self.fall**2 + 4 * self.curve * left) - self.fall) / (2 * self.curve)

    def measured(self) -> dict[str, Any]:
        """What transmitters say."""
        rng, shape = self.rng, self.shape
        t1 = self.inlet + 273.15
        rough = 1 + 4 * np.exp(-np.maximum(self.margin(), 0) / 4)
        head = 88_000 * self.speed**2 * self.head(np.maximum(self.flow - self.line(), 0))
        eta = 0.81 * (1 - 0.85 * (self.flow - 1) ** 2)
        ratio = (1 + R / CP / eta * head / (R * t1)) ** (CP * eta / R)
        t2 = t1 * ratio ** (R / CP / eta)
        flow = 12.0 * self.speed * self.flow
        power = self.suction * 1e5 / (R * t1) * flow * CP * (t2 - t1) / 1e3 / 0.94 + 28.0
        return {
            "train.speed": 10_728 * self.speed + rng.normal(0, 1, shape),
            "train.ambient_temperature": self.inlet + rng.normal(0, 0.2, shape),
            "process.suction_pressure": self.suction + rng.normal(0, 0.002, shape),
            "process.discharge_pressure": self.suction * ratio + rng.normal(0, 0.003, shape) * rough,
            "process.suction_temperature": self.inlet + rng.normal(0, 0.2, shape),
            "process.discharge_temperature": t2 - 273.15 + rng.normal(0, 0.2, shape),
            "process.inlet_flow": flow * (1 + self.meter) * (1 + self.noise * rough * rng.standard_normal(shape)),
            "process.recycle_valve_position": self.recycle,
            "process.flow_pulsation": 0.1 * rough * self.speed,
            "process.discharge_pulsation": 0.004 * rough * self.speed**2,
            "motor.power": power * (1 + 0.003 * rng.standard_normal(shape)),
        }


@dataclass(frozen=True)
class Said:
    """``margin`` [moments, machines] as told, NaN where nothing was; ``warned``: of each machine, the minutes."""

    margin: Any
    warned: Sequence[Sequence[float]]


def platform(chart: Chart) -> Said:
    """What the platform says of the chart, through its own processor and catalogue."""
    values = {name: np.broadcast_to(v, chart.shape) for name, v in chart.measured().items()}
    trains = Platform(chart.machines)
    owner = np.full(max(trains.points[-1].values()) + 1, -1)
    for machine, numbers in enumerate(trains.points):
        owner[numbers["process.surge_margin"]] = machine
    margin = np.full(chart.shape, np.nan)
    warned: list[list[float]] = [[] for _ in range(chart.machines)]
    for out in trains.outcomes(values, START, chart.period * SECOND):
        mine = owner[out.derived.point_id] >= 0
        at = (out.derived.ts[mine] - START) // (chart.period * SECOND)
        margin[at, owner[out.derived.point_id[mine]]] = out.derived.value[mine]
        for t in out.transitions:
            if t.change.value == "raised" and t.announce and t.condition.endswith("/surge"):
                warned[t.equipment_id - 1].append((t.at - START) / (60 * SECOND))
    return Said(margin, warned)
