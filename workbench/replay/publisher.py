"""Sends messages at quality of service 1 and knows of each whether the broker has it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from core.errors import UnavailableError
from ingest.session import MqttSettings

WINDOW: Final = 1_000
"""Messages that may wait for the broker's acknowledgement; more only fill memory."""
STALL_SECONDS: Final = 60.0
"""So long without a single acknowledgement, with some owed, means that something is broken."""


class Publisher:
    """A context manager. ``publish`` blocks while the window is full; ``drain`` waits until all is acknowledged."""

    def __init__(self, settings: MqttSettings, client_id: str, *, window: int = WINDOW) -> None:
        self._settings = settings
        self._window = threading.BoundedSemaphore(window)
        self._condition = threading.Condition()
        self._connected = False
        self._refusal: str | None = None
        self.sent = 0
        self.acknowledged = 0
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv311, clean_session=True
        )
        client.max_inflight_messages_set(window)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(1, 5)
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if (context := settings.tls_context()) is not None:
            client.tls_set_context(context)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        self._client = client

    def __enter__(self) -> Publisher:
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            self._client.connect(self._settings.host, self._settings.port, keepalive=60)
        except OSError as error:
            raise UnavailableError(f"no MQTT broker at {where}: {error}", hint="is `servitize up` running?") from error
        self._client.loop_start()
        with self._condition:
            self._condition.wait_for(lambda: self._connected or self._refusal, timeout=10)
        if not self._connected:
            self.__exit__()
            raise UnavailableError(
                f"the broker at {where} does not let us in: {self._refusal or 'no answer'}", hint="check the account"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes) -> None:
        """Queue one message; raises :class:`~core.errors.UnavailableError` when the broker has stopped answering."""
        if not self._window.acquire(timeout=STALL_SECONDS):
            raise self._stalled()
        self.sent += 1
        self._client.publish(topic, payload, qos=1)

    def listen(self, topic: str, on_message: Callable[..., None]) -> None:
        """Call ``on_message`` (as paho does) for what is on ``topic``."""
        self._client.on_message = on_message
        self._client.subscribe(topic, qos=1)

    def drain(self) -> None:
        """Until every message is the broker's."""
        seen, since = -1, time.monotonic()
        with self._condition:
            while self.acknowledged < self.sent:
                if self.acknowledged != seen:
                    seen, since = self.acknowledged, time.monotonic()
                elif time.monotonic() - since > STALL_SECONDS:
                    raise self._stalled()
                self._condition.wait(0.5)

    def _stalled(self) -> UnavailableError:
        owed = self.sent - self.acknowledged
        return UnavailableError(
            f"the broker owes {owed} acknowledgements and gave none for {STALL_SECONDS:g} s",
            hint="look at its log; then replay again, nothing is stored twice",
        )

    def _on_connect(self, client: mqtt.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._condition:
            self._connected = not reason.is_failure
            self._refusal = str(reason) if reason.is_failure else None
            self._condition.notify_all()

    def _on_publish(self, *_: Any) -> None:
        with self._condition:
            self.acknowledged += 1
            self._condition.notify_all()
        self._window.release()


def last_retained(settings: MqttSettings, topic: str, satisfied: Callable[[bytes], bool], timeout: float) -> bool:
    """Whether a message on ``topic``, retained or new, satisfies within ``timeout`` seconds."""
    done = threading.Event()

    def on_message(client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        if satisfied(bytes(message.payload)):
            done.set()

    with Publisher(settings, f"servitize-replay-{secrets.token_hex(4)}") as connection:
        connection.listen(topic, on_message)
        return done.wait(timeout)


def paced(
    times: Iterable[int],
    speed: float | None,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    longest: float = 1.0,
) -> Iterator[None]:
    """Yields once per time in ``times`` (µs), ``speed`` times as fast as they tell; None: at once.

    A gap never takes longer than ``longest`` seconds: recordings made on different days do not wait for days.
    """
    due, before = now(), None
    for ts in times:
        if speed is not None and before is not None and ts > before:
            due += min((ts - before) / 1e6 / speed, longest)
            wait = due - now()
            if wait > 0:
                sleep(wait)
        before = ts if before is None else max(before, ts)
        yield None
