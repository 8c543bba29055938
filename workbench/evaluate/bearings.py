"""``servitize evaluate bearings``: which part of a bearing is damaged, on recordings whose truth is in their names.

Nothing is learned from them. A record is *decided* where the engine names a part; *right* where it is the one the name
gives and no other; a normal record for which any part is named is *flagged*. What is not decided is abstained from,
with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.errors import InvalidInputError
from models.diagnosis import Channel, Diagnosis, Machine, Record, diagnose
from models.diagnosis.knowledge import modes_of
from models.vibration.bearings import Bearing, bearing
from workbench.diagnose import files

PART: Final = {"bearing_outer": "OR", "bearing_inner": "IR", "bearing_element": "B", "bearing_cage": "FTF"}

_WORDS: Final = (
    (r"(?<![a-z])(normal|baseline|healthy|good)", "normal"),
    (r"outer|(?<![a-z])or(?![a-z])", "OR"),
    (r"inner|(?<![a-z])ir(?![a-z])", "IR"),
    (r"ball|roller|element|(?<![a-z])b(?![a-z])", "B"),
    (r"cage|(?<![a-z])ftf(?![a-z])", "FTF"),
)


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says. ``truth``: OR, IR, B, FTF, normal, or nothing; ``end``: DE or FE, where the fault is."""

    truth: str
    speed: float = float("nan")
    rate: float = float("nan")
    end: str = ""


def read_name(path: Path) -> Named:
    """CWRU (``1797_OR@6_21_DE12``, ``1797_Normal``), MFPT (``OuterRaceFault_1``, ``baseline_1``), or plain words.

    ``DE12`` is a fault at the drive end, sampled at 12 kHz; CWRU's normal records are sampled at 48 kHz.

    >>> read_name(Path("1797_OR@6_21_DE12.npz"))
    Named(truth='OR', speed=1797.0, rate=12000.0, end='DE')
    """
    stem = path.stem
    plain = re.sub(r"([a-z])([A-Z])", r"\1_\2", stem).lower()
    truth = next((part for pattern, part in _WORDS if re.search(pattern, plain.replace("_", " "))), "")
    speed = rate = float("nan")
    end = ""
    if found := re.match(r"(\d{3,5})_", stem):
        speed = float(found[1])
        if truth == "normal":
            rate = 48_000.0
    if found := re.search(r"_(DE|FE)(\d{2})(?:_|$)", stem):
        end, rate = found[1], 1000.0 * float(found[2])
    return Named(truth, speed, rate, end)


@dataclass(frozen=True, slots=True)
class Judged:
    """One record and what was said of it."""

    path: Path
    named: Named
    channel: str
    rate: float
    speed: float
    bearing: str
    said: Diagnosis

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(PART[finding.mode] for finding in self.said.decided if finding.mode in PART)

    @property
    def decided(self) -> bool:
        return bool(self.parts)

    @property
    def right(self) -> bool:
        return set(self.parts) == {self.named.truth}


def evaluate_bearings(
    folder: Path,
    *,
    given: Bearing | None = None,
    channel: str | None = None,
    rate: float | None = None,
    speed: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Judged]:
    """Judge each recording of a folder. What is not given is taken from the name, then from the file.

    A recording without the channel asked for is left out. Raises where no recording is left, or where one leaves rate,
    speed or bearing open.
    """
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in files.KINDS) if folder.is_dir() else [folder]
    if not paths:
        raise InvalidInputError(f"{folder} has no recording", hint=f"files ending in {', '.join(files.KINDS)}")
    judged = []
    for path in paths:
        if progress is not None:
            progress(path.name)
        recording = files.read(path)
        if channel is None or _has(recording, channel):
            judged.append(_judge(path, recording, given, channel, rate, speed))
    if not judged:
        raise InvalidInputError(f"no recording in {folder} has a channel {channel!r}")
    return judged


def _judge(
    path: Path,
    recording: files.Recording,
    given: Bearing | None,
    channel: str | None,
    rate: float | None,
    speed: float | None,
) -> Judged:
    named = read_name(path)
    wanted = channel or named.end or ("DE" if _has(recording, "DE") else None)
    name, samples = recording.channel(wanted)
    hertz = _known(rate, named.rate, recording.rate)
    rpm = _known(speed, named.speed, recording.speed)
    if hertz is None:
        raise InvalidInputError(f"the sampling rate of {path.name} is not known", hint="give it: --rate HZ")
    if rpm is None:
        raise InvalidInputError(f"the speed of {path.name} is not known", hint="give it: --rpm N")
    looked = given or _usual(path, named, name, recording)
    machine = Machine(path.stem, {"bearing": looked}, modes=modes_of("bearing"))
    record = Record(hertz, (Channel(name, samples, "g", "radial", "bearing"),), rpm)
    return Judged(path, named, name, hertz, rpm, looked.name, diagnose(record, machine))


def _has(recording: files.Recording, channel: str) -> bool:
    try:
        recording.channel(channel)
    except InvalidInputError:
        return False
    return True


def _known(*values: float | None) -> float | None:
    return next((value for value in values if value is not None and np.isfinite(value) and value > 0), None)


def _usual(path: Path, named: Named, channel: str, recording: files.Recording) -> Bearing:
    """The rig's own bearing, by the name's form."""
    if path.suffix.lower() == ".mat" and "gs" in recording.channels:
        return bearing("NICE")
    if named.end == "FE" or (not named.end and channel.upper().startswith("FE")):
        return bearing("6203-2RS")
    if named.end == "DE" or named.truth == "normal" or channel.upper() == "DE":
        return bearing("6205-2RS")
    raise InvalidInputError(f"the bearing of {path.name} is not known", hint="give it: --bearing 6205, or --multiples")


# --- figures ---------------------------------------------------------------------------------------------------------


def figures(judged: list[Judged]) -> dict[str, Any]:
    """The document of ``--json``. ``decided``, ``right`` and ``wrong`` count records with a fault in their name."""
    faults = [one for one in judged if one.named.truth not in ("normal", "")]
    normals = [one for one in judged if one.named.truth == "normal"]
    decided = [one for one in faults if one.decided]
    right = sum(one.right for one in decided)
    return {
        "records": len(judged),
        "faults": len(faults),
        "normals": len(normals),
        "decided": len(decided),
        "right": right,
        "wrong": len(decided) - right,
        "normal_flagged": sum(one.decided for one in normals),
        "per_record": [_row(one) for one in judged],
    }


def _row(one: Judged) -> dict[str, Any]:
    first = one.said.findings[0] if one.said.findings else None
    lines = [evidence for evidence in (first.evidence if first else ()) if np.isfinite(evidence.expected)]
    row: dict[str, Any] = {
        "file": one.path.name,
        "truth": one.named.truth or None,
        "said": "+".join(one.parts) or "none",
        "decided": one.decided,
        "right": one.right if one.decided else None,
        "confidence": first.confidence if first else None,
        "candidate": PART.get(first.mode) if first else None,
        "why": one.said.reason,
        "channel": one.channel,
        "rate": one.rate,
        "rpm": one.speed,
        "bearing": one.bearing,
        "lines": [
            {
                "what": evidence.what,
                "expected": round(evidence.expected, 3),
                "found": round(evidence.found, 3),
                "over_db": round(evidence.over_db, 1) if np.isfinite(evidence.over_db) else None,
            }
            for evidence in lines
        ],
    }
    return row


def table(document: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Rows for a person: file, truth, said, confidence, first line found."""
    rows = []
    for one in document["per_record"]:
        line = one["lines"][0] if one["lines"] else None
        seen = (
            f"{line['what'].split(' of ')[0]} at {line['found']:.1f} Hz (expected {line['expected']:.1f}), "
            f"{line['over_db']:.0f} dB"
            if line and line["over_db"] is not None
            else one["why"]
        )
        mark = {True: "right", False: "WRONG", None: ""}[one["right"]] if one["truth"] != "normal" else ""
        rows.append((one["file"], one["truth"] or "?", one["said"], mark, seen if one["decided"] else one["why"]))
    return rows
