"""States, health, late readings, changed registries: the rest of a processor's life."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.condition import Change
from core.errors import InvalidInputError
from core.registry import RegistrySnapshot
from models.types import load_type
from stream_processors.pipeline import Processor
from tests.unit.pipeline.world import T0, Run, of, pump, registry

MACHINE = """
type: m
name: M
lateness: 0 s
components: [{key: rotor, name: Rotor, criticality: 4}, {key: skin, name: Skin, criticality: 1}]
points:
  - {key: speed, component: rotor, unit: r/min, stale: 20 s}
  - {key: v, component: rotor, unit: mm/s, stale: 1 h}
  - {key: t, component: skin, unit: Cel, stale: 1 h}
states:
  - {name: fast, when: speed > 1000}
  - {name: slow, when: speed <= 1000}
limits:
  - {key: high, point: v, high: 10, priority: high, states: [fast]}
  - {key: trip, point: v, high: 20, priority: urgent}
  - {key: delayed, point: v, high: 15, on_delay: 1 min}
  - {key: warm, point: t, high: 50, priority: low}
"""


def world() -> Run:
    return Run(of(load_type(MACHINE)))


class TestStates:
    def test_are_unknown_before_the_first_proof_then_as_the_first_true_expression_says(self):
        run = world()
        for t, speed in enumerate([5.0, 2000.0, 2000.0, 5.0, 5.0]):
            run([(1, "speed", t, speed)])
        assert run.states == [(0.0, 1, "slow"), (1.0, 1, "fast"), (3.0, 1, "slow")]

    def test_outlast_a_sensor_s_hiccup_but_not_its_loss(self):
        run = world()
        run([(1, "speed", 0, 2000.0)])
        for t in range(1, 400, 10):
            run([(1, "t", t, 20.0 + t / 100)])
        # the speed is stale 20 s after its last reading, and five minutes later nobody knows any more
        assert run.states == [(0.0, 1, "fast"), (321.0, 1, "unknown")]


class TestLate:
    def late(self, *newer: float, at: float = 5.0, value: float = 25.0) -> Run:
        run = world()
        for t, v in enumerate(newer):
            run([(1, "speed", t + 10, 2000.0), (1, "v", t + 10, v)])
        run([(1, "v", at, value)])
        return run

    def test_a_crossing_that_nothing_newer_has_cleared_is_told_at_its_own_time(self):
        run = Run(of(load_type(MACHINE)))
        run([(1, "v", 6, 5.0)])
        run([(1, "v", 10, 5.0, 0x00), (1, "t", 10, 5.0)])
        outcome = run([(1, "v", 5, 25.0)])
        told = next(t for t in outcome.transitions if t.condition == "rotor/v/trip")
        assert (told.change, told.late, told.announce) == (Change.RAISED, True, True)

    def test_one_that_a_newer_good_reading_has_cleared_is_journalled_and_not_announced(self):
        outcome = self.late(5.0, 6.0).outcomes[-1]
        assert [(t.condition, t.change, (t.at - T0) / 1e6, t.announce) for t in outcome.transitions] == [
            ("rotor/v/trip", Change.RAISED, 5.0, False),
            ("rotor/v/trip", Change.CLEARED, 11.0, False),
        ]

    def test_it_reopens_nothing_and_proves_no_duration(self):
        run = self.late(5.0, 6.0)
        run([(1, "v", 12, 5.0), (1, "speed", 12, 2000.0)])
        assert not any(c == "rotor/v/delayed" for _, _, c, _ in run.transitions)
        assert run.outcomes[-1].transitions == ()

    def test_the_machine_s_state_is_the_one_of_its_time(self):
        run = world()
        for t in range(5):
            run([(1, "speed", t, 2000.0)])
        for t in range(5, 10):
            run([(1, "speed", t, 0.0)])
        run([(1, "v", 7, 12.0)])
        assert run.transitions == [], "high means something only when fast, and it was slow at 7"
        run([(1, "v", 3, 12.0)])
        assert next(t[2:] for t in run.transitions if "high" in t[2]) == ("rotor/v/high", "raised")

    def test_a_slower_second_gateway_is_watched_as_if_alone(self):
        run = world()
        for t in range(30):
            run([(1, "speed", t, 2000.0)])
            run([(1, "v", t - 5, 12.0 if t - 5 >= 10 else 1.0)])
        raised = [t for o in run.outcomes for t in o.transitions]
        assert [(t.condition, (t.at - T0) / 1e6, t.late, t.announce) for t in raised] == [
            ("rotor/v/high", 10.0, True, True)
        ]


class TestHealth:
    def run(self, v: float, t: float = 20.0, minutes: int = 10) -> dict[str, tuple[float, list[str]]]:
        run = world()
        for second in range(0, minutes * 60, 10):
            run([(1, "speed", second, 2000.0), (1, "v", second, v), (1, "t", second, t)])
        return {h.component: (h.index, [r.condition for r in h.reasons]) for o in run.outcomes for h in o.health}

    def test_is_full_when_nothing_is_wrong(self):
        assert self.run(1.0) == {"rotor": (100.0, []), "skin": (100.0, []), "": (100.0, [])}

    def test_falls_by_priority_with_reasons_and_the_important_component_weighs_most(self):
        hurt = self.run(12.0)
        assert hurt["rotor"][0] == pytest.approx(60.0, abs=0.2)
        assert hurt["rotor"][1] == ["rotor/v/high"]
        assert hurt["skin"][0] == 100.0
        scratched = self.run(1.0, t=60.0)
        assert scratched["skin"] == (90.0, ["skin/t/warm"])
        assert hurt[""][0] < scratched[""][0] < 100.0

    def test_comes_down_gently_as_a_value_nears_its_limit(self):
        far, near, nearer = (self.run(v, minutes=30)["rotor"][0] for v in (8.0, 9.0, 9.8))
        assert far == 100.0 > near > nearer > 90.0

    def test_is_told_at_most_once_a_minute_and_only_when_it_changed(self):
        run = world()
        for second in range(0, 1200, 5):
            run([(1, "speed", second, 2000.0), (1, "v", second, 12.0 if second > 600 else 1.0)])
        told = [(h.at - T0) / 1e6 for o in run.outcomes for h in o.health if h.component == "rotor"]
        assert len(told) == 2
        assert told[1] - 600 <= 65


class TestRegistry:
    def test_new_equipment_joins_and_what_was_there_goes_on(self):
        two, three = of(pump("0 s"), each=2), of(pump("0 s"), each=3)
        run = Run(two)
        readings = [(1, "speed", 0.0, 2000.0), (1, "pressure", 0.0, 25.0)]
        run(readings)
        assert run.transitions == [(0.0, 1, "pump/pressure/trip", "raised")]
        run.processor.reconfigure(replace(three, version=2))
        run.registry = three
        run([(1, "pressure", 1.0, 25.1), (3, "pressure", 1.0, 25.0)])
        run([(1, "pressure", 2.0, 5.0)])
        assert [t for t in run.transitions if t[2] == "pump/pressure/trip"][1:] == [
            (1.0, 3, "pump/pressure/trip", "raised"),
            (2.0, 1, "pump/pressure/trip", "cleared"),
        ]

    def test_a_changed_type_keeps_the_state_of_what_stayed(self):
        old = load_type(MACHINE)
        new = load_type(
            MACHINE.replace("- {key: t,", "- {key: extra, component: skin, unit: Cel}\n  - {key: t,").replace(
                "- {name: fast", "- {name: faster, when: speed > 5000}\n  - {name: fast"
            )
        )
        run = Run(registry({"m": old}, ["m"]))
        for t in range(3):
            run([(1, "speed", t, 2000.0), (1, "v", t, 12.0)])
        changed = registry({"m": new}, ["m"], version=2)
        run.processor.reconfigure(changed)
        run.registry = changed
        run([(1, "speed", 3, 2000.0), (1, "v", 3, 5.0)])
        assert run.transitions == [(1.0, 1, "rotor/v/high", "raised"), (3.0, 1, "rotor/v/high", "cleared")]
        assert run.states == [(0.0, 1, "fast")]

    def test_a_limit_that_is_no_more_clears_what_it_had_raised(self):
        old, new = load_type(MACHINE), load_type(MACHINE.replace("key: trip", "key: stop"))
        run = Run(registry({"m": old}, ["m"]))
        run([(1, "v", 0, 25.0)])
        run.processor.reconfigure(registry({"m": new}, ["m"], version=2))
        run([(1, "v", 1, 25.0)])
        assert run.transitions == [
            (0.0, 1, "rotor/v/trip", "cleared"),
            (0.0, 1, "rotor/v/trip", "raised"),
            (1.0, 1, "rotor/v/stop", "raised"),
        ]

    def test_the_same_version_changes_nothing(self):
        run = Run(of(pump()))
        fleet = run.processor.fleet
        run.processor.reconfigure(run.registry)
        assert run.processor.fleet is fleet

    def test_what_is_no_snapshot_is_refused(self):
        with pytest.raises(InvalidInputError, match="no processor snapshot"):
            Processor.restore(b"rubbish", RegistrySnapshot(1, {}, {}, {}))

    def test_readings_of_points_nobody_knows_pass_and_are_counted(self):
        run = Run(of(pump()))
        empty = Processor(RegistrySnapshot(1, {}, {}, {}))
        from tests.unit.pipeline.world import record

        outcome = empty.step(record(run.registry, [(1, "pressure", 0.0, 1.0)]))
        assert outcome.counts["core.unknown_point"] == 1
        assert len(outcome.readings) == 1
