"""Parcels become readings where they came: limits speak on them as on all others, however the stream is cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.errors import TypeDefinitionError
from core.parcels import Channel, CycleRecord, Purpose, Waveform
from core.telemetry import StreamRecord
from core.time import SECOND
from models.types import check_type, from_document, load_type, to_document
from stream_processors.pipeline import Processor
from tests.unit.pipeline.world import T0, of, record

DOORS = """
type: doors
name: Doors
components:
  - {key: train, name: Train}
  - {key: "door{n}", name: "Door {n}", repeat: {n: [1, 2]}}
points:
  - {key: speed, component: train, unit: km/h}
cycles:
  - kind: stroke
    component: "door{n}"
    values:
      - {key: duration, unit: s}
      - {key: peak, unit: A, description: "peak current of door {n}", range: [0, 10]}
waveforms:
  - {channel: gear, component: train, unit: m/s2, features: [rms, crest], gate: {speed: [900, 1100]}}
limits:
  - {key: high, point: "door{n}.peak", high: 3, priority: high, title: "Door {n} heavy"}
  - {key: slow, point: "door{n}.duration", high: 5}
  - {key: rough, point: train.rms, high: 0.8}
"""


def stroke(at: float, peak: float, door: int = 1, length: float = 3.0, after: int = 0) -> CycleRecord:
    start = T0 + round((at - length) * SECOND)
    return CycleRecord(1, "stroke", f"door{door}", start, start + round(length * SECOND), {"peak": peak}, after)


def wave(at: float, size: float, speed: float = 1_000.0, after: int = 0) -> Waveform:
    samples = (size * np.sin(2 * np.pi * 50 * np.arange(1_000) / 1_000)).astype(np.float32)[None]
    start = T0 + round((at - 1) * SECOND)
    return Waveform(1, start, 1_000.0, (Channel("gear", "m/s2"),), samples, speed, after=after)


class TestType:
    def test_sections_expand_into_points(self) -> None:
        keys = [p.key for p in load_type(DOORS).point_instances()]
        assert keys == [
            "speed",
            "train.rms",
            "train.crest",
            "door1.duration",
            "door2.duration",
            "door1.peak",
            "door2.peak",
        ]

    def test_a_type_goes_to_the_database_and_back(self) -> None:
        type_ = load_type(DOORS)
        assert from_document(to_document(type_)) == type_
        assert type_.waveforms[0].speed == (900.0, 1100.0)

    def test_a_point_that_is_named_stays_as_it_is(self) -> None:
        own = '  - {key: "door{n}.peak", component: "door{n}", unit: A, range: [0, 4]}\n'
        type_ = load_type(DOORS.replace("cycles:", own + "cycles:", 1))
        (peak,) = [p for p in type_.points if p.key == "door{n}.peak"]
        assert peak.range == (0.0, 4.0)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('component: "door{n}"\n    values', "component: gate\n    values", "no component 'gate'"),
            ("gate: {speed: [900, 1100]}", "gate: {states: [fast]}", "no state 'fast'"),
            ("gate: {speed: [900, 1100]}", "gate: {speed: [1100, 900]}", "holds no value"),
            ("gate: {speed: [900, 1100]}", "pair: other", "no channel 'other'"),
            ("gate: {speed: [900, 1100]}", "retention: ever", "retention"),
            ("features: [rms", "features: [Rms", "Rms"),
        ],
    )
    def test_mistakes_are_named(self, old: str, new: str, said: str) -> None:
        assert old in DOORS
        problems = check_type(DOORS.replace(old, new))
        assert problems
        assert any(said in str(p) or said in p.where for p in problems), problems
        with pytest.raises(TypeDefinitionError):
            load_type(DOORS.replace(old, new))


class TestReadings:
    def run(self, *records: StreamRecord) -> list[tuple[float, str, str]]:
        processor = Processor(REGISTRY)
        found = [t for r in records for t in processor.step(r).transitions]
        return sorted(((t.at - T0) / SECOND, t.condition, t.change.value) for t in found)

    def stepped(self, one: StreamRecord) -> dict[str, tuple[float, float]]:
        outcome = Processor(REGISTRY).step(one)
        assert len(outcome.readings) == len(one.batch)
        names = {p.id: key for key, p in REGISTRY.equipment[1].points.items()}
        d = outcome.derived
        return {
            names[int(p)]: ((int(ts) - T0) / SECOND, float(v))
            for p, ts, v in zip(d.point_id, d.ts, d.value, strict=True)
        }

    def test_numbers_of_a_cycle_at_its_end(self) -> None:
        found = self.stepped(replace(record(REGISTRY, []), cycles=(stroke(5.0, 2.4, 2),)))
        assert found == {"door2.peak": (5.0, 2.4), "door2.duration": (5.0, 3.0)}

    def test_features_of_a_waveform_at_its_end(self) -> None:
        found = self.stepped(replace(record(REGISTRY, []), waveforms=(wave(5.0, 1.0),)))
        assert found["train.rms"][0] == 5.0
        assert found["train.rms"][1] == pytest.approx(2**-0.5, rel=1e-3)
        assert found["train.crest"][1] == pytest.approx(2**0.5, rel=1e-2)

    def test_none_outside_the_gate(self) -> None:
        one = replace(record(REGISTRY, []), waveforms=(wave(5.0, 1.0, speed=500.0),))
        assert self.stepped(one) == {}
        assert Processor(REGISTRY).step(one).counts["core.waveforms_gated"] == 1

    def test_a_run_up_has_no_features_of_a_steady_machine(self) -> None:
        one = replace(record(REGISTRY, []), waveforms=(replace(wave(5.0, 9.0), purpose=Purpose.TRANSIENT),))
        assert self.stepped(one) == {}
        assert Processor(REGISTRY).step(one).counts["core.waveforms_gated"] == 1

    def test_what_nobody_knows_is_counted(self) -> None:
        one = replace(record(REGISTRY, []), cycles=(replace(stroke(5.0, 1.0), equipment_id=9),))
        assert Processor(REGISTRY).step(one).counts["core.parcels_of_nobody"] == 1

    def test_limits_speak_on_them_however_the_stream_is_cut(self) -> None:
        speeds = [(1, "speed", float(t), 10.0) for t in range(40)]
        parcels: list[Any] = [stroke(10.5, 4.0), stroke(20.5, 2.0), wave(15.5, 2.0), wave(30.5, 1.0)]
        ready = sorted(parcels, key=lambda p: p.end)
        whole = record(REGISTRY, speeds)
        placed = [replace(p, after=int(np.searchsorted(whole.batch.ts, p.end))) for p in ready]

        def cut(start: int, end: int) -> StreamRecord:
            mine = [replace(p, after=p.after - start) for p in placed if start < p.after <= end]
            return replace(
                record(REGISTRY, speeds[start:end]),
                cycles=tuple(p for p in mine if isinstance(p, CycleRecord)),
                waveforms=tuple(p for p in mine if isinstance(p, Waveform)),
            )

        expected = [
            (10.5, "door1/door1.peak/high", "raised"),
            (15.5, "train/train.rms/rough", "raised"),
            (20.5, "door1/door1.peak/high", "cleared"),
            (30.5, "train/train.rms/rough", "cleared"),
        ]
        assert self.run(cut(0, 40)) == expected
        assert self.run(*(cut(n, n + 1) for n in range(40))) == expected
        assert self.run(*(cut(n, min(n + 7, 40)) for n in range(0, 40, 7))) == expected

    def test_a_feature_of_another_state_is_kept_and_not_looked_at(self) -> None:
        """A limit without states of its own, and a formula, see what comes in the gate's states; stored is all."""
        reg = of(load_type(GATED))
        speeds = [(1, "speed", float(t), 10.0 if 10 <= t < 25 else 80.0) for t in range(40)]
        whole = record(reg, speeds)
        waves = [replace(wave(at, size), after=int(at) + 1) for at, size in ((8.5, 1.0), (18.5, 3.0), (31.5, 2.0))]

        def cut(start: int, end: int) -> StreamRecord:
            mine = tuple(replace(w, after=w.after - start) for w in waves if start < w.after <= end)
            return replace(record(reg, speeds[start:end]), waveforms=mine)

        assert len(whole.batch) == 40
        points = {p.id: key for key, p in reg.equipment[1].points.items()}
        for step in (40, 1, 7):
            processor = Processor(reg)
            outcomes = [processor.step(cut(n, min(n + step, 40))) for n in range(0, 40, step)]
            found = sorted(((t.at - T0) / SECOND, t.condition) for o in outcomes for t in o.transitions)
            assert found == [(31.5, "train/train.rms/rough"), (31.5, "train/twice/much")]
            assert sum(o.counts.get("core.gated", 0) for o in outcomes) == 2
            kept = [points[p] for o in outcomes for p in o.derived.point_id.tolist()]
            assert kept.count("train.rms") == 3


GATED = (
    DOORS.replace("gate: {speed: [900, 1100]}", "gate: {states: [fast]}")
    + """
derived:
  - {key: twice, component: train, unit: m/s2, formula: "2 * train.rms"}
states:
  - {name: fast, when: "speed > 50"}
  - {name: slow, when: "speed <= 50"}
"""
).replace("limits:\n", "limits:\n  - {key: much, point: twice, high: 2.5}\n")

REGISTRY = of(load_type(DOORS))
