"""Which part of which rolling bearing is damaged, by the families of lines in the envelopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.diagnosis.finding import Evidence
from models.diagnosis.impacts import Family, Impacts
from models.vibration.bearings import PARTS, Bearing

FloatArray = NDArray[np.float64]

MODES: Final = {
    "BPFO": "bearing_outer",
    "BPFI": "bearing_inner",
    "BSF2": "bearing_element",
    "FTF": "bearing_cage",
}

SURE: Final = 0.6
"""Quality from which on a family stands although a rival is near."""

RIVAL: Final = -0.75
"""Quality from which on another part of the same bearing is a rival: both are named then and neither is decided."""

VISIBLE: Final = -0.35
"""Quality from which on a family is mentioned at all."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part of a bearing that may be damaged. ``quality`` as in :class:`~models.diagnosis.impacts.Family`."""

    mode: str
    component: str
    line: str
    channel: str
    family: Family
    decided: bool
    doubt: str
    evidence: tuple[Evidence, ...]

    @property
    def quality(self) -> float:
        return self.family.quality


def highest_order(bearings: Mapping[str, Bearing]) -> float:
    """The largest line of all bearings, in orders of the shaft."""
    return max((order for bearing in bearings.values() for order in bearing.multiples.values()), default=6.0)


def examine(impacts: Impacts, bearings: Mapping[str, Bearing], channel: str) -> list[Candidate]:
    """Candidates of one channel, best first. Each family decided is taken out before the next is looked for, with its
    sidebands, so that a second one stands by lines of its own."""
    found: list[Candidate] = []
    taken: list[tuple[str, str]] = []
    for _ in range(3):
        looked = {
            (component, line): _family(impacts, bearing, line)
            for component, bearing in bearings.items()
            for line in bearing.multiples
            if (component, line) not in taken
        }
        if not looked:
            break
        ranked = sorted(looked, key=lambda key: -looked[key].quality)
        component, line = ranked[0]
        best = looked[component, line]
        line, best, unclear = _told_apart(impacts, bearings[component], component, line, looked)
        ranked.sort(key=lambda key: key != (component, line))  # stable: the one chosen first, the rest by quality
        ftf = bearings[component].multiples.get("FTF")
        sides = (impacts.shaft, *((ftf * impacts.shaft,) if ftf else ()))
        rival = unclear or _rival(looked, component, line, best, sides)
        if best.quality <= 0 or rival:
            found += [
                _candidate(impacts, bearings[c], c, part, channel, looked[c, part], decided=False, doubt=rival)
                for c, part in ranked[:2]
                if looked[c, part].quality > VISIBLE
            ]
            break
        found.append(_candidate(impacts, bearings[component], component, line, channel, best, decided=True, doubt=""))
        taken.append((component, line))
        # the same line of an equal bearing elsewhere is the same family
        taken += [
            (c, other)
            for (c, other), family in looked.items()
            if c != component and abs(family.expected / best.expected - 1) < 0.5 * bearings[c].search
        ]
        # a damaged ring or element is loaded as the cage turns: the cage's rate is its modulation, no second fault
        taken.append((component, "FTF"))
        taken += [
            (component, other)
            for (c, other), family in looked.items()
            if c == component and abs(best.frequency / family.expected - 1) < 1.05 * bearings[c].search
        ]
        impacts.explain(best.frequency, sidebands=sides[1:])
    return found


def _family(impacts: Impacts, bearing: Bearing, line: str) -> Family:
    ftf = bearing.multiples.get("FTF")
    sides = (ftf,) if ftf and line != "FTF" else ()
    return impacts.family(bearing.multiples[line], bearing.search, side_orders=sides)


CAGE_SWING: Final = (0.12, 0.2)
"""Sidebands at the cage's rate over their line: below, a ring; above, an element, which the cage carries through
the load."""


def _told_apart(
    impacts: Impacts, bearing: Bearing, component: str, line: str, looked: Mapping[tuple[str, str], Family]
) -> tuple[str, Family, str]:
    """Where a ring's line and 2×BSF are so near that one line is both: an element's line swings with the cage.

    (line, family, what is unclear.)
    """
    best = looked[component, line]
    ftf = bearing.multiples.get("FTF")
    if line == "FTF" or best.quality <= VISIBLE:
        return line, best, ""
    near = [
        other
        for other in (("BPFO", "BPFI") if line == "BSF2" else ("BSF2",))
        if (component, other) in looked
        and abs(best.frequency / looked[component, other].expected - 1) <= 1.05 * bearing.search
    ]
    if not near:
        return line, best, ""
    swing = impacts.sideband(best, ftf * impacts.shaft) if ftf else 0.15
    if CAGE_SWING[0] < swing < CAGE_SWING[1]:
        return line, best, "a ring's line and 2×BSF of this bearing are too near to each other to be told apart here"
    ring = near[0] if line == "BSF2" else line
    chosen = "BSF2" if swing >= CAGE_SWING[1] else ring
    if chosen == line:
        return line, best, ""
    # the same lines, seen with the other's eyes
    family = impacts.family(bearing.multiples[chosen], bearing.search, side_orders=(ftf,) if ftf else (), row=best.row)
    return chosen, family, ""


def _rival(
    looked: Mapping[tuple[str, str], Family], component: str, line: str, best: Family, sides: tuple[float, ...]
) -> str:
    """What else it might be; empty where the best is sure, or alone. ``sides``: Hz by which modulation shifts lines."""
    if best.quality >= SURE:
        return ""
    for (c, other), family in looked.items():
        if c != component or other == line or "FTF" in (other, line):
            continue  # a damaged element modulates at the cage's rate: no rival
        if abs(family.frequency / best.frequency - 1) < 0.004:
            continue  # the same lines: told apart before
        shifts = [abs(abs(family.frequency - best.frequency) - k * side) for side in sides for k in (1, 2)]
        if min(shifts) < 0.008 * best.frequency:
            continue  # a sideband of the best
        if family.quality > RIVAL:
            return f"lines of the {PARTS[line]} and of the {PARTS[other]} are there side by side, both weak"
    return ""


def _candidate(
    impacts: Impacts,
    bearing: Bearing,
    component: str,
    line: str,
    channel: str,
    family: Family,
    *,
    decided: bool,
    doubt: str,
) -> Candidate:
    band = f"envelope of {family.band.low:.0f}–{family.band.high:.0f} Hz"
    evidence = [
        Evidence(
            "envelope",
            channel,
            f"{h}×{line} of {bearing.name}, {band}",
            expected=h * family.expected,
            found=hz,
            order=hz / impacts.shaft,
            level=family.depth if h == 1 else float("nan"),
            unit="modulation of the band's power" if h == 1 else "",
            over_db=over,
            band=(family.band.low, family.band.high),
        )
        for h, hz, over in family.lines
    ]
    if family.margin > 0:
        evidence.append(
            Evidence(
                "envelope",
                channel,
                f"no unrelated family of lines is as strong there: this one leads by "
                f"{10 * family.margin / np.log(10):.0f} dB, summed over three lines",
            )
        )
    if not doubt and family.quality <= 0:
        doubt = {
            "strength": "the lines hardly stand out of the noise",
            "depth": "the lines are there, but modulate little of the band's power",
            "strangers": "other lines, which are not this bearing's, are as strong",
            "siblings": "a neighbour one or more shaft rates away is stronger",
            "range": "the line lies outside of what was recorded",
        }[family.limited_by]
    return Candidate(MODES[line], component, line, channel, family, decided, doubt, tuple(evidence))


def unlisted(impacts: Impacts, bearings: Mapping[str, Bearing], channel: str) -> Evidence | None:
    """A strong family of strikes that belongs to no bearing known."""
    known = tuple(order for bearing in bearings.values() for order in bearing.multiples.values())
    search = max((bearing.search for bearing in bearings.values()), default=0.02)
    family = impacts.strongest(known, search)
    if family is None or family.margin < 0 or family.sibling_margin < -0.5:
        return None
    return Evidence(
        "envelope",
        channel,
        f"strikes that belong to no part known, envelope of {family.band.low:.0f}–{family.band.high:.0f} Hz",
        found=family.frequency,
        order=family.frequency / impacts.shaft,
        level=family.depth,
        unit="modulation of the band's power",
        over_db=family.lines[0][2] if family.lines else float("nan"),
    )
