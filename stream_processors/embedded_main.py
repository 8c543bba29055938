"""The embedded host's ingest: builds everything from one configuration and runs until it is told to stop.

The runtime starts it in a process of its own; by hand: ``python -m stream_processors.embedded_process CONFIG.json``.
TERM and INT end it cleanly: no more messages, last commit, snapshot, acknowledgements, disconnect.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
import structlog
from psycopg_pool import ConnectionPool

from core.errors import FencedError, InvalidInputError
from formats.record import BinaryRecordCodec
from ingest.life import STOP_SECONDS, serve
from ingest.limits import IngestLimits
from ingest.service import IngestService
from ingest.session import MqttSettings
from ingest.sparkplug.channel import SparkplugChannel
from ingest.sparkplug.limits import SparkplugSettings
from ingest.told import StopSignal
from models.types import from_document
from storage.registry import Registry
from storage.writer import Writer
from stream_processors.embedded import STREAM, EmbeddedSink
from stream_processors.heartbeat import Heartbeat
from stream_processors.pipeline.processor import Processor

log = structlog.get_logger(__name__)

STOPPED: Final = 0
FAILED: Final = 1
FENCED: Final = 3
"""Another process has taken the stream: starting this one again would only take it back."""
_CONNECT_SECONDS: Final = 5
_RECONNECT_SECONDS: Final = 2.0
"""Then the pool gives up, and tries anew when it is asked: else its pauses grow to minutes, and so would a recovery."""


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """``database`` is a login of the writer role. ``status_file``: where counters are written once a second, if given.
    ``heartbeat_url``: told every ``heartbeat_seconds`` as long as commits happen."""

    database: str
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    limits: IngestLimits = field(default_factory=IngestLimits)
    stream: str = STREAM
    snapshot_seconds: float = 5.0
    status_file: str | None = None
    stop_timeout: float = STOP_SECONDS
    heartbeat_url: str | None = field(default=None, repr=False)
    heartbeat_seconds: float = 60.0
    sparkplug: SparkplugSettings = field(default_factory=SparkplugSettings)


def load_config(path: Path | str) -> EmbeddedConfig:
    """A configuration from JSON; members as in :class:`EmbeddedConfig`."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=EmbeddedConfig)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"{path}: {error}", hint="see stream_processors/embedded_main.py") from error


def run(config: EmbeddedConfig, told: StopSignal, *, ready: Callable[[], None] | None = None) -> int:
    """Run until ``told`` (0, or 1 where something is lost by ending now), a failure (1), or another process takes the
    stream (3). ``ready`` is called when it serves: recovered, and known to the broker, which from then on keeps what
    it cannot take.
    """
    logging.getLogger("psycopg.pool").addFilter(_OncePerCause())
    pool = ConnectionPool(
        config.database,
        min_size=1,
        max_size=2,
        open=True,
        name="registry",
        timeout=_CONNECT_SECONDS,
        reconnect_timeout=_RECONNECT_SECONDS,
        kwargs={"connect_timeout": _CONNECT_SECONDS, "application_name": "servitize registry"},
    )
    try:
        sink = EmbeddedSink(
            Writer(config.database),
            Processor,
            BinaryRecordCodec(),
            stream=config.stream,
            snapshot_seconds=config.snapshot_seconds,
        )
        sparkplug = SparkplugChannel(replace(config.mqtt, client_id=f"{config.mqtt.client_id}-spb"), config.sparkplug)
        service = IngestService(
            config.mqtt, Registry(pool, from_document), sink, limits=config.limits, channels=[sparkplug]
        )
        with _heartbeat(config, service, sink):
            kept = serve(
                service,
                told,
                ready=ready,
                passing=lambda: _write_status(config, service, sink),
                stop_timeout=config.stop_timeout,
            )
    finally:
        pool.close(timeout=0.5)  # a connection that is just being made is not waited for
    if service.failure is not None:
        return FENCED if isinstance(service.failure, FencedError) else FAILED
    return STOPPED if kept else FAILED


class _OncePerCause(logging.Filter):
    """Of a pool that knocks once a second: why nobody opens, when that is something new."""

    def __init__(self) -> None:
        super().__init__()
        self._last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if not said.startswith("error connecting") or said == self._last:
            return False
        self._last = said
        return True


def _heartbeat(
    config: EmbeddedConfig, service: IngestService, sink: EmbeddedSink
) -> contextlib.AbstractContextManager[object]:
    if config.heartbeat_url is None:
        return contextlib.nullcontext()

    def vital() -> tuple[int, dict[str, Any]]:
        return sink.commits, {"readings": sink.committed_readings, "connected": service.connected}

    return Heartbeat(config.heartbeat_url, config.heartbeat_seconds, vital)


def _write_status(config: EmbeddedConfig, service: IngestService, sink: EmbeddedSink) -> None:
    if config.status_file is None:
        return
    status: dict[str, Any] = service.metrics()
    status["commits"], status["stored"] = sink.commits, sink.committed_readings
    path = Path(config.status_file)
    try:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(status))
        fresh.replace(path)
    except OSError as error:
        log.warning("status.not_written", path=str(path), problem=error.strerror)
