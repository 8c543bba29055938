"""A worker of the cluster: builds everything from one configuration and runs until it is told to stop.

The runtime starts it in a process of its own; by hand: ``python -m stream_processors.process worker CONFIG.json``.
TERM and INT end it cleanly: no more records, last commits, checkpoints, then it leaves the group.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from aiokafka.errors import KafkaError

from core.errors import UnavailableError
from formats.record import BinaryRecordCodec
from ingest.told import StopSignal
from models.types import from_document
from storage.registry import Registry
from storage.writer import Writer
from stream_processors.commits import ServiceEndedError
from stream_processors.faust_app import GroupSettings, Reader
from stream_processors.hosting import FAILED, STOPPED, model_loader, registry_pool, write_status
from stream_processors.kafka.host import PartitionHost
from stream_processors.kafka.outbox import OutboxPublisher
from stream_processors.kafka.topics import TELEMETRY, KafkaSettings, ensure_topics
from stream_processors.metrics import MetricsServer
from stream_processors.pipeline.processor import Processor
from stream_processors.tracing import tracing

log = structlog.get_logger(__name__)

STOP_SECONDS: Final = 10.0
LAST_RESORT_SECONDS: Final = 20.0
"""After the stop has had its time: the process ends there, wherever it hangs, and says where that is."""
_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """``database`` is a login of the writer role. ``status_file``: where counters are written once a second, if given.
    ``metrics_port``: Prometheus figures and ``/healthz`` on ``metrics_host``, if given."""

    database: str
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    group: GroupSettings = field(default_factory=GroupSettings)
    snapshot_seconds: float = 5.0
    status_file: str | None = None
    stop_timeout: float = STOP_SECONDS
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    model_key: str | None = field(default=None, repr=False)
    """Under which this installation signs learned models; without it none are at work."""


def run(config: WorkerConfig, told: StopSignal, *, ready: Callable[[], None] | None = None) -> int:
    """Run until ``told`` (0, or 1 where something has to be done again) or a failure (1). ``ready`` is called once the
    group has given it its partitions and they are held."""
    if told.hold().told:
        return STOPPED
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(registry_pool(config.database))
        reader = Reader(config.kafka, config.group)
        traces = tracing("servitize-worker")
        if traces is not None:
            stack.callback(traces.close)
        host = PartitionHost(
            Writer(config.database),
            Processor,
            BinaryRecordCodec(),
            Registry(pool, from_document, model_loader(config.model_key)),
            topic=config.kafka.topic(TELEMETRY),
            lost=reader.lost,
            failed=lambda error: reader.end(),
            poison=reader.put_aside,
            snapshot_seconds=config.snapshot_seconds,
            tracing=traces,
        )
        worker = _Worker(config, reader, host, ready)
        threading.Thread(target=worker.watch, args=(told,), name="told", daemon=True).start()
        if config.metrics_port is not None:
            server = MetricsServer(config.metrics_host, config.metrics_port, worker.status)
            stack.callback(server.close)
        try:
            return asyncio.run(worker.main())
        except ServiceEndedError:
            return STOPPED if told.told else FAILED


class _Worker:
    def __init__(
        self, config: WorkerConfig, reader: Reader, host: PartitionHost, ready: Callable[[], None] | None
    ) -> None:
        self._config = config
        self._reader = reader
        self._host = host
        self._ready = ready
        self._told = False
        self._outbox = OutboxPublisher(config.database, config.kafka, config.group.name)

    def watch(self, told: StopSignal) -> None:
        """In a thread: the loop may be busy for a while."""
        while not told.wait(1.0):
            self._write_status()
            if self._ready is not None and self._serves():
                self._ready()
                self._ready = None
        self._told = True
        with contextlib.suppress(AttributeError, OSError, ValueError):  # where standard error is no file
            faulthandler.dump_traceback_later(self._config.stop_timeout + LAST_RESORT_SECONDS, exit=True)
        self._reader.end()
        if not self._reader.running:
            self._host.abandon()  # it waits for Kafka or the database, and nothing was taken yet

    def _serves(self) -> bool:
        return self._reader.ready and self._reader.settled

    async def main(self) -> int:
        config, host = self._config, self._host
        if not await self._kafka_is_there():
            return STOPPED
        await asyncio.get_running_loop().run_in_executor(None, host.start)
        self._outbox.start()
        failure: BaseException | None = None
        try:
            await self._reader.run(host)
        except (UnavailableError, KafkaError, OSError) as error:
            failure = error
            log.error("worker.failed", problem=str(error) or repr(error))
        finally:
            self._outbox.stop()
            kept = await asyncio.get_running_loop().run_in_executor(None, host.stop, config.stop_timeout)
            self._write_status()
        if failure is not None or host.failure is not None:
            return FAILED
        return STOPPED if kept else FAILED

    async def _kafka_is_there(self) -> bool:
        failing = False
        while not self._told:
            try:
                await ensure_topics(self._config.kafka)
            except UnavailableError as error:
                if not failing:
                    log.warning("kafka.unreachable", problem=str(error))
                failing = True
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return True
        return False

    def status(self) -> dict[str, Any]:
        """Counters since the start, and the lag of each partition held."""
        host, reader = self._host, self._reader
        lag = reader.lag()
        return {
            "worker": self._config.group.name,
            "partitions": sorted(lag),
            "lag": sum(lag.values()),
            "lag_by_partition": {str(p): n for p, n in lag.items() if n},
            "stopped": {str(p): why for p, why in reader.stopped.items()},
            "commits": host.commits,
            "stored": host.committed_readings,
            "records": host.stepped,
            "replayed": host.replayed,
            "skipped": host.skipped,
            "fencings": host.fencings,
            "above": reader.counts.above,
            "sought": reader.counts.sought,
            "rebalances": reader.counts.rebalances,
            "put_aside": reader.counts.put_aside,
            "published": self._outbox.published,
        }

    def _write_status(self) -> None:
        write_status(self._config.status_file, self.status)
