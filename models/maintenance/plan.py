"""``maintenance:`` of a type's document to :class:`core.maintenance_plan.MaintenancePlan` and back.

The shape is checked by the schema of types; here is what a schema cannot say (parts and points that do not exist).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from core.equipment import EquipmentType
from core.errors import InvalidInputError, TypeDefinitionError
from core.maintenance_plan import Due, MaintenancePlan, Need, OilDef, PartDef, TaskDef
from core.repeat import Repeat, expand
from core.time import DAY, HOUR, SECOND, parse_duration

Document = Mapping[str, Any]

WATCH: Final = 4 * HOUR
"""Running time that proves a repair where the task says nothing else: longer than any on-delay of the catalogue."""
PATIENCE: Final = 14 * DAY


def plan_of(document: Document) -> MaintenancePlan:
    """The plan in a type's whole document; an empty one where it says nothing.

    Raises :class:`~core.errors.TypeDefinitionError` for durations that are none.
    """
    section = document.get("maintenance")
    if not section:
        return MaintenancePlan()
    repeats = {c["key"]: _repeat(c) for c in document.get("components", ()) if isinstance(c, Mapping)}
    return MaintenancePlan(
        currency=section.get("currency", "EUR"),
        tasks=tuple(_task(t, f"maintenance/tasks/{i}", repeats) for i, t in enumerate(section.get("tasks", ()))),
        parts=tuple(_part(p, f"maintenance/parts/{i}") for i, p in enumerate(section.get("parts", ()))),
        oils=tuple(_oil(o) for o in section.get("oils", ())),
    )


def plan_document(plan: MaintenancePlan) -> dict[str, Any]:
    """The section ``maintenance`` of a document; ``plan_of`` reads it back. Money as text: no float ever holds it."""
    return {
        "currency": plan.currency,
        "tasks": [_task_document(task) for task in plan.tasks],
        "parts": [
            _filled(key=p.key, name=p.name, number=p.number, unit=p.unit, price=str(p.price), lead=p.lead / SECOND)
            for p in plan.parts
        ],
        "oils": [_oil_document(oil) for oil in plan.oils],
    }


def check_plan(type_: EquipmentType) -> Iterator[TypeDefinitionError]:
    """What is wrong with a type's plan although it has the right shape."""
    plan = type_.maintenance
    components = {key for key, _, _ in type_.component_instances()}
    points = {p.key for p in type_.point_instances()}
    parts = {p.key for p in plan.parts}
    for i, task in enumerate(plan.tasks):
        where = f"maintenance/tasks/{i}"
        for key, binding in expand(task.component, task.repeat):
            for component in (key, *(r.format_map(binding) for r in task.resets)):
                if component not in components:
                    yield _missing("component", component, where, "name a component of this type")
            due = task.due
            for point in (due.counter, due.point) if due else ():
                if point is not None and point.format_map(binding) not in points:
                    yield _missing("point", point, f"{where}/every", "name a point of this type")
        for need in task.parts:
            if need.key not in parts:
                yield _missing("part", need.key, f"{where}/parts", "list it under maintenance/parts")
    for i, oil in enumerate(plan.oils):
        if oil.component not in components:
            yield _missing("component", oil.component, f"maintenance/oils/{i}", "name a component of this type")


def _missing(what: str, key: str, where: str, hint: str) -> TypeDefinitionError:
    return TypeDefinitionError(f"there is no {what} {key!r}", where=where, hint=hint)


# --- reading ---------------------------------------------------------------------------------------------------------


def _duration(entry: Document, name: str, where: str, default: int = 0) -> int:
    if name not in entry:
        return default
    try:
        return parse_duration(entry[name])
    except InvalidInputError as error:
        raise TypeDefinitionError(str(error), where=f"{where}/{name}", hint=error.hint) from None


def _money(value: Any) -> Decimal:
    return Decimal(str(value))


def _repeat(entry: Document) -> Repeat:
    return {name: tuple(str(v) for v in values) for name, values in entry.get("repeat", {}).items()}


def _needs(entries: Any) -> tuple[Need, ...]:
    return tuple(Need(e["key"], _money(e.get("quantity", 1)), e.get("unit", "1")) for e in entries)


def _task(entry: Document, where: str, repeats: Mapping[str, Repeat]) -> TaskDef:
    return TaskDef(
        key=entry["key"],
        name=entry["name"],
        component=entry["component"],
        modes=tuple(entry.get("modes", ())),
        consequence=entry.get("consequence", ""),
        steps=tuple(entry.get("steps", ())),
        optional_steps=tuple(entry.get("optional_steps", ())),
        parts=_needs(entry.get("parts", ())),
        lubricants=_needs(entry.get("lubricants", ())),
        skills=tuple(entry.get("skills", ())),
        crew=int(entry.get("crew", 1)),
        duration=_duration(entry, "duration", where, HOUR),
        stop=bool(entry.get("stop", True)),
        cost=_money(entry.get("cost", 0)),
        failure=_money(entry.get("failure", 0)),
        renews=bool(entry.get("renews", False)),
        resets=tuple(entry.get("resets", ())),
        watch=_duration(entry, "watch", where, WATCH),
        patience=_duration(entry, "patience", where, PATIENCE),
        due=_due(entry["every"], f"{where}/every") if "every" in entry else None,
        repeat=_repeat(entry) or repeats.get(entry["component"], {}),
    )


def _due(entry: Document, where: str) -> Due:
    return Due(
        calendar=_duration(entry, "calendar", where) or None,
        hours=entry.get("hours"),
        counter=entry.get("counter"),
        count=entry.get("count"),
        point=entry.get("point"),
        high=entry.get("high"),
        low=entry.get("low"),
    )


def _part(entry: Document, where: str) -> PartDef:
    return PartDef(
        key=entry["key"],
        name=entry["name"],
        number=entry.get("number", ""),
        unit=entry.get("unit", "1"),
        price=_money(entry.get("price", 0)),
        lead=_duration(entry, "lead", where),
    )


def _pair(value: Any) -> tuple[float, float]:
    return float(value[0]), float(value[1])


def _oil(entry: Document) -> OilDef:
    given: dict[str, Any] = {
        name: _pair(entry[name]) for name in ("viscosity_percent", "water", "acid_rise", "metals") if name in entry
    }
    if "acid_new" in entry:
        given["acid_new"] = float(entry["acid_new"])
    if "cleanliness" in entry:
        codes = [int(code) for code in str(entry["cleanliness"]).split("/")]
        given["cleanliness"] = (codes[0], codes[1], codes[2])
    return OilDef(entry["component"], entry["lubricant"], float(entry["viscosity"]), **given)


# --- writing ---------------------------------------------------------------------------------------------------------


def _filled(**document: Any) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value not in (None, "", (), [], {})}


def _need_documents(needs: tuple[Need, ...]) -> list[dict[str, Any]]:
    return [{"key": n.key, "quantity": str(n.quantity), "unit": n.unit} for n in needs]


def _task_document(task: TaskDef) -> dict[str, Any]:
    due = task.due
    every = None
    if due is not None:
        every = _filled(
            calendar=None if due.calendar is None else due.calendar / SECOND,
            hours=due.hours,
            counter=due.counter,
            count=due.count,
            point=due.point,
            high=due.high,
            low=due.low,
        )
    return _filled(
        key=task.key,
        name=task.name,
        component=task.component,
        modes=list(task.modes),
        consequence=task.consequence,
        steps=list(task.steps),
        optional_steps=list(task.optional_steps),
        parts=_need_documents(task.parts),
        lubricants=_need_documents(task.lubricants),
        skills=list(task.skills),
        crew=task.crew,
        duration=task.duration / SECOND,
        cost=str(task.cost),
        failure=str(task.failure),
        resets=list(task.resets),
        watch=task.watch / SECOND,
        patience=task.patience / SECOND,
        every=every,
        repeat={name: list(values) for name, values in task.repeat.items()},
    ) | {"stop": task.stop, "renews": task.renews}


def _oil_document(oil: OilDef) -> dict[str, Any]:
    return {
        "component": oil.component,
        "lubricant": oil.lubricant,
        "viscosity": oil.viscosity,
        "viscosity_percent": list(oil.viscosity_percent),
        "water": list(oil.water),
        "acid_new": oil.acid_new,
        "acid_rise": list(oil.acid_rise),
        "cleanliness": "/".join(map(str, oil.cleanliness)),
        "metals": list(oil.metals),
    }
