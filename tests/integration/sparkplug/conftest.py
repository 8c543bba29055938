"""The system of the ingest tests, with a Sparkplug group of the tenant ``acme`` and edge nodes over the real broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from formats.sparkplug.decode import SparkplugPayload, decode_payload
from ingest.session import MqttSettings
from tests.integration.ingest.conftest import ingest_template as ingest_template  # fixtures of the ingest tests
from tests.integration.ingest.conftest import system as system
from tests.unit.sparkplug.edge import EdgeNode, Sent


class LiveNode:
    """An edge node on the broker: it births when told to, and answers a rebirth request as it should."""

    def __init__(self, broker: MqttSettings, node: EdgeNode, births: Callable[[EdgeNode], list[Sent]]) -> None:
        self.node = node
        self.births = births
        self.rebirths = 0
        self._lock = threading.RLock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"edge-{node.group}-{node.node}")
        if broker.username is not None:
            self._client.username_pw_set(broker.username, broker.password)
        topic, payload = node.ndeath()
        self._client.will_set(topic, payload, qos=1)
        self._client.on_message = self._on_command
        self._client.connect(broker.host, broker.port)
        self._client.subscribe(f"spBv1.0/{node.group}/NCMD/{node.node}", qos=1)
        self._client.loop_start()

    def _on_command(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        command = decode_payload(bytes(message.payload))
        assert isinstance(command, SparkplugPayload)
        if command.metrics.name == [b"Node Control/Rebirth"] and command.metrics.whole[0]:
            self.rebirths += 1
            with self._lock:
                for topic, payload in self.births(self.node):  # not waited for: this is the client's own thread
                    client.publish(topic, payload, qos=0)

    def birth(self) -> None:
        with self._lock:
            self.send(*self.births(self.node))

    def send(self, *sent: Sent) -> None:
        with self._lock:
            for topic, payload in sent:
                self._client.publish(topic, payload, qos=0).wait_for_publish(5)

    def vanish(self) -> None:
        """The connection breaks without a word: the broker sends the will."""
        sock = self._client.socket()
        assert sock is not None
        self._client.on_disconnect = None
        self._client.loop_stop()
        sock.close()

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def live() -> Iterator[Callable[[LiveNode], LiveNode]]:
    """Keeps track of nodes and takes them off the broker at the end."""
    nodes: list[LiveNode] = []

    def keep(node: LiveNode) -> LiveNode:
        nodes.append(node)
        return node

    yield keep
    for node in nodes:
        node.leave()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits for it; fails with what it last gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"still {found!r} after {seconds:g} s"
        time.sleep(0.05)
