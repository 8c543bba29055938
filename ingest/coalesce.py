"""Many messages into one record: so few numpy calls per reading, and one commit for all of them.

A record is closed by age or size, and before anything that must stand after its readings and before the next ones (a
tick).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from core import quality as q
from core.parcels import CycleRecord, Waveform
from core.telemetry import MAX_BATCH_READINGS, DeadLetter, EventRecord, StreamRecord, TelemetryBatch, Tick
from ingest.ledger import Handle

MAX_AGE: Final = 50_000
"""µs that the first reading of a record waits for company; a tenth of what an alarm may take."""
MAX_EXTRAS: Final = 500
"""Events and dead letters in a record: they are stored row by row."""
MAX_MESSAGES: Final = 2_000
MAX_SAMPLE_BYTES: Final = 2 * 1024 * 1024
"""Of waveforms in a record: with the largest one behind it, still half of what Kafka takes at once."""
_NOTHING: Final = np.empty(0, np.uint8)

_Parcel = TypeVar("_Parcel", Waveform, CycleRecord)


class Coalescer:
    """Collects what messages bring until :meth:`take`. Not thread-safe; time is a parameter (µs)."""

    def __init__(self, *, max_readings: int = MAX_BATCH_READINGS, max_age: int = MAX_AGE) -> None:
        self._max_readings = max_readings
        self._max_age = max_age
        self._reset()

    def _reset(self) -> None:
        self._points: list[NDArray[np.int32]] = []
        self._values: list[NDArray[np.float64]] = []
        self._times: list[int] = []
        self._runs: list[int] = []
        self._qualities: list[NDArray[np.uint8] | int] = []
        self._count = 0
        self._ticks: list[Tick] = []
        self._ticked: set[int] = set()
        self._events: list[EventRecord] = []
        self._waveforms: list[Waveform] = []
        self._cycles: list[CycleRecord] = []
        self._sample_bytes = 0
        self._dead: list[DeadLetter] = []
        self._counts: Counter[str] = Counter()
        self._sequences: dict[int, tuple[int, int]] = {}
        self._handles: list[Handle] = []
        self._since: int | None = None

    @property
    def empty(self) -> bool:
        """Nothing in it, not even a message without content."""
        return self._since is None

    @property
    def ticked(self) -> set[int]:
        """Tenants with a tick in it: their readings that come after it belong into the next record."""
        return self._ticked

    def frame(
        self, points: NDArray[np.int32], ts: int, values: NDArray[np.float64], quality: NDArray[np.uint8] | int = q.GOOD
    ) -> None:
        """Readings of several points at one time; ``quality`` one for all, or an array."""
        self._points.append(points)
        self._values.append(values)
        self._times.append(ts)
        self._runs.append(len(points))
        self._qualities.append(quality)
        self._count += len(points)

    def frames(
        self,
        points: NDArray[np.int32],
        ts: NDArray[np.int64],
        values: NDArray[np.float64],
        quality: NDArray[np.uint8] | None,
        present: NDArray[np.bool_] | None,
    ) -> None:
        """Readings of n points at k times; the matrices are (k, n), ``quality`` None is good, ``present`` None all."""
        k, n = values.shape
        if present is None:
            self._points.append(np.tile(points, k))
            self._values.append(values.ravel())
            self._runs.extend([n] * k)
        else:
            rows, columns = np.nonzero(present)
            self._points.append(points[columns])
            self._values.append(values[rows, columns])
            self._runs.extend(np.bincount(rows, minlength=k).tolist())
            quality = quality if quality is None else quality[rows, columns]
        self._times.extend(ts.tolist())
        added = len(self._points[-1])
        # one quality per run is expected: an array stands with the first, the others add nothing to it
        self._qualities.append(np.full(added, q.GOOD, np.uint8) if quality is None else quality.ravel())
        self._qualities.extend([_NOTHING] * (k - 1))
        self._count += added

    def tick(self, tick: Tick) -> None:
        self._ticks.append(tick)
        self._ticked.add(tick.tenant_id)

    def event(self, event: EventRecord) -> None:
        self._events.append(event)

    def waveform(self, waveform: Waveform) -> None:
        """It stands behind the readings given so far."""
        self._waveforms.append(replace(waveform, after=self._count))
        self._sample_bytes += waveform.samples.nbytes

    def cycle(self, cycle: CycleRecord) -> None:
        """It stands behind the readings given so far."""
        self._cycles.append(replace(cycle, after=self._count))

    def dead_letter(self, letter: DeadLetter) -> None:
        self._dead.append(letter)

    def count(self, name: str, amount: int = 1) -> None:
        self._counts[name] += amount

    def sequence(self, equipment_id: int, mark: tuple[int, int]) -> None:
        """How far the numbering of a device has come; kept with the record, so that it outlives us."""
        self._sequences[equipment_id] = mark

    def message(self, handle: Handle | None, now: int) -> None:
        """A message is complete with what was added before; with None only the age is noted (ticks)."""
        if handle is not None:
            self._handles.append(handle)
        if self._since is None:
            self._since = now

    def due(self, now: int) -> bool:
        """Old or large enough to be handed over."""
        if self._since is None:
            return False
        return (
            self._count >= self._max_readings
            or now - self._since >= self._max_age
            or now < self._since  # the clock was set back
            or len(self._dead) + len(self._events) + len(self._cycles) >= MAX_EXTRAS
            or self._sample_bytes >= MAX_SAMPLE_BYTES
            or len(self._handles) >= MAX_MESSAGES
        )

    def wait(self, now: int) -> float | None:
        """Seconds until it is due by age; None while there is nothing."""
        return None if self._since is None else max(0.0, (self._since + self._max_age - now) / 1e6)

    def take(self, now: int) -> list[tuple[StreamRecord, list[Handle]]]:
        """What was collected, as records of at most ``max_readings``; received ``now``.

        Where readings need several records, parcels go where they came and all else, the messages themselves too, with
        the last: a message is durable with its last part, since records become durable in order.
        """
        if self.empty:
            return []
        batch = self._batch(now)
        whole = []
        start = 0
        while len(batch) - start > self._max_readings:
            end = start + self._max_readings
            part = batch.take(np.arange(start, end))
            waveforms, cycles = _between(self._waveforms, start, end), _between(self._cycles, start, end)
            whole.append((StreamRecord(part, waveforms=waveforms, cycles=cycles), list[Handle]()))
            start = end
        rest = batch.take(np.arange(start, len(batch))) if start else batch
        record = StreamRecord(
            rest,
            tuple(self._ticks),
            tuple(self._events),
            tuple(self._dead),
            dict(self._counts),
            self._sequences,
            _between(self._waveforms, start, self._count + 1),
            _between(self._cycles, start, self._count + 1),
        )
        whole.append((record, self._handles))
        self._reset()
        return whole

    def _batch(self, now: int) -> TelemetryBatch:
        if not self._count:
            return TelemetryBatch.empty(now)
        runs = np.array(self._runs)
        if any(not isinstance(quality, int) for quality in self._qualities):
            quality = np.concatenate(
                [
                    np.full(run, grade, np.uint8) if isinstance(grade, int) else grade
                    for grade, run in zip(self._qualities, self._runs, strict=True)
                ]
            )
        else:
            quality = np.repeat(np.array(self._qualities, np.uint8), runs)
        return TelemetryBatch(
            np.concatenate(self._points),
            np.repeat(np.array(self._times, np.int64), runs),
            np.concatenate(self._values),
            quality,
            now,
        )


def _between(parcels: Sequence[_Parcel], start: int, end: int) -> tuple[_Parcel, ...]:
    """Those that came when ``start`` to before ``end`` readings were there, counted from ``start``."""
    return tuple(replace(p, after=p.after - start) if start else p for p in parcels if start <= p.after < end)
