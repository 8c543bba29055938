"""How often is the diagnosis right? Cases drawn at the time of the test, counted by class.

``python -m tests.judges.diagnosis.judge [--each N] [--seed S] [--json]``: the full judge (``make diagnosis``).
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.diagnosis import diagnose
from models.diagnosis.finding import Diagnosis
from tests.judges.diagnosis import page
from tests.judges.diagnosis.generator import CLASSES, Case, draw


@dataclass(frozen=True, slots=True)
class Judged:
    """``decided``: something was claimed; ``right``: and it is so."""

    kind: str
    detail: str
    snr: float
    decided: bool
    right: bool
    confidence: float
    said: str


def judge(case: Case, said: Diagnosis) -> Judged:
    """Claims against the truth.

    A fault: the modes decided are those that are there; of two at once, one may be only listed. Healthy: said so. A
    sensor: named, and no machine fault decided. Unlisted: no claim at all is what is wanted, so any claim is wrong.
    """
    modes = {finding.mode for finding in said.decided}
    listed = {finding.mode for finding in said.findings}
    decided = said.verdict != "abstained"
    if case.kind == "sensor":
        right = not modes and case.sensor in {found.channel for found in said.instruments}
    elif case.kind == "healthy":
        right = said.verdict == "healthy"
    elif case.kind == "two":
        right = bool(modes) and modes <= case.truth and case.truth <= listed
    elif case.kind == "unlisted":
        right = not decided
    else:
        right = modes == case.truth and said.verdict == "fault"
    what = said.verdict if not modes else "+".join(sorted(modes))
    if said.instruments:
        what += " " + ",".join(f"{found.channel}:{found.fault}" for found in said.instruments)
    return Judged(case.kind, case.detail, case.snr, decided, right, said.confidence, what)


def run(each: int, seed: int, classes: tuple[str, ...] = CLASSES) -> list[Judged]:
    """``each`` cases of each class."""
    judged = []
    for kind in classes:
        for k in range(each):
            case = draw(kind, seed + k)
            judged.append(judge(case, diagnose(case.record, case.machine)))
    return judged


def figures(judged: list[Judged]) -> dict[str, Any]:
    """Shares by class, and the expected calibration error over all that was claimed (ten equal bins)."""
    by: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by[one.kind].append(one)
    classes = {}
    for kind, found in by.items():
        claimed = [one for one in found if one.decided]
        right = sum(one.right for one in claimed)
        classes[kind] = {
            "cases": len(found),
            "decided": len(claimed),
            "right": right if kind != "unlisted" else None,
            "abstained": len(found) - len(claimed),
        }
    claims = [one for one in judged if one.decided]
    return {"classes": classes, "ece": round(calibration_error(claims), 4), "claims": len(claims)}


def calibration_error(claims: list[Judged], bins: int = 10) -> float:
    """Mean over claims of |confidence - share right| by bins of confidence (Guo et al. 2017)."""
    if not claims:
        return 0.0
    confidence = np.array([one.confidence for one in claims])
    right = np.array([one.right for one in claims], dtype=float)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(
        sum(
            (place == k).mean() * abs(confidence[place == k].mean() - right[place == k].mean())
            for k in range(bins)
            if (place == k).any()
        )
    )


def main() -> int:
    """Print the table; the exit code says whether every promise holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=40, help="cases per class")
    parser.add_argument("--seed", type=int, default=None, help="default: drawn now")
    parser.add_argument("--only", default="", help="classes, separated by commas")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", action="store_true", help="write the figures into the reference page")
    parser.add_argument("--wrong", action="store_true", help="list what was not right")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else secrets.randbelow(2**31)
    classes = tuple(args.only.split(",")) if args.only else CLASSES
    begun = time.process_time()
    judged = run(args.each, seed, classes)
    found = figures(judged) | {"seed": seed, "cpu_seconds": round(time.process_time() - begun, 1)}
    held = promises(found)
    if args.page:
        page.replace("judge", page.judged(found))
    if args.json:
        json.dump(found | {"held": held}, sys.stdout, indent=2)
        print()
    else:
        print(f"{'class':<18}{'cases':>6}{'decided':>9}{'right of decided':>18}")
        for kind, row in found["classes"].items():
            share = "–" if row["right"] is None else f"{100 * row['right'] / max(1, row['decided']):.0f} %"
            print(f"{kind:<18}{row['cases']:>6}{100 * row['decided'] / row['cases']:>7.0f} %{share:>18}")
        print(f"expected calibration error {found['ece']:.3f} over {found['claims']} claims")
        print(f"seed {seed}, {found['cpu_seconds']} CPU-s")
    if args.wrong:
        for one in judged:
            if not one.right:
                print(f"{one.kind:<16} {one.detail:<28} {one.snr:5.1f} dB  said {one.said} ({one.confidence:.2f})")
    return 0 if held else 1


def promises(found: dict[str, Any]) -> bool:
    """Every class 80 % decided and 85 % of that right, unlisted 80 % abstained, calibration within 0.1."""
    for kind, row in found["classes"].items():
        if kind == "unlisted":
            if row["abstained"] < 0.8 * row["cases"]:
                return False
        elif row["decided"] < 0.8 * row["cases"] or row["right"] < 0.85 * row["decided"]:
            return False
    return bool(found["ece"] <= 0.1)


if __name__ == "__main__":
    sys.exit(main())
