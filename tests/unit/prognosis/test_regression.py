"""Remaining life learned from lives: what holds on machines the model has never seen."""

import numpy as np
import pytest

from core.errors import InvalidInputError
from models.prognosis.blend import Blend
from models.prognosis.features import TrendFeatures
from models.prognosis.forest import FlatForest
from models.prognosis.regimes import RegimeNormaliser
from models.prognosis.regression import LifeRegressor
from models.prognosis.signals import Life
from tests.unit.prognosis.wear import cut, lives

SMALL = Blend(trees=15, boosts=30, nets=1, layers=(16,), epochs=8)


@pytest.fixture(scope="module")
def model() -> LifeRegressor:
    return LifeRegressor(horizon=80.0, regressor=SMALL, folds=4).fit(lives(28, 1, regimes=3))


def test_machines_never_seen_are_foretold_better_near_their_end(model: LifeRegressor):
    test, left = cut(lives(60, 2, regimes=3), 3)
    said, true = model.remaining(test), np.minimum(left, 80.0)
    error = said.p50 - true
    assert np.sqrt(np.mean(error**2)) < 14
    assert np.sqrt(np.mean(error[true <= 20] ** 2)) < np.sqrt(np.mean(error[true > 50] ** 2))


def test_four_in_five_lie_within_their_interval(model: LifeRegressor):
    test, left = cut(lives(120, 4, regimes=3), 5)
    said, true = model.remaining(test), np.minimum(left, 80.0)
    inside = np.mean((said.p10 <= true) & (true <= said.p90))
    assert 0.66 <= inside <= 0.96
    assert (said.p10 <= said.p50).all()
    assert (said.p50 <= said.p90).all()
    assert said.p10.min() >= 0
    assert said.p90.max() <= 80


def test_regimes_are_found_and_not_given(model: LifeRegressor):
    assert len(model.signals_.regimes_.centres_) == 3
    assert len(RegimeNormaliser().fit(lives(3, 6)[0].settings, lives(3, 6)[0].sensors).centres_) == 1


def test_a_machine_without_settings_has_one_regime():
    plain = [Life(np.empty((len(life), 0)), life.sensors) for life in lives(8, 7)]
    model = LifeRegressor(horizon=60.0, regressor=SMALL, folds=0).fit(plain)
    assert model.remaining([plain[0].until(60)]).p50[0] > 40


def test_step_by_step_gives_what_the_whole_history_gives(model: LifeRegressor):
    one, other = lives(2, 8, regimes=3)
    n = min(len(one), len(other))
    fleet = model.start(2)
    for t in range(n):
        settings = np.stack([one.settings[t], other.settings[t]])
        said = fleet.step(settings, np.stack([one.sensors[t], other.sensors[t]]))
    assert said.p50[0] == pytest.approx(model.along(one).p50[n - 1], abs=1e-6)
    assert said.p90[1] == pytest.approx(model.along(other).p90[n - 1], abs=1e-6)


def test_only_some_machines_of_a_fleet_step():
    features = TrendFeatures(2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3, 2)).cumsum(0)
    state = features.start(3)
    for t in range(200):
        state.step(x[t, [0, 2]], np.array([0, 2]))
        if t % 2:
            now = state.step(x[t, [1]], np.array([1]))
    assert np.allclose(now[0], features.along(x[1::2, 1])[-1])
    assert state.steps.tolist() == [200, 100, 200]


def test_no_feature_knows_the_future():
    x = np.random.default_rng(1).normal(size=(90, 2)).cumsum(0)
    whole = TrendFeatures(2).along(x)
    assert np.allclose(whole[:50], TrendFeatures(2).along(x[:50]))
    assert whole.shape == (90, TrendFeatures(2).width)


def test_equal_lives_give_equal_models():
    test, _ = cut(lives(5, 9), 9)
    one, again = (LifeRegressor(horizon=80.0, regressor=SMALL, folds=2).fit(lives(5, 1)) for _ in range(2))
    assert np.array_equal(again.remaining(test).p90, one.remaining(test).p90)


def test_trees_as_arrays_answer_as_the_forest_does(model: LifeRegressor):
    forest = model.regressor_.forest_
    x = np.random.default_rng(2).normal(size=(40, model.features_.width))
    assert np.allclose(FlatForest(forest.estimators_).predict(x), forest.predict(x))


@pytest.mark.parametrize(
    ("histories", "says"),
    [
        ([], "no histories"),
        ([Life(np.zeros((3, 1)), np.full((3, 2), np.nan))], "gaps"),
        ([Life(np.zeros((2, 1)), np.zeros((3, 2)))], "3 rows of sensors and 2"),
        (lives(3, 1), "3 lives that came to an end are too few"),
        ([life.until(50) for life in lives(8, 1)], "0 lives"),
        ([Life(np.zeros((60, 1)), np.ones((60, 2))) for _ in range(8)], "no sensor moves"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_a_sentence(histories: list[Life], says: str):
    with pytest.raises(InvalidInputError, match=says):
        LifeRegressor(regressor=SMALL).fit(histories)


def test_machines_that_still_run_may_be_among_them():
    known = lives(12, 10)
    model = LifeRegressor(horizon=60.0, regressor=SMALL, folds=3).fit(
        [*known, *(life.until(90) for life in lives(4, 11))]
    )
    assert np.isfinite(model.remaining([known[0]]).p50).all()
