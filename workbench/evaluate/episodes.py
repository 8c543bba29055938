"""Alarms against failures of many machines: what counts as found, as false, and how sure the figures are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, chi2

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

HOURS_PER_MONTH = 730.0


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """One machine: ``at`` [n] hours, ``alarm`` [n], ``failures`` hours. Only these hours are judged."""

    name: str
    at: FloatArray
    alarm: BoolArray
    failures: FloatArray


@dataclass(frozen=True, slots=True)
class Tally:
    """``leads``: hours from the first alarm to each failure, None where there was none in time."""

    leads: tuple[float | None, ...]
    false_alarms: int
    unit_months: float

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.leads + other.leads, self.false_alarms + other.false_alarms, self.unit_months + other.unit_months
        )


def held(level: FloatArray, on: float, off: float, breaks: Sequence[int] = ()) -> BoolArray:
    """An alarm that comes above ``on`` and goes below ``off``, row by row; at ``breaks`` (a repair) it goes at once."""
    alarm = np.zeros(len(level), np.bool_)
    standing = False
    ends = set(breaks)
    for i, value in enumerate(level.tolist()):
        if i in ends:
            standing = False
        standing = value > on if not standing else not value < off
        alarm[i] = standing
    return alarm


def tally(told: Sequence[Told], *, least_lead_h: float, window_h: float) -> Tally:
    """A failure is found if an alarm that began at most ``window_h`` before it stood already ``least_lead_h`` before
    it.

    An alarm that begins anywhere else is false; alarms that begin later than ``least_lead_h`` before a failure are
    neither.
    """
    whole = Tally((), 0, 0.0)
    for one in told:
        starts = one.at[np.flatnonzero(one.alarm & ~np.concatenate([[False], one.alarm[:-1]]))]
        leads: list[float | None] = []
        for failure in one.failures.tolist():
            in_time = starts[(starts >= failure - window_h) & (starts <= failure - least_lead_h)]
            leads.append(failure - float(in_time[0]) if len(in_time) else None)
        explained = np.zeros(len(starts), np.bool_)
        for failure in one.failures.tolist():
            explained |= (starts >= failure - window_h) & (starts <= failure)
        whole += Tally(tuple(leads), int((~explained).sum()), len(one.at) / HOURS_PER_MONTH)
    return whole


def document(found: Tally) -> dict[str, Any]:
    """For ``--json``: the figures owed, and 95 % intervals (Clopper and Pearson 1934; Garwood 1936)."""
    leads = [lead for lead in found.leads if lead is not None]
    n, k = len(found.leads), len(leads)
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    months = max(found.unit_months, 1e-9)
    f = found.false_alarms
    return {
        "failures": n,
        "detected": k,
        "detected_95": [round(low, 3), round(high, 3)] if n else None,
        "median_lead_h": round(float(np.median(leads)), 1) if leads else None,
        "false_alarms": f,
        "unit_months": round(found.unit_months, 2),
        "false_alarms_per_unit_month": round(f / months, 3),
        "false_alarms_per_unit_month_95": [
            round(float(chi2.ppf(0.025, 2 * f)) / 2 / months if f else 0.0, 3),
            round(float(chi2.ppf(0.975, 2 * f + 2)) / 2 / months, 3),
        ],
    }
