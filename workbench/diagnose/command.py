"""``servitize diagnose``: read, diagnose, tell, draw."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InvalidInputError
from models.diagnosis import Channel, Diagnosis, Machine, Record, diagnose
from models.diagnosis.views import views
from models.vibration.bearings import Bearing
from models.vibration.gears import Gear
from workbench.diagnose import files
from workbench.evaluate.bearings import read_name


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says of recording and machine; None or empty: look into name and file."""

    rpm: float | None = None
    rate: float | None = None
    channel: str | None = None
    unit: str = "g"
    bearing: Bearing | None = None
    gear: str = ""
    line: float | None = None
    poles: int = 0
    blades: int = 0


def diagnose_command(path: Path, wanted: Wanted, *, plot: Path | None = None, as_json: bool = False) -> int:
    """Print what was found; the exit code is 0 whatever was found, errors raise."""
    if plot is not None and plot.suffix.lower() not in (".png", ".svg"):
        raise InvalidInputError(f"pictures are .png or .svg, not {plot.suffix or 'without ending'!r}")
    record, machine = understood(path, wanted)
    said = diagnose(record, machine)
    if plot is not None:
        from workbench.diagnose.picture import draw

        draw(views(record, machine, said), said, path.name, plot)
    if as_json:
        json.dump({"file": path.name, **_about(record, machine), **said.document()}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(told(path.name, record, machine, said))
        if plot is not None:
            sys.stdout.write(f"\npicture: {plot}\n")
    return 0


def understood(path: Path, wanted: Wanted) -> tuple[Record, Machine]:
    """The recording and the machine that file, name and command line describe together.

    Raises where the sampling rate or the speed stays unknown.
    """
    recording, named = files.read(path), read_name(path)
    rate = next((r for r in (wanted.rate, named.rate, recording.rate) if r is not None and np.isfinite(r)), None)
    if rate is None:
        raise InvalidInputError(f"the sampling rate of {path.name} is not known", hint="give it: --rate HZ")
    rpm = next((s for s in (wanted.rpm, named.speed, recording.speed) if s is not None and np.isfinite(s)), None)
    if rpm is None:
        raise InvalidInputError(f"the speed of {path.name} is not known", hint="give it: --rpm N")
    tacho = None
    channels = dict(recording.channels)
    if wanted.channel is not None:
        name, samples = recording.channel(wanted.channel)
        channels = {name: samples}
    else:
        for name in list(channels):
            if "tacho" in name.lower() or "keyphasor" in name.lower():
                tacho = channels.pop(name)
    if not channels:
        raise InvalidInputError(f"{path.name} has a tacho and no vibration")
    length = min(len(samples) for samples in channels.values())
    record = Record(
        rate,
        tuple(Channel(n, s[:length], wanted.unit, _direction(n), "bearing") for n, s in channels.items()),
        rpm,
        tacho[:length] if tacho is not None else None,
    )
    gears = {"gear": _gear(wanted.gear)} if wanted.gear else {}
    machine = Machine(
        path.stem,
        {"bearing": wanted.bearing} if wanted.bearing else {},
        gears,
        wanted.blades,
        wanted.line if wanted.line is not None else float("nan"),
        wanted.poles,
        support="fluid-film" if wanted.unit in ("um", "µm", "mil") else "rolling",
    )
    return record, machine


def _direction(name: str) -> str:
    plain = name.lower()
    if plain in ("a", "z") or "axial" in plain:
        return "axial"
    return plain if plain in ("x", "y") else "radial"


def _gear(text: str) -> Gear:
    try:
        first, _, second = text.partition("/")
        gear = Gear(int(first), int(second))
    except ValueError:
        raise InvalidInputError(f"{text!r} is no pair of gears", hint="teeth of both, e.g. --gear 23/81") from None
    if min(gear.teeth, gear.mate) < 4:
        raise InvalidInputError(f"{text!r}: a gear has at least 4 teeth")
    return gear


def _about(record: Record, machine: Machine) -> dict[str, Any]:
    return {
        "rate": record.rate,
        "seconds": round(record.seconds, 3),
        "channels": [channel.name for channel in record.channels],
        "bearings": {
            name: {"name": b.name, "hz": {k: round(v, 3) for k, v in b.lines(record.speed).items()}}
            for name, b in machine.bearings.items()
        },
    }


_WORD = {"fault": "FAULT", "healthy": "no fault found", "instrument": "INSTRUMENT", "abstained": "not decided"}


def told(name: str, record: Record, machine: Machine, said: Diagnosis) -> str:
    """The diagnosis as text."""
    channels = ", ".join(channel.name for channel in record.channels)
    lines = [f"{name}: {record.seconds:.1f} s at {record.rate:g} Hz, {said.speed:.0f} r/min, {channels}"]
    for b in machine.bearings.values():
        hertz = ", ".join(f"{k} {v:.1f}" for k, v in b.lines(said.speed).items())
        lines.append(f"bearing {b.name}: {hertz} Hz")
    lines.append("")
    sure = f" ({100 * said.confidence:.0f} %)" if said.confidence else ""
    lines.append(f"{_WORD[said.verdict]}{sure}: {said.reason}")
    for channel, found in said.severity.items():
        lines.append(f"  {channel}: {found['velocity_rms']:.2f} mm/s RMS, zone {found['zone']} of {found['standard']}")
    for instrument in said.instruments:
        lines.append(f"\n{instrument.channel}: {instrument.fault}\n  {instrument.why}")
    for finding in said.findings:
        state = "decided" if finding.decided else f"not decided: {finding.doubt}"
        lines.append(f"\n{finding.title}, {100 * finding.confidence:.0f} %, {state}")
        lines += [f"  {evidence.sentence()}" for evidence in finding.evidence]
        if finding.decided:
            lines.append(f"  confirm: {'; '.join(finding.confirm)}")
            lines.append(f"  refute: {'; '.join(finding.refute)}")
            lines.append(f"  do: {finding.action}")
    if said.unexplained:
        lines.append("\nbelongs to nothing listed:")
        lines += [f"  {evidence.sentence()}" for evidence in said.unexplained]
    return "\n".join(lines) + "\n"
