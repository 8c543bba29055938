"""The embedded host's ingest: builds everything from one configuration and runs until it is told to stop.

The runtime starts it in a process of its own; by hand: ``python -m stream_processors.process embedded CONFIG.json``.
TERM and INT end it cleanly: no more messages, last commit, snapshot, acknowledgements, disconnect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from core.errors import FencedError
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
from stream_processors.hosting import FAILED, STOPPED, heartbeat, model_loader, registry_pool, write_status
from stream_processors.pipeline.processor import Processor

FENCED: Final = 3
"""Another process has taken the stream: starting this one again would only take it back."""


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
    model_key: str | None = field(default=None, repr=False)
    """Under which this installation signs learned models; without it none are at work."""
    sparkplug: SparkplugSettings = field(default_factory=SparkplugSettings)


def run(config: EmbeddedConfig, told: StopSignal, *, ready: Callable[[], None] | None = None) -> int:
    """Run until ``told`` (0, or 1 where something is lost by ending now), a failure (1), or another process takes the
    stream (3). ``ready`` is called when it serves: recovered, and known to the broker, which from then on keeps what
    it cannot take.
    """
    with registry_pool(config.database) as pool:
        sink = EmbeddedSink(
            Writer(config.database),
            Processor,
            BinaryRecordCodec(),
            stream=config.stream,
            snapshot_seconds=config.snapshot_seconds,
        )
        sparkplug = SparkplugChannel(replace(config.mqtt, client_id=f"{config.mqtt.client_id}-spb"), config.sparkplug)
        service = IngestService(
            config.mqtt,
            Registry(pool, from_document, model_loader(config.model_key)),
            sink,
            limits=config.limits,
            channels=[sparkplug],
        )

        def vital() -> tuple[int, dict[str, Any]]:
            return sink.commits, {"readings": sink.committed_readings, "connected": service.connected}

        def status() -> dict[str, Any]:
            return {**service.metrics(), "commits": sink.commits, "stored": sink.committed_readings}

        with heartbeat(config.heartbeat_url, config.heartbeat_seconds, vital):
            kept = serve(
                service,
                told,
                ready=ready,
                passing=lambda: write_status(config.status_file, status),
                stop_timeout=config.stop_timeout,
            )
    if service.failure is not None:
        return FENCED if isinstance(service.failure, FencedError) else FAILED
    return STOPPED if kept else FAILED
