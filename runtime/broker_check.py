"""What can be found out about a broker that somebody else runs, from outside and without harm."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from core.errors import UnavailableError
from ingest.tls import ClientTls
from runtime.local.endpoints import BrokerEndpoint

MESSAGES: Final = 1_200
"""Sent to a session that is away: more than the 1,000 of which Mosquitto by default drops the rest."""
_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class BrokerSeen:
    """``version`` as the broker tells (None: it does not). ``kept`` of :data:`MESSAGES` that waited for a client which
    was away, all acknowledged to who sent them. ``session``: whether the broker still knew that client."""

    version: str | None
    session: bool
    kept: int


def look_at(endpoint: BrokerEndpoint) -> BrokerSeen:
    """Enter, read ``$SYS``, and try what becomes of messages for a client that is away (its session is removed after).

    Raises :class:`~core.errors.UnavailableError` where the broker does not answer or does not let us in.
    """
    version = _version(endpoint)
    name, topic = f"servitize-doctor-{uuid.uuid4().hex[:12]}", f"servitize-doctor/{uuid.uuid4().hex}"
    received: set[bytes] = set()
    try:
        with _Connection(endpoint, name, clean=False) as listener:
            listener.subscribe(topic)
        with _Connection(endpoint, f"{name}-p", clean=True) as publisher:
            sent = [publisher.client.publish(topic, str(n), qos=1) for n in range(MESSAGES)]
            for one in sent:
                one.wait_for_publish(_SECONDS)
        with _Connection(endpoint, name, clean=False, hears=lambda m: received.add(bytes(m.payload))) as again:
            session = again.session
            _until_silent(received)
    finally:
        with _Connection(endpoint, name, clean=True):
            pass
    return BrokerSeen(version, session, len(received))


def _version(endpoint: BrokerEndpoint) -> str | None:
    told: list[str] = []
    heard = threading.Event()

    def hears(message: mqtt.MQTTMessage) -> None:
        told.append(bytes(message.payload).decode(errors="replace"))
        heard.set()

    with _Connection(endpoint, f"servitize-doctor-{uuid.uuid4().hex[:12]}", clean=True, hears=hears) as connection:
        connection.subscribe("$SYS/broker/version")
        heard.wait(2.0)
    return told[0].removeprefix("mosquitto version ") if told else None


def _until_silent(received: set[bytes]) -> None:
    """Until all are there, or for a second nothing came."""
    deadline, before, changed = time.monotonic() + _SECONDS, -1, time.monotonic()
    while len(received) < MESSAGES and time.monotonic() < deadline and time.monotonic() - changed < 1.0:
        if len(received) != before:
            before, changed = len(received), time.monotonic()
        time.sleep(0.02)


class _Connection:
    """One connection, up while the body runs."""

    def __init__(
        self,
        endpoint: BrokerEndpoint,
        name: str,
        *,
        clean: bool,
        hears: Callable[[mqtt.MQTTMessage], None] = lambda message: None,
    ) -> None:
        self._endpoint = endpoint
        self._settled, self._subscribed = threading.Event(), threading.Event()
        self._refused = ""
        self.session = False
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, name, clean_session=clean, protocol=mqtt.MQTTv311, reconnect_on_failure=False
        )
        self.client.max_inflight_messages_set(200)
        if endpoint.username:
            self.client.username_pw_set(endpoint.username, endpoint.password)
        if endpoint.tls:
            tls = ClientTls(endpoint.ca, endpoint.certificate, endpoint.key, endpoint.server_name)
            self.client.tls_set_context(tls.context())
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda _c, _d, message: hears(message)

    def _on_connect(self, _client: mqtt.Client, _data: object, flags: Any, code: Any, _properties: object) -> None:
        self.session = bool(flags.session_present)
        self._refused = str(code) if code.is_failure else ""
        self._settled.set()

    def subscribe(self, topic: str) -> None:
        self.client.subscribe(topic, qos=1)
        if not self._subscribed.wait(_SECONDS):
            raise UnavailableError("the broker does not answer a subscription", hint="look at its log")

    def __enter__(self) -> _Connection:
        where = f"{self._endpoint.host}:{self._endpoint.port}"
        try:
            self.client.connect(self._endpoint.host, self._endpoint.port)
        except OSError as error:
            raise UnavailableError(
                f"the broker at {where} does not answer: {error}", hint="see SERVITIZE_MQTT_URL"
            ) from error
        self.client.loop_start()
        if not self._settled.wait(_SECONDS) or self._refused:
            self.__exit__()
            raise UnavailableError(
                f"the broker at {where} does not let {self._endpoint.username} in: {self._refused or 'no answer'}",
                hint="is its account there, with the password of our secret? `servitize broker init` makes it",
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()
