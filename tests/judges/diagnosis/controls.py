"""Bearings on recordings whose truth is in their names, and the controls: what must *not* be found.

``python -m tests.judges.diagnosis.controls --data DIR [--seed S] [--rounds N] [--page]``: DIR holds recordings named as
CWRU names them. Nothing is learned from them.

Controls: each faulty record with a wrong geometry (each line moved by 7 to 15 %, clear of the true lines, their
multiples and the shaft's); drive-end faults with the fan-end bearing's lines; the normal record cut into blocks of a
second; and a hundred healthy machines drawn by lot.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path

import numpy as np

from models.diagnosis import Channel, Machine, Record, diagnose
from models.diagnosis.knowledge import modes_of
from models.vibration.bearings import Bearing, bearing, from_multiples
from tests.judges.diagnosis import page
from tests.judges.diagnosis.generator import draw
from workbench.diagnose import files
from workbench.evaluate.bearings import Judged, evaluate_bearings, figures, read_name

_SPOKEN = {"BPFO": "OR", "BPFI": "IR", "BSF2": "B", "FTF": "FTF"}


def moved(true: Bearing, rng: np.random.Generator) -> Bearing:
    """Each line 7 to 15 % off, up or down, clear of what is really there."""
    there = [h * order for line, order in true.multiples.items() if line != "FTF" for h in (0.5, 1, 2, 3)]
    there += [float(k) for k in range(1, 13)]
    wrong = {}
    for line, order in true.multiples.items():
        for _ in range(1000):
            tried = order * (1 + float(rng.choice([-1, 1])) * float(rng.uniform(0.07, 0.15)))
            if line == "FTF" or min(abs(tried / known - 1) for known in there) > 0.025:
                break
        wrong[_SPOKEN[line]] = tried
    return from_multiples("wrong", wrong)


def blocks(data: Path) -> tuple[int, int]:
    """(blocks of a second of the normal records, of them flagged), each channel with its own bearing."""
    count = flagged = 0
    for path in sorted(data.iterdir()):
        named = read_name(path)
        if path.suffix.lower() not in files.KINDS or named.truth != "normal":
            continue
        for name, samples in files.read(path).channels.items():
            known = bearing("6203" if name.upper().startswith("FE") else "6205")
            machine = Machine("normal", {"bearing": known}, modes=modes_of("bearing"))
            size = int(named.rate)
            for begin in range(0, len(samples) - size + 1, size):
                part = Channel(name, samples[begin : begin + size], "g", "radial", "bearing")
                count += 1
                flagged += bool(diagnose(Record(named.rate, (part,), named.speed), machine).decided)
    return count, flagged


def main() -> int:
    """Print the figures; the exit code says whether the promises hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=2, help="wrong geometries per record")
    parser.add_argument("--healthy", type=int, default=100, help="healthy machines to draw")
    parser.add_argument("--page", action="store_true", help="write the figures into the reference page")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else secrets.randbelow(2**31)
    rng = np.random.default_rng(seed)
    judged = evaluate_bearings(args.data)
    found = figures(judged)
    faulty = [one for one in judged if one.named.truth not in ("", "normal")]
    wrong = _controls(faulty, args.rounds, rng)
    ends = [one for one in faulty if one.named.end == "DE"]
    other = _found(ends, from_multiples("fan end", {"IR": 4.947, "OR": 3.053, "B": 3.988, "FTF": 0.382}))
    count, flagged = blocks(args.data)
    sound = 0
    for k in range(args.healthy):
        case = draw("healthy", seed + k)
        sound += bool(diagnose(case.record, case.machine).decided)
    rows = [
        ("records with a fault", "{faults}: {decided} decided, {right} right, {wrong} wrong".format_map(found)),
        ("normal records", f"{found['normals']}: {found['normal_flagged']} flagged"),
        ("wrong geometry", f"{args.rounds * len(faulty)}: {wrong} decided"),
        ("drive-end faults with the fan-end bearing's lines", f"{len(ends)}: {other} decided"),
        ("normal record in blocks of 1 s", f"{count}: {flagged} flagged"),
        ("healthy machines drawn by lot", f"{args.healthy}: {sound} flagged"),
    ]  # fmt: skip
    for what, value in rows:
        print(f"{what:<52}{value}")
    print(f"seed {seed}")
    if args.page:
        text = "| what | found |\n|---|---|\n" + "".join(f"| {what} | {value} |\n" for what, value in rows)
        kinds: dict[str, list[Judged]] = {}
        for one in faulty:
            kinds.setdefault(one.named.truth, []).append(one)
        parts = ", ".join(f"{k} {sum(o.decided for o in v)} of {len(v)}" for k, v in sorted(kinds.items()))
        page.replace("bearings", text + f"\nDecided by part: {parts}. Seed {seed}.\n")
    held = not found["wrong"] and not found["normal_flagged"] and not flagged and not sound
    return 0 if held and wrong <= 0.05 * args.rounds * len(faulty) and other <= 0.05 * len(ends) else 1


def _controls(faulty: list[Judged], rounds: int, rng: np.random.Generator) -> int:
    decided = 0
    for one in faulty:
        for _ in range(rounds):
            decided += _found([one], moved(bearing(one.bearing), rng))
    return decided


def _found(records: list[Judged], given: Bearing) -> int:
    return sum(one.decided for record in records for one in evaluate_bearings(record.path, given=given))


if __name__ == "__main__":
    sys.exit(main())
