"""The judge's own trains: days on the line by laws of this file, for any class of train.

None of the simulators is used. What breaks is not written into readings but into what lies behind them: every case may
set any *latent* (friction of a door, air lost, heat in a box …) to a function of the hours since the start. So a fault
shows wherever the train would show it, and a healthy one has the same weather, passengers and noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from core.time import from_datetime

START = from_datetime(datetime(2025, 9, 1, tzinfo=UTC))
P0 = 1.013
VOLUME = 0.9
"""m³, by the data sheet of the class; each train has its own within 3 %."""
FULL = 8.25
"""bar at which a leak is stated."""


@dataclass(frozen=True)
class Shape:
    """A class of train: which cars have what."""

    type: str = "metro-emu-6"
    cars: Sequence[int] = (1, 2, 3, 4, 5, 6)
    motors: Sequence[int] = (2, 3, 4, 5)
    air: Sequence[int] = (1, 6)
    axles: int = 4
    doors: int = 8

    def components(self, what: str) -> list[str]:
        cars = self.cars
        return {
            "box": [f"car{c}.axle{a}.box_{s}" for c in cars for a in range(1, self.axles + 1) for s in "lr"],
            "bogie": [f"car{c}.bogie{b}" for c in cars for b in (1, 2)],
            "door": [f"car{c}.door{d}" for c in cars for d in range(1, self.doors + 1)],
            "hvac": [f"car{c}.hvac" for c in cars],
            "converter": [f"car{c}.converter" for c in self.motors],
            "air": [f"car{c}.air" for c in self.air],
            "car": [f"car{c}" for c in cars],
        }[what]


Course = Callable[[np.ndarray], np.ndarray]
"""A latent over hours since the start [n]."""


@dataclass(frozen=True)
class Owed:
    """A finding owed: one of ``modes`` of ``component`` between the hours ``begins`` and ``due``."""

    component: str
    modes: tuple[str, ...]
    begins: float
    due: float
    concern: str = "machine"


@dataclass(frozen=True)
class Case:
    """``latents``: "component latent" → course. What is ``owed`` must be said, and nothing else may be."""

    name: str
    latents: Mapping[str, Course] = field(default_factory=dict)
    owed: tuple[Owed, ...] = ()
    mean_c: float = 12.0
    depot_start: bool = False
    """Each day from an empty main reservoir."""
    rescue: float = -1.0
    """Hour of a run pushing a dead train: three hours at twice the power, 40 km/h."""


def ramp(first: float, last: float, low: float, high: float) -> Course:
    return lambda h: low + (high - low) * np.clip((h - first) / (last - first), 0, 1)


def step(at: float, low: float, high: float) -> Course:
    return lambda h: np.where(h >= at, high, low)


class Days:
    """``shape``'s trains of the cases, day after day: what they publish every ``period_s``, cycles with the next
    telegram. Readings that were not sent are NaN."""

    def __init__(
        self,
        shape: Shape,
        cases: Sequence[Case],
        seed: int,
        period_s: int = 30,
        stops: int = 1,
        *,
        only_doors: bool = False,
    ) -> None:
        self.only_doors = only_doors
        self.shape, self.cases, self.period, self.every = shape, cases, period_s, stops
        self.rng = np.random.default_rng(seed)
        self.day_number = 0
        self.units = len(cases)
        self.state: dict[str, np.ndarray] = {}
        r, n = self.rng, self.units
        spread = lambda what, sigma: r.normal(1.0, sigma, (n, len(shape.components(what))))  # noqa: E731
        self.box = r.normal(0.0, 1.0, (n, len(shape.components("box"))))  # K, of the position
        self.disc, self.gauge = spread("bogie", 0.05), r.normal(0.0, 0.012, (n, 2 * len(shape.cars)))
        self.plate = spread("converter", 0.03)
        self.suction = r.normal(0.0, 0.05, (n, len(shape.cars)))
        self.fan = spread("hvac", 0.03)
        self.door = spread("door", 0.05)
        self.volume = VOLUME * r.normal(1.0, 0.02, n)
        self.delivery = 1250.0 * r.normal(1.0, 0.03, (n, len(shape.air)))  # L/min behind the dryer
        self.odometer = r.uniform(1e5, 8e5, n)
        self.serial = r.integers(100, 900) + np.arange(len(shape.cars))[None] + 10 * np.arange(n)[:, None]

    def latent(self, unit: int, component: str, name: str, healthy: float, h: np.ndarray) -> np.ndarray:
        course = self.cases[unit].latents.get(f"{component} {name}")
        return np.full(h.shape, healthy) if course is None else np.broadcast_to(course(h), h.shape)

    def of_all(self, what: str, name: str, healthy: float, h: np.ndarray) -> np.ndarray:
        """[n, units, components]"""
        out = np.full((len(h), self.units, len(self.shape.components(what))), healthy)
        for unit, case in enumerate(self.cases):
            for i, component in enumerate(self.shape.components(what)):
                course = case.latents.get(f"{component} {name}")
                if course is not None:
                    out[:, unit, i] = course(h)
        return out

    def day(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """(ts µs [n], point → [n, units]) of the next day."""
        p, n = self.period, 86_400 // self.period
        s = p * np.arange(1, n + 1, dtype=float)
        h = s / 3600.0 + 24.0 * self.day_number
        self.now: dict[str, np.ndarray] = {}
        duty = [self._duty(unit, s) for unit in range(self.units)]
        d = {name: np.stack([x[name] for x in duty], axis=1) for name in ("v", "a", "mode", "load", "use", "tunnel")}
        means = np.stack([self.latent(u, "train", "weather", c.mean_c, h) for u, c in enumerate(self.cases)], axis=1)
        outside = means + 5.0 * np.sin((h[:, None] - 10.0) / 24.0 * 2 * np.pi)
        outside = outside + self._wander("weather", n, 1.5, 6 * 3600.0, (self.units,))
        local = np.where(d["tunnel"], 13.0 + 0.4 * outside, outside)
        sun = np.where(d["tunnel"], 0.0, 1.0) * np.clip(np.sin((h[:, None] % 24 - 6) / 12 * np.pi), 0, 1)
        now = self.now
        now["train.speed"] = self._seen(3.6 * d["v"], 0.2, 1)
        now["train.mode"] = d["mode"]
        now["train.load"] = np.round(100 * d["load"])
        self.odometer = self.odometer + np.zeros(self.units)
        km = self.odometer + np.cumsum(d["v"], axis=0) * p / 1e3
        self.odometer, now["train.odometer"] = km[-1], km
        now["train.section"] = np.where(d["mode"] == 2, 1.0, 0.0)
        now["train.doors_open"] = np.zeros_like(d["v"])
        now["train.ambient_temperature"] = self._seen(self._lag("ambient", local, 90.0), 0.2, 1)
        for i, component in enumerate(self.shape.components("car")):
            now[f"{component}.vehicle"] = np.stack(
                [self.latent(u, component, "vehicle", float(self.serial[u, i]), h) for u in range(self.units)], axis=1
            )
        if not self.only_doors:
            self._air(h, d, duty)
            self._boxes(h, d, local, sun, self._brakes(h, d, local))
            self._converters(h, d, local)
            self._climate(h, d, local, sun)
        self._doors(h, duty, local)
        self.day_number += 1
        return START + np.round((s + 86_400.0 * (self.day_number - 1)) * 1e6).astype(np.int64), now

    # --- parts of a day

    def _duty(self, unit: int, s: np.ndarray) -> dict[str, np.ndarray]:
        r, case = self.rng, self.cases[unit]
        begin, end = 5 * 3600 + r.uniform(-900, 900), 23 * 3600 + r.uniform(-900, 900)
        runs: list[tuple[float, float]] = []
        t = begin
        while t < end - 200:
            runs.append((t, r.uniform(115, 175) + (200 if len(runs) % 24 == 0 else 0)))
            t += runs[-1][1]
        start, length = np.array(runs).T
        at = np.clip(np.searchsorted(start, s, side="right") - 1, 0, len(start) - 1)
        after, line = s - start[at], (s >= start[0]) & (s < t)
        dwell = np.where(at % 24 == 0, 235.0, 35.0)
        top = np.full(len(s), 19.5)
        hour = s / 3600.0
        pushing = (case.rescue >= 0) & (np.abs(hour + 24 * self.day_number - case.rescue - 1.5) < 1.5)
        top[pushing] = 11.0
        up, down = 0.85 * (after - dwell), 0.95 * (length[at] - after)
        v = np.where(line, np.clip(np.minimum(np.minimum(up, down), top), 0, None), 0.0)
        a = np.where(v <= 0, 0.0, np.where((up < top) & (up <= down), 0.85, np.where(down < top, -0.95, 0.0)))
        load = 0.15 + 0.6 * np.exp(-(((hour - 8) / 1.4) ** 2)) + 0.55 * np.exp(-(((hour - 17.3) / 1.8) ** 2))
        use = r.normal(1.0, 0.1, len(start))
        stop = np.searchsorted(s, start + np.where(np.arange(len(start)) % 24 == 0, 230.0, 30.0))
        return {
            "v": v,
            "a": np.where(pushing, 2.0 * a, a),
            "mode": np.where(line, 2.0, np.where((s > start[0] - 2400) & (s < t + 1500), 1.0, 0.0)),
            "load": np.clip(load * (1.0 + 0.1 * np.sin(at)), 0, 1) * line,
            "use": use[at] * line,
            "tunnel": line & ((at % 24 > 7) & (at % 24 < 17)),
            "start": start,
            "length": length,
            "stop": stop[:: self.every],
        }

    def _air(self, h: np.ndarray, d: dict[str, np.ndarray], duty: list[dict[str, np.ndarray]]) -> None:
        """Step by step of 5 s: use in the first 35 s of a stop; on below 7.4, off above 9.1, the second below 6.9."""
        sub = 5.0
        per = int(self.period / sub)
        names = self.shape.components("air")
        pressure, running = (
            self.state.get("air", np.full(self.units, 8.0)),
            self.state.get("on", np.zeros((self.units, 2))),
        )
        shown, on = np.empty((len(h), self.units)), np.zeros((len(h), self.units, len(names)))
        self.state["air"], self.state["on"] = np.empty(self.units), np.zeros((self.units, 2))
        for u in range(self.units):
            leak = self.latent(u, "train", "leak", 14.0, h)
            worn = self.latent(u, names[0], "delivery", 1.0, h)
            s = np.repeat(h * 3600 % 86_400, per) + np.tile(sub * np.arange(per), len(h)) - self.period
            start = duty[u]["start"]
            at = np.clip(np.searchsorted(start, s, side="right") - 1, 0, len(start) - 1)
            using = (s - start[at] < 35.0) & (s >= start[0]) & (s < start[-1] + 100)
            load = np.repeat(d["load"][:, u], per)
            taken = np.where(using, 720.0 / 35 * 60 * (0.55 + 0.6 * load) * np.repeat(d["use"][:, u], per) * 0.9, 0.0)
            live = np.repeat(d["mode"][:, u] > 0, per)
            p, one, two = float(pressure[u]), bool(running[u, 0]), bool(running[u, 1])
            if self.cases[u].depot_start:
                p = 0.4
            k = P0 / self.volume[u] / 1e3 / 60.0 * sub
            give = [float(x) for x in self.delivery[u]] + [0.0]
            rows, lead, back = [], [], []
            for use, lost, factor, powered in zip(
                taken.tolist(), np.repeat(leak, per).tolist(), np.repeat(worn, per).tolist(), live.tolist(), strict=True
            ):
                one = powered and (p < 9.1 if one else p < 7.4)
                two = powered and (p < 9.1 if two else p < 6.9)
                p += k * (one * give[0] * factor + two * give[1] - use - lost * (p + P0) / (FULL + P0))
                p = max(p, 0.0)
                rows.append(p)
                lead.append(one)
                back.append(two)
            shown[:, u] = rows[per - 1 :: per]
            on[:, u, 0] = lead[per - 1 :: per]
            if len(names) > 1:
                on[:, u, 1] = back[per - 1 :: per]
            self.state["air"][u], self.state["on"][u] = p, (one, two)
        for i, name in enumerate(names):
            now = self.now
            now[f"{name}.reservoir_pressure"] = self._seen(shown, 0.016, 2)
            now[f"{name}.compressor_running"] = on[:, :, i]
            now[f"{name}.motor_current"] = self._seen(on[:, :, i] * (12.5 + 0.2 * shown), 0.05, 1)
            share = self._lag(f"share{i}", on[:, :, i], 1200.0)
            now[f"{name}.oil_temperature"] = self._seen(22.0 + 30 * (d["mode"] > 0) + 60 * share, 0.3, 1)
            wet = np.stack([self.latent(u, name, "wet", 0.0, h) for u in range(self.units)], axis=1)
            now[f"{name}.dew_point"] = self._seen(
                -27 + 6 * share + wet + self._wander("dew", len(h), 0.8, 3600.0, (self.units,)), 0.3, 1
            )

    def _brakes(self, h: np.ndarray, d: dict[str, np.ndarray], local: np.ndarray) -> np.ndarray:
        """Discs and cylinders; K that a dragging brake adds to the boxes of its bogie [n, units, bogies]."""
        drag = self.of_all("bogie", "drag", 0.0, h)  # bar that stay
        braking = np.clip(-d["a"], 0, None) * d["v"]
        work = self._lag("braking", braking, 240.0)[..., None]
        rolling = self._lag("rolling", d["v"], 900.0)[..., None]
        disc = local[..., None] + 35.0 * work * self.disc + drag * 28.0 * rolling
        demand = np.where(
            d["a"] < 0, 0.7, np.where((d["v"] == 0) & (d["mode"] == 2), 2.1, np.where(d["mode"] == 1, 1.7, 0.0))
        )
        shown = self._lag("disc", disc, 200.0)
        for i, name in enumerate(self.shape.components("bogie")):
            cylinder = np.maximum(demand * (1.0 + self.gauge[:, i]), drag[:, :, i])
            self.now[f"{name}.brake_pressure"] = self._seen(cylinder, 0.006, 2)
            self.now[f"{name}.disc_temperature"] = self._seen(shown[:, :, i], 0.4, 1)
            done = (d["v"] == 0) & (np.roll(d["v"], 1, axis=0) > 0)
            released = self._seen(
                np.where(drag[:, :, i] > 0.05, 0.8 + 11 * drag[:, :, i], 0.8) * (1 + 0 * demand), 0.06, 2
            )
            self.now[f"{name}.release_time"] = np.where(done, released, np.nan)
            self.now[f"{name}.apply_time"] = np.where(done, self._seen(0.45 + 0 * demand, 0.03, 2), np.nan)
            self.now[f"{name}.residual"] = np.where(done, self._seen(drag[:, :, i], 0.006, 2), np.nan)
            self.now[f"{name}.peak_pressure"] = np.where(
                done, self._seen(2.2 * (0.8 + 0.3 * d["load"]), 0.03, 2), np.nan
            )
        return drag * 32.0 * rolling / 15.0

    def _boxes(
        self, h: np.ndarray, d: dict[str, np.ndarray], local: np.ndarray, sun: np.ndarray, heat: np.ndarray
    ) -> None:
        """Over the air by 12 K at line speed; sun warms one side in the morning, the other after noon."""
        extra = self.of_all("box", "heat", 0.0, h)  # K at line speed, of a bearing
        loose = self.of_all("box", "loose", 0.0, h)  # 1: the thermometer hangs in the air
        error = self.of_all("box", "error", 0.0, h)  # K, of the thermometer
        turned = np.stack([self.latent(u, "train", "turned", 0.0, h) for u in range(self.units)], axis=1)
        rolling = d["v"] / 10.0
        side = np.sign(12.0 - h % 24)[:, None] * (1 - 2 * turned)
        bogie = np.array(
            [
                self.shape.components("bogie").index(
                    n.split(".")[0] + (".bogie1" if int(n.split(".")[1][4:]) <= self.shape.axles // 2 else ".bogie2")
                )
                for n in self.shape.components("box")
            ]
        )
        left = np.array([1.0 if n.endswith("_l") else -1.0 for n in self.shape.components("box")])
        position = self.of_all("box", "position", 0.0, h) + self.box
        target = local[..., None] + (12.0 + extra) * np.minimum(rolling, 1.4)[..., None] + position
        target = target + heat[..., bogie] + 1.8 * (sun * side)[..., None] * left
        rate = self.period / np.where(d["v"] > 0, 1500.0, 3300.0)[..., None]
        true = np.empty_like(target)
        y = self.state.get("boxes", local[0][:, None] + 0 * target[0])
        for k in range(len(target)):
            y = y + rate[k] * (target[k] - y)
            true[k] = y
        self.state["boxes"] = y
        self.true_boxes = true
        hanging = local[..., None] + 0.15 * (true - local[..., None])
        shown = self._seen(self._lag("seen", np.where(loose > 0, hanging, true + error), 40.0), 0.2, 1)
        for i, name in enumerate(self.shape.components("box")):
            self.now[f"{name}.temperature"] = shown[:, :, i]

    def _converters(self, h: np.ndarray, d: dict[str, np.ndarray], local: np.ndarray) -> None:
        power = np.where(
            d["a"] > 0,
            0.9 * (1 + 0.4 * d["load"]) * d["a"] * d["v"],
            np.where(d["a"] < 0, -0.7 * d["a"] * d["v"] * (1 + 0.4 * d["load"]), 0.05 * d["v"]),
        )
        power = 55.0 * power * len(self.shape.cars) / len(self.shape.motors) / 1.5
        clogged = self.of_all("converter", "resistance", 1.0, h)
        rise = 3.6 * self.plate * clogged * (0.022 * power + 0.5)[..., None]
        plate = self._lag("plate", local[..., None] + rise, 340.0)
        for i, name in enumerate(self.shape.components("converter")):
            self.now[f"{name}.power"] = np.abs(self._seen(power, 2.0, 1))
            self.now[f"{name}.temperature"] = self._seen(plate[:, :, i], 0.3, 1)

    def _climate(self, h: np.ndarray, d: dict[str, np.ndarray], local: np.ndarray, sun: np.ndarray) -> None:
        live = d["mode"] > 0
        need = np.clip((local - 17.0) / 16.0 + 0.25 * d["load"] + 0.12 * sun, -0.6, 2.0)
        lost = self.of_all("hvac", "charge", 0.0, h)
        blocked = self.of_all("hvac", "blocked", 0.0, h)
        for i, name in enumerate(self.shape.components("hvac")):
            able = 1.0 - 1.6 * np.clip(lost[:, :, i] - 0.12, 0, None)
            duty = np.clip(np.where(need > 0, need / able, need), -0.6, 1.0) * live
            short = np.clip(need - able, 0, None) * 9.0
            saloon = self._lag(f"saloon{i}", np.where(live, 22.0 + short, local), 1500.0)
            cooling = np.clip(duty * 4, 0, 1)
            suction = 7.6 + 0.2 * (local - 20) + cooling * (4.9 + 0.02 * (local - 25) - 7.6 - 0.2 * (local - 20))
            suction = np.maximum(
                suction + self.suction[:, i] - 2.8 * lost[:, :, i] * cooling, 0.1
            )  # at rest it tells nothing
            self.now[f"{name}.interior_temperature"] = self._seen(saloon, 0.2, 1)
            self.now[f"{name}.suction_pressure"] = self._seen(suction, 0.016, 2)
            self.now[f"{name}.duty"] = np.round(100 * np.abs(duty), 1)
            fan = live * 3.2 * self.fan[:, i] * (1 - 0.55 * blocked[:, :, i])
            self.now[f"{name}.fan_current"] = self._seen(fan, 0.02, 2)

    def _doors(self, h: np.ndarray, duty: list[dict[str, np.ndarray]], local: np.ndarray) -> None:
        """One side opens at a stop; friction costs current at once and time hardly; people get in the way at peak."""
        names = self.shape.components("door")
        values = (
            "closing_time",
            "opening_time",
            "peak_current",
            "mean_current",
            "charge",
            "power",
            "ripple",
            "reopenings",
            "closed",
            "temperature",
        )
        out = {(name, value): np.full((len(h), self.units), np.nan) for name in names for value in values}
        r = self.rng
        for u in range(self.units):
            rows = duty[u]["stop"]
            rows = rows[(rows < len(h))]
            crowd = duty[u]["load"][rows]
            pushed_share = self.latent(u, "train", "obstructions", -1.0, h)[rows]
            share = np.where(pushed_share >= 0, pushed_share * (crowd > 0.45) + 0.02, 0.01 + 0.05 * crowd)
            cold = 1 + 0.009 * np.clip(18.0 - local[rows, u], 0, None)
            for i, name in enumerate(names):
                mine = np.arange(len(rows)) % 2 == i % 2
                at, m = rows[mine], int(mine.sum())
                g = self.latent(u, name, "friction", 1.0, h)[at] * cold[mine]
                slack = self.latent(u, name, "slack", 1.0, h)[at]
                rough = self.latent(u, name, "roller", 0.0, h)[at]
                blocked = self.latent(u, name, "object", 0.0, h)[at]
                pushed = r.random(m) < share[mine] + blocked
                mean = (0.45 + 0.68 * g**0.95) * self.door[u, i] * r.normal(1, 0.03, m) + pushed * r.uniform(
                    0.1, 0.5, m
                )
                peak = (1.5 + 0.85 * g) * self.door[u, i] * r.normal(1, 0.02, m) + pushed * r.uniform(0.3, 1.5, m)
                time = 3.1 + 0.05 * (g - 1) + r.normal(0, 0.025, m) * slack + pushed * r.uniform(0.8, 4.0, m)
                put = {
                    "closing_time": time,
                    "opening_time": 2.9 + 0.04 * (g - 1) + r.normal(0, 0.02, m) * slack,
                    "peak_current": np.minimum(peak, 4.0),
                    "mean_current": mean,
                    "charge": mean * time,
                    "power": 24 * mean,
                    "ripple": (0.10 + 0.02 * g) * r.normal(1, 0.12, m) + rough + pushed * r.uniform(0, 0.4, m),
                    "reopenings": pushed * r.integers(1, 3, m),
                    "closed": (r.random(m) >= 0.0005 + self.latent(u, name, "switch", 0.0, h)[at]) * 1.0,
                    "temperature": local[at, u] + r.normal(0, 0.5, m),
                }
                for value, x in put.items():
                    out[name, value][at, u] = np.round(x, 3)
        for (name, value), x in out.items():
            self.now[f"{name}.{value}"] = x

    # --- what lies between truth and reading

    def _lag(self, name: str, target: np.ndarray, tau: float) -> np.ndarray:
        gain = 1 - np.exp(-self.period / tau)
        y, out = self.state.get(name, target[0]), np.empty_like(target)
        for k in range(len(target)):
            y = y + gain * (target[k] - y)
            out[k] = y
        self.state[name] = y
        return out

    def _wander(self, name: str, n: int, sigma: float, tau: float, shape: tuple[int, ...]) -> np.ndarray:
        keep = np.exp(-self.period / tau)
        y, out = self.state.get(name, self.rng.normal(0, sigma, shape)), np.empty((n, *shape))
        kick = sigma * np.sqrt(1 - keep**2) * self.rng.standard_normal((n, *shape))
        for k in range(n):
            y = keep * y + kick[k]
            out[k] = y
        self.state[name] = y
        return out

    def _seen(self, x: np.ndarray, sigma: float, decimals: int) -> np.ndarray:
        return np.round(x + self.rng.normal(0, sigma, x.shape), decimals)
