"""Failure modes that show in the spectrum: each a few conditions, the weakest of which is the mode's quality.

A condition is ``(what was measured - what it takes) / what makes it sure``; above 0 it is met. So every finding can say
what carried it and what was missing. Levels are shares of the B/C boundary of ISO 20816-3 for this machine (velocity on
casings, displacement on shafts): the same rule for all machines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.diagnosis.finding import Evidence
from models.diagnosis.lines import Lines, Seen
from models.diagnosis.record import Channel, Machine
from models.vibration.integration import quantity
from models.vibration.shaft import precession

CLEAR: Final = 10.0
"""dB from which on a line stands out."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A mode's quality (> 0: all conditions met), what limits it, and the lines it stands on."""

    mode: str
    quality: float
    doubt: str
    evidence: tuple[Evidence, ...]
    component: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """All that the rules look at: line tables of the sound channels, the shaft's rate in Hz, the zone boundary."""

    machine: Machine
    shaft: float
    rate: float
    boundary: float
    fine: tuple[Lines, ...]

    @property
    def radial(self) -> list[Lines]:
        chosen = [lines for lines in self.fine if lines.channel.direction != "axial"]
        return chosen or list(self.fine)

    @property
    def axial(self) -> list[Lines]:
        return [lines for lines in self.fine if lines.channel.direction == "axial"]

    def order(self, lines: Lines, order: float) -> Seen:
        return lines.at(order * self.shaft)

    def strongest(self, order: float, tables: list[Lines] | None = None) -> tuple[Lines, Seen]:
        """Channel and line where an order is highest."""
        among = tables or self.radial
        seen = [(lines, self.order(lines, order)) for lines in among]
        return max(seen, key=lambda pair: pair[1].level)

    def evidence(self, lines: Lines, what: str, expected: float, seen: Seen) -> Evidence:
        return Evidence(
            "spectrum",
            lines.channel.name,
            what,
            expected,
            seen.frequency,
            seen.frequency / self.shaft,
            seen.level,
            f"{lines.unit} {'peak to peak' if lines.unit == 'um' else 'RMS'}",
            seen.background,
            seen.over_db,
        )


def weakest(*conditions: tuple[float, str]) -> tuple[float, str]:
    """(quality, what is missing) of conditions with the words for when they are not met."""
    value, words = min(conditions, key=lambda pair: pair[0])
    return float(value), words if value <= 0 else ""


def unbalance(scene: Scene) -> Judgement:
    lines, one = scene.strongest(1)
    others = [scene.order(lines, k).level for k in (0.5, 1.5, 2, 3, 4, 5, 6)]
    share = one.level**2 / max(one.level**2 + sum(level**2 for level in others), 1e-30)
    conditions = [
        _severe(scene, lines, one, "x1_amplitude"),
        ((share - 0.6) / 0.2, "other orders are as strong as 1×"),
        ((one.over_db - CLEAR) / 5, "1× hardly stands out"),
    ]
    if scene.axial and scene.axial[0] is not lines:
        ratio = scene.strongest(1, scene.axial)[1].level / max(one.level, 1e-12)
        conditions.append(((0.65 - ratio) / 0.2, "1× is as strong along the axis: misalignment or a bent shaft"))
    quality, doubt = weakest(*conditions)
    found = [scene.evidence(lines, "1×", scene.shaft, one)]
    found.append(Evidence("spectrum", lines.channel.name, f"1× carries {100 * share:.0f} % of what its orders carry"))
    return Judgement("unbalance", quality, doubt, tuple(found))


def _severe(scene: Scene, lines: Lines, seen: Seen, feature: str, need: float = 0.55) -> tuple[float, str]:
    """Large by the zones, or changed since the baseline by a quarter of B/C (ISO 20816-3, criterion II)."""
    absolute = (seen.level / scene.boundary - need) / 0.35
    told = scene.machine.baseline.get(lines.channel.name, {}).get(feature)
    if told is not None and np.isfinite(told):
        usual = _as_level(told, lines.channel, seen.frequency)
        absolute = max(absolute, (abs(seen.level - usual) / scene.boundary - 0.25) / 0.25)
    return absolute, "too small to matter by the zones of ISO 20816-3, and no change from a baseline is known"


def _as_level(amplitude: float, channel: Channel, frequency: float) -> float:
    """A feature's amplitude (zero to peak, the channel's unit) as a line table has it: mm/s RMS, or µm peak to peak."""
    kind, factor = quantity(channel.unit) or ("acceleration", 1.0)
    if kind == "displacement":
        return 2e6 * factor * amplitude
    velocity = 1e3 * factor * amplitude / float(np.sqrt(2))
    return velocity / (2 * np.pi * frequency) if kind == "acceleration" else velocity


def misalignment(scene: Scene) -> Judgement:
    lines, two = scene.strongest(2)
    one = scene.order(lines, 1)
    higher = np.sqrt(sum(scene.order(lines, k).level ** 2 for k in (0.5, 1.5, 2.5, 4, 5, 6, 7, 8)))
    conditions = [
        _severe(scene, lines, two, "x2_amplitude", 0.3),
        ((two.level / max(one.level, 1e-12) - 0.45) / 0.3, "2× is small beside 1×"),
        ((0.45 - higher / max(two.level, 1e-12)) / 0.15, "multiples beyond 3× are there too: looseness"),
        ((two.over_db - CLEAR) / 5, "2× hardly stands out"),
    ]
    found = [scene.evidence(lines, "2×", 2 * scene.shaft, two), scene.evidence(lines, "1×", scene.shaft, one)]
    if scene.axial:
        along = max(scene.strongest(k, scene.axial)[1].level for k in (1, 2))
        ratio = along / max(two.level, 1e-12)
        conditions.append(((ratio - 0.35) / 0.2, "hardly any axial vibration"))
        found.append(
            Evidence("spectrum", scene.axial[0].channel.name, f"axial 1× and 2× reach {ratio:.2f} of radial 2×")
        )
    electrical = 2 * scene.machine.line_frequency
    if np.isfinite(electrical) and scene.machine.support == "rolling":
        nearer = abs(two.frequency - electrical) + 0.5 * lines.step < abs(two.frequency - 2 * scene.shaft)
        conditions.append((-0.5 if nearer else 1.0, "the line is twice the supply's frequency"))
    quality, doubt = weakest(*conditions)
    return Judgement("misalignment", quality, doubt, tuple(found))


def looseness(scene: Scene) -> Judgement:
    best: Judgement | None = None
    for lines in scene.radial:
        multiples = {k: scene.order(lines, k) for k in range(1, 11)}
        halves: dict[float, Seen] = {k: scene.order(lines, k) for k in (0.5, 1.5, 2.5, 3.5)}
        there = [k for k, s in multiples.items() if k >= 3 and s.over_db > CLEAR and s.level > 0.04 * scene.boundary]
        half = [k for k, s in halves.items() if s.over_db > CLEAR and s.level > 0.02 * scene.boundary]
        high = np.sqrt(sum(multiples[k].level ** 2 for k in range(3, 11)))
        every = np.sqrt(sum(s.level**2 for s in (*multiples.values(), *halves.values())))
        quality, doubt = weakest(
            ((every / scene.boundary - 0.55) / 0.35, "small by the zones of ISO 20816-3"),
            ((len(there) - 4.5) / 2, f"only {len(there)} multiples beyond 2×"),
            ((high / max(every, 1e-12) - 0.3) / 0.2, "the multiples beyond 2× carry little"),
            ((len(half) - 0.5) / 1.5, "no half orders"),
        )
        found = tuple(
            scene.evidence(lines, f"{k:g}×", k * scene.shaft, s)
            for k, s in sorted([*multiples.items(), *halves.items()])
            if k in there or k in half
        )
        said = Judgement("looseness", quality, doubt, found)
        if best is None or said.quality > best.quality:
            best = said
    assert best is not None
    return best


def electrical(scene: Scene) -> Judgement | None:
    f = 2 * scene.machine.line_frequency
    if not np.isfinite(f):
        return None
    seen = [(lines, lines.at(f)) for lines in scene.radial]
    lines, two = max(seen, key=lambda pair: pair[1].level)
    nearest = round(f / scene.shaft) * scene.shaft
    apart = abs(f - nearest) / lines.step
    quality, doubt = weakest(
        _severe(scene, lines, two, "", 0.3),
        ((two.over_db - 1.5 * CLEAR) / 5, "the line hardly stands out"),
        ((apart - 3) / 3, "a multiple of the shaft's rate is too near to be told apart: record for longer"),
        ((1.2 - abs(two.frequency - f) / lines.step) / 1.0, "the line is beside twice the supply's frequency"),
    )
    return Judgement("electrical", quality, doubt, (scene.evidence(lines, "2× line frequency", f, two),))


def rotor_bars(scene: Scene) -> Judgement | None:
    machine = scene.machine
    if not np.isfinite(machine.line_frequency) or machine.poles < 2:
        return None
    passing = machine.poles * (2 * machine.line_frequency / machine.poles - scene.shaft)
    if passing <= 0:
        return None
    best: Judgement | None = None
    for lines in scene.radial:
        one = scene.order(lines, 1)
        sides = [lines.at(scene.shaft + side * passing, reach=1.5 * lines.step) for side in (-1, 1)]
        smaller = min(side.level for side in sides)
        quality, doubt = weakest(
            ((passing / lines.step - 4) / 2, "the record is too short to separate the sidebands of 1×"),
            ((smaller / max(one.level, 1e-12) - 0.07) / 0.06, "sidebands of 1× are small"),
            ((min(side.over_db for side in sides) - CLEAR) / 5, "sidebands of 1× hardly stand out"),
            ((one.level / scene.boundary - 0.05) / 0.05, "1× is too small to carry sidebands"),
        )
        found = [scene.evidence(lines, "1×", scene.shaft, one)] + [
            scene.evidence(lines, f"1× {'-+'[side > 0]} poles × slip", scene.shaft + side * passing, seen)
            for side, seen in zip((-1, 1), sides, strict=True)
        ]
        said = Judgement("rotor_bars", quality, doubt, tuple(found))
        if best is None or said.quality > best.quality:
            best = said
    return best


def blade_pass(scene: Scene) -> Judgement | None:
    blades = scene.machine.blades
    if blades < 2:
        return None
    lines, seen = scene.strongest(blades)
    neighbours = [scene.order(lines, blades + k).level for k in (-2, -1, 1, 2) if blades + k > 2]
    quality, doubt = weakest(
        _severe(scene, lines, seen, "", 0.4),
        ((seen.over_db - 1.5 * CLEAR) / 5, "the line hardly stands out"),
        ((0.5 - max(neighbours, default=0.0) / max(seen.level, 1e-12)) / 0.3, "neighbouring multiples are as strong"),
    )
    return Judgement(
        "blade_pass", quality, doubt, (scene.evidence(lines, f"{blades}× (blades)", blades * scene.shaft, seen),)
    )


def gear_wear(scene: Scene) -> list[Judgement]:
    found = []
    for component, gear in scene.machine.gears.items():
        best: Judgement | None = None
        for lines in scene.radial:
            gmf = gear.teeth * scene.shaft
            if gmf > 0.42 * scene.rate:
                continue
            # where noise hides 1×, the speed is only as good as it was stated: the mesh is looked for that far, yet not
            # as far as a sideband
            centre = lines.at(gmf, reach=min(0.004 * gmf, 0.35 * scene.shaft))
            sides = {
                k: lines.at(centre.frequency + k * scene.shaft, reach=2 * lines.step + 3e-4 * gmf)
                for k in (-2, -1, 1, 2)
            }
            first = float(np.sqrt(sides[-1].level ** 2 + sides[1].level ** 2))
            ratio = first / max(centre.level, 1e-12)
            strength = _acceleration(lines, centre)
            quality, doubt = weakest(
                ((ratio - 0.25) / 0.15, "sidebands of the mesh are small"),
                ((min(sides[-1].over_db, sides[1].over_db) - CLEAR) / 6, "sidebands hardly stand out"),
                ((centre.over_db - CLEAR) / 6, "the mesh hardly stands out"),
                ((strength - 1.2) / 0.8, "the mesh is weak"),
            )
            evidence = [scene.evidence(lines, f"mesh, {gear.teeth}×", gmf, centre)] + [
                scene.evidence(lines, f"mesh {k:+d}×", gmf + k * scene.shaft, seen)
                for k, seen in sides.items()
                if seen.over_db > CLEAR
            ]
            said = Judgement("gear_wear", quality, doubt, tuple(evidence), component)
            if best is None or said.quality > best.quality:
                best = said
        if best is not None:
            found.append(best)
    return found


def _acceleration(lines: Lines, seen: Seen) -> float:
    """m/s² RMS of a line of a velocity table."""
    return seen.level * 1e-3 * 2 * np.pi * seen.frequency


# --- shafts on oil films --------------------------------------------------------------------------------------------


def _below(scene: Scene, low: float, high: float) -> tuple[Lines, Seen] | None:
    """The strongest line between two orders."""
    best: tuple[Lines, Seen] | None = None
    for lines in scene.radial:
        for seen in lines.outstanding(low * scene.shaft, high * scene.shaft, 0.03 * scene.boundary, CLEAR)[:3]:
            if best is None or seen.level > best[1].level:
                best = lines, seen
    return best


def rub(scene: Scene) -> Judgement:
    best: Judgement | None = None
    for lines in scene.radial:
        for base in (1 / 2, 1 / 3):
            orders = [k * base for k in range(1, 8) if abs(k * base - round(k * base)) > 0.01]
            seen = {o: lines.at(o * scene.shaft, reach=1.5 * lines.step) for o in orders}
            there = [o for o, s in seen.items() if s.over_db > CLEAR and s.level > 0.01 * scene.boundary]
            first = seen[base]
            quality, doubt = weakest(
                ((first.level / scene.boundary - 0.1) / 0.1, "the fraction of 1× is small"),
                ((first.over_db - CLEAR) / 5, "the fraction of 1× hardly stands out"),
                ((len(there) - 1.5) / 1.5, "no multiples of the fraction"),
            )
            found = tuple(scene.evidence(lines, f"{o:.3g}×", o * scene.shaft, seen[o]) for o in there)
            said = Judgement("rub", quality, doubt, found)
            if best is None or said.quality > best.quality:
                best = said
    assert best is not None
    return best


def oil_film(scene: Scene) -> list[Judgement]:
    """Whirl or whip: one forward line below 1/2; whip where it is the first critical speed and the shaft runs above
    twice that."""
    seen = _below(scene, 0.2, 0.495)
    if seen is None:
        return []
    lines, line = seen
    order = line.frequency / scene.shaft
    critical = scene.machine.critical_speed / 60
    off_third = abs(order - 1 / 3) * scene.shaft / lines.step
    forward = _forward(scene, line.frequency)
    common = (
        ((line.level / scene.boundary - 0.12) / 0.15, "the line is small by the zones"),
        ((line.over_db - 1.3 * CLEAR) / 5, "the line hardly stands out"),
        ((forward - 0.55) / 0.15, "the line does not run forward"),
    )
    at_critical = np.isfinite(critical) and abs(line.frequency / critical - 1) < 0.03
    fast = np.isfinite(critical) and scene.shaft > 1.95 * critical
    whip, whip_doubt = weakest(
        *common,
        ((0.5 if at_critical else -0.5), "the line is not the first critical speed"),
        ((0.5 if fast else -0.5), "the speed is below twice the critical"),
    )
    whirl, whirl_doubt = weakest(
        *common,
        (min((order - 0.385) / 0.02, (0.495 - order) / 0.005), "the line is outside 0.39 to 0.49×"),
        ((-0.4 if at_critical and fast else 1.0), "the line is the first critical speed: whip"),
        ((off_third - 2) / 2, "the line is a third of 1×"),
    )
    evidence = (
        scene.evidence(lines, f"line at {order:.3f}×", float("nan"), line),
        Evidence("orbit", lines.channel.name, f"{100 * forward:.0f} % of it runs forward"),
    )
    return [Judgement("oil_whirl", whirl, whirl_doubt, evidence), Judgement("oil_whip", whip, whip_doubt, evidence)]


def _forward(scene: Scene, frequency: float) -> float:
    """Share of a line that runs with the shaft; 1 where there is no pair of probes to tell."""
    pair = {lines.channel.direction: lines.channel for lines in scene.fine}
    if "x" not in pair or "y" not in pair:
        return 1.0
    ahead, back = precession(pair["x"].samples, pair["y"].samples, scene.rate, frequency)
    return ahead / max(ahead + back, 1e-30)


def explained_frequencies(scene: Scene, modes: set[str]) -> Callable[[float], bool]:
    """Whether a line belongs to something known: orders and half orders, the supply, gears, blades."""
    machine, shaft = scene.machine, scene.shaft
    known = [k * shaft for k in range(1, 41)]
    if modes & {"looseness", "rub"}:
        known += [(k + 0.5) * shaft for k in range(12)] + [k * shaft / 3 for k in range(1, 12)]
    if np.isfinite(machine.line_frequency):
        known += [k * machine.line_frequency for k in (1, 2, 4, 6)]
        if machine.poles and "rotor_bars" in modes:
            passing = machine.poles * (2 * machine.line_frequency / machine.poles - shaft)
            known += [h * shaft + k * passing for h in (1, 2) for k in (-3, -2, -1, 1, 2, 3)]
    for gear in machine.gears.values():
        slow = gear.mate_order() * shaft
        known += [k * slow for k in (1, 2, 3)]
        for h in (1, 2, 3):
            mesh = h * gear.teeth * shaft
            known += [mesh + k * shaft for k in range(-4, 5)] + [mesh + k * slow for k in range(-4, 5)]
    if "oil_whirl" in modes or "oil_whip" in modes:
        known += [order * shaft for order in np.arange(0.3, 0.5, 0.005)]
    ordered = np.array(sorted(known))

    def explained(f: float) -> bool:
        step = scene.fine[0].step
        return bool(np.min(np.abs(ordered - f)) <= 3 * step + 1e-3 * f)

    return explained


def usable(channel: Channel) -> bool:
    """Whether a channel measures vibration at all."""
    return bool(channel.quantity)
