"""Intake: every reading that was sent is accepted, refused with a reason, a text or event, or ignored. Nothing else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import quality as q
from core.telemetry import Tick
from core.time import HOUR, SECOND, isoformat
from formats.decoded import DecodeLimits
from ingest.limits import IngestLimits
from ingest.session import Inbound
from tests.unit.ingest.conftest import NOW, TOPIC, World

MS = NOW // 1000


def balance(world: World) -> None:
    """Conservation in this hop."""
    totals = world.intake.totals
    refused = sum(count for name, count in totals.items() if name.startswith("ingest.refused."))
    ignored = totals["ingest.ignored.retained"]
    whole = sum(totals[f"ingest.{kind}"] for kind in ("texts", "events", "waveforms", "cycles"))
    out = totals["ingest.accepted"] + refused + whole + ignored
    assert totals["ingest.readings"] == out


def reasons(record: Any) -> list[tuple[str, int]]:
    return sorted((letter.reason, letter.readings) for letter in record.dead_letters)


class TestNames:
    def test_keys_and_other_names(self, world: World) -> None:
        world.send({"ts": MS, "values": {"PT-101": 1, "bearing2": 2, "TT-201": 3}})
        assert world.readings() == [(10, NOW, 1.0, q.GOOD), (12, NOW, 2.0, q.GOOD), (11, NOW, 3.0, q.GOOD)]

    def test_an_unknown_point_leaves_its_neighbours(self, world: World) -> None:
        world.send({"ts": MS, "values": {"pressure": 1, "nosuch": 2}})
        record = world.record()
        assert record.batch.point_id.tolist() == [10]
        (letter,) = record.dead_letters
        assert (letter.reason, letter.tenant_id, letter.equipment_id, letter.topic) == ("unknown-point", 1, 1, TOPIC)
        assert json.loads(letter.payload) == {"ts": isoformat(NOW), "values": {"nosuch": 2.0}}

    def test_a_derived_point_is_not_received(self, world: World) -> None:
        world.send({"ts": MS, "values": {"health": 1}})
        assert reasons(world.record()) == [("derived-point", 1)]

    def test_a_point_under_two_names_is_taken_once(self, world: World) -> None:
        world.send({"ts": MS, "values": {"pressure": 1, "PT-101": 2}})
        record = world.record()
        assert record.batch.value.tolist() == [1.0]
        assert reasons(record) == [("duplicate-key", 1)]

    def test_units_of_a_profile_are_converted(self, world: World) -> None:
        world.send({"p": 100, "t": 212}, "meters/7")
        batch = world.record().batch
        assert batch.point_id.tolist() == [60, 61]
        assert batch.value == pytest.approx([6.894757, 100.0])
        assert batch.quality.tolist() == [q.UNCERTAIN | q.RECEIPT_TIME] * 2

    def test_of_a_foreign_payload_the_dead_letter_is_the_whole(self, world: World) -> None:
        payload = b'{"p":"x","t":"y"}'
        world.send(payload, "meters/7")
        (letter,) = world.record().dead_letters
        assert (letter.topic, letter.payload, letter.readings) == ("meters/7", payload, 2)

    def test_text_is_an_event_unless_a_number_is_owed(self, world: World) -> None:
        world.send({"ts": MS, "values": {"firmware": "1.2", "pressure": "high"}})
        record = world.record()
        assert [(event.kind, event.body) for event in record.events] == [("text", {"name": "firmware", "text": "1.2"})]
        assert reasons(record) == [("not-a-number", 1)]
        balance(world)


class TestWhoSends:
    @pytest.mark.parametrize(
        ("topic", "reason"),
        [
            ("servitize/v1/nobody/pump-1/telemetry", "unknown-tenant"),
            ("servitize/v1/acme/nosuch/telemetry", "unknown-equipment"),
            ("servitize/v1/acme/sim/telemetry", "unknown-equipment"),
            ("servitize/v1/acme/pump-2/telemetry", "pending-approval"),
            ("servitize/v1/acme/pump-3/telemetry", "retired-equipment"),
            ("servitize/v1/acme/pump-1/telemetri", "unknown-topic"),
            ("servitize/v1/acme/pump-1", "unknown-topic"),
            ("servitize/v9/acme/pump-1/telemetry", "unknown-topic"),
            ("servitize/v1", "unknown-topic"),
            ("somewhere/else", "unknown-topic"),
            ("meters/8", "unknown-equipment"),
        ],
    )
    def test_what_belongs_to_nobody_is_kept_with_its_reason(self, world: World, topic: str, reason: str) -> None:
        payload = b'{"ts":1,"values":{"pressure":1}}'
        world.send(payload, topic)
        (letter,) = world.record().dead_letters
        assert (letter.reason, letter.payload, letter.topic) == (reason, payload, topic)
        balance(world)

    def test_who_was_added_a_moment_ago_is_taken(self, world: World) -> None:
        world.just_added.add("pump-9")
        world.send(b'{"ts":1790000000000,"values":{"pressure":1}}', "servitize/v1/acme/pump-9/telemetry")
        assert world.record().dead_letters == ()
        assert world.registered[0] == ("acme", "pump-9", None)

    def test_what_we_say_ourselves_is_nothing_to_take_in(self, world: World) -> None:
        for topic in ("servitize/v1/acme/pump-1/commands/7", "servitize/v1/acme/pump-1/twin/desired"):
            world.send(b"x", topic)
        world.send(b"x", "servitize/v1/$ingest/status")
        record = world.record()
        assert not record.dead_letters
        assert record.counts["ingest.own"] == 3

    def test_a_tenant_that_accepts_registers_equipment_and_goes_on(self, world: World) -> None:
        world.send({"ts": MS, "values": {"a": 1}}, "servitize/v1/open/new/telemetry")
        assert world.registered == [("open", "new", None), ("new", "a")]
        assert len(world.record().batch) == 1
        balance(world)

    def test_an_open_type_registers_points_once(self, world: World) -> None:
        for value in (1, 2):
            world.send({"ts": MS + value, "values": {"a": value, "b": value}}, "servitize/v1/open/box/telemetry")
        assert world.registered == [("box", "a", "b")]
        assert world.record().batch.value.tolist() == [1, 1, 2, 2]

    def test_points_of_an_open_type_are_limited(self, make_world: Callable[[IngestLimits], World]) -> None:
        world = make_world(IngestLimits(points_per_equipment=2))
        world.send({"ts": MS, "values": {"a": 1, "b": 2, "c": 3}}, "servitize/v1/open/box/telemetry")
        record = world.record()
        assert len(record.batch) == 2
        assert reasons(record) == [("too-many-points", 1)]

    def test_registrations_are_limited_per_minute(self, make_world: Callable[[IngestLimits], World]) -> None:
        world = make_world(IngestLimits(registrations_per_minute=3))
        for number in range(10):
            world.send({"ts": MS, "values": {}}, f"servitize/v1/open/new-{number}/telemetry")
        assert len(world.registered) == 3

    def test_hostile_topics_do_no_harm(self, world: World) -> None:
        for key in ("a\0b", "\ud800", "x" * 5000, "..", "'; DROP TABLE", ""):
            world.send(b"{}", f"servitize/v1/open/{key}/telemetry")
        for letter in world.record().dead_letters:
            assert "\0" not in letter.topic
            letter.topic.encode()
            letter.detail.encode()


class TestTime:
    def test_far_ahead_is_refused_with_its_values(self, world: World) -> None:
        world.send({"ts": MS + 61_000, "values": {"pressure": 1, "bearing1": 2}})
        world.send({"ts": MS + 60_000, "values": {"pressure": 1}})
        record = world.record()
        assert len(record.batch) == 1
        (letter,) = record.dead_letters
        assert (letter.reason, letter.readings) == ("future", 2)
        assert json.loads(letter.payload)["values"] == {"pressure": 1.0, "bearing1": 2.0}
        balance(world)

    def test_columns_lose_only_the_rows_outside(self, world: World) -> None:
        topic = "servitize/v1/window/aged/telemetry"
        ts = [MS - 3_600_001, MS - 1000, MS, MS + 61_000]
        world.send({"ts": ts, "values": {"pressure": [1, 2, 3, 4], "bearing1": [1, 2, None, 4]}}, topic)
        record = world.record()
        assert record.batch.value.tolist() == [2, 2, 3]
        assert reasons(record) == [("future", 2), ("not-a-number", 1), ("past-window", 2)]
        balance(world)

    def test_within_a_message_readings_stand_by_their_time(self, world: World) -> None:
        world.send({"ts": [MS + 2, MS, MS + 1], "values": {"pressure": [3, 1, 2]}})
        world.send([{"ts": MS + 5, "values": {"bearing1": 5}}, {"ts": MS + 4, "values": {"pressure": 4}}])
        assert world.record().batch.value.tolist() == [1, 2, 3, 4, 5]

    def test_a_publishers_clock_is_the_timeline_of_its_tenant(self, world: World) -> None:
        topic = "servitize/v1/demo/sim/telemetry"
        long_ago = MS - 10 * 365 * 86_400_000
        world.send({"ts": long_ago}, "servitize/v1/demo/clock")
        world.send({"ts": long_ago + 61_000, "values": {"pressure": 1}}, topic)
        world.send({"ts": long_ago + 59_000, "values": {"pressure": 1}}, topic)
        record = world.record()
        assert record.ticks == (Tick(2, long_ago * 1000),)
        assert reasons(record) == [("future", 1)]
        assert len(record.batch) == 1

    def test_the_clock_never_goes_back_and_never_ahead_of_ours(self, world: World) -> None:
        for ts in (MS - 1000, MS - 2000, MS - 1000, MS + 10_000_000, MS):
            world.send({"ts": ts}, "servitize/v1/demo/clock")
        record = world.record()
        assert [tick.at for tick in record.ticks] == [NOW - SECOND, NOW]
        assert reasons(record) == [("future", 1)]

    def test_a_retained_clock_is_no_news(self, world: World) -> None:
        world.send({"ts": MS}, "servitize/v1/demo/clock", retained=True)
        assert world.record().ticks == ()

    def test_who_lives_by_our_clock_sends_none(self, world: World) -> None:
        world.send({"ts": MS}, "servitize/v1/acme/clock")
        assert reasons(world.record()) == [("unexpected-clock", 1)]

    def test_host_ticks_go_to_all_but_those_with_a_clock_of_their_own(self, world: World) -> None:
        world.intake.host_ticks(NOW)
        assert [tick.tenant_id for tick in world.record().ticks] == [1, 3, 4]

    def test_readings_after_a_tick_of_their_tenant_ask_for_a_new_record(self, world: World) -> None:
        world.send({"ts": MS}, "servitize/v1/demo/clock")
        handle = world.ledger.received(1, 1, 0)
        assert world.intake.needs_new_record(Inbound("servitize/v1/demo/sim/telemetry", b"", NOW, handle))
        assert not world.intake.needs_new_record(Inbound(TOPIC, b"", NOW, handle))
        assert not world.intake.needs_new_record(Inbound("servitize/v1/demo/clock", b"", NOW, handle))


class TestLimits:
    def test_too_much_in_one_message(self, make_world: Callable[[IngestLimits], World]) -> None:
        world = make_world(IngestLimits(message=DecodeLimits(max_bytes=300, max_values=3)))
        world.send(b"x" * 301)
        world.send([{"ts": MS, "values": {"pressure": 1}}] * 4)
        assert reasons(world.record()) == [("too-large", 1), ("too-many-points", 4)]
        balance(world)

    def test_too_many_messages_a_second(self, make_world: Callable[[IngestLimits], World]) -> None:
        world = make_world(IngestLimits(messages_per_second=2, burst_seconds=2))
        for _ in range(6):
            world.send({"ts": MS, "values": {"pressure": 1}})
        record = world.record()
        assert len(record.batch) == 4
        assert reasons(record) == [("rate-limited", 1)] * 2
        balance(world)

    def test_too_many_readings_a_second(self, make_world: Callable[[IngestLimits], World]) -> None:
        world = make_world(IngestLimits(readings_per_second=2, burst_seconds=2))
        for _ in range(3):
            world.send({"ts": MS, "values": {"pressure": 1, "bearing1": 2}})
        assert reasons(world.record()) == [("rate-limited", 2)]
        balance(world)

    def test_a_neighbour_is_not_held_to_anothers_rate(self, make_world: Callable[[IngestLimits], World]) -> None:
        world = make_world(IngestLimits(messages_per_second=1, burst_seconds=1))
        for _ in range(5):
            world.send({"ts": MS, "values": {"pressure": 1}})
        world.send({"p": 1}, "meters/7")
        assert 60 in world.record().batch.point_id.tolist()

    def test_time_that_is_not_ours_has_no_rate(self, make_world: Callable[[IngestLimits], World]) -> None:
        world = make_world(IngestLimits(messages_per_second=1, burst_seconds=1))
        for number in range(5):
            world.send({"ts": MS - number, "values": {"pressure": 1}}, "servitize/v1/demo/sim/telemetry")
        assert len(world.record().batch) == 5


class TestEventsAndGaps:
    def test_events(self, world: World) -> None:
        world.send({"ts": MS, "kind": "start", "by": "hand"}, "servitize/v1/acme/pump-1/event")
        ((event,),) = [world.record().events]
        assert (event.equipment_id, event.kind, event.ts, event.body) == (1, "start", NOW, {"by": "hand"})
        balance(world)

    def test_a_gap_in_the_sequence_is_an_event_at_the_time_of_the_next_reading(self, world: World) -> None:
        for number in (1, 2, 5):
            world.send({"ts": MS + number, "seq": number, "values": {"pressure": 1}})
        (event,) = world.record().events
        assert (event.kind, event.ts) == ("sequence_gap", NOW + 5_000)
        assert event.body == {"first": 3, "last": 4, "missing": 2}

    def test_retained_without_time_is_ignored_and_counted(self, world: World) -> None:
        world.send({"values": {"pressure": 1, "bearing1": 1}}, retained=True)
        record = world.record()
        assert not len(record.batch)
        assert not record.dead_letters
        assert record.counts["ingest.ignored.retained"] == 2
        balance(world)


def test_a_defect_of_ours_costs_one_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.intake, "_blocks", broken)
    handle = world.send({"ts": MS, "values": {"pressure": 1}})
    ((record, handles),) = world.coalescer.take(NOW)
    assert reasons(record) == [("internal-error", 1)]
    assert handles == [handle]


_NAMES = st.sampled_from(["pressure", "bearing1", "bearing2", "PT-101", "health", "nosuch", "ü", ""])
_NUMBERS = st.floats() | st.integers() | st.booleans()
_VALUES = _NUMBERS | st.none() | st.text(max_size=3) | st.fixed_dictionaries({"v": _NUMBERS}, optional={"q": st.text()})
_TIMES = st.sampled_from([MS, MS - 5, MS + 10**6, 0, -1, isoformat(NOW), "x", None, 1e300])
_FRAMES = st.fixed_dictionaries(
    {"values": st.dictionaries(_NAMES, _VALUES, max_size=5)}, optional={"ts": _TIMES, "seq": st.integers(0, 5)}
)
_COLUMNS = st.fixed_dictionaries(
    {"ts": st.lists(_TIMES, max_size=4), "values": st.dictionaries(_NAMES, st.lists(_VALUES, max_size=4), max_size=4)}
)
_TOPICS = st.sampled_from([TOPIC, "meters/7", "servitize/v1/open/box/telemetry", "servitize/v1/acme/pump-1/event", "x"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_TOPICS, _FRAMES | st.lists(_FRAMES, max_size=3) | _COLUMNS, st.booleans()), max_size=6))
def test_whatever_is_sent_is_accounted_for(messages: list[tuple[str, Any, bool]]) -> None:
    world = World()
    for topic, message, retained in messages:
        world.send(json.dumps(message).encode(), topic, retained=retained)
    assert world.intake.totals["ingest.messages"] == len(messages)
    assert not world.intake.totals["ingest.refused.internal-error"]
    balance(world)
    for record, _ in world.coalescer.take(NOW):
        assert len(record.batch) == world.intake.totals["ingest.accepted"]
        assert np.isfinite(record.batch.value).all()
        assert sum(letter.readings for letter in record.dead_letters) == sum(
            count for name, count in world.intake.totals.items() if name.startswith("ingest.refused.")
        )


def test_ten_thousand_broken_payloads_crash_nothing() -> None:
    world, rng = World(), random.Random(7)
    seeds = [
        b'{"ts":%d,"values":{"pressure":1.5,"bearing1":true,"x":{"v":1,"q":"bad"}}}' % MS,
        b'[{"ts":"2026-11-22T00:00:00Z","values":{"pressure":1}},{"values":{"bearing2":2}}]',
        b'{"ts":[%d,%d],"values":{"pressure":[1,2],"bearing1":[3,4]}}' % (MS, MS - HOUR // 1000),
    ]
    for _ in range(10_000):
        payload = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(payload))
            match rng.randrange(3):
                case 0:
                    payload[at] = rng.randrange(256)
                case 1:
                    del payload[at]
                case _:
                    payload[at:at] = rng.choice([b"null", b"1e999", b"{", b"]", b'"', b"\\u0000", b"NaN", b","])
        world.send(bytes(payload), rng.choice([TOPIC, "meters/7"]))
    assert not world.intake.totals["ingest.refused.internal-error"]
    balance(world)
