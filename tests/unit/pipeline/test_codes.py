"""Trouble codes on the stream: one condition per code and component, in the order of their own times."""

from __future__ import annotations

import random
from typing import Any

import pytest

from core.condition import Change
from core.registry import EquipmentEntry, EquipmentStatus, RegistrySnapshot, Tenant
from core.telemetry import EventRecord, StreamRecord, TelemetryBatch, Tick
from core.time import SECOND
from models.types import load_type
from stream_processors.pipeline import Processor, codes

T0 = 1_700_000_000 * SECOND
TYPE = """
type: tram
name: Tram
lateness: 3 s
consequence_window: 60 s
components:
  - {key: tram, name: Tram}
  - {key: "car{car}", name: "Car {car}", repeat: {car: [1, 2, 3, 4, 5, 6]}}
codes:
  - {code: E701, title: Auxiliary supply lost, component: "car{car}", priority: high, advice: withdraw}
  - {code: N602, title: Device silent, component: "car{car}"}
"""


def processor() -> Processor:
    entry = EquipmentEntry(7, 1, "t7", "tram", EquipmentStatus.APPROVED, {})
    return Processor(RegistrySnapshot(1, {1: Tenant(1, "t", "T")}, {"tram": load_type(TYPE)}, {7: entry}))


def event(second: float, code: str, component: str = "", *, active: bool = True) -> EventRecord:
    body = {"code": code, "component": component, "active": active, "environment": {"speed": 12.5}}
    return EventRecord(7, "trouble_code", T0 + round(second * SECOND), body)


def record(*events: EventRecord, tick: float | None = None) -> StreamRecord:
    ticks = () if tick is None else (Tick(1, T0 + round(tick * SECOND)),)
    return StreamRecord(TelemetryBatch.empty(), ticks, events)


def test_a_code_is_raised_once_and_cleared_once():
    p = processor()
    p.step(record(event(0, "E701", "car3"), event(1, "E701", "car3"), event(40, "E701", "car3", active=False)))
    said = p.step(record(tick=60)).transitions
    assert [(t.condition, t.change) for t in said] == [
        ("car3/code/E701", Change.RAISED),
        ("car3/code/E701", Change.CLEARED),
    ]
    assert said[0].title == "Car 3: Auxiliary supply lost (E701)"
    assert said[0].detail == {"code": "E701", "environment": {"speed": 12.5}, "advice": "withdraw"}
    assert p.step(record(event(0, "E701", "car3"), tick=61)).transitions == (), "what comes again changes nothing"


def test_a_code_nobody_named_is_told_with_low_priority():
    p = processor()
    p.step(record(event(0, "X9")))
    (said,) = p.step(record(tick=9)).transitions
    assert (said.condition, said.priority.value, said.title) == ("/code/X9", "low", "Trouble code (X9)")


def test_ever_new_codes_fill_nothing(monkeypatch):
    monkeypatch.setattr(codes, "MOST", 3)
    p = processor()
    p.step(record(*(event(i, f"X{i}") for i in range(5)), event(0, "Y" * 65)))
    outcome = p.step(record(tick=30))
    assert [t.condition for t in outcome.transitions] == ["/code/X0", "/code/X1", "/code/X2"]
    assert outcome.counts["core.codes_too_many"] == 2
    p.step(record(event(31, "X1", active=False), event(32, "X9")))
    assert [t.condition for t in p.step(record(tick=60)).transitions] == ["/code/X1", "/code/X9"], (
        "what went makes room"
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_hundred_codes_of_one_cause_are_announced_once_with_the_first_out(seed):
    """They arrive displaced by up to two seconds, cut into records anywhere, some of them twice."""
    rng = random.Random(seed)
    storm = [event(0.0, "E701", "car3")]
    storm += [event(0.2 + 0.04 * i, f"N{602 + i // 6}", f"car{1 + i % 6}") for i in range(499)]
    assert len({(e.body["code"], e.body["component"]) for e in storm}) == 500
    arrival = sorted(storm + rng.sample(storm, 60), key=lambda e: e.ts + rng.uniform(0, 2 * SECOND))
    said: list[Any] = []
    p, k = processor(), 0
    while k < len(arrival):
        part = arrival[k : k + rng.randint(1, 60)]
        k += len(part)
        said += p.step(record(*part, tick=(max(e.ts for e in part) - T0) / SECOND)).transitions
        if rng.random() < 0.3:
            p = Processor.restore(p.snapshot(), RegistrySnapshot(1, {1: Tenant(1, "t", "T")}, *_known(p)))
    said += p.step(record(tick=120)).transitions
    assert len(said) == 500
    assert [t.condition for t in said if t.announce] == ["car3/code/E701"]
    assert {t.first_out for t in said if not t.announce} == {"car3/code/E701"}


def _known(_: Processor) -> tuple[dict, dict]:
    entry = EquipmentEntry(7, 1, "t7", "tram", EquipmentStatus.APPROVED, {})
    return {"tram": load_type(TYPE)}, {7: entry}
