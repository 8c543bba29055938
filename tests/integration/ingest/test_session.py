"""The session at a real broker: back-pressure, lost connections, a subscription that changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from ingest.ledger import Ledger
from ingest.service import HostClock
from ingest.session import Inbound, MqttSession, MqttSettings
from workbench.replay.publisher import Publisher, last_retained

pytestmark = pytest.mark.integration

PAYLOAD = b"x" * 1000


class Listener:
    """A session that keeps what it gets; durable when the test says so."""

    def __init__(self, settings: MqttSettings, topic: str) -> None:
        self.ledger = Ledger()
        self.got: list[Inbound] = []
        self.status = f"{topic}/status"
        self.session = MqttSession(
            settings, self.ledger, self.got.append, [f"{topic}/data"], clock=HostClock(), status_topic=self.status
        )
        self.session.start()
        until(lambda: self.session.connected)

    def settle(self) -> None:
        """All that came is durable."""
        self.ledger.durable([message.handle for message in self.got])
        self.session.wake()


def until(condition: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


@pytest.fixture
def topic() -> str:
    return f"session-test/{time.monotonic_ns()}"


@pytest.fixture(params=[4, 5])
def settings(broker: Any, request: pytest.FixtureRequest) -> MqttSettings:
    service = broker.service
    port = service.port if request.param == 4 else service.mqtt5_port
    if port is None:
        pytest.skip("this broker does not speak MQTT 5")
    return MqttSettings(
        host=service.host,
        port=port,
        username=service.username,
        password=service.password,
        client_id=f"session-{time.monotonic_ns()}",
        protocol=request.param,
        keepalive=3,
        budget_bytes=100_000,
        session_expiry=600,
    )


@pytest.fixture
def listener(settings: MqttSettings, topic: str) -> Iterator[Listener]:
    made = Listener(settings, topic)
    yield made
    made.session.stop()


def publish(settings: MqttSettings, topic: str, count: int) -> None:
    plain = MqttSettings(**(asdict(settings) | {"client_id": f"p-{time.monotonic_ns()}"}))
    with Publisher(plain, plain.client_id) as publisher:
        for number in range(count):
            publisher.publish(f"{topic}/data", b"%05d" % number + PAYLOAD)
        publisher.drain()


def says(settings: MqttSettings, topic: str, word: bytes) -> bool:
    """Whether that stands in the retained message, within five seconds."""
    watch = MqttSettings(**(asdict(settings) | {"client_id": "watch"}))
    return last_retained(watch, topic, lambda payload: word in payload, 5)


def numbers(listener: Listener) -> list[int]:
    return [int(message.payload[:5]) for message in listener.got]


def test_beyond_its_budget_it_stops_reading_and_loses_nothing(
    listener: Listener, settings: MqttSettings, topic: str
) -> None:
    publish(settings, topic, 500)
    until(lambda: listener.session.paused)
    held = listener.ledger.pending_bytes
    # longer than the broker would wait for a sign of life, and longer than a ping would wait for its answer
    time.sleep(8)
    assert listener.session.connected
    assert says(settings, listener.status, b'"paused":true')
    assert listener.ledger.pending_bytes == held < settings.budget_bytes + 10_000

    stop = threading.Event()

    def keep_settling() -> None:
        while not stop.wait(0.02):
            listener.settle()

    thread = threading.Thread(target=keep_settling)
    thread.start()
    until(lambda: len(set(numbers(listener))) == 500)
    stop.set()
    thread.join()
    assert numbers(listener) == list(range(500))
    assert listener.session.counts.connections == 1
    assert listener.session.counts.pauses >= 1
    assert says(settings, listener.status, b'"paused":false')


def test_what_was_not_acknowledged_comes_again_to_the_next_process(
    settings: MqttSettings, topic: str, listener: Listener
) -> None:
    publish(settings, topic, 10)
    until(lambda: len(listener.got) == 10)
    listener.ledger.durable([message.handle for message in listener.got[:4]])
    listener.session.stop()
    second = Listener(settings, topic)
    until(lambda: len(second.got) >= 6)
    time.sleep(0.3)
    assert numbers(second) == [4, 5, 6, 7, 8, 9]
    assert all(message.duplicate for message in second.got)
    second.settle()
    second.session.stop()
    third = Listener(settings, topic)
    time.sleep(0.5)
    assert third.got == []
    third.session.stop()


def test_its_status_tells_what_it_listens_to(listener: Listener, settings: MqttSettings, topic: str) -> None:
    plain = MqttSettings(**(asdict(settings) | {"client_id": "watch"}))
    assert says(settings, listener.status, b'"online":true')
    listener.session.subscribe([f"{topic}/data", f"{topic}/more"], {"registry": 7})
    assert says(settings, listener.status, b"/more")
    assert says(settings, listener.status, b'"registry":7')
    with Publisher(plain, f"p-{time.monotonic_ns()}") as publisher:
        publisher.publish(f"{topic}/more", b"00042")
        publisher.drain()
    until(lambda: numbers(listener) == [42])
    listener.session.stop()
    assert says(settings, listener.status, b'"online":false')
