"""A type, compiled to arrays: what detection needs to know, indexed by column, by limit instance, by set of states."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.condition import Concern
from core.equipment import EquipmentType, LimitDef, PointInstance, PointKind, Side
from core.units import canonical
from models.expressions import Program, compile_type
from models.expressions.scope import Scope

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

EVERYWHERE = 0
"""The set of states that every state, also ``unknown``, belongs to."""

STUCK, IMPLAUSIBLE, BAD, STALE = range(4)
"""The built-in conditions of an instrument: their places in ``flags``."""


@dataclass(frozen=True, slots=True)
class LimitInstance:
    """One limit on one concrete point; ``condition`` is its key within the equipment."""

    definition: LimitDef
    point: PointInstance
    component: str
    condition: str
    title: str
    """With ``{value}`` and ``{limit}`` still open."""


@dataclass(slots=True, eq=False)
class Columns:
    """Per column of the value matrix."""

    low: FloatArray
    high: FloatArray
    max_rate: FloatArray
    flatline: IntArray
    """µs; a time never reached where not asked."""
    flatline_set: NDArray[np.intp]
    stale: IntArray
    store: IntArray
    """µs, derived ones; 0: never stored."""
    gate_set: NDArray[np.intp]
    """Features of waveforms: the states in which they say something; of all others every state."""
    gated: bool
    """Whether any point has such a gate."""


@dataclass(slots=True, eq=False)
class Limits:
    """Per limit instance. ``sign`` +1 high, −1 low. ``value`` [state codes, instances], NaN where it has none."""

    column: NDArray[np.intp]
    sign: FloatArray
    value: FloatArray
    deadband: FloatArray
    on_delay: IntArray
    off_delay: IntArray
    state_set: NDArray[np.intp]
    settle: IntArray
    absolute: BoolArray
    machine: BoolArray
    rests_on: BoolArray
    """[columns, instances]: a suspect column silences these; all False for instruments' limits."""
    vetoes: BoolArray
    """[instances, columns]: which columns an active instrument limit makes suspect."""
    component: NDArray[np.intp]


@dataclass(slots=True, eq=False)
class TypeLayout:
    """Everything fixed about a type. ``codes``: state names by code, 0 is ``unknown``. ``member`` [codes, sets]."""

    type: EquipmentType
    program: Program
    points: tuple[PointInstance, ...]
    measured: int
    codes: tuple[str, ...]
    sets: Mapping[tuple[str, ...], int]
    member: BoolArray
    columns: Columns
    limit_instances: tuple[LimitInstance, ...]
    limits: Limits
    measured_limits: NDArray[np.intp]
    derived_limits: NDArray[np.intp]
    components: tuple[str, ...]
    component_names: Mapping[str, str]
    criticality: FloatArray
    running_set: int
    """The set of states in which it runs; everywhere, where the type names none."""
    column_of: Mapping[str, int] = field(default_factory=dict)

    @property
    def has_frames(self) -> bool:
        """Does closing a frame compute anything (states, derived points)?"""
        return bool(self.program.tape)


def compile_layout(type_: EquipmentType) -> TypeLayout:
    """The layout of a type; raises :class:`~core.errors.TypeDefinitionError` for formulas that are wrong."""
    program = compile_type(type_)
    points = type_.point_instances()
    measured = sum(p.definition.kind is PointKind.MEASURED for p in points)
    codes = ("unknown", *(s.name for s in type_.states))
    sets: dict[tuple[str, ...], int] = {codes: EVERYWHERE}

    def set_of(states: tuple[str, ...] | None) -> int:
        if states is None:
            return EVERYWHERE
        return sets.setdefault(tuple(sorted(set(states))), len(sets))

    columns = _columns(type_, points, set_of)
    instances = _limit_instances(type_, points)
    component_rows = list(type_.component_instances())
    components = tuple(dict.fromkeys([*(key for key, _, _ in component_rows), *(x.component for x in instances)]))
    limits = _limits(type_, instances, codes, program, components, set_of)
    for point in points:
        if point.definition.when is not None:
            set_of(point.definition.when)
    running_set = set_of(type_.running_states or None)
    member = np.zeros((len(codes), len(sets)), np.bool_)
    for states, index in sets.items():
        for name in states:
            if name in codes:
                member[codes.index(name), index] = True
    member[:, EVERYWHERE] = True
    criticality = {key: definition.criticality for key, _, definition in component_rows}
    return TypeLayout(
        type=type_,
        program=program,
        points=points,
        measured=measured,
        codes=codes,
        sets=sets,
        member=member,
        columns=columns,
        limit_instances=instances,
        limits=limits,
        measured_limits=np.flatnonzero(limits.column < measured),
        derived_limits=np.flatnonzero(limits.column >= measured),
        components=components,
        component_names={key: name for key, name, _ in component_rows},
        criticality=np.array([criticality.get(key, 1.0) for key in components]),
        running_set=running_set,
        column_of={p.key: p.column for p in points},
    )


_FAR = np.int64(2**62)


def _columns(
    type_: EquipmentType, points: tuple[PointInstance, ...], set_of: Callable[[tuple[str, ...] | None], int]
) -> Columns:
    running = type_.running_states or None
    definitions = [p.definition for p in points]
    gates = {
        point: waveform.definition.states
        for waveform in type_.waveform_instances()
        for point in waveform.points.values()
        if waveform.definition.states is not None
    }
    return Columns(
        low=np.array([d.range[0] if d.range else -np.inf for d in definitions], float),
        high=np.array([d.range[1] if d.range else np.inf for d in definitions], float),
        max_rate=np.array([d.max_rate if d.max_rate else np.inf for d in definitions], float),
        flatline=np.array([d.flatline or _FAR for d in definitions], np.int64),
        flatline_set=np.array(
            [set_of(d.flatline_states or running) if d.flatline else EVERYWHERE for d in definitions], np.intp
        ),
        stale=np.array([d.stale for d in definitions], np.int64),
        store=np.array([d.store if d.kind is PointKind.DERIVED else 0 for d in definitions], np.int64),
        gate_set=np.array([set_of(gates.get(p.key)) for p in points], np.intp),
        gated=bool(gates),
    )


def _limit_instances(type_: EquipmentType, points: tuple[PointInstance, ...]) -> tuple[LimitInstance, ...]:
    """In the order of :class:`models.expressions.scope.Scope`: limits as written, instances as expanded."""
    names = {key: name for key, name, _ in type_.component_instances()}
    found = []
    for limit in type_.limits:
        chosen = [p for p in points if p.definition.key == limit.point] or [p for p in points if p.key == limit.point]
        for point in chosen:
            component = (limit.component or point.component).format_map(dict(point.binding))
            where = names.get(component, component)
            label = point_label(point)
            known = {
                **point.binding,
                "label": f"{where}: {label}",
                "component": where,
                "point": point.key,
                "unit": spoken(point.definition.unit),
            }
            beyond = "above" if limit.side is Side.HIGH else "below"
            # the title's own words, then always the figures
            words = fill(limit.title, known) if limit.title else f"{where}: {label} {beyond} its limit"
            shown = spoken(point.definition.unit)
            unit = f" {shown}" if shown else ""
            if "{value}" not in words:
                words += f" ({{value}}{unit}, limit {{limit}}{unit})"
            condition = f"{component}/{point.key}/{limit.key}"
            found.append(LimitInstance(limit, point, component, condition, words))
    return tuple(found)


def point_label(point: PointInstance) -> str:
    """What people call a point: its description with its own car, shaft … filled in, else its key."""
    return fill(point.definition.description, point.binding) or point.key


def fill(text: str, known: Mapping[str, str]) -> str:
    """Fill in what is known of ``{placeholders}`` and leave the rest as it stands.

    >>> fill("car {car}: {value}", {"car": "2"})
    'car 2: {value}'
    """
    return re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], m[0]), text)


_SPOKEN = {"1": "", "Cel": "°C", "{rpm}/min": "r/min", "um": "µm", "deg": "°", "[psi]": "psi", "[degF]": "°F"}


def spoken(unit: str) -> str:
    """A UCUM code as people write it.

    >>> spoken("Cel")
    '°C'
    """
    code = canonical(unit)
    return _SPOKEN.get(code, code)


def _limits(
    type_: EquipmentType,
    instances: tuple[LimitInstance, ...],
    codes: tuple[str, ...],
    program: Program,
    components: tuple[str, ...],
    set_of: Callable[[tuple[str, ...] | None], int],
) -> Limits:
    n = len(instances)
    scope = Scope.of(type_)
    value = np.full((len(codes), n), np.nan)
    rests_on = np.zeros((scope.columns, n), np.bool_)
    vetoes = np.zeros((n, scope.columns), np.bool_)
    for j, instance in enumerate(instances):
        limit = instance.definition
        if isinstance(limit.value, Mapping):
            for state, v in limit.value.items():
                value[codes.index(state), j] = v
        else:
            value[:, j] = limit.value
        column = instance.point.column
        if limit.concern is Concern.MACHINE:
            rests_on[:, j] = program.rests_on[column]
        else:
            vetoes[j, column] = True
            for name in limit.vetoes:
                source = scope.sources[name]
                same = [
                    source.start + i
                    for i, b in enumerate(source.bindings)
                    if all(instance.point.binding.get(p, v) == v for p, v in b.items())
                ]
                vetoes[j, same] = True
    definitions = [x.definition for x in instances]
    return Limits(
        column=np.array([x.point.column for x in instances], np.intp),
        sign=np.array([1.0 if d.side is Side.HIGH else -1.0 for d in definitions]),
        value=value,
        deadband=np.array([d.deadband for d in definitions], float),
        on_delay=np.array([d.on_delay for d in definitions], np.int64),
        off_delay=np.array([d.off_delay for d in definitions], np.int64),
        state_set=np.array([set_of(d.states) for d in definitions], np.intp),
        settle=np.array([d.settle for d in definitions], np.int64),
        absolute=np.array([d.absolute and d.on_delay == 0 for d in definitions], np.bool_),
        machine=np.array([d.concern is Concern.MACHINE for d in definitions], np.bool_),
        rests_on=rests_on,
        vetoes=vetoes,
        component=np.array([components.index(x.component) for x in instances], np.intp),
    )
