"""How fast readings reach the tables, and what they cost: the writer alone, 10,000 points, batches of 5,000.

``python -m pytest tests/benchmarks/bench_writer.py -s``. Processor time is that of this process plus that of the
writer's
PostgreSQL backend (from /proc, where there is one).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from core.outcome import CommitUnit, Outcome
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import SECOND
from storage.migrate import WRITER
from storage.writer import Writer
from tests.integration.storage.helpers import Store

POINTS = 10_000
BATCH = 5_000
READINGS = 1_000_000
START = 1_767_225_600 * SECOND


def backend_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 where /proc does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def batch(number: int, rng: np.random.Generator, late: float) -> TelemetryBatch:
    """Half of all points, one reading each; a share of them belongs to earlier moments."""
    half = number % 2
    point = np.arange(half * BATCH, (half + 1) * BATCH, dtype=np.int32) + 1
    ts = np.full(BATCH, START + (number // 2) * SECOND) + np.arange(BATCH)
    behind = rng.random(BATCH) < late
    ts = np.where(behind, ts - rng.integers(1, 50 * SECOND, BATCH), ts)
    return TelemetryBatch(point, ts, rng.normal(size=BATCH), np.full(BATCH, 0xC0, np.uint8), START + number)


@pytest.mark.parametrize(("late", "per_commit"), [(0.0, 1), (0.0, 4), (0.01, 1), (0.5, 1)])
def test_thousand_rows_per_second(durable_store: Store, late: float, per_commit: int) -> None:
    rng = np.random.default_rng(1)
    writer = Writer(durable_store.login(WRITER))
    position = writer.acquire("bench")
    assert writer._connection is not None
    pid = writer._connection.info.backend_pid
    commits, offset = READINGS // BATCH // per_commit, 0
    journal = os.urandom(BATCH * 8)
    cpu, backend, begin, longest = time.process_time(), backend_seconds(pid), time.perf_counter(), 0.0
    for _ in range(commits):
        units = []
        for _ in range(per_commit):
            data = batch(offset, rng, late)
            record = StreamRecord(data)
            outcome = Outcome(data, TelemetryBatch.empty())
            units.append(CommitUnit("bench", position.epoch, offset, record, outcome, journal))
            offset += 1
        at = time.perf_counter()
        writer.commit(units)
        longest = max(longest, time.perf_counter() - at)
    seconds = time.perf_counter() - begin
    cpu, backend = time.process_time() - cpu, backend_seconds(pid) - backend
    writer.close()
    rows = offset * BATCH
    print(
        f"\n{late:4.0%} late, {per_commit} x {BATCH} per commit: {rows / seconds / 1000:6.0f} thousand rows/s; "
        f"CPU-s per million: writer {cpu / rows * 1e6:.2f}, backend {backend / rows * 1e6:.2f}; "
        f"longest commit {longest * 1000:.0f} ms"
    )
