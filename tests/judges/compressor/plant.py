"""The judge's own compressor: a map, a gas and a drive of this file, sampled once a minute, and what is done to them.

Nothing is taken from the simulators: the map is a cubic where theirs is a parabola, the gas has moisture in it, losses
are other ones, and every machine's parameters are drawn. Never changed in a commit that changes a detector.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.time import HOUR, SECOND
from tests.judges.compressor.platform import Platform

PERIOD_S = 60
START = 1_770_000_000 * SECOND
CP, R = 1_009.0, 287.6
"""Of air with some moisture."""


def _tau(x: Any, seconds: float) -> Any:
    """First-order lag along time."""
    gain = 1.0 - np.exp(-PERIOD_S / seconds)
    y = np.empty_like(x)
    state = x[0].copy()
    for k in range(len(x)):
        state = state + gain * (x[k] - state)
        y[k] = state
    return y


@dataclass
class Plant:
    """``machines`` trains over ``hours``: inputs (set before :meth:`run`) and points after it, [moments, machines].

    ``speed`` share of design, ``flow`` reduced flow φ, ``inlet`` °C. ``lost`` points of efficiency, ``sensors``: what
    is added to points after the physics; ``shake`` mm/s added to both motor bearings.
    """

    machines: int
    hours: float
    seed: int
    points: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([77, self.seed])
        n = round(self.hours * 3600 / PERIOD_S)
        self.shape = (n, self.machines)
        self.h = np.arange(n)[:, None] * PERIOD_S / 3600.0
        day = 2 * np.pi * (self.h + self.rng.uniform(0, 24, self.machines)) / 24
        self.inlet = 15 + 5 * np.sin(day) + self._wander(1.5, 5 * 3600)
        self.speed = np.clip(0.93 + self._wander(0.015, 3 * 3600), 0.8, 1.04)
        self.flow = np.clip(0.97 + self._wander(0.03, 2 * 3600), 0.8, 1.15)
        self.lost = np.zeros(self.shape)
        self.shake = np.zeros(self.shape)
        self.sensors: dict[str, Any] = {}

    def _wander(self, sigma: float, tau: float) -> Any:
        kick = self.rng.standard_normal(self.shape) * sigma * np.sqrt(1 - np.exp(-2 * PERIOD_S / tau))
        decay, y = np.exp(-PERIOD_S / tau), np.zeros(self.shape)
        for k in range(1, len(y)):
            y[k] = decay * y[k - 1] + kick[k]
        return y

    def margin(self) -> Any:
        """True surge margin, %."""
        return 100.0 * (self.flow - 0.70) / self.flow

    def run(self) -> None:
        """Inputs to points."""
        rng, m = self.rng, self.machines
        unit = lambda mean, share: mean * (1 + share * rng.standard_normal(m))  # noqa: E731
        s, phi, t1 = self.speed, self.flow, self.inlet + 273.15 + 0.9
        x = phi - 0.70
        head = unit(77_200.0, 0.015) * s**2 * (1.152 - 1.75 * x**2 + 0.25 * x**3) * (1 - 0.75 * self.lost / 82)
        eta = (unit(0.818, 0.006) * (1 - 0.82 * (phi - 1.0) ** 2)) - self.lost / 100
        p1 = 1.005 + self._wander(0.004, 12 * 3600) - 0.004 * s**2 * phi**2
        k = R / CP / eta
        ratio = (1 + k * head / (R * t1)) ** (1 / k)
        t2 = t1 * ratio**k
        flow = 12.0 * s * phi
        mass = p1 * 1e5 / (R * t1) * flow
        shaft = mass * CP * (t2 - t1) / 1e3 + 28.0 * s**2.7
        power = shaft / (0.978 * 0.958)
        rough = 1 + 3.5 * np.exp(-np.maximum(self.margin(), 0) / 4.5)
        base = unit(0.8, 0.1)
        values = {
            "train.speed": 10_728 * s + rng.normal(0, 1, self.shape),
            "train.demand": 100 * np.clip(0.6 + (phi - 0.80) / 0.38, 0.3, 1.1),
            "train.ambient_temperature": self.inlet + rng.normal(0, 0.2, self.shape),
            "process.suction_pressure": p1 + rng.normal(0, 0.002, self.shape),
            "process.discharge_pressure": p1 * ratio + rng.normal(0, 0.003, self.shape) * rough,
            "process.suction_temperature": _tau(t1 - 273.15, 25) + rng.normal(0, 0.2, self.shape),
            "process.discharge_temperature": _tau(t2 - 273.15, 25) + rng.normal(0, 0.2, self.shape),
            "process.inlet_flow": flow
            * (1 + 0.006 * rng.standard_normal(m))
            * (1 + 0.004 * rough * rng.standard_normal(self.shape)),
            "process.recycle_valve_position": np.zeros(self.shape),
            "process.flow_pulsation": 0.09 * rough * s * (1 + 0.05 * rng.standard_normal(self.shape)),
            "process.discharge_pulsation": 0.004 * rough * s**2 * (1 + 0.05 * rng.standard_normal(self.shape)),
            "motor.power": power * (1 + 0.003 * rng.standard_normal(self.shape)),
            "motor.current": power * 1e3 / (np.sqrt(3) * 10_000 * 0.88) * (1 + 0.004 * rng.standard_normal(self.shape)),
        }
        for end in ("de", "nde"):
            quiet = base * (0.7 + 0.3 * s**2) * (1 + 0.02 * rng.standard_normal(self.shape))
            values[f"motor.bearing_{end}.velocity"] = quiet + self.shake
        for name, added in self.sensors.items():
            values[name] = values[name] + added
        self.points = {name: np.broadcast_to(v, self.shape) for name, v in values.items()}


@dataclass(frozen=True)
class Told:
    """One alarm that people were told of; ``hour`` since the start."""

    machine: int
    hour: float
    component: str
    concern: str
    condition: str
    title: str


def judge(plant: Plant) -> list[Told]:
    """What the platform says of the plant, through its own processor and catalogue."""
    told: list[Told] = []
    for out in Platform(plant.machines).outcomes(plant.points, START, PERIOD_S * SECOND):
        for t in out.transitions:
            if t.change.value == "raised" and t.announce:
                told.append(
                    Told(t.equipment_id - 1, (t.at - START) / HOUR, t.component, t.concern.value, t.condition, t.title)
                )
    return told
