"""The embedded host: ingest's records through the core into the database, in one process.

Core thread: :meth:`EmbeddedSink.submit` steps the processor and queues a commit unit. Writer thread
(:mod:`stream_processors.commits`): what is queued goes into one transaction, and after it the messages are
acknowledged. A full queue blocks the core thread, so the messages stay unacknowledged, so the session stops reading.

Recovery: fence out whoever held the stream, restore the newest snapshot, step through the journal behind it
(:mod:`stream_processors.stream`), go on.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from core.errors import UnavailableError
from core.ports import RecordCodec, StreamPosition
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch
from ingest.ledger import Handle
from ingest.sink import Durable, Resumed
from stream_processors.commits import LONGEST_BACKOFF, Committer, Queued, ServiceEndedError, StreamWriter
from stream_processors.stream import SNAPSHOT_SECONDS, ProcessorFactory, StreamCore

log = structlog.get_logger(__name__)

STREAM: Final = "embedded"


class EmbeddedSink:
    """Implements :class:`ingest.sink.Sink`."""

    def __init__(
        self,
        writer: StreamWriter,
        processor: ProcessorFactory,
        codec: RecordCodec,
        *,
        stream: str = STREAM,
        snapshot_seconds: float = SNAPSHOT_SECONDS,
    ) -> None:
        self._writer = writer
        self._factory = processor
        self._codec = codec
        self._stream = stream
        self._snapshot_seconds = snapshot_seconds
        self._abandoned = threading.Event()
        self._core: StreamCore | None = None
        self._committer = Committer(writer, codec, durable=self._committed, failed=self._fail)

    @property
    def commits(self) -> int:
        return self._committer.commits

    @property
    def committed_readings(self) -> int:
        return self._committer.committed_readings

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self, registry: RegistrySnapshot, durable: Durable, failed: Callable[[BaseException], None]) -> Resumed:
        """Take the stream and recover. Waits while the database is away."""
        self._durable: Durable = durable
        self._failed = failed
        position = self._acquire()
        began = time.monotonic()
        core = StreamCore(position, registry, self._factory, self._snapshot_seconds)
        for _, data in position.journal:
            if self._abandoned.is_set():
                raise ServiceEndedError("told to stop while recovering")
            core.replay(self._codec.decode(data))
        core.go_live()
        self._core = core
        log.info(
            "stream.acquired",
            stream=self._stream,
            epoch=position.epoch,
            next_offset=position.next_offset,
            replayed=len(position.journal),
            seconds=round(time.monotonic() - began, 2),
        )
        self._committer.start()
        return Resumed(dict(core.sequences), dict(core.processor.ticks))

    def _acquire(self) -> StreamPosition:
        delay = 0.2
        while True:
            try:
                return self._writer.acquire(self._stream)
            except UnavailableError as error:
                if delay == 0.2:
                    log.warning("database.unreachable", problem=str(error))
                if self._abandoned.wait(random.uniform(0.5, 1.0) * delay):
                    raise
                delay = min(delay * 2, LONGEST_BACKOFF)

    def close(self, timeout: float) -> bool:
        """Commit what is queued and a last snapshot."""
        deadline = time.monotonic() + timeout
        try:
            if self._core is not None and self._core.since_snapshot and self._committer.failure is None:
                self._submit(StreamRecord(TelemetryBatch.empty(0)), (), snapshot=True, deadline=deadline)
        except (queue.Full, ServiceEndedError):
            self._committer.abandon()
        return self._committer.close(max(0.0, deadline - time.monotonic()))

    def abandon(self) -> None:
        """What is queued was never acknowledged and comes again. A :meth:`start` under way is given up."""
        self._abandoned.set()
        self._committer.abandon()

    # --- the core thread ----------------------------------------------------------------------------------------

    def submit(self, record: StreamRecord, handles: Sequence[Handle]) -> None:
        """Step the processor, queue the unit; blocks while the queue is full."""
        self._submit(record, handles)

    def _submit(
        self,
        record: StreamRecord,
        handles: Sequence[Handle],
        *,
        snapshot: bool | None = None,
        deadline: float | None = None,
    ) -> None:
        assert self._core is not None
        unit = self._core.step(record, journal=self._codec.encode(record), snapshot=snapshot)
        self._committer.submit(unit, handles, deadline)

    def reconfigure(self, registry: RegistrySnapshot) -> None:
        """From the next record on."""
        assert self._core is not None
        self._core.reconfigure(registry)

    # --- called from the writer thread --------------------------------------------------------------------------

    def _committed(self, group: Sequence[Queued]) -> None:
        self._durable([handle for item in group for handle in item.tag])

    def _fail(self, error: BaseException) -> None:
        self._failed(error)
