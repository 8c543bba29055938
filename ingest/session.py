"""The MQTT session: one network thread that only moves bytes, and never has more of them than it may.

Messages are acknowledged by hand, after they are durable (:mod:`ingest.ledger`). While too many bytes wait for that,
the socket is not read: TCP then holds the broker back, and the broker keeps what is left in the session. The session
outlives connections and processes (fixed client id, no clean start), so what was not acknowledged comes again.
"""

from __future__ import annotations

import contextlib
import random
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from core.errors import InvalidInputError
from core.time import Clock
from ingest.ledger import Handle, Ledger
from ingest.tls import ClientTls

log = structlog.get_logger(__name__)

_READS_PER_TURN: Final = 200
"""Packets read before acknowledgements get their turn."""
_FIRST_BACKOFF: Final = 0.2
_LONGEST_BACKOFF: Final = 15.0


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """How to reach the broker. ``client_id`` is the name of the session: one per ingest process, the same for ever.

    ``protocol`` 4 (3.1.1) or 5. ``budget_bytes`` of messages may wait for durability; ``receive_maximum`` messages may
    be under way at once (told to a broker that speaks 5). ``session_expiry`` seconds that the broker keeps the session
    (5 only). With ``tls`` the files and the name of :class:`~ingest.tls.ClientTls` hold.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "servitize-ingest"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    protocol: int = 4
    keepalive: int = 30
    tls: bool = False
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    budget_bytes: int = 64 * 1024 * 1024
    receive_maximum: int = 2_000
    session_expiry: int = 14 * 24 * 3600
    connect_timeout: float = 5.0

    def __post_init__(self) -> None:
        if self.protocol not in (4, 5):
            raise InvalidInputError(f"MQTT protocol {self.protocol}", hint="4 means 3.1.1, 5 means 5.0")

    def tls_context(self) -> ssl.SSLContext | None:
        """For the client library; None where the connection is in plain text."""
        if not self.tls:
            return None
        return ClientTls(self.ca_file, self.certificate_file, self.key_file, self.server_name).context()


class Inbound:
    """A message as it came: bytes, flags, time of receipt (µs) and its handle in the ledger."""

    __slots__ = ("duplicate", "handle", "payload", "received_at", "retained", "topic")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        received_at: int,
        handle: Handle,
        retained: bool = False,
        duplicate: bool = False,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.received_at = received_at
        self.handle = handle
        self.retained = retained
        self.duplicate = duplicate


@dataclass(slots=True)
class SessionCounts:
    """What the network thread has seen since it started."""

    connections: int = 0
    messages: int = 0
    bytes: int = 0
    duplicates: int = 0
    pauses: int = 0
    paused_seconds: float = 0.0


class MqttSession:
    """Starts with :meth:`start`, delivers from its own thread, ends with :meth:`stop`.

    ``deliver`` must return at once: it queues. Connection losses are logged once when they happen and once when they
    are over.
    """

    def __init__(
        self,
        settings: MqttSettings,
        ledger: Ledger,
        deliver: Callable[[Inbound], None],
        filters: Sequence[str],
        *,
        clock: Clock,
        status_topic: str | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._deliver = deliver
        self._filters = tuple(filters)
        self._subscribed: frozenset[str] = frozenset()
        self._unconfirmed: set[int] = set()
        self._confirmed = False
        self._note: dict[str, Any] = {}
        self._note_said = False
        self._clock = clock
        self._status_topic = status_topic
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._woken = False
        self._connected = False
        self._answer: ReasonCode | None = None
        self._reading = True
        self._paused_since: float | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self.counts = SessionCounts()
        self._client = self._make_client()

    @property
    def connected(self) -> bool:
        """The broker has taken our subscriptions: what is published from now on reaches us, or waits for us."""
        return self._connected and self._confirmed

    @property
    def paused(self) -> bool:
        """The socket is not read because too much waits for durability."""
        return self._paused_since is not None

    def start(self) -> None:
        self._thread.start()

    def subscribe(self, filters: Sequence[str], note: Mapping[str, Any] | None = None) -> None:
        """These from now on; filters that are gone are unsubscribed.

        ``note`` is said in our status with the filters as soon as the broker has taken them.
        """
        self._note = dict(note or {})
        self._filters = tuple(filters)
        self._note_said = False
        self.wake()

    def wake(self) -> None:
        """There may be acknowledgements to send. From any thread."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(BlockingIOError, OSError):
                self._wake_write.send(b"\0")

    def stop_reading(self) -> None:
        """Take no more messages; acknowledgements still go out. The first half of a clean stop."""
        self._reading = False
        self.wake()

    def stop(self, timeout: float = 5.0) -> None:
        """Send the acknowledgements that are due, disconnect, end the thread. The session stays at the broker."""
        self._reading = False
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join(timeout)

    # --- the network thread ---------------------------------------------------------------------------------

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        version = MQTTProtocolVersion.MQTTv5 if settings.protocol == 5 else MQTTProtocolVersion.MQTTv311
        options: dict[str, Any] = {} if settings.protocol == 5 else {"clean_session": False}
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=settings.client_id,
            protocol=version,
            manual_ack=True,
            reconnect_on_failure=False,
            **options,
        )
        if settings.username is not None:
            client.username_pw_set(settings.username, settings.password)
        if (context := settings.tls_context()) is not None:
            client.tls_set_context(context)
        if self._status_topic is not None:
            client.will_set(self._status_topic, b'{"online":false,"paused":false}', qos=1, retain=True)
        client.connect_timeout = settings.connect_timeout
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        # with an external loop announced, the client queues packets instead of writing each from where it was made
        client.on_socket_register_write = lambda *_: None
        client.on_socket_unregister_write = lambda *_: None
        return client

    def _run(self) -> None:
        backoff, failing = _FIRST_BACKOFF, False
        while not self._stopping:
            problem = self._connect()
            if problem is None:
                if failing:
                    log.info("mqtt.connected_again", host=self._settings.host, port=self._settings.port)
                backoff, failing = _FIRST_BACKOFF, False
                self._serve()
                if not self._stopping:
                    log.warning("mqtt.connection_lost", host=self._settings.host, port=self._settings.port)
                    failing = True
            elif not failing:
                log.warning("mqtt.unreachable", host=self._settings.host, port=self._settings.port, problem=problem)
                failing = True
            if not self._stopping:
                # full jitter: after a broker's restart not everybody knocks at the same moment
                self._idle(random.uniform(0.5, 1.0) * backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
        if self._connected:
            self._take_leave()
        self._close()

    def _take_leave(self) -> None:
        """Say that we go, and wait until the broker has it: then it has read the acknowledgements before it, too.

        A successor that connects at once would else cut off what the broker has not yet read, and get it again.
        """
        if self._status_topic is None:
            return
        leave = self._client.publish(self._status_topic, self._status(online=False), qos=1, retain=True)
        deadline = time.monotonic() + 2.0
        while self._connected and not leave.is_published() and time.monotonic() < deadline:
            sock: Any = self._client.socket()
            if sock is None:
                return
            self._client.loop_write()
            if _pending(sock) or select.select([sock], [], [], 0.1)[0]:
                self._client.loop_read()

    def _idle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            select.select([self._wake_read], [], [], left)
            self._drain_wakes()

    def _connect(self) -> str | None:
        """None once CONNACK said yes, else what was in the way."""
        settings = self._settings
        self._answer = None
        options: dict[str, Any] = {}
        if settings.protocol == 5:
            properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = settings.session_expiry
            properties.ReceiveMaximum = settings.receive_maximum
            options = {"clean_start": False, "properties": properties}
        try:
            self._client.connect(settings.host, settings.port, settings.keepalive, **options)
            deadline = time.monotonic() + settings.connect_timeout
            while self._unanswered() and time.monotonic() < deadline:
                sock: Any = self._client.socket()
                if sock is None:
                    break
                if self._client.want_write():
                    self._client.loop_write()
                if _pending(sock) or select.select([sock], [], [], 0.1)[0]:
                    self._client.loop_read()
                if self._stopping:
                    return "stopping"
        except (OSError, ValueError) as error:
            return str(error)
        answer: ReasonCode | None = self._answer
        if answer is not None and not answer.is_failure:
            return None
        self._close()
        return "no answer" if answer is None else str(answer)

    def _unanswered(self) -> bool:
        return self._answer is None

    def _close(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._client.disconnect()
            self._client.loop_write()
        self._connected = False

    def _serve(self) -> None:
        """Until the connection is lost or all is done: read while there is budget, write, acknowledge, keep alive."""
        client = self._client
        next_misc = time.monotonic() + 1.0
        while self._connected:
            sock: Any = client.socket()
            if sock is None:
                return
            stopping = self._stopping  # before the acknowledgements: what became durable before the stop still goes out
            self._acknowledge()
            # without a filter (a share that has no tenant yet) there is nothing to wait for either
            if frozenset(self._filters) != self._subscribed or not (self._confirmed or self._unconfirmed):
                self._update_subscriptions()
            if self._confirmed and not self._note_said:
                self._say_status()
            if stopping and not client.want_write():
                return
            reading = self._may_read()
            writers = [sock] if client.want_write() else []
            wait = 0.0 if reading and _pending(sock) else 0.5
            readers = [self._wake_read, sock] if reading else [self._wake_read]
            try:
                readable, writable, _ = select.select(readers, writers, [], wait)
            except (OSError, ValueError):
                return
            if self._wake_read in readable:
                self._drain_wakes()
            if reading and (sock in readable or _pending(sock)):
                self._read()
            if writable:
                client.loop_write()
            now = time.monotonic()
            if now >= next_misc:
                next_misc = now + 1.0
                self._keep_alive(now, reading)

    def _read(self) -> None:
        # one packet a call, and no word whether there was one: our own count tells
        for _ in range(_READS_PER_TURN):
            before = self.counts.messages
            self._client.loop_read()
            if self.counts.messages == before or not self._reading:
                return
            if self._ledger.pending_bytes > self._settings.budget_bytes:
                return

    def _may_read(self) -> bool:
        """Within the budget; once over it, not before a quarter of it is free again."""
        budget, pending = self._settings.budget_bytes, self._ledger.pending_bytes
        if self._paused_since is None:
            if pending > budget:
                self._paused_since = self._last_sign = time.monotonic()
                self.counts.pauses += 1
                log.warning("mqtt.paused", pending_bytes=pending, budget_bytes=budget)
        elif pending < budget * 3 // 4:
            waited = time.monotonic() - self._paused_since
            self.counts.paused_seconds += waited
            self._paused_since = None
            self._note_said = False  # what was said of the pause is retained
            log.info("mqtt.resumed", seconds=round(waited, 1))
        return self._paused_since is None and self._reading

    def _keep_alive(self, now: float, reading: bool) -> None:
        if reading:
            self._client.loop_misc()
        elif now - self._last_sign >= self._settings.keepalive / 3:
            # unread, the answer to a ping would be taken for a dead broker; any message of ours keeps us alive there
            self._last_sign = now
            self._say_status(paused=True)

    _last_sign: float = 0.0

    def _status(self, *, online: bool = True, paused: bool = False) -> bytes:
        return orjson.dumps({"online": online, "paused": paused, "filters": self._filters, **self._note})

    def _say_status(self, *, paused: bool = False) -> None:
        if self._status_topic is not None:
            self._client.publish(self._status_topic, self._status(paused=paused), qos=0, retain=True)
        self._note_said = True

    def _acknowledge(self) -> None:
        for mid in self._ledger.take_acknowledgements():
            self._client.ack(mid, 1)

    def _drain_wakes(self) -> None:
        self._woken = False
        with contextlib.suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass

    def _update_subscriptions(self) -> None:
        wanted = frozenset(self._filters)
        self._confirmed = False
        for gone in self._subscribed - wanted:
            self._client.unsubscribe(gone)
        fresh = [topic for topic in self._filters if topic not in self._subscribed]
        if fresh and self._settings.protocol == 5:
            # retained messages only with a new subscription: a process that restarts has seen them
            options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
            _, mid = self._client.subscribe([(topic, options) for topic in fresh])
        elif fresh:
            _, mid = self._client.subscribe([(topic, 1) for topic in fresh])
        if fresh and mid is not None:
            self._unconfirmed.add(mid)
        self._confirmed = not self._unconfirmed
        self._subscribed = wanted

    # --- callbacks of the client, in the same thread
    # -------------------------------------------------------------------

    def _on_connect(
        self, client: mqtt.Client, userdata: Any, flags: mqtt.ConnectFlags, reason: ReasonCode, properties: Any
    ) -> None:
        self._answer = reason
        if reason.is_failure:
            return
        self.counts.connections += 1
        self._ledger.new_connection()
        self._connected = True
        if not flags.session_present or self._unconfirmed:
            self._subscribed = frozenset()
            self._confirmed = False
        self._unconfirmed.clear()
        self._note_said = False

    def _on_disconnect(self, *_: Any) -> None:
        self._connected = False

    def _on_subscribe(
        self, client: mqtt.Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Any
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            log.error("mqtt.subscription_refused", filters=self._filters, reasons=refused)
        self._unconfirmed.discard(mid)
        self._confirmed = not self._unconfirmed

    def _on_message(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        if self._stopping:
            return  # not acknowledged, so it comes again
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = message._topic.decode("utf-8", "backslashreplace")
        counts, payload = self.counts, bytes(message.payload)
        counts.messages += 1
        counts.bytes += len(payload)
        counts.duplicates += message.dup
        kept = message.retain or topic == self._status_topic  # our own word, which we said to others
        handle = self._ledger.received(message.mid, message.qos, len(topic) + len(payload), kept=kept)
        self._deliver(Inbound(topic, payload, self._clock.now(), handle, message.retain, message.dup))


def _pending(sock: Any) -> bool:
    """Decrypted bytes that wait inside a TLS socket, where select cannot see them."""
    pending = getattr(sock, "pending", None)
    return bool(pending is not None and pending())
