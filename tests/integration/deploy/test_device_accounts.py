"""Devices at a Mosquitto that somebody else runs: each publishes as itself and as nobody else, while it may."""

from __future__ import annotations

import contextlib
import json
import signal
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ingest.tls import ClientTls
from runtime.local.access import CONTROL_USER, SERVICE_USER
from tests.integration.deploy.conftest import Installation, Run
from tests.support.installation import DEPLOY

pytestmark = pytest.mark.integration

PAYLOAD = b'{"values": {"train.speed": 9800}}'
TYPE = ("--type", "compressor-train")


def eventually(done: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Client:
    """A connection that notes what happens to it. ``certificate``: the stem of a .crt and a .key file."""

    def __init__(
        self,
        installation: Installation,
        username: str | None = None,
        password: str | None = None,
        *,
        client_id: str = "",
        certificate: str | None = None,
        server_name: str | None = None,
        port: int | None = None,
    ) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.answer: str | None = None
        self.gone = False
        self.granted: list[int] = []
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id or f"test-{uuid.uuid4().hex[:8]}", reconnect_on_failure=False
        )
        tls = ClientTls(
            str(installation.secrets / "mqtt-ca.crt"),
            f"{certificate}.crt" if certificate else None,
            f"{certificate}.key" if certificate else None,
            server_name,
        )
        self._client.tls_set_context(tls.context())
        if username:
            self._client.username_pw_set(username, password)
        self._client.on_connect = lambda _c, _d, _f, code, _p: setattr(self, "answer", str(code))
        self._client.on_disconnect = lambda *_: setattr(self, "gone", True)
        self._client.on_subscribe = lambda _c, _d, _m, codes, _p: self.granted.extend(code.value for code in codes)
        self._client.on_message = lambda _c, _d, message: self.received.append((message.topic, bytes(message.payload)))
        broker = installation.broker
        self._client.connect("localhost", port or (broker.certificate_port if certificate else broker.port))
        self._client.loop_start()

    @property
    def let_in(self) -> bool:
        eventually(lambda: self.answer is not None or self.gone)
        return self.answer == "Success"

    def publish(self, topic: str, payload: bytes = PAYLOAD) -> None:
        assert self.let_in, self.answer
        with contextlib.suppress(RuntimeError, ValueError):
            self._client.publish(topic, payload, qos=1).wait_for_publish(5)

    def subscribe(self, topic: str) -> int:
        """What the broker answered: 0–2, or 128 for no."""
        assert self.let_in, self.answer
        self.granted.clear()
        self._client.subscribe(topic, qos=1)
        assert eventually(lambda: bool(self.granted) or self.gone)
        return self.granted[0] if self.granted else 128

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def connect(installation: Installation) -> Iterator[Callable[..., Client]]:
    opened: list[Client] = []

    def connect(*words: Any, **options: Any) -> Client:
        opened.append(Client(installation, *words, **options))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()


@pytest.fixture
def service(installation: Installation, connect: Callable[..., Client]) -> Client:
    """The platform's own ears: everything that the broker lets through."""
    ears = connect(SERVICE_USER, (installation.secrets / SERVICE_USER).read_text())
    assert ears.subscribe("servitize/#") == 1
    assert ears.subscribe("spBv1.0/#") == 1
    return ears


def as_device(connect: Callable[..., Client], made: dict[str, Any], **options: Any) -> Client:
    return connect(made["username"], made["password"], **{"client_id": made["client_id"], **options})


def arrives(ears: Client, topic: str, payload: bytes = PAYLOAD) -> bool:
    return eventually(lambda: (topic, payload) in ears.received, 5)


def marker(ears: Client, teller: Client, topic: str) -> None:
    """Return when everything that ``teller`` sent before has arrived or never will."""
    word = uuid.uuid4().hex.encode()
    teller.publish(topic, word)
    assert arrives(ears, topic, word)


def device(run: Run, name: str, *words: str) -> dict[str, Any]:
    made = run("device", "add", name, *TYPE, *words)
    assert made["notes"] == []
    return dict(made)


def test_a_device_publishes_as_itself_and_as_nobody_else(
    run: Run, connect: Callable[..., Client], service: Client
) -> None:
    press, oven = device(run, "itself-1"), device(run, "itself-2")
    as_device(connect, press).publish(press["topic"])
    assert arrives(service, press["topic"])
    for foreign in (oven["topic"], "servitize/v1/other/itself-1/telemetry", "servitize/v1/main/clock", "elsewhere"):
        as_device(connect, press).publish(foreign)
    marker(service, as_device(connect, press), press["topic"])
    assert {topic for topic, _ in service.received} == {press["topic"]}


def test_a_device_hears_its_own_commands_only(
    installation: Installation, run: Run, connect: Callable[..., Client], service: Client
) -> None:
    press = device(run, "hears-1")
    client = as_device(connect, press)
    assert client.subscribe("servitize/v1/main/hears-1/commands/+") == 1
    assert client.subscribe("servitize/v1/main/hears-2/commands/+") == 128
    assert as_device(connect, press).subscribe("servitize/#") == 128
    assert as_device(connect, press).subscribe("$SYS/#") == 128
    assert as_device(connect, press).subscribe("$CONTROL/#") == 128


def test_a_password_belongs_to_one_client_id(run: Run, connect: Callable[..., Client]) -> None:
    press = device(run, "bound-1")
    assert not as_device(connect, press, client_id="servitize-ingest").let_in
    assert not connect(press["username"], "guess", client_id=press["client_id"]).let_in
    assert not connect(client_id=press["client_id"]).let_in


def test_a_revoked_device_is_disconnected_and_stays_out(run: Run, connect: Callable[..., Client]) -> None:
    press, oven = device(run, "revoked-1"), device(run, "revoked-2")
    client, other = as_device(connect, press), as_device(connect, oven)
    assert client.let_in
    assert other.let_in
    run("device", "revoke", "revoked-1", as_json=False)
    assert eventually(lambda: client.gone)
    assert not as_device(connect, press).let_in
    assert not other.gone


def test_a_rotated_password_works_and_the_old_one_does_not(run: Run, connect: Callable[..., Client]) -> None:
    before = device(run, "rotated-1")
    client = as_device(connect, before)
    assert client.let_in
    after = run("device", "rotate", "rotated-1")
    assert after["password"] != before["password"]
    assert eventually(lambda: client.gone)
    assert not as_device(connect, before).let_in
    assert as_device(connect, after).let_in


def test_a_revoked_device_comes_back_by_rotating(run: Run, connect: Callable[..., Client], service: Client) -> None:
    device(run, "again-1")
    run("device", "revoke", "again-1", as_json=False)
    again = run("device", "rotate", "again-1")
    as_device(connect, again).publish("servitize/v1/main/again-1/telemetry")
    assert arrives(service, "servitize/v1/main/again-1/telemetry")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_of_the_broker_keeps_all(
    installation: Installation, run: Run, connect: Callable[..., Client], end: signal.Signals
) -> None:
    kept, changed = device(run, f"kept-{end.name}"), device(run, f"changed-{end.name}")
    out = device(run, f"out-{end.name}")
    changed = run("device", "rotate", f"changed-{end.name}")
    run("device", "revoke", f"out-{end.name}", as_json=False)
    installation.broker.stop(end)
    installation.broker.start()
    assert as_device(connect, kept).let_in
    assert as_device(connect, changed).let_in
    assert not as_device(connect, out).let_in
    assert run("broker", "sync", "--check")["created"] == []


def test_a_broker_that_lost_its_accounts_is_given_them_again(
    installation: Installation, run: Run, connect: Callable[..., Client], service: Client
) -> None:
    press, out = device(run, "lost-1"), device(run, "lost-2")
    run("device", "revoke", "lost-2", as_json=False)
    installation.broker.stop()
    installation.broker.accounts.unlink()
    assert installation.call("broker", "init", str(installation.broker.accounts)) == 0
    installation.broker.start()
    assert not as_device(connect, press).let_in
    run("broker", "sync", "--check", code=1)
    assert press["username"] in run("broker", "sync")["created"]
    assert as_device(connect, press).let_in
    assert not as_device(connect, out).let_in
    again = run("broker", "sync")
    assert not any(again[part] for part in ("created", "changed", "removed", "closed"))


def test_everybody_can_be_put_into_the_file_before_the_broker_starts(
    installation: Installation, run: Run, connect: Callable[..., Client]
) -> None:
    press, out, card = (
        device(run, "file-1"),
        device(run, "file-2"),
        run("device", "add", "file-3", *TYPE, "--certificate"),
    )
    installation.broker.stop()
    run("device", "revoke", "file-2", as_json=False, code=1)  # recorded; the broker could not be told
    for lost in (True, False):
        if lost:
            installation.broker.accounts.unlink()
        assert installation.call("broker", "init", str(installation.broker.accounts), "--devices") == 0
    installation.broker.start()
    assert as_device(connect, press).let_in
    assert not as_device(connect, out).let_in
    assert not connect(card["username"], "", client_id=card["client_id"]).let_in
    repair = run("broker", "sync", "--check")
    assert not any(repair[part] for part in ("created", "changed", "removed", "closed"))


def test_a_change_that_missed_the_broker_is_made_up_for(
    installation: Installation, run: Run, connect: Callable[..., Client]
) -> None:
    turned, out = device(run, "missed-1"), device(run, "missed-2")
    installation.broker.stop()
    after = run("device", "rotate", "missed-1")
    assert after["notes"], "nobody said that the broker could not be told"
    assert "does not answer" in run("device", "revoke", "missed-2", as_json=False, code=1)
    installation.broker.start()
    assert as_device(connect, turned).let_in, "the broker should not know yet"
    repair = run("broker", "sync")
    assert (turned["username"] in repair["changed"], out["username"] in repair["removed"]) == (True, True)
    assert not as_device(connect, turned).let_in
    assert as_device(connect, after).let_in
    assert not as_device(connect, out).let_in


def test_accounts_and_rights_that_somebody_tampered_with_are_put_right(
    installation: Installation, run: Run, connect: Callable[..., Client], service: Client
) -> None:
    press = device(run, "tampered-1")
    bystander = device(run, "tampered-2")
    calm = as_device(connect, bystander)
    assert calm.let_in
    role = "only-main.tampered-1"
    control(
        installation,
        {"command": "addRoleACL", "rolename": role, "acltype": "publishClientSend", "topic": "#", "allow": True},
        {"command": "createClient", "username": "scada", "password": "theirs", "roles": []},
        {"command": "setDefaultACLAccess", "acls": [{"acltype": "subscribe", "allow": True}]},
    )
    repair = run("broker", "sync")
    assert repair["changed"] == [press["username"]]
    assert (repair["strangers"], repair["closed"]) == (["scada"], True)
    as_device(connect, press).publish(bystander["topic"])
    marker(service, as_device(connect, press), press["topic"])
    assert bystander["topic"] not in {topic for topic, _ in service.received}
    assert not calm.gone, "who was right was disturbed"
    assert connect("scada", "theirs").let_in
    control(installation, {"command": "deleteClient", "username": "scada"})


def test_a_device_of_an_older_version_is_named_for_rotation(installation: Installation, run: Run) -> None:
    made = device(run, "old-1")
    with psycopg.connect(installation.dsn("servitize")) as connection:
        connection.execute("SET ROLE servitize_owner")
        connection.execute("UPDATE servitize.device SET nonce = NULL WHERE username = %s", (made["username"],))
    assert run("broker", "sync")["removed"] == [], "it is let in by the broker, and stays so"
    control(installation, {"command": "deleteClient", "username": made["username"]})
    assert run("broker", "sync")["lost"] == [made["username"]]
    run("device", "rotate", "old-1")
    assert run("broker", "sync")["lost"] == []


def test_an_edge_node_has_the_topics_of_the_protocol(
    installation: Installation, run: Run, connect: Callable[..., Client], service: Client
) -> None:
    profile = installation.root / "shop.yaml"
    profile.write_text("profile: shop\nsparkplug:\n  group: Shop\n")
    run("profile", "add", str(profile), as_json=False)
    node = run("device", "edge-node", "Shop/line-1")
    client = as_device(connect, node)
    client.publish("spBv1.0/Shop/NBIRTH/line-1", b"birth")
    client.publish("spBv1.0/Shop/DDATA/line-1/press", b"data")
    assert arrives(service, "spBv1.0/Shop/DDATA/line-1/press", b"data")
    for topic in ("spBv1.0/Shop/NCMD/line-1/#", "spBv1.0/Shop/DCMD/line-1/#", "spBv1.0/STATE/servitize"):
        assert client.subscribe(topic) == 1, topic
    for foreign in ("spBv1.0/Shop/NDATA/line-2", "spBv1.0/Other/NDATA/line-1", "spBv1.0/Shop/NCMD/line-1"):
        as_device(connect, node).publish(foreign, b"foreign")
    marker(service, as_device(connect, node), "spBv1.0/Shop/NDATA/line-1")
    assert not any(payload == b"foreign" for _, payload in service.received)
    assert as_device(connect, node).subscribe("spBv1.0/Shop/NCMD/line-2/#") == 128


class TestCertificates:
    def certificate(self, installation: Installation, name: str) -> str:
        subprocess.run(
            [DEPLOY / "device-certificate.sh", name, installation.secrets], check=True, capture_output=True,
            cwd=installation.root,
        )  # fmt: skip
        return str(installation.root / name)

    def test_a_device_comes_in_by_its_certificate_and_is_who_it_names(
        self, installation: Installation, run: Run, connect: Callable[..., Client], service: Client
    ) -> None:
        made = run("device", "add", "cert-1", *TYPE, "--certificate")
        assert made["password"] == ""
        other = device(run, "cert-2")
        pair = self.certificate(installation, made["username"])
        client = connect(certificate=pair, client_id="whatever")
        client.publish(made["topic"])
        assert arrives(service, made["topic"])
        connect(certificate=pair, client_id=other["client_id"]).publish(other["topic"])
        marker(service, connect(certificate=pair), made["topic"])
        assert other["topic"] not in {topic for topic, _ in service.received}

    def test_it_has_no_password_to_guess(self, run: Run, connect: Callable[..., Client]) -> None:
        made = run("device", "add", "cert-3", *TYPE, "--certificate")
        for password in ("", "x", None):
            assert not connect(made["username"], password, client_id=made["client_id"]).let_in

    def test_a_client_id_cannot_be_taken_from_another(
        self, installation: Installation, run: Run, connect: Callable[..., Client]
    ) -> None:
        made = run("device", "add", "cert-4", *TYPE, "--certificate")
        other = device(run, "cert-5")
        victim = as_device(connect, other)
        assert victim.let_in
        thief = connect(certificate=self.certificate(installation, made["username"]), client_id=other["client_id"])
        assert thief.let_in
        assert not eventually(lambda: victim.gone, 0.5)

    def test_revoked_it_is_disconnected_and_its_certificate_opens_nothing(
        self, installation: Installation, run: Run, connect: Callable[..., Client], service: Client
    ) -> None:
        made = run("device", "add", "cert-6", *TYPE, "--certificate")
        pair = self.certificate(installation, made["username"])
        client = connect(certificate=pair)
        assert client.let_in
        run("device", "revoke", "cert-6", as_json=False)
        assert eventually(lambda: client.gone)
        late = connect(certificate=pair)
        if late.let_in:  # the broker takes the certificate still (a revocation list would end that), and grants nothing
            late.publish(made["topic"])
            assert late.subscribe("servitize/v1/main/cert-6/commands/+") == 128
        time.sleep(0.3)
        assert service.received == []

    def test_a_lost_account_comes_back_without_a_password_either(
        self, installation: Installation, run: Run, connect: Callable[..., Client]
    ) -> None:
        made = run("device", "add", "cert-7", *TYPE, "--certificate")
        control(installation, {"command": "deleteClient", "username": made["username"]})
        assert made["username"] in run("broker", "sync")["created"]
        assert not connect(made["username"], "", client_id=made["client_id"]).let_in
        assert run("broker", "sync")["changed"] == []

    def test_without_one_nobody_comes_in_by_that_door(self, installation: Installation, run: Run) -> None:
        made = device(run, "cert-8")
        port = installation.broker.certificate_port
        with pytest.raises((ssl.SSLError, OSError, AssertionError)):
            assert Client(installation, made["username"], made["password"], port=port).let_in

    def test_one_of_another_authority_is_refused(self, installation: Installation, run: Run) -> None:
        made = run("device", "add", "cert-9", *TYPE, "--certificate")
        pair = installation.root / "forged"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
             "-keyout", f"{pair}.key", "-out", f"{pair}.crt", "-subj", f"/CN={made['username']}"],
            check=True, capture_output=True,
        )  # fmt: skip
        with pytest.raises((ssl.SSLError, OSError, AssertionError)):
            assert Client(installation, certificate=str(pair)).let_in


class TestServer:
    def test_a_broker_of_another_name_is_not_believed(self, installation: Installation) -> None:
        with pytest.raises(ssl.SSLCertVerificationError):
            Client(installation, "x", "x", server_name="other.example")

    def test_the_name_may_be_given_where_it_is_not_the_host(self, installation: Installation) -> None:
        client = Client(
            installation, SERVICE_USER, (installation.secrets / SERVICE_USER).read_text(), server_name="broker.example"
        )
        assert client.let_in
        client.close()


def control(installation: Installation, *commands: dict[str, Any]) -> None:
    """As somebody with the control account's password."""
    client = Client(installation, CONTROL_USER, (installation.secrets / CONTROL_USER).read_text())
    topic = "$CONTROL/dynamic-security/v1"
    assert client.subscribe(f"{topic}/response") == 1
    client.publish(topic, json.dumps({"commands": list(commands)}).encode())
    assert eventually(lambda: bool(client.received))
    answers = json.loads(client.received[-1][1])["responses"]
    assert not [answer for answer in answers if "error" in answer], answers
    client.close()
