"""All state of the processor: one struct of arrays per type, rows are equipment. No state lives anywhere else but in
groups.

Every array is declared once, with what its second axis means; snapshots, reconfiguration and growth follow from that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.equipment import EquipmentType
from core.learned import ModelEntry
from core.registry import EquipmentEntry, EquipmentStatus, RegistrySnapshot
from stream_processors.pipeline.layout import STALE, BoolArray, FloatArray, IntArray, TypeLayout, compile_layout
from stream_processors.pipeline.scoring import Learned
from stream_processors.pipeline.waiting import Waiting

HISTORY: Final = 8
"""State changes remembered per equipment, for readings that come late."""

EPISODES: Final = 6
"""Stretches remembered per limit in which its condition held, for readings that come late or again."""

NEVER: Final = 0
"""Before every time."""

Axis = str


class Field(NamedTuple):
    """``axis``: what the second axis counts ("" for none, col, lim, set, comp); ``tail``: further axes."""

    axis: Axis
    fill: float
    dtype: Any
    tail: tuple[int, ...] = ()


FIELDS: Final[Mapping[str, Field]] = {
    # time
    "newest": Field("", NEVER, np.int64),
    "behind": Field("", NEVER, np.int64),
    "idle_since": Field("", -1, np.int64),
    "open": Field("", -1, np.int64),
    # machine state
    "state": Field("", 0, np.int64),
    "state_since": Field("", NEVER, np.int64),
    "unproven_since": Field("", -1, np.int64),
    "history_at": Field("", -1, np.int64, (HISTORY,)),
    "history_state": Field("", 0, np.int64, (HISTORY,)),
    "in_set": Field("set", 0, np.bool_),
    "set_since": Field("set", NEVER, np.int64),
    # points
    "seen": Field("col", NEVER, np.int64),
    "last_at": Field("col", NEVER, np.int64),
    "good_at": Field("col", NEVER, np.int64),
    "raw": Field("col", np.nan, np.float64),
    "value": Field("col", np.nan, np.float64),
    "moved_at": Field("col", NEVER, np.int64),
    "bad_run": Field("col", 0, np.int32),
    "jumped_at": Field("col", NEVER, np.int64),
    "flags": Field("col", 0, np.bool_, (4,)),
    "stored_at": Field("col", NEVER, np.int64),
    "silent": Field("", 0, np.bool_),
    # limits
    "active": Field("lim", 0, np.bool_),
    "suppressed": Field("lim", 0, np.bool_),
    "pending": Field("lim", -1, np.int64),
    "unless": Field("lim", 0, np.bool_),
    "episodes": Field("lim", -1, np.int64, (EPISODES, 2)),
    # health
    "health_at": Field("", NEVER, np.int64),
    "health": Field("comp", np.nan, np.float64),
    "health_all": Field("", np.nan, np.float64),
    "near": Field("lim", 0.0, np.float64),
    "reasons": Field("lim", 0, np.bool_),
    "reason_flags": Field("col", 0, np.bool_),
}


class TypeState:
    """The arrays of one type, [n, …], rows in the order of ``ids`` (equipment ids, ascending).

    ``newest`` µs: largest ts received. ``behind`` µs: readings at or before it come late. ``open``: ts of the frame
    being filled, −1 if none. ``pending``: since when a limit is on the way to be raised or cleared, −1 if it is not.
    ``waiting``: readings not yet released. ``blocked``, ``suspect``, ``vetoed`` follow from the others
    (:meth:`refresh`).
    """

    newest: IntArray
    behind: IntArray
    idle_since: IntArray
    open: IntArray
    state: IntArray
    state_since: IntArray
    unproven_since: IntArray
    history_at: IntArray
    history_state: IntArray
    in_set: BoolArray
    set_since: IntArray
    seen: IntArray
    last_at: IntArray
    good_at: IntArray
    raw: FloatArray
    value: FloatArray
    moved_at: IntArray
    bad_run: NDArray[np.int32]
    jumped_at: IntArray
    flags: BoolArray
    stored_at: IntArray
    silent: BoolArray
    active: BoolArray
    suppressed: BoolArray
    pending: IntArray
    unless: BoolArray
    episodes: IntArray
    health_at: IntArray
    health: FloatArray
    health_all: FloatArray
    near: FloatArray
    reasons: BoolArray
    reason_flags: BoolArray

    def __init__(
        self, layout: TypeLayout, equipment: Sequence[EquipmentEntry], models: Sequence[ModelEntry] = ()
    ) -> None:
        self.layout = layout
        self.equipment = sorted(equipment, key=lambda e: e.id)
        self.ids = np.array([e.id for e in self.equipment], np.int64)
        self.tenants = np.array([e.tenant_id for e in self.equipment], np.int64)
        self.n = len(self.equipment)
        for name, field in FIELDS.items():
            axis = self.labels(field.axis)
            shape = (self.n, *(() if axis is None else (len(axis),)), *field.tail)
            setattr(self, name, np.full(shape, field.fill, field.dtype))
        self.in_set[:] = layout.member[0]
        layout.program.allocate(self.n)
        self.point_ids = np.full((self.n, len(layout.points)), -1, np.int64)
        for row, entry in enumerate(self.equipment):
            for key, point in entry.points.items():
                column = layout.column_of.get(key)
                if column is not None:
                    self.point_ids[row, column] = point.id
        self.waiting = Waiting(self.n)
        self.learned = Learned(layout, self.n, models)
        self.refresh(np.arange(self.n))

    def labels(self, axis: Axis) -> list[str] | None:
        """Names along an axis: what a stored array is matched by when a type has changed."""
        layout = self.layout
        if axis == "col":
            return [p.key for p in layout.points]
        if axis == "lim":
            return [x.condition for x in layout.limit_instances]
        if axis == "set":
            return [",".join(states) for states in layout.sets]
        if axis == "comp":
            return list(layout.components)
        return None

    def refresh(self, rows: NDArray[np.intp]) -> None:
        """Recompute which points are suspect and which limits therefore silent, after an instrument's condition
        changed."""
        if not hasattr(self, "blocked"):
            self.blocked = np.zeros((self.n, len(self.layout.points)), np.bool_)
            self.vetoed = np.zeros((self.n, len(self.layout.limit_instances)), np.bool_)
        self.blocked[rows] = self.flags[rows, :, :STALE].any(axis=-1)
        limits = self.layout.limits
        suspect = self.blocked[rows] | (self.active[rows] & ~self.suppressed[rows] & ~limits.machine) @ limits.vetoes
        self.vetoed[rows] = suspect @ limits.rests_on
        self.any_blocked = bool(self.blocked.any())
        self.any_vetoed = bool(self.vetoed.any())


class Fleet:
    """All types' states, and where a point id leads: ``type_of`` (−1: nobody's), ``row_of``, ``column_of`` (−1: not
    watched)."""

    def __init__(self, registry: RegistrySnapshot) -> None:
        by_type: dict[str, list[EquipmentEntry]] = {}
        for entry in registry.equipment.values():
            if entry.status is not EquipmentStatus.RETIRED and entry.type_key in registry.types:
                by_type.setdefault(entry.type_key, []).append(entry)
        self.types: list[TypeState] = [
            TypeState(layout_of(registry.types[key]), by_type[key], [m for m in registry.models if m.type_key == key])
            for key in sorted(by_type)
        ]
        largest = max((p.id for e in registry.equipment.values() for p in e.points.values()), default=-1)
        self.type_of = np.full(largest + 2, -1, np.int32)
        self.row_of = np.zeros(largest + 2, np.intp)
        self.column_of = np.full(largest + 2, -1, np.intp)
        for t, state in enumerate(self.types):
            for row, entry in enumerate(state.equipment):
                for key, point in entry.points.items():
                    self.type_of[point.id] = t
                    self.row_of[point.id] = row
                    column = state.layout.column_of.get(key, -1)
                    self.column_of[point.id] = column if column < state.layout.measured else -1


def layout_of(type_: EquipmentType) -> TypeLayout:
    """A layout of its own: its program's operators hold the memory of one fleet."""
    return compile_layout(type_)
