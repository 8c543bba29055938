"""History through the very processor of the stream; nothing is written, what it would have said is returned.

Readings come in order of time. What came late in life is marked late in history and decides nothing here either; ticks
are not stored, so nothing is said of silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np

from core.condition import Change, Concern, ConditionTransition
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch, Tick
from core.time import SECOND
from stream_processors.pipeline.processor import IDLE, Processor

RECORD: Final = 50_000
"""Readings per record, about: enough frames of one machine for blocks, little enough memory for a fleet."""


def backtest(
    registry: RegistrySnapshot,
    history: Iterable[TelemetryBatch],
    *,
    since: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Iterator[ConditionTransition]:
    """What the processor says of ``history`` (batches in order of time) from ``since`` on; before that it only learns.

    Conditions of connections and silence are left out. ``progress`` is told the time (µs) that was reached.
    """
    processor = Processor(registry)
    last = 0
    for batch in history:
        for part in records(batch):
            yield from _worth_telling(processor.step(StreamRecord(part)).transitions, since)
        last = int(batch.ts[-1])
        if progress is not None:
            progress(last)
    if not last:
        return
    # the end of history releases what waits for later readings, as silence does in life
    lateness = max((state.layout.type.lateness for state in processor.fleet.types), default=0)
    for at in (last, last + lateness + IDLE + SECOND):
        ticks = tuple(Tick(tenant, at) for tenant in sorted(registry.tenants))
        yield from _worth_telling(processor.step(StreamRecord(TelemetryBatch.empty(last), ticks)).transitions, since)


def records(batch: TelemetryBatch) -> Iterator[TelemetryBatch]:
    """The batch, which is in order of time, cut between instants into parts of about :data:`RECORD`."""
    if len(batch) <= RECORD:
        yield batch
        return
    wanted = np.arange(RECORD, len(batch), RECORD)
    edges = np.unique(np.searchsorted(batch.ts, batch.ts[wanted]))
    start = 0
    for end in [*edges[edges > 0].tolist(), len(batch)]:
        yield batch.take(slice(start, end))
        start = end


def _worth_telling(transitions: Iterable[ConditionTransition], since: int) -> Iterator[ConditionTransition]:
    for t in transitions:
        if t.at >= since and t.concern is not Concern.CONNECTION and not t.condition.endswith("/stale"):
            yield t


def raised(transitions: Iterable[ConditionTransition]) -> list[ConditionTransition]:
    """Those that begin an alarm."""
    return [t for t in transitions if t.change is Change.RAISED]
