"""Waveforms and cycles on their way in: named by the type, in its units, at their place; refusals leave neighbours."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.equipment import CycleDef, WaveformDef
from core.parcels import Channel, Purpose, Retention
from formats.decoded import WaveformMessage
from formats.waveform import encode
from tests.unit.ingest.conftest import NOW, PUMP, TOPIC, World
from tests.unit.ingest.test_intake import balance, reasons

MS = NOW // 1000
WAVEFORM, CYCLE = TOPIC.replace("telemetry", "waveform"), TOPIC.replace("telemetry", "cycle")
KIND = replace(
    PUMP,
    waveforms=(
        WaveformDef("de", "pump", "m/s2", "pump", names=("VT-101",), orientation=45.0),
        WaveformDef("base", "pump", "m/s2", "pump", retention=Retention.SHORT),
    ),
    cycles=(CycleDef("start", "pump", "pump", ("duration",)),),
)


@pytest.fixture
def world() -> World:
    world = World()
    world.snapshot = replace(world.snapshot, types={**world.snapshot.types, "pump": KIND})
    world.intake.adopt(world.snapshot)
    return world


def wave(*names: str, unit: str = "", **more: Any) -> bytes:
    channels = tuple(Channel(name, unit) for name in names)
    samples = np.ones((len(names), 100), np.float32)
    return encode(WaveformMessage(NOW, 100.0, channels, samples, **more))


def test_a_channel_by_its_other_name_in_the_units_of_the_type(world: World) -> None:
    world.send(wave("VT-101", unit="[g]"), WAVEFORM)
    (found,) = world.record().waveforms
    (channel,) = found.channels
    assert (channel.name, channel.unit, channel.orientation) == ("de", "m/s2", 45.0)
    assert found.samples[0, 0] == pytest.approx(9.80665)
    assert (found.equipment_id, found.retention) == (1, Retention.ROUTINE)
    balance(world)


def test_channels_nobody_knows_are_refused_alone(world: World) -> None:
    world.send(wave("de", "nosuch"), WAVEFORM)
    record = world.record()
    assert [c.name for c in record.waveforms[0].channels] == ["de"]
    assert reasons(record) == [("unknown-channel", 1)]
    world.send(wave("de", unit="bar"), WAVEFORM)
    assert reasons(world.record()) == [("unit", 1)]


def test_how_long_samples_are_kept(world: World) -> None:
    for names, purpose, kept in (
        (["base"], Purpose.ROUTINE, Retention.SHORT),
        (["base", "de"], Purpose.ROUTINE, Retention.ROUTINE),
        (["base"], Purpose.TRANSIENT, Retention.REFERENCE),
    ):
        world.send(wave(*names, purpose=purpose), WAVEFORM)
        assert world.record().waveforms[0].retention is kept


def test_parcels_stand_behind_the_readings_before_them(world: World) -> None:
    world.send({"ts": MS, "values": {"pressure": 1, "bearing1": 2}})
    world.send({"kind": "start", "component": "pump", "ts": MS, "values": {}}, CYCLE)
    world.send({"ts": MS + 1, "values": {"pressure": 1}})
    world.send(wave("de"), WAVEFORM)
    record = world.record()
    assert ([c.after for c in record.cycles], [w.after for w in record.waveforms]) == ([2], [3])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"component": "gate"}, "unknown-component"),
        ({"kind": "stop"}, "unknown-cycle"),
        ({"ts": MS + 3_600_000}, "future"),
    ],
)
def test_cycles_refused_can_be_sent_again(world: World, change: dict[str, Any], reason: str) -> None:
    world.send({"kind": "start", "component": "pump", "ts": MS, "values": {"x": 1}} | change, CYCLE)
    (letter,) = world.record().dead_letters
    assert letter.reason == reason
    assert json.loads(letter.payload)["values"] == {"x": 1.0}
    balance(world)


def test_readings_cut_into_records_take_their_parcels_along() -> None:
    world = World()
    world.snapshot = replace(world.snapshot, types={**world.snapshot.types, "pump": KIND})
    world.coalescer._max_readings = 3
    world.intake.adopt(world.snapshot)
    for n in range(4):
        world.send({"ts": MS + n, "values": {"pressure": 1, "bearing1": 2}})
        world.send({"kind": "start", "component": "pump", "ts": MS + n, "values": {"n": n}}, CYCLE)
    records = [record for record, _ in world.coalescer.take(NOW)]
    assert [len(r.batch) for r in records] == [3, 3, 2]
    assert [[(c.values["n"], c.after) for c in r.cycles] for r in records] == [[(0, 2)], [(1, 1)], [(2, 0), (3, 2)]]
