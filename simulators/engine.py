"""What both fleets share: blocks of fixed length, the fault clock in operating time, the ground-truth log.

The true state is always computed in blocks of :data:`BLOCK` periods counted from the start, whatever the caller asks
for; so ``advance(5)`` twice is ``advance(10)`` to the last bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from core.errors import InvalidInputError
from simulators.contract import (
    NEVER,
    BoolArray,
    Channel,
    Fault,
    FaultPlan,
    FloatArray,
    Frames,
    IntArray,
    PointSpec,
    Truth,
)
from simulators.noise import generator
from simulators.sensors import INSTRUMENT_FAULTS, SensorFault, Sensors
from simulators.weather import Weather

BLOCK: Final = 60
WARM_UP_S: Final = 3 * 3600
"""The physics starts this long before the first frame, so that it is warm if the duty says so."""
_SECOND: Final = 1_000_000
_GRID_S: Final = 30.0
"""The fault clock counts operating time in steps of this length."""
_WORK_S: Final = 3 * 3600.0
_OVERRUN: Final = 1.5
"""The clock runs on past the limit up to this multiple; what a law does there is the law's business."""


@dataclass(slots=True)
class MachineFault:
    """A machine fault bound to its clock: ``clock(t)`` is 0 before the onset, 1 when the stated limit is due.

    It counts operating time only (a fault does not grow in a resting machine), scaled so that the limit falls on
    onset + horizon, or on the last running moment before it. ``running_s`` is the operating time inside the horizon;
    ``lot`` holds four uniform draws for sizes and angles.
    """

    plan: FaultPlan
    grid: FloatArray
    share: FloatArray
    running_s: float
    limit_at: int
    lot: FloatArray
    observed: bool = False
    repaired_s: float = np.inf
    """From then on there is no fault; the machine stands at that moment."""

    def clock(self, t: FloatArray) -> FloatArray:
        return np.where(t < self.repaired_s, np.interp(t, self.grid, self.share), 0.0)

    def begun(self, t: FloatArray) -> BoolArray:
        """Where it is there at all: from the onset to the repair."""
        return np.asarray((t >= self.grid[0]) & (t < self.repaired_s))

    def active(self, t: FloatArray) -> bool:
        return bool(t[-1] >= self.grid[0])


class Fleet(ABC):
    """Machines of one type, one per seed, advanced together.

    ``start`` is µs UTC; reading k (from 1) is at ``start + k·period_s``. A unit's readings depend on its seed, site,
    faults and the start only, not on the other units. ``sites`` groups units that share weather (default: a site
    per unit). The interface is not thread-safe; advancing 60 periods costs the same as advancing one.
    """

    TYPE: ClassVar[str]
    CHANNELS: ClassVar[tuple[Channel, ...]]
    POINTS: ClassVar[tuple[PointSpec, ...]]
    FAULTS: ClassVar[Mapping[str, Fault]]

    def __init__(
        self,
        seeds: Sequence[int],
        start: int,
        period_s: int = 10,
        faults: Sequence[FaultPlan] = (),
        site_mean_c: float | None = None,
        sites: Sequence[int] | None = None,
    ) -> None:
        if not seeds:
            raise InvalidInputError("a fleet without units", hint="give one seed per unit")
        self.seeds = tuple(int(seed) for seed in seeds)
        self.start, self.period_s = int(start), int(period_s)
        self.column: dict[str, int] = {channel.key: i for i, channel in enumerate(self.CHANNELS)}
        self._warm_blocks = -(-WARM_UP_S // (BLOCK * self.period_s))
        self._begin_s = self.start / _SECOND - self._warm_blocks * BLOCK * self.period_s
        place = self.seeds if sites is None else tuple(sites)
        if len(place) != len(self.seeds):
            raise InvalidInputError(f"{len(place)} sites for {len(self.seeds)} units", hint="give one site per unit")
        self.weather = Weather(place, self._begin_s, site_mean_c)
        self.plans = tuple(faults)
        for plan in self.plans:
            self._check(plan)
        self._prepare([plan for plan in self.plans if self.FAULTS[plan.mode].kind == "machine"])
        self._machine = [self._bind(plan) for plan in self.plans if self.FAULTS[plan.mode].kind == "machine"]
        self._instrument = {
            plan: self._bind_sensor(plan) for plan in self.plans if self.FAULTS[plan.mode].kind == "instrument"
        }
        self._sensors = Sensors(self.CHANNELS, self.seeds, self.period_s, list(self._instrument.values()))
        self._made = -self._warm_blocks * BLOCK
        self._given = 0
        self._ready: Frames | None = None

    @property
    def units(self) -> int:
        return len(self.seeds)

    @property
    def now(self) -> int:
        """Event time of the last frame handed out (the start, before the first)."""
        return self.start + self._given * self.period_s * _SECOND

    def advance(self, periods: int) -> Frames:
        """The next ``periods`` frames of all units."""
        shape = (periods, self.units, len(self.CHANNELS))
        frames = Frames(np.empty(periods, np.int64), np.empty(shape), np.empty(shape, np.bool_))
        done = 0
        while done < periods:
            if self._ready is None or not len(self._ready.ts):
                self._ready = self._block()
            ready = self._ready
            take = min(periods - done, len(ready.ts))
            into = slice(done, done + take)
            frames.ts[into], frames.values[into] = ready.ts[:take], ready.values[:take]
            frames.quality_bad[into] = ready.quality_bad[:take]
            self._ready = Frames(ready.ts[take:], ready.values[take:], ready.quality_bad[take:])
            self._given += take
            done += take
        return frames

    def repair(self, unit: int, component: str) -> int:
        """Stop the unit as soon as may be, and take away every fault of the component; µs UTC at which that is done.

        The unit stands about an hour before and two after it, where its kind knows how to stand. What was computed
        already stays: the stop begins after the present block of :data:`BLOCK` periods.
        """
        now_s = self._begin_s + (self._made + self._warm_blocks * BLOCK) * self.period_s
        begin_s = self._stand(unit, now_s + 60.0, _WORK_S)
        for fault in self._machine:
            if fault.plan.unit == unit and fault.plan.component == component and begin_s >= fault.grid[0]:
                fault.repaired_s = min(fault.repaired_s, begin_s + _WORK_S / 3)
        return round((begin_s + _WORK_S / 3) * _SECOND)

    def truth(self) -> list[Truth]:
        """The ground-truth log: every planned fault, those still to come with severity 0."""
        now_s = np.array([self.now / _SECOND])
        log = [
            Truth(
                fault.plan.onset,
                fault.plan.unit,
                fault.plan.component,
                fault.plan.mode,
                float(np.clip(fault.clock(now_s)[0], 0.0, 1.0)),
                "machine",
                fault.limit_at,
            )
            for fault in self._machine
        ]
        for plan, sensor in self._instrument.items():
            spec = self.POINTS[sensor.column]
            run = (self.now - plan.onset) / (sensor.limit_at - plan.onset)
            severity = float(np.clip(run, 0.0, 1.0)) if plan.mode == "drift" else float(run >= 0)
            log.append(
                Truth(
                    plan.onset,
                    plan.unit,
                    spec.component,
                    plan.mode,
                    severity,
                    "instrument",
                    sensor.limit_at,
                    spec.key,
                )
            )
        return sorted(log, key=lambda line: (line.ts, line.unit, line.component, line.mode))

    # --- for the machines --------------------------------------------------------------------------------------------

    @abstractmethod
    def _prepare(self, plans: Sequence[FaultPlan]) -> None:
        """Draw parameters and duty; ``plans`` are the machine faults, known before the duty is drawn."""

    @abstractmethod
    def _running(self, unit: int, t: FloatArray) -> BoolArray:
        """Whether the unit works at seconds ``t``: what counts as operating time."""

    @abstractmethod
    def _true(self, t: FloatArray) -> FloatArray:
        """True state [n, units, points] at seconds ``t`` [n], continuing where the last call ended."""

    def _stand(self, unit: int, begin_s: float, length_s: float) -> float:
        """Have the unit stand for work from ``begin_s`` or soon after; when it does. Kinds without stops go on."""
        del unit, length_s
        return begin_s

    def _observe(self, fault: MachineFault, t: FloatArray, reached: BoolArray) -> None:
        """Fix ``limit_at`` by the true state: the first ``t`` at which ``reached`` holds after the onset."""
        if fault.observed:
            return
        hit = reached & (t >= fault.grid[0])
        if hit.any():
            fault.limit_at = round(float(t[int(np.argmax(hit))]) * _SECOND)
            fault.observed = True
        elif t[-1] * _SECOND >= fault.plan.onset + fault.plan.horizon:
            fault.limit_at = NEVER

    def faults_of(self, mode: str, t: FloatArray) -> list[MachineFault]:
        """Machine faults of a mode that have begun by the end of ``t``."""
        return [fault for fault in self._machine if fault.plan.mode == mode and fault.active(t)]

    # --- private -----------------------------------------------------------------------------------------------------

    def _block(self) -> Frames:
        while True:
            ticks = self._made + np.arange(1, BLOCK + 1, dtype=np.int64)
            ts: IntArray = self.start + ticks * (self.period_s * _SECOND)
            true = self._true(ts / _SECOND)
            self._made += BLOCK
            if self._made > 0:
                values, bad = self._sensors.read(ts, true)
                return Frames(ts, values, bad)

    def _check(self, plan: FaultPlan) -> None:
        fault = self.FAULTS.get(plan.mode)
        if fault is None:
            raise InvalidInputError(
                f"a {self.TYPE} knows no fault {plan.mode!r}", hint=f"one of {', '.join(self.FAULTS)}"
            )
        if not 0 <= plan.unit < self.units:
            raise InvalidInputError(
                f"fault {plan.mode!r} for unit {plan.unit}", hint=f"units are 0 to {self.units - 1}"
            )
        if plan.horizon <= 0:
            raise InvalidInputError(f"fault {plan.mode!r} with horizon {plan.horizon} µs", hint="give a positive one")
        if fault.kind == "instrument":
            key = plan.point or plan.component
            if key not in self.column or not self.CHANNELS[self.column[key]].drawable:
                raise InvalidInputError(
                    f"no instrument fault on {key!r}", hint="name a point whose channel is drawable in `point`"
                )
        elif plan.component not in fault.components:
            raise InvalidInputError(
                f"fault {plan.mode!r} on {plan.component!r}", hint=f"one of {', '.join(fault.components)}"
            )

    def _bind(self, plan: FaultPlan) -> MachineFault:
        onset, horizon = plan.onset / _SECOND, plan.horizon / _SECOND
        steps = max(int(np.ceil(horizon / _GRID_S)), 20)
        count = int(np.ceil(_OVERRUN * steps))
        grid: FloatArray = onset + horizon / steps * np.arange(count + 1, dtype=np.float64)
        running = self._running(plan.unit, 0.5 * (grid[1:] + grid[:-1])).astype(np.float64)
        if not running[:steps].any():
            running[:] = 1.0  # a horizon wholly at rest: calendar time, nothing to see until it runs
        total = float(running[:steps].sum())
        share = np.zeros(count + 1)
        share[1:] = np.cumsum(running) / total
        reached = int(np.argmax(share >= 1.0 - 1e-9))
        lot = generator(self.seeds[plan.unit], "fault", plan.mode, plan.component, plan.onset).random(4)
        running_s = total * horizon / steps
        return MachineFault(plan, grid, share, running_s, round(float(grid[reached]) * _SECOND), lot)

    def _bind_sensor(self, plan: FaultPlan) -> SensorFault:
        key = plan.point or plan.component
        rng = generator(self.seeds[plan.unit], "fault", plan.mode, key, plan.onset)
        sign, size = float(rng.choice([-1.0, 1.0])), float(rng.uniform(0.6, 1.0))
        return SensorFault(plan.mode, plan.unit, self.column[key], plan.onset, plan.horizon, sign, size)


def with_instrument_faults(faults: Sequence[Fault]) -> dict[str, Fault]:
    """A machine's own modes and the instrument modes, by name."""
    return {fault.mode: fault for fault in faults} | dict(INSTRUMENT_FAULTS)


def relax(state: FloatArray, target: FloatArray, gain: FloatArray) -> FloatArray:
    """First-order lags, exact for a target held over the period: ``y += gain·(target − y)``.

    ``target`` [n, …] is overwritten by the course of ``y`` and returned; ``gain = 1 − exp(−Δt/τ)`` is [n, …] or [n, 1].
    """
    y = state
    for k in range(len(target)):
        y = y + gain[k] * (target[k] - y)
        target[k] = y
    return target
