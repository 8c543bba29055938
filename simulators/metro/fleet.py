"""The metro trains' true state, vectorised over time, units and positions.

Duty, power, brake and air run at 1 s; everything with a time constant of minutes takes the mean of the period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, TypeVar

import numpy as np

from simulators.contract import BoolArray, Channel, Fault, FaultPlan, FloatArray, IntArray, PointSpec
from simulators.engine import Fleet, MachineFault, relax
from simulators.metro import physics
from simulators.metro.duty import DEPOT, LINE, PARKED, TUNNEL, Timetable
from simulators.metro.points import (
    AIR_CARS,
    AXLE_BOXES,
    BOGIES,
    CARS,
    CHANNELS,
    CONVERTERS,
    DOORS,
    FAULTS,
    HVACS,
    MOTOR_CARS,
    POINTS,
)
from simulators.noise import Spread, Wander

_Array = TypeVar("_Array", FloatArray, IntArray, BoolArray)
_KMH: Final = 3.6
_ELECTRIC_BRAKE_TO: Final = 6.0 / 3.6
_LEFT: Final = np.array([1.0, -1.0] * (len(AXLE_BOXES) // 2))
_MOTOR_END: Final = np.array([30.0 if car in MOTOR_CARS and box % 2 else 0.0 for car in CARS for box in range(1, 9)])
_BRAKE_SHARE: Final = np.repeat([0.85 if car in MOTOR_CARS else 1.3 for car in CARS], 2)
"""Trailers have no electrical brake: their discs do more of the friction's work."""
_PERIOD_FIELDS: Final = ("speed", "acceleration", "load", "mode", "section", "doors_open", "air_use", "closing")


class MetroTrainFleet(Fleet):
    """Six-car metro trains; see :class:`simulators.engine.Fleet` for the contract."""

    TYPE: ClassVar[str] = "metro-train-6"
    CHANNELS: ClassVar[tuple[Channel, ...]] = CHANNELS
    POINTS: ClassVar[tuple[PointSpec, ...]] = POINTS
    FAULTS: ClassVar[Mapping[str, Fault]] = FAULTS

    def _prepare(self, plans: Sequence[FaultPlan]) -> None:
        del plans  # the timetable does not depend on what will break
        self._timetables = [Timetable(seed, self._begin_s) for seed in self.seeds]
        spread = Spread(self.seeds)
        begin = self._begin_s
        self._box_friction = spread("box-friction", 1.0, 0.04, len(AXLE_BOXES))
        self._box_heat = 8.0 * spread.normal("box-heat", len(AXLE_BOXES))
        self._plate = spread("plate", physics.PLATE_RESISTANCE, 0.03, len(CONVERTERS))
        self._share = spread("converter-share", 1.0, 0.01, len(CONVERTERS))
        self._volume = spread("reservoir", physics.VOLUME, 0.03)
        self._delivery = spread("delivery", physics.DELIVERY * (1.0 - physics.PURGE), 0.02, 2).T
        self._leak = spread.uniform("leak", 8.0, 22.0)
        self._friction_share = spread.uniform("friction-share", 0.10, 0.18)
        self._bogie = spread("bogie", 1.0, 0.02, len(BOGIES))
        self._disc = spread("disc", 1.0, 0.03, len(BOGIES))
        self._cabin = spread("cabin", 1.0, 0.03, len(HVACS))
        self._suction = 5.0 + 0.08 * spread.normal("suction", len(HVACS))
        self._door = 2.4 * (1.0 + 0.02 * spread.normal("door", len(DOORS)))
        self._dew = Wander(self.seeds, "dew-point", begin, 600.0, 3600.0, 1.2)
        self._odometer = spread.uniform("odometer", 50_000.0, 900_000.0)
        self._sun_side = spread.uniform("sun-side", -1.0, 1.0)
        self._state: dict[str, FloatArray] = {}
        self._columns = {
            name: np.array([self.column[f"{component}.{point}"] for component in group])
            for name, group, point in (
                ("box", AXLE_BOXES, "temperature"),
                ("plate", CONVERTERS, "temperature"),
                ("power", CONVERTERS, "power"),
                ("brake", BOGIES, "brake_pressure"),
                ("disc", BOGIES, "disc_temperature"),
                ("cabin", HVACS, "interior_temperature"),
                ("suction", HVACS, "suction_pressure"),
                ("duty", HVACS, "duty"),
                ("current", DOORS, "peak_current"),
                ("time", DOORS, "closing_time"),
            )
        }

    def _running(self, unit: int, t: FloatArray) -> BoolArray:
        # The timetable starts with the physics; before that a train rests.
        inside = t >= self._begin_s
        mode = self._timetables[unit].mode_at(np.maximum(t, self._begin_s))
        return np.asarray((mode == LINE) & inside)

    # --- the block ---------------------------------------------------------------------------------------------------

    def _true(self, t: FloatArray) -> FloatArray:
        n, step = len(t), self.period_s
        self._t, self._n = t, n
        seconds = t[0] - step + np.arange(1, n * step + 1, dtype=np.float64)
        duties = [timetable.at(seconds) for timetable in self._timetables]
        speed, acceleration, load, mode, section, doors_open, air_use, closing = (
            np.stack([getattr(duty, name) for duty in duties], axis=1) for name in _PERIOD_FIELDS
        )
        out = np.empty((n, self.units, len(CHANNELS)))
        outside = self.weather.temperature_c(t)
        tunnel = self._at(np.isin(section, TUNNEL) & (mode == LINE))
        local = np.where(tunnel, 11.0 + 0.45 * outside, outside)
        sun = np.where(tunnel, 0.0, self.weather.sun(t))
        v = self._mean(speed)
        mean_load = self._mean(load)
        distance = np.cumsum(speed, axis=0) / 1e3 + self._state.get("odometer", self._odometer)
        self._state["odometer"] = distance[-1]
        for name, values in (
            ("speed", self._at(speed) * _KMH),
            ("mode", self._at(mode)),
            ("load", 100.0 * self._at(load)),
            ("odometer", self._at(distance)),
            ("section", self._at(section)),
            ("doors_open", self._at(doors_open)),
            ("ambient_temperature", local),
        ):
            out[:, :, self.column[f"train.{name}"]] = values
        live = self._at(mode) != PARKED
        extra = self._brakes(out, speed, acceleration, load, mode, local, v)
        self._axle_boxes(out, v, local, sun, extra)
        self._converters(out, speed, acceleration, load, local)
        self._air(out, mode, load, air_use, local)
        self._climate(out, local, sun, mean_load, live)
        self._doors(out, closing, local)
        return out

    def _at(self, fine: _Array) -> _Array:
        """Values at the instant of publishing."""
        return fine[self.period_s - 1 :: self.period_s]

    def _mean(self, fine: FloatArray) -> FloatArray:
        """Mean over each period, first axis."""
        return np.asarray(fine.reshape(self._n, self.period_s, *fine.shape[1:]).mean(axis=1))

    def _clocks(self, mode: str) -> list[tuple[MachineFault, int, FloatArray]]:
        """(fault, unit, clock [n]) of the faults of a mode that have begun."""
        return [(fault, fault.plan.unit, fault.clock(self._t)) for fault in self.faults_of(mode, self._t)]

    def _lag(self, name: str, target: FloatArray, rate: FloatArray | float) -> FloatArray:
        """First-order lag of the named state at ``rate`` 1/s; the state starts at its first target."""
        state = self._state.get(name)
        gain = np.broadcast_to(1.0 - np.exp(-np.asarray(rate) * self.period_s), target.shape)
        course = relax(target[0].copy() if state is None else state, target, gain)
        self._state[name] = course[-1].copy()
        return course

    # --- running gear ------------------------------------------------------------------------------------------------

    def _brakes(
        self,
        out: FloatArray,
        speed: FloatArray,
        acceleration: FloatArray,
        load: FloatArray,
        mode: IntArray,
        local: FloatArray,
        v: FloatArray,
    ) -> FloatArray:
        """Fill the bogies' points; returns the heat of a dragging brake on axle boxes, W [n, units, 48]."""
        weight = physics.car_mass(load) / 54.0
        braking = acceleration < 0.0
        by_air = speed < _ELECTRIC_BRAKE_TO
        share = np.where(by_air, 0.8, self._friction_share)
        cylinder = 3.8 * weight * np.where(braking, share, 0.0)
        cylinder += 2.0 * weight * ((speed == 0.0) & (mode == LINE))
        cylinder[mode == DEPOT] = 1.6
        pressure = self._at(cylinder)[..., None] * self._bogie
        friction = (
            np.where(braking, share, 0.0) * (1e3 * physics.car_mass(load) - 1e3 * physics.davis(speed) / 6.0) * speed
        )
        heat = np.maximum(self._mean(friction), 0.0)[..., None] / 8.0 * (_BRAKE_SHARE * self._disc)
        extra = np.zeros((self._n, self.units, len(AXLE_BOXES)))
        for fault, unit, clock in self._clocks("sticking_brake"):
            bogie = BOGIES.index(fault.plan.component)
            residual = 0.3 * np.minimum(clock, 1.2)
            has_air = self._at(mode)[:, unit] != PARKED
            pressure[:, unit, bogie] = np.maximum(pressure[:, unit, bogie], residual * has_air)
            drag = 2_000.0 * residual * v[:, unit]  # 0.6 kN at 0.3 bar
            heat[:, unit, bogie] += drag
            extra[:, unit, 4 * bogie : 4 * bogie + 2] += (0.0165 * drag)[:, None]
            self._observe(fault, self._t, clock >= 1.0)
        conductance = physics.disc_conductance(v)[..., None]
        target = local[..., None] + heat / conductance
        disc = self._lag("disc", target, conductance / physics.DISC_CAPACITY)
        out[:, :, self._columns["brake"]] = pressure
        out[:, :, self._columns["disc"]] = disc
        return extra

    def _axle_boxes(
        self, out: FloatArray, v: FloatArray, local: FloatArray, sun: FloatArray, extra: FloatArray
    ) -> None:
        """Sun heats one side, the other after noon; the motor's end of an axle is warmer."""
        side = np.sin(2 * np.pi * (self._t / 3600.0 - 12.0) / 24.0)[:, None] * np.sign(self._sun_side)
        q = extra + self._box_heat + _MOTOR_END * np.minimum(v / 10.0, 1.0)[..., None]
        q += (20.0 * sun * side * 1.4)[..., None] * _LEFT
        severity = np.broadcast_to(self._box_friction - 1.0, q.shape).copy()
        hot = self._clocks("hot_box")
        for fault, unit, clock in hot:
            severity[:, unit, AXLE_BOXES.index(fault.plan.component)] += physics.hot_box_severity(
                clock, fault.running_s
            )
        target = local[..., None] + physics.box_target(v[..., None], severity, q)
        box = self._lag("box", target, physics.box_conductance(v)[..., None] / physics.BOX_CAPACITY)
        out[:, :, self._columns["box"]] = box
        for fault, unit, _ in hot:
            self._observe(fault, self._t, box[:, unit, AXLE_BOXES.index(fault.plan.component)] >= 110.0)

    # --- traction ----------------------------------------------------------------------------------------------------

    def _converters(
        self, out: FloatArray, speed: FloatArray, acceleration: FloatArray, load: FloatArray, local: FloatArray
    ) -> None:
        force = 6.0 * physics.car_mass(load) * acceleration + physics.davis(speed) * (speed > 0.0)  # kN
        electric = np.where(speed < _ELECTRIC_BRAKE_TO, 0.0, 1.0 - self._friction_share)
        train_kw = np.where(force > 0.0, force * speed / 0.9, -force * speed * electric)
        power = self._mean(train_kw)[..., None] / len(CONVERTERS) * self._share
        resistance = np.broadcast_to(self._plate, power.shape).copy()
        tau = np.full(power.shape, physics.PLATE_TAU_S)
        fans = self._clocks("converter_fan")
        for fault, unit, clock in self._clocks("converter_filter"):
            factor = 1.0 + 0.6 * np.minimum(clock, 1.2)
            resistance[:, unit, CONVERTERS.index(fault.plan.component)] *= factor
            self._observe(fault, self._t, clock >= 1.0)
        for fault, unit, _ in fans:
            stopped = fault.begun(self._t)
            factor = np.where(stopped, 2.5, 1.0)
            at = (slice(None), unit, CONVERTERS.index(fault.plan.component))
            resistance[at] *= factor
            tau[at] *= factor  # the same heat capacity behind a larger resistance
        plate, carried = self._plates(power, resistance, tau, local)
        out[:, :, self._columns["plate"]] = plate
        out[:, :, self._columns["power"]] = carried
        for fault, unit, _ in fans:
            index = CONVERTERS.index(fault.plan.component)
            self._observe(fault, self._t, plate[:, unit, index] >= physics.PLATE_TRIP)

    def _plates(
        self, power: FloatArray, resistance: FloatArray, tau: FloatArray, local: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Plate temperatures and carried power; a converter trips at 95 °C until 60 °C, its peers carry its share."""
        gain = 1.0 - np.exp(-self.period_s / tau)
        plate = self._state.get("plate", local[0][:, None] + 2.0 * resistance[0])
        tripped = self._state.get("tripped", np.zeros(power.shape[1:]))
        temperatures, carried = np.empty_like(power), np.empty_like(power)
        for k in range(self._n):
            tripped = np.where(plate >= physics.PLATE_TRIP, 1.0, np.where(plate < 60.0, 0.0, tripped))
            if tripped.any():
                working = np.maximum(len(CONVERTERS) - tripped.sum(axis=1, keepdims=True), 2.0)
                carried[k] = power[k] * (1.0 - tripped) * len(CONVERTERS) / working
            else:
                carried[k] = power[k]
            target = local[k][:, None] + resistance[k] * physics.converter_loss(carried[k])
            plate = plate + gain[k] * (target - plate)
            temperatures[k] = plate
        self._state["plate"], self._state["tripped"] = plate, tripped
        return temperatures, carried

    # --- auxiliaries -------------------------------------------------------------------------------------------------

    def _air(self, out: FloatArray, mode: IntArray, load: FloatArray, air_use: BoolArray, local: FloatArray) -> None:
        fine = len(mode)
        taken = physics.USE_PER_STOP * (0.6 + 0.6 * load) * air_use
        litres = np.broadcast_to(self._leak, mode.shape).copy()
        delivery = np.broadcast_to(self._delivery, (fine, 2, self.units)).copy()
        seconds = self._t[0] - self.period_s + np.arange(1, fine + 1, dtype=np.float64)
        for fault, unit, clock in self._clocks("burst_hose"):
            litres[:, unit] += (400.0 + 200.0 * fault.lot[0]) * fault.begun(seconds)
            self._observe(fault, self._t, clock >= 1.0)
        for fault, unit, clock in self._clocks("air_leak"):
            litres[:, unit] += 185.0 * np.minimum(fault.clock(seconds), 1.5)
            self._observe(fault, self._t, clock >= 1.0)
        for fault, unit, clock in self._clocks("compressor_wear"):
            delivery[:, 0, unit] *= 1.0 - 0.3 * np.minimum(fault.clock(seconds), 1.3)
            self._observe(fault, self._t, clock >= 1.0)
        pressure = self._state.get("pressure", np.full(self.units, 8.2))
        running = self._state.get("running", np.zeros((2, self.units))) > 0.5
        course, ran = physics.air_course(
            pressure, running, delivery, taken, physics.leak_coefficient(litres), mode != PARKED, self._volume
        )
        self._state["pressure"], self._state["running"] = course[-1], ran[-1].astype(np.float64)
        share = self._mean(ran.astype(np.float64))
        powered = np.where(self._at(mode) != PARKED, 30.0, 0.0)[:, None, :]
        target = local[:, None, :] + powered + (85.0 - 30.0) * share
        oil = self._lag("air-oil", target, 1.0 / 1000.0)
        duty = self._lag("air-duty", share.copy(), 1.0 / 600.0)
        shown, now = self._at(course), self._at(ran)
        dew = -25.0 + 5.0 * duty + self._dew.at(self._t)[:, None, :]
        for i, car in enumerate(AIR_CARS):
            name = f"car{car}.air_supply"
            loaded = 14.0 * (1.0 + 0.03 * (shown - physics.LEAK_REFERENCE))
            for point, values in (
                ("reservoir_pressure", shown),
                ("compressor_running", now[:, i]),
                ("motor_current", np.where(now[:, i], loaded, 0.0)),
                ("oil_temperature", oil[:, i]),
                ("dew_point", dew[:, i]),
            ):
                out[:, :, self.column[f"{name}.{point}"]] = values

    def _climate(
        self, out: FloatArray, local: FloatArray, sun: FloatArray, load: FloatArray, live: FloatArray | BoolArray
    ) -> None:
        """Saloon air: PI control to 19 °C in the cold up to 24 °C in the heat; off in a parked train."""
        wanted = 19.0 + 5.0 * np.clip((local - 12.0) / 10.0, 0.0, 1.0)
        gains_kw = (16.0 * load + 6.0 * sun)[..., None] * self._cabin
        capacity = np.full((self._n, self.units, len(HVACS)), physics.COOLING)
        suction_loss = np.zeros_like(capacity)
        for fault, unit, clock in self._clocks("hvac_charge"):
            lost = 0.40 * np.minimum(clock, 1.3)
            at = (slice(None), unit, HVACS.index(fault.plan.component))
            capacity[at] *= 1.0 - 1.8 * np.maximum(lost - 0.1, 0.0)
            suction_loss[at] = 3.0 * lost
            self._observe(fault, self._t, clock >= 1.0)
        cabin = self._state.get("cabin", np.repeat(wanted[0][:, None], len(HVACS), axis=1))
        integral = self._state.get("integral", np.zeros_like(cabin))
        on = np.asarray(live, dtype=np.float64)[..., None]
        dt = float(self.period_s)
        cabins, duties = np.empty_like(capacity), np.empty_like(capacity)
        for k in range(self._n):
            error = cabin - wanted[k][:, None]
            integral = np.minimum(np.maximum(integral + 0.0004 * dt * error, -0.6), 1.0) * on[k]
            duty = np.minimum(np.maximum(0.25 * error + integral, -0.6), 1.0) * on[k]
            flow = physics.CABIN_LOSS * (local[k][:, None] - cabin) + gains_kw[k]
            # 0.6 of full power heats: resistors do not depend on the charge
            drawn = duty * np.where(duty > 0.0, capacity[k], physics.COOLING)
            cabin = cabin + (flow - drawn) * (dt / physics.CABIN_CAPACITY)
            cabins[k], duties[k] = cabin, duty
        self._state["cabin"], self._state["integral"] = cabin, integral
        cooling = np.clip(duties * 5.0, 0.0, 1.0)
        still = 8.0 + 0.22 * (local[..., None] - 20.0)
        pulled = self._suction + 0.03 * (local[..., None] - 25.0)
        suction = still + cooling * (pulled - still) - suction_loss
        out[:, :, self._columns["cabin"]] = cabins
        out[:, :, self._columns["duty"]] = 100.0 * np.abs(duties)
        out[:, :, self._columns["suction"]] = np.maximum(suction, 0.1)

    def _doors(self, out: FloatArray, closing: IntArray, local: FloatArray) -> None:
        """The last closing's numbers: friction 0.8 % per K below 20 °C, 0.8 A and 0.05 s per unit of it."""
        stiff = 0.008 * np.maximum(20.0 - local, 0.0)
        last = np.asarray(self._at(closing))
        for unit, timetable in enumerate(self._timetables):
            index = last[:, unit]
            known = (index >= 0)[:, None]
            if len(timetable.door_current):
                current = np.where(known, timetable.door_current[index], 0.0)
                time = np.where(known, timetable.door_time[index], 0.0)
            else:
                current = time = np.zeros((self._n, len(DOORS)))
            out[:, unit, self._columns["current"]] = self._door[unit] + current + 0.8 * stiff[:, unit, None]
            out[:, unit, self._columns["time"]] = 3.14 + time + 0.05 * stiff[:, unit, None]
