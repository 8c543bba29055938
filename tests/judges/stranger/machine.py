"""A decanter centrifuge with physics of its own, in the type's units; nothing in it is shared with simulators/.

Bowl speed: run-up at constant power, coast-down by windage. Torque and current follow solids and feed. A bearing is one
heat node with friction that thins its own grease. The fault is a fatigue crack, da/dτ = C·aᵐ in operating time only:
long nothing, then everything. It shakes the bearing, heats it, and is felt a little at the other end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

STEP: Final = 240.0
"""Seconds between two readings of a point."""
SUBSTEPS: Final = 8
RATED: Final = 3_250.0
"""Bowl speed in production, r/min."""
RESONANCE: Final = 1_450.0

SEVERE: Final = 7.1
"""mm/s RMS: beyond this ISO 20816-3 calls vibration of such a machine harmful (zone D)."""
TOO_HOT: Final = 95.0

Series = NDArray[np.float64]


@dataclass(frozen=True)
class Duty:
    """What is asked of the machine in each step: ``on`` (spin) and ``feed`` in m³/h (0: none)."""

    on: NDArray[np.bool_]
    feed: Series


@dataclass(frozen=True)
class Run:
    """One machine's days: points by key (type's units) per step, and the crack (0 … about 1) that nobody measures."""

    points: dict[str, Series]
    crack: Series

    def severe_at(self, side: str) -> int | None:
        """First step with the bearing's velocity in zone D or its temperature beyond the limit, for good."""
        beyond = (self.points[f"lager_{side}.schwingung"] > SEVERE) | (
            self.points[f"lager_{side}.temperatur"] > TOO_HOT
        )
        return int(np.argmax(beyond)) if beyond.any() else None


def make_duty(rng: np.random.Generator, steps: int) -> Duty:
    """Campaigns of some hours with load steps, a flush without feed now and then, stops between them."""
    on, feed = np.zeros(steps, np.bool_), np.zeros(steps)
    per_hour = 3_600 / STEP
    at = int(rng.uniform(0.2, 1.0) * per_hour)
    while at < steps:
        end = min(steps, at + int(rng.uniform(7, 15) * per_hour))
        on[at:end] = True
        place = at + 4
        while place < end:
            until = min(end, place + int(rng.uniform(1.5, 5) * per_hour))
            feed[place:until] = rng.uniform(18, 42)
            if rng.random() < 0.25:
                feed[until - 4 : until] = 0.0
            place = until
        feed[max(at, end - 4) : end] = 0.0
        at = end + int(rng.uniform(0.6, 2.5) * per_hour)
    return Duty(on, feed)


class Centrifuge:
    """One machine with its own character; ``cracks_from``: the step from which the drive-side bearing has a crack."""

    def __init__(self, rng: np.random.Generator, duty: Duty, *, cracks_from: int | None = None) -> None:
        self.rng = rng
        self.duty = duty
        self.cracks_from = cracks_from
        self.life = rng.uniform(13, 19) * 3_600
        """Operating seconds from first crack to failure."""
        self.exponent = rng.uniform(1.6, 2.3)
        self.shakes = rng.uniform(9.0, 12.0)
        self.heats = rng.uniform(1.1, 1.5)
        self.residual = {side: rng.uniform(0.8, 1.4) for side in ("as", "gs")}
        self.loss = {side: rng.uniform(0.92, 1.08) for side in ("as", "gs")}

    def crack(self, operated: float) -> float:
        """Size after so many operating seconds with it: closed form of the growth law from 0.02 to 1 over the life."""
        first, power = 0.02 ** (1 - self.exponent), 1 - self.exponent
        grown = first - (first - 1) * min(operated / self.life, 1.0)
        return float(grown ** (1 / power)) * (1.0 + 0.1 * max(0.0, operated / self.life - 1.0))

    def run(self, weather: Series) -> Run:
        """All steps; ``weather`` is the hall's air, °C."""
        steps = len(weather)
        rng, duty = self.rng, self.duty
        names = (
            "trommeldrehzahl", "differenzdrehzahl", "schneckenmoment", "motorstrom", "motortemperatur",
            "hallentemperatur", "lager_as.temperatur", "lager_gs.temperatur", "lager_as.schwingung",
            "lager_gs.schwingung", "getriebe.oeltemperatur", "schmierung.oeldruck", "zulauf.menge", "betriebsstunden",
        )  # fmt: skip
        points = {name: np.zeros(steps) for name in names}
        cracks = np.zeros(steps)
        speed, winding, gear = 0.0, weather[0], weather[0]
        bearing = {"as": weather[0], "gs": weather[0]}
        shake = {"as": 0.0, "gs": 0.0}
        solids, operated, hours = 0.12, 0.0, rng.uniform(4_000, 60_000)
        dt = STEP / SUBSTEPS
        for i in range(steps):
            feed, air = duty.feed[i], weather[i]
            solids += (0.12 - solids) * 0.02 + rng.normal(0, 0.002)
            for _ in range(SUBSTEPS):
                speed = self._spin(speed, bool(duty.on[i]), dt)
                share = speed / RATED
                torque = 6.2 * (max(feed, 0.0) * max(solids, 0.02) / 5.0) ** 0.8 if speed > 2_800 else 0.0
                accelerating = duty.on[i] and speed < 0.99 * RATED
                load = 18 * share**2.6 + 9.5 * torque * share + (95 if accelerating else 0)
                current = math.hypot(52 if duty.on[i] else 0, 2.35 * load)
                if self.cracks_from is not None and i >= self.cracks_from and share > 0.5:
                    operated += dt
                crack = self.crack(operated) if operated else 0.0
                for side, hurt in (("as", crack), ("gs", 0.06 * crack)):
                    thin = math.exp(-0.012 * (bearing[side] - 60))
                    heat = self.loss[side] * (38 * share**1.5 * thin + 0.035 * current) * (1 + self.heats * hurt**0.6)
                    bearing[side] += (heat - 1.05 * (bearing[side] - air)) / 1_900 * dt
                winding += (0.0016 * current**2 - 0.62 * (winding - air)) / 1_500 * dt
                gear += (11 * share**2 + 2.6 * torque - 0.75 * (gear - air)) / 2_400 * dt
            hours += STEP / 3_600 if share > 0.1 else 0.0
            cracks[i] = crack
            peak = 1 / math.hypot(1 - (speed / RESONANCE) ** 2, 0.9 * speed / RESONANCE) if speed > 50 else 0.0
            for side, hurt in (("as", crack), ("gs", 0.06 * crack)):
                shake[side] += -0.2 * shake[side] + rng.normal(0, 0.035)
                unbalance = self.residual[side] * (share**2 + 0.35 * peak * share) * (1 + 0.1 * torque / 6)
                velocity = math.hypot(unbalance, self.shakes * hurt * share) * math.exp(shake[side])
                points[f"lager_{side}.schwingung"][i] = velocity + abs(rng.normal(0, 0.02))
                points[f"lager_{side}.temperatur"][i] = bearing[side] + rng.normal(0, 0.25)
            points["trommeldrehzahl"][i] = max(0.0, speed + (rng.normal(0, 2.0) if speed > 30 else 0.0))
            points["differenzdrehzahl"][i] = max(0.0, (8 + 1.1 * torque) * min(share, 1) + rng.normal(0, 0.05))
            points["schneckenmoment"][i] = max(0.0, torque + (rng.normal(0, 0.05) if torque else 0.0))
            points["motorstrom"][i] = max(0.0, current * (1 + rng.normal(0, 0.006)))
            points["motortemperatur"][i] = winding + rng.normal(0, 0.3)
            points["hallentemperatur"][i] = air + rng.normal(0, 0.15)
            points["getriebe.oeltemperatur"][i] = gear + rng.normal(0, 0.3)
            pumping = 2.6 - 0.006 * (gear - 50) if duty.on[i] or speed > 100 else 0.0
            points["schmierung.oeldruck"][i] = max(0.0, pumping + rng.normal(0, 0.02))
            points["zulauf.menge"][i] = max(0.0, feed * (1 + rng.normal(0, 0.01)))
            points["betriebsstunden"][i] = hours
        return Run(points, cracks)

    @staticmethod
    def _spin(speed: float, on: bool, dt: float) -> float:
        """Constant power drives up (n² grows evenly), windage brakes (n falls hyperbolically, friction ends it)."""
        if on:
            return min(RATED, math.sqrt(speed**2 + RATED**2 * dt / 420))
        return max(0.0, speed - (speed**2 / RATED * 0.0035 + 1.2) * dt)


def make_weather(rng: np.random.Generator, steps: int, first_hour: float) -> Series:
    """Air in the hall: a day's course, a front that passes, and what wanders."""
    hour = first_hour + np.arange(steps) * STEP / 3_600
    front = rng.uniform(-4, 4) / (1 + np.exp(-(hour - rng.uniform(20, 50)) / 3))
    wander = np.cumsum(rng.normal(0, 0.05, steps))
    wander -= np.linspace(0, wander[-1], steps)
    air: Series = 21 + rng.uniform(2, 5) * np.sin((hour - 9) / 24 * 2 * np.pi) + front + wander
    return air
