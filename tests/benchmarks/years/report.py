"""Figures as JSON for programs and as a section of docs/reference/performance.md for people."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from tests.benchmarks.whole import processes
from tests.benchmarks.whole.report import PAGE, REPOSITORY

JSON = REPOSITORY / "build" / "years.json"
EXPLAINED = (
    "Milliseconds at the client, median (worst); CPU is that of backend and client together, which a busy machine does "
    "not stretch as it does the clock."
)
BEGIN, END = "<!-- years: begin (written by `make years`) -->", "<!-- years: end -->"


def about(found: dict[str, Any], scale: float) -> dict[str, Any]:
    """With when, where and how."""
    command = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False).stdout.strip()
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit,
        "command": f"python -m tests.benchmarks.years --scale {scale:g}",
        "machine": f"{processes.cores()} cores ({processes.processor()})",
        **found,
    }


def write(found: dict[str, Any], *, page: bool) -> None:
    """``build/years.json``, and with ``page`` the generated section."""
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(found, indent=2) + "\n")
    if page:
        text = PAGE.read_text()
        before, rest = text.split(BEGIN, 1)
        PAGE.write_text(f"{before}{BEGIN}\n\n{section(found)}\n{END}{rest.split(END, 1)[1]}")


def section(found: dict[str, Any]) -> str:
    """What was measured last, as Markdown."""
    where = f"on {found['machine']}, load average {found.get('load', '?')}"
    lines = [f"Measured {found['at']} at commit `{found['commit']}` with `{found['command']}` {where}.", ""]
    if "warm" in found:
        lines += [
            f"{found['readings']:,} readings, {found['engine']}. {EXPLAINED}",
            "",
            "| question | rows | may take | cold | warm, while writing | CPU cold | CPU warm |",
            "|---|---|---|---|---|---|---|",
        ]
        for cold, warm in zip(found["cold"], found["warm"], strict=True):
            clock = " | ".join(f"{run['median_ms']} ({run['worst_ms']})" for run in (cold, warm))
            what = f"{warm['question']} | {warm['rows']:,} | {warm['most_ms']}"
            lines.append(f"| {what} | {clock} | {cold['cpu_ms']} | {warm['cpu_ms']} |")
    if "after" in found:
        before, after = found["before"], found["after"]
        lines += [
            "",
            "| writing, CPU-s per million readings | empty | with all this | |",
            "|---|---|---|---|",
            *(
                f"| {who} | {before[who]:.2f} | {after[who]:.2f} | {after[who] / before[who] - 1:+.0%} |"
                for who in ("backend", "writer")
            ),
        ]
    if "bytes" in found:
        lines += ["", "| on disk, plain | GB | bytes per reading |", "|---|---|---|"]
        lines += [f"| `{n}` | {b / 1e9:.2f} | {b / found['readings']:.1f} |" for n, b in found["bytes"].items()]
    if rolled := found.get("rolled_up"):
        lines += ["", f"Rolling all of it up: {rolled['hours']:,} hours of points, {rolled['cpu_s']:,} CPU-s."]
    if found.get("extension"):
        what = f"bytes per reading, TimescaleDB {found['extension'][0]['version']}, a sample"
        lines += [
            "",
            f"| {what} | readings | as rows | columnstore |",
            "|---|---|---|---|",
            *(f"| {e['kind']} | {e['readings']:,} | {e['rows']} | {e['columns']} |" for e in found["extension"]),
        ]
    return "\n".join(lines) + "\n"
