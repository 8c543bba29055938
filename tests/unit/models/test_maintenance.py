"""Upkeep, pure: plans out of types, dates, verdicts after repairs, oil, preventive tasks, the calendar."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConflictError, InvalidInputError, TypeDefinitionError
from core.maintenance import (
    ADVISORY_STEPS,
    WORK_STEPS,
    AdvisoryEvent,
    AdvisoryState,
    WorkEvent,
    WorkState,
    reduce_advisory,
    reduce_work,
)
from core.maintenance_plan import Due, OilDef
from core.time import DAY, HOUR
from models.maintenance import oil
from models.maintenance.calendar import Crew, Job, Window, arrange, expected_loss
from models.maintenance.plan import plan_of
from models.maintenance.preventive import Use, due_date
from models.maintenance.urgency import Prognosis, advised_mode, merge, mode_of, plan_of_work, urgency
from models.maintenance.verification import Seen, Verdict, judge
from models.types import check_type, from_document, load_type, to_document

TYPE = """
type: fan
name: Fan
components:
  - {key: "bearing{n}", name: "Bearing {n}", repeat: {n: [1, 2]}}
points:
  - {key: "bearing{n}.v", component: "bearing{n}", unit: mm/s}
maintenance:
  currency: CHF
  tasks:
    - key: change
      name: "Change bearing {n}"
      component: "bearing{n}"
      modes: [wear, spall]
      parts: [{key: brg, quantity: 2}]
      duration: 4 h
      cost: "100.10"
      renews: true
    - {key: look, name: "Look at bearing {n}", component: "bearing{n}"}
    - {key: grease, name: Grease, component: "bearing{n}", every: {hours: 1000, calendar: 90 d}}
  parts:
    - {key: brg, name: Bearing, price: "12.35", lead: 7 d}
  oils:
    - {component: bearing1, lubricant: VG 32, viscosity: 32}
"""


# --- plans ---


def test_a_plan_survives_the_way_through_the_database():
    type_ = load_type(TYPE)
    assert from_document(to_document(type_)) == type_
    assert plan_of(to_document(type_)) == type_.maintenance


def test_the_answer_to_a_mode_is_the_task_that_names_it_else_the_one_for_anything():
    plan = load_type(TYPE).maintenance
    named, anything = plan.answer("bearing2", "wear"), plan.answer("bearing2", "noise")
    assert named is not None
    assert anything is not None
    assert (named[0].key, named[1], anything[0].key) == ("change", {"n": "2"}, "look")
    assert plan.answer("motor", "wear") is None


def test_work_carries_what_a_planner_needs_with_exact_money():
    plan = load_type(TYPE).maintenance
    found = plan.answer("bearing1", "wear")
    assert found is not None
    work = plan_of_work(plan, found[0], "bearing1", found[1])
    assert Decimal(work["cost"]) == Decimal("124.80")
    assert (work["name"], work["renews"], work["currency"]) == ("Change bearing 1", ["bearing1"], "CHF")


def test_modes_of_one_task_are_one_advisory():
    plan = load_type(TYPE).maintenance
    assert [advised_mode(plan, "bearing1", m) for m in ("wear", "spall", "noise")] == ["wear", "wear", "noise"]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ('component: "bearing{n}"\n      modes', "component: gear\n      modes"),
        ("key: brg, quantity", "key: seal, quantity"),
        ("duration: 4 h", "duration: soon"),
        ("component: bearing1, lubricant", "component: tank, lubricant"),
    ],
)
def test_what_is_wrong_in_a_plan_is_named(wrong: str, where: str):
    assert check_type(TYPE.replace(wrong, where))


def test_a_plan_with_an_unknown_key_is_refused():
    with pytest.raises(TypeDefinitionError, match="maintenance"):
        load_type(TYPE.replace("currency: CHF", "money: CHF"))


# --- dates ---


def line(priority: str, since: int, *, holds: bool = True) -> dict[str, object]:
    return {"priority": priority, "since": since, "holds": holds, "source": f"{priority}{since}", "at": since}


def test_without_a_prognosis_the_date_is_the_alarms_patience():
    found = urgency([line("medium", 0), line("low", -80 * DAY)], None, 0)
    assert found.due_at == 10 * DAY
    assert "90 d after a low alarm" in found.rule


def test_with_a_prognosis_the_date_is_its_early_end_and_makes_it_as_urgent():
    found = urgency([line("low", 0)], Prognosis(0, 5 * DAY, 9 * DAY, 19 * DAY), 0)
    assert (found.due_at, found.priority.value) == (5 * DAY, "high")
    assert "5.0 to 19 d" in found.rule


def test_what_no_longer_holds_is_not_urgent():
    with pytest.raises(ValueError, match="nothing holds"):
        urgency([line("high", 0, holds=False)], None, 0)


def test_evidence_of_one_source_keeps_since_when_it_holds():
    first = {"source": "a", "at": 1, "since": 1, "holds": True, "priority": "high"}
    again = merge([first], {**first, "at": 5, "since": 5})
    assert [(x["at"], x["since"]) for x in again] == [(5, 1)]
    gone = merge(again, {**first, "at": 9, "since": 9, "holds": False})
    assert (gone[0]["holds"], gone[0]["until"]) == (False, 9)
    back = merge(gone, {**first, "at": 20, "since": 20})
    assert (back[0]["holds"], back[0]["since"]) == (True, 20)


def test_a_limit_without_a_mode_is_told_apart_by_its_key():
    assert (mode_of(None, "a/b/high"), mode_of("wear", "a/b/high")) == ("high", "wear")


# --- after a repair ---


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Seen(0, HOUR, HOUR), Verdict.WATCHING),
        (Seen(0, 5 * HOUR, 4 * HOUR), Verdict.VERIFIED),
        (Seen(0, 5 * HOUR, 2 * HOUR, (("a/b/c", 3 * HOUR),)), Verdict.RELAPSED),
        (Seen(0, 2 * HOUR, HOUR, (("a/b/c", -HOUR),)), Verdict.WATCHING),
        (Seen(0, 5 * HOUR, 4 * HOUR, (("a/b/c", -HOUR),)), Verdict.RELAPSED),
        (Seen(0, 20 * DAY, HOUR), Verdict.UNPROVEN),
    ],
)
def test_a_repair_is_judged_by_running_without_the_fault(seen: Seen, verdict: Verdict):
    assert judge(seen, 4 * HOUR, 14 * DAY)[0] is verdict


# --- preventive ---


@pytest.mark.parametrize(
    ("due", "use", "at", "used"),
    [
        (Due(hours=100), Use(0, 10 * DAY, hours=50.0), 20 * DAY, 0.5),
        (Due(hours=100), Use(0, 10 * DAY, hours=120.0), 10 * DAY, 1.2),
        (Due(hours=100), Use(0, 10 * DAY, hours=0.0), None, 0.0),
        (Due(counter="n", count=10), Use(0, 5 * DAY, count=5.0), 10 * DAY, 0.5),
        (Due(calendar=30 * DAY, hours=100), Use(0, 10 * DAY, hours=80.0), round(12.5 * DAY), 0.8),
        (Due(point="p", high=5), Use(0, DAY, value=4.0), None, 0.0),
        (Due(point="p", high=5), Use(0, DAY, value=6.0), DAY, 1.0),
        (Due(point="p", low=5), Use(0, DAY, value=4.0), DAY, 1.0),
    ],
)
def test_a_task_is_due_by_what_is_used_up_first(due: Due, use: Use, at: int | None, used: float):
    found = due_date(due, use)
    assert found.due_at == at
    assert found.used == pytest.approx(used)


# --- oil ---

OIL = OilDef("tank", "VG 32", 32.0)


def test_each_figure_is_judged_by_its_own_limit_and_the_worst_comes_first():
    figures = {"viscosity_40": 36.0, "water": 600, "acid_number": 0.2, "cleanliness": "20/17/13", "metals": {"Fe": 30}}
    found = oil.judge(OIL, figures, 0, [])
    assert {x.figure: x.level for x in found} == {
        "water": "alarm",
        "cleanliness": "alarm",
        "viscosity_40": "warning",
        "metals.Fe": "warning",
        "acid_number": "good",
    }
    assert found[0].level == oil.worst(found) == "alarm"


def test_a_trend_needs_three_samples_and_bears_one_wrong_bottle():
    rising = [(d * DAY, {"water": 100.0 + d}) for d in (0, 10, 20, 30)]
    wrong = [*rising[:2], (15 * DAY, {"water": 900.0}), *rising[2:]]
    found = next(x for x in oil.judge(OIL, {"water": 140.0}, 40 * DAY, wrong) if x.figure == "water")
    assert found.per_year == pytest.approx(365.0, rel=0.15)
    assert found.days_to_alarm == pytest.approx(360.0, rel=0.15)
    assert oil.judge(OIL, {"water": 140.0}, 40 * DAY, rising[:1])[0].per_year is None


@pytest.mark.parametrize("text", ["", "18/16", "16/18/13", "40/30/20", "clean", "7"])
def test_a_cleanliness_that_is_none_is_refused(text: str):
    with pytest.raises(InvalidInputError, match="no cleanliness"):
        oil.iso_codes(text)


# --- the calendar ---


def week(hours: int = 8) -> list[Window]:
    return [Window(d, d * DAY + 6 * HOUR, d * DAY + (6 + hours) * HOUR) for d in range(1, 8)]


def test_work_on_one_machine_shares_a_stop():
    jobs = [Job(n, "K", f"job {n}", 120, due_at=(3 + n) * DAY, failure_cost=5_000.0) for n in (1, 2, 3)]
    found = arrange(jobs, week(), [Crew("a", 1)], 0, stop_cost=2_000.0)
    assert found.stops == 1
    assert found.cost < found.apart
    assert all(len(p.with_jobs) == 2 and any("shares one stop" in why for why in p.why) for p in found.placed)


def test_work_waits_for_its_parts_and_says_so():
    found = arrange([Job(1, "K", "", 60, due_at=DAY, earliest=4 * DAY, failure_cost=1e6)], week(), [], 0)
    (placed,) = found.placed
    assert placed.window is not None
    assert placed.window.id == 4
    assert any("its parts are there" in why for why in placed.why)


def test_people_bound_a_window():
    jobs = [Job(n, f"K{n}", "", 480, people=2, due_at=2 * DAY, failure_cost=50_000.0) for n in range(3)]
    found = arrange(jobs, week(), [Crew("a", 2)], 0)
    assert sorted(p.window.id for p in found.placed if p.window) == [1, 2, 3]


def test_a_skill_nobody_has_leaves_work_out_with_the_reason():
    (placed,) = arrange([Job(1, "K", "", 60, skills=("laser",), due_at=DAY)], week(), [Crew("a", 2)], 0).placed
    assert placed.window is None
    assert any("nobody has the skill laser" in why for why in placed.why)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(30, 600), st.integers(1, 3), st.integers(1, 20), st.integers(0, 5)),
        min_size=1,
        max_size=7,
    ),
    st.integers(1, 4),
)
def test_no_proposal_breaks_a_bound(drawn: list[tuple[int, int, int, int, int]], people: int):
    jobs = [
        Job(n, f"K{k}", "", minutes, crew, due_at=due * DAY, earliest=parts * DAY, failure_cost=1_000.0 * due)
        for n, (k, minutes, crew, due, parts) in enumerate(drawn)
    ]
    found = arrange(jobs, week(), [Crew("a", people)], 0)
    assert [p.job.id for p in sorted(found.placed, key=lambda p: p.job.id)] == list(range(len(jobs)))
    for window in week():
        here = [p.job for p in found.placed if p.window is not None and p.window.id == window.id]
        assert sum(j.minutes * j.people for j in here) <= people * 8 * 60 + 1e-6
        assert all(j.earliest <= window.start and j.minutes <= 8 * 60 and j.people <= people for j in here)
    total = sum(p.risk for p in found.placed) + 2_000.0 * found.stops
    assert found.cost == pytest.approx(total)


def test_one_in_ten_has_failed_at_the_date():
    job = Job(1, "K", "", 60, due_at=20 * DAY, failure_cost=100.0)
    assert expected_loss(job, 0, 20 * DAY) == pytest.approx(10.0)
    assert expected_loss(job, 0, 40 * DAY) > expected_loss(job, 0, 20 * DAY) > expected_loss(job, 0, DAY) > 0


# --- the tables ---


def test_every_state_can_be_left_or_is_an_end_and_every_event_is_used():
    ends = {WorkState.CANCELLED}
    assert {s.state for s in WORK_STEPS} | ends == set(WorkState)
    assert {s.event for s in WORK_STEPS} == set(WorkEvent)
    assert {s.state for s in ADVISORY_STEPS} == set(AdvisoryState)
    assert {s.event for s in ADVISORY_STEPS} == set(AdvisoryEvent)
    for steps in (WORK_STEPS, ADVISORY_STEPS):
        assert len({(s.state, s.event) for s in steps}) == len(steps)


def test_what_the_table_does_not_have_is_refused():
    with pytest.raises(ConflictError):
        reduce_work(WorkState.CLOSED, WorkEvent.START)
    with pytest.raises(ConflictError):
        reduce_work(WorkState.IN_PROGRESS, WorkEvent.COMPLETE, ready=False)
    with pytest.raises(ConflictError):
        reduce_advisory(AdvisoryState.RESTING, AdvisoryEvent.ACCEPT)
