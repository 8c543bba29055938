"""The world that policies are tried in: machines whose component lives are drawn once, whoever maintains them.

A component lives for a Weibull-distributed time. Before it fails it shows itself for a while (the P–F interval): an
alarm comes that long before the failure, unless it is missed. False alarms come at random besides. Costs are those of
the catalogue's motor bearing. Times are days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize

from models.types import catalog

FloatArray = NDArray[np.float64]
_LIVES: Final = 60
"""Drawn ahead per machine: more than any policy uses in the time simulated."""


@dataclass(frozen=True, slots=True)
class World:
    """``shape`` and ``scale`` (days) of the Weibull life; ``lead`` days, median of the P–F interval, lognormal with
    ``spread``; ``missed`` share of failures without an alarm; ``false_alarms`` per machine and month.

    ``planned``, ``failed``, ``inspected``: cost of a planned replacement, of a breakdown, of looking and finding
    nothing; ``stop`` of a planned stop. ``parts``: on the shelf, ordered again at once, ``delivery`` days.
    """

    machines: int = 50
    shape: float = 2.2
    scale: float = 500.0
    lead: float = 20.0
    spread: float = 0.5
    missed: float = 0.05
    false_alarms: float = 0.02
    planned: float = 0.0
    failed: float = 0.0
    inspected: float = 400.0
    stop: float = 2_000.0
    parts: int = 2
    delivery: float = 14.0
    crew: int = 2
    work_hours: float = 8.0

    @classmethod
    def of_catalogue(cls) -> World:
        """With the costs that the compressor train's type states for its motor bearing."""
        plan = catalog()["compressor-train"].maintenance
        found = plan.answer("motor.bearing_de", "motor_bearing")
        assert found is not None
        task = found[0]
        parts = sum(float(p.price) * float(n.quantity) for n in task.parts for p in [plan.part(n.key)] if p is not None)
        return cls(planned=float(task.cost) + parts, failed=float(task.failure), crew=task.crew)

    def but(self, **changes: float) -> World:
        return replace(self, **changes)  # type: ignore[arg-type]

    # --- renewal theory, for the best age and to check the simulation by ---

    def survival(self, age: FloatArray | float) -> FloatArray:
        return np.exp(-((np.asarray(age) / self.scale) ** self.shape))

    def mean_life(self) -> float:
        return float(integrate.quad(lambda t: float(self.survival(t)), 0.0, np.inf)[0])

    def cost_rate(self, age: float) -> float:
        """Long-run cost per machine and day of replacing at ``age`` or at failure (Barlow and Proschan 1965)."""
        used = integrate.quad(lambda t: float(self.survival(t)), 0.0, age, limit=200)[0]
        alive = float(self.survival(age))
        return float(((self.planned + self.stop) * alive + self.failed * (1.0 - alive)) / used)

    def best_age(self) -> float:
        """The age at which planned replacement costs least in the long run."""
        ages = np.geomspace(0.02 * self.scale, 4.0 * self.scale, 200)
        rates = np.array([self.cost_rate(float(a)) for a in ages])
        i = int(np.argmin(rates))
        low, high = float(ages[max(i - 1, 0)]), float(ages[min(i + 1, len(ages) - 1)])
        return float(optimize.minimize_scalar(self.cost_rate, bounds=(low, high), method="bounded").x)


@dataclass(frozen=True, slots=True)
class Lives:
    """[machines, number]: how long the n-th component of each machine lives, how long before its end the alarm comes
    (0: it does not), and for each machine the days of its false alarms."""

    life: FloatArray
    lead: FloatArray
    false_alarms: tuple[FloatArray, ...]


def draw(world: World, seed: int, days: float) -> Lives:
    """The same for every policy tried with the seed; leads and false alarms are drawn apart from lives, so that
    changing one of them leaves the others as they were."""
    lives = np.random.default_rng([seed, 1])
    leads = np.random.default_rng([seed, 2])
    alarms = np.random.default_rng([seed, 3])
    shape = (world.machines, _LIVES)
    life = world.scale * lives.weibull(world.shape, shape)
    lead = world.lead * np.exp(world.spread * leads.standard_normal(shape))
    lead = np.where(leads.random(shape) < world.missed, 0.0, np.minimum(lead, 0.9 * life))
    # drawn as unit-rate arrivals and stretched: more false alarms are the same ones, closer together
    arrivals = np.cumsum(alarms.exponential(1.0, (world.machines, 4_000)), axis=1)
    rate = world.false_alarms / 30.0
    false = tuple((row / rate)[row / rate < days] if rate > 0 else np.empty(0) for row in arrivals)
    return Lives(life, lead, false)
