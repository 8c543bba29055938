"""What the workbench needs of a running instance, as it wants to have it."""

from __future__ import annotations

from core.errors import UnavailableError
from ingest.session import MqttSettings
from runtime.endpoints import Endpoints


def service_session(endpoints: Endpoints) -> MqttSettings:
    """How our own publishers reach the broker of a running instance."""
    broker = endpoints.broker
    if broker is None:
        raise UnavailableError("the broker is not running", hint="servitize doctor")
    return MqttSettings(
        host=broker.host,
        port=broker.port,
        username=broker.username,
        password=broker.password,
        tls=broker.tls,
        ca_file=broker.ca,
        certificate_file=broker.certificate,
        key_file=broker.key,
        server_name=broker.server_name,
    )
