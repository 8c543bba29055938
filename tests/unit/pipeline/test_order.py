"""Event time decides, not delivery: cuts, displacement up to L, repetition and restarts change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.pipeline import learned
from tests.unit.pipeline.world import Reading, Run, of, pump

POINTS = ("speed", "pressure", "seal1.t", "seal2.t", "seal3.t")


def scenario(seed: int, frames: int = 24, machines: int = 2, split: bool = False) -> list[Reading]:
    """Restless machines: starts, stops, pressure crossing its limits, a seal running hot, bad readings, gaps."""
    rng = np.random.default_rng(seed)
    readings: list[Reading] = []
    for machine in range(1, machines + 1):
        t = 0.0
        running = True
        for _ in range(frames):
            t += float(rng.choice([0.5, 1.0, 1.0, 1.0, 3.0, 90.0], p=[0.1, 0.3, 0.3, 0.2, 0.09, 0.01]))
            if rng.random() < 0.08:
                running = not running
            values = {
                "speed": 3000.0 if running else 0.0,
                "pressure": float(rng.choice([8.0, 9.5, 11.0, 22.0], p=[0.4, 0.2, 0.3, 0.1])) + round(rng.random(), 3),
                "seal1.t": 40.0 + round(5 * rng.random(), 2),
                "seal2.t": 41.0 + round(5 * rng.random(), 2) + (20.0 if rng.random() < 0.2 else 0.0),
                "seal3.t": 39.0 + round(5 * rng.random(), 2),
            }
            for point in POINTS:
                if rng.random() < 0.9:
                    at = t + (round(0.3 * rng.random(), 3) if split else 0.0)
                    quality = 0x08 if rng.random() < 0.03 else 0xC0
                    readings.append((machine, point, at, values[point], quality))
    return sorted(readings, key=lambda r: r[2])


def run(readings: list[Reading], cuts: list[int], lateness: str, *, restart: bool = False) -> Run:
    world = Run(of(pump(lateness), each=2, models=learned.models()))
    for start, end in zip([0, *cuts], [*cuts, len(readings)], strict=True):
        world(readings[start:end])
        if restart:
            world.restart()
    last = max(r[2] for r in readings)
    world([], ticks=[last, last + 5, last + 60, last + 61])
    return world


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 10_000), st.lists(st.integers(0, 220), max_size=12), st.sampled_from(["0 s", "2 s"]), st.booleans()
)
def test_no_cut_of_the_stream_changes_anything(seed, cuts, lateness, split):
    readings = scenario(seed, split=split)
    cuts = sorted(min(c, len(readings)) for c in cuts)
    assert run(readings, cuts, lateness).said() == run(readings, [], lateness).said()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 220), max_size=8), st.sampled_from(["0 s", "2 s"]))
def test_nor_where_much_of_it_comes_late(seed, cuts, lateness):
    rng = np.random.default_rng(seed)
    readings = scenario(seed)
    displaced = sorted(readings, key=lambda r: r[2] + (float(rng.exponential(3.0)) if rng.random() < 0.2 else 0.0))
    cuts = sorted(min(c, len(readings)) for c in cuts)
    whole, cut = run(displaced, [], lateness), run(displaced, cuts, lateness)
    assert cut.said() == whole.said()
    late = [np.concatenate([o.readings.quality for o in r.outcomes]).tolist() for r in (whole, cut)]
    assert late[0] == late[1]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.booleans())
def test_displacement_up_to_l_and_repetition_change_nothing(seed, order, split):
    readings = scenario(seed, split=split)
    rng = np.random.default_rng(order)
    again = [r for r in readings if rng.random() < 0.15]
    delivered = sorted(readings + again, key=lambda r: r[2] + float(rng.uniform(0.0, 2.0)))
    cuts = sorted(int(c) for c in rng.integers(0, len(delivered), 10))
    shuffled = run(delivered, cuts, "2 s")
    assert shuffled.said() == run(readings, [], "2 s").said()
    assert not any((o.readings.quality & 1).any() for o in shuffled.outcomes)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.sampled_from(["0 s", "2 s"]))
def test_what_a_broker_sends_again_says_nothing_new(seed, order, lateness):
    """A stretch of the recent past once more, after a lost connection: behind every watermark, told already."""
    readings = scenario(seed)
    rng = np.random.default_rng(order)
    end = int(rng.integers(len(readings) // 2, len(readings)))
    start = max(0, end - int(rng.integers(5, 80)))
    again = [*readings[:end], *readings[start:end], *readings[end:]]
    once, twice = run(readings, [end], lateness), run(again, [end, end + (end - start)], lateness)
    assert twice.said() == once.said()


def test_a_bad_reading_that_is_sent_again_is_one_bad_reading():
    """Without lateness the last instant is looked at as it comes; what comes of it again does not count again."""
    world = Run(of(pump("0 s")))
    for _ in range(5):
        world([(1, "pressure", 1.0, 0.0, 0x08)])
    assert world.transitions == []


def test_displacement_of_exactly_l_is_not_late():
    """The watermark itself is not behind the watermark."""
    world = Run(of(pump("2 s")))
    world([(1, "pressure", 10.0, 8.0)])
    outcome = world([(1, "pressure", 8.0, 25.0)])
    assert outcome.readings.quality[0] == 0xC0
    world([(1, "pressure", 13.0, 8.0)])
    assert (8.0, 1, "pump/pressure/trip", "raised") in world.transitions


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 220), min_size=1, max_size=12), st.sampled_from(["0 s", "2 s"]))
def test_a_restart_at_any_boundary_changes_nothing(seed, cuts, lateness):
    readings = scenario(seed)
    cuts = sorted(min(c, len(readings)) for c in cuts)
    assert run(readings, cuts, lateness, restart=True).said() == run(readings, cuts, lateness).said()


def test_unequal_readings_at_one_instant_have_one_winner():
    """Better quality first, then the larger value; in whatever order they come."""
    for pair in ([21.0, 25.0], [25.0, 21.0]):
        world = Run(of(pump("2 s")))
        world([(1, "pressure", 1.0, v) for v in pair])
        world([(1, "pressure", 2.0, 500.0), (1, "pressure", 2.0, 24.0)], ticks=[10, 20])
        raised = [t for o in world.outcomes for t in o.transitions if t.condition == "pump/pressure/trip"]
        assert [t.value for t in raised] == [25.0]


@pytest.mark.parametrize("lateness", ["0 s", "2 s"])
def test_catching_up_in_one_batch_equals_living_through_it(lateness):
    readings = scenario(7, frames=120)
    one_by_one = run(readings, list(range(1, len(readings))), lateness)
    assert run(readings, [], lateness).said() == one_by_one.said()
    assert {version for _, _, _, version, *_ in one_by_one.prognoses} == {1, 2}
