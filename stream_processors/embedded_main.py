"""The ingest process of the embedded host: builds everything from one configuration and runs until it is told to stop.

Started by the runtime in a process of its own (`run`), or by hand: ``python -m stream_processors.embedded_main
CONFIG.json``. TERM and INT end it cleanly: no more messages, last commit, snapshot, acknowledgements, disconnect.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
import structlog
from psycopg_pool import ConnectionPool

from core.errors import FencedError, InvalidInputError, ServitizeError
from formats.record import BinaryRecordCodec
from ingest.limits import IngestLimits
from ingest.service import IngestService
from ingest.session import MqttSettings
from ingest.sparkplug.channel import SparkplugChannel
from ingest.sparkplug.limits import SparkplugSettings
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
_POLL_SECONDS: Final = 0.03


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
    stop_timeout: float = 10.0
    heartbeat_url: str | None = field(default=None, repr=False)
    heartbeat_seconds: float = 60.0
    sparkplug: SparkplugSettings = field(default_factory=SparkplugSettings)


def load_config(path: Path | str) -> EmbeddedConfig:
    """A configuration from JSON; members as in :class:`EmbeddedConfig`."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=EmbeddedConfig)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"{path}: {error}", hint="see stream_processors/embedded_main.py") from error


def run(config: EmbeddedConfig, *, ready: Callable[[], None] | None = None) -> int:
    """Run until TERM or INT (0), a failure (1), or another process takes the stream (3). ``ready`` is called when it
    serves: recovered, and known to the broker, which from then on keeps what it cannot take.

    Call it from the main thread: it takes over the two signals.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ConnectionPool(config.database, min_size=1, max_size=2, open=True, name="registry") as pool:
        writer = Writer(config.database)
        sink = EmbeddedSink(
            writer,
            Processor,
            BinaryRecordCodec(),
            stream=config.stream,
            snapshot_seconds=config.snapshot_seconds,
        )
        sparkplug = SparkplugChannel(replace(config.mqtt, client_id=f"{config.mqtt.client_id}-spb"), config.sparkplug)
        service = IngestService(
            config.mqtt, Registry(pool, from_document), sink, limits=config.limits, channels=[sparkplug]
        )
        service.start()
        while not service.connected and service.failure is None and not stop.wait(_POLL_SECONDS):
            pass
        if ready is not None and service.connected:
            ready()
        with _heartbeat(config, service, sink):
            while not stop.wait(1.0) and service.failure is None:
                _write_status(config, service, sink)
        clean = service.stop(config.stop_timeout)
        _write_status(config, service, sink)
    if service.failure is not None:
        return FENCED if isinstance(service.failure, FencedError) else FAILED
    return STOPPED if clean else FAILED


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


def main() -> int:
    """``python -m stream_processors.embedded_main CONFIG.json``"""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m stream_processors.embedded_main CONFIG.json\n")
        return 2
    try:
        return run(load_config(sys.argv[1]))
    except ServitizeError as error:
        sys.stderr.write(f"{error}\n{error.hint}\n")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
