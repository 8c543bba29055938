"""What is measured, and how figures come out of runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from core.time import SECOND
from tests.benchmarks.whole import load, processes
from tests.benchmarks.whole.installation import AlarmWatch, Installation, Run, Sample, installed
from tests.benchmarks.whole.load import FRAME

WARM_UP = 5.0
"""Seconds of a run that count for nothing: caches, plans and the first readings of each point."""
SYSTEM = ("broker", "ingest", "database", "api")
"""What the system costs; the publisher is accounted apart."""
LATENESS = 2 * SECOND
"""L of the type in all scenarios but the alarms': the default of a type."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds, readings per second (None: as fast as it goes) and points of the scenarios."""

    points: int = 10_000
    seconds: float = 120.0
    rate: float | None = None
    window: int = 1_000
    alarm_seconds: float = 60.0
    alarm_rate: float = 10_000.0
    cost_points: tuple[int, ...] = (1_000, 10_000, 100_000)
    cost_seconds: float = 10.0
    cost_rate: float | None = None
    memory_minutes: int = 0
    memory_rate: float = 20_000.0


def sustained(plan: Plan, say: Say) -> dict[str, Any]:
    """Readings per second with detection on all of them, what each process costs, and whether all arrived."""
    say(f"sustained: {plan.points:,} points, {plan.seconds:.0f} s, {_pace(plan.rate)}")
    with installed(plan.points // FRAME, LATENESS) as installation:
        run = installation.run(plan.seconds, rate=plan.rate, window=plan.window)
        first, last = _after(run, WARM_UP), run.samples[-2]
        result = {
            "readings_per_s": round((last.stored - first.stored) / (last.at - first.at)),
            "seconds": plan.seconds,
            "points": plan.points,
            "offered_readings_per_s": plan.rate,
            "cpu_s_per_million": _cost(first, run.samples[-1]),
            "backlog_s": round(run.backlog_seconds, 2),
            "load_average": round(run.load_average, 1),
            "safety": installation.safety(),
            "wal_bytes_per_reading": _wal(installation),
        }
        return result | _arrived(installation, run)


def alarms(plan: Plan, say: Say) -> dict[str, Any]:
    """From publishing to the event at a client of ``/v1/stream``, in milliseconds, with a lateness of nothing."""
    say(f"alarms: {plan.points:,} points, {plan.alarm_rate:,.0f} readings/s for {plan.alarm_seconds:.0f} s, L = 0")
    with installed(plan.points // FRAME, 0) as installation:
        watch = AlarmWatch(installation)
        run = installation.run(plan.alarm_seconds, rate=plan.alarm_rate)
        time.sleep(1.0)
        ledger = run.ledger
        sent = {
            (load.key(number), ts): at
            for number, ts, at in zip(*(ledger[name].tolist() for name in ("equipment", "ts", "sent")), strict=True)
        }
        begin = int(ledger["sent"][0]) + WARM_UP * SECOND
        took = [
            (seen - sent[key, ts]) / 1e3
            for key, ts, seen in watch.raised()
            if sent.get((key, ts), 0) > begin
        ]  # fmt: skip
        watch.close()
        p50, p99 = np.percentile(took, [50, 99]).tolist()
        result = {
            "p50_alarm_ms": round(p50),
            "p99_alarm_ms": round(p99),
            "max_alarm_ms": round(max(took)),
            "alarms": len(took),
            "readings_per_s": plan.alarm_rate,
            "cpu_s_per_million": _cost(_after(run, WARM_UP), run.samples[-1]),
            "load_average": round(run.load_average, 1),
        }
        return result | _arrived(installation, run)


def cost_by_points(plan: Plan, say: Say) -> list[dict[str, Any]]:
    """CPU-seconds per million readings of the system at one rate, for fleets of different size; the median of three."""
    found = []
    for points in plan.cost_points:
        say(f"cost: {points:,} points, {_pace(plan.cost_rate)}, three times {plan.cost_seconds:.0f} s")
        with installed(points // FRAME, LATENESS) as installation:
            run = installation.run(WARM_UP + 3 * plan.cost_seconds + 1.0, rate=plan.cost_rate, window=plan.window)
            costs = []
            for number in range(3):
                first = _after(run, WARM_UP + number * plan.cost_seconds)
                last = _after(run, WARM_UP + (number + 1) * plan.cost_seconds)
                cost = _cost(first, last)
                costs.append(sum(cost[name] for name in SYSTEM))
            found.append(
                {
                    "points": points,
                    "cpu_s_per_million": round(sorted(costs)[1], 2),
                    "all": [round(cost, 2) for cost in costs],
                    "load_average": round(run.load_average, 1),
                }
                | _arrived(installation, run)
            )
    return found


def memory(plan: Plan, say: Say) -> dict[str, Any]:
    """Resident memory of ingest at minute 2 and at the end: medians of half a minute, since what waits comes and goes.

    ``by_minute``: whether it grows on or has come to rest.
    """
    say(f"memory: {plan.points:,} points, {plan.memory_rate:,.0f} readings/s for {plan.memory_minutes} minutes")
    with installed(plan.points // FRAME, LATENESS) as installation:
        run = installation.run(60.0 * plan.memory_minutes, rate=plan.memory_rate)
        by_minute = [_held(run, 60.0 * minute) for minute in range(1, plan.memory_minutes + 1)]
        return {
            "minute_2_mib": by_minute[1],
            "last_mib": by_minute[-1],
            "minutes": plan.memory_minutes,
            "ratio": round(by_minute[-1] / by_minute[1], 3),
            "by_minute": by_minute,
        } | _arrived(installation, run)


def _held(run: Run, seconds: float) -> float:
    """MiB held in the half minute before ``seconds``."""
    end = run.samples[0].at + seconds
    return round(median(s.memory for s in run.samples if end - 30.0 <= s.at <= end) / 2**20, 1)


def _pace(rate: float | None) -> str:
    return "as fast as it goes" if rate is None else f"{rate:,.0f} readings/s"


def _after(run: Run, seconds: float) -> Sample:
    begin = run.samples[0].at
    return next((sample for sample in run.samples if sample.at - begin >= seconds), run.samples[-2])


def _cost(first: Sample, last: Sample) -> dict[str, float]:
    readings = last.stored - first.stored
    return {name: round((last.cpu[name] - first.cpu.get(name, 0.0)) / readings * 1e6, 2) for name in last.cpu}


def _arrived(installation: Installation, run: Run) -> dict[str, Any]:
    found = installation.compare([run])
    return {
        "messages": found["messages"],
        "lost": found["lost"],
        "duplicated": found["duplicated"] + found["unexpected"],
        "wrong": found["wrong"],
    }


def _wal(installation: Installation) -> float:
    return round(installation.wal_bytes() / max(1, installation.messages() * FRAME), 1)


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {"cores": processes.cores(), "processor": processes.processor(), "load_average": processes.load_average()}
