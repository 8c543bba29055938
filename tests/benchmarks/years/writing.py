"""What a writer costs, and a process that keeps writing beside the questions."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg

from core.outcome import CommitUnit, Outcome
from core.quality import GOOD
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import SECOND
from storage.caretaker import roll_up
from storage.writer import Writer

BATCH = 5_000


def cpu_seconds(pid: int) -> float:
    """Time on a processor so far, to the nanosecond; 0 where /proc does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def write(dsn: str, points: list[int], stream: str, start: int, readings: int) -> tuple[float, float, int]:
    """Readings of every point once a second from ``start`` on: CPU-seconds per million of the backend, of the writer,
    and the moment (µs) behind the last."""
    writer = Writer(dsn)
    position = writer.acquire(stream)
    assert writer._connection is not None
    pid = writer._connection.info.backend_pid
    ids = np.array(points, np.int32)
    seconds = max(1, BATCH // len(ids))
    cpu, backend, done, at = time.process_time(), cpu_seconds(pid), 0, start
    for offset in range(readings // (seconds * len(ids))):
        ts = np.repeat(np.arange(at, at + seconds * SECOND, SECOND), len(ids))
        batch = TelemetryBatch(np.tile(ids, seconds), ts, np.cos(ts / 1e7), np.full(len(ts), GOOD, np.uint8), at)
        outcome = Outcome(batch, TelemetryBatch.empty())
        writer.commit([CommitUnit(stream, position.epoch, offset, StreamRecord(batch), outcome, b"j")])
        done += len(ts)
        at += seconds * SECOND
    found = (cpu_seconds(pid) - backend) / done * 1e6, (time.process_time() - cpu) / done * 1e6, at
    writer.close()
    return found


@contextmanager
def beside(dsn: str, points: list[int], start: int, rate: int) -> Iterator[None]:
    """A process writes ``rate`` readings a second and rolls up what is due, while the body runs."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_keep_writing, args=(dsn, points, start, rate, stop))
    process.start()
    time.sleep(3)
    try:
        yield
    finally:
        stop.set()
        process.join()
    if process.exitcode:
        raise RuntimeError("the writer beside the questions has failed")


def _keep_writing(dsn: str, points: list[int], start: int, rate: int, stop: multiprocessing.synchronize.Event) -> None:
    at, number = start, 0
    rolled = time.monotonic()
    with psycopg.connect(dsn, autocommit=True) as connection:
        while not stop.is_set():
            began = time.monotonic()
            *_, at = write(dsn, points, f"beside-{start}-{number}", at, max(len(points), rate))
            number += 1
            if began - rolled > 5:
                roll_up(connection, stop=stop.is_set)
                rolled = began
            stop.wait(max(0.0, began + 1 - time.monotonic()))
