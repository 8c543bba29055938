"""First-out: of alarms that come together, the first one speaks for the others.

Per equipment, machine and instrument alarms apart. An alarm within the consequence window of a first-out follows from
it: it is journalled, not announced. One of higher priority than all that was announced may still be, once: at most two
per group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.condition import Change, Concern, ConditionTransition
from stream_processors.pipeline.findings import Finding

MOST_ANNOUNCED = 2


@dataclass(slots=True)
class Group:
    """``start`` µs of the first-out, its condition, how many were announced, and their highest priority (rank)."""

    start: int
    first: str
    announced: int
    rank: int


class Grouping:
    """Groups by (equipment, concern)."""

    def __init__(self) -> None:
        self.groups: dict[tuple[int, str], Group] = {}

    def arrange(self, findings: list[Finding], windows: Mapping[int, int]) -> tuple[ConditionTransition, ...]:
        """Transitions in event order with ``first_out`` and ``announce`` decided. ``windows``: µs by equipment."""
        decided = []
        for finding in sorted(findings, key=lambda f: f.order):
            t = finding.transition
            if t.change in (Change.RAISED, Change.UNSUPPRESSED) and t.announce and t.concern is not Concern.CONNECTION:
                t = self._decide(t, windows[t.equipment_id])
            decided.append(t)
        return tuple(sorted(decided, key=lambda t: (t.at, t.equipment_id)))

    def _decide(self, t: ConditionTransition, window: int) -> ConditionTransition:
        key = (t.equipment_id, t.concern.value)
        group = self.groups.get(key)
        if group is None or not 0 <= t.at - group.start <= window:
            if group is not None and t.at < group.start:
                return t  # a late one stands for itself and opens nothing: the past is decided
            self.groups[key] = Group(t.at, t.condition, 1, t.priority.rank)
            return t
        if t.condition == group.first:
            # it came back within its own group: not its own consequence, and told already
            return replace(t, announce=False)
        speaks = t.priority.rank < group.rank and group.announced < MOST_ANNOUNCED
        if speaks:
            group.announced += 1
            group.rank = t.priority.rank
        return replace(t, first_out=group.first, announce=speaks)

    def dump(self) -> list[list[Any]]:
        """For snapshots."""
        return [[*key, g.start, g.first, g.announced, g.rank] for key, g in self.groups.items()]

    def load(self, rows: list[list[Any]]) -> None:
        self.groups = {(int(e), str(c)): Group(int(s), str(f), int(n), int(r)) for e, c, s, f, n, r in rows}
