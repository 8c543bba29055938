"""Remaining life on the stream: a fleet's ended steps in, a prognosis for each out.

The pipeline hands over steps (models.steps) where a frame closes, to the champion and to the challenger alike; only the
champion's answer is told. The answers do not depend on how the stream is cut into records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.prognosis.answer import CalendarLife, RemainingLife, dates
from models.prognosis.regression import LifeRegressor
from models.prognosis.usage import UsageClock
from models.steps import Ended

IntArray = NDArray[np.int64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Machines ``rows`` [n] whose step ended at ``at`` [n] µs, and what they have left: in steps, and as dates."""

    rows: Index
    at: IntArray
    life: RemainingLife
    calendar: CalendarLife


class OnlineLife:
    """A fitted model beside ``machines`` machines. ``sensors`` and ``settings``: columns of an ended step that the
    model was trained on, in its order; ``step`` µs, as it was trained with.

    A point that said nothing in a step keeps its last value; before it has said anything the machine is waited for.
    """

    def __init__(self, model: LifeRegressor, sensors: Index, settings: Index, step: int, machines: int) -> None:
        self.model, self.step = model, step
        self.columns = np.concatenate([settings, sensors]).astype(np.intp)
        self.driven = len(settings)
        self.fleet = model.start(machines)
        self.usage = UsageClock(machines)
        self.last = np.full((machines, len(self.columns)), np.nan)

    def ended(self, steps: Ended) -> Told | None:
        """What the machines have left whose steps are over; None where none of them is known well enough."""
        rows, at, mean = steps.rows, steps.at, steps.mean[:, self.columns]
        low, usual, high = self.usage.step(rows, at - self.step)
        self.last[rows] = np.where(mean == mean, mean, self.last[rows])
        now = self.last[rows]
        complete = (now == now).all(axis=1)
        if not complete.any():
            return None
        if not complete.all():
            rows, at, now = rows[complete], at[complete], now[complete]
            low, usual, high = low[complete], usual[complete], high[complete]
        life = self.fleet.step(now[:, : self.driven], now[:, self.driven :], rows)
        return Told(
            rows,
            at,
            life,
            CalendarLife(
                dates(life.p10, high, at, life.horizon),
                dates(life.p50, usual, at, life.horizon),
                dates(life.p90, low, at, life.horizon),
            ),
        )

    def renewed(self, row: int) -> None:
        """The machine's life begins anew; how it is used stays known."""
        for array in self.fleet.state.dump().values():
            array[row] = 0
        self.last[row] = np.nan

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state itself, machines along the first axis: for snapshots, and to be written into."""
        return {
            "last": self.last,
            **{f"use.{key}": value for key, value in self.usage.arrays().items()},
            **{f"trend.{key}": value for key, value in self.fleet.state.dump().items()},
        }
