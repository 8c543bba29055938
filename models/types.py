"""Equipment types: YAML (the catalogue's, or a user's) to :class:`core.equipment.EquipmentType`, with every mistake
named.

A type goes to the database as JSON (``to_document``) and comes back (``from_document``): the same words, ``zones``
already expanded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from core.codes import Advice
from core.condition import Concern, Priority
from core.equipment import (
    ComponentDef,
    EquipmentType,
    LimitDef,
    PointDef,
    PointKind,
    Side,
    StateDef,
)
from core.errors import InvalidInputError, TypeDefinitionError
from core.maintenance_plan import MaintenancePlan
from core.time import SECOND, parse_duration
from models import codes, parcels
from models.checks import check, check_document
from models.commands import read_commands, to_documents
from models.maintenance.plan import check_plan, plan_document, plan_of
from models.vibration import zones
from models.yaml_source import Source, read

Document = dict[str, Any]

_STALE = 5 * 60 * SECOND
_STORE = 60 * SECOND
_UNITS = (("h", 3_600 * SECOND), ("min", 60 * SECOND), ("s", SECOND), ("ms", 1_000), ("us", 1))


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a type: ``where`` is the path in the document, ``line`` counts from 1 (None: unknown),
    ``hint`` what to do."""

    where: str
    line: int | None
    message: str
    hint: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.message}" + (f" — {self.hint}" if self.hint else "")


def load_type(source: str | Path) -> EquipmentType:
    """The type in a file (``Path``) or a text; raises :class:`~core.errors.TypeDefinitionError` for its first mistake.

    The message names the place and counts further mistakes; :func:`check_type` lists them all.
    """
    text = _text(source)
    parsed = read(text)
    type_, problems = _build(parsed.document)
    if type_ is None or problems:
        first = problems[0]
        line = parsed.line(first.where)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        where = f"{first.where or 'document'} (line {line})" if line else first.where
        raise TypeDefinitionError(_bare(first) + more, where=where, hint=first.hint)
    return type_


def check_type(source: str | Path) -> list[Problem]:
    """All that is wrong with a type, in the order of the document; empty: it can be used."""
    try:
        parsed = read(_text(source))
    except TypeDefinitionError as error:
        return [Problem(error.where, None, str(error), error.hint)]
    except (OSError, UnicodeDecodeError) as error:
        return [Problem("", None, f"cannot read {source}: {error}", "give the path of a YAML file in UTF-8")]
    _, errors = _build(parsed.document)
    found = [Problem(e.where, parsed.line(e.where), f"{e.where or 'document'}: {_bare(e)}", e.hint) for e in errors]
    return sorted(found, key=lambda p: p.line or 0)


@cache
def catalog() -> Mapping[str, EquipmentType]:
    """The types that come with the platform, by key (models/catalog/*.yaml)."""
    found = {}
    for entry in sorted(resources.files("models.catalog").iterdir(), key=lambda e: e.name):
        if entry.name.endswith((".yaml", ".yml")):
            type_ = load_type(entry.read_text(encoding="utf-8"))
            found[type_.key] = type_
    return found


def from_document(document: Mapping[str, Any]) -> EquipmentType:
    """A type from its JSON document (what :func:`to_document` made, or a YAML's content)."""
    type_, problems = _build(dict(document))
    if type_ is None or problems:
        raise problems[0]
    return type_


def to_document(type_: EquipmentType) -> Document:
    """The JSON document of a type; ``from_document(to_document(t)) == t``."""
    document: Document = {
        "type": type_.key,
        "name": type_.name,
        "version": type_.version,
        "description": type_.description,
        "lateness": _duration_text(type_.lateness),
        "consequence_window": _duration_text(type_.consequence_window),
        "open": type_.open,
        "components": [_component_document(c) for c in type_.components],
        "points": [_point_document(p) for p in type_.points if p.kind is PointKind.MEASURED],
        "derived": [_point_document(p) for p in type_.points if p.kind is PointKind.DERIVED],
        "states": [{"name": s.name, "when": s.when} for s in type_.states],
        "limits": [_limit_document(limit) for limit in type_.limits],
    }
    if type_.commands:
        document["commands"] = to_documents(type_.commands)
    if type_.waveforms:
        document["waveforms"] = [parcels.waveform_document(w) for w in type_.waveforms]
    if type_.cycles:
        units = {p.key: p.unit for p in type_.points}
        document["cycles"] = [parcels.cycle_document(c, units) for c in type_.cycles]
    if type_.codes:
        document["codes"] = [codes.code_document(c) for c in type_.codes]
    if type_.running_states:
        document["running"] = list(type_.running_states)
    if type_.maintenance != MaintenancePlan():
        document["maintenance"] = plan_document(type_.maintenance)
    return document


# --- reading ---------------------------------------------------------------------------------------------------------


def _text(source: str | Path) -> str:
    return source.read_text(encoding="utf-8") if isinstance(source, Path) else source


def _bare(error: TypeDefinitionError) -> str:
    return str(error).removeprefix(f"{error.where}: ")


def _build(document: Any) -> tuple[EquipmentType | None, list[TypeDefinitionError]]:
    """The type, and what is wrong with it; None where it could not even be read."""
    problems = check_document(document)
    if problems:
        return None, problems
    try:
        document = _expand_zones(parcels.expand(document))
        type_ = _type(document)
    except TypeDefinitionError as error:
        return None, [error]
    problems = list(check(type_))
    return type_, problems or list(check_plan(type_))  # what a plan names can be looked for in a type that is sound


def _expand_zones(document: Document) -> Document:
    if not any("zones" in entry for entry in document.get("limits", ())):
        return document
    points = {p["key"]: p for p in document.get("points", ())}
    components = {c["key"]: c for c in document.get("components", ())}
    derived, limits = list(document.get("derived", ())), []
    for i, entry in enumerate(document["limits"]):
        if "zones" not in entry:
            limits.append(entry)
            continue
        where = f"limits/{i}"
        point = points.get(entry["point"])
        if point is None:
            raise TypeDefinitionError(
                f"there is no measured point {entry['point']!r}",
                where=f"{where}/point",
                hint="zones judge measured points",
            )
        point = {"repeat": components.get(point["component"], {}).get("repeat"), **point}
        if point["repeat"] is None or "{" not in point["key"]:
            del point["repeat"]
        more_derived, more_limits = zones.expand(entry, point, where)
        derived += more_derived
        limits += more_limits
    return {**document, "derived": derived, "limits": limits}


class _Durations:
    """Reads durations of one entry, and says where a wrong one stands."""

    def __init__(self, entry: Mapping[str, Any], where: str) -> None:
        self.entry = entry
        self.where = where

    def __call__(self, name: str, default: int) -> int:
        if name not in self.entry:
            return default
        try:
            return parse_duration(self.entry[name])
        except InvalidInputError as error:
            where = f"{self.where}/{name}" if self.where else name
            raise TypeDefinitionError(str(error), where=where, hint=error.hint) from None


def _repeat(entry: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(str(v) for v in values) for name, values in entry.get("repeat", {}).items()}


def _states(entry: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    return tuple(entry[name]) if name in entry else None


def _type(document: Document) -> EquipmentType:
    duration = _Durations(document, "")
    components = tuple(
        ComponentDef(
            c["key"], c["name"], float(c.get("criticality", 1.0)), item_class=c.get("class", ""), repeat=_repeat(c)
        )
        for c in document.get("components", ())
    )
    repeats = {c.key: c.repeat for c in components}
    points = [
        _point(p, f"{kind}/{i}", PointKind.MEASURED if kind == "points" else PointKind.DERIVED, repeats)
        for kind in ("points", "derived")
        for i, p in enumerate(document.get(kind, ()))
    ]
    return EquipmentType(
        key=document["type"],
        name=document["name"],
        version=int(document.get("version", 1)),
        description=document.get("description", ""),
        components=components,
        points=tuple(points),
        states=tuple(StateDef(s["name"], str(s["when"])) for s in document.get("states", ())),
        running_states=_states(document, "running") or (),
        limits=tuple(_limit(x, f"limits/{i}") for i, x in enumerate(document.get("limits", ()))),
        lateness=duration("lateness", 2 * SECOND),
        consequence_window=duration("consequence_window", 10 * SECOND),
        open=bool(document.get("open", False)),
        waveforms=parcels.waveforms(document, repeats),
        cycles=parcels.cycles(document, repeats),
        commands=read_commands(document),
        codes=codes.codes(document),
        maintenance=plan_of(document),
    )


def _point(entry: Document, where: str, kind: PointKind, repeats: Mapping[str, Any]) -> PointDef:
    duration = _Durations(entry, where)
    low_high = entry.get("range")
    # a point of a repeated component is repeated with it, unless it says otherwise
    repeat = _repeat(entry) or (dict(repeats.get(entry["component"], {})) if "{" in entry["key"] else {})
    return PointDef(
        key=entry["key"],
        component=entry["component"],
        unit=entry["unit"],
        description=entry.get("description", ""),
        kind=kind,
        range=None if low_high is None else (float(low_high[0]), float(low_high[1])),
        max_rate=None if entry.get("max_rate") is None else float(entry["max_rate"]),
        flatline=duration("flatline", 0) or None,
        flatline_states=_states(entry, "flatline_states"),
        stale=duration("stale", _STALE),
        formula=entry.get("formula"),
        when=_states(entry, "when"),
        settle=duration("settle", 0),
        store=duration("store", _STORE),
        names=tuple(entry.get("names", ())),
        direction=entry.get("direction", ""),
        repeat=repeat,
    )


def _limit(entry: Document, where: str) -> LimitDef:
    duration = _Durations(entry, where)
    side = Side.HIGH if "high" in entry else Side.LOW
    value = entry[side.value]
    states = _states(entry, "states")
    if isinstance(value, dict):
        value = {str(state): float(v) for state, v in value.items()}
        states = tuple(value) if states is None else states
    else:
        value = float(value)
    return LimitDef(
        key=entry["key"],
        point=entry["point"],
        side=side,
        value=value,
        deadband=float(entry.get("deadband", 0.0)),
        on_delay=duration("on_delay", 0),
        off_delay=duration("off_delay", 0),
        states=states,
        settle=duration("settle", 0),
        priority=Priority(entry.get("priority", "medium")),
        concern=Concern(entry.get("concern", "machine")),
        absolute=bool(entry.get("absolute", True)),
        latching=bool(entry.get("latching", False)),
        unless=entry.get("unless"),
        title=entry.get("title", ""),
        failure_mode=entry.get("failure_mode"),
        consequence=entry.get("consequence", ""),
        action=entry.get("action", ""),
        component=entry.get("component"),
        vetoes=tuple(entry.get("vetoes", ())),
        advice=Advice(entry["advice"]) if "advice" in entry else None,
    )


# --- writing ---------------------------------------------------------------------------------------------------------


def _duration_text(us: int) -> str:
    name, size = next((n, s) for n, s in _UNITS if us % s == 0)
    return f"{us // size} {name}"


def _filled(document: Iterable[tuple[str, Any]]) -> Document:
    return {name: value for name, value in document if value not in (None, "", (), [], {})}


def _repeat_document(repeat: Mapping[str, tuple[str, ...]]) -> Document:
    return {name: list(values) for name, values in repeat.items()}


def _component_document(c: ComponentDef) -> Document:
    return _filled(
        [
            ("key", c.key),
            ("name", c.name),
            ("criticality", c.criticality),
            ("class", c.item_class),
            ("repeat", _repeat_document(c.repeat)),
        ]
    )


def _point_document(p: PointDef) -> Document:
    common: list[tuple[str, Any]] = [
        ("key", p.key),
        ("component", p.component),
        ("unit", p.unit),
        ("description", p.description),
        ("stale", _duration_text(p.stale)),
        ("direction", p.direction),
        ("repeat", _repeat_document(p.repeat)),
    ]
    if p.kind is PointKind.DERIVED:
        own: list[tuple[str, Any]] = [
            ("formula", p.formula),
            ("when", None if p.when is None else list(p.when)),
            ("settle", _duration_text(p.settle)),
            ("store", _duration_text(p.store)),
        ]
    else:
        own = [
            ("range", None if p.range is None else list(p.range)),
            ("max_rate", p.max_rate),
            ("flatline", None if p.flatline is None else _duration_text(p.flatline)),
            ("flatline_states", None if p.flatline_states is None else list(p.flatline_states)),
            ("names", list(p.names)),
        ]
    return _filled(common + own) | {"unit": p.unit}


def _limit_document(limit: LimitDef) -> Document:
    value = limit.value if isinstance(limit.value, (int, float)) else dict(limit.value)
    return _filled(
        [
            ("key", limit.key),
            ("point", limit.point),
            ("deadband", limit.deadband),
            ("on_delay", _duration_text(limit.on_delay)),
            ("off_delay", _duration_text(limit.off_delay)),
            ("states", None if limit.states is None else list(limit.states)),
            ("settle", _duration_text(limit.settle)),
            ("priority", limit.priority.value),
            ("concern", limit.concern.value),
            ("absolute", limit.absolute),
            ("latching", limit.latching),
            ("unless", limit.unless),
            ("title", limit.title),
            ("failure_mode", limit.failure_mode),
            ("consequence", limit.consequence),
            ("action", limit.action),
            ("component", limit.component),
            ("vetoes", list(limit.vetoes)),
            ("advice", None if limit.advice is None else limit.advice.value),
        ]
    ) | {limit.side.value: value}


__all__ = ["Problem", "Source", "catalog", "check_type", "from_document", "load_type", "to_document"]
