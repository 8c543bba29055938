"""The cluster as it runs: real broker, Kafka and database, ingests and workers in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.equipment import ComponentDef, EquipmentType, LimitDef, PointDef, Side
from core.time import SECOND
from ingest.session import MqttSettings
from models.types import to_document
from runtime.local.broker import LocalBroker
from runtime.local.kafka import LocalKafka
from storage import admin
from storage.migrate import migrate
from stream_processors.kafka.topics import KafkaSettings
from tests.support.cluster import Cluster
from tests.support.logins import PASSWORDS

POINTS = 8
RIGS = 12
RIG = EquipmentType(
    "rig",
    "Rig",
    components=(ComponentDef("rig", "Rig"),),
    points=tuple(PointDef(f"p{n}", "rig", "bar") for n in range(POINTS)),
    limits=(LimitDef("high", "p0", Side.HIGH, 100.0, title="{value} is over {limit}"),),
    lateness=SECOND,
)


@pytest.fixture(scope="session")
def cluster_template(database_factory: Any) -> str:
    database = database_factory()
    migrate(database.dsn, PASSWORDS)
    with psycopg.connect(database.dsn) as connection:
        admin.publish_type(connection, RIG, to_document(RIG))
        tenant = admin.create_tenant(connection, "acme", "Acme")
        for number in range(RIGS):
            admin.create_equipment(connection, tenant, f"rig-{number}", RIG)
    return str(database.name)


@pytest.fixture
def cluster(
    fresh_database: Any, cluster_template: str, broker: LocalBroker, kafka: LocalKafka, tmp_path: Path
) -> Iterator[Cluster]:
    """Everything but ingests and workers, which the test starts; topics and sessions of its own."""
    number = time.monotonic_ns()
    service = broker.service
    made = Cluster(
        fresh_database(template=cluster_template).dsn,
        MqttSettings(service.host, service.port, f"ingest-{number}", service.username, service.password),
        KafkaSettings(kafka.bootstrap, prefix=f"t{number}"),
        tmp_path,
    )
    yield made
    made.stop_all()
