"""Ingest of the cluster: MQTT to Kafka, acknowledged once Kafka has it.

The runtime starts it in a process of its own; by hand: ``python -m stream_processors.process ingest CONFIG.json``.
TERM and INT end it cleanly: no more messages, what was taken is confirmed and acknowledged, disconnect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from formats.record import BinaryRecordCodec
from ingest.life import STOP_SECONDS, serve
from ingest.limits import IngestLimits
from ingest.service import IngestService
from ingest.session import MqttSettings
from ingest.share import Share, SharedRegistry
from ingest.sparkplug.channel import SparkplugChannel
from ingest.sparkplug.limits import SparkplugSettings
from ingest.told import StopSignal
from models.types import from_document
from storage.cluster import checkpoints
from storage.registry import Registry
from stream_processors.checkpoint import Checkpoint, unpack
from stream_processors.hosting import FAILED, STOPPED, heartbeat, registry_pool, write_status
from stream_processors.kafka.host import stream_name
from stream_processors.kafka.sink import KafkaSink
from stream_processors.kafka.topics import PARTITIONS, KafkaSettings
from stream_processors.metrics import MetricsServer
from stream_processors.tracing import tracing


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """``database`` is a login of the writer role (the registry, and what the workers have seen of devices' numbering).
    ``share``: which tenants; client ids are made from ``mqtt.client_id`` and its ordinal. ``status_file``: where
    counters are written once a second, if given. ``metrics_port``: Prometheus figures and ``/healthz`` on
    ``metrics_host``, if given."""

    database: str
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    share: Share = field(default_factory=Share)
    limits: IngestLimits = field(default_factory=IngestLimits)
    status_file: str | None = None
    stop_timeout: float = STOP_SECONDS
    heartbeat_url: str | None = field(default=None, repr=False)
    heartbeat_seconds: float = 60.0
    sparkplug: SparkplugSettings = field(default_factory=SparkplugSettings)
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"


def stored_checkpoints(database: str) -> dict[int, tuple[int, Checkpoint]]:
    """The workers' newest checkpoints by partition, with the offsets after which they were taken."""
    numbers = {stream_name(partition): partition for partition in range(PARTITIONS)}
    return {
        numbers[found.stream]: (found.offset, unpack(found.state)) for found in checkpoints(database, list(numbers))
    }


def run(config: IngestConfig, told: StopSignal, *, ready: Callable[[], None] | None = None) -> int:
    """Run until ``told`` (0, or 1 where something was taken and not confirmed: it comes again) or a failure (1).
    ``ready`` is called when it serves: known to the broker, which from then on keeps what it cannot take."""
    share = config.share
    own = "" if share.alone else f"-{share.ordinal}"
    mqtt = replace(config.mqtt, client_id=f"{config.mqtt.client_id}{own}")
    sparkplug = replace(config.sparkplug, host_id=f"{config.sparkplug.host_id}{own}")
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(registry_pool(config.database))
        traces = tracing("servitize-ingest")
        if traces is not None:
            stack.callback(traces.close)
        sink = KafkaSink(
            config.kafka,
            BinaryRecordCodec(),
            lambda: stored_checkpoints(config.database),
            client_id=mqtt.client_id,
            tracing=traces,
        )
        service = IngestService(
            mqtt,
            SharedRegistry(Registry(pool, from_document), share),
            sink,
            limits=config.limits,
            channels=[SparkplugChannel(replace(mqtt, client_id=f"{mqtt.client_id}-spb"), sparkplug)],
            shared=not share.alone,
            status_topic=share.status_topic,
        )

        def vital() -> tuple[int, dict[str, Any]]:
            return sink.records, {"readings": sink.readings, "connected": service.connected}

        def status() -> dict[str, Any]:
            counts = {
                "records": sink.records,
                "sent": sink.readings,
                "unconfirmed": sink.pending,
                "resent": sink.resent,
            }
            return {**service.metrics(), **counts}

        stack.enter_context(heartbeat(config.heartbeat_url, config.heartbeat_seconds, vital))
        if config.metrics_port is not None:
            server = MetricsServer(config.metrics_host, config.metrics_port, status)
            stack.callback(server.close)
        kept = serve(
            service,
            told,
            ready=ready,
            passing=lambda: write_status(config.status_file, status),
            stop_timeout=config.stop_timeout,
        )
    if service.failure is not None:
        return FAILED
    return STOPPED if kept else FAILED
