"""Alarms against what happened: failures foreseen and how long before, alarms for nothing, and what that costs. Pure.

* A failure is *foreseen* if an announced alarm about the machine, on its component (any component where it names none),
  comes within the horizon before it. *Lead* is the time from the first such alarm to the failure.
* An announced alarm about the machine is *false* if no failure of its equipment follows within the horizon, and
  *elsewhere* if one does, but on other components.
* A month is 30 days of one equipment.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from core.errors import InvalidInputError
from core.time import DAY, HOUR, parse_instant
from workbench.evaluate.verdict import Announced

PRICES: Final = ("missed", "foreseen", "false")
"""A failure nobody saw coming, one that was seen coming, an alarm for nothing."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that broke, or work that was needed: ``component`` "" where nobody wrote down which."""

    equipment: str
    at: int
    component: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A failure and the first alarm that warned of it, if one did."""

    failure: Failure
    alarm: Announced | None

    @property
    def lead_h(self) -> float | None:
        return None if self.alarm is None else (self.failure.at - self.alarm.at) / HOUR


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one run over history."""

    failures: tuple[Foreseen, ...]
    false: tuple[Announced, ...]
    elsewhere: tuple[Announced, ...]

    def figures(self, equipment_months: float, prices: Mapping[str, float]) -> dict[str, Any]:
        """For people and programs; ``cost`` only where all of :data:`PRICES` are given."""
        leads = [f.lead_h for f in self.failures if f.lead_h is not None]
        months = max(equipment_months, 1e-9)
        result: dict[str, Any] = {
            "failures": len(self.failures),
            "foreseen": len(leads),
            "recall": round(len(leads) / len(self.failures), 4) if self.failures else None,
            "median_lead_h": round(median(leads), 2) if leads else None,
            "false_alarms": len(self.false),
            "elsewhere": len(self.elsewhere),
            "false_alarms_per_equipment_month": round(len(self.false) / months, 3),
        }
        if set(PRICES) <= set(prices):
            missed = len(self.failures) - len(leads)
            with_alarms = (
                missed * prices["missed"] + len(leads) * prices["foreseen"] + len(self.false) * prices["false"]
            )
            result["cost"] = round(with_alarms, 2)
            result["cost_without_alarms"] = round(len(self.failures) * prices["missed"], 2)
        return result


def judge(failures: Sequence[Failure], alarms: Sequence[Announced], horizon: int) -> Verdict:
    """By the rules above; alarms about instruments and connections are nobody's failure and stay out of it."""
    machine = sorted((a for a in alarms if a.concern == "machine"), key=lambda a: a.at)
    foreseen = []
    for failure in failures:
        warned = (a for a in machine if _before(failure, a, horizon) and _same_component(failure, a))
        foreseen.append(Foreseen(failure, next(warned, None)))
    false, elsewhere = [], []
    for alarm in machine:
        near = [f for f in failures if _before(f, alarm, horizon)]
        if not near:
            false.append(alarm)
        elif not any(_same_component(f, alarm) for f in near):
            elsewhere.append(alarm)
    return Verdict(tuple(foreseen), tuple(false), tuple(elsewhere))


def _before(failure: Failure, alarm: Announced, horizon: int) -> bool:
    return failure.equipment == alarm.equipment and 0 <= failure.at - alarm.at <= horizon


def _same_component(failure: Failure, alarm: Announced) -> bool:
    return not failure.component or alarm.component == failure.component


def read_failures(path: Path) -> list[Failure]:
    """Of a CSV file with the columns equipment, at, and perhaps component and mode."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"equipment", "at"} - set(reader.fieldnames or ())
            if missing:
                raise InvalidInputError(
                    f"{path.name} has no column {', '.join(sorted(missing))}",
                    hint="a header such as: equipment,at,component,mode",
                )
            return [
                Failure(
                    (row["equipment"] or "").strip(),
                    parse_instant((row["at"] or "").strip()),
                    (row.get("component") or "").strip(),
                    (row.get("mode") or "").strip(),
                )
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInputError(f"{path}: {error}", hint="a CSV file in UTF-8") from error


def parse_prices(text: str) -> dict[str, float]:
    """Of ``missed=50000,foreseen=9000,false=800``.

    >>> parse_prices("missed=5,foreseen=2,false=1")
    {'missed': 5.0, 'foreseen': 2.0, 'false': 1.0}
    """
    try:
        prices = {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError:
        prices = {}
    if set(prices) != set(PRICES) or any(not 0 <= price < float("inf") for price in prices.values()):
        raise InvalidInputError(f"{text!r} names no prices", hint="for example missed=50000,foreseen=9000,false=800")
    return prices


def equipment_months(equipment: int, time_from: int, time_to: int) -> float:
    """>>> equipment_months(2, 0, 30 * DAY)
    2.0
    """
    return equipment * (time_to - time_from) / (30 * DAY)
