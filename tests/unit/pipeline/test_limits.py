"""Limits as ISA-18.2 has them: deadband, delays, states, settling, suppression, vetoes. One line of a table per
rule."""

from __future__ import annotations

import numpy as np
import pytest

from models.types import load_type
from tests.unit.pipeline.world import Run, of, series

NAN = float("nan")


def machine(limit: str, *, extra: str = "", lateness: str = "0 s") -> Run:
    """One machine with x, y and mode; ``limit`` on x."""
    text = f"""
type: m
name: M
lateness: {lateness}
components: [{{key: m, name: M}}]
points:
  - {{key: x, component: m, unit: "1", stale: 60 s, range: [-1000, 1000]}}
  - {{key: y, component: m, unit: "1", stale: 1 h}}
  - {{key: mode, component: m, unit: "1", stale: 1 d}}
states:
  - {{name: "on", when: mode == 1}}
  - {{name: "off", when: mode == 0}}
  - {{name: slow, when: mode == 2}}
limits:
  - {{key: a, point: x, {limit}}}
{extra}
"""
    return Run(of(load_type(text)))


def story(run: Run) -> list[tuple[float, str]]:
    return [(at, change) for at, _, condition, change in run.transitions if condition == "m/x/a"]


@pytest.mark.parametrize(
    ("limit", "values", "expected"),
    [
        # plain
        ("high: 10", [9, 10, 10.1, 10.2, 10, 9], [(2, "raised"), (4, "cleared")]),
        ("low: 10", [11, 10, 9.9, 9, 10, 11], [(2, "raised"), (4, "cleared")]),
        # deadband: clears only when back by it
        ("high: 10, deadband: 2", [11, 9, 8.1, 9, 11, 8, 7], [(0, "raised"), (5, "cleared")]),
        ("low: -5, deadband: 1", [-6, -5, -4.5, -4, -5], [(0, "raised"), (3, "cleared")]),
        # on-delay: holds on every good reading; one good reading on the other side starts anew
        ("high: 10, on_delay: 3 s", [11, 11, 11, 11, 11], [(3, "raised")]),
        ("high: 10, on_delay: 3 s", [11, 11, 10, 11, 11, 11, 11], [(6, "raised")]),
        ("high: 10, on_delay: 3 s", [11, 11, NAN, 11, 11], [(3, "raised")]),
        # off-delay: back by the deadband for that long
        ("high: 10, off_delay: 2 s", [11, 9, 9, 9], [(0, "raised"), (3, "cleared")]),
        ("high: 10, off_delay: 2 s", [11, 9, 11, 9, 9, 9], [(0, "raised"), (5, "cleared")]),
        ("high: 10, deadband: 2, off_delay: 2 s", [11, 8, 9, 8, 8, 8], [(0, "raised"), (5, "cleared")]),
        # unknown decides nothing
        ("high: 10", [11, NAN, NAN, 11, 9], [(0, "raised"), (4, "cleared")]),
        # outside the instrument's range is bad, and bad decides nothing
        ("high: 10", [5, 2000, 5], []),
    ],
)  # fmt: skip
def test_truth_table(limit, values, expected):
    run = machine(limit)
    for reading in series("x", values):
        run([reading])
    assert story(run) == expected


def test_a_gap_longer_than_stale_starts_the_delay_anew():
    run = machine("high: 10, on_delay: 3 s")
    for at in (0, 1, 100, 101, 102, 103):
        run([(1, "x", at, 11.0)])
    assert story(run) == [(103, "raised")]


def test_noise_around_a_limit_never_makes_an_alarm_oscillate():
    rng = np.random.default_rng(0)
    run = machine("high: 10, deadband: 1, on_delay: 5 s, off_delay: 5 s")
    run(series("x", 10 + 0.3 * rng.normal(size=5000)))
    assert len(story(run)) <= 1


def with_mode(run: Run, steps: list[tuple[int, float]]) -> None:
    for at, (mode, x) in enumerate(steps):
        run([(1, "mode", at, mode), (1, "x", at, x)])


def test_a_limit_speaks_only_in_its_states():
    run = machine("high: 10, states: ['on']")
    # the state of a frame is known once it is complete: a reading is judged by the frames before it
    with_mode(run, [(0, 99), (0, 99), (1, 99), (1, 99), (1, 99)])
    assert story(run) == [(3, "raised")]


def test_and_only_when_settled():
    run = machine("high: 10, states: ['on'], settle: 3 s")
    with_mode(run, [(0, 99), (1, 99), (1, 99), (1, 99), (1, 99), (1, 99)])
    assert story(run) == [(4, "raised")]


def test_leaving_the_states_suppresses_and_coming_back_tells_what_is_so():
    steps = [
        (1, 5),
        (1, 99),
        (1, 99),
        (0, 99),
        (0, 5),
        (1, 5),
        (1, 99),
        (1, 99),
        (1, 99),
        (0, 99),
        (1, 99),
        (1, 5),
        (1, 5),
        (1, 5),
    ]
    run = machine("high: 10, states: ['on'], settle: 2 s")
    with_mode(run, [(1, 5), *steps])
    # on since 0; raised at 2; off at 4: suppressed; on since 6: settled at 8, still high: it speaks again;
    # off at 10: suppressed; on since 11, settled at 13, gone: cleared
    assert story(run) == [(2, "raised"), (4, "suppressed"), (8, "unsuppressed"), (10, "suppressed"), (13, "cleared")]


def test_a_pending_delay_does_not_survive_leaving_the_states():
    run = machine("high: 10, states: ['on'], on_delay: 3 s")
    with_mode(run, [(1, 5), (1, 99), (1, 99), (0, 99), (1, 99), (1, 99), (1, 99), (1, 99), (1, 99)])
    assert story(run) == [(8, "raised")]


def test_values_per_state():
    run = machine("high: {'on': 10, slow: 5}")
    with_mode(run, [(1, 7), (1, 7), (2, 7), (2, 7), (0, 99), (0, 99)])
    assert story(run) == [(3, "raised"), (4, "suppressed")]


def test_unless_vetoes_raising_but_not_clearing():
    run = machine("high: 10, unless: 'y > 1'")
    for at, (y, x) in enumerate([(0, 5), (2, 5), (2, 99), (0, 99), (0, 99), (2, 99), (2, 5)]):
        run([(1, "y", at, y), (1, "x", at, x)])
    assert story(run) == [(4, "raised"), (6, "cleared")]


def test_a_limit_on_a_derived_point_is_checked_when_its_frame_is_complete():
    extra = ""
    run = machine("high: 10", extra=extra)
    text = """
type: d
name: D
lateness: 0 s
components: [{key: m, name: M}]
points: [{key: a, component: m, unit: "1"}, {key: b, component: m, unit: "1"}]
derived: [{key: s, component: m, unit: "1", formula: "a + b"}]
limits: [{key: high, point: s, high: 10}]
"""
    run = Run(of(load_type(text)))
    run([(1, "a", 0.0, 6.0)])
    run([(1, "b", 0.0, 6.0)])
    assert run.transitions == []
    run([(1, "a", 1.0, 6.0)])
    assert run.transitions == [(0.0, 1, "m/s/high", "raised")]


def test_an_equipment_that_falls_silent_has_its_last_frame_judged():
    run = machine("high: 10", lateness="5 s")
    run([(1, "x", 0.0, 99.0)], ticks=[0])
    run([], ticks=[1, 2, 3, 4, 5, 6])
    assert story(run) == []
    run([], ticks=[7])
    assert story(run) == [(0.0, "raised")]


class TestInstrumentsVeto:
    """While an instrument is suspect, machine limits that rest on it say nothing."""

    TEXT = """
type: v
name: V
lateness: 0 s
components: [{key: m, name: M}]
points:
  - {key: x, component: m, unit: "1", stale: 1 h}
  - {key: drift, component: m, unit: "1", stale: 1 h}
derived:
  - {key: twice, component: m, unit: "1", formula: "2 * x", stale: 1 h}
limits:
  - {key: drifts, point: drift, high: 1, concern: instrument, vetoes: [x]}
  - {key: high, point: x, high: 10}
  - {key: high, point: twice, high: 20}
"""

    def test_directly_and_through_formulas_until_it_is_well(self):
        run = Run(of(load_type(self.TEXT)))
        run([(1, "drift", 0, 5.0), (1, "x", 0, 1.0)])
        run([(1, "drift", 1, 5.0), (1, "x", 1, 99.0)])
        run([(1, "drift", 2, 5.0), (1, "x", 2, 99.0)])
        assert [t[2:] for t in run.transitions] == [("m/drift/drifts", "raised")]
        run([(1, "drift", 3, 0.0), (1, "x", 3, 99.0)])
        run([(1, "drift", 4, 0.0), (1, "x", 4, 99.0)])
        assert [t[2:] for t in run.transitions] == [
            ("m/drift/drifts", "raised"),
            ("m/drift/drifts", "cleared"),
            ("m/twice/high", "raised"),
            ("m/x/high", "raised"),
        ]


def test_a_title_tells_what_where_and_how_much_over_what():
    run = machine("high: 10, priority: urgent, title: 'X of {component} runs away'")
    outcome = run([(1, "x", 0, 12.3456)])
    assert outcome.transitions[0].title == "X of M runs away (12.35, limit 10)"
    assert outcome.transitions[0].detail["side"] == "high"
