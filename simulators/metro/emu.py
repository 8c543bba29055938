"""Metro trains that hand over records of every door stroke, load cycle, brake application and start, and trouble codes.

The running gear, traction, air and saloon are those of :class:`~simulators.metro.fleet.MetroTrainFleet`, car by car; a
*class* of train says which of its cars it has and how many doors, so several classes share one physics. What is new
here: doors as machines of their own (:mod:`simulators.metro.door`), the dryer, the saloon's fan, vehicle numbers,
trains formed anew, and storms of codes when the auxiliary supply of a car fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from simulators.contract import Fault, FaultPlan, FloatArray, Frames, PointSpec, Truth
from simulators.engine import MachineFault
from simulators.metro import door, points
from simulators.metro.duty import PARKED, TURN_S
from simulators.metro.fleet import MetroTrainFleet
from simulators.noise import generator

_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TrainClass:
    """``cars``: for each car of the class, the car of the six-car train whose running gear it has."""

    key: str
    cars: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    doors: int = 8

    @property
    def converters(self) -> list[int]:
        return [i for i, base in enumerate(self.cars, 1) if base in points.MOTOR_CARS]

    @property
    def air(self) -> list[int]:
        return [i for i, base in enumerate(self.cars, 1) if base in points.AIR_CARS]

    def renamed(self, key: str) -> str | None:
        """A six-car train's point or component in this class; None where it has none."""
        if not key.startswith("car"):
            return key
        base, _, rest = key[3:].partition(".")
        if int(base) not in self.cars or rest.startswith("doors"):
            return None
        car = f"car{self.cars.index(int(base)) + 1}"
        if rest.startswith("axle_box"):
            box, _, point = rest[8:].partition(".")
            number = int(box)
            name = f"{car}.axle{(number + 1) // 2}.box_{'l' if number % 2 else 'r'}"
            return f"{name}.{point}" if point else name
        return f"{car}.{rest.replace('air_supply', 'air')}"


METRO_EMU_6: Final = TrainClass("metro-emu-6")


@dataclass(frozen=True, slots=True)
class Record:
    """A message besides telemetry: ``suffix`` of its topic (cycle or event), what it says, when it can be sent (µs)."""

    ts: int
    unit: int
    suffix: str
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Stop:
    unit: int
    number: int
    arrived: int
    closed: int
    load: float
    celsius: float


def _own_faults(class_: TrainClass) -> dict[str, Fault]:
    doors = tuple(f"car{c}.door{d}" for c in range(1, len(class_.cars) + 1) for d in range(1, class_.doors + 1))
    cars = tuple(f"car{c}" for c in range(1, len(class_.cars) + 1))
    hvac = tuple(f"{car}.hvac" for car in cars)
    air = tuple(f"car{c}.air" for c in class_.air)
    table = (
        ("door_friction", "friction grows to three times that of a new door", "friction × 3", doors),
        ("door_belt", "belt slack: closing times scatter three times as much", "the horizon", doors),
        ("door_roller", "a roller breaks: the friction ripples along the way", "the horizon", doors),
        ("door_lock_switch", "the lock switch misses 0.1 to 5 % of the closings", "5 % of the closings", doors),
        ("door_object", "an object in the guide opens every second closing again", "the horizon", doors),
        (
            "air_dryer",
            "the tower valve sticks: the dew point climbs to +5 °C within 90 minutes",
            "dew point +5 °C",
            air,
        ),
        ("hvac_filter", "the saloon's air filter clogs: the fan draws 30 % less", "fan current −30 %", hvac),
        ("auxiliary_supply", "the auxiliary supply of a car fails: 500 codes within 20 s", "the onset", cars),
    )
    return {mode: Fault(mode, "machine", text, limit, places) for mode, text, limit, places in table}


class EventTrainFleet:
    """Trains of a class; :meth:`advance` as of every fleet, :meth:`records` for what comes besides telemetry.

    ``formed_anew``: (unit, car, at µs): from then on another vehicle stands in that place.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        start: int,
        period_s: int = 10,
        faults: Sequence[FaultPlan] = (),
        site_mean_c: float | None = None,
        sites: Sequence[int] | None = None,
        *,
        class_: TrainClass = METRO_EMU_6,
        formed_anew: Sequence[tuple[int, int, int]] = (),
    ) -> None:
        self.train_class = class_
        self.TYPE = class_.key
        back = {class_.renamed(spec.component): spec.component for spec in points.POINTS}
        back |= {class_.renamed(spec.key): spec.key for spec in points.POINTS}
        self._names = {old: new for new, old in back.items() if new is not None}
        own = _own_faults(class_)
        gear = [self._of_gear(plan, back) for plan in faults if plan.mode not in own]
        self._gear = MetroTrainFleet(seeds, start, period_s, gear, site_mean_c, sites)
        self._own = [self._gear._bind(plan) for plan in faults if plan.mode in own]
        self.FAULTS: dict[str, Fault] = own | {
            mode: Fault(mode, f.kind, f.description, f.limit, self._renamed(f.components), self._renamed(f.shows_on))
            for mode, f in MetroTrainFleet.FAULTS.items()
        }
        self._kept = [(i, self._names[s.key]) for i, s in enumerate(points.POINTS) if s.key in self._names]
        self.POINTS: tuple[PointSpec, ...] = tuple(self._specs())
        self.column = {spec.key: i for i, spec in enumerate(self.POINTS)}
        self.seeds, self.period_s = self._gear.seeds, period_s
        self._anew = tuple(formed_anew)
        self._rng = [generator(seed, "emu") for seed in self.seeds]
        every = range(1, class_.doors + 1)
        self._door_names = [f"car{c}.door{d}" for c in range(1, len(class_.cars) + 1) for d in every]
        count = len(self._door_names)
        self._doors = np.array([generator(seed, "emu-doors").normal(1.0, 0.04, count) for seed in self.seeds])
        self._before: FloatArray | None = None
        self._loading: dict[tuple[int, int], tuple[int, float, float]] = {}
        self._told: set[tuple[int, str]] = set()
        self._records: list[Record] = []

    @property
    def units(self) -> int:
        return len(self.seeds)

    def advance(self, periods: int) -> Frames:
        """The next frames of all units; what else was said until then stands ready in :meth:`records`."""
        frames = self._gear.advance(periods)
        values = np.full((periods, self.units, len(self.POINTS)), np.nan)
        bad = np.zeros(values.shape, np.bool_)
        kept = [i for i, _ in self._kept]
        values[:, :, : len(kept)], bad[:, :, : len(kept)] = frames.values[:, :, kept], frames.quality_bad[:, :, kept]
        made = Frames(frames.ts, values, bad)
        self._complete(made)
        self._records += self._made(made)
        self._before = values[-1]
        return made

    def records(self) -> list[Record]:
        """Cycles and events of the frames handed out, in order of time; each is given once."""
        made, self._records = sorted(self._records, key=lambda r: (r.ts, r.unit)), []
        return made

    def truth(self) -> list[Truth]:
        """As of every fleet, in this class's names."""
        now_s = np.array([self._gear.now / _SECOND])
        lines = [
            Truth(x.ts, x.unit, self._names.get(x.component, x.component), x.mode, x.severity, x.kind, x.limit_at,
                  self._names.get(x.point, x.point))
            for x in self._gear.truth()
        ]  # fmt: skip
        for fault in self._own:
            severity = float(np.clip(fault.clock(now_s)[0], 0.0, 1.0))
            plan = fault.plan
            lines.append(Truth(plan.onset, plan.unit, plan.component, plan.mode, severity, "machine", fault.limit_at))
        return sorted(lines, key=lambda line: (line.ts, line.unit, line.component, line.mode))

    # --- names ---

    def _renamed(self, components: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._names[c] for c in components if c in self._names)

    def _of_gear(self, plan: FaultPlan, back: Mapping[str | None, str]) -> FaultPlan:
        component, point = back.get(plan.component, plan.component), back.get(plan.point, plan.point)
        return FaultPlan(plan.unit, component, plan.mode, plan.onset, plan.horizon, point)

    def _specs(self) -> Iterator[PointSpec]:
        for i, name in self._kept:
            old = points.POINTS[i]
            yield PointSpec(name, self._names[old.component], old.unit, old.description, old.decimals)
        for car in range(1, len(self.train_class.cars) + 1):
            yield PointSpec(f"car{car}.vehicle", f"car{car}", "1", "number of the vehicle in this place", 0)
            yield PointSpec(f"car{car}.hvac.fan_current", f"car{car}.hvac", "A", "current of the supply fan", 2)

    # --- telemetry that the six-car train has not ---

    def _clock(self, mode: str, unit: int, component: str, t: FloatArray) -> FloatArray:
        clock = np.zeros(len(t))
        for fault in self._faults(mode):
            if fault.plan.unit == unit and fault.plan.component == component:
                clock = np.maximum(clock, fault.clock(t))
        return clock

    def _gear_clock(self, mode: str, unit: int, component: str, at: int) -> float:
        clocks = [
            float(fault.clock(np.array([at / _SECOND]))[0])
            for fault in self._gear._machine
            if fault.plan.mode == mode
            and fault.plan.unit == unit
            and self._names.get(fault.plan.component) == component
        ]
        return max(clocks, default=0.0)

    def _faults(self, mode: str) -> list[MachineFault]:
        return [fault for fault in self._own if fault.plan.mode == mode]

    def _complete(self, frames: Frames) -> None:
        t = frames.ts / _SECOND
        column, values = self.column, frames.values
        for unit, rng in enumerate(self._rng):
            live = values[:, unit, column["train.mode"]] != PARKED
            for car in range(1, len(self.train_class.cars) + 1):
                number = np.full(len(t), float(100_000 + (self.seeds[unit] * 10 + car) % 800_000))
                for place, other, at in self._anew:
                    if (place, other) == (unit, car):
                        number[frames.ts >= at] += 7.0
                values[:, unit, column[f"car{car}.vehicle"]] = number
                clogged = 0.3 * np.minimum(self._clock("hvac_filter", unit, f"car{car}.hvac", t), 1.2)
                fan = live * 3.1 * (1.0 - clogged) + 0.02 * rng.standard_normal(len(t))
                values[:, unit, column[f"car{car}.hvac.fan_current"]] = np.round(fan, 2)
            for fault in self._faults("air_dryer"):
                if fault.plan.unit == unit:
                    wet = np.clip((t - fault.grid[0]) / 5400.0, 0.0, 1.0)
                    dew = values[:, unit, column[f"{fault.plan.component}.dew_point"]]
                    dew += np.round((5.0 - dew) * wet, 1)

    # --- records ---

    def _made(self, frames: Frames) -> Iterator[Record]:
        stops: list[_Stop] = []
        for unit in range(self.units):
            stops += self._stops(frames, unit)
            yield from self._loads(frames, unit)
            yield from self._starts(frames, unit)
            yield from self._storms(frames, unit)
        for stop in stops:
            yield from self._applications(stop.unit, stop.arrived)
        if stops:
            yield from self._strokes(stops)

    def _stops(self, frames: Frames, unit: int) -> list[_Stop]:
        """The stops whose doors closed within the frames."""
        end, first = frames.ts[-1] / _SECOND, frames.ts[0] / _SECOND - self.period_s
        timetable = self._gear._timetables[unit]
        timetable.at(np.array([end]))
        closed = timetable._start + 24.0 + 4.0 + np.where(timetable._section == 0, TURN_S, 0.0)
        stops = np.flatnonzero((closed > first) & (closed <= end))
        moment = np.searchsorted(frames.ts / _SECOND, closed[stops]).clip(max=len(frames.ts) - 1)
        outside = frames.values[moment, unit, self.column["train.ambient_temperature"]]
        return [
            _Stop(
                unit,
                stop,
                round(float(timetable._start[stop])) * _SECOND,
                round(float(closed[stop])) * _SECOND,
                float(timetable._load[stop]),
                float(celsius),
            )
            for stop, celsius in zip(stops.tolist(), outside, strict=True)
        ]

    def _applications(self, unit: int, at: int) -> Iterator[Record]:
        rng = self._rng[unit]
        for car in range(1, len(self.train_class.cars) + 1):
            for bogie in (1, 2):
                name = f"car{car}.bogie{bogie}"
                stuck = min(self._gear_clock("sticking_brake", unit, name, at), 1.2)
                values = {
                    "apply_time": round(float(0.92 + rng.normal(0.0, 0.04)), 2),
                    "release_time": round(float((0.8 + 3.2 * stuck) * 2.3 + rng.normal(0.0, 0.08)), 2),
                    "peak_pressure": round(float(2.2 + rng.normal(0.0, 0.05)), 2),
                    "residual": round(float(max(0.3 * stuck + rng.normal(0.0, 0.006), 0.0)), 2),
                }
                yield _cycle(unit, "brake_application", name, at - 20 * _SECOND, at, values)

    def _strokes(self, stops: Sequence[_Stop]) -> Iterator[Record]:
        """One side opens, left at even stops. Passengers get in the way of 1 to 10 % of the closings.

        The doors of all stops move at once: the equation costs by the step, not by the door.
        """
        drawn = [self._draw(stop) for stop in stops]
        made = door.close(*(np.concatenate([d[name] for d in drawn]) for name in ("friction", "roller", "obstacle")))
        first = 0
        for stop, d in zip(stops, drawn, strict=True):
            part = slice(first, first + len(d["friction"]))
            first = part.stop
            yield from self._told_by(stop, d, [getattr(made, f.name)[part] for f in fields(door.Strokes)])

    def _draw(self, stop: _Stop) -> dict[str, FloatArray]:
        """What the doors of a stop meet."""
        rng, t = self._rng[stop.unit], np.array([stop.closed / _SECOND])
        names = self._door_names
        mine = [i for i, name in enumerate(names) if (int(name[-1]) + stop.number) % 2]
        clock = {
            mode: np.array([self._clock(mode, stop.unit, names[i], t)[0] for i in mine])
            if self._faults(mode)
            else np.zeros(len(mine))
            for mode in ("door_friction", "door_belt", "door_roller", "door_lock_switch", "door_object")
        }
        n = len(mine)
        friction = self._doors[stop.unit][mine] * (1.0 + 2.0 * np.minimum(clock["door_friction"], 1.3) ** 1.5)
        friction = friction * door.stiffness(np.full(n, stop.celsius)) * rng.normal(1.0, 0.03, n)
        pushed = rng.random(n) < 0.01 + 0.09 * stop.load**2 + 0.5 * (clock["door_object"] > 0.0)
        missing = np.where(clock["door_lock_switch"] > 0, 0.001 + 0.049 * clock["door_lock_switch"], 0.0)
        return {
            "place": np.array(mine, dtype=np.float64),
            "friction": friction,
            "roller": 3.0 * (clock["door_roller"] > 0.0),
            "obstacle": 110.0 * pushed,
            "again": np.where(pushed, rng.integers(1, 3, n), 0).astype(np.float64),
            "slack": np.where(clock["door_belt"] > 0.0, 3.0, 1.0),
            "missed": (rng.random(n) < missing).astype(np.float64),
        }

    def _told_by(self, stop: _Stop, d: Mapping[str, FloatArray], made: Sequence[FloatArray]) -> Iterator[Record]:
        rng, n = self._rng[stop.unit], len(d["friction"])
        time, peak, mean, charge, power, ripple, arrived = made
        time = time + rng.normal(0.0, 0.025, n) * d["slack"] + d["again"] * rng.uniform(1.0, 2.5, n)
        noise = rng.normal(0.0, 1.0, (5, n))
        for k in range(n):
            name = self._door_names[int(d["place"][k])]
            closed = int(arrived[k] > 0 and not d["missed"][k])
            values = {
                "opening_time": round(float(2.9 + 0.03 * d["friction"][k] + 0.02 * noise[0, k]), 3),
                "closing_time": round(float(time[k]), 3),
                "peak_current": round(float(peak[k] * (1.0 + 0.01 * noise[1, k])), 3),
                "mean_current": round(float(mean[k] * (1.0 + 0.01 * noise[2, k])), 3),
                "charge": round(float(charge[k]), 3),
                "power": round(float(power[k]), 1),
                "ripple": round(float(ripple[k] + 0.006 * abs(noise[3, k])), 4),
                "reopenings": int(d["again"][k]),
                "closed": closed,
                "temperature": round(float(stop.celsius + 0.5 * noise[4, k]), 1),
            }
            yield _cycle(stop.unit, "door_stroke", name, stop.arrived, stop.closed, values)
            if not closed:
                noted = {"mean_current": values["mean_current"], "reopenings": values["reopenings"], "speed": 0.0}
                yield _code(stop.unit, stop.closed, "D101", name, noted)
                yield _code(stop.unit, stop.closed + 8 * _SECOND, "D101", name, noted, active=False)

    def _loads(self, frames: Frames, unit: int) -> Iterator[Record]:
        """Load cycles, as exactly as the frames lie."""
        for car in self.train_class.air:
            on = frames.values[:, unit, self.column[f"car{car}.air.compressor_running"]] > 0.5
            pressure = frames.values[:, unit, self.column[f"car{car}.air.reservoir_pressure"]]
            current = frames.values[:, unit, self.column[f"car{car}.air.motor_current"]]
            for k, running in enumerate(on.tolist()):
                at, key = int(frames.ts[k]), (unit, car)
                if running:
                    since, low, peak = self._loading.get(key, (at, float(pressure[k]), 0.0))
                    self._loading[key] = (since, low, max(peak, float(current[k])))
                elif key in self._loading:
                    since, low, peak = self._loading.pop(key)
                    values = {"rise": round(float(pressure[k]) - low, 2), "peak_current": round(peak, 1)}
                    yield _cycle(unit, "load_cycle", f"car{car}.air", since, at, values)

    def _starts(self, frames: Frames, unit: int) -> Iterator[Record]:
        mode = frames.values[:, unit, self.column["train.mode"]]
        pressure = frames.values[:, unit, self.column[f"car{self.train_class.air[0]}.air.reservoir_pressure"]]
        before = mode[0] if self._before is None else self._before[unit, self.column["train.mode"]]
        begins = np.flatnonzero((mode != PARKED) & (np.concatenate([[before], mode[:-1]]) == PARKED))
        for k in begins.tolist():
            at, found = int(frames.ts[k]), round(float(pressure[k]), 2)
            seconds = 240.0 + 60.0 * max(8.0 - found, 0.0)
            end = at + round(seconds * _SECOND)
            yield Record(end, unit, "cycle", _message("train_start", "train", at, end, {"start_pressure": found}))

    def _storms(self, frames: Frames, unit: int) -> Iterator[Record]:
        for fault in self._faults("auxiliary_supply"):
            plan = fault.plan
            key = (unit, f"{plan.component}/{plan.onset}")
            if plan.unit != unit or plan.onset > int(frames.ts[-1]) or key in self._told:
                continue
            self._told.add(key)
            rng = self._rng[unit]
            speed = float(frames.values[-1, unit, self.column["train.speed"]])
            yield _code(unit, plan.onset, "E701", plan.component, {"battery_voltage": 98.5, "speed": round(speed, 1)})
            cars = len(self.train_class.cars)
            for i in range(499):
                at = plan.onset + round(float(rng.uniform(0.2, 20.0)) * _SECOND)
                yield _code(unit, at, "N602", f"car{1 + i % cars}", {"device": i, "battery_voltage": 96.0})


def _message(kind: str, component: str, ts: int, end: int, values: Mapping[str, float]) -> dict[str, Any]:
    return {"kind": kind, "component": component, "ts": ts // 1000, "end": end // 1000, "values": dict(values)}


def _cycle(unit: int, kind: str, component: str, ts: int, end: int, values: Mapping[str, float]) -> Record:
    return Record(end, unit, "cycle", _message(kind, component, ts, end, values))


def _code(
    unit: int, at: int, code: str, component: str, environment: Mapping[str, Any], *, active: bool = True
) -> Record:
    body = {"code": code, "component": component, "active": active, "environment": dict(environment)}
    return Record(at, unit, "event", {"ts": at // 1000, "kind": "trouble_code", "body": body})
