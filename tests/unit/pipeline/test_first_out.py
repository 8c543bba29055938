"""A trip's flood: the first alarm speaks, the others are its consequences."""

from __future__ import annotations

import numpy as np
import pytest

from core.condition import Change
from models.types import load_type
from tests.unit.pipeline.world import Run, of

PRIORITIES = ["medium"] * 6 + ["high"] * 5 + ["urgent"] * 2 + ["low"] * 2


def flood_type(window: str = "10 s"):
    points = "\n".join(f'  - {{key: p{i:02}, component: m, unit: "1"}}' for i in range(15))
    limits = "\n".join(f"  - {{key: a, point: p{i:02}, high: 10, priority: {p}}}" for i, p in enumerate(PRIORITIES))
    return load_type(
        f"type: f\nname: F\nlateness: 10 s\nconsequence_window: {window}\n"
        f"components: [{{key: m, name: M}}]\npoints:\n{points}\nlimits:\n{limits}\n"
    )


REGISTRY = of(flood_type())


@pytest.mark.parametrize("block", range(10))
def test_fifteen_crossings_in_ten_seconds_however_delivered(block):
    """First-out right in 100 of 100, at most two announced, the rest under it, all journalled."""
    for seed in range(block * 10, block * 10 + 10):
        rng = np.random.default_rng(seed)
        order = rng.permutation(15)
        crossed = dict(zip(order.tolist(), np.sort(rng.uniform(0, 10, 15)).round(3).tolist(), strict=True))
        readings = [
            (1, f"p{i:02}", float(t), 99.0 if t >= crossed[i] else 1.0)
            for i in range(15)
            for t in [*np.arange(-3.0, 12.0), crossed[i]]
        ]
        readings = sorted(readings, key=lambda r: r[2] + float(rng.uniform(0, 10)))
        run = Run(REGISTRY)
        for part in np.array_split(np.arange(len(readings)), 8):
            run([readings[i] for i in part])
        run([(1, "p00", 60.0, 99.0)])
        raised = [t for o in run.outcomes for t in o.transitions if t.change is Change.RAISED]
        first = f"m/p{order[0]:02}/a"
        assert len(raised) == 15
        assert [t.condition for t in raised if t.first_out is None] == [first]
        assert {t.first_out for t in raised if t.condition != first} == {first}
        announced = [t for t in raised if t.announce]
        assert 1 <= len(announced) <= 2
        assert announced[0].condition == first
        assert all(t.priority.rank < announced[0].priority.rank for t in announced[1:])


def test_after_the_window_an_alarm_stands_for_itself():
    run = Run(of(flood_type("5 s")))
    run([(1, "p00", 0.0, 99.0), (1, "p01", 5.0, 99.0), (1, "p02", 5.001, 99.0), (1, "p03", 100.0, 1.0)])
    raised = [t for o in run.outcomes for t in o.transitions]
    assert [(t.condition, t.first_out, t.announce) for t in raised] == [
        ("m/p00/a", None, True),
        ("m/p01/a", "m/p00/a", False),
        ("m/p02/a", None, True),
    ]


def test_at_one_instant_the_more_urgent_is_first_then_the_key():
    run = Run(of(flood_type()))
    run([(1, f"p{i:02}", 0.0, 99.0) for i in (14, 3, 12, 11)] + [(1, "p00", 100.0, 1.0)])
    raised = [t for o in run.outcomes for t in o.transitions]
    assert [t.condition for t in raised if t.first_out is None] == ["m/p11/a"]
    assert sum(t.announce for t in raised) == 1


def test_equipment_do_not_follow_from_each_other():
    run = Run(of(flood_type(), each=2))
    run([(e, "p00", 0.0, 99.0) for e in (1, 2)] + [(e, "p01", 100.0, 1.0) for e in (1, 2)])
    assert [t.first_out for o in run.outcomes for t in o.transitions] == [None, None]
