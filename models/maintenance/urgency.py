"""By when to act, and what an advisory says: pure, from evidence and the type's plan.

The rule of dates. Where a prognosis exists: the early end (P10) of its interval in calendar time, since one in ten
machines fails before it. Else by the alarm's priority, counted from when its evidence was first seen:
:data:`PATIENCE`. Whichever of several is earliest counts, and the date makes the advisory at least as urgent as
:data:`CLASSES` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from core.condition import Priority
from core.maintenance_plan import MaintenancePlan, TaskDef
from core.time import DAY, HOUR, MINUTE, isoformat

PATIENCE: Final[Mapping[Priority, int]] = {
    Priority.URGENT: DAY,
    Priority.HIGH: 7 * DAY,
    Priority.MEDIUM: 30 * DAY,
    Priority.LOW: 90 * DAY,
}
"""µs from the first evidence to the date, where nothing better is known: the usual response times of a service desk."""

CLASSES: Final = ((DAY, Priority.URGENT), (7 * DAY, Priority.HIGH), (30 * DAY, Priority.MEDIUM))
"""A date that near is at least that urgent."""


@dataclass(frozen=True, slots=True)
class Prognosis:
    """Remaining life in calendar time, µs from ``at``: one in ten, one in two, nine in ten have failed by then."""

    at: int
    p10: int
    p50: int
    p90: int


@dataclass(frozen=True, slots=True)
class Urgency:
    """``due_at`` µs UTC; ``rule`` says in words where it comes from."""

    due_at: int
    priority: Priority
    rule: str


def urgency(evidence: Sequence[Mapping[str, Any]], prognosis: Prognosis | None, now: int) -> Urgency:
    """When to act, from alarms that hold (``priority``, ``since`` µs) and a prognosis.

    ``evidence`` holds at least one that holds. Raises ValueError where none does.

    >>> urgency([{"priority": "high", "since": 0}], None, 0).due_at == 7 * DAY
    True
    """
    holding = [line for line in evidence if line.get("holds", True)]
    if not holding:
        raise ValueError("nothing holds, so nothing is urgent")
    priority = min((Priority(line["priority"]) for line in holding), key=lambda p: p.rank)
    first = min((line for line in holding), key=lambda line: line["since"] + PATIENCE[Priority(line["priority"])])
    by_alarm = int(first["since"]) + PATIENCE[Priority(first["priority"])]
    days = PATIENCE[Priority(first["priority"])] // DAY
    due, rule = by_alarm, f"{days} d after a {first['priority']} alarm was first seen"
    if prognosis is not None:
        early = prognosis.at + prognosis.p10
        span = f"{_days(prognosis.p10)} to {_days(prognosis.p90)} d"
        due = early
        rule = f"early end (P10) of the remaining life, {span}, foretold {isoformat(prognosis.at)[:16]}"
    for near, least in CLASSES:
        if due - now <= near and least.rank < priority.rank:
            priority = least
            break
    return Urgency(due, priority, rule)


def _days(us: int) -> str:
    days = us / DAY
    return f"{days:.1f}" if days < 10 else f"{days:.0f}"


def plan_of_work(plan: MaintenancePlan, task: TaskDef, component: str, binding: Mapping[str, str]) -> dict[str, Any]:
    """What an advisory and a work order carry of a task: everything a planner needs, copied, since types change."""
    parts: list[dict[str, Any]] = [
        {
            "key": need.key,
            "name": part.name if part else need.key,
            "number": part.number if part else "",
            "quantity": str(need.quantity),
            "unit": part.unit if part else need.unit,
            "price": str(part.price) if part else "0",
            "lead_days": part.lead / DAY if part else 0.0,
        }
        for need in task.parts
        for part in [plan.part(need.key)]
    ]
    material = sum((Decimal(p["price"]) * Decimal(p["quantity"]) for p in parts), Decimal(0))
    return {
        "task": task.key,
        "modes": list(task.modes),
        "name": task.name.format_map(dict(binding)),
        "consequence": task.consequence,
        "steps": list(task.steps),
        "optional_steps": list(task.optional_steps),
        "parts": parts,
        "lubricants": [{"key": n.key, "quantity": str(n.quantity), "unit": n.unit} for n in task.lubricants],
        "skills": list(task.skills),
        "crew": task.crew,
        "minutes": round(task.duration / MINUTE),
        "stop": task.stop,
        "cost": str(task.cost + material),
        "failure_cost": str(task.failure),
        "currency": plan.currency,
        "renews": [component, *(r.format_map(dict(binding)) for r in task.resets)] if task.renews else [],
        "watch_hours": task.watch / HOUR,
        "patience_days": task.patience / DAY,
    }


def unknown_work(component: str, action: str) -> dict[str, Any]:
    """What to do where the type knows no task: look, as the alarm says."""
    return {
        "task": None,
        "modes": [],
        "name": f"Inspect {component or 'the machine'}",
        "consequence": "",
        "steps": [action] if action else ["Find out what is wrong"],
        "optional_steps": [],
        "parts": [],
        "lubricants": [],
        "skills": [],
        "crew": 1,
        "minutes": 60,
        "stop": False,
        "cost": "0",
        "failure_cost": "0",
        "currency": "EUR",
        "renews": [],
        "watch_hours": 4.0,
        "patience_days": 14.0,
    }


def mode_of(failure_mode: str | None, condition: str) -> str:
    """What advisories are told apart by where a limit names no failure mode: its own key.

    >>> mode_of(None, "pump/vibration/high")
    'high'
    """
    return failure_mode or condition.rsplit("/", 1)[-1]


def advised_mode(plan: MaintenancePlan, component: str, mode: str) -> str:
    """The failure mode an advisory stands for: modes that one task answers are one, named by the task's first.

    A worn ring and the vibration it makes are two alarms and one thing to do.
    """
    answer = plan.answer(component, mode)
    return answer[0].modes[0] if answer and mode in answer[0].modes else mode


def merge(evidence: Sequence[Mapping[str, Any]], line: Mapping[str, Any], keep: int = 20) -> list[dict[str, Any]]:
    """Evidence with ``line`` in it: of one source (``source``) the last word counts, ``since`` stays while it holds.

    At most ``keep`` lines; those that no longer hold go first, the oldest of them first.
    """
    merged: list[dict[str, Any]] = []
    found = False
    for known in evidence:
        if known["source"] != line["source"]:
            merged.append(dict(known))
            continue
        found = True
        since = known["since"] if known.get("holds") and line["holds"] else line["since"]
        over = {"holds": False, "until": line["at"]}
        merged.append({**known, **line, "since": since} if line["holds"] else {**known, **over})
    if not found and line["holds"]:
        merged.append(dict(line))
    while len(merged) > keep:
        gone = [x for x in merged if not x["holds"]] or merged
        merged.remove(min(gone, key=lambda x: int(x["at"])))
    return merged
