"""Ingest of the cluster: MQTT to Kafka, acknowledged once Kafka has it.

The runtime starts it in a process of its own; by hand: ``python -m stream_processors.ingest_process CONFIG.json``.
TERM and INT end it cleanly: no more messages, what was taken is confirmed and acknowledged, disconnect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
import structlog
from psycopg_pool import ConnectionPool

from core.errors import InvalidInputError
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
from stream_processors.heartbeat import Heartbeat
from stream_processors.kafka.host import stream_name
from stream_processors.kafka.sink import KafkaSink
from stream_processors.kafka.topics import PARTITIONS, KafkaSettings
from stream_processors.metrics import MetricsServer

log = structlog.get_logger(__name__)

STOPPED: Final = 0
FAILED: Final = 1
_CONNECT_SECONDS: Final = 5
_RECONNECT_SECONDS: Final = 2.0


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


def load_config(path: Path | str) -> IngestConfig:
    """A configuration from JSON; members as in :class:`IngestConfig`."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=IngestConfig)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"{path}: {error}", hint="see stream_processors/ingest_main.py") from error


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
        sink = KafkaSink(
            config.kafka,
            BinaryRecordCodec(),
            lambda: stored_checkpoints(config.database),
            client_id=mqtt.client_id,
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
        with contextlib.ExitStack() as stack:
            stack.enter_context(_heartbeat(config, service, sink))
            if config.metrics_port is not None:
                server = MetricsServer(config.metrics_host, config.metrics_port, lambda: _status(service, sink))
                stack.callback(server.close)
            kept = serve(
                service,
                told,
                ready=ready,
                passing=lambda: _write_status(config, service, sink),
                stop_timeout=config.stop_timeout,
            )
    finally:
        pool.close(timeout=0.5)
    if service.failure is not None:
        return FAILED
    return STOPPED if kept else FAILED


def _heartbeat(
    config: IngestConfig, service: IngestService, sink: KafkaSink
) -> contextlib.AbstractContextManager[object]:
    if config.heartbeat_url is None:
        return contextlib.nullcontext()

    def vital() -> tuple[int, dict[str, Any]]:
        return sink.records, {"readings": sink.readings, "connected": service.connected}

    return Heartbeat(config.heartbeat_url, config.heartbeat_seconds, vital)


def _status(service: IngestService, sink: KafkaSink) -> dict[str, Any]:
    """Counters since the start."""
    status: dict[str, Any] = service.metrics()
    status |= {"records": sink.records, "sent": sink.readings, "unconfirmed": sink.pending, "resent": sink.resent}
    return status


def _write_status(config: IngestConfig, service: IngestService, sink: KafkaSink) -> None:
    if config.status_file is None:
        return
    path = Path(config.status_file)
    try:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(_status(service, sink)))
        fresh.replace(path)
    except OSError as error:
        log.warning("status.not_written", path=str(path), problem=error.strerror)
