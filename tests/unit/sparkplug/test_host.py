"""What the host makes of births, data and deaths, and of nodes that keep no rule."""

from __future__ import annotations

import pytest

from core import quality as q
from formats.sparkplug.datatypes import DataType
from formats.sparkplug.encode import Value, encode_payload
from ingest.sparkplug.limits import SparkplugSettings
from tests.unit.sparkplug.edge import SECOND, T0, EdgeNode, by_alias, speed
from tests.unit.sparkplug.hosting import Hosting, Reading

BAD = q.BAD | q.DEVICE


def online(node: EdgeNode | None = None, **options: object) -> tuple[Hosting, EdgeNode]:
    """A host with one node and its device ``press``, both born at T0."""
    node = node or EdgeNode()
    hosting = Hosting(**options)  # type: ignore[arg-type]
    metrics = [speed(1.0), Value(True, DataType.BOOLEAN, "running", 2), Value("idle", DataType.STRING, "mode", 3)]
    hosting.send(node.nbirth(T0), node.dbirth("press", T0, metrics))
    assert not hosting.reasons
    return hosting, node


class TestBirths:
    def test_a_birth_names_metrics_and_gives_their_values(self) -> None:
        hosting, _ = online()
        assert hosting.readings == [Reading("press", "speed", T0, 1.0), Reading("press", "running", T0, 1.0)]
        assert hosting.texts == [("press", "mode", "idle")]

    def test_data_by_alias_has_the_name_of_the_birth(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 2.5)]))
        assert hosting.take() == [Reading("press", "speed", T0 + SECOND, 2.5)]

    def test_data_by_name_needs_no_alias(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [Value(2.5, name="speed")]))
        assert hosting.take() == [Reading("press", "speed", T0 + SECOND, 2.5)]

    def test_a_metric_has_its_own_time_before_the_message_s(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + 9 * SECOND, [by_alias(1, 2.5, ts=T0 + SECOND)]))
        assert [r.ts for r in hosting.take()] == [T0 + SECOND]

    def test_without_any_time_the_time_of_receipt_stands_in(self) -> None:
        hosting, node = online()
        hosting.take()
        payload = encode_payload(None, [by_alias(1, 2.5)], node._next())
        hosting.send((node.topic("DDATA", "press"), payload), at=T0 + 7)
        assert hosting.take() == [Reading("press", "speed", T0 + 7, 2.5, q.UNCERTAIN | q.RECEIPT_TIME)]

    def test_a_metric_that_a_new_birth_no_longer_names_is_stale(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.dbirth("press", T0 + SECOND, [Value(False, DataType.BOOLEAN, "running", 2)]))
        assert hosting.take() == [
            Reading("press", "speed", T0 + SECOND, 1.0, BAD),
            Reading("press", "running", T0 + SECOND, 0.0),
        ]

    def test_a_text_that_a_birth_says_again_is_no_new_event(self) -> None:
        hosting, node = online()
        hosting.send(node.dbirth("press", T0 + SECOND, [Value("idle", DataType.STRING, "mode", 3)]))
        hosting.send(node.ddata("press", T0 + 2 * SECOND, [by_alias(3, "busy", DataType.STRING)]))
        assert [text for _, _, text in hosting.texts] == ["idle", "busy"]
        assert hosting.counts["ingest.ignored.repeated"] == 1

    def test_data_before_a_birth_is_refused_and_a_birth_asked_for(self) -> None:
        hosting, node = Hosting(), EdgeNode()
        hosting.send(node.ddata("press", T0, [by_alias(1, 2.5), by_alias(2, 3.5)]))
        assert (hosting.reasons, hosting.refused_readings) == (["no-birth"], 2)
        assert hosting.rebirths == ["spBv1.0/plant/NCMD/line1"]

    def test_an_unknown_alias_costs_only_its_own_value(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(99, 1.0), by_alias(1, 2.5)]))
        assert hosting.take() == [Reading("press", "speed", T0 + SECOND, 2.5)]
        assert hosting.reasons == ["unknown-metric"]
        assert hosting.rebirths

    def test_an_alias_given_to_two_metrics_is_never_guessed(self) -> None:
        hosting, node = Hosting(), EdgeNode()
        twice = [Value(1.0, name="a", alias=7), Value(2.0, name="b", alias=7)]
        hosting.send(node.nbirth(T0), node.dbirth("press", T0, twice))
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(7, 3.0), Value(4.0, name="b")]))
        assert hosting.take() == [Reading("press", "b", T0 + SECOND, 4.0)]
        assert hosting.reasons == ["ambiguous-alias"]

    def test_an_alias_that_contradicts_the_name_beside_it_is_refused(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [Value(4.0, name="running", alias=1)]))
        assert not hosting.take()
        assert hosting.reasons == ["ambiguous-alias"]

    def test_aliases_of_one_device_mean_nothing_on_another(self) -> None:
        hosting, node = online()
        hosting.send(node.dbirth("oven", T0, [Value(200.0, name="temperature", alias=50)]))
        hosting.take()
        hosting.send(node.ddata("oven", T0 + SECOND, [by_alias(1, 3.0), by_alias(50, 210.0)]))
        assert hosting.take() == [Reading("oven", "temperature", T0 + SECOND, 210.0)]


class TestValues:
    @pytest.mark.parametrize(
        ("datatype", "sent", "expected"),
        [
            (DataType.INT8, -5, -5.0),
            (DataType.INT16, -30_000, -30_000.0),
            (DataType.INT32, -2_000_000_000, -2_000_000_000.0),
            (DataType.INT64, -(2**60), -float(2**60)),
            (DataType.UINT8, 255, 255.0),
            (DataType.UINT16, 65_535, 65_535.0),
            (DataType.UINT32, 2**32 - 1, float(2**32 - 1)),
            (DataType.UINT64, 2**63, float(2**63)),
            (DataType.FLOAT, 1.5, 1.5),
            (DataType.DOUBLE, 1e-300, 1e-300),
            (DataType.BOOLEAN, True, 1.0),
            (DataType.DATETIME, 1_700_000_000_500, 1_700_000_000.5),
        ],
    )
    def test_every_numeric_type_becomes_a_reading(self, datatype: DataType, sent: float, expected: float) -> None:
        hosting, node = Hosting(), EdgeNode()
        hosting.send(node.nbirth(T0), node.dbirth("press", T0, [Value(sent, datatype, "x", 1)]))
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, sent, datatype)]))
        assert [r.value for r in hosting.take()] == [expected, expected]

    @pytest.mark.parametrize("raw", [0xFB, 0xFFFFFFFB])
    def test_a_small_negative_integer_may_be_extended_or_not(self, raw: int) -> None:
        hosting, node = Hosting(), EdgeNode()
        metric = Value(raw, DataType.UINT32, "x", 1, described=True)
        hosting.send(node.nbirth(T0))
        topic, payload = node.dbirth("press", T0, [metric])
        hosting.send((topic, payload.replace(b"\x20\x07", b"\x20\x01")))
        assert [r.value for r in hosting.take()] == [-5.0]

    @pytest.mark.parametrize("datatype", [DataType.STRING, DataType.TEXT, DataType.UUID])
    def test_text_becomes_a_text(self, datatype: DataType) -> None:
        hosting, node = Hosting(), EdgeNode()
        hosting.send(node.nbirth(T0), node.dbirth("press", T0, [Value("hello", datatype, "x", 1)]))
        assert hosting.texts == [("press", "x", "hello")]

    @pytest.mark.parametrize(
        "datatype",
        [
            DataType.BYTES,
            DataType.FILE,
            DataType.DATASET,
            DataType.TEMPLATE,
            DataType.INT8_ARRAY,
            DataType.STRING_ARRAY,
        ],
    )
    def test_what_is_no_single_value_is_refused_and_its_neighbour_kept(self, datatype: DataType) -> None:
        hosting, node = Hosting(), EdgeNode()
        metrics = [Value(b"abc", datatype, "x", 1), Value(1.0, name="speed", alias=2)]
        hosting.send(node.nbirth(T0), node.dbirth("press", T0, metrics))
        assert hosting.reasons == ["unsupported-datatype"]
        assert [r.name for r in hosting.take()] == ["speed"]

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (Value(float("nan"), name="x", alias=9), "not-finite"),
            (Value("text", DataType.DOUBLE, "x", 9), "wrong-type"),
            (Value(300, DataType.UINT8, "x", 9), "out-of-type"),
            (Value(1, DataType(1), "x", 9, ts=2**62), "bad-timestamp"),
        ],
    )
    def test_a_value_that_does_not_fit_is_refused_with_its_reason(self, value: Value, reason: str) -> None:
        hosting, node = Hosting(), EdgeNode()
        hosting.send(node.nbirth(T0), node.dbirth("press", T0, [value, Value(1.0, name="y", alias=10)]))
        assert hosting.reasons == [reason]
        assert [r.name for r in hosting.take()] == ["y"]

    def test_a_historical_value_says_so_in_its_quality(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 9.0, ts=T0 - SECOND, historical=True)]))
        assert hosting.take() == [Reading("press", "speed", T0 - SECOND, 9.0, q.GOOD | q.LATE)]

    def test_a_historical_value_is_not_the_present_one(self) -> None:
        hosting, node = online()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 9.0, ts=T0 - SECOND, historical=True)]))
        hosting.take()
        hosting.send(node.ndeath(), at=T0 + 2 * SECOND)
        assert Reading("press", "speed", T0 + 2 * SECOND, 1.0, BAD) in hosting.take()

    def test_null_is_the_last_value_that_nobody_vouches_for(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, None)]))
        assert hosting.take() == [Reading("press", "speed", T0 + SECOND, 1.0, BAD)]

    def test_null_without_a_last_value_is_counted(self) -> None:
        hosting, node = Hosting(), EdgeNode()
        hosting.send(node.nbirth(T0), node.dbirth("press", T0, [speed(None)]))
        assert (hosting.readings, hosting.reasons) == ([], [])
        assert hosting.counts["ingest.ignored.null"] == 1

    def test_a_transient_value_is_not_stored_and_counted(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 2.0, transient=True)]))
        assert (hosting.take(), hosting.reasons) == ([], [])
        assert hosting.counts["ingest.ignored.transient"] == 1

    @pytest.mark.parametrize(("code", "grade"), [(192, q.GOOD), (0, BAD), (500, BAD), (7, q.UNCERTAIN | q.DEVICE)])
    def test_the_quality_property_is_the_device_s_own_word(self, code: int, grade: int) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 2.0, properties={"Quality": code})]))
        assert [r.quality for r in hosting.take()] == [grade]

    def test_many_times_of_one_metric_in_a_message_are_many_readings(self) -> None:
        hosting, node = online()
        hosting.take()
        sent = [by_alias(1, float(k), ts=T0 + k * SECOND) for k in range(1, 6)]
        hosting.send(node.ddata("press", T0 + 9 * SECOND, sent))
        assert [(r.ts, r.value) for r in hosting.take()] == [(T0 + k * SECOND, float(k)) for k in range(1, 6)]


class TestDeaths:
    def test_values_that_are_stale_already_are_not_marked_again(self) -> None:
        hosting, node = online()
        hosting.send(node.ddeath("press", T0 + SECOND), at=T0 + SECOND)
        hosting.take()
        hosting.send(node.ndeath(), at=T0 + 2 * SECOND)
        assert not [r for r in hosting.take() if r.equipment == "press"]

    def test_a_node_whose_clock_is_ahead_is_stale_behind_its_newest_value(self) -> None:
        hosting, node = online()
        hosting.send(node.ddata("press", T0 + 30 * SECOND, [by_alias(1, 2.0), by_alias(2, True, DataType.BOOLEAN)]))
        hosting.take()
        hosting.send(node.ndeath(), at=T0 + SECOND)
        assert {r.ts for r in hosting.take()} == {T0 + 30 * SECOND + 1}

    def test_the_birth_after_a_death_makes_its_values_good_again_whatever_their_own_time(self) -> None:
        hosting, node = online()
        hosting.send(node.ndeath(), at=T0 + 60 * SECOND)
        hosting.take()
        node.bdseq = 1
        metrics = [speed(1.0, ts=T0), Value(True, DataType.BOOLEAN, "running", 2, ts=T0)]
        later = T0 + 90 * SECOND
        hosting.send(node.nbirth(later), node.dbirth("press", later, metrics), at=later)
        assert {(r.name, r.ts, r.quality) for r in hosting.take()} == {
            ("speed", later, q.GOOD),
            ("running", later, q.GOOD),
        }

    def test_devices_that_are_not_born_again_with_their_node_are_stale_since_its_birth(self) -> None:
        hosting, node = online()
        hosting.take()
        hosting.send(node.nbirth(T0 + SECOND), at=T0 + SECOND)
        assert not hosting.wait(5 * SECOND).take()
        assert {(r.ts, r.quality) for r in hosting.wait(6 * SECOND).take()} == {(T0 + SECOND, BAD)}

    def test_a_rebirth_in_time_marks_nothing_and_tells_nobody(self) -> None:
        hosting, node = online()
        hosting.take()
        before = len(hosting.events)
        again = [speed(1.0), Value(True, DataType.BOOLEAN, "running", 2)]
        hosting.send(node.nbirth(T0 + SECOND), node.dbirth("press", T0 + SECOND, again), at=T0 + SECOND)
        hosting.wait(60 * SECOND)
        assert all(r.quality == q.GOOD for r in hosting.take())
        assert len(hosting.events) == before

    def test_when_our_own_connection_is_lost_nobody_s_values_are_vouched_for(self) -> None:
        hosting, _ = online()
        hosting.take()
        hosting.now = T0 + SECOND
        hosting.lose()
        assert {(r.equipment, r.quality) for r in hosting.take()} == {("press", BAD)}
        hosting.reconnect()
        assert hosting.rebirths == ["spBv1.0/plant/NCMD/line1"]


class TestSequence:
    def test_a_gap_is_told_to_everybody_behind_the_node_with_what_is_missing(self) -> None:
        hosting, node = online()
        node._next(), node._next()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 2.0)]))
        hosting.wait(3 * SECOND)
        told = [(equipment, body["missing"]) for equipment, kind, _, body in hosting.events if kind == "sequence_gap"]
        assert told == [("line1", 2), ("press", 2)]
        assert hosting.counts["ingest.sequence_missing"] == 2

    def test_values_between_a_gap_and_the_next_birth_are_uncertain(self) -> None:
        hosting, node = online()
        hosting.take()
        node._next()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 2.0)])).wait(3 * SECOND)
        assert [r.quality for r in hosting.take()] == [q.UNCERTAIN | q.DEVICE]
        hosting.send(node.nbirth(T0 + 5 * SECOND), node.dbirth("press", T0 + 5 * SECOND, [speed(2.0)]))
        hosting.take()
        hosting.send(node.ddata("press", T0 + 6 * SECOND, [by_alias(1, 3.0)]))
        assert [r.quality for r in hosting.take()] == [q.GOOD]

    def test_it_wraps_from_255_to_0_without_a_gap(self) -> None:
        hosting, node = online()
        for k in range(600):
            hosting.send(node.ddata("press", T0 + k, [by_alias(1, float(k))]))
        assert not hosting.wait(60 * SECOND).rebirths
        assert not hosting.events_of("sequence_gap")

    def test_a_duplicate_changes_no_sequence(self) -> None:
        hosting, node = online()
        message = node.ddata("press", T0 + SECOND, [by_alias(1, 2.0)])
        hosting.send(message, message).wait(60 * SECOND)
        assert not hosting.rebirths
        assert hosting.counts["sparkplug.duplicates"] == 1

    def test_a_straggler_older_than_the_birth_is_not_read_with_the_new_aliases(self) -> None:
        hosting, node = online()
        straggler = node.ddata("press", T0 + SECOND, [by_alias(1, 2.0)])
        swapped = [Value(5.0, name="torque", alias=1)]
        hosting.send(node.nbirth(T0 + 2 * SECOND), node.dbirth("press", T0 + 2 * SECOND, swapped))
        hosting.take()
        node.seq = 10
        hosting.send((straggler[0], straggler[1].replace(b"\x18\x02", b"\x18\x01")))
        assert (hosting.take(), hosting.reasons) == ([], ["before-birth"])

    def test_a_node_that_never_counts_is_read_and_asked_ever_more_rarely(self) -> None:
        hosting, node = online()
        hosting.take()
        for k in range(1, 600):
            node.seq = 0
            hosting.send(node.ddata("press", T0 + k * SECOND, [by_alias(1, float(k))]), at=T0 + k * SECOND)
            hosting.wait(0)
        assert len(hosting.take()) == 599
        assert 1 <= len(hosting.rebirths) <= 8

    def test_what_waits_is_taken_before_a_node_is_followed_to_where_it_counts(self) -> None:
        hosting, node = online()
        hosting.take()
        node.seq = 20
        hosting.send(node.ddata("press", T0, [by_alias(1, 20.0)]))
        for k in range(20):
            node.seq = 1
            hosting.send(node.ddata("press", T0 + 1 + k, [by_alias(1, 1.0)]))
        node.seq = 2
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 2.0)])).wait(60 * SECOND)
        assert {r.value for r in hosting.take()} == {20.0, 1.0, 2.0}

    def test_what_waits_is_bounded(self) -> None:
        hosting, node = online(settings=SparkplugSettings(reorder_messages=5))
        hosting.take()
        node._next()
        for k in range(5):
            hosting.send(node.ddata("press", T0 + k, [by_alias(1, float(k))]))
        assert len(hosting.take()) == 5
        assert hosting.events_of("sequence_gap")


class TestHostileNodes:
    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b"\xff\xff\xff", "not-protobuf"),
            (b"\x12\x00" * 20_001, "too-many-values"),
            (bytes(1_048_577), "too-large"),
            (b"{}", "not-protobuf"),
        ],
    )
    def test_a_payload_that_nobody_can_read_is_refused_as_a_whole(self, payload: bytes, reason: str) -> None:
        hosting, node = online()
        hosting.send((node.topic("DDATA", "press"), payload))
        assert hosting.reasons == [reason]

    @pytest.mark.parametrize(
        "topic",
        [
            "spBv1.0/plant/NDATA",
            "spBv1.0/plant/XDATA/n",
            "spBv1.0/plant/NDATA/n/d",
            "spBv1.0/plant/DDATA/n",
            "spBv1.0/plant/DDATA/n/",
        ],
    )
    def test_a_topic_of_no_known_form_is_refused(self, topic: str) -> None:
        hosting = Hosting().send((topic, b""))
        assert hosting.reasons == ["unknown-topic"]

    def test_a_group_that_is_nobody_s_is_refused(self) -> None:
        assert Hosting().send(EdgeNode("elsewhere").nbirth(T0)).reasons == ["unknown-group"]

    def test_retained_messages_are_of_any_age_and_refused(self) -> None:
        assert Hosting().send(EdgeNode().nbirth(T0), retained=True).reasons == ["retained"]

    def test_a_birth_that_starts_elsewhere_than_at_zero_is_taken_and_counted(self) -> None:
        hosting, node = Hosting(), EdgeNode()
        topic, payload = node.nbirth(T0, [Value(1.0, name="x", alias=5)])
        hosting.send((topic, payload.replace(b"\x18\x00", b"\x18\x07")))
        node.seq = 8
        hosting.send(node.ndata(T0 + SECOND, [by_alias(5, 2.0)])).wait(9 * SECOND)
        assert [r.value for r in hosting.take()] == [1.0, 2.0]
        assert (hosting.rebirths, hosting.counts["sparkplug.birth_seq_not_zero"]) == ([], 1)

    def test_a_name_that_is_not_utf8_costs_only_its_own_metric(self) -> None:
        hosting, node = Hosting(), EdgeNode()
        hosting.send(node.nbirth(T0))
        topic, payload = node.dbirth("press", T0, [Value(1.0, name="good", alias=1), Value(2.0, name="evil", alias=2)])
        hosting.send((topic, payload.replace(b"evil", b"\xff\xfe\xfd\xfc")))
        assert [r.name for r in hosting.take()] == ["good"]
        assert hosting.reasons == ["bad-name"]

    def test_a_node_cannot_speak_for_a_living_device_of_another(self) -> None:
        hosting, _ = online()
        evil = EdgeNode(node="evil")
        hosting.take()
        hosting.send(evil.nbirth(T0), evil.dbirth("press", T0, [speed(666.0)]))
        assert (hosting.take(), hosting.reasons) == ([], ["equipment-taken"])

    def test_a_device_may_move_to_another_node_once_it_is_dead_where_it_was(self) -> None:
        hosting, node = online()
        other = EdgeNode(node="line2")
        hosting.send(node.ddeath("press", T0 + SECOND), other.nbirth(T0 + SECOND))
        hosting.take()
        hosting.send(other.dbirth("press", T0 + SECOND, [speed(2.0)]))
        assert [r.value for r in hosting.take()] == [2.0]

    def test_invented_nodes_do_not_shut_out_real_ones(self) -> None:
        hosting = Hosting(SparkplugSettings(nodes_per_group=10))
        for k in range(100):
            hosting.send(EdgeNode(node=f"ghost{k}").ndata(T0, [by_alias(1, 1.0)]))
        hosting.take()
        real = EdgeNode()
        hosting.send(real.nbirth(T0, [speed(1.0)]))
        assert [r.name for r in hosting.take()] == ["speed"]
        assert len(hosting.host.nodes()) <= 10

    def test_limits_on_nodes_devices_and_metrics_refuse_with_a_reason(self) -> None:
        settings = SparkplugSettings(nodes_per_group=1, devices_per_node=1, metrics_per_group=5)
        hosting, node = Hosting(settings), EdgeNode()
        hosting.send(node.nbirth(T0), node.dbirth("a", T0, [speed(1.0)]))
        hosting.send(node.dbirth("b", T0, [speed(1.0)]))
        hosting.send(EdgeNode(node="other").nbirth(T0))
        hosting.send(node.dbirth("a", T0, [Value(1.0, name=f"m{k}", alias=k + 1) for k in range(9)]))
        assert hosting.reasons == ["too-many-devices", "too-many-nodes", "too-many-metrics"]

    def test_a_storm_of_unknown_nodes_is_not_answered_with_a_storm_of_requests(self) -> None:
        hosting = Hosting(SparkplugSettings(rebirths_per_second=20))
        for k in range(500):
            hosting.send(EdgeNode(node=f"ghost{k}").ndata(T0, [by_alias(1, 1.0)]))
        assert len(hosting.rebirths) == 20


class TestMapping:
    def test_equipment_and_points_follow_the_profile(self) -> None:
        section = {
            "device": "{group}-{node}-{device}",
            "metrics": [{"metric": "Motor/Speed", "point": "speed", "unit": "{rpm}/min"}],
            "ignore": ["Diagnostics/*"],
        }
        hosting, node = Hosting(section=section), EdgeNode()
        metrics = [Value(1.0, name="Motor/Speed", alias=1), Value(2.0, name="Diagnostics/Load", alias=2)]
        hosting.send(node.nbirth(T0), node.dbirth("press", T0, metrics))
        assert hosting.take() == [Reading("plant-line1-press", "speed", T0, 1.0)]
        assert hosting.counts["ingest.ignored.control"] >= 3

    def test_a_mapping_that_stays_keeps_its_nodes_and_one_that_changes_forgets_them(self) -> None:
        hosting, node = online()
        hosting.host.adopt(dict(hosting.mapping))
        hosting.take()
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 2.0)]))
        assert len(hosting.take()) == 1
        hosting.host.adopt({})
        hosting.send(node.ddata("press", T0 + SECOND, [by_alias(1, 2.0)]))
        assert hosting.reasons == ["unknown-group"]
