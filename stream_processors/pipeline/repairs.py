"""What a repair changes: what was learned of a renewed component is forgotten, and its conditions are over.

A repair is said on the stream, as an event of kind ``maintenance`` with the components in ``renewed``, and takes effect
at its own time: after the last frame at or before it, before the first one after it. One that comes after its time has
passed takes effect before the next frame. The same repair said again changes nothing. So what hosts and replays make
of it does not depend on how the stream was cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from core.condition import Change
from core.telemetry import EventRecord
from stream_processors.pipeline.findings import Findings
from stream_processors.pipeline.fleet import NEVER, TypeState

MAINTENANCE: Final = "maintenance"
_NAN: Final = float("nan")

Repair = tuple[int, tuple[str, ...]]
"""(µs UTC, components)."""


class Repairs:
    """Repairs that wait for their time, and the last of each component."""

    def __init__(self) -> None:
        self.waiting: dict[int, list[Repair]] = {}
        self.last: dict[tuple[int, str], int] = {}

    def take(self, events: Iterable[EventRecord], out: Findings) -> None:
        """Let the repairs among the events wait."""
        for event in events:
            renewed = event.body.get("renewed") if event.kind == MAINTENANCE else None
            if not isinstance(renewed, list | tuple) or not all(isinstance(key, str) for key in renewed):
                continue
            new = tuple(sorted({k for k in renewed if event.ts > self.last.get((event.equipment_id, k), -1)}))
            if not new:
                continue
            self.last |= {(event.equipment_id, key): event.ts for key in new}
            self.waiting.setdefault(event.equipment_id, []).append((event.ts, new))
            out.count("core.repairs")

    def due(self, state: TypeState) -> list[tuple[int, Repair]]:
        """(row, repair) of this type whose time has come, by row and time; they wait no longer."""
        found: list[tuple[int, Repair]] = []
        bound = state.newest if state.layout.type.lateness == 0 else state.behind
        for equipment in sorted(self.waiting):
            row = int(np.searchsorted(state.ids, equipment))
            if row >= state.n or int(state.ids[row]) != equipment:
                continue
            repairs = sorted(self.waiting[equipment])
            now = [repair for repair in repairs if repair[0] <= int(bound[row])]
            rest = repairs[len(now) :]
            if rest:
                self.waiting[equipment] = rest
            else:
                del self.waiting[equipment]
            found += [(row, repair) for repair in now]
        return found

    # --- state ---

    def dump(self) -> dict[str, Any]:
        """For snapshots."""
        return {
            "waiting": [[e, at, list(keys)] for e, repairs in sorted(self.waiting.items()) for at, keys in repairs],
            "last": [[e, key, at] for (e, key), at in sorted(self.last.items())],
        }

    def load(self, image: Mapping[str, Any]) -> None:
        for equipment, at, keys in image.get("waiting", ()):
            self.waiting.setdefault(int(equipment), []).append((int(at), tuple(str(k) for k in keys)))
        for equipment, key, at in image.get("last", ()):
            self.last[int(equipment), str(key)] = int(at)


def forget(state: TypeState, row: int, repair: Repair, out: Findings) -> None:
    """Make ``row`` new where it was renewed: formulas of its derived points begin anew, its conditions are cleared."""
    at, renewed = repair
    layout = state.layout
    out.step += 1
    for j, instance in enumerate(layout.limit_instances):
        if instance.component not in renewed:
            continue
        if state.active[row, j] or state.suppressed[row, j]:
            out.limit(state, row, instance, Change.CLEARED, at, _NAN, _NAN)
        state.active[row, j] = state.suppressed[row, j] = state.unless[row, j] = False
        state.pending[row, j] = -1
    instances: dict[str, list[int]] = {}
    first: dict[str, int] = {}
    for point in layout.points[layout.measured :]:
        key = point.definition.key
        first.setdefault(key, point.column)
        if point.component in renewed:
            instances.setdefault(key, []).append(point.column - first[key])
            state.value[row, point.column] = np.nan
            state.good_at[row, point.column] = NEVER
    for key, which in instances.items():
        width = sum(p.definition.key == key for p in layout.points)
        for name in layout.program.operators_of.get(key, ()):
            operator = layout.program.operators[name]
            # an operator of fewer instances serves other points too: what they have learned stays
            if operator.k != width:
                continue
            for field, (fill, _) in operator.fields.items():
                operator.arrays[field][row, which] = fill
    state.learned.renewed(state, row, at, renewed, out)
    state.refresh(np.array([row]))
