"""The local broker: a device may do what it was given and nothing else, and nothing acknowledged is forgotten."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from core.errors import UnavailableError
from runtime.devices import edge_node_credential
from runtime.local.access import DeviceCredential
from runtime.local.broker import LocalBroker
from runtime.local.endpoints import TlsFiles
from runtime.local.mosquitto import Mosquitto, find_mosquitto
from runtime.local.paths import DataDirectory
from runtime.local.rights import BrokerRights

pytestmark = pytest.mark.integration

needs_mosquitto = pytest.mark.skipif(
    find_mosquitto() is None, reason="needs Mosquitto 2 (Debian: apt-get install mosquitto; its service may stay off)"
)
needs_plugin = pytest.mark.skipif(
    (found := find_mosquitto()) is None or found.plugin is None,
    reason="needs Mosquitto's dynamic security plugin (Debian: apt-get install mosquitto)",
)
KINDS = [
    pytest.param("dynamic", marks=needs_plugin),
    pytest.param("files", marks=needs_mosquitto),
    pytest.param("iotcore"),
]
PRESS = DeviceCredential(
    "press-7",
    "acme.press-7",
    "first-password",
    ["servitize/v1/acme/press-7/#"],
    ["servitize/v1/acme/press-7/commands/+"],
)
OVEN = DeviceCredential("oven-1", "acme.oven-1", "oven-password", ["servitize/v1/acme/oven-1/#"])


def environ(kind: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "SERVITIZE_MQTT_BROKER": "iotcore" if kind == "iotcore" else "mosquitto"}


@pytest.fixture
def make(data: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LocalBroker]:
    """Makes a broker of a kind on the test's data directory; "files" is Mosquitto without its plugin."""

    def make(kind: str, **options: object) -> LocalBroker:
        if kind == "files":

            def without_plugin(_environ: object) -> Mosquitto | None:
                here = find_mosquitto()
                return here and replace(here, plugin=None)

            monkeypatch.setattr("runtime.local.broker.find_mosquitto", without_plugin)
        return LocalBroker(data, **{"port": 0, "environ": environ(kind), **options})  # type: ignore[arg-type]

    return make


class Client:
    """A connection as a device or as the service, which notes what happens to it."""

    def __init__(
        self,
        broker: LocalBroker,
        who: DeviceCredential | None = None,
        *,
        client_id: str | None = None,
        keep_session: bool = False,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
        port: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.session_present: bool | None = None
        self.refused = threading.Event()
        self.connected = threading.Event()
        self.disconnected = threading.Event()
        self.subscribed = threading.Event()
        name = client_id or (who.client_id if who else f"test-{uuid.uuid4().hex[:8]}")
        clean = None if protocol is MQTTProtocolVersion.MQTTv5 else not keep_session
        self.mqtt = mqtt.Client(
            CallbackAPIVersion.VERSION2, name, protocol=protocol, clean_session=clean, reconnect_on_failure=False
        )
        endpoint = broker.service
        self.mqtt.username_pw_set(*(who.username, who.password) if who else (endpoint.username, endpoint.password))
        if tls is not None:
            self.mqtt.tls_set_context(tls)
        self.mqtt.on_connect = self._on_connect
        self.mqtt.on_disconnect = lambda *_: self.disconnected.set()
        self.mqtt.on_subscribe = lambda *_: self.subscribed.set()
        self.mqtt.on_message = lambda _c, _d, message: self.received.append((message.topic, bytes(message.payload)))
        newer = protocol is MQTTProtocolVersion.MQTTv5 and endpoint.mqtt5_port
        self.mqtt.connect(endpoint.host, port or newer or endpoint.port)
        self.mqtt.loop_start()

    def _on_connect(self, _client: object, _data: object, flags: mqtt.ConnectFlags, code: object, _p: object) -> None:
        self.session_present = flags.session_present
        (self.refused if getattr(code, "is_failure", False) else self.connected).set()

    @property
    def let_in(self) -> bool:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if self.connected.is_set():
                return True
            if self.refused.is_set() or self.disconnected.is_set():
                return False
            time.sleep(0.01)
        return False

    def subscribe(self, topic: str) -> None:
        assert self.let_in
        self.mqtt.subscribe(topic, qos=1)
        assert self.subscribed.wait(5)

    def publish(self, topic: str, payload: bytes = b"x") -> None:
        assert self.let_in
        self.mqtt.publish(topic, payload, qos=1).wait_for_publish(10)

    def close(self) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


@contextmanager
def client(*arguments: object, **options: object) -> Iterator[Client]:
    made = Client(*arguments, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_comes_in_with_its_own_password_only(make: Callable[..., LocalBroker], kind: str) -> None:
    with make(kind) as broker:
        broker.provision([PRESS, OVEN])
        with client(broker, PRESS) as device:
            assert device.let_in
        with client(broker, PRESS, protocol=MQTTProtocolVersion.MQTTv5) as device:
            assert device.let_in
        for wrong in (replace(PRESS, password=OVEN.password), replace(PRESS, username="acme.nobody")):
            with client(broker, wrong) as stranger:
                assert not stranger.let_in
        if kind != "files":
            assert broker.capabilities.per_device_credentials


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_device_publishes_as_itself_and_nothing_else(make: Callable[..., LocalBroker], kind: str) -> None:
    with make(kind) as broker, client(broker) as service:
        broker.provision([PRESS, OVEN])
        service.subscribe("#")
        for topic in (
            "servitize/v1/acme/oven-1/telemetry",
            "servitize/v1/acme/press-77/telemetry",
            "servitize/v1/acme",
            "somewhere/else",
            "servitize/v1/acme/press-7/telemetry",
        ):
            with client(broker, PRESS) as device:  # anew each time: some builds disconnect who is denied
                device.publish(topic)
        assert eventually(lambda: bool(service.received))
        time.sleep(0.2)
        assert [topic for topic, _ in service.received] == ["servitize/v1/acme/press-7/telemetry"]


@pytest.mark.parametrize("kind", KINDS[:2])
def test_a_device_hears_what_is_meant_for_it_however_it_asks(make: Callable[..., LocalBroker], kind: str) -> None:
    with make(kind) as broker, client(broker) as service:
        broker.provision([PRESS])
        with client(broker, PRESS) as device:
            for topic in ("#", "servitize/#", "servitize/v1/+/+/commands/+", "$share/g/servitize/#", *PRESS.subscribe):
                device.subscribed.clear()
                device.subscribe(topic)
            service.publish("servitize/v1/acme/oven-1/commands/1", b"not yours")
            service.publish("servitize/v1/acme/press-7/commands/1", b"yours")
            assert eventually(lambda: bool(device.received))
            time.sleep(0.2)
            assert {payload for _, payload in device.received} == {b"yours"}


@pytest.mark.parametrize("kind", KINDS[:2])
def test_an_edge_node_speaks_for_itself_and_hears_hosts_and_its_own_commands(
    make: Callable[..., LocalBroker], kind: str
) -> None:
    node = edge_node_credential("Hall/n1", "acme.Hall.n1", "acme.Hall.n1", "node-password")
    with make(kind) as broker, client(broker) as service:
        broker.provision([node])
        service.subscribe("spBv1.0/#")
        for topic in (
            "spBv1.0/Hall/NBIRTH/n2",
            "spBv1.0/Hall/DDATA/n2/press",
            "spBv1.0/Office/NBIRTH/n1",
            "spBv1.0/Hall/NCMD/n1",
            "spBv1.0/STATE/servitize",
            "servitize/v1/acme/press-7/telemetry",
            "spBv1.0/Hall/NBIRTH/n1",
            "spBv1.0/Hall/DBIRTH/n1/press",
        ):
            with client(broker, node) as device:  # anew each time: some builds disconnect who is denied
                device.publish(topic)
        with client(broker, node) as device:
            for topic in (  # as edge nodes of several makers ask
                *("spBv1.0/Hall/NCMD/n1", "spBv1.0/Hall/NCMD/n1/#", "spBv1.0/Hall/DCMD/n1/+"),
                *("spBv1.0/Hall/DCMD/n1/#", "spBv1.0/STATE/servitize", "spBv1.0/STATE/+", "spBv1.0/#"),
            ):
                device.subscribed.clear()
                device.subscribe(topic)
            for topic in ("Hall/NCMD/n2", "Hall/DCMD/n2/press", "Hall/NDATA/n1"):
                service.publish(f"spBv1.0/{topic}", b"not yours")
            for topic in ("Hall/NCMD/n1", "Hall/DCMD/n1/press", "STATE/servitize"):
                service.publish(f"spBv1.0/{topic}", b"yours")
            assert eventually(lambda: len({topic for topic, _ in device.received}) == 3)
            time.sleep(0.2)
            assert {payload for _, payload in device.received} == {b"yours"}
        said = [topic for topic, payload in service.received if payload == b"x"]
        assert said == ["spBv1.0/Hall/NBIRTH/n1", "spBv1.0/Hall/DBIRTH/n1/press"]


@pytest.mark.parametrize("kind", KINDS[:2])
def test_an_edge_node_s_will_is_sent_by_the_broker(make: Callable[..., LocalBroker], kind: str) -> None:
    node = edge_node_credential("Hall/n1", "acme.Hall.n1", "acme.Hall.n1", "node-password")
    with make(kind) as broker, client(broker) as service:
        broker.provision([node])
        service.subscribe("spBv1.0/#")
        dying = mqtt.Client(CallbackAPIVersion.VERSION2, node.client_id, reconnect_on_failure=False)
        dying.username_pw_set(node.username, node.password)
        dying.will_set("spBv1.0/Hall/NDEATH/n1", b"bdSeq", qos=1)
        connected = threading.Event()
        dying.on_connect = lambda *_: connected.set()
        dying.connect(broker.service.host, broker.service.port)
        dying.loop_start()
        assert connected.wait(5)
        dying.loop_stop()
        broken = dying.socket()
        assert broken is not None
        broken.close()
        assert eventually(lambda: ("spBv1.0/Hall/NDEATH/n1", b"bdSeq") in service.received)


@needs_plugin
def test_neither_a_device_nor_the_service_can_change_rights(make: Callable[..., LocalBroker]) -> None:
    command = {"command": "setClientPassword", "username": OVEN.username, "password": "taken-over"}
    with make("dynamic") as broker:
        broker.provision([PRESS, OVEN])
        for who in (PRESS, None):
            with client(broker, who) as attacker:
                assert attacker.let_in
                attacker.mqtt.publish("$CONTROL/dynamic-security/v1", json.dumps({"commands": [command]}), qos=1)
                attacker.disconnected.wait(0.5)
        with client(broker, OVEN) as device:
            assert device.let_in
        with client(broker, replace(OVEN, password="taken-over")) as device:
            assert not device.let_in


@needs_plugin
def test_a_username_is_bound_to_its_client_id(make: Callable[..., LocalBroker]) -> None:
    with make("dynamic") as broker:
        broker.provision([PRESS])
        with client(broker, PRESS, client_id="another") as device:
            assert not device.let_in


@pytest.mark.parametrize("kind", KINDS)
def test_a_revoked_device_is_disconnected_and_stays_out(make: Callable[..., LocalBroker], kind: str) -> None:
    with make(kind) as broker:
        broker.provision([PRESS, OVEN])
        with client(broker, PRESS) as device:
            assert device.let_in
            assert broker.revoke(PRESS.username)
            assert device.disconnected.wait(5)
        with client(broker, PRESS) as device:
            assert not device.let_in
        with client(broker, OVEN) as other:
            assert other.let_in
        assert not broker.revoke(PRESS.username)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_password_replaces_the_old_one(make: Callable[..., LocalBroker], kind: str) -> None:
    with make(kind) as broker:
        broker.provision([PRESS])
        with client(broker, PRESS) as device:
            assert device.let_in
            broker.provision([replace(PRESS, password="second-password")])
            assert device.disconnected.wait(5)
        with client(broker, PRESS) as device:
            assert not device.let_in
        with client(broker, replace(PRESS, password="second-password")) as device:
            assert device.let_in


@pytest.mark.parametrize("kind", KINDS)
def test_provisioning_the_same_again_disturbs_nobody(make: Callable[..., LocalBroker], kind: str) -> None:
    with make(kind) as broker:
        broker.provision([PRESS])
        with client(broker, PRESS) as device:
            assert device.let_in
            broker.provision([PRESS])
            assert not device.disconnected.wait(0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_rights_recorded_before_the_start_and_from_another_process_are_in_force(
    make: Callable[..., LocalBroker], data: DataDirectory, kind: str
) -> None:
    broker = make(kind)
    broker.provision([PRESS])
    with broker:
        with client(broker, PRESS) as device:
            assert device.let_in
        BrokerRights(DataDirectory(data.root, data.account)).provision([OVEN])
        with client(broker, OVEN) as device:
            assert device.let_in


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_keeps_devices_sessions_and_messages(make: Callable[..., LocalBroker], kind: str, end: str) -> None:
    broker = make(kind)
    with broker:
        broker.provision([PRESS])
        with client(broker, client_id="ingest", keep_session=True) as ingest:
            ingest.subscribe("servitize/#")
        with client(broker, PRESS) as device:
            for number in range(3000):
                device.mqtt.publish("servitize/v1/acme/press-7/telemetry", str(number).encode(), qos=1)
            device.publish("servitize/v1/acme/press-7/telemetry", b"last")
        if end == "kill":
            time.sleep(broker.limits.autosave_seconds + 1)
            broker.kill()
        else:
            broker.stop()
        broker.start()
        with client(broker, PRESS) as device:
            assert device.let_in
        with client(broker, client_id="ingest", keep_session=True) as ingest:
            assert ingest.let_in
            assert ingest.session_present
            assert eventually(lambda: len(ingest.received) >= 3001)
            assert {payload for _, payload in ingest.received} == {str(n).encode() for n in range(3000)} | {b"last"}


def test_iotcore_keeps_a_backlog_for_a_session_that_is_away(make: Callable[..., LocalBroker]) -> None:
    with make("iotcore") as broker:
        with client(broker, client_id="ingest", keep_session=True) as ingest:
            ingest.subscribe("servitize/#")
        filler = os.urandom(1000)
        with client(broker) as device:
            for number in range(5000):
                device.mqtt.publish(f"servitize/v1/acme/press-{number % 20}/telemetry", b"%d " % number + filler, qos=1)
            device.publish("servitize/v1/acme/press-7/telemetry", b"5000 last")
        with client(broker, client_id="ingest", keep_session=True) as ingest:
            assert eventually(lambda: len(ingest.received) >= 5001, 20)
            assert {int(payload.split(b" ", 1)[0]) for _, payload in ingest.received} == set(range(5001))


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_of_a_megabyte_passes(make: Callable[..., LocalBroker], kind: str) -> None:
    with make(kind) as broker, client(broker) as service, client(broker) as other:
        service.subscribe("servitize/#")
        other.publish("servitize/v1/acme/press-7/waveform", b"w" * 2**20)
        assert eventually(lambda: [len(payload) for _, payload in service.received] == [2**20])


@needs_plugin
def test_hundreds_of_devices_in_one_call(make: Callable[..., LocalBroker]) -> None:
    fleet = [replace(PRESS, client_id=f"press-{n}", username=f"acme.press-{n}") for n in range(300)]
    with make("dynamic") as broker:
        broker.provision(fleet)
        with client(broker, fleet[-1]) as device:
            assert device.let_in


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_run_as_root_and_listens_on_loopback_only(
    make: Callable[..., LocalBroker], data: DataDirectory, kind: str
) -> None:
    with make(kind) as broker:
        assert broker.pid is not None
        servers = [broker.pid]
        if kind == "iotcore":
            servers = [int(n) for n in Path(f"/proc/{broker.pid}/task/{broker.pid}/children").read_text().split()]
        assert all(Path(f"/proc/{pid}").stat().st_uid != 0 for pid in servers)
        ports = {f"{broker.service.port:04X}", f"{broker.service.mqtt5_port:04X}"}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        bound = {row[1].split(":")[0] for row in rows if row[3] == "0A" and row[1].split(":")[1] in ports}
        assert bound == {"0100007F"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_taken_port_makes_it_listen_on_another(make: Callable[..., LocalBroker], kind: str) -> None:
    with make(kind) as broker:
        first = broker.service.port
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", first))
        squatter.listen()
        with make(kind) as broker:
            assert broker.service.port != first
            with client(broker) as service:
                assert service.let_in


@needs_mosquitto
def test_a_listener_for_a_network_speaks_tls(
    make: Callable[..., LocalBroker], data: DataDirectory, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    with make("dynamic", listen="0.0.0.0", tls=TlsFiles(certificate, key)) as broker:
        broker.provision([PRESS])
        port = data.state()["ports"]["mqtts"]
        context = ssl.create_default_context(cafile=str(certificate))
        with client(broker, PRESS, port=port, tls=context) as device:
            assert device.let_in


@pytest.mark.parametrize("kind", KINDS)
def test_an_external_broker_is_used_as_it_is(make: Callable[..., LocalBroker], data: DataDirectory, kind: str) -> None:
    with make(kind) as broker:
        at = broker.service
        other = DataDirectory(data.directory("other"), data.account)
        url = f"mqtt://{at.username}:{at.password}@{at.host}:{at.port}"
        with LocalBroker.from_environment(other, {"SERVITIZE_MQTT_URL": url}) as external:
            assert external.pid is None
            assert not external.capabilities.per_device_topics
            with client(external) as service:
                assert service.let_in
    with pytest.raises(UnavailableError, match="does not answer"):
        LocalBroker.from_environment(other, {"SERVITIZE_MQTT_URL": "mqtt://127.0.0.1:1"}).start()
