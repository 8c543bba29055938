"""The specification's assertions for a host application, by their ids: what we send, what we do on a death or a gap.

Ids are those of Sparkplug 3.0. Which of them there are, and which do not apply, is docs/reference/sparkplug.md; a test
compares that table with the ids here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from core import quality as q
from core.errors import InvalidInputError
from formats.sparkplug.datatypes import DataType, Wire
from formats.sparkplug.decode import NO_ALIAS, SparkplugPayload, decode_payload
from formats.sparkplug.encode import Value
from formats.sparkplug.topics import Topic, parse_topic
from ingest.session import MqttSettings
from ingest.sparkplug.limits import SparkplugSettings
from ingest.sparkplug.session import SparkplugSession
from ingest.sparkplug.state import HostState
from tests.unit.sparkplug.edge import SECOND, T0, EdgeNode, by_alias, speed
from tests.unit.sparkplug.fake_broker import Connect, Disconnect, FakeBroker, Packet, Publish, Subscribe
from tests.unit.sparkplug.hosting import Hosting

TOPIC = "spBv1.0/STATE/servitize"
BAD = q.BAD | q.DEVICE


def asserts(*ids: str) -> pytest.MarkDecorator:
    """One test per assertion id."""
    return pytest.mark.parametrize("assertion", ids)


class Wall:
    """A clock that moves on by a millisecond whenever somebody looks."""

    def __init__(self) -> None:
        self.at = T0

    def now(self) -> int:
        self.at += 1_000
        return self.at


@dataclass
class Run:
    broker: FakeBroker
    session: SparkplugSession
    clock: Wall

    @property
    def packets(self) -> list[Packet]:
        return self.broker.packets

    def connect(self, at: int = 0) -> Connect:
        packet = self.broker.of(Connect)[at]
        assert isinstance(packet, Connect)
        return packet

    def states(self) -> list[Publish]:
        return [p for p in self.packets if isinstance(p, Publish) and p.topic == TOPIC]


def play(v5: bool) -> Iterator[Run]:
    clock = Wall()
    with FakeBroker(v5) as broker:
        settings = MqttSettings(port=broker.port, client_id="servitize-sparkplug", protocol=5 if v5 else 4)
        session = SparkplugSession(
            settings, HostState("servitize"), lambda *_: None, lambda _: None, lambda: 0, clock=clock
        )
        session.start(["spBv1.0/plant/#"])
        run = Run(broker, session, clock)
        broker.wait(lambda: run.states())
        yield run
        session.stop()


@pytest.fixture
def run() -> Iterator[Run]:
    """A host that has connected over MQTT 3.1.1."""
    yield from play(v5=False)


@pytest.fixture
def run5() -> Iterator[Run]:
    """The same over MQTT 5."""
    yield from play(v5=True)


def said(payload: bytes) -> dict[str, object]:
    found = json.loads(payload)
    assert set(found) == {"online", "timestamp"}
    assert isinstance(found["timestamp"], int)
    return dict(found)


# --- STATE: birth and death of the host itself


@asserts(
    "conformance-primary-host",
    "intro-sparkplug-host-state",
    "components-ph-state",
    "payloads-state-will-message",
    "host-topic-phid-death-required",
    "operational-behavior-host-application-connect-will",
)
def test_the_connection_carries_a_will_and_a_birth_follows(assertion: str, run: Run) -> None:
    assert isinstance(run.packets[0], Connect)
    assert said(run.packets[0].will_payload)["online"] is False
    assert said(run.states()[0].payload)["online"] is True


@asserts(
    "host-topic-phid-death-topic",
    "operational-behavior-host-application-connect-will-topic",
    "payloads-state-will-message-qos",
    "host-topic-phid-death-qos",
    "operational-behavior-host-application-connect-will-qos",
    "payloads-state-will-message-retain",
    "host-topic-phid-death-retain",
    "operational-behavior-host-application-connect-will-retained",
    "payloads-state-will-message-payload",
    "host-topic-phid-death-payload",
    "operational-behavior-host-application-connect-will-payload",
    "host-topic-phid-death-payload-timestamp-connect",
)
def test_the_will_says_offline_at_the_time_of_the_connect(assertion: str, run: Run) -> None:
    will = run.connect()
    assert (will.will_topic, will.will_qos, will.will_retain) == (TOPIC, 1, True)
    found = said(will.will_payload)
    assert found["online"] is False
    assert found["timestamp"] == T0 // 1000 + 1


@asserts("message-flow-phid-sparkplug-clean-session-311")
def test_the_session_is_clean(assertion: str, run: Run) -> None:
    assert run.connect().clean


@asserts("message-flow-phid-sparkplug-clean-session-50")
def test_the_session_is_clean_and_expires_at_once(assertion: str, run5: Run) -> None:
    assert run5.connect().clean
    assert run5.connect().expiry == 0


@asserts(
    "message-flow-phid-sparkplug-subscription",
    "host-topic-phid-birth-sub-required",
    "payloads-state-subscribe",
    "host-topic-phid-birth-message",
    "host-topic-phid-birth-required",
    "principles-birth-certificates-order",
    "message-flow-phid-sparkplug-state-publish",
    "operational-behavior-host-application-connect-birth",
    "payloads-state-birth",
)
def test_it_subscribes_and_then_its_first_message_is_its_birth(assertion: str, run: Run) -> None:
    first_publish = next(i for i, packet in enumerate(run.packets) if isinstance(packet, Publish))
    subscribed = [t for packet in run.packets[:first_publish] if isinstance(packet, Subscribe) for t in packet.topics]
    assert {TOPIC, "spBv1.0/plant/#"} <= set(subscribed)
    birth = run.packets[first_publish]
    assert isinstance(birth, Publish)
    assert birth.topic == TOPIC
    assert said(birth.payload)["online"] is True


@asserts(
    "host-topic-phid-birth-topic",
    "operational-behavior-host-application-connect-birth-topic",
    "host-topic-phid-birth-qos",
    "operational-behavior-host-application-connect-birth-qos",
    "host-topic-phid-birth-retain",
    "operational-behavior-host-application-connect-birth-retained",
    "host-topic-phid-birth-payload",
    "operational-behavior-host-application-connect-birth-payload",
    "message-flow-phid-sparkplug-state-publish-payload",
    "payloads-state-birth-payload",
    "host-topic-phid-birth-payload-timestamp",
    "message-flow-phid-sparkplug-state-publish-payload-timestamp",
)
def test_the_birth_says_online_with_the_time_of_the_will(assertion: str, run: Run) -> None:
    birth = run.states()[0]
    assert (birth.topic, birth.qos, birth.retain) == (TOPIC, 1, True)
    assert said(birth.payload) == {"online": True, "timestamp": said(run.connect().will_payload)["timestamp"]}


@asserts("message-flow-hid-sparkplug-state-message-delivered")
def test_who_says_that_we_are_offline_is_answered_with_our_birth(assertion: str, run: Run) -> None:
    run.broker.send(TOPIC, b'{"online":false,"timestamp":1}', retain=True)
    run.broker.wait(lambda: len(run.states()) == 2)
    assert run.states()[1] == run.states()[0]


@asserts(
    "host-topic-phid-death-payload-timestamp-disconnect-clean",
    "operational-behavior-host-application-termination",
    "operational-behavior-host-application-death-topic",
    "operational-behavior-host-application-death-qos",
    "operational-behavior-host-application-death-retained",
    "operational-behavior-host-application-death-payload",
    "operational-behavior-host-application-disconnect-intentional",
)
def test_before_it_disconnects_it_says_offline_at_that_time(assertion: str, run: Run) -> None:
    run.session.stop()
    run.broker.wait(lambda: run.broker.of(Disconnect))
    assert isinstance(run.packets[-1], Disconnect)
    death = run.packets[-2]
    assert isinstance(death, Publish)
    assert (death.topic, death.qos, death.retain) == (TOPIC, 1, True)
    found = said(death.payload)
    assert found["online"] is False
    assert found["timestamp"] == run.clock.at // 1000


@asserts("operational-behavior-primary-application-state-with-multiple-servers-state")
def test_every_new_session_brings_a_new_birth_with_a_newer_time(assertion: str, run: Run) -> None:
    run.broker.cut()
    run.broker.wait(lambda: len(run.states()) == 2)
    first, second = (said(state.payload) for state in run.states())
    assert second["online"] is True
    assert second["timestamp"] == said(run.connect(1).will_payload)["timestamp"]
    assert int(str(second["timestamp"])) > int(str(first["timestamp"]))


@asserts("operational-behavior-host-application-host-id")
def test_the_host_id_is_a_setting_so_that_it_can_be_unique(assertion: str) -> None:
    assert HostState(SparkplugSettings(host_id="north").host_id).topic == "spBv1.0/STATE/north"
    for bad in ("", "a/b", "a+", "#"):
        with pytest.raises(InvalidInputError):
            SparkplugSettings(host_id=bad)


# --- deaths of nodes and devices


def born() -> tuple[Hosting, EdgeNode]:
    hosting, node = Hosting(), EdgeNode(bdseq=4)
    hosting.send(
        node.nbirth(T0, [speed(1.0)]),
        node.dbirth("a", T0, [by_named("x", 2)]),
        node.dbirth("b", T0, [by_named("y", 3)]),
    )
    hosting.take()
    hosting.events.clear()
    return hosting, node


def by_named(name: str, alias: int) -> Value:
    return Value(1.0, name=name, alias=alias)


@asserts(
    "operational-behavior-edge-node-termination-host-action-ndeath-node-offline",
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-offline",
)
def test_a_node_s_death_takes_it_and_its_devices_offline_now(assertion: str) -> None:
    hosting, node = born()
    hosting.send(node.ndeath(), at=T0 + SECOND)
    offline = {(equipment, ts) for equipment, _, ts, body in hosting.events if body["state"] == "offline"}
    assert offline == {("line1", T0 + SECOND), ("a", T0 + SECOND), ("b", T0 + SECOND)}
    hosting.send(node.ndata(T0 + 2 * SECOND, [by_alias(1, 2.0)]), node.ddata("a", T0 + 2 * SECOND, [by_alias(2, 2.0)]))
    assert hosting.reasons == ["no-birth", "no-birth"]


@asserts(
    "operational-behavior-edge-node-termination-host-action-ndeath-node-tags-stale",
    "operational-behavior-edge-node-termination-host-action-ndeath-devices-tags-stale",
)
def test_a_node_s_death_makes_all_values_behind_it_stale_now(assertion: str) -> None:
    hosting, node = born()
    hosting.send(node.ndeath(), at=T0 + SECOND)
    marks = {(r.equipment, r.name, r.ts, r.quality) for r in hosting.take()}
    assert marks == {(e, n, T0 + SECOND, BAD) for e, n in (("line1", "speed"), ("a", "x"), ("b", "y"))}


@asserts(
    "payloads-ndeath-bdseq",
    "topics-nbirth-bdseq-matching",
)
def test_a_death_of_another_session_than_the_birth_s_changes_nothing(assertion: str) -> None:
    hosting, node = born()
    hosting.send(node.ndeath(bdseq=3), at=T0 + SECOND)
    assert (hosting.take(), hosting.events, hosting.reasons) == ([], [], [])
    hosting.send(node.ndata(T0 + SECOND, [by_alias(1, 2.0)]))
    assert len(hosting.take()) == 1


@asserts(
    "operational-behavior-edge-node-termination-host-action-ddeath-devices-offline",
    "operational-behavior-edge-node-termination-host-action-ddeath-devices-tags-stale",
)
def test_a_device_s_death_is_as_of_the_time_it_says_and_its_alone(assertion: str) -> None:
    hosting, node = born()
    hosting.send(node.ddeath("a", T0 + SECOND), at=T0 + 2 * SECOND)
    assert [(r.equipment, r.name, r.ts, r.quality) for r in hosting.take()] == [("a", "x", T0 + SECOND, BAD)]
    assert [(equipment, ts) for equipment, _, ts, _ in hosting.events] == [("a", T0 + SECOND)]
    hosting.send(
        node.ddata("b", T0 + 2 * SECOND, [by_alias(3, 2.0)]), node.ddata("a", T0 + 2 * SECOND, [by_alias(2, 2.0)])
    )
    assert [r.equipment for r in hosting.take()] == ["b"]
    assert hosting.reasons == ["no-birth"]


# --- order of messages


@asserts("operational-behavior-host-reordering-param")
def test_the_time_that_a_gap_may_take_to_close_is_a_setting(assertion: str) -> None:
    assert SparkplugSettings(reorder_timeout=7 * SECOND).reorder_timeout == 7 * SECOND


def with_gap(timeout: int = 2 * SECOND) -> tuple[Hosting, EdgeNode, tuple[str, bytes]]:
    hosting, node = Hosting(SparkplugSettings(reorder_timeout=timeout)), EdgeNode()
    hosting.send(node.nbirth(T0, [speed(1.0)]))
    hosting.take()
    missing = node.ndata(T0 + SECOND, [by_alias(1, 2.0)])
    hosting.send(node.ndata(T0 + 2 * SECOND, [by_alias(1, 3.0)]))
    return hosting, node, missing


@asserts("operational-behavior-host-reordering-start")
def test_what_comes_too_early_waits(assertion: str) -> None:
    hosting, _, _ = with_gap()
    hosting.wait(2 * SECOND - 1)
    assert (hosting.take(), hosting.rebirths) == ([], [])


@asserts("operational-behavior-host-reordering-rebirth")
def test_a_gap_that_does_not_close_in_time_asks_for_a_rebirth(assertion: str) -> None:
    hosting, _, _ = with_gap()
    hosting.wait(2 * SECOND)
    assert hosting.rebirths == ["spBv1.0/plant/NCMD/line1"]
    assert [r.value for r in hosting.take()] == [3.0]


@asserts("operational-behavior-host-reordering-success")
def test_a_gap_that_closes_in_time_is_none(assertion: str) -> None:
    hosting, _, missing = with_gap()
    hosting.send(missing).wait(60 * SECOND)
    assert [(r.value, r.quality) for r in hosting.take()] == [(2.0, q.GOOD), (3.0, q.GOOD)]
    assert (hosting.rebirths, hosting.events_of("sequence_gap")) == ([], [])


# --- commands


@asserts(
    "topics-ncmd-topic",
    "topics-ncmd-timestamp",
    "topics-ncmd-payload",
    "payloads-ncmd-timestamp",
    "payloads-ncmd-seq",
    "payloads-timestamp-in-UTC",
    "payloads-name-cmd-requirement",
    "operational-behavior-data-commands-ncmd-rebirth-verb",
    "operational-behavior-data-commands-ncmd-rebirth-name",
    "operational-behavior-data-commands-ncmd-rebirth-value",
    "operational-behavior-data-commands-ncmd-verb",
    "operational-behavior-data-commands-ncmd-metric-name",
    "operational-behavior-data-commands-ncmd-metric-value",
)
def test_a_rebirth_request_is_a_command_with_a_time_and_no_sequence_number(assertion: str) -> None:
    hosting, node = Hosting(), EdgeNode()
    hosting.send(node.ndata(T0, [by_alias(1, 2.0)]), at=T0)
    ((topic, payload),) = hosting.commands
    assert topic == "spBv1.0/plant/NCMD/line1"
    assert (payload.ts, payload.seq) == (T0, None)
    metrics = payload.metrics
    assert metrics.name == [b"Node Control/Rebirth"]
    assert (metrics.alias, int(metrics.ts[0])) == ([NO_ALIAS], T0)
    assert (metrics.datatype[0], metrics.wire[0], metrics.whole[0]) == (DataType.BOOLEAN, Wire.BOOLEAN, 1)


@asserts("topics-ncmd-mqtt", "payloads-ncmd-qos", "payloads-ncmd-retain")
def test_commands_go_out_at_qos_0_and_are_not_retained(assertion: str, run: Run) -> None:
    run.session.publish("spBv1.0/plant/NCMD/line1", b"x")
    command = Publish("spBv1.0/plant/NCMD/line1", b"x", 0, False)
    run.broker.wait(lambda: command in run.packets)


# --- topics


@asserts("topic-structure", "topic-structure-namespace-a")
def test_topics_are_read_and_written_in_the_one_structure(assertion: str) -> None:
    assert isinstance(parse_topic("spBv1.0/g/NDATA/n"), Topic)
    assert isinstance(parse_topic("spBv1.0/g/DDATA/n/d"), Topic)
    for wrong in ("spAv1.0/g/NDATA/n", "g/NDATA/n", "spBv1.0/g/n/NDATA", "SPBV1.0/g/NDATA/n"):
        assert isinstance(parse_topic(wrong), str)


@asserts("case-sensitivity-sparkplug-ids", "case-sensitivity-metric-names")
def test_names_that_differ_by_case_are_different_names(assertion: str) -> None:
    hosting = Hosting()
    for name in ("line1", "LINE1"):
        node = EdgeNode(node=name)
        hosting.send(node.nbirth(T0, [by_named("speed", 1), by_named("Speed", 2)]))
    assert {(r.equipment, r.name) for r in hosting.take()} == {
        (equipment, name) for equipment in ("line1", "LINE1") for name in ("speed", "Speed")
    }


def test_ids_are_written_as_the_specification_does() -> None:
    for mark in (m for f in list(globals().values()) for m in getattr(f, "pytestmark", []) if m.args[0] == "assertion"):
        assert all(re.fullmatch(r"[a-z0-9-]+(UTC)?", name) for name in mark.args[1])


def test_a_payload_of_ours_can_be_read_back() -> None:
    assert isinstance(decode_payload(EdgeNode().nbirth(T0)[1]), SparkplugPayload)
