"""Cases out of the file to terms and evidence; local times read in the contract's zone."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from core.contracts.calendars import Period, billing_period, zone
from core.contracts.document import parse
from core.contracts.evidence import EventAt, Evidence, Exclusion, Incident, Machine, Series, StateAt
from core.contracts.terms import Contract
from core.time import from_datetime

CASES: list[dict[str, Any]] = yaml.load(
    (Path(__file__).parent / "cases.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader
)
"""Everything as text, so that no number is read as a float."""


@dataclass(frozen=True)
class Case:
    contract: Contract
    period: Period
    timezone: str

    def us(self, text: str) -> int:
        moment = datetime.fromisoformat(text)
        return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=zone(self.timezone)))

    def evidence(self, part: Mapping[str, Any]) -> Evidence:
        return Evidence(
            machines={name: self._machine(found) for name, found in part.get("machines", {}).items()},
            exclusions=tuple(
                Exclusion(self.us(low), self.us(high), cause, reference, name)
                for name, low, high, cause, reference in part.get("exclusions", ())
            ),
            incidents=tuple(
                Incident(name, self.us(opened), f"case {n}", *(self.us(end) for end in ends))
                for n, (name, opened, *ends) in enumerate(part.get("incidents", ()), 1)
            ),
            known_until=self.us(part["known_until"]) if "known_until" in part else 0,
        )

    def _machine(self, found: Mapping[str, Any]) -> Machine:
        series = {}
        for number, (key, readings) in enumerate(found.get("points", {}).items(), 1):
            ts = np.array([self.us(at) for at, _ in readings], np.int64)
            value = np.array([float(value) for _, value in readings])
            series[key] = Series.of(number, ts, value, np.full(len(ts), 192, np.uint8))
        return Machine(
            series,
            tuple(StateAt(self.us(at), state) for at, state in found.get("states", ())),
            tuple(EventAt(self.us(at), kind, identity) for at, kind, identity in found.get("events", ())),
        )


def read(case: Mapping[str, Any]) -> Case:
    document = complete(case["contract"])
    contract = parse(document)
    return Case(contract, billing_period(case["period"], contract.months), contract.timezone)


def complete(document: Mapping[str, Any]) -> dict[str, Any]:
    """With the names that a case leaves out because they change nothing."""
    found = copy.deepcopy(dict(document))
    found.setdefault("key", "c-1")
    found.setdefault("title", "Contract")
    found.setdefault("currency", "EUR")
    for version in found["versions"]:
        for group in ("fees", "usage", "availability", "service_levels"):
            for term in version.get(group, ()):
                term.setdefault("title", term["key"])
    return found


def day(text: str) -> date:
    return date.fromisoformat(text)
