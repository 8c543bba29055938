"""Sending dead letters again: through the broker, so that they take the way that everything takes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import NotFoundError, UnavailableError
from runtime import access
from runtime.bootstrap import OWNER
from runtime.endpoints import BrokerEndpoint
from runtime.local.paths import DataDirectory

_ACKNOWLEDGED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """``cut``: payloads that were longer than what is kept of them, and so cannot be sent."""

    sent: int
    cut: int


def replay_letters(
    data: DataDirectory, *, tenant: str | None, ids: Sequence[int] | None, reason: str | None
) -> Replayed:
    """Publish the payloads named by ``ids``, else all not yet replayed (of ``reason``); marks those the broker took."""
    from storage.queries import load

    endpoints = access.running_endpoints(data)
    if endpoints.broker is None:
        raise UnavailableError("the broker is not running", hint="servitize doctor")
    queries = load("instance")
    with access.connected(endpoints.databases[OWNER]) as connection:
        number = None if tenant is None else access.tenant_named(connection, tenant)
        rows = [
            tuple(row)
            for row in queries.to_replay(
                connection, tenant_id=number, ids=None if ids is None else list(ids), reason=reason
            )
        ]
        if ids is not None and (missing := set(ids) - {row[0] for row in rows}):
            raise NotFoundError(
                f"there is no dead letter {', '.join(map(str, sorted(missing)))}", hint="servitize deadletter list"
            )
        whole = [(row[0], row[1], bytes(row[2])) for row in rows if len(row[2]) >= row[3]]
        # Marked first, in this transaction: a letter that is refused again meanwhile must not look replayed.
        queries.mark_replayed(connection, ids=[letter[0] for letter in whole])
        publish_all(endpoints.broker, [(topic, payload) for _, topic, payload in whole])
    return Replayed(len(whole), len(rows) - len(whole))


def publish_all(broker: BrokerEndpoint, messages: Sequence[tuple[str, bytes]]) -> None:
    """Publish with QoS 1 and wait until the broker has acknowledged all; :class:`~core.errors.UnavailableError` if
    not."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    from ingest.tls import ClientTls

    if not messages:
        return
    client = mqtt.Client(CallbackAPIVersion.VERSION2, f"servitize-replay-{uuid.uuid4().hex[:8]}")
    client.username_pw_set(broker.username, broker.password)
    if broker.tls:
        client.tls_set_context(ClientTls(broker.ca, broker.certificate, broker.key, broker.server_name).context())
    try:
        client.connect(broker.host, broker.port)
        client.loop_start()
        for information in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
            information.wait_for_publish(_ACKNOWLEDGED_SECONDS)
            if not information.is_published():
                raise UnavailableError("the broker did not acknowledge in time", hint="servitize doctor")
    except OSError as error:
        raise UnavailableError(f"the broker does not answer: {error}", hint="servitize doctor") from error
    finally:
        client.disconnect()
        client.loop_stop()
