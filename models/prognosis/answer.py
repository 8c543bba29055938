"""The one answer of every kind of prognosis, and how the equipment's own clock becomes a date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidInputError
from core.time import DAY

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NEVER: Final = np.iinfo(np.int64).max
"""A date that lies beyond what is told."""


@dataclass(frozen=True, slots=True, eq=False)
class RemainingLife:
    """Remaining life of n things in the equipment's clock: with 10, 50 and 90 % probability it is over by then.

    ``p10 <= p50 <= p90`` [n], not negative, in ``unit`` (``cycle``, ``h``, ``d``, …). Lives longer than ``horizon`` are
    not told apart: a value equal to it reads "at least".

    >>> RemainingLife.of([[30, 42, 41]], "cycle", 125).p90
    array([42.])
    """

    p10: FloatArray
    p50: FloatArray
    p90: FloatArray
    unit: str
    horizon: float = np.inf

    @classmethod
    def of(cls, quantiles: object, unit: str, horizon: float = np.inf) -> Self:
        """Of [n, 3] quantiles in any order, cut to 0 … ``horizon``."""
        ordered = np.sort(np.clip(np.asarray(quantiles, float), 0.0, horizon), axis=1)
        return cls(ordered[:, 0], ordered[:, 1], ordered[:, 2], unit, horizon)

    def __len__(self) -> int:
        return len(self.p50)

    def calendar(self, usage: Usage, now: int) -> CalendarLife:
        """When: dates in µs UTC, from ``now``. The early date is that of hard use, the late one that of little use."""
        return CalendarLife(
            *(
                dates(life, rate, now, self.horizon)
                for life, rate in ((self.p10, usage.high), (self.p50, usage.usual), (self.p90, usage.low))
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class CalendarLife:
    """Dates in µs UTC; :data:`NEVER` where the life reaches the horizon or the clock does not run."""

    p10: IntArray
    p50: IntArray
    p90: IntArray


@dataclass(frozen=True, slots=True)
class Usage:
    """How fast the equipment's clock runs, in its units per day of calendar; ``low <= usual <= high``.

    The three differ by what a *mean* over the coming weeks may be, not by what single days were.
    """

    low: float
    usual: float
    high: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.low <= self.usual <= self.high:
            raise InvalidInputError(
                f"a use of {self.low:g}, {self.usual:g}, {self.high:g} units per day is not in order",
                hint="0 <= low <= usual <= high",
            )

    @classmethod
    def from_counter(cls, ts: IntArray, counter: FloatArray, days: int = 28) -> Usage:
        """From a counter (hours run, cycles, km) as it was read: usage of the last ``days`` days and its spread by
        week.

        A counter that was set back (a new meter, a repair) costs only the day in which it happened.
        Raises :class:`~core.errors.InvalidInputError` when less than a day is known.
        """
        ts, counter = np.asarray(ts, np.int64), np.asarray(counter, float)
        known = np.isfinite(counter)
        ts, counter = ts[known], counter[known]
        if len(ts) < 2 or ts[-1] - ts[0] < DAY:
            raise InvalidInputError("less than a day of the counter is known", hint="wait, or give the use per day")
        whole = min(days, int((ts[-1] - ts[0]) // DAY))
        edges = ts[-1] - np.arange(whole, -1, -1) * DAY
        at = np.interp(edges.astype(float), ts.astype(float), counter)
        daily = np.diff(at)
        daily = daily[daily >= 0]
        if not len(daily):
            raise InvalidInputError("the counter only runs backwards", hint="is it the counter of this equipment?")
        usual = float(daily.mean())
        # P10 and P90 of the mean of about a week: days differ, weeks much less
        spread = 1.2816 * float(daily.std(ddof=1) if len(daily) > 1 else usual) / np.sqrt(min(len(daily), 7))
        return cls(max(0.0, usual - spread), usual, usual + spread)


class Prognosis(Protocol):
    """What every kind offers; ``histories`` is the kind's own view of n machines up to now."""

    def remaining(self, histories: object) -> RemainingLife: ...


def dates(life: FloatArray, rate: FloatArray | float, now: IntArray | int, horizon: float) -> IntArray:
    """When ``life`` [n] is over, µs UTC, at ``rate`` units per day from ``now``; :data:`NEVER` where nobody knows."""
    rate = np.broadcast_to(np.asarray(rate, float), life.shape)
    runs = rate > 0.0
    days = np.where(runs, life, 0.0) / np.where(runs, rate, 1.0)
    told = runs & np.isfinite(life) & (life < horizon) & (days < 36525.0)
    when: IntArray = (now + np.where(told, days, 0.0) * DAY).astype(np.int64)
    return np.where(told, when, NEVER)
