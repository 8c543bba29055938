"""What a type says about its upkeep: tasks with their parts, skills and time, when they are due by themselves, and what
its oil may be like. Data out of the type's document (``maintenance:``), read by :mod:`models.maintenance.plan`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from core.repeat import Repeat, expand


@dataclass(frozen=True, slots=True)
class PartDef:
    """A spare part. ``price`` per ``unit`` in the plan's currency; ``lead`` µs from order to delivery."""

    key: str
    name: str
    number: str = ""
    unit: str = "1"
    price: Decimal = Decimal(0)
    lead: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """So much of a part or a lubricant."""

    key: str
    quantity: Decimal
    unit: str = "1"


@dataclass(frozen=True, slots=True)
class Due:
    """When a preventive task is due: the first of what is given.

    ``calendar`` µs since it was last done; ``hours`` of running since then; ``count`` of ``counter`` (a point that only
    counts up: cycles, starts, hours) since then; ``point`` past ``high`` or ``low`` (condition).
    """

    calendar: int | None = None
    hours: float | None = None
    counter: str | None = None
    count: float | None = None
    point: str | None = None
    high: float | None = None
    low: float | None = None


@dataclass(frozen=True, slots=True)
class TaskDef:
    """Something people do on a component.

    ``modes``: failure modes it is the answer to; empty and without ``due``: the answer to whatever else is wrong there.
    ``duration`` µs with ``crew`` people; ``stop``: the machine must stand. ``risk`` per day that a machine runs on past
    its date, and ``failure`` what a breakdown costs, in the plan's currency. ``resets``: what has to be learned anew
    after it (components; by default its own). ``watch`` µs of running after it that prove it, within ``patience`` µs.
    """

    key: str
    name: str
    component: str
    modes: tuple[str, ...] = ()
    consequence: str = ""
    steps: tuple[str, ...] = ()
    optional_steps: tuple[str, ...] = ()
    parts: tuple[Need, ...] = ()
    lubricants: tuple[Need, ...] = ()
    skills: tuple[str, ...] = ()
    crew: int = 1
    duration: int = 0
    stop: bool = True
    cost: Decimal = Decimal(0)
    failure: Decimal = Decimal(0)
    renews: bool = False
    resets: tuple[str, ...] = ()
    watch: int = 0
    patience: int = 0
    due: Due | None = None
    repeat: Repeat = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OilDef:
    """A lubricant in use and its limits: (warning, alarm) each.

    ``viscosity`` mm²/s at 40 °C when new and by how many per cent it may move; ``water`` mg/kg; ``acid`` mg KOH/g over
    the new oil's ``acid_new``; ``cleanliness`` ISO 4406 codes for > 4, > 6, > 14 µm(c), each a limit; ``metals`` mg/kg.
    """

    component: str
    lubricant: str
    viscosity: float
    viscosity_percent: tuple[float, float] = (10.0, 15.0)
    water: tuple[float, float] = (200.0, 500.0)
    acid_new: float = 0.1
    acid_rise: tuple[float, float] = (0.5, 1.0)
    cleanliness: tuple[int, int, int] = (18, 16, 13)
    metals: tuple[float, float] = (20.0, 50.0)


@dataclass(frozen=True, slots=True)
class MaintenancePlan:
    """All that a type says about upkeep."""

    currency: str = "EUR"
    tasks: tuple[TaskDef, ...] = ()
    parts: tuple[PartDef, ...] = ()
    oils: tuple[OilDef, ...] = ()

    def tasks_on(self, component: str) -> Iterator[tuple[TaskDef, dict[str, str]]]:
        """Tasks of a concrete component, with the values of its placeholders."""
        for task in self.tasks:
            for key, binding in expand(task.component, task.repeat):
                if key == component:
                    yield task, binding

    def preventive(self) -> Iterator[tuple[TaskDef, str, dict[str, str]]]:
        """(task, concrete component, placeholders) of all that is due by itself."""
        for task in self.tasks:
            if task.due is not None:
                for key, binding in expand(task.component, task.repeat):
                    yield task, key, binding

    def answer(self, component: str, mode: str) -> tuple[TaskDef, dict[str, str]] | None:
        """The task for a failure mode of a component: one that names the mode, else one for whatever is wrong there."""
        found = list(self.tasks_on(component))
        return _first((t, b) for t, b in found if mode in t.modes) or _first(
            (t, b) for t, b in found if not t.modes and t.due is None
        )

    def part(self, key: str) -> PartDef | None:
        return next((part for part in self.parts if part.key == key), None)


def _first(found: Iterable[tuple[TaskDef, dict[str, str]]]) -> tuple[TaskDef, dict[str, str]] | None:
    return next(iter(found), None)
