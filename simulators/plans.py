"""Which faults happen when: seeded plans for evaluations and demos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.errors import InvalidInputError
from simulators.contract import FaultPlan
from simulators.engine import Fleet

_SECOND: Final = 1_000_000
_HOUR: Final = 3600 * _SECOND
_DAY: Final = 24 * _HOUR
LEARNING_SHARE: Final = 0.30
"""No fault begins in this first part of a period: detectors learn what is normal."""
_END_SHARE: Final = 0.97
_TRIES: Final = 60

MACHINE_MODES: Final = {
    "compressor-train": ("filter_clogging", "cooler_fouling", "wiped_pad", "lost_blade", "motor_bearing"),
    "metro-train-6": ("hot_box", "converter_fan", "burst_hose"),
}
"""What :func:`draw_faults` draws unless told otherwise; a fleet's ``FAULTS`` has more."""
INSTRUMENT_MODES: Final = ("stuck", "drift", "bias", "open_circuit")

_STEPS: Final = frozenset({"wiped_pad", "lost_blade", "converter_fan", "burst_hose"})
"""Faults that are there at once: their horizon is short, hours and not days."""


def unit_seeds(seed: int, units: int) -> list[int]:
    """Seeds of the units of one fleet seed; fleets of different seeds share none."""
    return [seed * 1000 + unit for unit in range(units)]


@dataclass(frozen=True, slots=True)
class _Window:
    start: int
    days: float

    @property
    def first(self) -> int:
        return self.start + round(LEARNING_SHARE * self.days * _DAY)

    @property
    def last(self) -> int:
        return self.start + round(_END_SHARE * self.days * _DAY)


def draw_faults(
    kind_fleet: type[Fleet],
    seeds: Sequence[int],
    start: int,
    days: float,
    rng: np.random.Generator,
    *,
    machine_modes: Sequence[str] | None = None,
    instrument_modes: Sequence[str] = INSTRUMENT_MODES,
) -> list[FaultPlan]:
    """A plan for one set of units: every mode once, dealt over the units; ``seeds`` gives the units.

    Of two machine faults of one unit neither disturbs a component of the other. Onsets lie after the first 30 % of
    ``days`` and limits inside the period; a train's in service hours. An instrument fault keeps off components that
    break or are disturbed, and off points on which nobody could tell drift or bias from a machine fault.
    """
    modes = MACHINE_MODES[kind_fleet.TYPE] if machine_modes is None else tuple(machine_modes)
    unknown = [mode for mode in (*modes, *instrument_modes) if mode not in kind_fleet.FAULTS]
    if unknown:
        raise InvalidInputError(
            f"a {kind_fleet.TYPE} knows no fault {unknown[0]!r}", hint=f"one of {', '.join(kind_fleet.FAULTS)}"
        )
    window = _Window(start, days)
    plans: list[FaultPlan] = []
    taken: list[set[str]] = [set() for _ in seeds]
    for mode, unit in _deal(kind_fleet, modes, len(seeds), rng):
        plan = _machine(kind_fleet, unit, mode, window, rng, taken[unit])
        plans.append(plan)
        taken[unit] |= {plan.component, *kind_fleet.FAULTS[mode].shows_on}
    units = [int(unit) for unit in rng.permutation(len(seeds))]
    for i, mode in enumerate(instrument_modes):
        unit = units[i % len(units)]
        plan = _instrument(kind_fleet, unit, mode, taken[unit], window, rng)
        plans.append(plan)
        taken[unit].add(plan.component)
    return plans


def _deal(kind_fleet: type[Fleet], modes: Sequence[str], units: int, rng: np.random.Generator) -> list[tuple[str, int]]:
    """(mode, unit) so that what two faults of a unit disturb does not overlap, where that is possible."""
    touched = {mode: {*kind_fleet.FAULTS[mode].components[:1], *kind_fleet.FAULTS[mode].shows_on} for mode in modes}
    best: tuple[int, list[tuple[str, int]]] | None = None
    for _ in range(_TRIES):
        order = [str(mode) for mode in rng.permutation(list(modes))]
        dealt = [(mode, (i + offset) % units) for offset in [int(rng.integers(units))] for i, mode in enumerate(order)]
        clashes = sum(
            bool(touched[one] & touched[other])
            for i, (one, unit) in enumerate(dealt)
            for other, place in dealt[:i]
            if unit == place
        )
        if best is None or clashes < best[0]:
            best = clashes, dealt
        if not clashes:
            break
    return best[1] if best else []


def _machine(
    kind_fleet: type[Fleet], unit: int, mode: str, window: _Window, rng: np.random.Generator, taken: set[str]
) -> FaultPlan:
    places = kind_fleet.FAULTS[mode].components
    component = str(rng.choice([place for place in places if place not in taken] or list(places)))
    room = window.last - window.first
    if mode == "incipient_surge":
        horizon = round(rng.uniform(20.0, 40.0) * 60 * _SECOND)
    elif mode in _STEPS:
        horizon = round(min(rng.uniform(8.0, 16.0) * _HOUR, 0.5 * room))
    else:
        horizon = round(rng.uniform(0.45, 0.85) * room)
    onset = window.first + round(rng.uniform(0.0, 1.0) * (room - horizon))
    if kind_fleet.TYPE == "metro-train-6" and window.days >= 2:
        onset, horizon = _in_service(onset, horizon, mode in _STEPS, window)
    return FaultPlan(unit, component, mode, onset, horizon)


def _in_service(onset: int, horizon: int, step: bool, window: _Window) -> tuple[int, int]:
    """Move a train's fault into service: a step's onset, or a growing fault's limit, to between 8:00 and 20:00."""
    moment = onset if step else onset + horizon
    hour = (moment % _DAY) / _HOUR
    moved = moment + round((8.0 + hour / 2.0 - hour) * _HOUR)  # the day's 24 hours onto the 12 of service
    while moved > window.last:
        moved -= _DAY
    while moved < window.first:
        moved += _DAY
    if step:
        return moved, min(horizon, max(window.last - moved, _HOUR))
    return (moved - horizon, horizon) if moved - horizon >= window.first else (window.first, moved - window.first)


def _instrument(
    kind_fleet: type[Fleet], unit: int, mode: str, avoid: set[str], window: _Window, rng: np.random.Generator
) -> FaultPlan:
    creeping = mode in ("drift", "bias")
    choices = [
        channel.spec
        for channel in kind_fleet.CHANNELS
        if channel.drawable and channel.spec.component not in avoid and not (creeping and channel.ambiguous)
    ]
    # A component first, then its point: else 48 axle boxes would get nearly every fault of a train.
    groups: dict[str, list[int]] = {}
    for i, spec in enumerate(choices):
        family = spec.key.split(".", 1)[1].rstrip("0123456789") if spec.key.startswith("car") else spec.component
        groups.setdefault(family.split(".")[0].rstrip("12345678"), []).append(i)
    group = groups[str(rng.choice(sorted(groups)))]
    spec = choices[int(rng.choice(group))]
    room = window.last - window.first
    hours = 0.8 * room if mode == "drift" else rng.uniform(10.0, 20.0) * _HOUR
    horizon = round(min(max(hours * rng.uniform(0.6, 1.0), 10.5 * _HOUR if mode == "drift" else 0.0), 0.9 * room))
    onset = window.first + round(rng.uniform(0.0, 1.0) * (room - horizon))
    return FaultPlan(unit, spec.component, mode, onset, horizon, spec.key)
