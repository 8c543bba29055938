"""Remaining life on the stream: the same answers however the stream is cut, restored or arranged."""

import numpy as np
import pytest

from core.time import HOUR, MINUTE
from models.prognosis.blend import Blend
from models.prognosis.online import OnlineLife
from models.prognosis.regression import LifeRegressor
from models.prognosis.signals import Life
from tests.unit.prognosis.wear import lives

ALL = np.arange(2)


@pytest.fixture(scope="module")
def model() -> LifeRegressor:
    small = Blend(trees=5, boosts=10, nets=1, layers=(8,), epochs=3)
    return LifeRegressor(horizon=60.0, regressor=small, folds=3, unit="h").fit(lives(9, 1))


def online(model: LifeRegressor) -> OnlineLife:
    # the type's columns: six sensors, a point nobody asked for, three settings
    return OnlineLife(model, np.arange(6), np.array([7, 8, 9]), HOUR, 2)


def frames(life: Life, step: int) -> np.ndarray:
    return np.concatenate([life.sensors[step], [999.0], life.settings[step]])


def test_a_prognosis_comes_at_the_end_of_each_step_in_which_the_machine_ran(model: LifeRegressor):
    one, other = lives(2, 2)
    on = online(model)
    told = []
    for step in range(60):
        for quarter in range(4):
            at = np.full(2, step * HOUR + quarter * 15 * MINUTE)
            runs = np.array([True, step % 2 == 0])
            # the second machine lives a step of its life every other hour
            values = np.stack([frames(one, step), frames(other, step // 2)])
            found = on.frame(ALL, at, values, runs)
            if found is not None:
                told += [(int(r), int(a), p) for r, a, p in zip(found.rows, found.at, found.life.p50, strict=True)]
    mine, its = ([(a, p) for r, a, p in told if r == row] for row in (0, 1))
    assert [a for a, _ in mine] == [(n + 1) * HOUR for n in range(59)]
    assert [p for _, p in mine] == pytest.approx(model.along(one).p50[:59])
    assert [a for a, _ in its] == [(2 * n + 1) * HOUR for n in range(30)]
    assert [p for _, p in its] == pytest.approx(model.along(other).p50[:30])


def test_a_restored_state_goes_on_as_if_nothing_had_happened(model: LifeRegressor):
    one, _ = lives(2, 3)
    through, before = online(model), online(model)
    for step in range(40):
        args = (np.array([0]), np.array([step * HOUR]), frames(one, step)[None], np.array([True]))
        whole = through.frame(*args)
        parts = before.frame(*args)
        if step == 20:
            after = online(model)
            after.load({key: value.copy() for key, value in before.dump().items()})
            before = after
    assert whole is not None
    assert parts is not None
    assert parts.life.p90[0] == whole.life.p90[0]


def test_a_gap_keeps_the_last_value_and_a_point_that_never_spoke_is_waited_for(model: LifeRegressor):
    one, _ = lives(2, 4)
    on = online(model)
    silent = frames(one, 0)
    silent[3] = np.nan
    always = np.array([True])
    for step in range(3):
        assert on.frame(np.array([0]), np.array([step * HOUR]), silent[None], always) is None
    on.frame(np.array([0]), np.array([3 * HOUR]), frames(one, 0)[None], always)
    assert on.frame(np.array([0]), np.array([4 * HOUR]), silent[None], always) is not None
    assert on.frame(np.array([0]), np.array([5 * HOUR]), silent[None], always) is not None
