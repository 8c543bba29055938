"""What is built into what, from when to when, and what each part ran while it was there.

The record is a list of steps, never changed. Everything else is read from it: structure at any moment, hours and starts
of a serial number through all machines it was in, its lives between remanufactures, what it cost.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from core.errors import ConflictError


class Deed(StrEnum):
    BUILT = "built"
    INSTALLED = "installed"
    REMOVED = "removed"
    INSPECTED = "inspected"
    REPAIRED = "repaired"
    OVERHAULED = "overhauled"
    REMANUFACTURED = "remanufactured"
    SCRAPPED = "scrapped"


AS_NEW: Final = frozenset({Deed.REMANUFACTURED})
"""Begins another life: its counters start again, its history stays."""


@dataclass(frozen=True, slots=True)
class Step:
    """``host`` and ``position``: where it goes (installed) or came from (removed). ``failed``: it was removed because
    it had failed; else it was removed in time (a suspension, for whoever reckons lives)."""

    at: int
    item: str
    deed: Deed
    host: str = ""
    position: str = ""
    failed: bool = False
    grade: str = ""
    cost: Decimal = Decimal(0)
    note: str = ""


Counters = Mapping[str, Fraction]
CounterAt = Callable[[str, int], Counters]
"""What a machine has counted since it was built, up to a moment; monotone in time."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in one machine: ``machine`` at the top, ``host`` the next above, with what the machine counted then."""

    low: int
    high: int
    machine: str
    host: str
    position: str
    counted: Counters


@dataclass(frozen=True, slots=True)
class Life:
    """From new (or remanufactured) to the next remanufacture, scrapping, or now. ``ended`` None: it goes on."""

    number: int
    low: int
    high: int
    ended: Deed | None
    failed: bool
    stretches: tuple[Stretch, ...]
    counted: Counters


@dataclass(slots=True)
class Genealogy:
    """Steps by item, each checked against what went before. ``machines``: items that count for themselves."""

    machines: frozenset[str]
    _steps: dict[str, list[Step]] = field(default_factory=dict)

    def add(self, step: Step) -> None:
        """Take a step; raises :class:`~core.errors.ConflictError` where it cannot have happened."""
        before = self._steps.get(step.item, [])
        if before and step.at < before[-1].at:
            raise ConflictError(f"{step.item} has a later step already", hint="steps are recorded in order of time")
        if any(s.deed is Deed.SCRAPPED for s in before):
            raise ConflictError(f"{step.item} was scrapped", hint="what is scrapped stays so")
        place = self.place(step.item, step.at)
        if step.deed is Deed.BUILT and before:
            raise ConflictError(f"{step.item} was built already")
        if step.deed is Deed.INSTALLED:
            self._check_installation(step, place)
        if step.deed is Deed.REMOVED and place != (step.host, step.position):
            where = f"in {place[0]} at {place[1]}" if place else "in nothing"
            raise ConflictError(f"{step.item} is {where}, not in {step.host} at {step.position}")
        if step.deed in (Deed.REMANUFACTURED, Deed.SCRAPPED) and place is not None:
            raise ConflictError(f"{step.item} is still installed in {place[0]}", hint="record its removal first")
        self._steps.setdefault(step.item, []).append(step)

    def _check_installation(self, step: Step, place: tuple[str, str] | None) -> None:
        if place is not None:
            raise ConflictError(f"{step.item} is installed in {place[0]} already", hint="record its removal first")
        if step.item in self.machines:
            raise ConflictError(f"{step.item} is a machine, not a part")
        above: str | None = step.host
        while above:
            if above == step.item:
                raise ConflictError(f"{step.item} cannot be built into itself")
            found = self.place(above, step.at)
            above = found[0] if found else None
        if any(s.deed is Deed.SCRAPPED for s in self._steps.get(step.host, ())):
            raise ConflictError(f"{step.host} was scrapped")
        taken = [item for item, where in self.parts(step.host, step.at) if where == step.position]
        if taken:
            raise ConflictError(f"{taken[0]} is at {step.position} of {step.host}", hint="record its removal first")

    def steps(self, item: str) -> tuple[Step, ...]:
        return tuple(self._steps.get(item, ()))

    def items(self) -> Iterable[str]:
        return self._steps.keys()

    def place(self, item: str, at: int) -> tuple[str, str] | None:
        """(host, position) that holds from the step on; None: in nothing."""
        found: tuple[str, str] | None = None
        for step in self._steps.get(item, ()):
            if step.at > at:
                break
            if step.deed is Deed.INSTALLED:
                found = (step.host, step.position)
            elif step.deed is Deed.REMOVED:
                found = None
        return found

    def machine(self, item: str, at: int) -> str | None:
        """The machine it runs in at a moment, through whatever assemblies; itself if it is one."""
        now: str | None = item
        while now is not None and now not in self.machines:
            place = self.place(now, at)
            now = place[0] if place else None
        return now

    def parts(self, host: str, at: int) -> list[tuple[str, str]]:
        """(item, position) directly in ``host``, by position."""
        found = [(item, place[1]) for item in self._steps if (place := self.place(item, at)) and place[0] == host]
        return sorted(found, key=lambda part: (part[1], part[0]))

    def structure(self, host: str, at: int) -> list[tuple[int, str, str]]:
        """(depth, position, item) of everything in ``host`` at a moment, each host before its parts."""
        found: list[tuple[int, str, str]] = []

        def walk(above: str, depth: int) -> None:
            for item, position in self.parts(above, at):
                found.append((depth, position, item))
                walk(item, depth + 1)

        walk(host, 0)
        return found

    def stretches(self, item: str, counters: CounterAt, low: int, high: int) -> list[Stretch]:
        """Its times in machines inside [low, high): cut wherever anything above it was moved."""
        edges = sorted({low, high, *(at for at in self._moves(item, high) if low < at < high)})
        found = []
        for begin, end in itertools.pairwise(edges):
            machine = self.machine(item, begin)
            if machine is None:
                continue
            before, after = counters(machine, begin), counters(machine, end)
            counted = {key: after[key] - before.get(key, Fraction(0)) for key in after}
            host, position = self.place(item, begin) or (item, "")
            found.append(Stretch(begin, end, machine, host, position, counted))
        return found

    def _moves(self, item: str, until: int) -> set[int]:
        """When it, or anything it was ever in, was installed or removed."""
        found: set[int] = set()
        seen: set[str] = set()
        waiting = [item]
        while waiting:
            now = waiting.pop()
            if now in seen:
                continue
            seen.add(now)
            for step in self._steps.get(now, ()):
                if step.at <= until and step.deed in (Deed.INSTALLED, Deed.REMOVED):
                    found.add(step.at)
                    waiting.append(step.host)
        return found

    def lives(self, item: str, counters: CounterAt, now: int) -> list[Life]:
        """All of them, the present one last; nothing where no step says that it exists."""
        steps = self._steps.get(item, [])
        if not steps:
            return []
        cuts = [s for s in steps if (s.deed in AS_NEW or s.deed is Deed.SCRAPPED) and s.at <= now]
        found: list[Life] = []
        low = steps[0].at
        for cut in [*cuts, None]:
            if cut is None and cuts and cuts[-1].deed is Deed.SCRAPPED:
                break
            high = cut.at if cut else now
            inside = self.stretches(item, counters, low, high) if high > low else []
            removed = [s for s in steps if s.deed is Deed.REMOVED and low < s.at <= high]
            failed = bool(removed) and removed[-1].failed and self.place(item, high) is None
            ended = cut.deed if cut else None
            found.append(
                Life(len(found) + 1, low, high, ended, failed, tuple(inside), total(s.counted for s in inside))
            )
            low = high
        return found

    def cost(self, item: str) -> Decimal:
        """What all its steps cost."""
        return sum((s.cost for s in self._steps.get(item, ())), Decimal(0))


def total(parts: Iterable[Counters]) -> dict[str, Fraction]:
    """Counters added up, key by key."""
    found: dict[str, Fraction] = {}
    for part in parts:
        for key, value in part.items():
            found[key] = found.get(key, Fraction(0)) + value
    return found
