"""The timetable: 18 hours on the line, the depot at night, stops, load by the hour. Seconds since the epoch.

Days are drawn per seed and day, so any second can be asked for without driving there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulators.contract import BoolArray, FloatArray, IntArray
from simulators.noise import generator

_DAY: Final = 86_400.0
SECTIONS: Final = 22
TUNNEL: Final = range(6, 16)
DWELL_S: Final = 30.0
TURN_S: Final = 240.0
"""Extra dwell at the terminus (section 0)."""
SPEED_MAX: Final = 80.0 / 3.6
ACCELERATION: Final = 0.9
BRAKING: Final = 1.0
AIR_USE_S: Final = 40.0
DOORS_OPEN_S: Final = (3.0, 24.0)
PARKED, DEPOT, LINE = 0, 1, 2


def speed_profile(after: FloatArray, run_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Speed m/s and acceleration m/s² at ``after`` seconds from departure of a run that takes ``run_s``."""
    up, down = ACCELERATION * after, BRAKING * (run_s - after)
    speed = np.clip(np.minimum(up, down), 0.0, SPEED_MAX)
    rising = (up < SPEED_MAX) & (up <= down)
    falling = (down < SPEED_MAX) & (down < up)
    acceleration = np.where(rising, ACCELERATION, np.where(falling, -BRAKING, 0.0)) * ((after > 0) & (speed > 0))
    return speed, acceleration


def load_by_hour(hour: FloatArray) -> FloatArray:
    """Passenger load 0.1–1.0 with peaks at 8 and 17.5 h."""
    peaks = 0.75 * np.exp(-(((hour - 8.0) / 1.3) ** 2)) + 0.7 * np.exp(-(((hour - 17.5) / 1.7) ** 2))
    return np.clip(0.22 + peaks + 0.12 * np.exp(-(((hour - 12.8) / 2.5) ** 2)), 0.1, 1.0)


@dataclass(frozen=True, slots=True)
class Duty:
    """What one train does at the instants asked for, each [n]."""

    speed: FloatArray
    acceleration: FloatArray
    load: FloatArray
    mode: IntArray
    section: IntArray
    doors_open: BoolArray
    air_use: BoolArray
    closing: IntArray
    """Number of the last stop whose doors have closed, counted from the first day; −1 before any."""


class Timetable:
    """One train's timetable from the day of ``first_s`` on."""

    def __init__(self, seed: int, first_s: float) -> None:
        self._seed = seed
        self._day = int(first_s // _DAY)
        self._line = generator(seed, "line").uniform(100.0, 130.0, SECTIONS)
        self._start = np.empty(0)
        self._length = np.empty(0)
        self._section = np.empty(0, dtype=np.int64)
        self._load = np.empty(0)
        self.door_current = np.empty((0, 6))
        self.door_time = np.empty((0, 6))
        self._mode_t: list[float] = [-np.inf]
        self._mode: list[int] = [PARKED]
        self._modes = np.array(self._mode_t), np.array(self._mode)

    def at(self, t: FloatArray) -> Duty:
        """Duty at seconds ``t``, ascending."""
        while self._day * _DAY <= float(t[-1]):
            self._draw_day()
        mode = self._modes[1][np.searchsorted(self._modes[0], t, side="right") - 1]
        n = len(t)
        if not len(self._start):
            still = np.zeros(n)
            no = np.zeros(n, dtype=np.bool_)
            return Duty(still, still, still, mode, np.zeros(n, np.int64), no, no, np.full(n, -1))
        index = np.searchsorted(self._start, t, side="right") - 1
        safe = np.maximum(index, 0)
        after = t - self._start[safe]
        section = self._section[safe]
        dwell = np.where(section == 0, DWELL_S + TURN_S, DWELL_S)
        length = self._length[safe]
        within = (index >= 0) & (after < length) & (mode == LINE)
        speed, acceleration = speed_profile(after - dwell, length - dwell)
        opened, closed = DOORS_OPEN_S
        return Duty(
            np.where(within, speed, 0.0),
            np.where(within, acceleration, 0.0),
            np.where(within, self._load[safe], 0.0),
            mode,
            np.where(within, section, 0),
            within & (after >= opened) & (after < closed + dwell - DWELL_S),
            within & (after < AIR_USE_S),
            index - (after < closed + dwell - DWELL_S),
        )

    def mode_at(self, t: FloatArray) -> IntArray:
        return self.at(t).mode

    def _draw_day(self) -> None:
        rng = generator(self._seed, "timetable", self._day)
        midnight = self._day * _DAY
        self._day += 1
        begin = midnight + 3600.0 * 5.0 + rng.uniform(-1200.0, 1200.0)
        end = midnight + 3600.0 * 23.0 + rng.uniform(-1200.0, 1200.0)
        kind, pause = rng.random(), midnight + 3600.0 * rng.uniform(9.5, 11.0)
        if kind < 0.05:
            services = []  # held in reserve: powered in the morning, then parked
        elif kind < 0.25:
            services = [(begin, pause), (midnight + 3600.0 * 15.0, end)]
        else:
            services = [(begin, end)]
        if not services:
            self._mode_t += [begin - 1800.0, begin + 3600.0]
            self._mode += [DEPOT, PARKED]
        for first, last in services:
            self._serve(rng, first, last)
        self._modes = np.array(self._mode_t), np.array(self._mode)

    def _serve(self, rng: np.random.Generator, first: float, last: float) -> None:
        self._mode_t += [first - 1800.0, first, last, last + 1800.0]
        self._mode += [DEPOT, LINE, DEPOT, PARKED]
        rounds = int((last - first) // (self._line.sum() + TURN_S)) + 1
        count = rounds * SECTIONS
        section = np.tile(np.arange(SECTIONS), rounds)
        length = np.tile(self._line, rounds) + TURN_S * (section == 0)
        start = first + np.concatenate([[0.0], np.cumsum(length)[:-1]])
        keep = start + length <= last
        hour = (start / 3600.0) % 24.0
        middle = 1.0 - 0.35 * np.abs(section / (SECTIONS - 1) * 2.0 - 1.0)  # fuller in the middle of the line
        load = np.clip(load_by_hour(hour) * middle * rng.normal(1.1, 0.12, count), 0.05, 1.0)
        # Passengers in the way: 1–6 % of strokes, eight doors a car; a fault would repeat at one door and off-peak.
        pushed = rng.poisson(8.0 * (0.01 + 0.05 * load[:, None] ** 2), (count, 6))
        current = 0.15 * pushed * rng.uniform(0.5, 1.0, (count, 6)) + rng.normal(0.0, 0.035, (count, 6))
        time = 0.03 * pushed + rng.normal(0.0, 0.008, (count, 6))
        self._start = np.concatenate([self._start, start[keep]])
        self._length = np.concatenate([self._length, length[keep]])
        self._section = np.concatenate([self._section, section[keep]])
        self._load = np.concatenate([self._load, load[keep]])
        self.door_current = np.concatenate([self.door_current, current[keep]])
        self.door_time = np.concatenate([self.door_time, time[keep]])
