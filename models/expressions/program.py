"""All formulas of a type as one program: derived points in the order they need each other, then the state, then
vetoes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.equipment import EquipmentType, PointDef, PointKind
from core.errors import TypeDefinitionError
from models.expressions.compiler import Builder, Gate, Node
from models.expressions.frame import BoolArray, Frame, Rows
from models.expressions.fusion import Fused, Instruction, fuse
from models.expressions.operators import Operator
from models.expressions.scope import SCALAR, Scope
from models.expressions.syntax import Formula, FormulaError, parse

_STATE = "state"


@dataclass(slots=True)
class Program:
    """Runs on frames (:class:`Frame`); keeps the memory of its operators for all equipment of the type.

    ``rests_on`` bool [columns, columns]: row d tells which columns' instruments make column d suspect when they are.
    """

    tape: list[Instruction]
    fused: list[Fused]
    operators: Mapping[str, Operator]
    rests_on: BoolArray
    has_states: bool
    operators_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Derived point (as written) → keys of the operators in its own formula."""

    def allocate(self, n: int) -> None:
        """Fresh memory for ``n`` equipment."""
        for operator in self.operators.values():
            operator.allocate(n)
        for group in self.fused:
            group.allocate(n)

    def run(self, frame: Frame) -> None:
        """Fill in the frame's derived values, state and vetoes, and step the memory."""
        results: list[Any] = []
        many = bool(frame.steps)
        with np.errstate(all="ignore"):
            for step in self.tape:
                arguments = [results[a] for a in step.arguments]
                if many and step.scan is not None:
                    results.append(step.scan(frame, *arguments))
                else:
                    results.append(step.run(frame, *arguments) if step.wants_frame else step.run(*arguments))

    def memory(self, rows: Rows) -> list[Any]:
        """A copy of what the operators remember of ``rows``, for :meth:`recall`."""
        return [array[rows].copy() for operator in self.operators.values() for array in operator.arrays.values()]

    def recall(self, rows: Rows, memory: list[Any]) -> None:
        """Remember of ``rows`` what was remembered then."""
        arrays = (array for operator in self.operators.values() for array in operator.arrays.values())
        for array, then in zip(arrays, memory, strict=True):
            array[rows] = then


def compile_type(type_: EquipmentType) -> Program:
    """The program of a type; raises :class:`~core.errors.TypeDefinitionError` that says where in the document."""
    return _Assembly(type_).program()


class _Assembly:
    def __init__(self, type_: EquipmentType) -> None:
        self.type = type_
        self.scope = Scope.of(type_)
        self.builder = Builder(self.scope)
        self.derived = {p.key: p for p in type_.points if p.kind is PointKind.DERIVED}
        self.where: dict[str, str] = {key: f"derived/{i}" for i, key in enumerate(self.derived)}
        self.formulas: dict[str, Formula] = {}
        self.state_formulas: list[Formula] = []
        self.done: set[str] = set()
        self.operators_of: dict[str, frozenset[str]] = {}

    def program(self) -> Program:
        for key, point in self.derived.items():
            self.formulas[key] = self._parse(point.formula or "", f"{self.where[key]}/formula")
        for i, state in enumerate(self.type.states):
            self.state_formulas.append(self._parse(state.when, f"states/{i}/when"))
        for key in self.derived:
            self._visit(key, ())
        self._visit(_STATE, ())
        self._vetoes()
        tape, fused = fuse(self.builder.tape)
        builder = self.builder
        return Program(tape, fused, builder.operators, builder.rests_on, bool(self.type.states), self.operators_of)

    def _parse(self, text: str, where: str) -> Formula:
        try:
            return parse(text)
        except FormulaError as error:
            raise TypeDefinitionError(str(error), where=where, hint=error.hint) from None

    # --- order ---

    def _needs(self, formula: Formula) -> list[str]:
        needs = []
        for name in sorted(formula.references()):
            if name in ("state", "state_age"):
                needs.append(_STATE)
            elif self.scope.is_derived(name):
                needs.append(self.scope.sources[name].definition.key)
        return needs

    def _visit(self, key: str, path: tuple[str, ...]) -> None:
        if key in self.done:
            return
        if key in path:
            circle = " → ".join((*path[path.index(key) :], key))
            where = "states" if key == _STATE else self.where[key]
            raise TypeDefinitionError(
                f"these need each other: {circle}", where=where, hint="lag(x, d) reads the past and needs no circle"
            )
        if key == _STATE:
            needs = [n for formula in self.state_formulas for n in self._needs(formula)]
        else:
            needs = self._needs(self.formulas[key])
            if self.derived[key].when is not None:
                needs.append(_STATE)
        for need in needs:
            self._visit(need, (*path, key))
        self._state() if key == _STATE else self._derived(self.derived[key])
        self.done.add(key)

    # --- instructions ---

    def _derived(self, point: PointDef) -> None:
        source = self.scope.sources[point.key]
        gate: Gate | None = None if point.when is None else (point.when, point.settle)
        start, k = source.start, len(source.bindings)
        where = f"{self.where[point.key]}/formula"
        self.builder.used.clear()
        try:
            node = self.builder.compile(self.formulas[point.key], source.bindings, gate)
            self.operators_of[point.key] = frozenset(self.builder.used)
            if gate is not None:
                node = self.builder.gated(node, gate)
        except FormulaError as error:
            raise TypeDefinitionError(str(error), where=where, hint=error.hint) from None

        def store(frame: Frame, x: Any) -> None:
            frame.values[:, start : start + k] = x

        self.builder.rests_on[start : start + k] |= node.rests_on
        stored = self.builder.emit(f"store {point.key}", store, (node,), wants_frame=True, always=True)
        self.builder.stored |= dict.fromkeys(range(start, start + k), stored.place)

    def _state(self) -> None:
        if not self.type.states:
            return
        nodes: list[Node] = []
        for i, formula in enumerate(self.state_formulas):
            try:
                node = self.builder.compile(formula, SCALAR)
            except FormulaError as error:
                raise TypeDefinitionError(str(error), where=f"states/{i}/when", hint=error.hint) from None
            nodes.append(node)

        def resolve(frame: Frame, *truths: Any) -> None:
            matrix = np.empty((len(frame.index), len(truths)))
            for i, truth in enumerate(truths):
                matrix[:, i : i + 1] = truth
            frame.resolve(matrix)

        resolved = self.builder.emit("resolve state", resolve, nodes, wants_frame=True, always=True)
        self.builder.resolved = (resolved.place,)

    def _vetoes(self) -> None:
        place = 0
        for i, limit in enumerate(self.type.limits):
            source = self.scope.sources.get(limit.point)
            if source is None:
                continue
            k = len(source.bindings)
            if limit.unless is not None:
                where = f"limits/{i}/unless"
                formula = self._parse(limit.unless, where)
                try:
                    node = self.builder.compile(formula, source.bindings)
                except FormulaError as error:
                    raise TypeDefinitionError(str(error), where=where, hint=error.hint) from None
                self._veto(node, place, k)
            place += k

    def _veto(self, node: Node, place: int, k: int) -> None:
        def store(frame: Frame, truth: Any) -> None:
            frame.unless[:, place : place + k] = (truth == truth) & (truth != 0.0)

        self.builder.emit(f"unless {place}", store, (node,), wants_frame=True, always=True)
