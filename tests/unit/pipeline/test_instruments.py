"""An instrument that fails is told as such, and the machine is not accused."""

from __future__ import annotations

import numpy as np

from core import quality as q
from core.condition import Concern
from models.types import load_type
from tests.unit.pipeline.world import T0, Run, of

TEXT = """
type: i
name: I
lateness: 0 s
components: [{key: m, name: M}, {key: "b{n}", name: "B {n}", repeat: {n: [1, 2, 3]}}]
points:
  - {key: run, component: m, unit: "1", stale: 1 d}
  - {key: x, component: m, unit: Cel, range: [0, 100], max_rate: 2, flatline: 10 s, stale: 30 s}
  - {key: "b{n}.t", component: "b{n}", unit: Cel, stale: 60 s}
states: [{name: runs, when: run == 1}, {name: rests, when: run == 0}]
running: [runs]
limits:
  - {key: high, point: x, high: 80}
"""


def world() -> Run:
    return Run(of(load_type(TEXT)))


def told(run: Run) -> list[tuple[float, str, str]]:
    return [(at, condition.rpartition("/")[2], change) for at, _, condition, change in run.transitions]


def test_a_value_and_its_noise_frozen_while_the_machine_runs():
    run = world()
    for t in range(30):
        run([(1, "run", t, 1.0), (1, "x", t, 50.0 if t >= 5 else 50.0 + 0.1 * t)])
    assert told(run) == [(15.0, "stuck", "raised")]
    run([(1, "run", 30, 1.0), (1, "x", 30, 50.1)])
    assert told(run)[-1] == (30.0, "stuck", "cleared")
    assert {t.concern for o in run.outcomes for t in o.transitions} == {Concern.INSTRUMENT}


def test_a_machine_at_rest_may_hold_a_value_for_ever():
    run = world()
    for t in range(100):
        run([(1, "run", t, 0.0), (1, "x", t, 50.0)])
    assert told(run) == []


def test_a_jump_is_the_instrument_s_and_raises_no_machine_alarm():
    run = world()
    for t in range(5):
        run([(1, "x", t, 50.0 + 0.1 * t)])
    run([(1, "x", 5, 95.0)])
    run([(1, "x", 6, 95.1)])
    assert told(run) == [(5.0, "implausible", "raised")]
    for t in range(7, 620, 10):
        run([(1, "x", t, 60.0 + 0.01 * t if t > 20 else 95.0 - t)])
    assert (607.0, "implausible", "cleared") in told(run) or any(x[1:] == ("implausible", "cleared") for x in told(run))
    assert not any(condition == "high" for _, condition, _ in told(run))


def test_three_bad_readings_in_a_row_make_a_bad_instrument():
    run = world()
    kinds = [q.GOOD, q.BAD | q.SENSOR, q.GOOD, q.BAD | q.SENSOR, q.BAD | q.DEVICE, q.BAD | q.SENSOR, q.BAD | q.SENSOR]
    for t, quality in enumerate(kinds):
        run([(1, "x", t, 50.0 + t * 0.1, quality)])
    assert told(run) == [(5.0, "bad", "raised")]
    for t in range(7, 12):
        run([(1, "x", t, 50.0 + t * 0.1)])
    assert told(run)[1:] == [(9.0, "bad", "cleared")]


def test_the_same_value_before_and_after_a_gap_is_not_stuck():
    run = world()
    for t in (0, 1, 2, 3600, 3601, 3602):
        run([(1, "run", t, 1.0), (1, "x", t, 50.0)])
    run([(1, "run", 3700, 1.0)])
    assert "stuck" not in [condition for _, condition, _ in told(run)]


def test_outside_the_range_is_stored_as_bad_with_its_reason():
    run = world()
    outcome = run([(1, "x", 0, 120.0), (1, "run", 0, 1.0), (1, "b1.t", 0, float("inf"))])
    assert outcome.readings.quality.tolist() == [q.BAD | q.OUT_OF_RANGE, q.GOOD, q.BAD | q.IMPLAUSIBLE]
    assert outcome.counts["core.bad"] == 2


def test_what_is_stored_does_not_depend_on_neighbours():
    """A jump shows only in order of time; the reading keeps the quality it came with."""
    run = world()
    outcome = run([(1, "x", 0, 10.0), (1, "x", 1, 90.0)])
    assert (outcome.readings.quality == q.GOOD).all()


def test_a_point_that_stops_while_the_others_go_on():
    run = world()
    for t in range(0, 60, 5):
        points = ["run", "b1.t", "b2.t"] + (["x"] if t <= 10 else [])
        run([(1, p, t, 1.0 + 0.01 * t) for p in points], ticks=[t])
    assert told(run) == [(45.0, "stale", "raised")]
    run([(1, "x", 60, 1.6)], ticks=[60])
    assert told(run)[1:] == [(60.0, "stale", "cleared")]


def test_an_equipment_that_stops_is_one_alarm_not_fifty():
    run = Run(of(load_type(TEXT.replace("stale: 1 d", "stale: 40 s"))))
    run([(1, p, 0, 1.0) for p in ("run", "x", "b1.t", "b2.t", "b3.t")], ticks=[0])
    for t in range(1, 100):
        run([], ticks=[t])
    assert told(run) == [(61.0, "silent", "raised")]
    assert run.outcomes[61].transitions[0].concern is Concern.CONNECTION
    run([(1, "x", 100, 1.0)], ticks=[100])
    assert told(run)[1:2] == [(100.0, "silent", "cleared")]


def test_points_never_seen_are_not_missed():
    run = world()
    run([(1, "x", 0, 1.0), (1, "run", 0, 0.0)], ticks=[0])
    run([(1, "x", 3600, 2.0), (1, "run", 3600, 0.0)], ticks=[3600])
    assert all("b1" not in str(t) for t in told(run))


def test_an_instrument_costs_no_health():
    run = world()
    for t in range(200):
        run([(1, "run", t, 1.0), (1, "x", t, 50.0)])
    last = [h for o in run.outcomes for h in o.health if h.component == "m"][-1]
    assert last.index == 100.0
    assert [(r.condition, r.takes) for r in last.reasons] == [("m/x/stuck", 0.0)]
    assert last.at > T0


def test_extra_points_of_an_open_type_are_only_stored():
    from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
    from tests.unit.pipeline.world import record

    type_ = load_type("type: o\nname: O\nopen: true\nlateness: 0 s\n")
    entry = EquipmentEntry(1, 1, "e", "o", EquipmentStatus.APPROVED, {"any": PointEntry(5, "any", "1")})
    run = Run(RegistrySnapshot(1, {1: Tenant(1, "t", "T")}, {"o": type_}, {1: entry}))
    late = run.processor.step(record(run.registry, [(1, "any", 10, 1.0), (1, "any", 5, 2.0), (1, "any", 11, np.nan)]))
    assert (late.readings.quality & q.LATE).tolist() == [0, q.LATE, 0]
    assert len(late.readings) == 3
