"""Trains with event records: doors by their equation, every record in the type's words, classes by their cars."""

from __future__ import annotations

from collections import Counter

import numpy as np
import orjson
import pytest

from core.time import HOUR, SECOND
from formats.cycle import decode_cycles
from models.types import catalog
from simulators.contract import FaultPlan
from simulators.metro import door
from simulators.metro.emu import EventTrainFleet, TrainClass

START = 1_741_068_000 * SECOND  # 6 in the morning


def test_the_speed_loop_hides_friction_from_time_and_not_from_current():
    nothing = np.zeros(4)
    made = door.close(np.array([1.0, 2.0, 3.0, 6.0]), nothing, nothing)
    assert made.time[:3] == pytest.approx([3.14, 3.19, 3.24], abs=0.02)
    assert made.peak[:3] == pytest.approx([2.4, 3.2, 3.95], abs=0.06)
    assert made.mean[1] / made.mean[0] > 1.4
    assert made.closed.tolist() == [1, 1, 1, 0], "it stalls"
    cold = door.stiffness(np.array([-15.0]))
    assert door.close(cold, nothing[:1], nothing[:1]).peak == pytest.approx(2.66, abs=0.06)


def play(hours: float, faults: list[FaultPlan], class_: TrainClass | None = None):
    if class_ is None:
        fleet = EventTrainFleet([3], START, 30, faults, 15.0)
    else:
        fleet = EventTrainFleet([3], START, 30, faults, 15.0, class_=class_)
    frames = fleet.advance(round(hours * 120))
    return fleet, frames, fleet.records()


def test_all_it_says_is_in_the_words_of_its_type():
    fleet, frames, records = play(2, [FaultPlan(0, "car2", "auxiliary_supply", START + HOUR, HOUR)])
    type_ = catalog()["metro-emu-6"]
    known = {p.key for p in type_.point_instances()}
    assert {spec.key for spec in fleet.POINTS} <= known
    assert not np.isnan(frames.values).any()
    cycles = {(c.kind, c.component): set(c.points) for c in type_.cycle_instances()}
    codes = {c.code for c in type_.codes}
    components = {key for key, _, _ in type_.component_instances()}
    for record in records:
        message = record.message
        assert record.ts <= int(frames.ts[-1]) + HOUR
        if record.suffix == "cycle":
            taken = decode_cycles(orjson.dumps(message), received_at=record.ts)
            assert not taken.refusals
            assert [(c.kind, c.component, c.end) for c in taken.cycles] == [
                (message["kind"], message["component"], record.ts // 1000 * 1000)
            ]
            assert set(message["values"]) <= cycles[message["kind"], message["component"]]
            assert message["ts"] < message["end"] == record.ts // 1000
        else:
            assert message["body"]["code"] in codes
            assert message["body"]["component"] in components
    kinds = Counter(record.message["kind"] for record in records)
    assert kinds["door_stroke"] == 2 * kinds["brake_application"] > 1000
    assert kinds["load_cycle"] > 10
    assert kinds["trouble_code"] >= 500


def test_a_door_that_grows_stiff_tells_by_its_current():
    _, _, records = play(3, [FaultPlan(0, "car3.door4", "door_friction", START + HOUR // 2, HOUR)])
    current: dict[str, list[float]] = {}
    for record in records:
        if record.message["kind"] == "door_stroke" and record.ts > START + 2 * HOUR:
            current.setdefault(record.message["component"], []).append(record.message["values"]["mean_current"])
    medians = {name: float(np.median(values)) for name, values in current.items()}
    assert max(medians, key=medians.__getitem__) == "car3.door4"
    assert medians["car3.door4"] > 1.8 * np.median(list(medians.values()))


def test_the_same_seed_tells_the_same_and_another_class_has_its_own_cars():
    four = TrainClass("four", (1, 2, 3, 6), 4)
    fleet, frames, records = play(0.5, [], four)
    again = play(0.5, [], four)
    np.testing.assert_array_equal(frames.values, again[1].values)
    assert records == again[2]
    keys = {spec.key for spec in fleet.POINTS}
    assert "car4.air.dew_point" in keys
    assert "car3.converter.power" in keys
    assert not any(key.startswith("car5") for key in keys)
    doors = {r.message["component"] for r in records if r.message["kind"] == "door_stroke"}
    assert len(doors) == 16
