"""Machines drawn by lot, with a fault or none, as their sensors would record them: what the diagnosis is judged by.

Written from textbook descriptions of each fault, not from the detector and not from the simulators: structures are
chains of modes excited by pulses of finite length, forces are non-linear where the fault is, noise has a colour. Every
parameter is drawn anew for each case. The signal-to-noise ratio is that of the fault's own part of the acceleration (or
shaft displacement) against broad-band noise, -5 … 20 dB.

Two families of machines: on rolling bearings with three accelerometers (x, y, axial; m/s²), and on fluid-film bearings
with two shaft probes (x, y; µm).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from models.diagnosis.record import Channel, Machine, Record
from models.vibration.bearings import Bearing, of_geometry
from models.vibration.gears import Gear

FloatArray = NDArray[np.float64]

ROLLING: Final = (
    "unbalance", "misalignment", "looseness", "gear_wear", "gear_tooth", "blade_pass", "electrical", "rotor_bars",
    "bearing_outer", "bearing_inner", "bearing_element", "bearing_cage",
)  # fmt: skip
FILM: Final = ("rub", "oil_whirl", "oil_whip")
PAIRS: Final = (
    ("unbalance", "bearing_outer"), ("unbalance", "bearing_inner"), ("misalignment", "bearing_outer"),
    ("looseness", "bearing_inner"), ("unbalance", "gear_wear"), ("electrical", "bearing_element"),
    ("bearing_outer", "bearing_inner"), ("unbalance", "electrical"), ("blade_pass", "bearing_outer"),
)  # fmt: skip
CLASSES: Final = (*ROLLING, *FILM, "healthy", "sensor", "two", "unlisted")

ZONE_BC: Final = 2.8
"""mm/s: ISO 20816-3, group 2, rigid, B/C."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """``truth``: the modes that are there; ``sensor``: the channel that lies, if one does."""

    kind: str
    detail: str
    snr: float
    truth: frozenset[str]
    sensor: str
    record: Record
    machine: Machine


@dataclass(slots=True)
class Rig:
    """A machine on rolling bearings while it is drawn: acceleration in m/s² by channel."""

    rng: np.random.Generator
    rate: float
    seconds: float
    fr: float
    line: float
    poles: int
    bearing: Bearing
    gear: Gear
    blades: int
    t: FloatArray = field(init=False)
    turn: FloatArray = field(init=False)
    parts: dict[str, FloatArray] = field(default_factory=dict)
    fault: dict[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = int(self.rate * self.seconds)
        self.t = np.arange(n) / self.rate
        wander = 2e-4 * np.sin(2 * np.pi * self.rng.uniform(0.05, 0.3) * self.t + self.rng.uniform(0, 6))
        self.turn = np.cumsum(self.fr * (1 + wander)) / self.rate
        self.parts = {name: np.zeros(n) for name in ("x", "y", "a")}
        self.fault = {name: np.zeros(n) for name in ("x", "y", "a")}

    def tone(
        self, into: dict[str, FloatArray], order: float, mm_s: float, *, axial: float, spread: float = 0.3
    ) -> None:
        """A line tied to the shaft: velocity RMS in mm/s on x, a bit different on y, a share of it on the axis."""
        self._line(into, 2 * np.pi * order * self.turn, order * self.fr, mm_s, axial, spread)

    def hertz(self, into: dict[str, FloatArray], f: float, mm_s: float, *, axial: float, spread: float = 0.3) -> None:
        """A line of a frequency of its own."""
        self._line(into, 2 * np.pi * f * self.t, f, mm_s, axial, spread)

    def _line(
        self, into: dict[str, FloatArray], angle: FloatArray, f: float, mm_s: float, axial: float, spread: float
    ) -> None:
        a = mm_s * 1e-3 * np.sqrt(2) * 2 * np.pi * f
        phase = self.rng.uniform(0, 2 * np.pi)
        into["x"] += a * np.cos(angle + phase)
        into["y"] += a * self.rng.uniform(1 - spread, 1) * np.cos(angle + phase - np.pi / 2 + self.rng.normal(0, 0.3))
        into["a"] += a * axial * np.cos(angle + self.rng.uniform(0, 2 * np.pi))

    def ring(self, times: FloatArray, sizes: FloatArray) -> dict[str, FloatArray]:
        """What the three sensors feel of blows at seconds: a structure of a few modes, a pulse of finite length."""
        n = len(self.t)
        force = np.zeros(n)
        width = self.rng.uniform(0.6e-4, 1.6e-4)
        for offset, share in ((0.0, 1.0), (width, 0.8), (2 * width, 0.3)):
            place = (times + offset) * self.rate
            k = np.floor(place).astype(int)
            inside = (k >= 0) & (k < n - 1)
            part = place[inside] - k[inside]
            np.add.at(force, k[inside], share * sizes[inside] * (1 - part))
            np.add.at(force, k[inside] + 1, share * sizes[inside] * part)
        modes = [
            (self.rng.uniform(0.12, 0.42) * self.rate, self.rng.uniform(0.015, 0.06), self.rng.uniform(0.4, 1.0))
            for _ in range(self.rng.integers(1, 4))
        ]
        felt: dict[str, FloatArray] = {}
        for name, gain in (("x", 1.0), ("y", self.rng.uniform(0.4, 1.0)), ("a", self.rng.uniform(0.2, 0.8))):
            total = np.zeros(n)
            for f, damping, weight in modes:
                w = 2 * np.pi * f / self.rate
                pole = np.exp(-damping * w) * np.exp(1j * w * np.sqrt(1 - damping**2))
                # zeros at 0 Hz: a blow leaves no lasting acceleration
                total += (
                    weight
                    * self.rng.uniform(0.6, 1.0)
                    * signal.lfilter([1, 0, -1], [1, -2 * pole.real, abs(pole) ** 2], force)
                )
            felt[name] = gain * total
        return felt

    def blows(self, rate_hz: float, *, scatter: float, load: Callable[[FloatArray], FloatArray] | None = None) -> None:
        """Blows at a mean rate; intervals scatter by a share, the force scatters too and follows ``load`` (s)."""
        count = int(self.seconds * rate_hz * 1.05) + 5
        times = np.cumsum((1 + self.rng.normal(0, scatter, count)) / rate_hz) - self.rng.uniform(0, 1 / rate_hz)
        times = times[times < self.seconds]
        sizes = self.rng.lognormal(0, 0.15, len(times))
        if load is not None:
            sizes = sizes * load(times)
        for name, felt in self.ring(times, sizes).items():
            self.fault[name] += felt / max(float(np.std(felt)), 1e-12) * (1.0 if name == "x" else 0.7)

    def machine(self, **changes: Any) -> Machine:
        known: dict[str, Any] = {
            "bearings": {"de": self.bearing}, "gears": {"gear": self.gear}, "blades": self.blades,
            "line_frequency": self.line, "poles": self.poles, "support": "rolling", "group": 2, "foundation": "rigid",
        }  # fmt: skip
        return Machine(**(known | changes))


def draw(kind: str, seed: int) -> Case:
    """One case of a class, all else by lot."""
    rng = np.random.default_rng([CLASSES.index(kind), seed])
    snr = float(rng.uniform(-5, 20))
    if kind in FILM:
        return _film(rng, kind, snr, (kind,))
    if kind == "healthy":
        return _film(rng, kind, snr, ()) if rng.random() < 0.3 else _rolling(rng, kind, snr, ())
    if kind in ("unbalance", "misalignment") and rng.random() < 0.3:
        return _film(rng, kind, snr, (kind,))
    if kind == "sensor":
        return _sensor(rng, snr)
    if kind == "two":
        return _rolling(rng, kind, snr, PAIRS[int(rng.integers(len(PAIRS)))])
    if kind == "unlisted":
        return _unlisted(rng, snr)
    return _rolling(rng, kind, snr, (kind,))


# --- on rolling bearings ---------------------------------------------------------------------------------------------


def _rig(rng: np.random.Generator) -> Rig:
    line, poles = float(rng.choice([50.0, 60.0])), int(rng.choice([2, 4, 6]))
    slip = float(rng.uniform(0.008, 0.03))
    fr = 2 * line / poles * (1 - slip)
    elements = int(rng.integers(7, 15))
    ratio = float(rng.uniform(0.14, min(0.28, 2.6 / elements)))
    bearing = of_geometry("drawn", elements, ratio, 1.0, float(rng.choice([0.0, 0.0, 15.0])))
    rate = float(rng.choice([12_000, 12_800, 20_000, 25_600]))
    teeth = int(rng.integers(17, max(18, min(60, int(0.12 * rate / fr)))))
    gear = Gear(teeth, int(rng.integers(61, 150)))
    rig = Rig(rng, rate, float(rng.uniform(6, 10)), fr, line, poles, bearing, gear, int(rng.integers(4, 10)))
    # what every sound machine shows
    for order, low, high in ((1, 0.2, 0.9), (2, 0.05, 0.3), (3, 0.02, 0.12), (4, 0.01, 0.06)):
        rig.tone(rig.parts, order, float(rng.uniform(low, high)), axial=float(rng.uniform(0.15, 0.4)))
    rig.tone(rig.parts, rig.blades, float(rng.uniform(0.02, 0.2)), axial=0.3)
    rig.hertz(rig.parts, 2 * line, float(rng.uniform(0.02, 0.15)), axial=0.2)
    _mesh(rig, rig.parts, float(rng.uniform(0.1, 1.0)), float(rng.uniform(0.02, 0.1)))
    return rig


def _mesh(rig: Rig, into: dict[str, FloatArray], level: float, depth: float, *, mate: float = 0.0) -> None:
    z, rng = rig.gear.teeth, rig.rng
    wave = np.zeros(len(rig.t))
    for h, share in ((1, 1.0), (2, rng.uniform(0.2, 0.6)), (3, rng.uniform(0.05, 0.3))):
        if h * z * rig.fr < 0.45 * rig.rate:
            swing = 0.5 * depth * np.sin(2 * np.pi * rig.turn + 1.0)
            wave += share * np.cos(2 * np.pi * h * z * rig.turn + rng.uniform(0, 6) + h * swing)
    slow = z / rig.gear.mate
    wave *= 1 + depth * np.cos(2 * np.pi * rig.turn) + mate * np.cos(2 * np.pi * slow * rig.turn)
    for name, gain in (("x", 1.0), ("y", rng.uniform(0.5, 1.0)), ("a", rng.uniform(0.3, 0.9))):
        into[name] += level * np.sqrt(2) * gain * wave


def _add(rig: Rig, mode: str) -> None:
    """One fault into ``rig.fault``; blows are in units of their own RMS, lines in m/s²."""
    rng = rig.rng
    lines = {name: hz * (1 + rng.uniform(-0.015, 0.015)) for name, hz in rig.bearing.lines(60 * rig.fr).items()}
    level = float(rng.uniform(0.9, 3.5)) * ZONE_BC
    scatter = float(rng.uniform(0.002, 0.012))
    phase = rng.uniform(0, 6)
    if mode == "unbalance":
        rig.tone(rig.fault, 1, level, axial=float(rng.uniform(0.05, 0.3)))
    elif mode == "misalignment":
        axial = float(rng.uniform(0.6, 1.3))
        rig.tone(rig.fault, 2, 0.8 * level, axial=axial)
        rig.tone(rig.fault, 1, 0.8 * level * float(rng.uniform(0.3, 1.1)), axial=axial)
        rig.tone(rig.fault, 3, 0.8 * level * float(rng.uniform(0.05, 0.3)), axial=axial)
    elif mode == "looseness":
        slope = float(rng.uniform(0.2, 0.8))
        orders: list[tuple[float, float]] = [(k, k**-slope * rng.uniform(0.6, 1.4)) for k in range(1, 11)]
        orders += [(k + 0.5, (k + 1) ** -slope * rng.uniform(0.15, 0.5)) for k in range(4)]
        whole = np.sqrt(sum(v**2 for _, v in orders))
        for order, v in orders:
            rig.tone(rig.fault, order, level * v / whole, axial=float(rng.uniform(0.1, 0.5)), spread=0.7)
    elif mode == "electrical":
        rig.hertz(rig.fault, 2 * rig.line, level, axial=float(rng.uniform(0.05, 0.3)))
    elif mode == "rotor_bars":
        passing = rig.poles * (2 * rig.line / rig.poles - rig.fr)
        base = float(rng.uniform(0.7, 1.6))
        rig.tone(rig.parts, 1, base, axial=0.2)
        for k, share in ((1, rng.uniform(0.2, 0.5)), (2, rng.uniform(0.05, 0.15))):
            for side in (-1, 1):
                rig.hertz(rig.fault, rig.fr + side * k * passing, base * share * rng.uniform(0.7, 1.3), axial=0.2)
    elif mode == "blade_pass":
        rig.tone(rig.fault, rig.blades, level, axial=float(rng.uniform(0.2, 0.8)))
        rig.tone(rig.fault, 2 * rig.blades, level * float(rng.uniform(0.05, 0.4)), axial=0.3)
    elif mode == "gear_wear":
        _mesh(rig, rig.fault, float(rng.uniform(3, 15)), float(rng.uniform(0.5, 1.1)), mate=float(rng.uniform(0, 0.4)))
    elif mode == "gear_tooth":
        rig.blows(rig.fr, scatter=0.0005)
    elif mode == "bearing_outer":
        swing = rng.uniform(0, 0.25)
        rig.blows(lines["BPFO"], scatter=scatter, load=lambda s: 1 + swing * np.cos(2 * np.pi * rig.fr * s + phase))
    elif mode == "bearing_inner":
        swing = rng.uniform(0.5, 1.0)
        rig.blows(
            lines["BPFI"], scatter=scatter,
            load=lambda s: np.maximum(1 + swing * np.cos(2 * np.pi * rig.fr * s + phase), 0.02),
        )  # fmt: skip
    elif mode == "bearing_element":
        swing = rng.uniform(0.4, 0.9)
        rig.blows(
            lines["BSF2"], scatter=scatter,
            load=lambda s: np.maximum(1 + swing * np.cos(2 * np.pi * lines["FTF"] * s + phase), 0.02),
        )  # fmt: skip
    elif mode == "bearing_cage":
        rig.blows(lines["FTF"], scatter=scatter)


_BLOWS: Final = {"gear_tooth", "bearing_outer", "bearing_inner", "bearing_element", "bearing_cage"}


def _rolling(rng: np.random.Generator, kind: str, snr: float, modes: tuple[str, ...]) -> Case:
    rig = _rig(rng)
    noise = float(rng.uniform(0.2, 2.0))
    if not modes:
        return _finish(rig, kind, "rolling", snr, frozenset(), noise)
    total = {name: np.zeros(len(rig.t)) for name in rig.fault}
    lines_power = 0.0
    for mode in modes:
        rig.fault = {name: np.zeros(len(rig.t)) for name in rig.fault}
        _add(rig, mode)
        if mode in _BLOWS:
            for name in total:
                total[name] += noise * 10 ** (snr / 20) * rig.fault[name]
        else:
            for name in total:
                total[name] += rig.fault[name]
            lines_power = max(lines_power, float(np.var(rig.fault["x"])))
    if not set(modes) & _BLOWS:
        noise = float(np.sqrt(lines_power) * 10 ** (-snr / 20))
    rig.fault = total
    return _finish(rig, kind, "+".join(modes), snr, frozenset(modes), noise)


def _finish(rig: Rig, kind: str, detail: str, snr: float, truth: frozenset[str], noise: float) -> Case:
    channels = []
    for name, unit_direction in (("x", "radial"), ("y", "radial"), ("a", "axial")):
        samples = rig.parts[name] + rig.fault[name] + noise * _coloured(rig.rng, len(rig.t))
        channels.append(Channel(name, samples, "m/s2", unit_direction, "de"))
    stated = 60 * rig.fr * (1 + rig.rng.uniform(-0.003, 0.003))
    return Case(kind, detail, snr, truth, "", Record(rig.rate, tuple(channels), stated), rig.machine())


def _coloured(rng: np.random.Generator, n: int) -> FloatArray:
    """Noise of unit power: white with a broad hump or a slope."""
    white = rng.normal(0, 1, n)
    shape = int(rng.integers(3))
    if shape == 0:
        return white
    if shape == 1:
        made = signal.lfilter([1], [1, -rng.uniform(0.2, 0.6)], white)
    else:
        f, q = rng.uniform(0.1, 0.8), rng.uniform(0.5, 0.85)
        made = white + signal.lfilter([1 - q], [1, -2 * q * np.cos(np.pi * f), q * q], white)
    return np.asarray(made / made.std())


# --- on fluid-film bearings ------------------------------------------------------------------------------------------


def _film(rng: np.random.Generator, kind: str, snr: float, modes: tuple[str, ...], unlisted: str = "") -> Case:
    speed = float(rng.uniform(3000, 11_000))
    fr = speed / 60
    critical = speed * float(rng.uniform(0.45, 0.8))
    if "oil_whip" in modes:
        critical = speed * float(rng.uniform(0.3, 0.39))
    rate = float(rng.choice([4096, 5120, 8192]))
    seconds = float(rng.uniform(5, 9))
    t = np.arange(int(rate * seconds)) / rate
    turn = fr * t + 0.01 * np.sin(2 * np.pi * 0.1 * t)
    bc = 9000 / np.sqrt(speed)
    x, y = np.zeros(len(t)), np.zeros(len(t))
    fx, fy = np.zeros(len(t)), np.zeros(len(t))

    def whirl(
        order: float, pp: float, *, forward: bool = True, fault: bool = True, angle: FloatArray | None = None
    ) -> None:
        phase, lag = rng.uniform(0, 6), np.pi / 2 + rng.normal(0, 0.2)
        along = 2 * np.pi * (order * turn if angle is None else angle) + phase
        into_x, into_y = (fx, fy) if fault else (x, y)
        into_x += pp / 2 * np.cos(along)
        into_y += pp / 2 * rng.uniform(0.7, 1.1) * np.cos(along - lag if forward else along + lag)

    whirl(1, float(rng.uniform(0.1, 0.35)) * bc, fault=False)
    whirl(2, float(rng.uniform(0.01, 0.06)) * bc, fault=False)
    whirl(3, float(rng.uniform(0.005, 0.02)) * bc, fault=False)
    level = float(rng.uniform(0.9, 1.8)) * bc
    if "unbalance" in modes:
        whirl(1, level)
    if "misalignment" in modes:
        whirl(2, 0.8 * level)
        whirl(1, 0.8 * level * float(rng.uniform(0.2, 0.6)))
        whirl(3, 0.8 * level * float(rng.uniform(0.05, 0.2)))
    if "oil_whirl" in modes:
        whirl(float(rng.uniform(0.41, 0.485)), level * float(rng.uniform(0.4, 1.0)))
    if "oil_whip" in modes:
        f = critical / 60 * (1 + rng.uniform(-0.01, 0.01))
        whirl(0, level, angle=f * t + 0.02 * np.sin(2 * np.pi * 0.3 * t))
    if "rub" in modes:
        base = float(rng.choice([1 / 2, 1 / 2, 1 / 3]))
        whirl(base, level * float(rng.uniform(0.3, 0.7)), forward=bool(rng.random() < 0.4))
        for k in range(2, 8):
            if abs(k * base - 1) > 1e-6:
                whirl(k * base, level * float(rng.uniform(0.4, 0.8)) / k, forward=bool(rng.random() < 0.5))
    if unlisted == "strange line":
        order = float(rng.choice([rng.uniform(0.12, 0.28), rng.uniform(0.6, 0.64), rng.uniform(1.2, 1.3)]))
        whirl(order, level, forward=bool(rng.random() < 0.5))
    power = float(np.var(fx)) if modes or unlisted else float(np.var(x))
    noise = np.sqrt(power) * 10 ** (-snr / 20)
    samples = [a + b + noise * rng.normal(0, 1, len(t)) for a, b in ((x, fx), (y, fy))]
    channels = tuple(Channel(n, s, "um", n, "journal") for n, s in zip("xy", samples, strict=True))
    machine = Machine(support="fluid-film", critical_speed=critical * (1 + rng.uniform(-0.01, 0.01)))
    stated = speed * (1 + rng.uniform(-0.001, 0.001))
    truth = frozenset(modes)
    return Case(kind, unlisted or "film", snr, truth, "", Record(rate, channels, stated), machine)


# --- what nobody has listed, and what is no machine ------------------------------------------------------------------


def _unlisted(rng: np.random.Generator, snr: float) -> Case:
    what = str(rng.choice(["strange blows", "strange line", "random blows", "flow", "film"]))
    if what == "film":
        return _film(rng, "unlisted", snr, (), "strange line")
    rig = _rig(rng)
    noise = float(rng.uniform(0.2, 2.0))
    level = float(rng.uniform(0.9, 2.5)) * ZONE_BC
    if what == "strange blows":
        rig.blows(_clear(rng, rig) * rig.fr, scatter=0.004)
        rig.fault = {name: noise * 10 ** (snr / 20) * part for name, part in rig.fault.items()}
    elif what == "random blows":
        times = np.sort(rng.uniform(0, rig.seconds, int(rig.seconds * rng.uniform(15, 60))))
        felt = rig.ring(times, rng.lognormal(0, 0.6, len(times)))
        strength = noise * 10 ** (max(snr, 5.0) / 20)
        rig.fault = {name: strength * part / part.std() for name, part in felt.items()}
    elif what == "strange line":
        rig.hertz(rig.fault, _clear(rng, rig) * rig.fr, level, axial=0.3)
        noise = float(rig.fault["x"].std() * 10 ** (-snr / 20))
    else:
        # turbulence: a low mode of the structure, driven at random
        f, damping = rng.uniform(1.3, 1.7) * rig.fr, rng.uniform(0.04, 0.1)
        w = 2 * np.pi * f / rig.rate
        pole = np.exp(-damping * w) * np.exp(1j * w)
        for name in rig.fault:
            made = signal.lfilter([1, -1], [1, -2 * pole.real, abs(pole) ** 2], rng.normal(0, 1, len(rig.t)))
            rig.fault[name] = 1.5 * level * 1e-3 * 2 * np.pi * f * np.asarray(made) / np.std(made)
        noise = float(rig.fault["x"].std() * 10 ** (-max(snr, 0.0) / 20))
    return _finish(rig, "unlisted", what, snr, frozenset(), noise)


def _clear(rng: np.random.Generator, rig: Rig) -> float:
    """An order that is nobody's: off all lines known, their multiples and sidebands."""
    bearing = rig.bearing.multiples
    known = [order * h + k for order in bearing.values() for h in (0.5, 1, 2, 3) for k in (-2, -1, 0, 1, 2)]
    known += [order + k * bearing["FTF"] for order in bearing.values() for k in (-1, 1)]
    known += [k / 2 for k in range(40)]
    known += [h * 2 * rig.line / rig.fr for h in (0.5, 1, 2)]
    while True:
        order = float(rng.uniform(1.25, 8.0))
        if min(abs(np.log(order / k)) for k in known if k > 0.2) > 0.03:
            return order
        if rng.random() < 0.002:
            return 1.37


def _sensor(rng: np.random.Generator, snr: float) -> Case:
    """A sound machine, and a sensor that is not."""
    what = str(rng.choice(["clipping", "flat", "interrupted", "spikes", "ski_slope", "stuck", "swapped", "tacho_lost"]))
    if what == "swapped":
        case = _film(rng, "sensor", max(snr, 5.0), ())
        x, y = case.record.channels
        channels = (Channel("x", y.samples, "um", "x", "journal"), Channel("y", x.samples, "um", "y", "journal"))
        record = Record(case.record.rate, channels, case.record.speed)
        return Case("sensor", what, snr, frozenset(), "x, y", record, case.machine)
    case = _rolling(rng, "sensor", snr, ())
    channels_list = list(case.record.channels)
    victim = int(rng.integers(3))
    original = channels_list[victim]
    s, rate, tacho = original.samples.copy(), case.record.rate, None
    name = original.name
    if what == "clipping":
        rail = float(rng.uniform(0.45, 0.75)) * float(np.abs(s).max())
        s = np.clip(s, -rail, rail if rng.random() < 0.7 else np.inf)
    elif what == "flat":
        s = np.full(len(s), float(rng.normal(0, 0.1))) + 1e-7 * rng.normal(0, 1, len(s))
    elif what == "stuck":
        begin = int(rng.uniform(0.1, 0.6) * len(s))
        s[begin : begin + int(rng.uniform(0.2, 0.9) * rate)] = s[begin]
    elif what == "interrupted":
        for begin in rng.integers(0, int(0.9 * len(s)), int(rng.integers(3, 9))):
            length = int(rng.uniform(0.04, 0.2) * rate)
            s[begin : begin + length] = 1e-3 * s.std() * rng.normal(0, 1, len(s[begin : begin + length]))
    elif what == "spikes":
        at = rng.integers(10, len(s) - 10, int(rng.integers(6, 60)))
        s[at] += rng.choice([-1, 1], len(at)) * s.std() * rng.uniform(20, 60, len(at))
    elif what == "ski_slope":
        t = np.arange(len(s)) / rate
        drift = signal.lfilter([1], [1, -np.exp(-2 * np.pi * 0.15 / rate)], rng.normal(0, 1, len(s)))
        s = s + s.std() * float(rng.uniform(6, 20)) * (drift / drift.std() + np.exp(-t / rng.uniform(0.5, 2)))
    else:
        revs = case.record.speed / 60 * np.arange(len(s)) / rate
        tacho = ((revs % 1) < 0.1).astype(float) * 5 + rng.normal(0, 0.05, len(s))
        begin = int(rng.uniform(0.2, 0.6) * len(s))
        tacho[begin : begin + int(rng.uniform(0.1, 0.4) * len(s))] = 0.0
        name = "tacho"
    channels_list[victim] = Channel(original.name, s, original.unit, original.direction, original.location)
    record = Record(rate, tuple(channels_list), case.record.speed, tacho)
    return Case("sensor", what, snr, frozenset(), name, record, case.machine)
