"""The connection of the Sparkplug host: a clean session, STATE as its will, data at QoS 0.

What is lost on the way shows as a gap in a node's sequence and is repaired by a rebirth; that is the whole promise of
the protocol. While too many bytes wait to become durable the socket is not read; what the broker drops then shows too.
"""

from __future__ import annotations

import contextlib
import queue
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from core.time import Clock
from ingest.session import MqttSettings
from ingest.sparkplug.state import HostState, StateMessage

log = structlog.get_logger(__name__)

_READS_PER_TURN: Final = 200
_FIRST_BACKOFF: Final = 0.2
_LONGEST_BACKOFF: Final = 15.0
_FULL_PAUSE: Final = 0.02


@dataclass(slots=True)
class SessionCounts:
    """What the network thread has seen since it started."""

    connections: int = 0
    messages: int = 0
    bytes: int = 0
    paused_seconds: float = 0.0


class SparkplugSession:
    """Delivers from its own thread. ``deliver(topic, payload, received_at, retained)`` must return at once; ``changed``
    is called with True when the birth certificate is out and with False when the connection is lost."""

    def __init__(
        self,
        settings: MqttSettings,
        state: HostState,
        deliver: Callable[[str, bytes, int, bool], None],
        changed: Callable[[bool], None],
        pending_bytes: Callable[[], int],
        *,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._state = state
        self._deliver = deliver
        self._changed = changed
        self._pending_bytes = pending_bytes
        self._clock = clock
        self._filters: tuple[str, ...] = ()
        self._subscribed: frozenset[str] = frozenset()
        self._unconfirmed: set[int] = set()
        self._outgoing: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._answer: ReasonCode | None = None
        self._connected = False
        self._born = False
        self._reading = True
        self._stopping = False
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._run, name="sparkplug", daemon=True)
        self.counts = SessionCounts()

    @property
    def connected(self) -> bool:
        """Subscribed, and STATE says that we are online."""
        return self._connected and self._born

    def start(self, filters: Sequence[str]) -> None:
        self._filters = tuple(filters)
        self._thread.start()

    def subscribe(self, filters: Sequence[str]) -> None:
        """These from now on."""
        self._filters = tuple(filters)
        self._wake()

    def publish(self, topic: str, payload: bytes) -> None:
        """A command: QoS 0, not retained. From any thread; without a connection it is dropped, as QoS 0 is."""
        self._outgoing.put((topic, payload))
        self._wake()

    def stop_reading(self) -> None:
        """Take no more messages; the connection stays."""
        self._reading = False
        self._wake()

    def stop(self, timeout: float = 5.0) -> None:
        """Say that we go offline, disconnect, end the thread."""
        self._reading = False
        self._stopping = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_write.send(b"\0")

    # --- the network thread

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        version = MQTTProtocolVersion.MQTTv5 if settings.protocol == 5 else MQTTProtocolVersion.MQTTv311
        options: dict[str, Any] = {} if settings.protocol == 5 else {"clean_session": True}
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=version,
            reconnect_on_failure=False,
            **options,
        )
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if (context := settings.tls_context()) is not None:
            client.tls_set_context(context)
        client.connect_timeout = settings.connect_timeout
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_socket_register_write = lambda *_: None
        client.on_socket_unregister_write = lambda *_: None
        return client

    def _run(self) -> None:
        backoff, failing = _FIRST_BACKOFF, False
        where = {"host": self._settings.host, "port": self._settings.port}
        while not self._stopping:
            problem = self._connect()
            if problem is None:
                if failing:
                    log.info("sparkplug.connected_again", **where)
                backoff, failing = _FIRST_BACKOFF, False
                self._serve()
                if self._born:
                    self._born = False
                    self._state.disconnected()
                    self._changed(False)
                if not self._stopping:
                    log.warning("sparkplug.connection_lost", **where)
                    failing = True
            elif not failing:
                log.warning("sparkplug.unreachable", problem=problem, **where)
                failing = True
            if not self._stopping:
                self._idle(random.uniform(0.5, 1.0) * backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
        self._leave()

    def _idle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            select.select([self._wake_read], [], [], left)
            self._drain_wakes()

    def _connect(self) -> str | None:
        settings = self._settings
        self._answer = None
        self._subscribed, self._born = frozenset(), False
        self._unconfirmed.clear()
        will = self._state.connecting(self._clock.now())
        self._client.will_set(will.topic, will.payload, qos=1, retain=True)
        options: dict[str, Any] = {}
        if settings.protocol == 5:
            properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0
            options = {"clean_start": True, "properties": properties}
        try:
            self._client.connect(settings.host, settings.port, settings.keepalive, **options)
            deadline = time.monotonic() + settings.connect_timeout
            while self._unanswered() and time.monotonic() < deadline and not self._stopping:
                sock: Any = self._client.socket()
                if sock is None:
                    break
                if self._client.want_write():
                    self._client.loop_write()
                if _pending(sock) or select.select([sock], [], [], 0.1)[0]:
                    self._client.loop_read()
        except (OSError, ValueError) as error:
            return str(error)
        answer: ReasonCode | None = self._answer
        if answer is not None and not answer.is_failure:
            return None
        self._close()
        return "no answer" if answer is None else str(answer)

    def _unanswered(self) -> bool:
        return self._answer is None

    def _serve(self) -> None:
        """Until the connection is lost or all is done."""
        client, next_misc = self._client, time.monotonic() + 1.0
        while self._connected:
            sock: Any = client.socket()
            if sock is None:
                return
            self._update_subscriptions()
            self._send_commands()
            if self._stopping:
                return
            full = not self._reading or self._pending_bytes() > self._settings.budget_bytes
            writers = [sock] if client.want_write() else []
            readers = [self._wake_read] if full else [self._wake_read, sock]
            wait = 0.0 if not full and _pending(sock) else _FULL_PAUSE if full else 0.5
            try:
                readable, writable, _ = select.select(readers, writers, [], wait)
            except (OSError, ValueError):
                return
            if full:
                self.counts.paused_seconds += wait
            if self._wake_read in readable:
                self._drain_wakes()
            if sock in readable or (not full and _pending(sock)):
                self._read()
            if writable:
                client.loop_write()
            now = time.monotonic()
            if now >= next_misc:
                next_misc = now + 1.0
                if not full:  # unread, the answer to a ping would be taken for a dead broker
                    client.loop_misc()

    def _read(self) -> None:
        for _ in range(_READS_PER_TURN):
            before = self.counts.messages
            self._client.loop_read()
            if self.counts.messages == before or not self._reading:
                return

    def _send_commands(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                topic, payload = self._outgoing.get_nowait()
                self._client.publish(topic, payload, qos=0, retain=False)

    def _say(self, message: StateMessage) -> None:
        self._client.publish(message.topic, message.payload, qos=1, retain=True)

    def _leave(self) -> None:
        if self._connected:
            message = self._state.leaving(self._clock.now())
            info = self._client.publish(message.topic, message.payload, qos=1, retain=True)
            # Wait until the broker has it: who closes a socket with something unread in it resets the connection, and
            # what was just sent goes with it.
            deadline = time.monotonic() + 2.0
            while not info.is_published() and time.monotonic() < deadline:
                sock: Any = self._client.socket()
                if sock is None:
                    break
                self._client.loop_write()
                if _pending(sock) or select.select([sock], [], [], 0.05)[0]:
                    self._client.loop_read()
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
            self._client.loop_write()
        self._connected = False

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass

    def _update_subscriptions(self) -> None:
        # our own STATE and the groups first, the birth certificate once the broker has taken them
        wanted = frozenset((self._state.topic, *self._filters))
        if wanted == self._subscribed:
            return
        for gone in self._subscribed - wanted:
            self._client.unsubscribe(gone)
        fresh = sorted(wanted - self._subscribed)
        if fresh:
            _, mid = self._client.subscribe([(topic, 1) for topic in fresh])
            if mid is not None:
                self._unconfirmed.add(mid)
        self._subscribed = wanted

    # --- callbacks of the client, in the same thread

    def _on_connect(
        self, client: mqtt.Client, userdata: Any, flags: mqtt.ConnectFlags, reason: ReasonCode, properties: Any
    ) -> None:
        self._answer = reason
        if not reason.is_failure:
            self.counts.connections += 1
            self._connected = True

    def _on_disconnect(self, *_: Any) -> None:
        self._connected = False

    def _on_subscribe(
        self, client: mqtt.Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Any
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            log.error("sparkplug.subscription_refused", filters=self._filters, reasons=refused)
        self._unconfirmed.discard(mid)
        if not self._unconfirmed and not self._born:
            self._born = True
            self._say(self._state.subscribed())
            self._changed(True)

    def _on_message(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = message._topic.decode("utf-8", "backslashreplace")
        payload, now = bytes(message.payload), self._clock.now()
        self.counts.messages += 1
        if topic == self._state.topic:
            repair = self._state.seen(payload, now)
            if repair is not None:
                self._say(repair)
            return
        if self._stopping:
            return  # nobody would take it any more; its node's next birth says it again
        self.counts.bytes += len(payload)
        self._deliver(topic, payload, now, message.retain)


def _pending(sock: Any) -> bool:
    """Decrypted bytes that wait inside a TLS socket, where select cannot see them."""
    pending = getattr(sock, "pending", None)
    return bool(pending is not None and pending())
