"""A repair on the stream: what was learned of the renewed component is forgotten at the repair's own time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from core.quality import GOOD
from core.telemetry import EventRecord, StreamRecord, TelemetryBatch
from core.time import SECOND
from models.types import load_type
from stream_processors.pipeline import Processor
from tests.unit.pipeline.world import T0, of

TYPE = """
type: fan
name: Fan
lateness: 2 s
components:
  - {key: "bearing{n}", name: "Bearing {n}", repeat: {n: [1, 2]}}
points:
  - {key: "bearing{n}.v", component: "bearing{n}", unit: mm/s, stale: 60 s}
derived:
  - {key: "bearing{n}.change", component: "bearing{n}", unit: mm/s, store: 1 s,
     formula: "bearing{n}.v - baseline(bearing{n}.v, '20 s')"}
limits:
  - {key: risen, point: "bearing{n}.change", high: 3, deadband: 0.5, failure_mode: wear}
"""
FAN = load_type(TYPE)
REGISTRY = of(FAN, each=2)
REPAIR = 200.4
"""Between two frames: bearing 1 of equipment 1 is renewed, and from then on runs at 2 mm/s instead of 1."""


def value(equipment: int, bearing: int, second: int) -> float:
    if equipment == 2 or bearing == 2:
        return 1.0 if second < 150 else 5.0
    return 1.0 if second < 150 else 5.0 if second <= REPAIR else 2.0


def frames() -> list[tuple[int, list[tuple[int, float]]]]:
    """(µs, [(point id, value)]) of every second and equipment."""
    found = []
    for second in range(300):
        for equipment in (1, 2):
            points = REGISTRY.equipment[equipment].points
            row = [(points[f"bearing{n}.v"].id, value(equipment, n, second)) for n in (1, 2)]
            found.append((T0 + second * SECOND, row))
    return found


def event(at: float = REPAIR, renewed: object = ("bearing1",)) -> EventRecord:
    return EventRecord(1, "maintenance", T0 + round(at * SECOND), {"work_order": 5, "renewed": renewed})


def batch(rows: list[tuple[int, list[tuple[int, float]]]]) -> TelemetryBatch:
    flat = [(point, ts, v) for ts, values in rows for point, v in values]
    return TelemetryBatch(
        np.array([r[0] for r in flat], np.int32),
        np.array([r[1] for r in flat], np.int64),
        np.array([r[2] for r in flat], float),
        np.full(len(flat), GOOD, np.uint8),
        0,
    )


def run(cuts: list[int], events: dict[int, list[EventRecord]], restarts: frozenset[int] = frozenset()) -> list[tuple]:
    """Records end at ``cuts`` (frame numbers); ``events`` come with the record that holds their frame."""
    processor, said, start = Processor(REGISTRY), [], 0
    rows = frames()
    for end in [*sorted(set(cuts)), len(rows)]:
        with_it = [e for at, some in events.items() if start <= at < end for e in some]
        outcome = processor.step(StreamRecord(batch(rows[start:end]), events=tuple(with_it)))
        said += [(t.equipment_id, t.condition, t.change.value, (t.at - T0) / SECOND) for t in outcome.transitions]
        start = end
        if end in restarts:
            processor = Processor.restore(processor.snapshot(), REGISTRY)
    return sorted(said)


HERE = 2 * 199
"""The frame with which the repair is said: a second before its time."""
WANTED = [
    (1, "bearing1/bearing1.change/risen", "cleared", REPAIR),
    (1, "bearing1/bearing1.change/risen", "raised", 150.0),
    (1, "bearing2/bearing2.change/risen", "raised", 150.0),
    (2, "bearing1/bearing1.change/risen", "raised", 150.0),
    (2, "bearing2/bearing2.change/risen", "raised", 150.0),
]


def test_what_was_renewed_is_well_and_its_normal_is_learned_anew():
    """2 mm/s would be no rise over the old normal; what stays raised is what was not renewed."""
    assert run([HERE + 30], {HERE: [event()]}) == WANTED


def test_the_new_normal_is_learned_from_after_the_repair():
    processor = Processor(REGISTRY)
    processor.step(StreamRecord(batch(frames()), events=(event(),)))
    (state,) = processor.fleet.types
    (baseline,) = [o for o in state.layout.program.operators.values() if "mean" in o.arrays]
    assert baseline.arrays["mean"].round(6).tolist() == [[2.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize("seed", range(6))
def test_it_does_not_matter_how_the_stream_is_cut_or_where_it_is_taken_up_again(seed: int):
    rng = random.Random(seed)
    cuts = sorted(rng.sample(range(1, 600), rng.randint(1, 40)))
    assert run(cuts, {HERE: [event()]}, frozenset(rng.sample(cuts, len(cuts) // 2))) == WANTED


def test_said_again_it_changes_nothing():
    assert run([HERE + 20, HERE + 40], {HERE: [event()], HERE + 30: [event()], HERE + 90: [event(150.0)]}) == WANTED


def test_one_that_comes_late_takes_effect_before_the_next_frame():
    said = run([HERE + 60], {HERE + 60: [event()]})
    assert (1, "bearing1/bearing1.change/risen", "cleared", REPAIR) in said or said[0][2] == "cleared"
    assert [x for x in said if x[0] == 2] == WANTED[3:]


@pytest.mark.parametrize("renewed", [None, "bearing1", [1], ["nothing.known"], []])
def test_an_event_that_names_no_component_of_ours_changes_nothing(renewed: object):
    said = run([HERE + 30], {HERE: [event(renewed=renewed)]})
    assert [x for x in said if x[2] == "raised"] == [x for x in WANTED if x[2] == "raised"]
