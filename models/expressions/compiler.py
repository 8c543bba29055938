"""Formulas to a tape: one list of array instructions for all derived points and states of a type, each shared term
once."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from core.time import parse_duration
from models.expressions import groups, truth
from models.expressions.frame import BoolArray, FloatArray, Frame
from models.expressions.functions import FUNCTIONS, SPECIAL, VARIABLES, Function, Parameter
from models.expressions.fusion import Instruction
from models.expressions.operators import Operator
from models.expressions.scope import SCALAR, Domain, Scope, Source, did_you_mean
from models.expressions.syntax import Formula, FormulaError

Gate = tuple[tuple[str, ...], int]
"""States in which a term means anything, and the settling time in them."""

_BINARY: Final[dict[type[ast.operator], Callable[..., Any]]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: truth.divide, ast.Pow: truth.power,
    ast.Mod: truth.modulo,
}  # fmt: skip
_COMPARE: Final[dict[type[ast.cmpop], Callable[..., Any]]] = {
    ast.Gt: truth.greater, ast.GtE: truth.greater_equal, ast.Lt: truth.less, ast.LtE: truth.less_equal,
    ast.Eq: truth.equal, ast.NotEq: truth.not_equal,
}  # fmt: skip
_OVER: Final = ("max_of", "min_of", "mean_of", "sum_of", "median_of", "count_of")


@dataclass(frozen=True, slots=True)
class Node:
    """One instruction's result: its place on the tape, instances ``k`` (1: the same for all), and what it rests on.

    ``rests_on`` bool [k, columns]: the columns whose instruments being suspect makes it suspect (peers do not: a median
    bears one).
    """

    place: int
    k: int
    boolean: bool
    rests_on: BoolArray
    key: str


class Builder:
    """Appends instructions; equal ones (same function, arguments, instances) are one."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.tape: list[Instruction] = []
        self.operators: dict[str, Operator] = {}
        self.used: set[str] = set()
        """Keys of the operators asked for since it was last emptied, made or known already."""
        self.rests_on: BoolArray = np.eye(scope.columns, dtype=np.bool_)
        self.stored: dict[int, int] = {}
        """Where on the tape a derived column is written: who reads it comes after."""
        self.resolved: tuple[int, ...] = ()
        """Where the state is found: who asks for it comes after."""
        self._known: dict[str, Node] = {}
        self._names: dict[str, str] = {}

    # --- the tape ---

    def emit(
        self,
        key: str,
        run: Callable[..., Any],
        arguments: Sequence[Node] = (),
        *,
        k: int | None = None,
        boolean: bool = False,
        wants_frame: bool = False,
        rests_on: BoolArray | None = None,
        always: bool = False,
        after: Sequence[int] = (),
        operator: Operator | None = None,
        alike: str | None = None,
    ) -> Node:
        if not always and key in self._known:
            return self._known[key]
        if k is None:
            k = max((a.k for a in arguments), default=1)
        if rests_on is None:
            rests_on = np.zeros((k, self.scope.columns), np.bool_)
            for a in arguments:
                rests_on = rests_on | a.rests_on
        node = Node(len(self.tape), k, boolean, rests_on, key)
        places = tuple(a.place for a in arguments)
        self.tape.append(Instruction(run, places, wants_frame, tuple(after), operator, alike))
        self._known[key] = node
        return node

    def constant(self, value: float) -> Node:
        return self.emit(f"const {value!r}", lambda: np.float64(value))

    # --- expressions ---

    def compile(self, formula: Formula, domain: Domain, gate: Gate | None = None) -> Node:
        """The node of a formula evaluated for each instance of ``domain``; with a gate its memory sees gated values
        only."""
        self._names = formula.names
        node = self._node(formula.tree, domain, gate)
        if node.k not in (1, len(domain)):
            raise FormulaError(f"{formula.text!r} gives {node.k} values where {len(domain)} are wanted")
        return node

    def _node(self, tree: ast.expr, domain: Domain, gate: Gate | None) -> Node:
        if isinstance(tree, ast.Constant):
            if isinstance(tree.value, str):
                raise FormulaError(f"the text {tree.value!r} has no place here", hint="texts name states and durations")
            assert isinstance(tree.value, (int, float))
            return self.constant(float(tree.value))
        if isinstance(tree, ast.Name):
            return self._reference(self._names.get(tree.id, tree.id), domain)
        if isinstance(tree, ast.BinOp):
            a, b = self._node(tree.left, domain, gate), self._node(tree.right, domain, gate)
            function = _BINARY[type(tree.op)]
            return self.emit(f"{function.__name__}({a.key},{b.key})", function, (a, b))
        if isinstance(tree, ast.UnaryOp):
            return self._unary(tree, domain, gate)
        if isinstance(tree, ast.BoolOp):
            function = truth.both if isinstance(tree.op, ast.And) else truth.either
            nodes = [self._condition(v, domain, gate) for v in tree.values]
            result = nodes[0]
            for other in nodes[1:]:
                key = f"{function.__name__}({result.key},{other.key})"
                result = self.emit(key, function, (result, other), boolean=True)
            return result
        if isinstance(tree, ast.Compare):
            return self._compare(tree, domain, gate)
        if isinstance(tree, ast.IfExp):
            parts = (self._condition(tree.test, domain, gate), self._node(tree.body, domain, gate))
            other = self._node(tree.orelse, domain, gate)
            places = ",".join(n.key for n in (*parts, other))
            return self.emit(f"where({places})", truth.where, (*parts, other))
        if isinstance(tree, ast.Call):
            return self._call(tree, domain, gate)
        raise FormulaError(f"{ast.unparse(tree)!r} has no place here")

    def _condition(self, tree: ast.expr, domain: Domain, gate: Gate | None) -> Node:
        node = self._node(tree, domain, gate)
        return node if node.boolean else self.emit(f"truth({node.key})", truth.truth, (node,), boolean=True)

    def _unary(self, tree: ast.UnaryOp, domain: Domain, gate: Gate | None) -> Node:
        if isinstance(tree.op, ast.Not):
            a = self._condition(tree.operand, domain, gate)
            return self.emit(f"not({a.key})", truth.negate, (a,), boolean=True)
        a = self._node(tree.operand, domain, gate)
        return a if isinstance(tree.op, ast.UAdd) else self.emit(f"minus({a.key})", np.negative, (a,))

    def _compare(self, tree: ast.Compare, domain: Domain, gate: Gate | None) -> Node:
        if isinstance(tree.left, ast.Name) and tree.left.id == "state":
            return self._compare_state(tree)
        terms = [tree.left, *tree.comparators]
        result: Node | None = None
        for left, operation, right in zip(terms, tree.ops, terms[1:], strict=False):
            if type(operation) not in _COMPARE:
                raise FormulaError("'in' compares the state only", hint='state in ("loaded", "recycle")')
            a, b = self._node(left, domain, gate), self._node(right, domain, gate)
            function = _COMPARE[type(operation)]
            node = self.emit(f"{function.__name__}({a.key},{b.key})", function, (a, b), boolean=True)
            if result is not None:
                node = self.emit(f"both({result.key},{node.key})", truth.both, (result, node), boolean=True)
            result = node
        assert result is not None
        return result

    def _compare_state(self, tree: ast.Compare) -> Node:
        if len(tree.ops) != 1 or not isinstance(tree.ops[0], (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
            raise FormulaError("a state is compared with == , != , in, not in", hint='state in ("loaded", "recycle")')
        right = tree.comparators[0]
        items = right.elts if isinstance(right, ast.Tuple) else [right]
        wanted = []
        for item in items:
            if not (isinstance(item, ast.Constant) and isinstance(item.value, str)):
                raise FormulaError("a state is compared with names in quotes", hint='state in ("loaded", "recycle")')
            wanted.append(self._state_code(item.value))
        inverse = isinstance(tree.ops[0], (ast.NotEq, ast.NotIn))
        member = np.full(len(self.scope.states) + 1, float(inverse))
        member[wanted] = float(not inverse)
        return self.emit(
            f"state {sorted(wanted)} {inverse}",
            lambda frame: member[frame.state],
            boolean=True,
            wants_frame=True,
            after=self.resolved,
        )

    def _state_code(self, name: str) -> int:
        names = ("unknown", *self.scope.states)
        if name not in names:
            raise FormulaError(f"there is no state {name!r}", hint=did_you_mean(name, names))
        return names.index(name)

    # --- names ---

    def _reference(self, name: str, domain: Domain) -> Node:
        if name == "state":
            raise FormulaError("the state is no number", hint=VARIABLES["state"])
        if name == "state_age":
            return self.emit(
                "state_age", lambda frame: (frame.t - frame.state_since) * 1e-6, wants_frame=True, after=self.resolved
            )
        source = self.scope.find(name)
        columns = self._columns(name, source, domain)
        place: Any = columns
        if len(columns) == 1 or (np.diff(columns) == 1).all():
            place = slice(int(columns[0]), int(columns[-1]) + 1)
        at = json.dumps([dict(b) for b in domain], sort_keys=True) if len(columns) > 1 or source.placeholders else ""
        key = f"{name}{at}"
        return self.emit(
            key,
            lambda frame: frame.values[:, place],
            k=len(columns),
            wants_frame=True,
            rests_on=self.rests_on[columns],
            after=[self.stored[c] for c in columns.tolist() if c in self.stored],
        )

    def _fresh(self, tree: ast.Call, domain: Domain) -> Node:
        argument = tree.args[0] if len(tree.args) == 1 and not tree.keywords else None
        name = self._names.get(argument.id, argument.id) if isinstance(argument, ast.Name) else ""
        if not name or name in ("state", "state_age") or self.scope.is_derived(name):
            raise FormulaError("fresh() takes a measured point", hint=SPECIAL["fresh"])
        columns = self._columns(name, self.scope.find(name), domain)
        at = json.dumps([dict(b) for b in domain], sort_keys=True) if len(columns) > 1 else ""
        return self.emit(
            f"fresh({name}{at})",
            lambda frame: np.where(frame.fresh[:, columns], frame.values[:, columns], np.nan),
            k=len(columns),
            wants_frame=True,
            rests_on=self.rests_on[columns],
        )

    def _columns(self, name: str, source: Source, domain: Domain) -> NDArray[np.intp]:
        if not source.placeholders:
            return np.array([source.start])
        missing = source.placeholders - set(domain[0])
        if missing:
            raise FormulaError(
                f"{name!r} exists for each {' and '.join(sorted(missing))}: which one is meant?",
                hint=f"name one instance, or make many into one with {', '.join(_OVER)}",
            )
        place = {tuple(sorted(b.items())): i for i, b in enumerate(source.bindings)}
        columns = []
        for binding in domain:
            wanted = tuple(sorted((p, binding[p]) for p in source.placeholders))
            if wanted not in place:
                raise FormulaError(
                    f"{name!r} does not exist for {dict(wanted)}", hint="repeat both over the same values"
                )
            columns.append(source.start + place[wanted])
        if len(set(columns)) == 1 and len(domain) > 1:
            return np.array(columns[:1])
        return np.array(columns)

    # --- calls ---

    def _call(self, tree: ast.Call, domain: Domain, gate: Gate | None) -> Node:
        assert isinstance(tree.func, ast.Name)
        name = tree.func.id
        if name in ("peer_median", "peer_spread"):
            return self._peers(name, tree, domain, gate)
        if name in _OVER:
            return self._over(name, tree, gate, domain)
        if name == "active":
            return self._active(tree, domain)
        if name == "fresh":
            return self._fresh(tree, domain)
        function = FUNCTIONS.get(name)
        if function is None:
            raise FormulaError(f"there is no function {name!r}", hint=did_you_mean(name, [*FUNCTIONS, *SPECIAL]))
        values, constants = self._arguments(function, tree, domain, gate)
        if function.pure is not None:
            key = f"{name}({','.join(v.key for v in values)})"
            if name == "table":
                return self._table(tree, values[0])
            return self.emit(key, function.pure, values, boolean=function.boolean)
        return self._operator(function, values, constants, domain, gate)

    def _operator(
        self, function: Function, values: list[Node], constants: dict[str, Any], domain: Domain, gate: Gate | None
    ) -> Node:
        assert function.make is not None
        if gate is not None:
            values = [self.gated(v, gate) for v in values]
        options = dict(constants)
        freeze = options.pop("freeze", None)
        if isinstance(freeze, Node):
            values = [*values, freeze]
        k = max(v.k for v in values)
        if function.name == "expected":
            options["inputs"] = len(values) - 1 - isinstance(freeze, Node)
        # the key names the operator's state across restarts and edits: it is made of text, not of places on this tape
        bindings = json.dumps([dict(b) for b in domain], sort_keys=True) if k > 1 else ""
        settings = json.dumps(options, sort_keys=True)
        text = f"{function.name}({';'.join(v.key for v in values)}){settings}{bindings}"
        key = f"{function.name}#{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"
        self.used.add(key)
        if key in self._known:
            return self._known[key]
        operator = function.make(k, **options)
        self.operators[key] = operator
        return self.emit(
            key,
            _run(operator),
            values,
            k=k,
            boolean=function.boolean,
            wants_frame=True,
            operator=operator,
            alike=f"{type(operator).__name__}/{len(values)}/{options.get('inputs')}" if operator.fusible else None,
        )

    def gated(self, node: Node, gate: Gate) -> Node:
        """The node's value where the gate is open, else unknown."""
        states, settle = gate

        def run(frame: Frame, x: FloatArray) -> FloatArray:
            is_open = frame.gate(states, settle)
            return x if is_open is None else np.where(is_open, x, np.nan)

        key = f"gate({node.key};{states};{settle})"
        return self.emit(key, run, (node,), boolean=node.boolean, wants_frame=True, after=self.resolved)

    def _arguments(
        self, function: Function, tree: ast.Call, domain: Domain, gate: Gate | None
    ) -> tuple[list[Node], dict[str, Any]]:
        """Value nodes in order, and constants by name; durations in µs."""
        names = [p.name for p in function.parameters]
        given: dict[str, ast.expr] = {}
        rest: list[ast.expr] = []
        positional = list(tree.args)
        parameters = list(function.parameters)
        while positional and parameters:
            parameter = parameters.pop(0)
            if parameter.kind == "values":
                while positional and not _is_text(positional[0]):
                    rest.append(positional.pop(0))
                continue
            given[parameter.name] = positional.pop(0)
        for keyword in tree.keywords:
            if keyword.arg not in names or keyword.arg in given:
                raise FormulaError(f"{function.name}() has no {keyword.arg!r} to give", hint=function.signature)
            given[keyword.arg] = keyword.value
        if positional:
            raise FormulaError(f"{function.name}() takes fewer arguments", hint=function.signature)
        values: list[Node] = []
        constants: dict[str, Any] = {}
        for parameter in function.parameters:
            if parameter.kind == "values":
                if not rest:
                    raise FormulaError(f"{function.name}() lacks {parameter.name!r}", hint=function.signature)
                values += [self._node(v, domain, gate) for v in rest]
            elif parameter.name not in given:
                if parameter.required:
                    raise FormulaError(f"{function.name}() lacks {parameter.name!r}", hint=function.signature)
            else:
                self._take(function, parameter, given[parameter.name], domain, gate, values, constants)
        return values, constants

    def _take(
        self,
        function: Function,
        parameter: Parameter,
        tree: ast.expr,
        domain: Domain,
        gate: Gate | None,
        values: list[Node],
        constants: dict[str, Any],
    ) -> None:
        if parameter.kind == "duration":
            constants[parameter.name] = _duration(function, tree)
        elif parameter.kind == "number":
            constants[parameter.name] = _number(function, parameter, tree)
        elif parameter.kind == "condition":
            node = self._condition(tree, domain, gate)
            if parameter.name == "freeze":
                constants["freeze"] = node
            else:
                values.append(node)
        else:
            values.append(self._node(tree, domain, gate))

    def _table(self, tree: ast.Call, x: Node) -> Node:
        numbers = []
        for item in tree.args[1:]:
            try:
                numbers.append(float(ast.literal_eval(item)))
            except (ValueError, TypeError):
                raise FormulaError("table() takes numbers as nodes", hint="table(x, 0, 1.0, 100, 2.5)") from None
        xs, ys = np.array(numbers[0::2]), np.array(numbers[1::2])
        if len(xs) != len(ys) or len(xs) < 2 or (np.diff(xs) <= 0).any():
            raise FormulaError("table() takes pairs x, y with growing x", hint="table(x, 0, 1.0, 100, 2.5)")
        return self.emit(f"table({x.key},{numbers})", lambda v: truth.interpolate(v, xs, ys), (x,))

    # --- across instances ---

    def _peers(self, name: str, tree: ast.Call, domain: Domain, gate: Gate | None) -> Node:
        arguments = list(tree.args)
        by_tree = next((w.value for w in tree.keywords if w.arg == "by"), None) or (
            arguments.pop(1) if len(arguments) == 2 else None
        )
        if len(arguments) != 1 or any(w.arg != "by" for w in tree.keywords):
            raise FormulaError(f"{name}() takes a value and a grouping", hint=SPECIAL[name])
        by = _names_of(by_tree)
        unknown = [p for p in by if p not in domain[0]]
        if unknown:
            raise FormulaError(f"nothing here is repeated by {unknown[0]!r}", hint=did_you_mean(unknown[0], domain[0]))
        x = self._node(arguments[0], domain, gate)
        if x.k == 1:
            raise FormulaError(f"{name}() needs a value that differs between instances: {ast.unparse(tree)!r}")
        gather = _gather(domain, domain, tuple(by))
        run = groups.peer_median(gather) if name == "peer_median" else groups.peer_spread(gather)
        nothing = np.zeros((x.k, self.scope.columns), np.bool_)
        return self.emit(f"{name}({x.key};{by})", run, (x,), k=x.k, rests_on=nothing)

    def _over(self, name: str, tree: ast.Call, gate: Gate | None, domain: Domain) -> Node:
        if len(tree.args) != 1 or tree.keywords:
            raise FormulaError(f"{name}() takes one value", hint=SPECIAL[name])
        names = [self._names.get(n.id, n.id) for n in ast.walk(tree.args[0]) if isinstance(n, ast.Name)]
        sources = [self.scope.sources[n] for n in names if n in self.scope.sources]
        inner = max((s.bindings for s in sources), key=lambda b: (len(b[0]), len(b)), default=SCALAR)
        if len(inner) < 2:
            raise FormulaError(f"nothing in {ast.unparse(tree)!r} is repeated", hint=SPECIAL[name])
        x = self._node(tree.args[0], inner, gate)
        shared = tuple(p for p in inner[0] if p in domain[0])
        gather = _gather(domain, inner, shared)
        rests_on = np.zeros((len(domain), self.scope.columns), np.bool_)
        if name in ("max_of", "min_of", "sum_of") and x.k > 1:
            rests_on = np.stack([x.rests_on[row[row >= 0]].any(axis=0) for row in gather])
        key = f"{name}({x.key};{json.dumps([dict(b) for b in domain])})"
        return self.emit(key, groups.over(name, gather), (x,), k=len(domain), rests_on=rests_on)

    def _active(self, tree: ast.Call, domain: Domain) -> Node:
        argument = tree.args[0] if len(tree.args) == 1 and not tree.keywords else None
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            raise FormulaError("active() takes a condition in quotes", hint=SPECIAL["active"])
        name = argument.value
        if name not in self.scope.limits:
            raise FormulaError(f"there is no limit {name!r}", hint=did_you_mean(name, self.scope.limits))
        start, bindings = self.scope.limits[name]
        placeholders = set(bindings[0])
        if placeholders and not placeholders <= set(domain[0]):
            raise FormulaError(f"{name!r} exists for each {' and '.join(sorted(placeholders))}: which one is meant?")
        places = [tuple(sorted(b.items())) for b in bindings]
        wanted = [tuple(sorted((p, b[p]) for p in placeholders)) for b in domain] if placeholders else [()]
        columns = np.array([start + places.index(w) for w in wanted])
        return self.emit(
            f"active({name};{columns.tolist()})",
            lambda frame: frame.active[:, columns].astype(float),
            k=len(columns),
            boolean=True,
            wants_frame=True,
        )


def _is_text(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Constant) and isinstance(tree.value, str)


def _run(operator: Operator) -> Callable[..., Any]:
    return operator  # type: ignore[return-value]


def _duration(function: Function, tree: ast.expr) -> int:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (str, int, float)):
        try:
            duration = parse_duration(tree.value)
        except InvalidInputError as error:
            raise FormulaError(f"{function.name}(): {error}", hint=error.hint) from None
        if duration > 0:
            return duration
    raise FormulaError(
        f"{function.name}() wants a duration in quotes, not {ast.unparse(tree)!r}",
        hint=f"{function.signature}, e.g. '10 min'",
    )


def _number(function: Function, parameter: Parameter, tree: ast.expr) -> int:
    if isinstance(tree, ast.Constant) and type(tree.value) is int and 3 <= tree.value <= parameter.most:
        return tree.value
    raise FormulaError(
        f"{function.name}() wants a whole number from 3 to {parameter.most}, not {ast.unparse(tree)!r}",
        hint=f"{function.signature}, e.g. 15",
    )


def _names_of(tree: ast.expr | None) -> list[str]:
    if tree is None:
        return []
    items = tree.elts if isinstance(tree, ast.Tuple) else [tree]
    names = []
    for item in items:
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            names.append(item.value)
        elif isinstance(item, ast.Name):
            names.append(item.id)
        else:
            raise FormulaError("a grouping is the name of a placeholder", hint='peer_median(x, by="car")')
    return names


def _gather(results: Domain, members: Domain, shared: tuple[str, ...]) -> groups.Gather:
    """For each result, the members that agree with it on ``shared`` placeholders; −1 fills up."""
    rows = [[i for i, m in enumerate(members) if all(m[p] == r[p] for p in shared)] for r in results]
    width = max(len(row) for row in rows)
    return np.array([row + [-1] * (width - len(row)) for row in rows], dtype=np.intp)
