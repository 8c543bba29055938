"""Native telemetry: three forms that mean the same, and bad values that spoil only themselves."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import quality as q
from formats.decoded import Decoded, DecodeLimits
from formats.native import decode_clock, decode_events, decode_telemetry

NOW = 1_800_000_000_000_000
TS = 1_700_000_000_123


def decode(message: Any, **options: Any) -> Decoded:
    payload = message if isinstance(message, bytes) else orjson.dumps(message)
    return decode_telemetry(payload, received_at=NOW, **options)


def readings(decoded: Decoded) -> set[tuple[str, int, float, int]]:
    found = set()
    for block in decoded.blocks:
        for i, ts in enumerate(block.ts.tolist()):
            for j, name in enumerate(block.names):
                if block.present is None or block.present[i, j]:
                    quality = q.GOOD if block.quality is None else int(block.quality[i, j])
                    found.add((name, ts, float(block.value[i, j]), quality))
    return found


def reasons(decoded: Decoded) -> list[str]:
    return [refusal.reason for refusal in decoded.refusals]


class TestForms:
    def test_one_frame(self) -> None:
        decoded = decode({"ts": TS, "values": {"a": 1.5, "b": 2}})
        assert readings(decoded) == {("a", TS * 1000, 1.5, q.GOOD), ("b", TS * 1000, 2.0, q.GOOD)}
        assert not decoded.refusals

    def test_the_three_forms_mean_the_same(self) -> None:
        frames = [{"ts": TS + i, "values": {"a": float(i), "b": float(-i)}} for i in range(5)]
        columns = {
            "ts": [TS + i for i in range(5)],
            "values": {"a": [float(i) for i in range(5)], "b": [float(-i) for i in range(5)]},
        }
        single = set().union(*(readings(decode(frame)) for frame in frames))
        assert readings(decode(frames)) == single == readings(decode(columns))

    def test_frames_of_a_list_may_name_different_points(self) -> None:
        decoded = decode([{"ts": 1, "values": {"a": 1}}, {"ts": 2, "values": {"b": 2}}, {"ts": 3, "values": {"b": 3}}])
        assert {(name, ts) for name, ts, _, _ in readings(decoded)} == {("a", 1000), ("b", 2000), ("b", 3000)}

    @pytest.mark.parametrize(
        ("ts", "expected"),
        [
            (1_500, 1_500_000),
            (1_500.25, 1_500_250),
            ("1970-01-01T00:00:01.500Z", 1_500_000),
            ("1970-01-01T01:00:01,5+01:00", 1_500_000),
            ("1970-01-01 00:00:01.5Z", 1_500_000),
        ],
    )
    def test_time_is_iso_or_epoch_milliseconds(self, ts: Any, expected: int) -> None:
        assert {found[1] for found in readings(decode({"ts": ts, "values": {"a": 1}}))} == {expected}

    def test_booleans_are_0_and_1(self) -> None:
        assert readings(decode({"ts": 1, "values": {"a": True, "b": False, "c": 2.5}})) == {
            ("a", 1000, 1.0, q.GOOD),
            ("b", 1000, 0.0, q.GOOD),
            ("c", 1000, 2.5, q.GOOD),
        }

    def test_a_value_may_bring_its_quality(self) -> None:
        decoded = decode({"ts": 1, "values": {"a": {"v": 1, "q": "bad"}, "b": {"v": 2}, "c": {"v": True, "q": 192}}})
        assert readings(decoded) == {
            ("a", 1000, 1.0, q.BAD | q.DEVICE),
            ("b", 1000, 2.0, q.GOOD),
            ("c", 1000, 1.0, q.GOOD),
        }

    def test_text_is_set_aside_as_an_event(self) -> None:
        decoded = decode({"ts": 1, "values": {"firmware": "1.2", "a": 1}})
        assert [(text.name, text.ts, text.text) for text in decoded.texts] == [("firmware", 1000, "1.2")]
        assert readings(decoded) == {("a", 1000, 1.0, q.GOOD)}

    def test_sequence_numbers_are_kept(self) -> None:
        assert decode({"ts": 1, "seq": 7, "values": {"a": 1}}).sequences == [7]
        assert decode([{"ts": 1, "seq": 7, "values": {"a": 1}}, {"ts": 2, "seq": 8, "values": {"a": 1}}]).sequences == [
            7,
            8,
        ]
        assert decode({"ts": 1, "seq": "x", "values": {"a": 1}}).sequences == []


class TestWithoutTime:
    def test_the_time_of_receipt_stands_in_and_quality_says_so(self) -> None:
        assert readings(decode({"values": {"a": 1}})) == {("a", NOW, 1.0, q.UNCERTAIN | q.RECEIPT_TIME)}

    def test_a_bad_quality_stays_bad(self) -> None:
        ((_, _, _, quality),) = readings(decode({"values": {"a": {"v": 1, "q": "bad"}}}))
        assert quality & q.CLASS_MASK == q.BAD

    def test_retained_it_is_ignored_and_counted(self) -> None:
        decoded = decode({"values": {"a": 1, "b": 2}}, retained=True)
        assert not decoded.blocks
        assert not decoded.refusals
        assert decoded.ignored == 2

    def test_retained_with_a_time_it_counts(self) -> None:
        assert len(readings(decode({"ts": 1, "values": {"a": 1}}, retained=True))) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b"", "not-json"),
            (b"hello", "not-json"),
            (b"\xff\xfe", "not-json"),
            (b'{"ts":1,"values":{"a":1}', "not-json"),
            (b"[" * 100_000, "not-json"),
            (b'{"ts":1,"values":' + b'{"a":' * 500 + b"1" + b"}" * 501, "not-json"),
            (b"3", "no-values"),
            (b"[]", "no-values"),
            (b"{}", "no-values"),
            (b"null", "no-values"),
            (b'{"ts":1,"values":{}}', "no-values"),
            (b'{"ts":1,"values":[1]}', "no-values"),
            (b'{"ts":1,"ts":2,"values":{"a":1}}', "duplicate-key"),
            (b'{"ts":"yesterday","values":{"a":1}}', "bad-timestamp"),
            (b'{"ts":null,"values":{"a":1}}', "bad-timestamp"),
            (b'{"ts":true,"values":{"a":1}}', "bad-timestamp"),
            (b'{"ts":-1,"values":{"a":1}}', "bad-timestamp"),
            (b'{"ts":1e300,"values":{"a":1}}', "bad-timestamp"),
            (b'{"ts":"2020-01-01T00:00:00","values":{"a":1}}', "bad-timestamp"),
            (b'{"ts":"0001-01-01T00:00:00+14:00","values":{"a":1}}', "bad-timestamp"),
            (b'{"ts":[],"values":{"a":[]}}', "no-values"),
        ],
    )
    def test_all_of_it(self, payload: bytes, reason: str) -> None:
        decoded = decode(payload)
        assert reasons(decoded) == [reason]
        assert decoded.refusals[0].payload is None
        assert not decoded.blocks

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (b"null", "not-a-number"),
            (b"[1]", "not-a-number"),
            (b"{}", "not-a-number"),
            (b'{"q":"good"}', "not-a-number"),
            (b"NaN", "not-finite"),
            (b"-Infinity", "not-finite"),
            (b"1e999", "not-finite"),
            (b"1" * 400, "not-finite"),
            (b"1" * 5000, "not-finite"),
            (b'{"v":NaN}', "not-finite"),
            (b'{"v":1,"v":2}', "duplicate-key"),
        ],
    )
    def test_one_value_leaves_its_neighbours(self, value: bytes, reason: str) -> None:
        decoded = decode(b'{"ts":1,"values":{"good":1,"bad":' + value + b',"fine":2}}')
        assert reasons(decoded) == [reason]
        assert {name for name, *_ in readings(decoded)} == {"good", "fine"}
        part = json.loads(decoded.refusals[0].payload or b"")
        assert part["ts"] == 1
        assert list(part["values"]) == ["bad"]

    def test_of_a_key_that_stands_twice_the_first_is_taken(self) -> None:
        decoded = decode(b'{"ts":1,"values":{"a":1,"b":5,"a":2}}')
        assert readings(decoded) == {("a", 1000, 1.0, q.GOOD), ("b", 1000, 5.0, q.GOOD)}
        assert reasons(decoded) == ["duplicate-key"]
        assert decoded.refusals[0].payload == b'{"ts":1,"values":{"a":2}}'

    def test_a_key_twice_is_seen_in_every_form(self) -> None:
        assert reasons(decode(b'[{"ts":1,"values":{"a":1,"a":2}}]')) == ["duplicate-key"]
        assert reasons(decode(b'{"ts":[1,2],"values":{"a":[1,2],"a":[2,3]}}')) == ["duplicate-key"]
        assert reasons(decode(b'{"ts":1,"values":{"a:b":1,"\\u0061:b":2}}')) == ["duplicate-key"]

    def test_colons_in_names_are_no_duplicates(self) -> None:
        decoded = decode({"ts": "2020-01-01T00:00:00Z", "values": {"a:b": 1, "::": 2}})
        assert not decoded.refusals
        assert len(readings(decoded)) == 2

    def test_one_frame_leaves_the_others(self) -> None:
        decoded = decode([{"ts": 1, "values": {"a": 1}}, {"ts": "x", "values": {"a": 1, "b": 2}}, 5])
        assert len(readings(decoded)) == 1
        assert sorted(reasons(decoded)) == ["bad-timestamp", "no-values"]
        assert sum(refusal.readings for refusal in decoded.refusals) == 3

    def test_columns_refuse_cells_rows_and_columns_alone(self) -> None:
        decoded = decode({"ts": [1, "x", 3], "values": {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2, None]}})
        assert {(name, ts) for name, ts, *_ in readings(decoded)} == {("a", 1000), ("a", 3000), ("c", 1000)}
        assert sorted((r.reason, r.readings) for r in decoded.refusals) == [
            ("bad-timestamp", 2),
            ("length-mismatch", 2),
            ("not-a-number", 1),
        ]
        assert decoded.readings == 8

    def test_many_bad_values_share_a_dead_letter_beyond_the_first(self) -> None:
        decoded = decode({"ts": 1, "values": {f"p{i}": None for i in range(1000)}})
        assert len(decoded.refusals) == 33
        assert sum(refusal.readings for refusal in decoded.refusals) == 1000

    def test_limits_refuse_the_whole(self) -> None:
        frame = {"ts": 1, "values": {"a": 1, "b": 2}}
        assert reasons(decode(frame, limits=DecodeLimits(max_bytes=10))) == ["too-large"]
        decoded = decode([frame] * 3, limits=DecodeLimits(max_values=5))
        assert [(r.reason, r.readings) for r in decoded.refusals] == [("too-many-points", 6)]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["v", "q", "x"]), inner, max_size=3),
    max_leaves=5,
)
_FRAME = st.fixed_dictionaries(
    {},
    optional={
        "ts": st.integers(0, 2**45) | st.just("2020-01-01T00:00:00Z") | _VALUES,
        "values": st.dictionaries(st.text(max_size=3), _VALUES, max_size=4) | _VALUES,
        "seq": _VALUES,
    },
)


class TestProperties:
    @settings(max_examples=300, deadline=None)
    @given(_FRAME | st.lists(_FRAME, max_size=3) | _VALUES)
    def test_whatever_comes_every_reading_is_accounted_for(self, message: Any) -> None:
        payload = json.dumps(message).encode()
        decoded = decode_telemetry(payload, received_at=NOW)
        assert decoded.readings >= 1
        for block in decoded.blocks:
            mask = np.ones(block.value.shape, bool) if block.present is None else block.present
            assert np.isfinite(block.value[mask]).all()

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=200))
    def test_whatever_bytes_come_nothing_is_raised(self, payload: bytes) -> None:
        assert decode_telemetry(payload, received_at=NOW).readings >= 1
        decode_events(payload, received_at=NOW)
        decode_clock(payload)

    @settings(max_examples=100, deadline=None)
    @given(st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), min_size=1))
    def test_good_values_come_through_exactly(self, values: dict[str, float]) -> None:
        decoded = decode_telemetry(json.dumps({"ts": 1, "values": values}).encode(), received_at=NOW)
        assert {name: value for name, _, value, _ in readings(decoded)} == values
        assert not decoded.refusals

    def test_the_short_way_and_the_long_way_agree(self) -> None:
        rng = random.Random(1)
        for _ in range(50):
            values = {f"p{i}": rng.uniform(-1e6, 1e6) for i in range(rng.randint(1, 60))}
            short = decode({"ts": TS, "values": values})
            long = decode({"ts": TS, "values": values, "unknown": {}})
            assert readings(short) == readings(long)


class TestEvents:
    def test_kind_time_and_body(self) -> None:
        (event,) = decode_events(b'{"ts":1,"kind":"start","body":{"by":"operator"}}', received_at=NOW).events
        assert (event.kind, event.ts, event.body) == ("start", 1000, {"by": "operator"})

    def test_without_body_the_other_members_are_it(self) -> None:
        (event,) = decode_events(b'{"ts":1,"kind":"error","code":7}', received_at=NOW).events
        assert event.body == {"code": 7}

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (b"{", "not-json"),
            (b"[]", "no-values"),
            (b'{"ts":1}', "no-kind"),
            (b'{"ts":1,"kind":"a b"}', "no-kind"),
            (b'{"ts":"x","kind":"a"}', "bad-timestamp"),
            (b'{"ts":1,"kind":"a","body":{"x":"\\u0000"}}', "bad-body"),
            (b'{"ts":1,"kind":"a","body":{"x":"\\ud800"}}', "bad-body"),
            (b'{"ts":1,"kind":"a","body":{"x":NaN}}', "bad-body"),
            (b'{"ts":1,"kind":"a","body":3}', "bad-body"),
        ],
    )
    def test_what_cannot_be_stored_is_refused(self, payload: bytes, reason: str) -> None:
        decoded = decode_events(payload, received_at=NOW)
        assert reasons(decoded) == [reason]

    def test_one_event_leaves_the_others(self) -> None:
        decoded = decode_events(b'[{"ts":1,"kind":"a"},{"ts":1},{"ts":2,"kind":"b"}]', received_at=NOW)
        assert [event.kind for event in decoded.events] == ["a", "b"]
        assert decoded.refusals[0].payload == b'{"ts":1}'


def test_a_clock_says_its_time() -> None:
    assert decode_clock(b'{"ts":"1970-01-01T00:00:01Z"}') == 1_000_000
    assert decode_clock(b'{"ts":5}') == 5_000
    assert decode_clock(b"5") is None
    assert decode_clock(b"") is None
