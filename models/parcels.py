"""The ``waveforms:`` and ``cycles:`` sections of a type: places where signals are taken, kinds of cycles, and the
points they expand into.

A feature ``rms`` of a waveform at ``motor.bearing_de`` is the point ``motor.bearing_de.rms``, a number ``peak_current``
of a door's stroke ``car1.door3.peak_current``: measured points like any other, so limits, formulas, peers and boards
need to know nothing of where they came from. A point that the type itself already names so is left as it stands there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from core.equipment import CycleDef, EquipmentType, WaveformDef
from core.errors import TypeDefinitionError
from core.parcels import Retention
from core.repeat import Repeat
from core.repeat import expand as instances
from core.units import canonical
from models.expressions.scope import did_you_mean
from models.vibration.feature_names import FEATURES

Document = dict[str, Any]

WAVEFORM_STALE: Final = "26 h"
"""Routine waveforms come once an hour to once a day."""
FAULT: Final = "fault"
"""As in models/vibration/places.py."""
CYCLE_STALE: Final = "30 d"
"""A machine that is not used has no cycles, and that is no fault of an instrument."""


def feature(name: str, channel_unit: str) -> tuple[str, str]:
    """(unit, what it is) of a feature of a channel; a name of the user's own is in the channel's unit.

    >>> feature("velocity_rms", "m/s2")[0], feature("peak", "um")[0], feature("x1_phase", "um")[0]
    ('mm/s', 'um', 'deg')
    """
    if name == FAULT:
        return "1", "1 where the sensor itself is ill: signal, bias or gap"
    unit, words = FEATURES.get(name, ("", name.replace("_", " ")))
    return unit or channel_unit, words


def expand(document: Document) -> Document:
    """The document with the points that its waveforms and cycles stand for."""
    sections = document.get("waveforms", ()), document.get("cycles", ())
    if not any(sections):
        return document
    known = {p["key"] for kind in ("points", "derived") for p in document.get(kind, ())}
    components = {c["key"]: c for c in document.get("components", ())}
    points = list(document.get("points", ()))
    for point in _points(sections, components):
        if point["key"] not in known:
            known.add(point["key"])
            points.append(point)
    return {**document, "points": points}


def _points(sections: tuple[Any, Any], components: Mapping[str, Document]) -> Iterator[Document]:
    waveforms, cycles = sections
    for i, entry in enumerate(waveforms):
        where = f"waveforms/{i}"
        _component(entry, components, where)
        features = entry.get("features", ())
        label = entry.get("description") or entry["channel"]
        for name in features:
            unit, words = feature(name, entry["unit"])
            if isinstance(features, dict):
                unit = features[name]
            yield _point(entry, components, name, unit, f"{label}: {words}", WAVEFORM_STALE)
    for i, entry in enumerate(cycles):
        where = f"cycles/{i}"
        _component(entry, components, where)
        for value in entry["values"]:
            words = value.get("description") or f"{entry.get('description') or entry['kind']}: {value['key']}"
            point = _point(entry, components, value["key"], value["unit"], words, CYCLE_STALE)
            if "range" in value:
                point["range"] = value["range"]
            yield point


def _component(entry: Document, components: Mapping[str, Document], where: str) -> None:
    wanted = entry["component"]
    concrete = (key for c in components.values() for key, _ in instances(c["key"], _values(c)))
    if wanted not in components and wanted not in concrete:
        raise TypeDefinitionError(
            f"there is no component {entry['component']!r}",
            where=f"{where}/component",
            hint=did_you_mean(entry["component"], list(components)),
        )


def _values(component: Document) -> Repeat:
    return {name: tuple(str(v) for v in values) for name, values in component.get("repeat", {}).items()}


def _point(
    entry: Document, components: Mapping[str, Document], name: str, unit: str, description: str, stale: str
) -> Document:
    point = {
        "key": f"{entry.get('point', entry['component'])}.{name}",
        "component": entry["component"],
        "unit": unit,
        "description": description,
        "stale": entry.get("stale", stale),
    }
    repeat = components.get(entry["component"], {}).get("repeat")
    if repeat and "{" in point["key"]:
        point["repeat"] = repeat
    return point


# --- reading and writing ---------------------------------------------------------------------------------------------


def _repeat(entry: Document, components: Mapping[str, Repeat], template: str) -> Repeat:
    return components.get(entry["component"], {}) if "{" in template else {}


def _span(value: Any) -> tuple[float, float] | None:
    return None if value is None else (float(value[0]), float(value[1]))


def waveforms(document: Document, repeats: Mapping[str, Repeat]) -> tuple[WaveformDef, ...]:
    """The places of a document; ``repeats`` of its components by key."""
    found = []
    for entry in document.get("waveforms", ()):
        gate = entry.get("gate", {})
        found.append(
            WaveformDef(
                channel=entry["channel"],
                component=entry["component"],
                unit=canonical(entry["unit"]),
                point=entry.get("point", entry["component"]),
                features=tuple(entry.get("features", ())),
                description=entry.get("description", ""),
                names=tuple(entry.get("names", ())),
                ratio=float(entry.get("ratio", 1.0)),
                machine=dict(entry.get("machine", {})),
                orientation=None if entry.get("orientation") is None else float(entry["orientation"]),
                pair=entry.get("pair", ""),
                speed=_span(gate.get("speed")),
                load=_span(gate.get("load")),
                states=tuple(gate["states"]) if "states" in gate else None,
                gap=_span(entry.get("gap")),
                retention=Retention(entry.get("retention", Retention.ROUTINE)),
                repeat=_repeat(entry, repeats, entry["channel"] + entry["component"]),
            )
        )
    return tuple(found)


def cycles(document: Document, repeats: Mapping[str, Repeat]) -> tuple[CycleDef, ...]:
    """The kinds of cycles of a document."""
    return tuple(
        CycleDef(
            kind=entry["kind"],
            component=entry["component"],
            point=entry.get("point", entry["component"]),
            values=tuple(value["key"] for value in entry["values"]),
            description=entry.get("description", ""),
            repeat=_repeat(entry, repeats, entry["component"]),
        )
        for entry in document.get("cycles", ())
    )


def waveform_document(d: WaveformDef) -> Document:
    """As :func:`waveforms` reads it; its points stand among the type's points."""
    gate = {
        "speed": None if d.speed is None else list(d.speed),
        "load": None if d.load is None else list(d.load),
        "states": None if d.states is None else list(d.states),
    }
    document = {
        "channel": d.channel,
        "component": d.component,
        "unit": d.unit,
        "point": d.point,
        "features": list(d.features),
        "description": d.description,
        "names": list(d.names),
        "ratio": d.ratio,
        "machine": dict(d.machine),
        "orientation": d.orientation,
        "pair": d.pair,
        "gate": {name: value for name, value in gate.items() if value is not None},
        "gap": None if d.gap is None else list(d.gap),
        "retention": d.retention.value,
    }
    return {name: value for name, value in document.items() if value not in (None, "", [], {})}


def cycle_document(d: CycleDef, units: Mapping[str, str]) -> Document:
    """As :func:`cycles` reads it; ``units`` of the points by key template."""
    document = {
        "kind": d.kind,
        "component": d.component,
        "point": d.point,
        "description": d.description,
        "values": [{"key": value, "unit": units[f"{d.point}.{value}"]} for value in d.values],
    }
    return {name: value for name, value in document.items() if value not in (None, "")}


# --- what can be wrong -----------------------------------------------------------------------------------------------


def problems(type_: EquipmentType) -> Iterator[TypeDefinitionError]:
    """What the schema cannot see: names that stand twice, placeholders without values, pairs that are not there."""
    states = {s.name for s in type_.states}
    channels: dict[str, str] = {}
    try:
        instances = list(type_.waveform_instances())
        cycle_instances = list(type_.cycle_instances())
    except (KeyError, ValueError, IndexError) as error:
        yield TypeDefinitionError(
            f"the placeholder {error} has no values", where="waveforms", hint="placeholders are those of the component"
        )
        return
    for i, d in enumerate(type_.waveforms):
        where = f"waveforms/{i}"
        for state in d.states or ():
            if state not in states:
                hint = did_you_mean(state, sorted(states))
                yield TypeDefinitionError(f"there is no state {state!r}", where=f"{where}/gate/states", hint=hint)
        for name, span in (("speed", d.speed), ("load", d.load), ("gap", d.gap)):
            if span is not None and not span[0] < span[1]:
                yield TypeDefinitionError(f"{name} {list(span)} holds no value", where=where, hint="[low, high]")
        if d.pair and d.pair not in {x.channel for x in type_.waveforms} | {x.channel for x in instances}:
            yield TypeDefinitionError(f"there is no channel {d.pair!r}", where=f"{where}/pair")
    for instance in instances:
        for name in (instance.channel, *instance.definition.names):
            if channels.setdefault(name, instance.channel) != instance.channel or (
                name == instance.channel and sum(x.channel == name for x in instances) > 1
            ):
                yield TypeDefinitionError(f"the channel {name!r} stands twice", where="waveforms")
                return
    kinds = [(x.kind, x.component) for x in cycle_instances]
    for kind, component in {k for k in kinds if kinds.count(k) > 1} if len(kinds) < 2_000 else ():
        yield TypeDefinitionError(f"the cycle {kind!r} of {component!r} stands twice", where="cycles")
