"""When what is due next, by what it runs; and machines compared at equal duty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.time import HOUR


@dataclass(frozen=True, slots=True)
class Interval:
    """Something due every ``hours`` of a life, or after ``calendar`` µs, whichever comes first."""

    key: str
    title: str
    hours: float | None = None
    calendar: int | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """``at`` µs: when it falls due at the present rate of use (None: it does not run); ``hours_left`` until then by the
    counter; ``because`` of hours or of the calendar."""

    key: str
    title: str
    at: int | None
    hours_left: float | None
    because: str


def life_plan(
    intervals: Sequence[Interval], hours: float, rate: float, done: Mapping[str, tuple[float, int]], born: int, now: int
) -> list[Due]:
    """What is due next, soonest first. ``hours`` run in this life, ``rate`` of running (hours per hour of late);
    ``done``: by key the hours and the moment at which it was last done."""
    found = []
    for interval in intervals:
        last_hours, last_at = done.get(interval.key, (0.0, born))
        by_hours: int | None = None
        left: float | None = None
        if interval.hours is not None:
            left = interval.hours - (hours - last_hours)
            if left <= 0:
                by_hours = now
            elif rate > 0:
                by_hours = now + round(left / rate * HOUR)
        by_calendar = None if interval.calendar is None else max(last_at + interval.calendar, now)
        known = [(at, why) for at, why in ((by_hours, "hours"), (by_calendar, "calendar")) if at is not None]
        at, why = min(known, default=(None, "nothing"))
        found.append(Due(interval.key, interval.title, at, left, why))
    return sorted(found, key=lambda due: (due.at is None, due.at or 0, due.key))


@dataclass(frozen=True, slots=True)
class Compared:
    """``raw`` mean of a machine, and ``standardised``: as if it had run the fleet's mix of duty. ``covered``: share of
    that mix which it has run itself; below it, what it would do is not known. ``hours`` of evidence."""

    machine: str
    raw: float
    standardised: float | None
    covered: float
    hours: float


def equal_duty(
    fleet: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], edges: Sequence[float], least: int = 3
) -> list[Compared]:
    """Machines by a figure (per hour: duty, value) at equal duty: direct standardisation over classes of duty.

    ``edges``: bounds of the classes, ascending; hours outside or not finite are left out. A class counts for a machine
    with at least ``least`` hours in it. Best (lowest) standardised value first.
    """
    classes = len(edges) - 1
    mean = np.full((len(fleet), classes), np.nan)
    count = np.zeros((len(fleet), classes))
    raw = np.full(len(fleet), np.nan)
    for row, (duty, value) in enumerate(fleet.values()):
        good = np.isfinite(duty) & np.isfinite(value) & (duty >= edges[0]) & (duty < edges[-1])
        place = np.digitize(duty[good], edges) - 1
        hours = np.bincount(place, minlength=classes).astype(float)
        sums = np.bincount(place, weights=value[good], minlength=classes)
        count[row] = np.where(hours >= least, hours, 0.0)
        mean[row] = np.where(hours >= least, sums / np.maximum(hours, 1), np.nan)
        raw[row] = value[good].mean() if good.any() else np.nan
    mix = count.sum(axis=0)
    found = []
    for row, machine in enumerate(fleet):
        own = count[row] > 0
        weight = mix[own].sum()
        standard = float((mix[own] * mean[row][own]).sum() / weight) if weight else None
        covered = float(weight / mix.sum()) if mix.sum() else 0.0
        found.append(Compared(machine, float(raw[row]), standard, covered, float(count[row].sum())))
    return sorted(found, key=lambda c: (c.standardised is None, c.standardised or 0.0, c.machine))
