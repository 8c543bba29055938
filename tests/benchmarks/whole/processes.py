"""What processes cost and hold, read from /proc: CPU-seconds and resident memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int, *, tree: bool = False) -> float:
    """User and system time so far; with ``tree`` that of all below it too, also of those that have ended."""
    pids = [pid, *_below(pid)] if tree else [pid]
    total = 0
    for each in pids:
        fields = _stat(each)
        if fields:
            total += sum(map(int, fields[11:15] if tree else fields[11:13]))
    return total / _TICKS


def resident_bytes(pid: int) -> int:
    """Of one process, shared pages included."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def _below(pid: int) -> Iterable[int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found, fresh = set[int](), {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def _stat(pid: int) -> list[str]:
    """Fields from the third on (state): the name before them may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []


def cores() -> int:
    """That this process may run on."""
    return len(os.sched_getaffinity(0))


def processor() -> str:
    """Its name as the system tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"
