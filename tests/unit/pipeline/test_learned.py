"""Learned models beside the stream: who looks, who speaks, and what stays when another is promoted."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from core.learned import ModelEntry
from core.registry import RegistrySnapshot
from core.telemetry import EventRecord, StreamRecord, TelemetryBatch
from core.time import DAY, HOUR, SECOND
from models.drift import DriftWatch, reference
from stream_processors.pipeline import Processor
from tests.unit.pipeline.learned import STEP, entry, normal
from tests.unit.pipeline.world import T0, Reading, Run, of, pump


def models() -> tuple[ModelEntry, ...]:
    return entry(), entry(version=2, champion=False, step_us=7 * SECOND)


def hours(begin: int, end: int, speed: float = 3000.0) -> list[Reading]:
    """A pump that runs well, a frame every five seconds."""
    still = {"speed": speed, "seal1.t": 42.0, "seal2.t": 44.0, "seal3.t": 41.0}
    return [
        (1, key, float(t), value)
        for t in range(begin, end, 5)
        for key, value in {**still, "pressure": 8.0 + t % 2 / 100}.items()
    ]


def world(*entries: ModelEntry) -> Run:
    return Run(of(pump("0 s"), models=entries))


def with_models(registry: RegistrySnapshot, *entries: ModelEntry) -> RegistrySnapshot:
    return replace(registry, version=registry.version + 1, models=entries)


def test_every_step_in_which_it_ran_has_a_prognosis_of_champion_and_challenger() -> None:
    run = world(*models())
    run(hours(0, 100))
    run(hours(100, 200, speed=0.0))
    run(hours(200, 300))
    told = [p for o in run.outcomes for p in o.prognoses]
    assert {(p.version, p.champion) for p in told} == {(1, True), (2, False)}
    ends = [p.at for p in told if p.champion]
    assert all(at % STEP == 0 for at in ends)
    assert not any(T0 + 110_000_000 < at <= T0 + 200_000_000 for at in ends)
    assert len(ends) in (19, 20)
    assert all(0 <= p.p10 <= p.p50 <= p.p90 <= p.horizon == 40.0 for p in told)
    assert {(p.unit, p.component) for p in told} == {("step", "pump")}


def test_prognoses_raise_no_alarms() -> None:
    run = world(*models())
    run(hours(0, 300))
    assert run.transitions == world().transitions == []


def test_a_challenger_that_is_promoted_goes_on_with_what_it_has_seen() -> None:
    one, two = entry(), entry(version=2, champion=False)
    before, after = entry(champion=False), entry(version=2)
    through, promoted = world(one, two), world(one, two)
    for run in (through, promoted):
        run(hours(0, 103))
    promoted.processor.reconfigure(with_models(promoted.registry, before, after))
    a, b = through(hours(103, 200)), promoted(hours(103, 200))
    assert [(p.at, p.version, p.p50) for p in a.prognoses] == [(p.at, p.version, p.p50) for p in b.prognoses]
    assert {p.version for p in b.prognoses if p.champion} == {2}


def test_a_new_version_begins_to_look_where_it_was_taken_up() -> None:
    run = world(entry())
    run(hours(0, 103))
    old = run.processor.fleet.types[0].learned.models[0].arrays()["trend.steps"][0]
    run.processor.reconfigure(with_models(run.registry, entry(), entry(version=2, champion=False)))
    kept, fresh = (s.arrays()["trend.steps"][0] for s in run.processor.fleet.types[0].learned.models)
    assert (kept, fresh) == (old, 0)
    outcome = run(hours(103, 125))
    assert {p.version for p in outcome.prognoses} == {1, 2}


def test_what_a_model_has_seen_outlives_a_restart_and_a_change_of_the_fleet() -> None:
    through, restarted = world(*models()), world(*models())
    for run in (through, restarted):
        run(hours(0, 103))
    more = of(pump("0 s"), each=2, models=models())
    restarted.processor = Processor.restore(restarted.processor.snapshot(), replace(more, version=2))
    assert restarted(hours(103, 200)).prognoses == through(hours(103, 200)).prognoses


def test_a_model_that_asks_for_a_point_the_type_has_no_more_is_not_used() -> None:
    run = world(entry(points=("pressure", "gone")))
    assert not run.processor.fleet.types[0].learned
    run(hours(0, 60))
    assert run.outcomes[-1].prognoses == ()


def warm(begin: int, end: int, **off: float) -> list[Reading]:
    """Seals that warm and cool together, as they did in training; some of them ``off`` by so much."""
    rng = np.random.default_rng(begin)
    found: list[Reading] = []
    for t in range(begin, end, 5):
        heat = float(np.sin(t / 400.0))
        values = {"speed": 3000.0, "pressure": 8.0 + 0.1 * heat}
        values |= {f"seal{n}.t": base + 2.0 * heat for n, base in ((1, 42.0), (2, 44.0), (3, 41.0))}
        for key, value in values.items():
            found.append((1, key, float(t), value + float(rng.normal(0, 0.02)) + off.get(key, 0.0)))
    return found


class TestNormalBehaviour:
    ONE = MappingProxyType({"seal1.t": 2.5})
    ALL = MappingProxyType({"seal1.t": 2.5, "seal2.t": -2.5, "seal3.t": 2.0, "pressure": 0.5})

    def said(self, run: Run) -> list[tuple[str, str, str]]:
        return [
            (t.condition, t.concern.value, t.change.value)
            for o in run.outcomes
            for t in o.transitions
            if "normal" in t.condition
        ]

    def watched(self, *entries: ModelEntry) -> Run:
        run = world(*entries)
        run(warm(0, 1500))
        assert self.said(run) == []
        return run

    def test_one_channel_alone_is_an_instrument_and_never_the_machine(self) -> None:
        run = self.watched(normal())
        run(warm(1500, 1800, **self.ONE))
        run(warm(1800, 2500))
        assert self.said(run) == [
            ("seal1/seal1.t/normal/pump", "instrument", "raised"),
            ("seal1/seal1.t/normal/pump", "instrument", "cleared"),
        ]
        raised = next(t for o in run.outcomes for t in o.transitions if "normal" in t.condition)
        assert raised.detail["contributions"]["seal1.t"] > 0.5
        assert "seal1.t" in raised.title
        assert "higher than expected" in raised.title
        assert not any(r.takes for o in run.outcomes for h in o.health for r in h.reasons if "normal" in r.condition)

    def test_several_at_once_are_the_machine_and_cost_it_health(self) -> None:
        run = self.watched(normal())
        run(warm(1500, 1800, **self.ALL))
        ((condition, concern, change),) = self.said(run)
        assert (concern, change) == ("machine", "raised")
        component = condition.removesuffix("/normal/pump")
        ill = [h for o in run.outcomes for h in o.health if h.component == component][-1]
        assert ill.index <= 80.0
        assert condition in [r.condition for r in ill.reasons]

    def test_an_instrument_that_others_join_becomes_the_machine(self) -> None:
        run = self.watched(normal())
        run(warm(1500, 1700, **self.ONE))
        run(warm(1700, 2000, **self.ALL))
        first, *then = [(concern, change) for _, concern, change in self.said(run)]
        assert first == ("instrument", "raised")
        assert sorted(then) == [("instrument", "cleared"), ("machine", "raised")]

    def test_a_challenger_says_nothing_and_what_it_would_have_said_is_kept(self) -> None:
        run = self.watched(normal(champion=False))
        run(warm(1500, 1800, **self.ALL))
        assert self.said(run) == []
        scores = [s for o in run.outcomes for s in o.scores]
        assert [s.change for s in scores if s.change] == ["raised"]
        assert not any(s.champion for s in scores)
        looks = [s for s in scores if s.change is None]
        assert len({s.at // (600 * SECOND) for s in looks}) == len(looks) >= 3

    def test_what_a_champion_holds_goes_with_it(self) -> None:
        run = self.watched(normal())
        run(warm(1500, 1800, **self.ALL))
        run.processor.reconfigure(with_models(run.registry))
        run([])
        assert [change for _, _, change in self.said(run)] == ["raised", "cleared"]

    def test_a_challenger_that_is_promoted_says_what_it_holds_already(self) -> None:
        run = self.watched(normal(champion=False))
        run(warm(1500, 1800, **self.ALL))
        run.processor.reconfigure(with_models(run.registry, normal()))
        run([])
        assert [change for _, _, change in self.said(run)] == ["raised"]

    def test_a_repair_clears_what_stood_and_the_machine_is_learned_anew(self) -> None:
        run = self.watched(normal())
        run(warm(1500, 1800, **self.ALL))
        event = EventRecord(1, "maintenance", T0 + 1805 * SECOND, {"renewed": ["seal1", "seal2", "seal3"]})
        run.processor.step(StreamRecord(TelemetryBatch.empty(), events=(event,)))
        run(warm(1810, 2400, **self.ALL))
        assert [change for _, _, change in self.said(run)] == ["raised", "cleared"]
        (memory,) = run.processor.fleet.types[0].learned.normal
        assert memory.memory.learned[0] < 700.0

    def test_after_a_stop_it_settles_before_it_speaks(self) -> None:
        run = self.watched(normal())
        run([(1, key, t, 0.0 if key == "speed" else v) for _, key, t, v, *_ in warm(1500, 1800, **self.ALL)])
        assert self.said(run) == []
        outcome = run(warm(1800, 1830, **self.ALL))
        assert [t.condition for t in outcome.transitions if "normal" in t.condition] == []


class TestDrift:
    def week(self, watch: DriftWatch, mean: float, begin: int = 0) -> list[float]:
        rng = np.random.default_rng(5)
        found = []
        for hour in range(8 * 24):
            values = np.array([[rng.normal(mean, 2.0), np.nan]])
            moved = watch.ended(np.array([0]), np.array([begin + hour * HOUR]), values)
            if moved is not None:
                assert moved.at[0] - moved.since[0] >= 7 * DAY
                assert np.isnan(moved.index[0, 1])
                found.append(float(moved.index[0, 0]))
        return found

    def watch(self) -> DriftWatch:
        rng = np.random.default_rng(4)
        return DriftWatch(reference({"t": rng.normal(40.0, 2.0, 2000), "u": rng.normal(0, 1, 2000)}), ("t", "u"), 1)

    def test_what_looks_like_the_training_window_has_not_drifted(self) -> None:
        (index,) = self.week(self.watch(), 40.0)
        assert index < 0.15

    def test_what_has_moved_by_a_standard_deviation_has(self) -> None:
        (index,) = self.week(self.watch(), 42.0)
        assert index > 0.5

    def test_the_stream_notes_it_once_a_window_and_per_machine(self) -> None:
        run = world(entry(step_us=HOUR))
        frames = [
            (1, key, float(t), value)
            for t in range(0, 9 * 86400, 1800)
            for key, value in (
                ("speed", 3000.0),
                ("pressure", 8.0),
                ("seal1.t", 60.0),
                ("seal2.t", 40.0),
                ("seal3.t", 41.0),
            )
        ]
        run(frames)
        (note,) = [d for o in run.outcomes for d in o.drifts]
        assert note.drifted
        assert max(note.points, key=lambda key: note.points[key]) == "seal1.t"
        assert note.index == note.points["seal1.t"]
