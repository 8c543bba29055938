"""What figures are computed from: readings, states, events, and what people put on record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.contracts.intervals import Span, Spans, tidy

_UNCERTAIN = 64
"""Readings of class bad (below) are no evidence."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Usable readings of a point by time: ``ts`` int64 µs strictly rising, ``value`` float64 finite."""

    point_id: int
    ts: NDArray[np.int64]
    value: NDArray[np.float64]

    @staticmethod
    def of(point_id: int, ts: NDArray[np.int64], value: NDArray[np.float64], quality: NDArray[np.uint8]) -> Series:
        """Of stored readings those that are evidence: not of class bad, finite; in order of time."""
        usable = (quality >= _UNCERTAIN) & np.isfinite(value)
        ts, value = ts[usable], value[usable]
        order = np.argsort(ts, kind="stable")
        return Series(point_id, ts[order], value[order])

    def between(self, span: Span) -> Series:
        """Readings in [from, to)."""
        low, high = np.searchsorted(self.ts, np.array(span, np.int64))
        return Series(self.point_id, self.ts[low:high], self.value[low:high])

    def digest(self) -> str:
        """SHA-256 of times and values: the same readings, the same digest."""
        packed = self.ts.astype("<i8").tobytes() + self.value.astype("<f8").tobytes()
        return hashlib.sha256(packed).hexdigest()

    def gaps(self, span: Span, longest: int) -> Spans:
        """Stretches of more than ``longest`` µs without a reading inside [from, to). A reading before the span ends
        the silence before it."""
        low, high = span
        inside = self.between(span).ts
        first = int(np.searchsorted(self.ts, low))
        before = self.ts[first - 1 : first] if first else np.empty(0, np.int64)
        edges = np.concatenate([before, inside, np.array([high], np.int64)])
        if not before.size:
            edges = np.concatenate([np.array([low], np.int64), edges])
        wide = np.flatnonzero(np.diff(edges) > longest)
        return tidy((max(int(edges[i]), low), int(edges[i + 1])) for i in wide.tolist())


EMPTY = Series(0, np.empty(0, np.int64), np.empty(0, np.float64))


@dataclass(frozen=True, slots=True)
class StateAt:
    ts: int
    state: str


@dataclass(frozen=True, slots=True)
class EventAt:
    """``identity`` says which stored event it is."""

    ts: int
    kind: str
    identity: str


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine's telemetry: from some time before the period (for what was so when it began) to its end."""

    series: Mapping[str, Series] = field(default_factory=dict)
    states: tuple[StateAt, ...] = ()
    events: tuple[EventAt, ...] = ()


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A stretch that somebody put on record with a cause, e.g. ``planned``, ``customer``, ``force_majeure``.

    ``equipment`` empty: every machine of the contract.
    """

    low: int
    high: int
    cause: str
    reference: str
    equipment: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something the provider has to answer; None: not yet."""

    equipment: str
    opened: int
    reference: str
    responded: int | None = None
    restored: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """``known_until`` µs: nothing later is known; clocks still running are read at this moment."""

    machines: Mapping[str, Machine]
    exclusions: tuple[Exclusion, ...] = ()
    incidents: tuple[Incident, ...] = ()
    known_until: int = 0

    def excluded(self, equipment: str, causes: tuple[str, ...]) -> tuple[Exclusion, ...]:
        """Those of a machine with one of the causes, by time."""
        found = (e for e in self.exclusions if e.cause in causes and e.equipment in ("", equipment))
        return tuple(sorted(found, key=lambda e: (e.low, e.high, e.reference)))
