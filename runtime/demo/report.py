"""The demonstration's last page: what was seeded, what was told and when, what nobody should have been told."""

from __future__ import annotations

from collections.abc import Sequence

from core.time import MINUTE, isoformat
from runtime.demo.plan import TO_BE_TOLD
from runtime.demo.verdict import Finding, SeededFault, Verdict

_NEVER = 2**62
"""µs: what a fault's limit lies beyond that is never reached."""


def owed(faults: Sequence[SeededFault], until: int) -> list[SeededFault]:
    """Faults that reached their limit long enough before ``until`` that somebody must have been told."""
    return [fault for fault in faults if fault.limit_at + TO_BE_TOLD <= until]


def begun(faults: Sequence[SeededFault], until: int) -> list[SeededFault]:
    """Faults that had begun by ``until``: their alarms are no surprise, though some may not be owed yet."""
    return [fault for fault in faults if fault.onset <= until]


def verdict_lines(verdict: Verdict, due: Sequence[SeededFault]) -> list[str]:
    """The table, aligned, and a last sentence."""
    rows = [("equipment", "component", "fault", "told", "by")]
    rows += [_row(finding, finding.fault in due) for finding in verdict.findings]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if not verdict.findings:
        lines = ["no fault had begun yet"]
    if verdict.unexpected:
        lines.append("")
        lines.append("told without a cause:")
        lines += [
            f"  {isoformat(alarm.at)}  {alarm.equipment}  {alarm.component}  {alarm.title}  "
            f"({alarm.condition}, {alarm.concern})"
            for alarm in verdict.unexpected
        ]
    lines.append("")
    lines.append(_sentence(verdict, due))
    return lines


def passed(verdict: Verdict, due: Sequence[SeededFault]) -> bool:
    """Every fault that was due was told of, and nothing else was."""
    return not verdict.unexpected and all(f.alarm is not None for f in verdict.findings if f.fault in due)


def _row(finding: Finding, due: bool) -> tuple[str, str, str, str, str]:
    fault, alarm, delay = finding.fault, finding.alarm, finding.delay
    place = fault.point or fault.component
    if alarm is None or delay is None:
        return fault.equipment, place, fault.mode, "MISSED" if due else "still growing", ""
    before = fault.limit_at - alarm.at
    # one that was repaired never comes to its limit
    lead = f", {_span(before)} before its limit" if before > 0 and fault.limit_at < _NEVER else ""
    return fault.equipment, place, fault.mode, f"after {_span(delay)}{lead}", f"{alarm.condition}: {alarm.title}"


def _span(duration: int) -> str:
    """``45 min``, ``3.2 h``."""
    if duration < 120 * MINUTE:
        return f"{duration / MINUTE:.0f} min"
    return f"{duration / (60 * MINUTE):.1f} h"


def _sentence(verdict: Verdict, due: Sequence[SeededFault]) -> str:
    told = sum(finding.alarm is not None for finding in verdict.findings)
    missed = sum(finding.alarm is None and finding.fault in due for finding in verdict.findings)
    unexpected = len(verdict.unexpected)
    good = "PASSED" if passed(verdict, due) else "FAILED"
    return (
        f"{good}: {told} of {len(verdict.findings)} seeded faults told on their component, {missed} missed, "
        f"{unexpected} alarm{'' if unexpected == 1 else 's'} without a cause"
    )
