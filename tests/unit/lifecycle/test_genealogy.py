"""A part keeps its hours, its history and its costs, wherever it goes."""

from __future__ import annotations

import itertools
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConflictError
from core.lifecycle.genealogy import Deed, Genealogy, Step, total

MACHINES = ("M1", "M2", "M3")
RATE = {"M1": 3, "M2": 5, "M3": 7}
"""Hours that each machine counts per unit of time: different, so that no mix-up goes unseen."""


def counters(machine: str, at: int) -> dict[str, Fraction]:
    return {"hours": Fraction(RATE[machine] * at), "starts": Fraction(at // 10)}


def test_a_bearing_through_three_machines_and_one_remanufacture() -> None:
    tree = Genealogy(frozenset(MACHINES))
    for step in (
        Step(0, "B", Deed.BUILT, cost=Decimal("400.00")),
        Step(100, "B", Deed.INSTALLED, "M1", "de"),
        Step(300, "B", Deed.REMOVED, "M1", "de"),
        Step(310, "B", Deed.INSPECTED, grade="reuse", cost=Decimal("25.00")),
        Step(400, "B", Deed.INSTALLED, "M2", "nde"),
        Step(500, "B", Deed.REMOVED, "M2", "nde", failed=True),
        Step(520, "B", Deed.REMANUFACTURED, cost=Decimal("180.00")),
        Step(600, "B", Deed.INSTALLED, "M3", "de"),
    ):
        tree.add(step)
    first, second = tree.lives("B", counters, 700)
    assert [(s.machine, s.position, int(s.counted["hours"])) for s in first.stretches] == [
        ("M1", "de", 600),
        ("M2", "nde", 500),
    ]
    assert (int(first.counted["hours"]), first.ended, first.failed) == (1100, Deed.REMANUFACTURED, True)
    assert (int(second.counted["hours"]), second.ended, second.failed) == (700, None, False)
    assert total([first.counted, second.counted])["hours"] == 1800
    assert tree.cost("B") == Decimal("605.00")
    assert [s.deed for s in tree.steps("B")][-1] is Deed.INSTALLED
    assert tree.structure("M3", 650) == [(0, "de", "B")]
    assert tree.structure("M1", 350) == []
    assert tree.structure("M1", 200) == [(0, "de", "B")]


def test_a_part_of_an_assembly_goes_where_the_assembly_goes() -> None:
    tree = Genealogy(frozenset(MACHINES))
    for step in (
        Step(0, "GEAR", Deed.BUILT),
        Step(0, "B", Deed.BUILT),
        Step(10, "B", Deed.INSTALLED, "GEAR", "input"),
        Step(20, "GEAR", Deed.INSTALLED, "M1", "gearbox"),
        Step(50, "GEAR", Deed.REMOVED, "M1", "gearbox"),
        Step(60, "GEAR", Deed.INSTALLED, "M2", "gearbox"),
    ):
        tree.add(step)
    (life,) = tree.lives("B", counters, 100)
    assert [(s.machine, s.host, int(s.counted["hours"])) for s in life.stretches] == [
        ("M1", "GEAR", 90),
        ("M2", "GEAR", 200),
    ]
    assert tree.structure("M2", 70) == [(0, "gearbox", "GEAR"), (1, "input", "B")]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Step(50, "B", Deed.INSTALLED, "M2", "de"), "already"),
        (Step(50, "C", Deed.INSTALLED, "M1", "de"), "is at de of M1"),
        (Step(50, "B", Deed.REMOVED, "M2", "de"), "not in M2"),
        (Step(5, "B", Deed.INSPECTED), "later step"),
        (Step(50, "B", Deed.REMANUFACTURED), "still installed"),
        (Step(50, "B", Deed.BUILT), "built already"),
        (Step(50, "M1", Deed.INSTALLED, "M2", "x"), "is a machine"),
    ],
)
def test_what_cannot_have_happened_is_refused(step: Step, said: str) -> None:
    tree = Genealogy(frozenset(MACHINES))
    tree.add(Step(0, "B", Deed.BUILT))
    tree.add(Step(10, "B", Deed.INSTALLED, "M1", "de"))
    with pytest.raises(ConflictError, match=said):
        tree.add(step)


wishes = st.lists(
    st.tuples(
        st.integers(0, 30),  # time since the wish before
        st.sampled_from(["B1", "B2", "GEAR"]),
        st.sampled_from([Deed.INSTALLED, Deed.REMOVED, Deed.REMANUFACTURED, Deed.OVERHAULED, Deed.SCRAPPED]),
        st.sampled_from([*MACHINES, "GEAR"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 500),
    ),
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(wishes)
def test_whatever_is_done_nothing_is_in_two_places_and_no_hour_is_lost(
    orders: list[tuple[int, str, Deed, str, str, int]],
) -> None:
    tree = Genealogy(frozenset(MACHINES))
    now = 0
    paid: dict[str, Decimal] = {}
    for item in ("B1", "B2", "GEAR"):
        tree.add(Step(0, item, Deed.BUILT))
    for wait, item, deed, host, position, cents in orders:
        now += wait
        cost = Decimal(cents) / 100
        place = tree.place(item, now)
        if deed is Deed.REMOVED and place is not None:
            host, position = place
        try:
            tree.add(Step(now, item, deed, host, position, cost=cost))
        except ConflictError:
            continue
        paid[item] = paid.get(item, Decimal(0)) + cost
    end = now + 10
    for moment in range(0, end, 7):
        shown = [item for machine in MACHINES for _, _, item in tree.structure(machine, moment)]
        assert len(shown) == len(set(shown))
    for item in ("B1", "B2", "GEAR"):
        lives = tree.lives(item, counters, end)
        # hours, counted moment by moment in whatever machine it is then
        by_moment: dict[int, int] = {}
        for moment in range(end):
            machine = tree.machine(item, moment)
            life = sum(1 for s in tree.steps(item) if s.deed is Deed.REMANUFACTURED and s.at <= moment)
            scrapped = any(s.deed is Deed.SCRAPPED and s.at <= moment for s in tree.steps(item))
            if machine is not None and not scrapped:
                by_moment[life] = by_moment.get(life, 0) + RATE[machine]
        whole = sum(life.counted.get("hours", Fraction(0)) for life in lives)
        assert whole == sum(by_moment.values())
        assert tree.cost(item) == paid.get(item, Decimal(0))
        assert all(a.high == b.low for a, b in itertools.pairwise(lives))
