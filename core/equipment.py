"""Equipment types and equipment: what a machine consists of, what is measured on it, and what is watched.

A *type* is data (YAML in models/catalog/, or a user's file): components, points, states, limits. Repeated parts
(cars, axle boxes, doors) are written once with ``repeat`` and expanded here, so nobody writes 48 axle boxes by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.codes import Advice, CodeDef
from core.command import CommandDef
from core.condition import Concern, Priority
from core.maintenance_plan import MaintenancePlan
from core.parcels import Retention
from core.repeat import Repeat, expand
from core.time import MINUTE, SECOND


class PointKind(StrEnum):
    MEASURED = "measured"
    DERIVED = "derived"


class Side(StrEnum):
    """On which side of its value a limit is crossed."""

    HIGH = "high"
    LOW = "low"


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
    point's. ``advice``: by when to act; it goes into the alarm's detail.
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
    advice: Advice | None = None


@dataclass(frozen=True, slots=True)
class WaveformDef:
    """A place where a waveform is taken, one channel of a :class:`core.parcels.Waveform`.

    ``channel`` is its name in messages (``names``: others), ``unit`` UCUM, in which it is stored. ``features`` become
    the points ``{point}.{feature}`` (``point`` defaults to the component's key). ``ratio``: its shaft's speed over the
    waveform's. ``bearing``, ``gear``, ``blades`` and whatever else models/vibration needs to know stand in ``machine``.
    ``orientation`` degrees, where messages do not say it; ``pair``: the channel that sees the same shaft at a right
    angle. ``speed`` r/min and ``load`` %: outside of them no features are made; ``states``: outside of them samples are
    kept for a short time only. ``gap`` V: outside of it the sensor is suspect. ``retention``: how long samples are
    kept.
    """

    channel: str
    component: str
    unit: str
    point: str
    features: tuple[str, ...] = ()
    description: str = ""
    names: tuple[str, ...] = ()
    ratio: float = 1.0
    machine: Mapping[str, Any] = field(default_factory=dict)
    orientation: float | None = None
    pair: str = ""
    speed: tuple[float, float] | None = None
    load: tuple[float, float] | None = None
    states: tuple[str, ...] | None = None
    gap: tuple[float, float] | None = None
    retention: Retention = Retention.ROUTINE
    repeat: Repeat = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CycleDef:
    """A kind of cycle of a component (template). Its numbers ``values`` become the points ``{point}.{value}``."""

    kind: str
    component: str
    point: str
    values: tuple[str, ...]
    description: str = ""
    repeat: Repeat = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WaveformInstance:
    """One concrete channel; ``points`` are the point keys of its features by the feature's name."""

    channel: str
    component: str
    definition: WaveformDef
    points: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CycleInstance:
    """One kind of cycle of one concrete component; ``points`` are the point keys of its numbers by name."""

    kind: str
    component: str
    definition: CycleDef
    points: Mapping[str, str]


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
    waveforms: tuple[WaveformDef, ...] = ()
    cycles: tuple[CycleDef, ...] = ()
    commands: tuple[CommandDef, ...] = ()
    codes: tuple[CodeDef, ...] = ()
    maintenance: MaintenancePlan = field(default_factory=MaintenancePlan)

    def component_instances(self) -> Iterator[tuple[str, str, ComponentDef]]:
        """(key, name, definition) of every concrete component."""
        for definition in self.components:
            for key, binding in expand(definition.key, definition.repeat):
                yield key, definition.name.format_map(binding), definition

    def waveform_instances(self) -> Iterator[WaveformInstance]:
        """Every concrete channel under its own name."""
        for d in self.waveforms:
            for channel, binding in expand(d.channel, d.repeat):
                prefix = d.point.format_map(binding)
                points = {feature: f"{prefix}.{feature}" for feature in d.features}
                yield WaveformInstance(channel, d.component.format_map(binding), d, points)

    def cycle_instances(self) -> Iterator[CycleInstance]:
        """Every kind of cycle of every concrete component."""
        for d in self.cycles:
            for component, binding in expand(d.component, d.repeat):
                prefix = d.point.format_map(binding)
                yield CycleInstance(d.kind, component, d, {value: f"{prefix}.{value}" for value in d.values})

    def point_instances(self) -> tuple[PointInstance, ...]:
        """Every concrete point, measured first, each repeated one contiguous: the columns of the value matrix."""
        ordered = sorted(self.points, key=lambda p: p.kind is PointKind.DERIVED)
        found = [
            (key, definition.component.format_map(binding), definition, binding)
            for definition in ordered
            for key, binding in expand(definition.key, definition.repeat)
        ]
        return tuple(PointInstance(*row, column) for column, row in enumerate(found))
