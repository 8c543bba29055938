"""Excavators on building sites, as telematics show them. A law of time: any moment's state follows from seed and time
alone, so a run may begin anywhere and go on anywhere.

Shifts from 6:00 to 16:30 UTC on weekdays with a break from 11:30 to 12:15, a start that differs by up to 20 minutes a
day; one day in twenty the machine is not wanted. While the engine runs, minutes of work and of idling take turns; fuel
per hour is 3.2 L idling and 16.5 L working at full load (a machine of 110 kW). Counters are integrals of that, kept
exact per day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np

from core.errors import InvalidInputError
from simulators.contract import Fault, FloatArray, Frames, IntArray, PointSpec, Truth
from simulators.noise import generator

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 24 * 60 * _MINUTE
_MINUTES: Final = 24 * 60
_SHIFT: Final = (6 * 60, 16 * 60 + 30)
_BREAK: Final = (11 * 60 + 30, 12 * 60 + 15)
_IDLE_L_H: Final = 3.2
_FULL_L_H: Final = 16.5
_TANK_L: Final = 400.0
_REFUEL_AT: Final = 120.0
"""Litres left at which it is filled in the evening."""
_PAYLOAD_T_H: Final = 190.0
_AT_REST_EVERY: Final = 15 * _MINUTE
_EPOCH_DAY: Final = 20_089
"""2025-01-01: counters are as delivered, with the hours of the factory's test bench."""


class ExcavatorFleet:
    """One excavator per seed; ``advance`` as the other fleets. No planned faults: it is here to be leased."""

    TYPE: ClassVar[str] = "excavator"
    FAULTS: ClassVar[Mapping[str, Fault]] = {}
    POINTS: ClassVar[tuple[PointSpec, ...]] = (
        PointSpec("machine.latitude", "machine", "deg", "latitude", 5),
        PointSpec("machine.longitude", "machine", "deg", "longitude", 5),
        PointSpec("machine.payload_total", "machine", "t", "payload moved", 1),
        PointSpec("engine.hours", "engine", "h", "operating hours", 2),
        PointSpec("engine.idle_hours", "engine", "h", "idle hours", 2),
        PointSpec("engine.running", "engine", "1", "engine status", 0),
        PointSpec("engine.load", "engine", "%", "engine load", 0),
        PointSpec("engine.fuel_used", "engine", "L", "fuel used", 1),
        PointSpec("engine.fuel_level", "engine", "%", "fuel remaining", 1),
        PointSpec("engine.coolant_temperature", "engine", "Cel", "coolant temperature", 1),
        PointSpec("engine.aftertreatment.def_level", "engine.aftertreatment", "%", "DEF remaining", 1),
        PointSpec("hydraulics.oil_temperature", "hydraulics", "Cel", "oil temperature", 1),
        PointSpec("undercarriage.distance", "undercarriage", "km", "distance", 2),
    )

    def __init__(self, seeds: Sequence[int], start: int, period_s: int = 60) -> None:
        if not seeds:
            raise InvalidInputError("a fleet without units", hint="give one seed per unit")
        self.seeds = tuple(int(seed) for seed in seeds)
        self.start, self.period_s = int(start), int(period_s)
        self._given = 0
        self._machines = [_Machine(seed) for seed in self.seeds]

    @property
    def units(self) -> int:
        return len(self.seeds)

    @property
    def now(self) -> int:
        return self.start + self._given * self.period_s * _SECOND

    def advance(self, periods: int) -> Frames:
        """The next ``periods`` frames; a standing machine reports every quarter of an hour, in between all is NaN."""
        ts: IntArray = self.now + np.arange(1, periods + 1, dtype=np.int64) * (self.period_s * _SECOND)
        values = np.stack([machine.at(ts, self.period_s) for machine in self._machines], axis=1)
        self._given += periods
        return Frames(ts, values, np.zeros(values.shape, np.bool_))

    def truth(self) -> list[Truth]:
        return []


class _Day:
    """Minute by minute: engine running, load in percent, and what the day adds to the counters up to each minute."""

    def __init__(self, seed: int, day: int) -> None:
        rng = generator(seed, "excavator", day)
        minute = np.arange(_MINUTES)
        late, early = rng.integers(0, 20, 2)
        weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
        wanted = weekday < 5 and rng.random() > 0.05
        inside = (minute >= _SHIFT[0] + late) & (minute < _SHIFT[1] - early)
        pause = (minute >= _BREAK[0]) & (minute < _BREAK[1])
        self.running = inside & ~pause & wanted
        # spells of work and of waiting for the next truck
        spell = np.repeat(rng.random(_MINUTES // 6), 6)
        work = self.running & (spell > 0.28)
        level = np.repeat(rng.uniform(52.0, 88.0, _MINUTES // 6), 6)
        self.load = np.where(work, level, np.where(self.running, 9.0, 0.0))
        litres = np.where(self.running, _IDLE_L_H + (_FULL_L_H - _IDLE_L_H) * self.load / 100.0, 0.0) / 60.0
        self.hours = _running_sum(self.running / 60.0)
        self.idle = _running_sum((self.running & ~work) / 60.0)
        self.fuel = _running_sum(litres)
        self.payload = _running_sum(np.where(work, _PAYLOAD_T_H * self.load / 70.0 / 60.0, 0.0))
        self.distance = _running_sum(np.where(work & (spell > 0.9), 2.2 / 60.0, 0.0))
        self.drift = rng.uniform(-0.0006, 0.0006, 2)


def _running_sum(per_minute: FloatArray) -> FloatArray:
    """Length one more than the day's minutes: what has been added before each."""
    return np.concatenate([[0.0], np.cumsum(per_minute)])


class _Machine:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        rng = generator(seed, "excavator", "place")
        self._place = np.array([47.37, 8.54]) + rng.uniform(-0.4, 0.4, 2)
        self._days: dict[int, _Day] = {}
        self._sums: dict[int, FloatArray] = {_EPOCH_DAY: np.array([6.4, 2.1, 31.0, 0.0, 0.8])}

    def _day(self, day: int) -> _Day:
        if day not in self._days:
            self._days[day] = _Day(self._seed, day)
        return self._days[day]

    def _before(self, day: int) -> FloatArray:
        """Hours, idle hours, fuel, payload, distance at the beginning of a day."""
        if day < _EPOCH_DAY:
            return self._sums[_EPOCH_DAY]
        known = max(d for d in self._sums if d <= day)
        total = self._sums[known]
        for d in range(known, day):
            one = self._day(d)
            total = total + np.array([one.hours[-1], one.idle[-1], one.fuel[-1], one.payload[-1], one.distance[-1]])
            self._sums[d + 1] = total
        return total

    def at(self, ts: IntArray, period_s: int) -> FloatArray:
        """Values [n, points] at the moments; NaN where nothing is reported."""
        out = np.full((len(ts), len(ExcavatorFleet.POINTS)), np.nan)
        for row, moment in enumerate(ts.tolist()):
            day, rest = divmod(moment, _DAY)
            minute = rest // _MINUTE
            one = self._day(day)
            running = bool(one.running[minute])
            if not running and rest % _AT_REST_EVERY >= period_s * _SECOND:
                continue
            part = (rest % _MINUTE) / _MINUTE
            hours, idle, fuel, payload, distance = self._before(day) + np.array(
                [
                    column[minute] + part * (column[minute + 1] - column[minute])
                    for column in (one.hours, one.idle, one.fuel, one.payload, one.distance)
                ]
            )
            warm = min(1.0, float(one.running[max(0, minute - 40) : minute + 1].sum()) / 40.0)
            load = float(one.load[minute])
            tank = (_TANK_L - fuel % (_TANK_L - _REFUEL_AT)) / _TANK_L * 100.0
            place = self._place + one.drift * (minute / _MINUTES)
            out[row] = (
                place[0],
                place[1],
                payload,
                hours,
                idle,
                float(running),
                load,
                fuel,
                tank,
                18.0 + warm * (66.0 + 0.08 * load),
                100.0 - (fuel * 0.035) % 80.0,
                18.0 + warm * (38.0 + 0.22 * load),
                distance,
            )
        return out


__all__ = ["ExcavatorFleet"]
