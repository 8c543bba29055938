"""Alarms against the truth: which faults were found, in time, on their component; and which alarms nothing explains.

Pure. The rules, to the letter:

* *Announced alarm*: a condition that becomes raised, or is unsuppressed, and tells people (not a consequence under a
  first-out).
* A fault *explains* an announced alarm if the alarm is on the fault's equipment, at or after its onset, its concern is
  the fault's kind (machine or instrument), and its component is the fault's own. For a machine fault the component may
  also be one that the failure mode itself disturbs (``shows_on`` of the simulator's table: clogged filter → low header
  pressure): such an alarm is no mistake, but it does not count as finding the fault either.
  Past a machine fault's stated limit that component has failed, its instruments with it: what is said of it then, of
  whatever concern, is explained too, and finds nothing.
* A fault is *found* if such an alarm on its own component is announced at or after the onset and before its stated
  limit; *late* if the first one comes after the limit; else it is missed.
* An announced alarm that no fault explains is *wrong_component* if some fault of the same equipment had begun by then
  (wrong place or wrong concern), and a *false alarm* if none had. Nothing is forgiven: an alarm that comes back counts
  again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from core.condition import Change, ConditionTransition
from core.time import HOUR

_TELLS: Final = (Change.RAISED, Change.UNSUPPRESSED)


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault of the truth. ``limit_at`` µs: its stated limit was reached or is due; ``kind`` machine or instrument."""

    equipment: str
    component: str
    mode: str
    kind: str
    onset: int
    limit_at: int
    shows_on: tuple[str, ...] = ()
    point: str = ""


@dataclass(frozen=True, slots=True)
class Announced:
    """An announced alarm."""

    equipment: str
    component: str
    condition: str
    concern: str
    at: int
    title: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one fault: ``found``, ``late`` or ``missed``; ``at`` of the alarm that found it."""

    fault: KnownFault
    outcome: str
    at: int | None = None
    condition: str = ""

    @property
    def delay_h(self) -> float | None:
        """Hours from onset to alarm."""
        return None if self.at is None else (self.at - self.fault.onset) / HOUR


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings, and the announced alarms that no fault explains."""

    findings: tuple[Finding, ...] = ()
    wrong_component: tuple[Announced, ...] = ()
    false_alarms: tuple[Announced, ...] = ()
    by_kind: dict[str, dict[str, Any]] = field(default_factory=dict)

    def count(self, outcome: str) -> int:
        return sum(f.outcome == outcome for f in self.findings)


def announced(transitions: Iterable[ConditionTransition], equipment: dict[int, str]) -> list[Announced]:
    """The transitions that tell people something; ``equipment`` names by id."""
    return [
        Announced(equipment[t.equipment_id], t.component, t.condition, t.concern.value, t.at, t.title, t.value)
        for t in transitions
        if t.change in _TELLS and t.announce
    ]


def judge(faults: Sequence[KnownFault], alarms: Sequence[Announced]) -> Verdict:
    """The verdict by the rules above. A condition of a connection is nobody's fault here: it counts as unexplained."""
    findings = tuple(_finding(fault, alarms) for fault in faults)
    wrong: list[Announced] = []
    false: list[Announced] = []
    for alarm in alarms:
        here = [f for f in faults if f.equipment == alarm.equipment and f.onset <= alarm.at]
        if any(_explains(f, alarm) for f in here):
            continue
        (wrong if here else false).append(alarm)
    return Verdict(findings, tuple(wrong), tuple(false), _by_kind(findings))


def _explains(fault: KnownFault, alarm: Announced) -> bool:
    if fault.kind == "machine" and alarm.component == fault.component and alarm.at >= fault.limit_at:
        return True
    if alarm.concern != fault.kind:
        return False
    return alarm.component == fault.component or (fault.kind == "machine" and alarm.component in fault.shows_on)


def _finding(fault: KnownFault, alarms: Sequence[Announced]) -> Finding:
    mine = [
        a
        for a in alarms
        if a.equipment == fault.equipment
        and a.component == fault.component
        and a.concern == fault.kind
        and a.at >= fault.onset
    ]
    if not mine:
        return Finding(fault, "missed")
    first = min(mine, key=lambda a: a.at)
    return Finding(fault, "found" if first.at < fault.limit_at else "late", first.at, first.condition)


def _by_kind(findings: Sequence[Finding]) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for mode in sorted({f.fault.mode for f in findings}):
        of_mode = [f for f in findings if f.fault.mode == mode]
        delays = [f.delay_h for f in of_mode if f.outcome == "found" and f.delay_h is not None]
        table[mode] = {
            "n": len(of_mode),
            "found": len(delays),
            "median_delay_h": round(median(delays), 2) if delays else None,
        }
    return table
