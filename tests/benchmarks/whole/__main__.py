"""``make bench``: the whole system on this machine, measured. ``BENCH="--help"`` for what can be chosen."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

from tests.benchmarks.whole import report, scenarios
from tests.benchmarks.whole.scenarios import Plan

SCENARIOS = ("alarms", "sustained", "cost")


def main() -> int:
    plan = Plan()
    parser = argparse.ArgumentParser(prog='make bench BENCH="…"', description=__doc__)
    parser.add_argument("--only", choices=(*SCENARIOS, "memory"), action="append", help="these scenarios (repeatable)")
    parser.add_argument("--points", type=int, default=plan.points, help="of alarms, sustained, memory (%(default)s)")
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="of the sustained run (%(default)s)")
    parser.add_argument("--rate", type=float, help="readings/s offered in the sustained run (as fast as it goes)")
    parser.add_argument("--window", type=int, default=plan.window, help="messages under way when as fast as it goes")
    parser.add_argument("--alarm-seconds", type=float, default=plan.alarm_seconds)
    parser.add_argument("--alarm-rate", type=float, default=plan.alarm_rate)
    parser.add_argument("--cost-points", type=int, nargs="+", default=plan.cost_points)
    parser.add_argument("--cost-seconds", type=float, default=plan.cost_seconds)
    parser.add_argument("--cost-rate", type=float, help="readings/s offered (as fast as it goes)")
    parser.add_argument("--memory-minutes", type=int, default=0, help="also watch ingest's memory for so long (10)")
    parser.add_argument("--memory-rate", type=float, default=plan.memory_rate)
    parser.add_argument("--page", action="store_true", help="write the figures into docs/reference/performance.md too")
    options = vars(parser.parse_args())
    only = options.pop("only") or [*SCENARIOS, *(["memory"] if options["memory_minutes"] else [])]
    page = options.pop("page")
    options["cost_points"] = tuple(options["cost_points"])
    plan = replace(plan, **options)
    if "memory" in only and plan.memory_minutes < 3:
        plan = replace(plan, memory_minutes=10)
    began = time.monotonic()
    found: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _commit(),
        "command": shlex.join(["python", "-m", "tests.benchmarks.whole", *sys.argv[1:]]),
        "machine": scenarios.machine(),
    }
    steps = {
        "alarms": ("alarms", scenarios.alarms),
        "sustained": ("sustained", scenarios.sustained),
        "cost": ("cost_by_points", scenarios.cost_by_points),
        "memory": ("memory", scenarios.memory),
    }
    for name, (key, step) in steps.items():
        if name in only:
            found[key] = step(plan, _say)
            _say(f"  {found[key]}")
            report.write(found, page=False)  # what follows may be interrupted
    found["took_s"] = round(time.monotonic() - began)
    report.write(found, page=page)
    _say("")
    _say(report.section(found))
    _say(f"{found['took_s']} s; all figures: {report.JSON.relative_to(report.REPOSITORY)}")
    figures = report.flat(found)
    return 1 if figures["lost"] or figures["duplicated"] else 0


def _say(text: str) -> None:
    print(text, flush=True)


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, cwd=report.REPOSITORY, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
