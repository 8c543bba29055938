"""Equipment types and equipment: what a machine consists of, what is measured on it, and what is watched.

A *type* is data (YAML in models/catalog/, or a user's file): components, points, states, limits. Repeated parts
(cars, axle boxes, doors) are written once with ``repeat`` and expanded here, so nobody writes 48 axle boxes by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.condition import Concern, Priority
from core.time import MINUTE, SECOND


class PointKind(StrEnum):
    MEASURED = "measured"
    DERIVED = "derived"


class Side(StrEnum):
    """On which side of its value a limit is crossed."""

    HIGH = "high"
    LOW = "low"


Repeat = Mapping[str, tuple[str, ...]]
"""Placeholders and their values, e.g. ``{"car": ("1", "2"), "box": ("1", …)}``; expanded as a product in this order."""


def expand(template: str, repeat: Repeat) -> Iterator[tuple[str, dict[str, str]]]:
    """The keys a template stands for, with the placeholder values of each.

    >>> [key for key, _ in expand("car{car}.door", {"car": ("1", "2")})]
    ['car1.door', 'car2.door']
    """
    for values in itertools.product(*repeat.values()):
        binding = dict(zip(repeat, values, strict=True))
        yield template.format_map(binding), binding


@dataclass(frozen=True, slots=True)
class ComponentDef:
    """A maintainable item (ISO 14224). ``key`` is dotted and may hold placeholders; ``criticality`` weighs its health
    (1–5)."""

    key: str
    name: str
    criticality: float = 1.0
    item_class: str = ""
    repeat: Repeat = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PointDef:
    """A measurement point, or a derived one (with ``formula``).

    ``unit`` UCUM. ``range`` is the instrument's: outside it the value is bad. ``max_rate`` units per second: faster
    is no physics (an instrument). ``flatline`` µs: that long not the least movement while the machine runs →
    instrument stuck. ``stale`` µs without a reading → instrument silent, and rules that need the point fall silent
    too. ``formula``: see models/expressions; ``when``: the states in which a derived point means anything (None: all),
    ``settle`` µs after entering them; outside it is unknown and its operators learn nothing. ``store`` µs: how often a
    derived point is stored at most (0: never). ``names``: other names under which devices send it.
    """

    key: str
    component: str
    unit: str
    description: str = ""
    kind: PointKind = PointKind.MEASURED
    range: tuple[float, float] | None = None
    max_rate: float | None = None
    flatline: int | None = None
    flatline_states: tuple[str, ...] | None = None
    stale: int = 5 * MINUTE
    formula: str | None = None
    when: tuple[str, ...] | None = None
    settle: int = 0
    store: int = 60 * SECOND
    names: tuple[str, ...] = ()
    direction: str = ""
    repeat: Repeat = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StateDef:
    """An operating state and the expression that tells it; the first that holds wins, in the order of the type."""

    name: str
    when: str


@dataclass(frozen=True, slots=True)
class LimitDef:
    """A watched limit on a point (measured or derived), ISA-18.2: limit, deadband, delays, priority, consequence,
    action.

    ``value`` in the point's unit, or one per state. ``states``: where it means anything (None: everywhere);
    ``settle`` µs after entering them before it speaks. Raised after ``on_delay`` µs beyond ``value`` without a good
    reading on the other side; cleared after ``off_delay`` µs back by more than ``deadband``. ``absolute``: late
    readings are checked against it too. ``unless``: expression that vetoes raising
    (what explains it otherwise). ``concern``: instruments' alarms never lower a machine's health; while one is active,
    machine limits that rest on its point, or on the points it ``vetoes``, say nothing. ``component`` overrides the
    point's.
    """

    key: str
    point: str
    side: Side
    value: float | Mapping[str, float]
    deadband: float = 0.0
    on_delay: int = 0
    off_delay: int = 0
    states: tuple[str, ...] | None = None
    settle: int = 0
    priority: Priority = Priority.MEDIUM
    concern: Concern = Concern.MACHINE
    absolute: bool = True
    latching: bool = False
    unless: str | None = None
    title: str = ""
    failure_mode: str | None = None
    consequence: str = ""
    action: str = ""
    component: str | None = None
    vetoes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PointInstance:
    """One concrete point of a type. ``column``: its place in the type's value matrix, measured points first."""

    key: str
    component: str
    definition: PointDef
    binding: Mapping[str, str]
    column: int


@dataclass(frozen=True, slots=True)
class EquipmentType:
    """A catalogue entry. ``version`` counts changes of the document; ``lateness`` µs is L, by how much delivery may
    be displaced.

    ``consequence_window`` µs: alarms of one equipment within that time of a first-out are its consequences.
    ``open``: devices may send points the type does not name (they are registered, stored and shown, not watched).
    """

    key: str
    name: str
    version: int = 1
    description: str = ""
    components: tuple[ComponentDef, ...] = ()
    points: tuple[PointDef, ...] = ()
    states: tuple[StateDef, ...] = ()
    running_states: tuple[str, ...] = ()
    limits: tuple[LimitDef, ...] = ()
    lateness: int = 2 * SECOND
    consequence_window: int = 10 * SECOND
    open: bool = False

    def component_instances(self) -> Iterator[tuple[str, str, ComponentDef]]:
        """(key, name, definition) of every concrete component."""
        for definition in self.components:
            for key, binding in expand(definition.key, definition.repeat):
                yield key, definition.name.format_map(binding), definition

    def point_instances(self) -> tuple[PointInstance, ...]:
        """Every concrete point, measured first, each repeated one contiguous: the columns of the value matrix."""
        ordered = sorted(self.points, key=lambda p: p.kind is PointKind.DERIVED)
        found = [
            (key, definition.component.format_map(binding), definition, binding)
            for definition in ordered
            for key, binding in expand(definition.key, definition.repeat)
        ]
        return tuple(PointInstance(*row, column) for column, row in enumerate(found))
