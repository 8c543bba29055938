"""What a case rests on: which waveforms, what is seen in them, what it may mean. Computed once, then frozen. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from core.errors import InvalidInputError, NotFoundError
from core.parcels import Purpose
from core.time import SECOND
from models.diagnosis import Channel, Machine, Record
from models.vibration import curves
from models.vibration.envelope import Band
from models.vibration.features import features
from models.vibration.orders import angle_from_pulses
from models.vibration.places import tacho_signal
from models.vibration.transients import capture
from services.api.database import Row
from services.diagnosis.places import Places, Samples

LOOK_BACK: Final = timedelta(days=60)
AFTERWARDS: Final = timedelta(minutes=10)
"""A waveform that ends that soon after the moment still belongs to it."""
HISTORY: Final = 16
"""Waveforms between the first and the last that a waterfall shows."""
TREND_POINTS: Final = 300
SPECTRUM_TOP: Final = 2_000.0
"""Hz, for spectra of housings: what is above is for the envelope."""
WATERFALL_ORDERS: Final = 16.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """Ids of the waveforms: what there is now, what it was at first, and some between, oldest first."""

    present: int | None
    baseline: int | None
    history: tuple[int, ...]

    def parts(self) -> tuple[list[int], list[str]]:
        """For the database: ids and the part each plays."""
        found: dict[int, str] = dict.fromkeys(self.history, "history")
        if self.baseline is not None:
            found[self.baseline] = "baseline"
        if self.present is not None:
            found[self.present] = "present"
        return list(found), list(found.values())


def choose(rows: Sequence[Row], channels: Sequence[str], about: datetime) -> Chosen:
    """Out of the statement ``waveform_times``: of the waveforms with the most of ``channels``, the last before
    ``about`` (or just behind it), the first, and some at equal steps between. A run-up is none of them: nothing in it
    is steady enough to be compared."""
    fitting = [row for row in rows if row["ts"] <= about + AFTERWARDS and row["purpose"] != Purpose.TRANSIENT]
    if not fitting:
        return Chosen(None, None, ())
    most = max(len(set(channels) & set(row["channels"])) for row in fitting)
    fitting = [row for row in fitting if len(set(channels) & set(row["channels"])) == most]
    ids = [int(row["id"]) for row in fitting]
    steps = np.unique(np.linspace(0, len(ids) - 1, min(HISTORY, len(ids))).round().astype(int))
    return Chosen(ids[-1], ids[0] if len(ids) > 1 else None, tuple(ids[i] for i in steps))


@dataclass(frozen=True, slots=True)
class Evidence:
    """``diagnosis``: its document; ``frozen``: curves by name, trends, the waveforms' parts."""

    diagnosis: dict[str, Any]
    frozen: dict[str, Any] = field(default_factory=dict)


def judge(places: Places, component: str, present: Samples, baseline: Samples | None) -> dict[str, Any]:
    """What the present waveform says of ``component``, as a document; what cannot be judged says why."""
    from models.diagnosis.engine import diagnose  # with its knowledge: only who diagnoses loads it

    channels = [i for i in places.at(component) if i.channel in present.channels]
    if not channels:
        return abstained("no channel of this component is in the waveform")
    first = channels[0].definition
    place = places.place(present, channels[0].channel)
    named = [
        Channel(
            i.channel,
            present.of(i.channel).astype(np.float64),
            present.units[present.channels.index(i.channel)],
            _direction(places, i.channel),
            component,
        )
        for i in channels
    ]
    tacho = tacho_signal(present) if first.ratio == 1.0 else None
    told: Mapping[str, Any] = {key: value for i in channels for key, value in i.definition.machine.items()}
    machine = Machine(
        name=places.type.name,
        bearings={component: place.bearing} if place.bearing is not None else {},
        gears={component: place.gear} if place.gear is not None else {},
        blades=int(told.get("blades", 0)),
        support=str(told.get("support", "rolling")),
        critical_speed=float(told.get("critical_speed", math.nan)),
        line_frequency=float(told.get("line_frequency", math.nan)),
        poles=int(told.get("poles", 0)),
        group=int(told.get("group", 1)),
        foundation=str(told.get("foundation", "flexible")),
        baseline=_levels(places, component, baseline) if baseline is not None else {},
    )
    try:
        record = Record(present.rate, tuple(named), place.speed, tacho, present.ts)
        return dict(diagnose(record, machine).document())
    except InvalidInputError as error:
        return abstained(str(error))


def abstained(reason: str) -> dict[str, Any]:
    """A diagnosis that says nothing, and why."""
    return {
        "verdict": "abstained",
        "abstained": True,
        "confidence": 0.0,
        "reason": reason,
        "findings": [],
        "decided": [],
        "instruments": [],
        "unexplained": [],
        "speed": None,
        "severity": {},
    }


def _direction(places: Places, channel: str) -> str:
    pair = places.pair(channel)
    if pair is None:
        return "radial"
    return "x" if channel < pair else "y"


def _levels(places: Places, component: str, baseline: Samples) -> dict[str, dict[str, float]]:
    """Feature levels of the first waveform, by channel."""
    found = {}
    for instance in places.at(component):
        if instance.channel in baseline.channels:
            place = places.place(baseline, instance.channel)
            samples = baseline.of(instance.channel).astype(np.float64)
            found[instance.channel] = dict(features(samples, baseline.rate, unit=place.unit, speed=place.speed))
    return found


def pictures(
    places: Places, component: str, present: Samples, history: Sequence[Samples], said: Mapping[str, Any]
) -> dict[str, Any]:
    """Curves of a case by name, as documents; envelopes in the bands that what was ``said`` speaks of."""
    found: dict[str, Any] = {}
    bands = bands_of(said)
    for instance in places.at(component):
        channel = instance.channel
        if channel not in present.channels:
            continue
        place = places.place(present, channel)
        samples = present.of(channel)
        housing = place.unit != "um"
        top = SPECTRUM_TOP if housing else min(present.rate / 2, 10.0 * place.speed / 60.0 if place.speed > 0 else 1e9)
        found[f"{channel}.spectrum"] = curves.spectrum(samples, present.rate, place, top=top).document()
        found[f"{channel}.waveform"] = curves.waveform(samples, present.rate, place).document()
        records = [(s.ts, s.of(channel), s.rate * slower(s, present)) for s in history if channel in s.channels]
        if housing:
            found[f"{channel}.envelope"] = curves.envelope(samples, present.rate, place, bands.get(channel)).document()
        if len(records) > 1:
            span = WATERFALL_ORDERS * place.speed / 60.0 if place.speed > 0 else 500.0
            fall = curves.waterfall(records, place, top=min(span, present.rate / 2), enveloped=housing)
            found[f"{channel}.waterfall"] = fall.document()
        pair = places.pair(channel)
        if pair is not None and pair in present.channels and channel < pair:
            found[f"{channel}.orbit"] = orbit_of(places, present, channel, pair).document()
    return found


def bands_of(said: Mapping[str, Any]) -> dict[str, Band]:
    """By channel the band of the foremost evidence that was found in an envelope."""
    found: dict[str, Band] = {}
    for finding in said["findings"]:
        for entry in finding["evidence"]:
            if entry["band"] is not None:
                found.setdefault(entry["channel"], Band(*entry["band"]))
    return found


def slower(samples: Samples, present: Samples) -> float:
    """What makes one waveform's orders stand where those of ``present`` do: its rate times this."""
    if not (samples.speed > 0 and present.speed > 0):
        return 1.0
    return present.speed / samples.speed


def orbit_of(places: Places, samples: Samples, x: str, y: str) -> curves.Curve:
    """The shaft's path seen by a pair of probes."""
    angle = None
    if len(samples.tacho) > 1:
        angle = angle_from_pulses(samples.tacho, samples.samples.shape[1], samples.rate)
    return curves.orbit(samples.of(x), samples.of(y), angle, places.place(samples, x), rate=samples.rate)


def bode_of(places: Places, samples: Samples, channel: str) -> curves.Curve:
    """Amplitude and phase of 1x over speed, in steps of 25 r/min or 2 s; needs a tacho (a run-up, a coast-down)."""
    if len(samples.tacho) < 2:
        raise NotFoundError("this waveform has no tacho", hint="a device that sends `tacho` makes it a Bode plot")
    angle = angle_from_pulses(samples.tacho, samples.samples.shape[1], samples.rate)
    return curves.bode(capture(samples.of(channel), angle, samples.rate), places.place(samples, channel))


def trend(row: Row, readings: Sequence[Row]) -> dict[str, Any]:
    """A point's readings as they are frozen: µs and values, what is bad or unknown left out."""
    kept = [r for r in readings if r["value"] is not None and r["quality"] >= 64 and math.isfinite(r["value"])]
    return {
        "point": row["key"],
        "title": row["description"] or row["key"],
        "unit": row["unit"],
        "at": [round(r["ts"].timestamp() * SECOND) for r in kept],
        "values": [float(f"{r['value']:.6g}") for r in kept],
    }
