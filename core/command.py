"""Commands to machines: their life as one transition table, and the interlocks that decide whether one may go out.

A state is claimed on proof only: ``sent`` when the broker has acknowledged it, ``delivered``, ``executing``,
``succeeded``, ``failed`` and ``rejected`` when the device says so. The database reduces commands by exactly these rows.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from core.errors import ConflictError, InvalidInputError
from core.time import SECOND, parse_duration


class CommandState(StrEnum):
    REQUESTED = "requested"
    APPROVED = "approved"
    SENT = "sent"
    DELIVERED = "delivered"
    EXECUTING = "executing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class CommandEvent(StrEnum):
    APPROVE = "approve"
    """The last approval that its class asks for."""
    CANCEL = "cancel"
    BLOCK = "block"
    """An interlock, the local key or an inhibit held it back before it was sent."""
    DISPATCH = "dispatch"
    """About to be given to the broker: from now on a receipt may come, whatever happens to us."""
    ACKNOWLEDGED = "acknowledged"
    """The broker has it."""
    EXPIRE = "expire"
    RECEIVED = "received"
    STARTED = "started"
    DONE = "done"
    BROKEN = "broken"
    REFUSED = "refused"


class CommandClass(StrEnum):
    READ = "read"
    ADJUST = "adjust"
    START_STOP = "start_stop"
    SAFETY = "safety"


APPROVALS: Final[Mapping[CommandClass, int]] = {
    CommandClass.READ: 0,
    CommandClass.ADJUST: 1,
    CommandClass.START_STOP: 1,
    CommandClass.SAFETY: 2,
}
"""People other than who asked, each of them another."""

RECEIPTS: Final[Mapping[str, CommandEvent]] = {
    "received": CommandEvent.RECEIVED,
    "started": CommandEvent.STARTED,
    "done": CommandEvent.DONE,
    "failed": CommandEvent.BROKEN,
    "refused": CommandEvent.REFUSED,
}
"""Words of a receipt."""

FINAL: Final = frozenset(
    {
        CommandState.SUCCEEDED,
        CommandState.FAILED,
        CommandState.REJECTED,
        CommandState.EXPIRED,
        CommandState.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True)
class CommandRule:
    """From ``state`` by ``event`` to ``next_state``; ``dispatched`` is a guard (None: either)."""

    state: CommandState
    event: CommandEvent
    next_state: CommandState
    dispatched: bool | None = None


def _table() -> tuple[CommandRule, ...]:
    s, e, rule = CommandState, CommandEvent, CommandRule
    rules = [
        rule(s.REQUESTED, e.APPROVE, s.APPROVED),
        rule(s.REQUESTED, e.CANCEL, s.CANCELLED),
        rule(s.REQUESTED, e.BLOCK, s.REJECTED),
        rule(s.REQUESTED, e.EXPIRE, s.EXPIRED),
        # once it may be on its way nobody can take it back by a word
        rule(s.APPROVED, e.CANCEL, s.CANCELLED, dispatched=False),
        rule(s.APPROVED, e.BLOCK, s.REJECTED, dispatched=False),
        rule(s.APPROVED, e.DISPATCH, s.APPROVED),
        rule(s.APPROVED, e.ACKNOWLEDGED, s.SENT, dispatched=True),
        rule(s.APPROVED, e.EXPIRE, s.EXPIRED),
    ]
    on_its_way = (s.SENT, s.DELIVERED, s.EXECUTING)
    rules += [rule(state, e.EXPIRE, s.EXPIRED) for state in on_its_way]
    rules += [rule(state, e.ACKNOWLEDGED, state, dispatched=True) for state in on_its_way]
    rules += [rule(state, e.DISPATCH, state, dispatched=True) for state in on_its_way]
    # what the device says is proof of all that must have gone before
    proof = {
        e.RECEIVED: s.DELIVERED,
        e.STARTED: s.EXECUTING,
        e.DONE: s.SUCCEEDED,
        e.BROKEN: s.FAILED,
        e.REFUSED: s.REJECTED,
    }
    order = (s.APPROVED, s.SENT, s.DELIVERED, s.EXECUTING)
    for at, state in enumerate(order):
        for event, after in proof.items():
            backwards = after in order and order.index(after) <= at
            rules.append(rule(state, event, state if backwards else after, dispatched=True))
    # a late answer is proof too: what was given up had been done (or refused) after all
    rules += [rule(s.EXPIRED, event, proof[event], dispatched=True) for event in (e.DONE, e.BROKEN, e.REFUSED)]
    rules += [rule(s.EXPIRED, event, s.EXPIRED, dispatched=True) for event in (e.RECEIVED, e.STARTED, e.ACKNOWLEDGED)]
    # said again, or said of what is settled: the first answer stands, every one is journalled
    for state in (s.SUCCEEDED, s.FAILED, s.REJECTED):
        rules += [rule(state, event, state, dispatched=True) for event in (*proof, e.ACKNOWLEDGED)]
    return tuple(rules)


COMMAND_TRANSITIONS: Final = _table()
"""Every allowed step. A receipt for what was never dispatched is none of them: it proves nothing of ours."""


def reduce(state: CommandState, event: CommandEvent, *, dispatched: bool) -> CommandState:
    """The next state. Raises :class:`~core.errors.ConflictError` where the table has no such step.

    >>> reduce(CommandState.SENT, CommandEvent.DONE, dispatched=True).value
    'succeeded'
    """
    for rule in COMMAND_TRANSITIONS:
        if rule.state is state and rule.event is event and rule.dispatched in (None, dispatched):
            return rule.next_state
    raise ConflictError(f"a command that is {state.value} does not allow {event.value}", hint="read it again")


# --- interlocks ------------------------------------------------------------------------------------------------------

_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_MAX_AGE: Final = "2 min"


@dataclass(frozen=True, slots=True)
class Known:
    """A reading as it stands: value, moment (µs), whether its quality is good."""

    value: float
    ts: int
    good: bool = True


@dataclass(frozen=True, slots=True)
class Situation:
    """What interlocks look at, at ``now`` µs. ``alarms``: (component, priority) of machine alarms that are active; None
    where nobody can know (a device)."""

    now: int
    points: Mapping[str, Known]
    state: str | None = None
    state_at: int | None = None
    alarms: Sequence[tuple[str, str]] | None = ()
    parameters: Mapping[str, float] = field(default_factory=dict)


class _HeldError(Exception):
    """Why a condition does not hold."""


def check(conditions: Sequence[Mapping[str, Any]], situation: Situation) -> list[str]:
    """Why not: one sentence per condition that does not hold; empty where the command may go. A reading that is
    missing, bad or older than its condition allows fails it."""
    found = []
    for condition in conditions:
        why = _why_not(condition, situation)
        if why is not None:
            found.append(why)
    return found


def _why_not(condition: Mapping[str, Any], s: Situation) -> str | None:
    if "reducing" in condition and _reduces(condition, s):
        return None
    why = _said(condition, s)
    return why if why is None or not condition.get("text") else f"{condition['text']}: {why}"


def _said(condition: Mapping[str, Any], s: Situation) -> str | None:
    if "all" in condition:
        inner = [why for part in condition["all"] if (why := _why_not(part, s)) is not None]
        return "; ".join(inner) if inner else None
    if "any" in condition:
        inner = [why for part in condition["any"] if (why := _why_not(part, s)) is not None]
        return None if len(inner) < len(condition["any"]) else " and ".join(inner)
    try:
        _require(condition, s)
    except _HeldError as held:
        return str(held)
    return None


def _reduces(condition: Mapping[str, Any], s: Situation) -> bool:
    """Does the command lower what the point shows? Not known is no."""
    parameter, point = condition["reducing"]
    known = s.points.get(point)
    fresh = known is not None and known.good and s.now - known.ts <= parse_duration(condition.get("max_age", _MAX_AGE))
    return bool(fresh and known is not None and s.parameters[parameter] < known.value)


def _require(condition: Mapping[str, Any], s: Situation) -> None:
    if "state" in condition:
        _state(condition, s)
    elif "no_alarm" in condition:
        _no_alarm(condition, s)
    elif "outside" in condition:
        _outside(condition, s)
    else:
        _compare(condition, s)


def _state(condition: Mapping[str, Any], s: Situation) -> None:
    if s.state is None or s.state_at is None:
        raise _HeldError("the machine's state is not known")
    if s.state not in condition["state"]:
        raise _HeldError(f"the machine is {s.state}, not {' or '.join(condition['state'])}")


def _no_alarm(condition: Mapping[str, Any], s: Situation) -> None:
    if s.alarms is None:
        return
    priorities = condition.get("priorities", ("urgent", "high", "medium", "low"))
    for component, priority in s.alarms:
        if priority in priorities and any(
            component == c or component.startswith(f"{c}.") for c in condition["no_alarm"]
        ):
            raise _HeldError(f"{component} is in alarm ({priority})")


def _outside(condition: Mapping[str, Any], s: Situation) -> None:
    """The target lies outside the band, and the way to it does not cross it."""
    low, high = condition["outside"]
    target = s.parameters[condition["parameter"]]
    if low <= target <= high:
        raise _HeldError(f"{target:g} lies between {low:g} and {high:g}")
    if "from" in condition:
        now = _fresh(condition["from"], condition, s)
        if (now - low) * (target - high) < 0 and (now < low) != (target < low):
            raise _HeldError(f"the way from {now:g} to {target:g} crosses {low:g} to {high:g}")


def _compare(condition: Mapping[str, Any], s: Situation) -> None:
    text = str(condition["formula"]) if "formula" in condition else str(condition["point"])
    value = evaluate(text, lambda name: _value(name, condition, s))
    bound = condition["value"]
    limit = float(bound) if isinstance(bound, (int, float)) else evaluate(bound, lambda n: _value(n, condition, s))
    if not _COMPARE[condition["op"]](value, limit):
        raise _HeldError(f"{condition.get('point', 'value')} is {value:.4g}, wanted {condition['op']} {limit:g}")


def _value(name: str, condition: Mapping[str, Any], s: Situation) -> float:
    return s.parameters[name] if name in s.parameters else _fresh(name, condition, s)


def _fresh(point: str, condition: Mapping[str, Any], s: Situation) -> float:
    known = s.points.get(point)
    if known is None:
        raise _HeldError(f"{point} has never been read")
    oldest = parse_duration(condition.get("max_age", _MAX_AGE))
    age = s.now - known.ts
    if age > oldest:
        raise _HeldError(f"{point} is {age // SECOND} s old, at most {oldest // SECOND} s are allowed")
    if not known.good:
        raise _HeldError(f"{point} has a bad reading")
    return known.value


def evaluate(text: str, value: Callable[[str], float]) -> float:
    """Arithmetic over names: numbers, ``+ - * /``, parentheses; dotted names are points.

    >>> evaluate("2 * (train.speed - 1)", {"train.speed": 4.0}.__getitem__)
    6.0
    """
    return _eval(_parsed(text), value)


def names(text: str) -> Iterator[str]:
    """Names in a formula; raises :class:`~core.errors.InvalidInputError` for one that cannot be evaluated."""
    seen: list[str] = []

    def note(name: str) -> float:
        seen.append(name)
        return 1.0

    _eval(_parsed(text), note)
    return iter(seen)


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        raise InvalidInputError(
            f"{text[:80]!r} is no formula", hint="numbers, points, + - * / and parentheses"
        ) from None


def _eval(node: ast.expr, value: Callable[[str], float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_eval(node.operand, value)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        left, right = _eval(node.left, value), _eval(node.right, value)
        try:
            return _ARITHMETIC[type(node.op)](left, right)
        except ZeroDivisionError:
            return float("nan")
    name = _dotted(node)
    if name is None:
        raise InvalidInputError("only numbers, points, + - * / and parentheses stand in an interlock")
    return value(name)


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        above = _dotted(node.value)
        return None if above is None else f"{above}.{node.attr}"
    return None


# --- the type's catalogue --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of a command, inside its range; ``unit`` UCUM."""

    key: str
    unit: str
    low: float
    high: float
    description: str = ""


@dataclass(frozen=True, slots=True)
class CommandDef:
    """What a type lets people ask of its machines. ``expires`` µs after the request nobody executes it any more.

    ``interlocks`` are checked at the request, before it is sent, and by the device (as far as it can know).
    ``moving``: states in which a vehicle moves and nothing may be written to it.
    """

    key: str
    title: str
    command_class: CommandClass
    parameters: tuple[Parameter, ...] = ()
    expires: int = 10 * 60 * SECOND
    interlocks: tuple[Mapping[str, Any], ...] = ()
    forbidden_states: tuple[str, ...] = ()
    description: str = ""

    def refuse(self, given: Mapping[str, float]) -> None:
        """Raises :class:`~core.errors.InvalidInputError` for parameters that are missing, unknown or out of range."""
        known = {p.key: p for p in self.parameters}
        if wrong := sorted(set(given) ^ set(known)):
            word = "does not take" if wrong[0] in given else "needs"
            raise InvalidInputError(f"{self.key} {word} {wrong[0]!r}", hint=f"parameters: {', '.join(known) or 'none'}")
        for key, value in given.items():
            if not known[key].low <= value <= known[key].high:
                raise InvalidInputError(
                    f"{key} = {value:g} lies outside {known[key].low:g} to {known[key].high:g} {known[key].unit}"
                )
