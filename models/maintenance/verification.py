"""Has a repair worked? Judged by the telemetry after it: pure.

Verified when the machine has run long enough without the fault. Relapsed when the fault was raised again after the
repair and holds, or still holds when it has run long enough. Where the machine does not run, or nothing tells of the
fault, that is said, and after the task's patience a person has to verify.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.time import HOUR


class Verdict(StrEnum):
    WATCHING = "watching"
    VERIFIED = "verified"
    RELAPSED = "relapsed"
    UNPROVEN = "unproven"
    """The patience is over without enough running: a person has to verify."""


@dataclass(frozen=True, slots=True)
class Seen:
    """After the repair, µs: ``ran`` running time since ``done_at`` as far as ``upto`` (newest reading). ``holds``: the
    fault's conditions that hold now, with when they were raised."""

    done_at: int
    upto: int
    ran: int
    holds: tuple[tuple[str, int], ...] = ()


def judge(seen: Seen, watch: int, patience: int) -> tuple[Verdict, str]:
    """Verdict and the sentence that goes into the journal.

    >>> judge(Seen(0, 5 * HOUR, 5 * HOUR), 4 * HOUR, 100 * HOUR)
    (<Verdict.VERIFIED: 'verified'>, 'ran 5.0 h without the fault')
    """
    again = [condition for condition, raised in seen.holds if raised > seen.done_at]
    hours = f"{seen.ran / HOUR:.1f} h"
    if again:
        return Verdict.RELAPSED, f"raised again after {hours} of running: {again[0]}"
    if seen.ran >= watch:
        if seen.holds:
            return Verdict.RELAPSED, f"still there after {hours} of running: {seen.holds[0][0]}"
        return Verdict.VERIFIED, f"ran {hours} without the fault"
    if seen.upto - seen.done_at >= patience:
        return Verdict.UNPROVEN, f"only {hours} of running seen; somebody has to verify"
    return Verdict.WATCHING, f"{hours} of {watch / HOUR:.1f} h of running seen"
