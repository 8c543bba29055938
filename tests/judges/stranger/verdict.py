"""What must hold of the alarms, whoever raised them and however they are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tests.judges.stranger.gateways import HOUR, ILL, SECOND, Story

COMPONENT: Final = "lager_as"
"""What is broken: the bearing on the drive side."""

GRACE: Final = HOUR
"""So long after the bearing passed its limit somebody must know at the latest, whatever gap or start came between."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One alarm that people were told of."""

    machine: str
    component: str
    condition: str
    at: int


def complaints(story: Story, announced: Iterable[Announced]) -> list[str]:
    """What is wrong with what was announced; empty: the fault in time on its component, and nothing else."""
    found = list(announced)
    wrong = [a for a in found if a.machine != ILL or a.component != COMPONENT or story.severe_at is None]
    said = [
        f"{a.machine}: {a.condition} announced at {_hour(story, a.at)} h, though nothing is wrong there" for a in wrong
    ]
    right = sorted(a.at for a in found if a not in wrong)
    early = [a for a in right if a < story.crack_at]
    if early:
        said.append(f"{COMPONENT} was announced at {_hour(story, early[0])} h, before anything was wrong with it")
    if story.severe_at is not None:
        if not right:
            said.append(f"nobody was told of {COMPONENT}")
        elif right[0] > story.severe_at + GRACE:
            said.append(
                f"{COMPONENT} was announced {(right[0] - story.severe_at) / HOUR:.1f} h after it passed its limit"
            )
    return said


def _hour(story: Story, at: int) -> str:
    return f"{(at - story.rounds[0][0]) / (3_600 * SECOND):.1f}"
