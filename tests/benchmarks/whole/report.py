"""Figures as JSON for programs and as a section of docs/reference/performance.md for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
JSON = REPOSITORY / "build" / "bench.json"
PAGE = REPOSITORY / "docs" / "reference" / "performance.md"
BEGIN, END = "<!-- bench: begin (written by `make bench`) -->", "<!-- bench: end -->"


def write(found: dict[str, Any], *, page: bool) -> None:
    """``build/bench.json``, and with ``page`` the generated section."""
    JSON.parent.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(flat(found), indent=2) + "\n")
    if page:
        text = PAGE.read_text()
        before, rest = text.split(BEGIN, 1)
        after = rest.split(END, 1)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{section(found)}\n{END}{after}")


def flat(found: dict[str, Any]) -> dict[str, Any]:
    """The figures everybody asks for first, at the top; all of them below."""
    main, alarm = found.get("sustained", {}), found.get("alarms", {})
    parts = [main, alarm, *found.get("cost_by_points", []), found.get("memory", {})]
    return {
        "readings_per_s": main.get("readings_per_s"),
        "cpu_s_per_million": main.get("cpu_s_per_million"),
        "p99_alarm_ms": alarm.get("p99_alarm_ms"),
        "lost": sum(part.get("lost", 0) for part in parts),
        "duplicated": sum(part.get("duplicated", 0) for part in parts),
        "backlog_s": main.get("backlog_s"),
        **found,
    }


def section(found: dict[str, Any]) -> str:
    """What was measured last, as Markdown."""
    where = found["machine"]
    lines = [
        (
            f"Measured {found['at']} at commit `{found['commit']}` with `{found['command']}` on {where['cores']} cores "
            f"({where['processor']})."
        ),
        "",
    ]
    if any(found.get(name) for name in ("sustained", "alarms", "memory")):
        lines += ["| what | figure |", "|---|---|"]
    if main := found.get("sustained"):
        how = "as fast as it goes" if main["offered_readings_per_s"] is None else "at a given rate"
        lines += [
            (
                f"| readings per second, {main['points']:,} points, {main['seconds']:.0f} s, {how} "
                f"| {main['readings_per_s']:,} |"
            ),
            f"| backlog at the end | {main['backlog_s']:.2f} s |",
            (
                f"| lost / twice / wrong, of {main['messages'] * 50:,} sent "
                f"| {main['lost']} / {main['duplicated']} / {main['wrong']} |"
            ),
            f"| WAL per reading | {main['wal_bytes_per_reading']:.0f} bytes |",
            f"| load average at the end | {main['load_average']} |",
        ]
    if alarm := found.get("alarms"):
        lines += [
            (
                f"| publish → alarm at a client of `/v1/stream`, {alarm['readings_per_s']:,.0f} readings/s, L = 0: "
                f"median | {alarm['p50_alarm_ms']} ms |"
            ),
            (
                f"| the same: 99th percentile of {alarm['alarms']} (longest) "
                f"| {alarm['p99_alarm_ms']} ms ({alarm['max_alarm_ms']} ms) |"
            ),
            f"| load average at the end | {alarm['load_average']} |",
        ]
    if memory := found.get("memory"):
        lines.append(
            f"| memory of ingest, minute {memory['minutes']} / minute 2 "
            f"| {memory['last_mib']} / {memory['minute_2_mib']} MiB = {memory['ratio']} |"
        )
    if main:
        lines += ["", "CPU-seconds per million readings, by process, at that rate:", "", *_costs(main)]
    if costs := found.get("cost_by_points"):
        lines += [
            "",
            (
                "CPU-seconds per million readings of broker, ingest, database and API together, as fast as it goes "
                "unless the command gives a rate; the median of three:"
            ),
            "",
            "| points | CPU-s per million | the three | lost / twice / wrong |",
            "|---|---|---|---|",
            *(
                f"| {c['points']:,} | {c['cpu_s_per_million']} | {', '.join(map(str, c['all']))} "
                f"| {c['lost']} / {c['duplicated']} / {c['wrong']} |"
                for c in costs
            ),
        ]
    return "\n".join(lines) + "\n"


def _costs(run: dict[str, Any]) -> list[str]:
    cost = run["cpu_s_per_million"]
    return [
        "| " + " | ".join(cost) + " |",
        "|" + "---|" * len(cost),
        "| " + " | ".join(f"{value:.2f}" for value in cost.values()) + " |",
    ]
