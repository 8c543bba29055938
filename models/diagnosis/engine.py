"""A recording in, ranked failure modes out, with what they stand on; or the reason why nothing is claimed.

In this order: are the sensors sound? Is the speed known and steady? Which modes have evidence? Does anything stand
out that no mode explains? A mode is *decided* where the weakest of its conditions is met
(:mod:`models.diagnosis.rules`, :mod:`models.diagnosis.impacts`); what falls a little short is listed with what is
missing. Nothing is learned from data sets; the confidence is a function of the quality alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from models.diagnosis import bearings, rules
from models.diagnosis.finding import Diagnosis, Evidence, Finding
from models.diagnosis.impacts import Impacts
from models.diagnosis.knowledge import modes as known_modes
from models.diagnosis.lines import Lines, refined_shaft
from models.diagnosis.record import Channel, Machine, Record
from models.diagnosis.rules import Judgement, Scene
from models.vibration import channels as channel_health
from models.vibration.channels import ChannelFinding
from models.vibration.integration import highpass_for
from models.vibration.orders import angle_from_pulses, pulse_times, speed_of
from models.vibration.transients import is_transient
from models.vibration.zones import boundaries, shaft_boundaries

IMPULSIVE: Final = 2.0
"""Spectral kurtosis from which on something strikes."""

_DAMPING_BANDS: Final = 12.0
"""A tooth's blows are looked for above this many orders of the shaft: below, lines beat with one another."""


def diagnose(record: Record, machine: Machine) -> Diagnosis:
    """What the recording says about the machine. Never raises for what the samples are; see :class:`Diagnosis`."""
    instruments, sound = _sensors(record)
    usable = [channel for channel in sound if rules.usable(channel)]
    if not usable:
        return _without_machine(instruments, "no channel with vibration that can be relied on")
    speed, transient, lost = _speed(record)
    if lost is not None:
        instruments.append(lost)
    if transient:
        return _abstain(instruments, "the speed ran during the recording: see run-up and coast-down instead", speed)
    if not np.isfinite(speed) or speed <= 0:
        return _abstain(instruments, "the shaft's speed is not known, and every mode is told by it", speed)
    shaft, fine = _spectra(
        usable, record.rate, speed / 60, machine.tolerance if record.tacho is None or lost else 0.001
    )
    instruments += _swapped(usable, record.rate, shaft)
    scene = Scene(machine, shaft, record.rate, _boundary(machine, shaft), tuple(fine))
    findings, strange = _impacts(usable, scene, record)
    findings += _spectral(scene)
    findings = _settled(findings, machine)
    strange += _strange_lines(scene, findings)
    if any(found.fault == "swapped" for found in instruments):
        findings = []
    return _verdict(findings, instruments, strange, scene)


# --- sensors and speed -----------------------------------------------------------------------------------------------


def _sensors(record: Record) -> tuple[list[ChannelFinding], list[Channel]]:
    found: list[ChannelFinding] = []
    sound = []
    for channel in record.channels:
        others = [np.asarray(c.samples) for c in record.channels if c is not channel and c.unit == channel.unit]
        said = channel_health.health(channel.name, channel.samples, record.rate, others=others)
        found += said
        if not said:
            sound.append(channel)
    return found, sound


def _speed(record: Record) -> tuple[float, bool, ChannelFinding | None]:
    """(r/min, whether it ran away, what is wrong with the tacho)."""
    if record.tacho is None:
        return record.speed, False, None
    lost = channel_health.tacho(record.tacho, record.rate, record.speed)
    if lost is not None:
        return record.speed, False, lost
    pulses = pulse_times(record.tacho, record.rate)
    rates = 60 * record.rate / np.diff(pulses * record.rate)
    per_turn = 1.0
    if np.isfinite(record.speed) and record.speed > 0:
        per_turn = max(1.0, round(float(np.median(rates)) / record.speed))
    angle = angle_from_pulses(pulses, record.samples, record.rate, int(per_turn))
    rpm = speed_of(angle, record.rate)
    return float(np.nanmean(rpm)), is_transient(rpm, record.seconds), None


def _swapped(usable: list[Channel], rate: float, shaft: float) -> list[ChannelFinding]:
    pair = {channel.direction: channel for channel in usable}
    if "x" not in pair or "y" not in pair or pair["x"].quantity != "displacement":
        return []
    x, y = pair["x"], pair["y"]
    said = channel_health.swapped(x.samples, y.samples, rate, shaft, names=(x.name, y.name))
    return [said] if said else []


def _spectra(usable: list[Channel], rate: float, shaft: float, tolerance: float) -> tuple[float, list[Lines]]:
    fine = [Lines(channel, rate) for channel in usable]
    return refined_shaft(fine, shaft, tolerance), fine


def _boundary(machine: Machine, shaft: float) -> float:
    """B/C: mm/s RMS on casings, µm peak to peak on shafts."""
    if machine.support == "fluid-film":
        return shaft_boundaries(60 * shaft, machine.clearance if np.isfinite(machine.clearance) else None)[1]
    return boundaries("velocity", machine.group, machine.foundation)[1]


# --- evidence --------------------------------------------------------------------------------------------------------


def _impacts(usable: list[Channel], scene: Scene, record: Record) -> tuple[list[Judgement], list[Evidence]]:
    """Bearings and teeth, from the envelopes; and what strikes without being anybody's."""
    machine = scene.machine
    found: list[Judgement] = []
    strange: list[Evidence] = []
    highest = max(bearings.highest_order(machine.bearings), 6.0)
    struck = False
    for channel in usable:
        if channel.quantity == "displacement":
            continue
        samples = np.asarray(channel.samples, dtype=np.float64)
        impacts = Impacts(samples, record.rate, scene.shaft, highest=highest, tolerance=0.003)
        tooth = _tooth(impacts, scene, channel) if machine.gears else None
        candidates = bearings.examine(impacts, machine.bearings, channel.name) if machine.bearings else []
        decided = [c for c in candidates if c.decided]
        for c in candidates:
            quality = c.quality if c.decided else min(c.quality, -0.02)
            found.append(Judgement(c.mode, quality, c.doubt, c.evidence, c.component))
        if tooth is not None and not decided:
            found.append(tooth)
        struck = struck or bool(decided) or (tooth is not None and tooth.quality > 0)
        if not decided:
            other = bearings.unlisted(impacts, machine.bearings, channel.name)
            kurtosis = float(np.max(impacts.envelopes[0].kurtosis))
            if other is not None:
                strange.append(other)
            elif kurtosis > IMPULSIVE:
                strange.append(
                    Evidence("waveform", channel.name, f"blows (spectral kurtosis {kurtosis:.1f}) without a rate")
                )
    return found, [] if struck else strange


def _tooth(impacts: Impacts, scene: Scene, channel: Channel) -> Judgement | None:
    """A blow per turn of the geared shaft."""
    family = impacts.per_turn(_DAMPING_BANDS * scene.shaft)
    if family is None:
        return None
    strength, depth, decay, kurtosis, band, lines = family
    quality, doubt = rules.weakest(
        ((strength - 15.0) / 6, "the blows hardly stand out"),
        ((depth - 0.35) / 0.25, "the blows carry little of the band's power"),
        ((decay - 0.3) / 0.2, "few multiples: a swing, no blow"),
        ((kurtosis - 0.8) / 1.0, "no blows in the waveform"),
    )
    evidence = tuple(
        Evidence(
            "envelope",
            channel.name,
            f"{h}×1 per turn, envelope of {band.low:.0f}–{band.high:.0f} Hz",
            h * scene.shaft,
            hz,
            float(h),
            over_db=over,
            band=(band.low, band.high),
        )
        for h, hz, over in lines
    )
    return Judgement("gear_tooth", quality, doubt, evidence, next(iter(scene.machine.gears)))


def _spectral(scene: Scene) -> list[Judgement]:
    found: list[Judgement] = [rules.unbalance(scene), rules.misalignment(scene)]
    if scene.machine.support == "fluid-film":
        return [*found, rules.rub(scene), *rules.oil_film(scene)]
    found.append(rules.looseness(scene))
    for rule in (rules.electrical, rules.rotor_bars, rules.blade_pass):
        said = rule(scene)
        if said is not None:
            found.append(said)
    return [*found, *rules.gear_wear(scene)]


def _settled(found: list[Judgement], machine: Machine) -> list[Judgement]:
    """One judgement per mode and component, the best; what another mode explains is stepped back."""
    best: dict[tuple[str, str], Judgement] = {}
    for said in found:
        if machine.modes and said.mode not in machine.modes:
            continue
        key = (said.mode, said.component)
        if key not in best or said.quality > best[key].quality:
            best[key] = said
    decided = {mode for (mode, _), said in best.items() if said.quality > 0}
    stepped = []
    for said in best.values():
        by = next((other for other in _EXPLAINS.get(said.mode, ()) if other in decided), None)
        if by is not None and said.quality > 0:
            title = known_modes()[by].title.lower()
            said = Judgement(said.mode, -0.05, f"explained by: {title}", said.evidence, said.component)
        stepped.append(said)
    return sorted(stepped, key=lambda said: -said.quality)


_EXPLAINS: Final = {
    # broken bars pull unevenly once per turn: their 1× is not the balance's
    "unbalance": ("misalignment", "looseness", "rotor_bars"),
    "misalignment": ("looseness",),
    "blade_pass": ("looseness",),
    "gear_wear": ("gear_tooth",),
    "gear_tooth": ("bearing_outer", "bearing_inner", "bearing_element", "bearing_cage"),
    "oil_whirl": ("rub", "oil_whip"),
    "oil_whip": ("rub",),
    "rotor_bars": ("looseness",),
}


def _strange_lines(scene: Scene, found: list[Judgement]) -> list[Evidence]:
    """Lines, or a hump, that matter by the zones and belong to nothing known."""
    decided = {said.mode for said in found if said.quality > 0}
    explained = rules.explained_frequencies(scene, decided)
    strange: dict[str, Evidence] = {}
    rolling = scene.machine.support == "rolling"
    top = 30 * scene.shaft if rolling else 5 * scene.shaft
    lowest = highpass_for(60 * scene.shaft) if rolling else 0.08 * scene.shaft
    for lines in scene.fine:
        for seen in lines.outstanding(lowest, min(top, 1000.0), 0.25 * scene.boundary, 12.0):
            if not explained(seen.frequency):
                what = f"line at {seen.frequency / scene.shaft:.3f}× that belongs to nothing known"
                strange.setdefault(lines.channel.name, scene.evidence(lines, what, float("nan"), seen))
                break
        whole = lines.rms(lowest, 1000.0)
        known = np.sqrt(sum(scene.order(lines, k).level ** 2 for k in (0.5, *range(1, 13))))
        if np.isfinite(scene.machine.line_frequency):
            known = np.hypot(known, lines.at(2 * scene.machine.line_frequency).level)
        if not decided and whole > scene.boundary and known < 0.6 * whole and lines.unit == "mm/s":
            strange.setdefault(
                lines.channel.name,
                Evidence(
                    "spectrum", lines.channel.name, "broad-band vibration without lines", level=whole, unit=lines.unit
                ),
            )
    return list(strange.values())


# --- verdict ---------------------------------------------------------------------------------------------------------

LISTED: Final = -0.35
"""Quality from which on a mode is listed although it is not decided."""


def confidence(quality: float) -> float:
    """Probability that a mode of this quality is there, as measured by the judge on machines it drew
    (docs/reference/diagnosis.md)."""
    if quality <= 0:
        return round(0.5 * float(np.exp(3 * max(quality, -3.0))), 3)
    return round(min(0.99, 1 / (1 + float(np.exp(-(1.8 + 3.0 * quality))))), 3)


def _finding(said: Judgement) -> Finding:
    mode = known_modes()[said.mode]
    return Finding(
        said.mode, said.component, mode.title, confidence(said.quality), said.quality > 0, said.evidence, mode.confirm,
        mode.refute, mode.action, said.doubt,
    )  # fmt: skip


def _verdict(
    judged: list[Judgement], instruments: list[ChannelFinding], strange: list[Evidence], scene: Scene
) -> Diagnosis:
    findings = tuple(_finding(said) for said in judged if said.quality > LISTED)
    decided = [finding for finding in findings if finding.decided]
    common: dict[str, Any] = {
        "findings": findings, "instruments": tuple(instruments), "unexplained": tuple(strange),
        "speed": 60 * scene.shaft, "severity": _severity(scene),
    }  # fmt: skip
    if decided:
        names = ", ".join(f"{f.title.lower()}{f' ({f.component})' if f.component else ''}" for f in decided)
        sure = float(np.prod([finding.confidence for finding in decided]))
        return Diagnosis("fault", round(sure, 3), names, **common)
    if instruments:
        worst = max(instruments, key=lambda found: found.confidence)
        return Diagnosis("instrument", worst.confidence, f"{worst.channel}: {worst.why}", **common)
    if strange:
        return Diagnosis("abstained", 0.0, f"not one of the modes listed: {strange[0].sentence()}", **common)
    if findings:
        first = findings[0]
        return Diagnosis("abstained", 0.0, f"{first.title.lower()} is possible, but {first.doubt}", **common)
    return Diagnosis("healthy", 0.95, "no mode has evidence, and nothing stands out that matters", **common)


def _severity(scene: Scene) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for lines in scene.fine:
        if lines.unit != "mm/s":
            continue
        value = lines.rms(highpass_for(60 * scene.shaft), 1000.0)
        ab, bc, cd = boundaries("velocity", scene.machine.group, scene.machine.foundation)
        zone = "ABCD"[int(value >= ab) + int(value >= bc) + int(value >= cd)]
        out[lines.channel.name] = {"velocity_rms": value, "unit": "mm/s", "zone": zone, "standard": "ISO 20816-3"}
    return out


def _abstain(instruments: list[ChannelFinding], reason: str, speed: float) -> Diagnosis:
    if instruments:
        worst = max(instruments, key=lambda found: found.confidence)
        return Diagnosis(
            "instrument", worst.confidence, f"{worst.channel}: {worst.why}; {reason}", instruments=tuple(instruments)
        )
    return Diagnosis("abstained", 0.0, reason, speed=speed)


def _without_machine(instruments: list[ChannelFinding], reason: str) -> Diagnosis:
    return _abstain(instruments, reason, float("nan"))
