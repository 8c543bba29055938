"""Publishes a run at quality of service 1 and keeps the ledger: which messages the broker has acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.session import MqttSettings
from tests.faults.fleet import FRAME, Message

WINDOW = 1_000
STALL_SECONDS = 240.0


class Load:
    """One connection, messages in order. :meth:`start`, then wait for :meth:`reached`; :meth:`finish` waits for the
    last acknowledgement.

    ``rate`` in readings per second (None: as fast as it goes). It goes on sending while the broker is away: what is
    not acknowledged is sent again when it is back, as devices do.
    """

    def __init__(
        self, settings: MqttSettings, messages: Iterable[Message], count: int, rate: float | None, held: int
    ) -> None:
        self._messages = messages
        self._count = count
        self._rate = rate
        self._hold_at = count - held
        self._go_on = threading.Event()
        self._window = threading.BoundedSemaphore(WINDOW)
        self._lock = threading.Lock()
        self._line = threading.Lock()
        self._connected = threading.Event()
        self._waiting: dict[int, int] = {}
        self._early: set[int] = set()
        self.acknowledged = np.zeros(count, np.bool_)
        self.frames: list[tuple[int, int]] = []
        self.sent = 0
        self.failure: BaseException | None = None
        self.began = self.ended = 0.0
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"press-gateway-{time.monotonic_ns()}", clean_session=True
        )
        client.max_inflight_messages_set(WINDOW)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(1, 2)
        client.username_pw_set(settings.username, settings.password)
        client.on_publish = self._on_publish
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        self._client = client
        self._settings = settings
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        self._client.connect(self._settings.host, self._settings.port, keepalive=30)
        self._client.loop_start()
        self._thread.start()

    def release(self) -> None:
        """The faults are over: the last ``held`` messages are sent only now, since devices go on where tests end."""
        self._go_on.set()

    def reached(self, share: float) -> None:
        """Returns once this share of the messages before those held back has been sent."""
        while self.sent < min(share, 1.0) * self._hold_at and self._thread.is_alive():
            time.sleep(0.01)

    def finish(self) -> None:
        """Until everything is the broker's; then the connection is closed."""
        self._thread.join()
        seen, since = -1, time.monotonic()
        while self.failure is None and (done := int(self.acknowledged.sum())) < self.sent:
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                self.failure = RuntimeError(f"the broker owes {self.sent - done} acknowledgements")
            time.sleep(0.05)
        self._client.disconnect()
        self._client.loop_stop()
        if self.failure is not None:
            raise self.failure

    @property
    def runs(self) -> bool:
        """Not all is sent, or what is held back is."""
        return self._thread.is_alive() and self.sent != self._hold_at

    @property
    def acknowledged_readings(self) -> int:
        """Of telemetry, so far."""
        with self._lock:
            return (
                sum(
                    1
                    for (frame, machine), ok in zip(self.frames, self.acknowledged, strict=False)
                    if ok and machine >= 0
                )
                * FRAME
            )

    @property
    def readings_per_second(self) -> float:
        return sum(1 for frame in self.frames if frame[1] >= 0) * FRAME / max(self.ended - self.began, 1e-9)

    def acknowledged_frames(self) -> list[tuple[int, int]]:
        """(second, machine) of telemetry that the broker has taken over."""
        return [frame for frame, ok in zip(self.frames, self.acknowledged, strict=False) if ok and frame[1] >= 0]

    def _run(self) -> None:
        try:
            self.began = due = time.monotonic()
            for message in self._messages:
                if self.sent == self._hold_at:
                    self._go_on.wait()
                if self._rate is not None and message.machine >= 0:
                    due = max(due + FRAME / self._rate, time.monotonic() - 1.0)
                    if (wait := due - time.monotonic()) > 0.002:
                        time.sleep(wait)
                if not self._window.acquire(timeout=STALL_SECONDS):
                    raise RuntimeError("the broker has stopped answering")
                self._publish(message)
        except BaseException as error:
            self.failure = error

    def _publish(self, message: Message) -> None:
        # Like a device with one queue: nothing new before what has to be sent again.
        while True:
            self._connected.wait()
            with self._line:
                if self._connected.is_set():
                    # not under the other lock: the client answers under a lock of its own that publishing takes
                    mid = self._client.publish(message.topic, message.payload, qos=1).mid
                    break
        with self._lock:
            self.frames.append((message.frame, message.machine))
            if mid in self._early:
                self._early.discard(mid)
                self.acknowledged[self.sent] = True
            else:
                self._waiting[mid] = self.sent
            self.sent += 1

    def _on_connect(self, *_: object) -> None:
        # the client sends again what is owed right after this; half a second later the line is free
        threading.Timer(0.5, self._connected.set).start()

    def _on_disconnect(self, *_: object) -> None:
        with self._line:
            self._connected.clear()

    def _on_publish(self, client: object, userdata: object, mid: int, *rest: object) -> None:
        self.ended = time.monotonic()
        with self._lock:
            place = self._waiting.pop(mid, None)
            if place is None:
                self._early.add(mid)
            else:
                self.acknowledged[place] = True
        self._window.release()
