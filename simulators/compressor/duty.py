"""What the process asks of a train: demand by the hour with ramped steps, planned stops, starts, trips.

All signals are piecewise linear in time with breakpoints drawn per seed and day, so any instant can be asked for
without stepping there. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.compressor.physics import SPEED_CRITICAL, SPEED_DESIGN
from simulators.contract import FloatArray
from simulators.noise import generator

_DAY: Final = 86_400.0
LOW_DEMAND: Final = 0.62
"""Demand at which the train leaves and enters the line, machine on recycle."""
SLOW_ROLL: Final = 300.0
_FREE: Final = 3.0 * SPEED_DESIGN
_TRIP_REST_S: Final = 6 * 3600.0


def target_speed(demand: FloatArray | float) -> FloatArray:
    """Speed r/min the capacity control asks for: 85 % at 60 % demand, 100 % at full demand."""
    return SPEED_DESIGN * np.clip(0.85 + 0.375 * (np.asarray(demand) - 0.6), 0.70, 1.0)


@dataclass(frozen=True, slots=True)
class Stop:
    """Out of the line at ``begin``, ramp of the restart at ``restart``; a trip cuts at once instead of unloading."""

    begin: float
    restart: float
    trip: bool = False


@dataclass(frozen=True, slots=True)
class Signals:
    """Duty at given instants, each [n]: demand 0–1, commanded speed r/min, recycle 0–1, oil circulating 0–1."""

    demand: FloatArray
    speed: FloatArray
    recycle: FloatArray
    oil: FloatArray


class Duty:
    """One unit's duty; days are drawn in order as time goes on. ``first_s`` must not lie after the first question.

    ``keep_running`` are (from, until) in which no planned stop may fall; ``trips`` are instants of a trip.
    """

    def __init__(
        self,
        seed: int,
        first_s: float,
        keep_running: Sequence[tuple[float, float]] = (),
        trips: Sequence[float] = (),
    ) -> None:
        self._seed = seed
        self._first_s = first_s
        self._day = int(first_s // _DAY)
        self._keep = keep_running
        self._trips = sorted(trips)
        self._tau_s, self._drag = self._coast_down()
        self._last_level = 0.8
        self._demand_t: list[float] = [self._day * _DAY - 1.0]
        self._demand: list[float] = [0.8]
        self._last_restart = -np.inf
        self._busy_until = -np.inf
        self._rows: list[tuple[float, float, float, float, float]] = [(self._day * _DAY - 1.0, _FREE, 0.0, 0.0, 1.0)]
        self._tables: tuple[FloatArray, FloatArray, FloatArray] | None = None
        self.stops: list[Stop] = []

    def at(self, t: FloatArray) -> Signals:
        """Signals at seconds ``t``, ascending."""
        # A stop may begin one day and end on the next, so the tables are always two days ahead.
        while self._day * _DAY < float(t[-1]) + 2 * _DAY:
            self._draw_day()
        if self._tables is None:
            self._tables = np.array(self._demand_t), np.array(self._demand), np.array(self._rows).T.copy()
        times, levels, rows = self._tables
        weight, recycle, oil = (np.interp(t, rows[0], rows[k]) for k in (2, 3, 4))
        demand = np.interp(t, times, levels) * (1.0 - weight) + LOW_DEMAND * weight
        speed = np.minimum(np.interp(t, rows[0], rows[1]), target_speed(demand))
        return Signals(demand, speed, recycle, oil)

    def stand(self, begin: float, length: float) -> float:
        """Add a stop for work that begins then, or, where another is near, after that one; when it does begin."""
        for other in sorted(self.stops, key=lambda stop: stop.begin):
            if other.begin - 7_200.0 < begin + length and begin < other.restart + 5_400.0:
                begin = other.restart + 5_400.0
        busy = self._busy_until
        self._add(Stop(begin, begin + length))
        self._busy_until = max(busy, self._busy_until)
        self._rows.sort(key=lambda row: row[0])
        self._tables = None
        return begin

    def _draw_day(self) -> None:
        rng = generator(self._seed, "duty", self._day)
        midnight = self._day * _DAY
        self._day += 1
        self._tables = None
        for at in np.sort(rng.uniform(0.0, _DAY, rng.integers(5, 10))):
            level = 0.81 + 0.11 * np.sin(2 * np.pi * (at / 3600.0 - 8.0) / 24.0) + rng.normal(0.0, 0.07)
            level = float(np.clip(level, 0.58, 1.0))
            self._demand_t += [midnight + at, midnight + at + 60.0]
            self._demand += [self._last_level, level]
            self._last_level = level
        # A step may begin while the one before still ramps; breakpoints must ascend.
        order = np.argsort(self._demand_t, kind="stable")
        self._demand_t = [self._demand_t[i] for i in order]
        self._demand = [self._demand[i] for i in order]
        kind, hour, hours = rng.random(), rng.random(), rng.random()
        stop = None
        if kind < 0.17:
            begin = midnight + 3600.0 * (6.0 + 11.0 * hour)
            stop = Stop(begin, begin + 3600.0 * (2.0 + 4.0 * hours))
        elif kind < 0.25:
            begin = midnight + 3600.0 * (18.0 + 3.0 * hour)
            stop = Stop(begin, midnight + _DAY + 3600.0 * (5.0 + 2.0 * hours))
        tripped = [Stop(at, at + _TRIP_REST_S, trip=True) for at in self._trips if midnight <= at < midnight + _DAY]
        for planned in sorted([*tripped, *([stop] if stop else [])], key=lambda item: item.begin):
            if planned.begin > self._busy_until and (planned.trip or self._free(planned)):
                self._add(planned)

    def _free(self, stop: Stop) -> bool:
        """Planned stops keep clear of the first hours (a start from the warm state) and of what must keep running."""
        until = stop.restart + 1800.0
        return stop.begin > self._first_s + 3600.0 and not any(a < until and stop.begin < b for a, b in self._keep)

    def _coast_down(self) -> tuple[float, float]:
        rng = generator(self._seed, "coast-down")
        return rng.uniform(35.0, 55.0), rng.uniform(1.0, 2.0) * 1e-6

    def _add(self, stop: Stop) -> None:
        self.stops.append(stop)
        rows = self._rows
        unload = 2.0 if stop.trip else 120.0
        rows.append((stop.begin, _FREE, 0.0, 0.0, 1.0))
        cut = stop.begin + unload
        rows.append((cut, _FREE, 1.0, 0.0, 1.0))
        low = float(target_speed(LOW_DEMAND))
        # dN/dt = −N/τa − c·N² in closed form, from the speed at which the drive is cut
        for after in (2.0, 6.0, 12.0, 20.0, 30.0, 42.0, 56.0, 72.0, 90.0, 110.0, 130.0):
            grown = float(np.exp(after / self._tau_s))
            speed = 1.0 / ((1.0 / low + self._drag * self._tau_s) * grown - self._drag * self._tau_s)
            rows.append((cut + after, speed, 1.0, 1.0, 1.0))
        rest = cut + 160.0
        rows.append((rest, 0.0, 1.0, 1.0, 1.0))
        rows.append((rest + 1800.0, 0.0, 1.0, 1.0, 1.0))
        rows.append((rest + 1801.0, 0.0, 1.0, 1.0, 0.0))
        restart = max(stop.restart, rest + 3600.0)
        rows.append((restart - 901.0, 0.0, 1.0, 1.0, 0.0))
        rows.append((restart - 900.0, 0.0, 1.0, 1.0, 1.0))
        rows.append((restart - 600.0, 0.0, 1.0, 1.0, 1.0))
        rows.append((restart - 585.0, SLOW_ROLL, 1.0, 1.0, 1.0))
        rate = SPEED_DESIGN / 90.0
        keep_out = 0.85 * SPEED_CRITICAL, 1.15 * SPEED_CRITICAL
        at = restart
        rows.append((at, SLOW_ROLL, 1.0, 1.0, 1.0))
        at += (keep_out[0] - SLOW_ROLL) / rate
        rows.append((at, keep_out[0], 1.0, 1.0, 1.0))
        at += (keep_out[1] - keep_out[0]) / (2.5 * rate)
        rows.append((at, keep_out[1], 1.0, 1.0, 1.0))
        at += (low - keep_out[1]) / rate
        rows.append((at, low, 1.0, 1.0, 1.0))
        rows.append((at + 1.0, _FREE, 1.0, 1.0, 1.0))
        rows.append((at + 61.0, _FREE, 1.0, 0.0, 1.0))
        rows.append((at + 361.0, _FREE, 0.0, 0.0, 1.0))
        self._busy_until = at + 1800.0
