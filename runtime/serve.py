"""One service of a deployment, in the foreground: ``servitize serve ingest|worker|api|caretaker``.

The same processes as those of one machine, told by environment instead of by a supervisor; docs/reference/settings.md
lists the variables. TERM ends each in order.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.errors import InvalidInputError
from ingest.told import StopSignal
from runtime.local.paths import DataDirectory
from runtime.service_settings import (
    KINDS,
    broker,
    database,
    endpoints,
    metrics_listen,
    needed,
    number,
    status_file,
    worker_name,
)

if TYPE_CHECKING:
    from ingest.session import MqttSettings
    from stream_processors.kafka.topics import KafkaSettings


def serve(kind: str, data: DataDirectory, environ: Mapping[str, str] = os.environ) -> int:
    """Run until told to stop; the exit code of the process."""
    if kind not in KINDS:
        raise InvalidInputError(f"there is no service {kind!r}", hint=f"one of {', '.join(KINDS)}")
    if kind == "api":
        return _api(data, environ)
    with StopSignal() as told:
        from runtime.processes.logs import log_as_lines

        log_as_lines()
        run = {"ingest": _ingest, "worker": _worker, "caretaker": _caretaker}[kind]
        return run(data, environ, told)


def _ingest(data: DataDirectory, environ: Mapping[str, str], told: StopSignal) -> int:
    from ingest.share import Share
    from ingest.sparkplug.limits import SparkplugSettings
    from runtime.settings import SPARKPLUG_HOST_ID
    from stream_processors.ingest_main import IngestConfig, run

    metrics = metrics_listen(environ)
    config = IngestConfig(
        database=database(data, "ingest", environ),
        mqtt=_mqtt(data, environ),
        kafka=_kafka(data, environ),
        share=Share(number(environ, "SERVITIZE_INGEST_ORDINAL", 0), number(environ, "SERVITIZE_INGEST_COUNT", 1)),
        status_file=str(status_file(data, "ingest")),
        heartbeat_url=environ.get("SERVITIZE_HEARTBEAT_URL") or None,
        heartbeat_seconds=float(environ.get("SERVITIZE_HEARTBEAT_SECONDS") or 60),
        sparkplug=SparkplugSettings(host_id=environ.get(SPARKPLUG_HOST_ID) or SparkplugSettings().host_id),
        metrics_port=metrics.port,
        metrics_host=metrics.host,
    )
    return run(config, told)


def _worker(data: DataDirectory, environ: Mapping[str, str], told: StopSignal) -> int:
    from runtime.bootstrap import MODEL_SIGNING
    from stream_processors.faust_app import GroupSettings
    from stream_processors.worker_main import WorkerConfig, run

    metrics = metrics_listen(environ)
    config = WorkerConfig(
        database=database(data, "worker", environ),
        kafka=_kafka(data, environ),
        group=GroupSettings(name=worker_name(environ)),
        status_file=str(status_file(data, "worker")),
        metrics_port=metrics.port,
        metrics_host=metrics.host,
        model_key=data.secret(MODEL_SIGNING) if data.given is None else data.given_secret(MODEL_SIGNING),
    )
    return run(config, told)


def _api(data: DataDirectory, environ: Mapping[str, str]) -> int:
    from runtime.processes import api

    endpoints(data, "api", environ).write(data)
    sys.argv = ["servitize serve api", str(data.root)]
    return api.main()


def _caretaker(data: DataDirectory, environ: Mapping[str, str], told: StopSignal) -> int:
    """What must be done once, wherever: rollups, retention, numbering of events, notifications; accounts at the
    broker."""
    from runtime.account_keeper import AccountKeeper
    from runtime.bootstrap import DEVICE_MASTER
    from runtime.commands import Commands
    from runtime.local.rights import BrokerRights
    from runtime.notify import channels
    from runtime.orders import Orders
    from services.notifications.deliverer import Deliverer
    from storage.caretaker import Caretaker

    at = endpoints(data, "caretaker", environ)
    dsn = at.databases["servitize_writer"]
    caretaker = Caretaker(dsn, lambda: time.time_ns() // 1_000)
    parts: list[Orders | AccountKeeper | Deliverer | Commands] = [
        Deliverer(lambda: dsn, channels(data, lambda: at.broker, environ)),
        Commands(lambda: dsn, lambda: at.broker),
    ]
    if at.control is not None:
        control, master = at.control, data.secret(DEVICE_MASTER)
        parts.append(Orders(lambda: dsn, BrokerRights(data), lambda: at.broker, lambda: master))
        parts.append(AccountKeeper(dsn, control, master))
    caretaker.start()
    for part in parts:
        part.start()
    try:
        path = status_file(data, "caretaker")
        while not told.wait(1.0):
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps({"accounts": at.control is not None}))
            fresh.replace(path)
    finally:
        for part in parts:
            part.stop()
        caretaker.stop(2.0)
    return 0


def _mqtt(data: DataDirectory, environ: Mapping[str, str]) -> MqttSettings:
    from ingest.session import MqttSettings

    at = broker(data, environ)
    return MqttSettings(
        host=at.host,
        port=at.port,
        username=at.username,
        password=at.password,
        tls=at.tls,
        ca_file=at.ca,
        certificate_file=at.certificate,
        key_file=at.key,
        server_name=at.server_name,
    )


def _kafka(data: DataDirectory, environ: Mapping[str, str]) -> KafkaSettings:
    from stream_processors.kafka.topics import KafkaSettings

    default = KafkaSettings()
    username = environ.get("SERVITIZE_KAFKA_USERNAME") or None
    return KafkaSettings(
        bootstrap=needed(environ, "SERVITIZE_KAFKA_SERVERS", "kafka:9092"),
        prefix=environ.get("SERVITIZE_KAFKA_PREFIX") or default.prefix,
        replication=number(environ, "SERVITIZE_KAFKA_REPLICATION", default.replication),
        protocol=environ.get("SERVITIZE_KAFKA_PROTOCOL") or default.protocol,
        mechanism=environ.get("SERVITIZE_KAFKA_MECHANISM") or default.mechanism,
        username=username,
        password=data.secret("kafka-password") if username else None,
        ca_file=environ.get("SERVITIZE_KAFKA_CA") or None,
    )
