"""Which topics there are (``topics.json``), how Kafka is reached, and making what is missing."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from core.errors import InvalidInputError, UnavailableError

TELEMETRY: Final = "telemetry.v1"
ALARMS: Final = "alarms.v1"
ADVISORIES: Final = "advisories.v1"
DEAD_LETTERS: Final = "dead-letters.v1"
PARTITIONS: Final = 64
"""Of telemetry, for life: an equipment's partition is a hash modulo this."""
MAX_MESSAGE: Final = 8 * 1024 * 1024
_ALREADY_THERE: Final = 36


class Topic(msgspec.Struct, frozen=True):
    """A row of ``topics.json``; ``name`` without the prefix."""

    name: str
    partitions: int
    retention_hours: int
    created: bool
    key: str
    value: str


class _Document(msgspec.Struct, frozen=True):
    comment: str
    topics: tuple[Topic, ...]


@cache
def topics() -> tuple[Topic, ...]:
    """All of them, in the order of the file."""
    data = resources.files("stream_processors.kafka").joinpath("topics.json").read_bytes()
    return msgspec.json.decode(data, type=_Document).topics


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach Kafka. ``prefix`` stands before every topic's name and the group's; ``replication`` of topics we
    make (1 is for one machine; 3 with ``min.insync.replicas`` 2 is what keeps what was acknowledged).

    ``protocol`` PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; ``mechanism`` PLAIN or SCRAM-SHA-256/512 with ``username``
    and ``password``; ``ca_file`` a PEM file where the system's authorities do not do.
    """

    bootstrap: str = "127.0.0.1:9092"
    prefix: str = "servitize"
    replication: int = 1
    protocol: str = "PLAINTEXT"
    mechanism: str = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if self.protocol not in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
            raise InvalidInputError(
                f"Kafka protocol {self.protocol!r}", hint="PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"
            )

    def topic(self, name: str) -> str:
        """The name on the server."""
        return f"{self.prefix}.{name}"

    def tls(self) -> ssl.SSLContext | None:
        """None where the protocol has none."""
        return ssl.create_default_context(cafile=self.ca_file) if self.protocol.endswith("SSL") else None

    def client(self, client_id: str) -> dict[str, Any]:
        """Arguments that every client of aiokafka takes."""
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "client_id": client_id}
        if self.protocol != "PLAINTEXT":
            options |= {"security_protocol": self.protocol, "ssl_context": self.tls()}
        if self.protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return options


async def ensure_topics(settings: KafkaSettings) -> None:
    """Make the topics that are missing.

    Raises :class:`~core.errors.UnavailableError` while Kafka does not answer, and
    :class:`~core.errors.InvalidInputError` where the telemetry topic has not the partitions it must have.
    """
    admin = AIOKafkaAdminClient(**settings.client("servitize-admin"), request_timeout_ms=10_000)
    try:
        await admin.start()
        wanted = {settings.topic(topic.name): topic for topic in topics() if topic.created}
        known = set(await admin.list_topics())
        missing = [
            NewTopic(
                name,
                topic.partitions,
                settings.replication,
                topic_configs={
                    "retention.ms": str(topic.retention_hours * 3_600_000),
                    "max.message.bytes": str(MAX_MESSAGE),
                    "min.insync.replicas": str(max(1, settings.replication - 1)),
                },
            )
            for name, topic in wanted.items()
            if name not in known
        ]
        if missing:
            answer = await admin.create_topics(missing, timeout_ms=10_000)
            for name, code, said in (row[:3] for row in answer.topic_errors):
                if code not in (0, _ALREADY_THERE):
                    raise UnavailableError(f"Kafka does not make the topic {name}: {for_code(code).__name__} {said}")
        await _check_partitions(admin, settings.topic(TELEMETRY))
    except (KafkaError, OSError) as error:
        raise UnavailableError(f"Kafka at {settings.bootstrap} does not answer: {error!r}") from error
    finally:
        await admin.close()


async def _check_partitions(admin: AIOKafkaAdminClient, name: str) -> None:
    for _ in range(50):
        described = await admin.describe_topics([name])
        partitions = len(described[0]["partitions"]) if described and not described[0]["error_code"] else 0
        if partitions == PARTITIONS:
            return
        if partitions:
            raise InvalidInputError(
                f"the topic {name} has {partitions} partitions, not {PARTITIONS}",
                hint="where an equipment's records lie depends on that: use another prefix, or restore the topic",
            )
        await asyncio.sleep(0.1)  # made, and not known everywhere yet
    raise UnavailableError(f"Kafka does not show the topic {name}")
