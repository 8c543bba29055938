"""Waveforms and cycles as devices send them: what is taken, what is refused, and that one bad part spoils no other."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pytest

from core.parcels import Channel, CycleRecord, Purpose, Waveform
from core.telemetry import StreamRecord, TelemetryBatch
from formats.cycle import decode_cycles
from formats.decoded import WaveformMessage
from formats.record import BinaryRecordCodec
from formats.waveform import MAX_BYTES, decode_waveforms, encode, encode_int16

NOW = 1_800_000_000_000_000
SIGNAL = np.sin(np.arange(2_000) * 0.1).astype(np.float32)
MESSAGE = WaveformMessage(
    NOW,
    25_600.0,
    (Channel("de", "m/s2", 45.0, -10.1), Channel("nde", "m/s2")),
    np.stack([SIGNAL, 2 * SIGNAL]),
    speed=1_490.0,
    tacho=np.array([0.01, 0.05, 0.09]),
    load=80.0,
    rotation="ccw",
    purpose=Purpose.ON_DEMAND,
    request="r-1",
    meta={"gain": 2},
)
PLAIN = {"ts": NOW // 1000, "rate": 1_000, "channels": [{"name": "de", "samples": [1, 2, 3]}]}


def refused(payload: Any, **more: Any) -> list[str]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    decoded = decode_waveforms(data, received_at=NOW, **more)
    assert not decoded.waveforms
    return [refusal.reason for refusal in decoded.refusals]


class TestWaveforms:
    def test_what_is_encoded_comes_back(self) -> None:
        decoded = decode_waveforms(encode(MESSAGE, seq=4), received_at=0)
        (back,) = decoded.waveforms
        assert (back.ts, back.rate, back.channels, back.speed) == (NOW, 25_600.0, MESSAGE.channels, 1_490.0)
        assert (back.load, back.rotation, back.purpose, back.request) == (80.0, "ccw", Purpose.ON_DEMAND, "r-1")
        assert np.array_equal(back.samples, MESSAGE.samples)
        assert np.array_equal(back.tacho, MESSAGE.tacho)
        assert decoded.sequences == [4]
        assert decoded.readings == 1

    def test_int16_halves_the_bytes_within_half_a_step(self) -> None:
        data = encode_int16(MESSAGE)
        assert len(data) < 0.56 * len(encode(MESSAGE))
        (back,) = decode_waveforms(data, received_at=0).waveforms
        assert np.abs(back.samples - MESSAGE.samples).max() < 2.0 / 65_000

    def test_json_with_scale_and_offset(self) -> None:
        channel = {"name": "de", "samples": [0, 10], "scale": 0.5, "offset": 1}
        (found,) = decode_waveforms(json.dumps(PLAIN | {"channels": [channel]}).encode(), received_at=0).waveforms
        assert found.samples.tolist() == [[1.0, 6.0]]

    def test_a_tacho_tells_the_speed(self) -> None:
        told = PLAIN | {"tacho": [0.0, 0.04, 0.08], "pulses_per_revolution": 2}
        (found,) = decode_waveforms(json.dumps(told).encode(), received_at=0).waveforms
        assert found.speed == pytest.approx(750.0)

    def test_without_a_time_it_has_just_ended(self) -> None:
        told = {key: value for key, value in PLAIN.items() if key != "ts"}
        (found,) = decode_waveforms(json.dumps(told).encode(), received_at=NOW).waveforms
        assert found.ts == NOW - 3_000
        assert decode_waveforms(json.dumps(told).encode(), received_at=NOW, retained=True).ignored == 1

    def test_a_bad_channel_leaves_its_neighbours(self) -> None:
        good: Any = PLAIN["channels"]
        channels = [*good, {"name": "x", "samples": [1, 2]}, {"name": "y", "samples": [1, None, 2]}]
        decoded = decode_waveforms(json.dumps(PLAIN | {"channels": channels}).encode(), received_at=0)
        assert [c.name for c in decoded.waveforms[0].channels] == ["de"]
        assert [r.reason for r in decoded.refusals] == ["length-mismatch", "not-finite"]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"rate": 0}, "no-rate"),
            ({"rate": "fast"}, "bad-rate"),
            ({"channels": []}, "no-channels"),
            ({"channels": [{"samples": [1, 2]}]}, "no-channels"),
            ({"channels": [{"name": "a", "samples": [1]}]}, "length-mismatch"),
            ({"channels": [{"name": "a", "samples": "12"}]}, "length-mismatch"),
            ({"channels": [{"name": "a", "samples": ["1", "x"]}]}, "not-a-number"),
            ({"channels": [{"name": "a", "samples": [[1], [2]]}]}, "not-a-number"),
            ({"speed": -1}, "bad-speed"),
            ({"tacho": [2, 1]}, "bad-tacho"),
            ({"rotation": "left"}, "bad-rotation"),
            ({"purpose": "fun"}, "bad-purpose"),
            ({"ts": "yesterday"}, "bad-timestamp"),
            ({"meta": 3}, "bad-body"),
        ],
    )
    def test_refused_in_words(self, change: dict[str, Any], reason: str) -> None:
        assert refused(PLAIN | change) == [reason]

    def test_bytes_that_are_none(self) -> None:
        good = encode(MESSAGE)
        assert refused(good[:10]) == ["not-a-waveform"]
        assert refused(good[:-3]) == ["length-mismatch"]
        assert refused(b"SVWF\x09" + good[5:]) == ["not-a-waveform"]
        assert refused(b"\xff\xfe") == ["not-json"]
        assert refused(b"x" * (MAX_BYTES + 1)) == ["too-large"]
        assert refused(b"[1]") == ["not-a-waveform"]


class TestCycles:
    GOOD: ClassVar = {
        "kind": "stroke",
        "component": "door1",
        "ts": NOW // 1000,
        "duration": 3.5,
        "values": {"peak": 2.4},
    }

    def decoded(self, payload: Any) -> Any:
        return decode_cycles(json.dumps(payload).encode(), received_at=NOW)

    def test_its_end_is_said_or_follows(self) -> None:
        ends = {**{k: v for k, v in self.GOOD.items() if k != "duration"}, "end": NOW // 1000 + 3_500}
        for told in (self.GOOD, ends):
            (cycle,) = self.decoded(told).cycles
            assert (cycle.kind, cycle.component, cycle.ts, cycle.end) == ("stroke", "door1", NOW, NOW + 3_500_000)
            assert cycle.values == {"peak": 2.4}

    def test_a_bad_number_leaves_its_neighbours(self) -> None:
        decoded = self.decoded(self.GOOD | {"values": {"peak": 2.4, "mean": "much"}})
        assert decoded.cycles[0].values == {"peak": 2.4}
        assert json.loads(decoded.refusals[0].payload)["values"] == {"mean": "much"}

    def test_one_of_a_list_leaves_its_neighbours(self) -> None:
        decoded = self.decoded([self.GOOD, {**self.GOOD, "kind": 5}, 7])
        assert len(decoded.cycles) == 1
        assert [r.reason for r in decoded.refusals] == ["no-kind", "no-kind"]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"kind": ""}, "no-kind"),
            ({"component": None}, "unknown-component"),
            ({"values": []}, "no-values"),
            ({"duration": -1}, "bad-timestamp"),
            ({"end": 0}, "bad-timestamp"),
            ({"values": {"peak": None}}, "not-a-number"),
        ],
    )
    def test_refused_in_words(self, change: dict[str, Any], reason: str) -> None:
        decoded = self.decoded(self.GOOD | change)
        assert not decoded.cycles
        assert [r.reason for r in decoded.refusals] == [reason]


class TestRecords:
    def test_parcels_go_through_journal_and_log(self) -> None:
        waveform = Waveform(7, NOW, 100.0, MESSAGE.channels, MESSAGE.samples, tacho=MESSAGE.tacho, after=3)
        cycle = CycleRecord(7, "stroke", "door1", NOW, NOW + 1, {"peak": 2.4}, after=2)
        record = StreamRecord(TelemetryBatch.empty(NOW), waveforms=(waveform,), cycles=(cycle,))
        codec = BinaryRecordCodec()
        back = codec.decode(codec.encode(record))
        assert back.cycles == (cycle,)
        (again,) = back.waveforms
        assert (again.digest(), again.after, again.channels) == (waveform.digest(), 3, waveform.channels)
        assert np.isnan(again.speed)

    def test_what_has_none_is_written_as_before_there_were_any(self) -> None:
        assert BinaryRecordCodec().encode(StreamRecord(TelemetryBatch.empty(NOW)))[4] == 1
