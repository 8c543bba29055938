"""The trial of policies agrees with renewal theory where that has an answer, and no policy beats perfect foresight."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.maintenance.fleet import World, draw
from workbench.maintenance.policies import POLICIES, SETTLING, YEAR
from workbench.maintenance.report import FALSE_ALARMS, LEADS, Report, page, trial

WORLD = World.of_catalogue()


def test_the_costs_are_the_catalogues():
    assert (WORLD.planned, WORLD.failed) == (1900 + 640 + 38, 68_000)


def test_the_best_age_is_where_the_cost_rate_is_least():
    best = WORLD.best_age()
    assert all(WORLD.cost_rate(best) <= WORLD.cost_rate(best * f) for f in (0.5, 0.9, 1.1, 2.0))
    # with a constant hazard there is nothing to be gained by age
    assert WORLD.but(shape=1.0).best_age() > 2 * WORLD.scale


def test_running_to_failure_and_the_best_age_cost_what_renewal_theory_says():
    many = WORLD.but(machines=800)
    failing = trial(many, "run to failure", [1, 2])
    assert failing.cost == pytest.approx(365 * WORLD.failed / WORLD.mean_life(), rel=0.06)
    best = trial(many, "best age", [1, 2])
    assert best.cost == pytest.approx(365 * WORLD.cost_rate(WORLD.best_age()), rel=0.1)


def test_nothing_costs_less_than_foresight_and_advisories_beat_the_clock():
    costs = {policy: trial(WORLD, policy, [1]).cost for policy in POLICIES}
    assert min(costs, key=lambda policy: costs[policy]) == "perfect foresight"
    assert costs["advisories"] < costs["best age"] < costs["run to failure"]


def test_a_seed_draws_the_same_lives_whatever_alarms_are_like():
    days = SETTLING + YEAR
    one, other = draw(WORLD, 5, days), draw(WORLD.but(false_alarms=1.0, lead=2.0), 5, days)
    assert np.array_equal(one.life, other.life)
    assert sum(map(len, other.false_alarms)) > 20 * sum(map(len, one.false_alarms))


def test_the_page_is_made_of_figures():
    found = tuple(trial(WORLD.but(machines=4), policy, [1, 2]) for policy in POLICIES)
    rates = {(r, d): 1_000.0 for r in FALSE_ALARMS for d in LEADS}
    text = page(Report(WORLD, WORLD.best_age(), found, rates, 2, 1))
    assert "| perfect foresight |" in text
    assert "{" not in text
