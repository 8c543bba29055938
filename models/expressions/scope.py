"""What names mean in the formulas of one type: points and their instances, states, limits."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.equipment import EquipmentType, PointDef, PointKind
from models.expressions.syntax import FormulaError

Domain = tuple[Mapping[str, str], ...]
"""Bindings of the instances a value has; ``({},)`` for one value per equipment."""

SCALAR: Domain = ({},)


@dataclass(frozen=True, slots=True)
class Source:
    """A point by its key as written in the type (or one concrete instance): columns ``start`` … and their bindings."""

    start: int
    bindings: Domain
    definition: PointDef

    @property
    def placeholders(self) -> frozenset[str]:
        return frozenset(self.bindings[0])


@dataclass(frozen=True, slots=True)
class Scope:
    """All names. ``limits``: "point/limit" → (first limit instance, bindings)."""

    sources: Mapping[str, Source]
    states: tuple[str, ...]
    limits: Mapping[str, tuple[int, Domain]] = field(default_factory=dict)
    columns: int = 0

    @classmethod
    def of(cls, type_: EquipmentType) -> Scope:
        sources: dict[str, Source] = {}
        instances = type_.point_instances()
        for p in instances:
            template = p.definition.key
            known = sources.get(template)
            if known is None or template == p.key:
                sources[template] = Source(p.column, (p.binding,), p.definition)
            else:
                sources[template] = Source(known.start, (*known.bindings, p.binding), p.definition)
        templates = dict(sources)
        for p in instances:
            sources.setdefault(p.key, Source(p.column, ({},), p.definition))
        limits: dict[str, tuple[int, Domain]] = {}
        place = 0
        for limit in type_.limits:
            source = sources.get(limit.point)
            if source is None:
                continue  # the type's own check names it
            limits[f"{limit.point}/{limit.key}"] = (place, source.bindings)
            place += len(source.bindings)
        # point_instances puts measured points first; templates keep the type's order for messages
        ordered = {p.key: templates[p.key] for p in type_.points if p.key in templates}
        return cls({**sources, **ordered}, tuple(s.name for s in type_.states), limits, len(instances))

    def find(self, name: str) -> Source:
        source = self.sources.get(name)
        if source is None:
            raise FormulaError(f"there is no point {name!r}", hint=did_you_mean(name, [*self.sources, "state"]))
        return source

    def is_derived(self, name: str) -> bool:
        source = self.sources.get(name)
        return source is not None and source.definition.kind is PointKind.DERIVED


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest known words, or with all of them when they are few."""
    options = list(known)
    near = difflib.get_close_matches(word, options, 3, 0.6)
    if near:
        return "did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "known: " + ", ".join(options[:12]) + (" …" if len(options) > 12 else "")
