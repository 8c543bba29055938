"""The compressor trains' true state, vectorised over time and units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import numpy as np

from formats.decoded import WaveformMessage
from simulators.compressor import physics, waveforms
from simulators.compressor.duty import SLOW_ROLL, Duty
from simulators.compressor.points import CHANNELS, FAULTS, POINTS, PROBES
from simulators.contract import BoolArray, Channel, Fault, FaultPlan, FloatArray, Frames, PointSpec
from simulators.engine import Fleet, MachineFault, relax
from simulators.noise import Spread, Wander, generator

_SECOND: Final = 1_000_000
CAPACITY_FROM: Final = 0.60
"""Share of design speed above which the capacity control is at work, and below which starts and stops are."""
CAPACITY_RAMP: Final = 20.0
"""r/min per second."""
_SURGE_S: Final = 90.0
"""From the first flow reversal to the trip."""
WAVEFORMS_ABOVE: Final = 7_000.0
"""r/min of the compressor: below it nothing is in steady state."""
BLADE: Final = 8.0
"""µm of unbalance that a part of a blade leaves behind."""
DEPOSIT: Final = 8.4
"""µm of unbalance of the deposit at its limit."""
_THERMAL: Final = (
    "compressor.journal_de.temperature",
    "compressor.journal_nde.temperature",
    "compressor.thrust.temperature_active",
    "compressor.thrust.temperature_inactive",
    "gearbox.temperature_hs",
    "gearbox.temperature_ls",
    "motor.winding_temperature",
    "motor.bearing_de.temperature",
    "motor.bearing_nde.temperature",
)
_THERMAL_TAU: Final = np.array([150.0, 150.0, 150.0, 150.0, 300.0, 300.0, 1800.0, 1200.0, 1200.0])


class CompressorTrainFleet(Fleet):
    """Motor–gearbox–centrifugal compressor trains; see :class:`simulators.engine.Fleet` for the contract."""

    TYPE: ClassVar[str] = "compressor-train"
    CHANNELS: ClassVar[tuple[Channel, ...]] = CHANNELS
    POINTS: ClassVar[tuple[PointSpec, ...]] = POINTS
    FAULTS: ClassVar[Mapping[str, Fault]] = FAULTS

    def _prepare(self, plans: Sequence[FaultPlan]) -> None:
        self._set_points = np.full(self.units, np.nan)
        self._held: dict[int, float] = {}
        self._duty = []
        for unit, seed in enumerate(self.seeds):
            surges = [p for p in plans if p.unit == unit and p.mode == "incipient_surge"]
            ends = [(p.onset + p.horizon) / _SECOND + _SURGE_S for p in surges]
            keep = [(p.onset / _SECOND - 7200.0, end + 1.0) for p, end in zip(surges, ends, strict=True)]
            self._duty.append(Duty(seed, self._begin_s, keep, ends))
        self._draw()
        self._state: dict[str, FloatArray] = {}
        self._last_s = self._begin_s

    def _draw(self) -> None:
        """Every unit's parameters and the offsets of its positions, fixed for life."""
        spread = Spread(self.seeds)
        start = self._begin_s
        self._head_par = spread("head", 1.0, 0.01)
        self._eta_par = spread("efficiency", 1.0, 0.008)
        self._throttle = spread("throttle", physics.THROTTLE_DESIGN)
        self._fouled = spread.uniform("fouled", 0.0, 0.012)
        self._washed_at = start + 86_400.0 * spread.uniform("washed", -6.0, 9.0)
        self._clogged = spread.uniform("clogged", 0.0, 0.12)
        self._rise_journal = np.stack([spread("journal-de", 37.0, 0.03), spread("journal-nde", 36.0, 0.03)], axis=1)
        self._rise_thrust = np.stack(
            [spread("thrust-active", 35.0, 0.04), spread("thrust-inactive", 24.0, 0.04)], axis=1
        )
        self._rise_gear = np.stack([spread("gear-hs", 26.0, 0.04), spread("gear-ls", 20.0, 0.04)], axis=1)
        self._rise_motor = np.stack([spread("motor-de", 25.0, 0.04), spread("motor-nde", 23.0, 0.04)], axis=1)
        self._rise_winding = spread("winding", 70.0)
        self._cooler = spread("cooler", 0.46, 0.04)
        runout = spread.uniform("runout", 4.0, 8.0, 4)
        self._runout = runout * np.exp(2j * np.pi * spread.uniform("runout-angle", 0.0, 1.0, 4))
        heavy = spread.uniform("unbalance", 1.0, 2.4, 2)
        self._unbalance = heavy * np.exp(2j * np.pi * spread.uniform("unbalance-angle", 0.0, 1.0, 2))
        lag = np.deg2rad(90.0 + 10.0 * np.clip(spread.normal("y-lag", 2), -1.5, 1.5))
        self._y_axis = spread.uniform("y-gain", 0.7, 1.1, 2) * np.exp(-1j * lag)
        self._twice = spread.uniform("2x", 1.2, 2.4, 2)
        self._gap = -10.0 + 0.4 * spread.normal("gap", 4)
        self._lift = spread.uniform("lift", 45.0, 75.0, 2)
        self._v0 = spread.uniform("housing", 0.6, 1.0, 3)
        self._transmission = spread.uniform("transmission", 0.15, 0.3)
        self._filter_day = spread.uniform("inlet-filter-cleaned", 0.0, 4.0)
        self._demand_wobble = Wander(self.seeds, "demand", start, 300.0, 1800.0, 0.006)
        self._oil_wobble = Wander(self.seeds, "oil", start, 60.0, 600.0, 0.3)
        self._vector_wobble = Wander(self.seeds, "1x-vector", start, 600.0, 4 * 3600.0, 0.03)
        self._angle_wobble = Wander(self.seeds, "1x-angle", start, 600.0, 4 * 3600.0, 0.04)
        self._turbulence = [generator(seed, "turbulence") for seed in self.seeds]
        self._phase_noise = [generator(seed, "phase") for seed in self.seeds]
        self._hours0 = spread.uniform("hours", 2_000.0, 40_000.0)

    def _running(self, unit: int, t: FloatArray) -> BoolArray:
        return np.asarray(self._duty[unit].at(t).speed > 2.0 * SLOW_ROLL)

    def _stand(self, unit: int, begin_s: float, length_s: float) -> float:
        return self._duty[unit].stand(begin_s, length_s)

    # --- waveforms -------------------------------------------------------------------------------------------------

    def waveforms(self, frames: Frames, row: int, unit: int) -> list[WaveformMessage]:
        """What the unit's sensors hand over at a frame: housing and shaft, none while it is not up to speed."""
        value = dict(zip(self.column, frames.values[row, unit].tolist(), strict=True))
        speed, power = value["train.speed"], value["motor.power"]
        if not speed > WAVEFORMS_ABOVE or not power > 0.0:
            return []
        ts = int(frames.ts[row])
        load = power / 1_419.0
        rng = generator(self.seeds[unit], "waveform", ts)
        severity = 0.0
        for fault in self._machine:
            if fault.plan.mode == "motor_bearing" and fault.plan.unit == unit:
                clock = float(fault.clock(np.array([ts / _SECOND]))[0])
                severity = 0.02 ** (1.0 - min(clock, 1.05)) if clock > 0.0 else 0.0
        probes = [f"compressor.rotor.de_{axis}" for axis in "xy"]
        once = np.array([value[f"{p}_1x"] * np.exp(-1j * np.deg2rad(value[f"{p}_phase"])) for p in probes])
        gaps = np.array([value[f"compressor.journal_de.gap_{axis}"] for axis in "xy"])
        found = [waveforms.housing(ts, speed, load, severity, rng)]
        known = np.isfinite(once).all() and np.isfinite(gaps).all()
        if known and np.isfinite(value["compressor.rotor.de_x_2x"]):
            draw = int(rng.integers(2**32))
            found.append(waveforms.shaft(ts, speed, load, once, value["compressor.rotor.de_x_2x"], gaps, draw))
        return found

    def run_up(self, ts: int, unit: int) -> WaveformMessage | None:
        """What the drive-end probes saw of the unit's start that reached :data:`WAVEFORMS_ABOVE` by ``ts`` µs: from two
        seconds of slow roll on. None where it did not start within the two minutes before."""
        end = ts / _SECOND
        t: FloatArray = end - np.arange(2_400, -1, -1, dtype=np.float64) * 0.05
        speed = self._duty[unit].at(t).speed
        slow = np.flatnonzero(speed <= SLOW_ROLL)
        if not len(slow) or not speed[-1] > WAVEFORMS_ABOVE:
            return None
        first = max(0, int(slow[-1]) - 40)
        t, speed = t[first:], speed[first:]
        heavy = np.full(len(t), self._unbalance[unit, 0])
        for fault in self._machine:
            if fault.plan.unit == unit and fault.plan.mode in ("lost_blade", "unbalance_growth"):
                clock = fault.clock(t)
                size = BLADE * (clock > 0.0) if fault.plan.mode == "lost_blade" else DEPOSIT * np.minimum(clock, 1.3)
                heavy = heavy + size * np.exp(2j * np.pi * fault.lot[0])
        moved = heavy * physics.unbalance_response(speed / physics.SPEED_CRITICAL)
        once = np.stack([moved, moved * self._y_axis[unit, 0]], axis=1) + self._runout[unit, :2]
        rng = generator(self.seeds[unit], "run-up", ts)
        twice = float(self._twice[unit, 0])
        return waveforms.run_up(ts, t, speed, once, twice, self._gap[unit, :2], int(rng.integers(2**32)))

    def set_speed(self, unit: int, speed: float | None) -> None:
        """A set point from afar, r/min: the capacity control holds it instead of following the demand, from the next
        block on, with its own ramp. None: as before. Starts, stops and trips go on as they would."""
        self._set_points[unit] = np.nan if speed is None else speed

    def unload(self, unit: int, seconds: float) -> float:
        """Unload and stop from the next block on; the process starts it again after ``seconds``, sooner where a stop of
        its own follows. When it begins, s since the epoch. Raises ValueError where one is under way or too near."""
        begin = self._last_s + self._dt
        for stop in self._duty[unit].stops:
            if begin < stop.restart + 5_400.0:
                seconds = min(seconds, stop.begin - 7_200.0 - begin)
        if seconds < 3_600.0:
            raise ValueError("a stop is under way, or planned within three hours")
        return self._duty[unit].stand(begin, seconds)

    def _obeyed(self, speed: FloatArray) -> FloatArray:
        """[n, units]: the commanded speed, with set points where a unit is in its range of capacity."""
        if np.isnan(self._set_points).all():
            return speed
        out = speed.copy()
        step = CAPACITY_RAMP * self._dt
        for unit in np.flatnonzero(~np.isnan(self._set_points)).tolist():
            held = float(self._held.get(unit, speed[0, unit]))
            for k, asked in enumerate(speed[:, unit].tolist()):
                inside = asked > CAPACITY_FROM * physics.SPEED_DESIGN
                target = float(self._set_points[unit]) if inside else asked
                held = held + float(np.clip(target - held, -step, step)) if inside else asked
                out[k, unit] = held
            self._held[unit] = held
        return out

    # --- the block ---------------------------------------------------------------------------------------------------

    def _true(self, t: FloatArray) -> FloatArray:
        dt = t[0] - self._last_s
        self._last_s = float(t[-1])
        self._t, self._dt = t, float(dt)
        signals = [duty.at(t) for duty in self._duty]
        demand, speed, recycle, oil = (
            np.stack([getattr(signal, name) for signal in signals], axis=1)
            for name in ("demand", "speed", "recycle", "oil")
        )
        speed = self._obeyed(speed)
        loaded = speed > 2.0 * SLOW_ROLL
        demand = demand + np.where(loaded, self._demand_wobble.at(t), 0.0)
        out = np.empty((len(t), self.units, len(CHANNELS)))
        ambient = self.weather.temperature_c(t)
        s = speed / physics.SPEED_DESIGN
        self._put(out, "train.speed", speed)
        self._put(out, "train.demand", 100.0 * demand)
        self._put(out, "train.ambient_temperature", ambient)
        load = self._process(out, s, demand, recycle, ambient)
        supply = self._oil(out, s, load, oil, ambient, loaded)
        self._temperatures(out, s, load, supply, ambient)
        self._vibration(out, s, load)
        self._motor_bearing(out, loaded)
        hours = self._state.get("hours", self._hours0) + np.cumsum(loaded, axis=0) * (dt / 3600.0)
        self._state["hours"] = hours[-1]
        self._put(out, "train.running_hours", hours)
        return out

    def _put(self, out: FloatArray, key: str, values: FloatArray) -> None:
        out[:, :, self.column[key]] = values

    def _get(self, out: FloatArray, key: str) -> FloatArray:
        return out[:, :, self.column[key]]

    def _clocks(self, mode: str) -> list[tuple[MachineFault, int, FloatArray]]:
        """(fault, unit, clock [n]) of the faults of a mode that have begun."""
        return [(fault, fault.plan.unit, fault.clock(self._t)) for fault in self.faults_of(mode, self._t)]

    # --- gas ---------------------------------------------------------------------------------------------------------

    def _process(
        self, out: FloatArray, s: FloatArray, demand: FloatArray, recycle: FloatArray, ambient: FloatArray
    ) -> FloatArray:
        """Fill the process and motor current points; returns the mechanical load (1 at design)."""
        t = self._t
        # Washing gives back 70 % of the fouling within half an hour, on line.
        washed = np.clip((t[:, None] - self._washed_at) / 1800.0, 0.0, 1.0)
        lost = self._fouled * (1.0 - 0.7 * washed)
        for fault, unit, clock in self._clocks("fouling"):
            lost[:, unit] += 0.04 * (1.0 - np.exp(-1.386 * clock))
            self._observe(fault, t, clock >= 1.0)
        head_loss = 1.0 - self._head_par * (1.0 - 0.75 * lost)
        t1 = ambient + 0.8
        t1_k = t1 + 273.15
        baro = self.weather.pressure_bar(t)
        moving = np.maximum(s, 0.02)
        # Suction loss is small: the demand stands in for the flow, so that p1 and φ need no common iteration.
        age = (t[:, None] / 86_400.0 + self._filter_day) % 4.0
        inlet_dp = 4.0 * (1.0 + 0.05 * age) * (moving * (0.55 + 0.45 * demand)) ** 2
        p1_pa = (baro - 1e-3 * inlet_dp) * 1e5
        throttle = self._throttle * (0.85 + 0.15 * np.clip((demand - 0.6) / 0.4, -0.4, 1.0))
        phi = physics.operating_flow(throttle, moving, t1_k, p1_pa, head_loss)
        controlled = np.maximum(phi, physics.PHI_RECYCLE)
        opened = np.maximum(recycle, np.clip(4.0 * (controlled - phi) / controlled, 0.0, 1.0))
        # Full recycle is a wide-open system: φ near 1 whatever the process takes.
        phi = controlled + recycle * (1.0 - controlled)
        surging = np.zeros(s.shape, dtype=np.bool_)
        for fault, unit, clock in self._clocks("incipient_surge"):
            due = fault.plan.onset + fault.plan.horizon
            near = (clock > 0.0) & (t < due / _SECOND + _SURGE_S) & (recycle[:, unit] == 0.0)
            phi[near, unit] += np.minimum(clock[near], 1.0) * (0.999 * physics.PHI_SURGE - phi[near, unit])
            opened[near, unit] = 0.0
            surging[:, unit] |= near & (clock >= 1.0)
            self._observe(fault, t, near & (clock >= 1.0))
        eta = physics.efficiency(phi, 1.0 - self._eta_par * (1.0 - lost))
        m = physics.exponent(eta)
        head = physics.head(phi, s, head_loss)
        ratio = physics.ratio(head, m, t1_k)
        t2_k = t1_k * ratio**m
        flow = phi * s * physics.FLOW_DESIGN
        mass = physics.density(p1_pa, t1_k) * flow
        shaft_kw = mass * physics.CP * (t2_k - t1_k) / 1e3 + 25.0 * s**2.5
        power = shaft_kw / (physics.ETA_GEAR * physics.ETA_MOTOR)
        t2 = np.where(s > 0.05, t2_k - 273.15, t1 + 5.0)
        turbulent = np.stack([rng.standard_normal((len(t), 3)) for rng in self._turbulence], axis=1)
        margin = np.maximum(physics.surge_margin(phi), 0.0)
        rough = 1.0 + 4.0 * np.exp(-margin / 4.0)
        excess = np.sqrt(rough**2 - 1.0)
        flow_seen = flow * (1.0 + 0.008 * excess * turbulent[:, :, 0])
        p2 = p1_pa / 1e5 * ratio
        p2_seen = p2 + 0.004 * s**2 * excess * turbulent[:, :, 1]
        cycle = np.where(surging, 1.0, 0.0)
        flow_seen *= 1.0 - cycle * (0.55 + 0.5 * np.sin(7.0 * turbulent[:, :, 2]))
        p2_seen *= 1.0 - cycle * (0.12 + 0.08 * np.sin(5.0 * turbulent[:, :, 2]))
        self._put(out, "process.suction_pressure", p1_pa / 1e5)
        self._put(out, "process.discharge_pressure", p2_seen)
        self._put(out, "process.suction_temperature", t1)
        self._put(out, "process.discharge_temperature", t2)
        self._put(out, "process.inlet_flow", flow_seen)
        self._put(out, "process.recycle_valve_position", 100.0 * opened)
        self._put(out, "process.flow_pulsation", flow * 0.008 * rough + cycle * 5.0)
        self._put(out, "process.discharge_pulsation", 0.004 * s**2 * rough + cycle * 0.45)
        self._put(out, "inlet_filter.differential_pressure", np.where(s > 0.02, inlet_dp, 0.0))
        self._put(out, "motor.power", power)
        idle = np.where(s > 0.05, 12.0, 0.0)  # magnetising current
        amps = power * 1e3 / (np.sqrt(3.0) * physics.VOLTAGE * physics.COS_PHI)
        self._put(out, "motor.current", np.sqrt(amps**2 + idle**2))
        return np.asarray(shaft_kw / 1_335.0)

    # --- oil ---------------------------------------------------------------------------------------------------------

    def _oil(
        self, out: FloatArray, s: FloatArray, load: FloatArray, oil: FloatArray, ambient: FloatArray, loaded: BoolArray
    ) -> FloatArray:
        """Fill the lube-oil points; returns the true supply temperature."""
        heat = s**1.6 * (0.8 + 0.2 * load)
        sink = 0.5 * ambient + 10.0
        return_rise = 14.0 * heat
        conductance = np.broadcast_to(1.0 / self._cooler, s.shape).copy()
        foulers = self._clocks("cooler_fouling")
        for _, unit, clock in foulers:
            # At clock 1 just enough is left for the site's mean temperature and usual heat.
            usual = self._cooler[unit] * 0.87 * 39.0 / (57.2 - (0.5 * self.weather.mean_c[unit] + 10.0))
            conductance[:, unit] *= np.maximum(1.0 - (1.0 - 0.95 * usual) * clock, 0.15)
        # At 45 °C supply, full heat and a sink of 20 °C a new cooler needs the share `self._cooler` of its flow.
        needed = heat * 39.0 / np.maximum(45.0 + return_rise - sink, 5.0) / conductance
        excess = np.maximum(needed - 1.0, 0.0) * (45.0 + return_rise - sink)
        held = 45.0 + self._oil_wobble.at(self._t) + np.minimum(excess, 35.0)
        warm = heat > 0.3
        target = np.where(warm, held, np.maximum(ambient + 3.0, np.where(oil > 0.5, 35.0, 24.0)))
        tau = np.where(warm, 1200.0, np.where(oil > 0.5, 7200.0, 6 * 3600.0))
        supply = relax(self._begin("oil", target), target, 1.0 - np.exp(-self._dt / tau))
        self._state["oil"] = supply[-1]
        valve_target = 100.0 * np.clip(needed, 0.0, 1.0) * np.clip((supply - 42.5) / 2.0, 0.0, 1.0)
        gain = np.full((len(s), 1), 1.0 - np.exp(-self._dt / 90.0))
        valve = relax(self._begin("valve", valve_target), valve_target, gain)
        self._state["valve"] = valve[-1]
        for fault, unit, _ in foulers:
            self._observe(fault, self._t, (valve[:, unit] >= 99.0) & loaded[:, unit])
        clogging = np.broadcast_to(self._clogged, s.shape).copy()
        for fault, unit, clock in self._clocks("filter_clogging"):
            part = physics.CLOGGING_LIMIT * np.minimum(clock, 1.15) ** 1.5
            clogging[:, unit] = np.maximum(clogging[:, unit], part)
            self._observe(fault, self._t, (clock >= 1.0) & loaded[:, unit])
        delta = physics.filter_dp(clogging, np.maximum(supply, 15.0), oil)
        # The electric pump helps below 60 % speed; in the line it starts at 1.1 bar(g) and stays until the next stop.
        starting = (oil > 0.5) & (s < 0.6)
        shaft_pump = physics.P_PUMP * np.clip(s / 0.6, 0.0, 1.0)
        called = (physics.header_pressure(delta, shaft_pump) < 1.1) & (oil > 0.5)
        latch = np.asarray(self._state.get("standby", np.zeros(self.units, dtype=np.float64)) > 0.5)
        standby = np.empty(s.shape)
        for k in range(len(s)):
            latch = (latch | called[k]) & (s[k] >= 0.6)
            standby[k] = latch | starting[k]
        self._state["standby"] = latch.astype(np.float64)
        pump = np.maximum(shaft_pump, 3.8 * standby) + 0.5 * (standby * (shaft_pump > 3.0))
        header = np.where(oil > 0.5, physics.header_pressure(delta, pump), 0.0)
        self._put(out, "lube_oil.header_pressure", header)
        self._put(out, "lube_oil.supply_temperature", supply)
        self._put(out, "lube_oil.tank_temperature", supply + np.where(oil > 0.5, 0.9 * return_rise + 1.0, 1.0))
        self._put(out, "lube_oil.standby_pump", standby)
        self._put(out, "lube_oil.filter.differential_pressure", delta)
        self._put(out, "lube_oil.cooler.valve_position", valve)
        return supply

    def _begin(self, name: str, target: FloatArray) -> FloatArray:
        """State left by the block before; at the very start the machine stands at its target."""
        state = self._state.get(name)
        return target[0].copy() if state is None else state

    # --- metal -------------------------------------------------------------------------------------------------------

    def _temperatures(
        self, out: FloatArray, s: FloatArray, load: FloatArray, supply: FloatArray, ambient: FloatArray
    ) -> None:
        turning = s**1.6
        film = turning * (0.8 + 0.2 * load)
        room = 14.0 + 0.5 * ambient
        target = np.empty((*s.shape, len(_THERMAL)))
        target[..., 0:2] = supply[..., None] + film[..., None] * self._rise_journal
        target[..., 2:4] = supply[..., None] + (turning * (0.8 + 0.2 * load**2))[..., None] * self._rise_thrust
        target[..., 4:6] = supply[..., None] + (s * (0.7 + 0.3 * load))[..., None] * self._rise_gear
        relative = self._get(out, "motor.current") / physics.CURRENT_RATED
        target[..., 6] = room + self._rise_winding * relative**2
        target[..., 7:9] = room[..., None] + (np.sqrt(s) * (0.75 + 0.25 * load))[..., None] * self._rise_motor
        for _, unit, clock in self._clocks("misalignment"):
            target[:, unit, 0] += 6.0 * np.minimum(clock, 1.2) * film[:, unit]
        gain = np.broadcast_to(1.0 - np.exp(-self._dt / _THERMAL_TAU), target.shape)
        metal = relax(self._begin("metal", target), target, gain)
        self._state["metal"] = metal[-1].copy()
        for fault, unit, clock in self._clocks("wiped_pad"):
            column = 0 if fault.plan.component.endswith("_de") else 1
            # Wiped metal touches the film at once: seconds to minutes, so it comes on top of the lagged pad.
            metal[:, unit, column] += 15.0 * film[:, unit] * (clock > 0.0)
        for i, key in enumerate(_THERMAL):
            self._put(out, key, metal[..., i])

    # --- vibration ---------------------------------------------------------------------------------------------------

    def _vibration(self, out: FloatArray, s: FloatArray, load: FloatArray) -> None:
        t, n = self._t, len(self._t)
        r = s * physics.SPEED_DESIGN / physics.SPEED_CRITICAL
        unbalance = np.broadcast_to(self._unbalance, (n, self.units, 2)).copy()
        twice = np.broadcast_to(self._twice, (n, self.units, 2)).copy()
        for fault, unit, clock in self._clocks("lost_blade"):
            angle = np.exp(2j * np.pi * fault.lot[0])
            unbalance[:, unit] += (BLADE * angle * (clock > 0.0))[:, None] * np.array([1.0, 0.85])
        for fault, unit, clock in self._clocks("unbalance_growth"):
            angle = np.exp(2j * np.pi * fault.lot[0])
            unbalance[:, unit] += (DEPOSIT * angle * np.minimum(clock, 1.3))[:, None]
        warm = s / np.maximum(s, 0.85)
        for _, unit, clock in self._clocks("misalignment"):
            casing = np.minimum(clock, 1.2) * warm[:, unit]
            twice[:, unit] += 13.0 * casing[:, None] * np.array([1.0, 0.45])
        wobble = 1.0 + self._vector_wobble.at(t) + 0.05 * (load - 0.8)
        turned = np.exp(1j * self._angle_wobble.at(t))
        moved = unbalance * (physics.unbalance_response(r) * wobble * turned)[..., None]
        once = np.empty((n, self.units, 4), dtype=np.complex128)
        once[..., 0::2] = moved
        once[..., 1::2] = moved * self._y_axis
        rotating = (s > 0.005)[..., None]
        once = np.where(rotating, once + self._runout, 0.0)
        amplitude = np.abs(once)
        second = twice * np.clip(r, 0.0, 1.0)[..., None]
        rest = np.where(rotating, 2.5, 0.3)  # everything that is neither 1× nor 2×
        total = np.sqrt(amplitude**2 + np.repeat(second, 2, axis=2) ** 2 + rest**2)
        margin = physics.surge_margin(np.maximum(self._phi_of(out, s), physics.PHI_SURGE))
        stall = np.where((margin < 6.0) & (s > 0.5), 2.0 + (6.0 - margin), 0.0)
        total = np.sqrt(total**2 + stall[..., None] ** 2)
        jitter = np.stack([rng.standard_normal((n, 4)) for rng in self._phase_noise], axis=1)
        unsure = np.minimum(np.rad2deg(0.4 / np.maximum(amplitude, 0.1)), 120.0)
        # A lag is published: the heavy spot passes the probe before the high spot does.
        phase = np.rint(-np.rad2deg(np.angle(once)) + unsure * jitter) % 360.0
        for i, probe in enumerate(PROBES):
            self._put(out, f"compressor.rotor.{probe}_pp", total[..., i])
            self._put(out, f"compressor.rotor.{probe}_1x", amplitude[..., i])
            self._put(out, f"compressor.rotor.{probe}_phase", phase[..., i])
        self._put(out, "compressor.rotor.de_x_2x", second[..., 0])
        self._put(out, "compressor.rotor.nde_x_2x", second[..., 1])
        self._gaps(out, s)
        shaft_hz = s * physics.SPEED_DESIGN / 60.0
        base = self._v0 * (0.05 + 0.95 * s)[..., None]
        gear = physics.housing_velocity(base[..., 0], self._transmission, shaft_hz, amplitude[..., 0])
        self._put(out, "gearbox.velocity", gear)
        motor_hz = shaft_hz / physics.GEAR_RATIO
        for i, end in enumerate(("de", "nde"), start=1):
            velocity = physics.housing_velocity(base[..., i], self._transmission, motor_hz, np.full(s.shape, 12.0))
            self._put(out, f"motor.bearing_{end}.velocity", velocity)

    def _phi_of(self, out: FloatArray, s: FloatArray) -> FloatArray:
        flow = self._get(out, "process.inlet_flow")
        return np.where(s > 0.5, flow / np.maximum(s, 0.5) / physics.FLOW_DESIGN, 1.0)

    def _gaps(self, out: FloatArray, s: FloatArray) -> None:
        """Gap voltages: the shaft rises from rest to speed; 7.87 V per mm, both probes see 0.71 of a vertical move."""
        lift = (self._lift * np.clip(s, 0.0, 1.0)[..., None] ** 0.5) * np.ones((len(s), 1, 1))
        for fault, unit, clock in self._clocks("wiped_pad"):
            column = 0 if fault.plan.component.endswith("_de") else 1
            lift[:, unit, column] -= (30.0 + 50.0 * fault.lot[0]) / 0.71 * (clock > 0.0)
        for i, end in enumerate(("de", "nde")):
            for j, axis in enumerate("xy"):
                volts = self._gap[:, 2 * i + j] + 7.87e-3 * 0.71 * lift[..., i]
                self._put(out, f"compressor.journal_{end}.gap_{axis}", volts)

    def _motor_bearing(self, out: FloatArray, loaded: BoolArray) -> None:
        for fault, unit, clock in self._clocks("motor_bearing"):
            severity = np.where(clock > 0.0, 0.02 ** (1.0 - np.minimum(clock, 1.05)), 0.0)
            turning = loaded[:, unit]
            out[:, unit, self.column["motor.bearing_de.velocity"]] += 3.0 * severity**3 * turning
            out[:, unit, self.column["motor.bearing_de.temperature"]] += 12.0 * severity**4 * turning
            self._observe(fault, self._t, (clock >= 1.0) & turning)
