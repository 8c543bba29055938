"""What can be wrong with an equipment type, beyond its YAML: found all at once, each with a place and what to do."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import jsonschema
import orjson

from core.equipment import EquipmentType, PointKind
from core.errors import TypeDefinitionError, UnitError
from core.units import canonical
from core.units import check as check_unit
from models import codes, parcels
from models.expressions.program import compile_type
from models.expressions.scope import did_you_mean

_COMMON_UNITS = frozenset(
    """
    1 % Cel K bar mbar Pa kPa MPa mm/s um mm m m/s km km/h A mA V kV W kW MW kWh Hz s min h d l/min L L/min m3/s m3/h
    kg kg/s kg/h t/h N kN J kJ kJ/kg deg cSt mm2/s [psi] [degF] ug/m3 [ppm] dB g m/s2 1/min 1/h Ohm kOhm N.m kN.m kN/m2
    """.split()  # noqa: SIM905 a list of one word a line helps nobody
)
"""Checked once; for all others the UCUM registry is built, which takes a second."""

_TITLE_FIELDS = ("label", "value", "limit", "unit", "component", "point")


@cache
def _validator() -> jsonschema.Draft202012Validator:
    text = resources.files("models.catalog").joinpath("schema.json").read_bytes()
    return jsonschema.Draft202012Validator(orjson.loads(text))


def check_document(document: Any) -> list[TypeDefinitionError]:
    """What the JSON Schema refuses, in words."""
    if not isinstance(document, dict):
        return [TypeDefinitionError("a type is a mapping of keys to values", hint="begin with 'type:' and 'name:'")]
    return [e for error in _validator().iter_errors(document) for e in _in_words(error, document)]


def check(type_: EquipmentType) -> list[TypeDefinitionError]:
    """What is wrong with a type although its document has the right shape."""
    checker = _Checker(type_)
    problems = list(checker.problems())
    if not problems:
        try:
            compile_type(type_)
        except TypeDefinitionError as error:
            problems.append(error)
    return problems


def as_any(value: Any) -> Any:
    """jsonschema types its values as perhaps unset; in an error they are set."""
    return value


# --- the schema's complaints -----------------------------------------------------------------------------------------


def _in_words(error: jsonschema.ValidationError, document: Any) -> Iterator[TypeDefinitionError]:
    if error.validator == "anyOf" and list(error.absolute_path)[:1] == ["limits"] and error.context:
        # a limit is a plain one or a zones entry: complain as the one it means to be
        wanted = 1 if isinstance(error.instance, dict) and "zones" in error.instance else 0
        for part in error.context:
            if part.relative_schema_path and part.relative_schema_path[0] == wanted:
                yield from _in_words(part, document)
        return
    where = "/".join(str(p) for p in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.schema, dict):
        known: dict[str, Any] = error.schema.get("properties", {})
        for key in [k for k in as_any(error.instance) if k not in known]:
            here = f"{where}/{key}" if where else str(key)
            yield TypeDefinitionError(f"{key!r} is not known here", where=here, hint=did_you_mean(str(key), known))
        return
    if error.validator == "required":
        missing = [k for k in as_any(error.validator_value) if k not in as_any(error.instance)]
        yield TypeDefinitionError(f"lacks {', '.join(repr(k) for k in missing)}", where=where, hint="add it")
        return
    if error.validator == "oneOf":
        yield TypeDefinitionError(
            "a limit has either 'high' or 'low'", where=where, hint="write two limits for two sides"
        )
        return
    hint = ""
    if isinstance(error.schema, dict):
        hint = str(error.schema.get("description", ""))
    if error.validator == "pattern":
        hint = hint or "letters, digits and _ (keys also . and {placeholder}), beginning with a letter"
    shown = error.message if len(error.message) < 200 else f"{error.message[:200]}…"
    yield TypeDefinitionError(shown, where=where, hint=hint)


# --- what a schema cannot see ----------------------------------------------------------------------------------------


class _Checker:
    def __init__(self, type_: EquipmentType) -> None:
        self.type = type_
        self.states = tuple(s.name for s in type_.states)
        measured = [p for p in type_.points if p.kind is PointKind.MEASURED]
        derived = [p for p in type_.points if p.kind is PointKind.DERIVED]
        self.placed = [(f"points/{i}", p) for i, p in enumerate(measured)]
        self.placed += [(f"derived/{i}", p) for i, p in enumerate(derived)]

    def problems(self) -> Iterator[TypeDefinitionError]:
        keys_wrong = list(self._components())
        yield from keys_wrong
        point_problems = list(self._points())
        yield from point_problems
        yield from self._states()
        if not keys_wrong and not point_problems:
            yield from self._limits()
            yield from parcels.problems(self.type)
            yield from codes.problems(self.type)

    def _expansion(self, template: str, repeat: Mapping[str, Any], where: str) -> Iterator[TypeDefinitionError]:
        try:
            used = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
        except ValueError as error:
            yield TypeDefinitionError(f"{template!r}: {error}", where=f"{where}/key")
            return
        for name in sorted(used - set(repeat)):
            yield TypeDefinitionError(
                f"{{{name}}} in {template!r} has no values",
                where=f"{where}/key",
                hint=f"add repeat: {{{name}: [1, 2]}}",
            )
        for name in sorted(set(repeat) - used):
            yield TypeDefinitionError(
                f"{template!r} repeats over {name!r} but does not hold {{{name}}}", where=f"{where}/repeat"
            )

    def _components(self) -> Iterator[TypeDefinitionError]:
        seen: dict[str, str] = {}
        for i, c in enumerate(self.type.components):
            where = f"components/{i}"
            wrong = list(self._expansion(c.key, c.repeat, where))
            yield from wrong
            if wrong:
                continue
            try:
                c.name.format_map(dict.fromkeys(c.repeat, ""))
            except (KeyError, ValueError, IndexError) as error:
                yield TypeDefinitionError(
                    f"the name {c.name!r} has an unknown placeholder {error}", where=f"{where}/name"
                )
                continue
            single = EquipmentType(key="x", name="x", components=(c,))
            for key, _, _ in single.component_instances():
                if key in seen:
                    yield TypeDefinitionError(
                        f"component {key!r} is already in {seen[key]}",
                        where=f"{where}/key",
                        hint="give each its own key",
                    )
                seen[key] = where

    def _component_keys(self) -> set[str]:
        return {key for key, _, _ in self.type.component_instances()}

    def _points(self) -> Iterator[TypeDefinitionError]:
        try:
            components = self._component_keys()
        except (KeyError, ValueError, IndexError):
            return  # named already
        seen: dict[str, str] = {}
        for where, p in self.placed:
            wrong = list(self._expansion(p.key, p.repeat, where))
            yield from wrong
            if wrong:
                continue
            for instance in EquipmentType(key="x", name="x", points=(_unbound(p),)).point_instances():
                if instance.key in seen:
                    yield TypeDefinitionError(
                        f"point {instance.key!r} is already in {seen[instance.key]}",
                        where=f"{where}/key",
                        hint="give each its own key",
                    )
                seen[instance.key] = where
                try:
                    component = p.component.format_map(instance.binding)
                except (KeyError, ValueError, IndexError):
                    component = p.component
                if component not in components:
                    templates = [c.key for c in self.type.components]
                    yield TypeDefinitionError(
                        f"there is no component {component!r}",
                        where=f"{where}/component",
                        hint=did_you_mean(component, templates),
                    )
                    break
            if p.key in ("state", "state_age"):
                yield TypeDefinitionError(f"{p.key!r} has a meaning of its own in formulas", where=f"{where}/key")
            yield from self._point(where, p)

    def _point(self, where: str, p: Any) -> Iterator[TypeDefinitionError]:
        yield from self._unit(p.unit, f"{where}/unit")
        if p.range is not None and not p.range[0] < p.range[1]:
            yield TypeDefinitionError(
                f"range {list(p.range)} holds no value", where=f"{where}/range", hint="[low, high]"
            )
        for name in ("when", "flatline_states"):
            for state in getattr(p, name) or ():
                yield from self._state(state, f"{where}/{name}")
        if p.stale <= 0:
            yield TypeDefinitionError(
                "'stale' must be longer than 0", where=f"{where}/stale", hint="for example '5 min'"
            )

    def _unit(self, unit: str, where: str) -> Iterator[TypeDefinitionError]:
        code = canonical(unit)
        if code in _COMMON_UNITS or (code.startswith("{") and "}" in code):
            return
        try:
            check_unit(unit)
        except UnitError as error:
            yield TypeDefinitionError(str(error), where=where, hint=error.hint)

    def _state(self, state: str, where: str) -> Iterator[TypeDefinitionError]:
        if state not in self.states:
            hint = did_you_mean(state, self.states) if self.states else "the type has no states: add them"
            yield TypeDefinitionError(f"there is no state {state!r}", where=where, hint=hint)

    def _states(self) -> Iterator[TypeDefinitionError]:
        for i, name in enumerate(self.states):
            if name == "unknown" or name in self.states[:i]:
                yield TypeDefinitionError(
                    f"state {name!r} is taken", where=f"states/{i}/name", hint="give it another name"
                )
        for state in self.type.running_states:
            yield from self._state(state, "running")

    def _limits(self) -> Iterator[TypeDefinitionError]:
        templates = {p.key: p for p in self.type.points}
        concrete = {p.key: p for p in self.type.point_instances()}
        components = self._component_keys()
        seen: dict[tuple[str, str], str] = {}
        for i, limit in enumerate(self.type.limits):
            where = f"limits/{i}"
            point = templates.get(limit.point) or (
                concrete[limit.point].definition if limit.point in concrete else None
            )
            if point is None:
                hint = did_you_mean(limit.point, [*templates, *concrete])
                yield TypeDefinitionError(f"there is no point {limit.point!r}", where=f"{where}/point", hint=hint)
                continue
            identity = (limit.point, limit.key)
            if identity in seen:
                yield TypeDefinitionError(
                    f"{limit.point!r} already has a limit {limit.key!r} in {seen[identity]}",
                    where=f"{where}/key",
                    hint="keys of one point's limits differ",
                )
            seen[identity] = where
            for state in limit.states or ():
                yield from self._state(state, f"{where}/states")
            if isinstance(limit.value, Mapping):
                for state in limit.value:
                    yield from self._state(state, f"{where}/{limit.side.value}")
                for state in set(limit.states or ()) - set(limit.value):
                    yield TypeDefinitionError(f"no value for state {state!r}", where=f"{where}/{limit.side.value}")
            yield from self._title(limit.title, set(point.repeat), where)
            if limit.component is not None and "{" not in limit.component and limit.component not in components:
                hint = did_you_mean(limit.component, components)
                yield TypeDefinitionError(
                    f"there is no component {limit.component!r}", where=f"{where}/component", hint=hint
                )
            for name in limit.vetoes:
                if name not in templates and name not in concrete:
                    hint = did_you_mean(name, [*templates, *concrete])
                    yield TypeDefinitionError(f"there is no point {name!r}", where=f"{where}/vetoes", hint=hint)

    def _title(self, title: str, placeholders: set[str], where: str) -> Iterator[TypeDefinitionError]:
        try:
            fields = [(name, spec, how) for _, name, spec, how in string.Formatter().parse(title) if name is not None]
        except ValueError as error:
            yield TypeDefinitionError(f"{title!r}: {error}", where=f"{where}/title")
            return
        if any(spec or how for _, spec, how in fields):
            yield TypeDefinitionError(
                f"{title!r}: no formats inside {{}}", where=f"{where}/title", hint="{value}, not {value:.1f}"
            )
        used = {name for name, _, _ in fields}
        for name in sorted(used - placeholders - set(_TITLE_FIELDS)):
            yield TypeDefinitionError(
                f"{{{name}}} is not known in a title",
                where=f"{where}/title",
                hint="known: " + ", ".join(f"{{{f}}}" for f in (*_TITLE_FIELDS, *sorted(placeholders))),
            )


def _unbound(p: Any) -> Any:
    """The point without its component, so that expanding it cannot fail on the component's placeholders."""
    from dataclasses import replace

    return replace(p, component="")
