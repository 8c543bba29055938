"""The ``codes:`` section of a type, guided search by code, and storms of codes made one event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.codes import Advice, CodeDef, GuideStep, TroubleCode
from core.condition import Priority
from core.equipment import EquipmentType
from core.errors import TypeDefinitionError
from core.repeat import expand
from models.expressions.scope import did_you_mean

Document = dict[str, Any]


# --- reading and writing ---------------------------------------------------------------------------------------------


def codes(document: Document) -> tuple[CodeDef, ...]:
    """The codes of a document."""
    return tuple(_code(entry) for entry in document.get("codes", ()))


def _code(entry: Document) -> CodeDef:
    return CodeDef(
        code=str(entry["code"]),
        title=entry["title"],
        component=entry.get("component", ""),
        priority=Priority(entry.get("priority", "low")),
        advice=Advice(entry["advice"]) if "advice" in entry else None,
        failure_mode=entry.get("failure_mode"),
        consequence=entry.get("consequence", ""),
        action=entry.get("action", ""),
        guide=tuple(_step(step) for step in entry.get("guide", ())),
    )


def _step(entry: Document) -> GuideStep:
    texts = {name: entry.get(name, "") for name in ("key", "ask", "yes", "no", "do")}
    return GuideStep(**texts, failure_mode=entry.get("failure_mode"), look=tuple(entry.get("look", ())))


def code_document(d: CodeDef) -> Document:
    """As :func:`codes` reads it."""
    document: Document = {
        "code": d.code,
        "title": d.title,
        "component": d.component,
        "priority": d.priority.value,
        "advice": None if d.advice is None else d.advice.value,
        "failure_mode": d.failure_mode,
        "consequence": d.consequence,
        "action": d.action,
        "guide": [_step_document(step) for step in d.guide],
    }
    return {name: value for name, value in document.items() if value not in (None, "", [])}


def _step_document(step: GuideStep) -> Document:
    names = ("key", "ask", "yes", "no", "do", "failure_mode")
    document = {name: getattr(step, name) for name in names} | {"look": list(step.look)}
    return {name: value for name, value in document.items() if value not in (None, "", [])}


def problems(type_: EquipmentType) -> Iterator[TypeDefinitionError]:
    """What is wrong with a type's codes beyond the schema."""
    templates = {c.key for c in type_.components}
    points = {p.key for p in type_.points} | {p.key for p in type_.point_instances()}
    seen: set[str] = set()
    for i, code in enumerate(type_.codes):
        where = f"codes/{i}"
        if code.code in seen:
            yield TypeDefinitionError(f"code {code.code!r} is there twice", where=f"{where}/code")
        seen.add(code.code)
        if code.component and code.component not in templates:
            hint = did_you_mean(code.component, templates)
            yield TypeDefinitionError(
                f"there is no component {code.component!r}", where=f"{where}/component", hint=hint
            )
        yield from _guide_problems(code, points, where)


def _guide_problems(code: CodeDef, points: set[str], where: str) -> Iterator[TypeDefinitionError]:
    keys = [step.key for step in code.guide]
    for j, step in enumerate(code.guide):
        here = f"{where}/guide/{j}"
        if keys.index(step.key) != j:
            yield TypeDefinitionError(f"step {step.key!r} is there twice", where=f"{here}/key")
        if bool(step.do) == bool(step.ask and step.yes and step.no):
            yield TypeDefinitionError(
                f"step {step.key!r} either asks, with 'yes' and 'no', or says what to 'do'", where=here
            )
        for answer in (step.yes, step.no):
            if answer and answer not in keys:
                yield TypeDefinitionError(f"there is no step {answer!r}", where=here, hint=did_you_mean(answer, keys))
            elif answer and keys.index(answer) <= j:
                yield TypeDefinitionError(
                    f"step {step.key!r} goes back to {answer!r}", where=here, hint="a search goes on; write it again"
                )
        for point in step.look:
            if point not in points:
                yield TypeDefinitionError(
                    f"there is no point {point!r}", where=f"{here}/look", hint=did_you_mean(point, points)
                )


# --- searching -------------------------------------------------------------------------------------------------------


def look_at(type_: EquipmentType, code: CodeDef, step: GuideStep, component: str) -> tuple[str, ...]:
    """The concrete points that help to answer a step where ``component`` reported the code."""
    bindings: list[dict[str, str]] = [{}]
    for definition in type_.components:
        if definition.key == code.component:
            bindings = [binding for key, binding in expand(definition.key, definition.repeat) if key == component]
    if not bindings:
        return ()
    found = []
    for template in step.look:
        try:
            found.append(template.format_map(bindings[0]))
        except KeyError:
            continue  # of another component's kind: which one is meant nobody can tell
    return tuple(found)


# --- storms ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Counted:
    """One code of one component within a trouble: how often it came, first and last, and is it still there?"""

    code: str
    component: str
    first: int
    last: int
    count: int = 0
    active: bool = True


@dataclass(slots=True)
class Trouble:
    """What came together: one cause, many codes. ``first_out`` is the report with the earliest event time."""

    first_out: TroubleCode
    start: int
    end: int
    reports: int = 0
    codes: list[Counted] = field(default_factory=list)


def troubles(reports: Iterable[TroubleCode], gap: int) -> list[Trouble]:
    """Reports of one equipment as troubles, in order of time: a report within ``gap`` µs of the one before belongs to
    its trouble.

    Event time alone decides, so the order of arrival changes nothing, nor does a report that came twice. What goes
    belongs to the trouble in which it came; codes of one instant stand in the order of their names.
    """
    ordered = sorted({(r.at, r.active, r.component, r.code): r for r in reports}.items(), key=lambda item: item[0])
    found: list[Trouble] = []
    standing: dict[tuple[str, str], Counted] = {}
    for _, report in ordered:
        place = (report.component, report.code)
        if not report.active:
            if place in standing:
                standing.pop(place).active = False
            continue
        if not found or report.at - found[-1].end > gap:
            found.append(Trouble(report, report.at, report.at))
        trouble = found[-1]
        counted = next((c for c in trouble.codes if (c.component, c.code) == place), None)
        if counted is None:
            counted = Counted(report.code, report.component, report.at, report.at)
            trouble.codes.append(counted)
        counted.count, counted.last, counted.active = counted.count + 1, report.at, True
        standing[place] = counted
        trouble.end, trouble.reports = report.at, trouble.reports + 1
    return found


def answered(code: CodeDef, answers: Sequence[bool]) -> GuideStep | None:
    """The step that so many answers from the beginning lead to; None for a code without a guide. Raises IndexError
    where an answer comes after the end."""
    if not code.guide:
        return None
    step = code.guide[0]
    for answer in answers:
        if step.do:
            raise IndexError(f"the search ended at {step.key!r}")
        step = code.step(step.yes if answer else step.no)
    return step


def titles(type_: EquipmentType) -> Mapping[str, CodeDef]:
    """The codes of a type by code."""
    return {code.code: code for code in type_.codes}
