"""Was every seeded fault alarmed on its component, and nothing healthy? Pure: truth and alarms in, verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MACHINE, INSTRUMENT = "machine", "instrument"


@dataclass(frozen=True, slots=True)
class SeededFault:
    """What the simulator was told to do to one component, in event time (µs UTC).

    ``kind`` is ``machine`` or ``instrument`` (then ``point`` names the sensor); ``shows_on`` are components that the
    same fault truly disturbs; ``limit_at`` is when it reaches the limit its law states.
    """

    equipment: str
    component: str
    mode: str
    kind: str
    onset: int
    limit_at: int
    point: str = ""
    shows_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlarmSeen:
    """One announced alarm: a condition of an equipment that was raised at ``at`` (event time, µs UTC)."""

    equipment: str
    component: str
    condition: str
    concern: str
    at: int
    title: str
    priority: str = "medium"
    point: str | None = None
    failure_mode: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A seeded fault and the first alarm that told of it; ``alarm`` None: nobody was told."""

    fault: SeededFault
    alarm: AlarmSeen | None

    @property
    def delay(self) -> int | None:
        """µs of event time from onset to alarm."""
        return None if self.alarm is None else self.alarm.at - self.fault.onset


@dataclass(frozen=True, slots=True)
class Verdict:
    """``unexpected`` are alarms that no seeded fault explains."""

    findings: tuple[Finding, ...]
    unexpected: tuple[AlarmSeen, ...]

    @property
    def passed(self) -> bool:
        return not self.unexpected and all(finding.alarm is not None for finding in self.findings)


def judge(faults: Sequence[SeededFault], alarms: Sequence[AlarmSeen]) -> Verdict:
    """Match alarms to faults.

    A machine fault is owed a machine alarm on its own component, an instrument fault an instrument alarm on its own
    sensor, neither before the onset. A machine alarm may also stand on what the fault truly disturbs; and past its
    limit a component is broken, so that its instruments may say what they like. Everything else is unexpected: above
    all a machine alarm where only a sensor lies.
    """
    ordered = sorted(alarms, key=lambda alarm: (alarm.at, alarm.condition))
    findings = tuple(
        Finding(fault, next((alarm for alarm in ordered if _tells_of(alarm, fault)), None)) for fault in faults
    )
    unexpected = tuple(alarm for alarm in ordered if not any(_explained_by(alarm, fault) for fault in faults))
    return Verdict(findings, unexpected)


def _tells_of(alarm: AlarmSeen, fault: SeededFault) -> bool:
    if alarm.equipment != fault.equipment or alarm.at < fault.onset or alarm.concern != fault.kind:
        return False
    if fault.kind == INSTRUMENT and alarm.point is not None:
        return alarm.point == fault.point
    return alarm.component == fault.component


def _explained_by(alarm: AlarmSeen, fault: SeededFault) -> bool:
    if _tells_of(alarm, fault):
        return True
    if alarm.equipment != fault.equipment or alarm.at < fault.onset or fault.kind != MACHINE:
        return False
    if alarm.component == fault.component:
        return alarm.at >= fault.limit_at
    return alarm.component in fault.shows_on and alarm.concern == MACHINE
