"""The demo's publisher: simulates machines and sends what their sensors say over MQTT, as a device would (QoS 1).

``python -m runtime.processes.publisher HOME``. Simulated time runs ``speed`` times as fast as the clock and never
overtakes it. Ends after the ordered number of seconds or on SIGTERM; either way every message it sent has been
acknowledged by the broker.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from core.time import MINUTE, SECOND
from runtime.console import say
from runtime.demo.control import DemoControl
from runtime.demo.files import DemoFiles, Progress, PublisherOrder
from runtime.demo.fleet import TENANT, DemoFleet, Instant, clock_message
from runtime.demo.plan import REPAIR, Segment, plan_segment, plan_story
from runtime.local.paths import DataDirectory

MOST_WAITING = 1000
"""Messages on their way that the broker has not acknowledged; past this the fleet waits for it."""
WITHOUT_CLOCK = 4
"""First moments of a segment sent without a clock message: after a repair the machines speak before time is seen to
have passed."""
FAREWELL = (3 * SECOND, 6 * SECOND, 10 * SECOND, 20 * SECOND)
"""Clock messages after the last frame, so that it is released and judged too."""
LEASH = 45 * MINUTE
_OVERTIME = 3.0
_REPORT_SECONDS = 0.5
_FLUSH_SECONDS = 60.0


class Publisher:
    """Sends segments until told to stop."""

    def __init__(self, files: DemoFiles, order: PublisherOrder) -> None:
        self._files, self._order = files, order
        self._stop = threading.Event()
        self._acknowledged = 0
        self._sent = 0
        self._readings = 0
        self._room = threading.Condition()
        self._reported = 0.0
        self._began = time.monotonic()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, order.client_id, clean_session=True)
        self._client.username_pw_set(order.username, order.password)
        self._client.max_inflight_messages_set(200)
        self._client.on_publish = self._on_publish
        self._client.reconnect_delay_set(1, 5)
        self._control = DemoControl(TENANT, self._publish)
        self._client.on_connect = lambda client, *_: client.subscribe(self._control.topics())
        self._client.on_message = lambda client, data, message: self._control.hear(
            bytes(message.payload), message.topic
        )

    def run(self) -> int:
        """Exit code 0; what the broker did not acknowledge in time stands in the progress as waiting."""
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, lambda *_: self._stop.set())
        self._client.connect(self._order.host, self._order.port, keepalive=30)
        self._client.loop_start()
        start, number, learned = self._order.start, self._order.number, self._order.learned
        last = start
        try:
            while not self._stop.is_set():
                end, period_s = start + self._order.segment_length, self._order.period_s
                if self._order.story:
                    segment = plan_story(number, start, end, period_s, learned=learned)
                else:
                    segment = plan_segment(self._order.seed, number, start, end, period_s, learned=learned)
                self._files.write_segment(segment)
                self._files.write_memory(next_number=number + 1)
                last = self._send_segment(segment)
                start, number, learned = last + REPAIR, number + 1, True
                if self._order.seconds is not None:
                    break
        finally:
            self._flush()
            self._client.disconnect()
            self._client.loop_stop()
            self._report(number, last, done=True)
        return 0

    def _send_segment(self, segment: Segment) -> int:
        """Send it; the time of the last moment sent."""
        say(f"segment {segment.number}: {len(segment.faults)} faults, {segment.period_s} s per frame")
        fleet = DemoFleet(self._order.seed, segment)
        self._control.take_over(fleet)
        paced_from = time.monotonic()
        last = segment.start
        try:
            for count, instant in enumerate(fleet.instants()):
                self._wait_until(paced_from + (instant.ts - segment.start) / SECOND / self._order.speed, instant.ts)
                if self._stop.is_set():
                    break
                self._send(instant, with_clock=count >= WITHOUT_CLOCK)
                self._control.work()
                last = instant.ts
                if time.monotonic() - self._reported > _REPORT_SECONDS:
                    self._report(segment.number, last)
                    self._files.write_truth(segment.number, fleet.truth())
                    self._repair(fleet)
        finally:
            for later in FAREWELL:
                self._publish(*clock_message(last + later))
            self._files.write_truth(segment.number, fleet.truth())
            self._report(segment.number, last)
        return last

    def _ahead(self, ts: int) -> float:
        """In a story people act on what was heard of the machines, so these wait for it: seconds, 0 if not too far."""
        if not self._order.story:
            return 0.0
        heard = max(self._order.start, self._files.heard() or 0)
        return 0.1 if ts > heard + LEASH else 0.0

    def _repair(self, fleet: DemoFleet) -> None:
        """Do what the crew asked for since the last look, and say when it is done."""
        repairs = self._files.repairs()
        asked = [repair for repair in repairs if repair["done_at"] is None]
        for repair in asked:
            repair["done_at"] = fleet.repair(repair["equipment"], repair["component"])
        if asked:
            self._files.write_repairs(repairs)

    def _wait_until(self, moment: float, ts: int) -> None:
        """Until the pace allows ``ts``, the clock has reached it, and the broker has room."""
        while not self._stop.is_set():
            pause = max(moment - time.monotonic(), ts / SECOND - time.time(), self._ahead(ts))
            if pause <= 0:
                break
            self._stop.wait(min(pause, 0.5))
        with self._room:
            self._room.wait_for(lambda: self._sent - self._acknowledged < MOST_WAITING or self._stop.is_set(), 60.0)
        limit = self._order.seconds
        overtime = 2 * _OVERTIME if self._order.story else _OVERTIME
        if limit is not None and time.monotonic() - self._began > overtime * limit + 60.0:
            say("out of time: this machine does not keep up; ending early")
            self._stop.set()

    def _send(self, instant: Instant, *, with_clock: bool) -> None:
        for topic, payload in instant.messages:
            self._publish(topic, payload)
        self._readings += instant.readings
        if with_clock:
            self._publish(*clock_message(instant.ts))

    def _publish(self, topic: str, payload: bytes) -> None:
        self._sent += 1
        self._client.publish(topic, payload, qos=1)

    def _on_publish(self, *_: object) -> None:
        with self._room:
            self._acknowledged += 1
            self._room.notify_all()

    def _flush(self) -> None:
        """Wait until the broker has acknowledged everything, for a minute at most."""
        with self._room:
            self._room.wait_for(lambda: self._acknowledged >= self._sent, _FLUSH_SECONDS)

    def _report(self, number: int, event_time: int, *, done: bool = False) -> None:
        self._reported = time.monotonic()
        waiting = self._sent - self._acknowledged
        self._files.write_progress(Progress(number, event_time, self._sent, self._readings, waiting, done))


def main() -> int:
    files = DemoFiles(DataDirectory(Path(sys.argv[1])))
    say(f"publisher of tenant {TENANT}")
    return Publisher(files, files.order()).run()


if __name__ == "__main__":
    sys.exit(main())
