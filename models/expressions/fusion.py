"""Operators of one kind, stepped together: fifty moving averages cost little more than one.

At these sizes a numpy call costs its overhead, not its arithmetic, so the number of calls is the price of a type. Where
several operators of a kind are ready to run they become one on concatenated columns, with settings per column. Each
keeps its own state arrays as views of the common ones: snapshots and changed types never see that they were fused.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.expressions.frame import FloatArray, Frame
from models.expressions.operators import Operator


@dataclass(frozen=True, slots=True)
class Instruction:
    """``arguments`` and ``after``: places whose results it uses, and which must merely have run before.

    ``alike``: what operators that can be fused have in common; None where ``operator`` cannot be, or is none.
    ``scan``: in place of ``run`` where a frame holds many moments and the instruction has memory.
    """

    run: Callable[..., Any]
    arguments: tuple[int, ...] = ()
    wants_frame: bool = False
    after: tuple[int, ...] = ()
    operator: Operator | None = None
    alike: str | None = None
    scan: Callable[..., Any] | None = None


class Fused:
    """One operator in place of several; ``parts`` see slices of its state."""

    def __init__(self, parts: Sequence[Operator]) -> None:
        self.parts = parts
        self.whole = copy.copy(parts[0])
        self.whole.k = sum(p.k for p in parts)
        for name in self.whole.settings:
            values = [np.full(p.k, getattr(p, name)) for p in parts]
            setattr(self.whole, name, np.concatenate(values))
        edges = np.cumsum([0, *(p.k for p in parts)]).tolist()
        self.slices = [slice(a, b) for a, b in itertools.pairwise(edges)]

    def allocate(self, n: int) -> None:
        self.whole.allocate(n)
        for part, columns in zip(self.parts, self.slices, strict=True):
            part.arrays = {name: array[:, columns] for name, array in self.whole.arrays.items()}

    def run(self, frame: Frame, *inputs: FloatArray) -> FloatArray:
        """``inputs``: all of the first part, all of the second, …"""
        result: FloatArray = self.whole(frame, *self._together(frame, inputs))  # type: ignore[operator]
        return result

    def scan(self, frame: Frame, *inputs: FloatArray) -> FloatArray:
        """The same for a frame of many moments."""
        return self.whole.scan(frame, *self._together(frame, inputs))

    def _together(self, frame: Frame, inputs: Sequence[FloatArray]) -> FloatArray:
        each = len(inputs) // len(self.parts)
        together = np.empty((each, len(frame.index), self.whole.k))
        for i, x in enumerate(inputs):
            together[i % each, :, self.slices[i // each]] = x
        return together


def fuse(tape: Sequence[Instruction]) -> tuple[list[Instruction], list[Fused]]:
    """The same work in fewer instructions, and the fused operators to allocate.

    List scheduling: all that cannot be fused runs as soon as it can; when only operators are left to choose from, the
    kind with most of them ready goes next.
    """
    needs = [len({*step.arguments, *step.after}) for step in tape]
    users: list[list[int]] = [[] for _ in tape]
    for place, step in enumerate(tape):
        for needed in {*step.arguments, *step.after}:
            users[needed].append(place)
    new: list[Instruction] = []
    fused: list[Fused] = []
    moved: dict[int, int] = {}
    ready = {place for place, n in enumerate(needs) if n == 0}
    while ready:
        plain = sorted(p for p in ready if tape[p].alike is None)
        if plain:
            chosen = plain
        else:
            kinds: dict[str, list[int]] = {}
            for place in sorted(ready):
                kinds.setdefault(tape[place].alike or "", []).append(place)
            chosen = max(kinds.values(), key=lambda places: (len(places), -places[0]))
        if tape[chosen[0]].alike is None or len(chosen) == 1:
            for place in chosen:
                step = tape[place]
                moved[place] = len(new)
                scan = None if step.operator is None else step.operator.scan
                arguments = tuple(moved[a] for a in step.arguments)
                new.append(Instruction(step.run, arguments, step.wants_frame, scan=scan))
        else:
            fused.append(_append_fused(tape, chosen, moved, new))
        ready.difference_update(chosen)
        for place in chosen:
            for user in users[place]:
                needs[user] -= 1
                if needs[user] == 0:
                    ready.add(user)
    return new, fused


def _append_fused(
    tape: Sequence[Instruction], places: Sequence[int], moved: dict[int, int], new: list[Instruction]
) -> Fused:
    group = Fused([operator for p in places if (operator := tape[p].operator) is not None])
    whole = len(new)
    arguments = tuple(moved[a] for p in places for a in tape[p].arguments)
    new.append(Instruction(group.run, arguments, True, scan=group.scan))
    for place, columns in zip(places, group.slices, strict=True):
        moved[place] = len(new)
        new.append(Instruction(_part(columns), (whole,)))
    return group


def _part(columns: slice) -> Callable[[FloatArray], FloatArray]:
    return lambda whole: whole[:, columns]
