"""Remaining life on the stream: the same answers however the stream is cut, restored or arranged."""

from __future__ import annotations

import numpy as np
import pytest

from core.time import DAY, HOUR, MINUTE
from models.prognosis.answer import NEVER
from models.prognosis.blend import Blend
from models.prognosis.online import OnlineLife, Told
from models.prognosis.regression import LifeRegressor
from models.prognosis.signals import Life
from models.prognosis.usage import UsageClock
from models.steps import StepMeans
from tests.unit.prognosis.wear import lives

ALL = np.arange(2)


@pytest.fixture(scope="module")
def model() -> LifeRegressor:
    small = Blend(trees=5, boosts=10, nets=1, layers=(8,), epochs=3)
    return LifeRegressor(horizon=60.0, regressor=small, folds=3, unit="h").fit(lives(9, 1))


class Watch:
    """Two machines under a model; the type's columns: six sensors, a point nobody asked for, three settings."""

    def __init__(self, model: LifeRegressor) -> None:
        self.steps = StepMeans(2, 10, HOUR)
        self.life = OnlineLife(model, np.arange(6), np.array([7, 8, 9]), HOUR, 2)

    def frame(self, rows: np.ndarray, at: np.ndarray, values: np.ndarray, running: np.ndarray) -> Told | None:
        ended = self.steps.frame(rows, at, values, running)
        return None if ended is None else self.life.ended(ended)


def frames(life: Life, step: int) -> np.ndarray:
    return np.concatenate([life.sensors[step], [999.0], life.settings[step]])


def test_a_prognosis_comes_at_the_end_of_each_step_in_which_the_machine_ran(model: LifeRegressor) -> None:
    one, other = lives(2, 2)
    on = Watch(model)
    told = []
    for step in range(60):
        for quarter in range(4):
            at = np.full(2, step * HOUR + quarter * 15 * MINUTE)
            runs = np.array([True, step % 2 == 0])
            # the second machine lives a step of its life every other hour
            values = np.stack([frames(one, step), frames(other, step // 2)])
            found = on.frame(ALL, at, values, runs)
            if found is not None:
                life = found.life
                columns = (found.rows, found.at, life.p50, found.calendar.p50, life.horizon > life.p50)
                told += list(zip(*columns, strict=True))
    mine, its = ([(a, p, date, ends) for r, a, p, date, ends in told if r == row] for row in (0, 1))
    assert [a for a, *_ in mine] == [(n + 1) * HOUR for n in range(59)]
    assert [p for _, p, *_ in mine] == pytest.approx(model.along(one).p50[:59])
    assert [a for a, *_ in its] == [(2 * n + 1) * HOUR for n in range(30)]
    assert [p for _, p, *_ in its] == pytest.approx(model.along(other).p50[:30])
    # dates, once a whole day is known: the one runs all day, the other half of it
    for lived, per_day in ((mine, 24), (its, 12)):
        assert all(date == NEVER for a, _, date, _ in lived if a <= DAY)
        late = [(a, p, date) for a, p, date, ends in lived if a > 2 * DAY + HOUR and ends]
        assert all(date == pytest.approx(a + p / per_day * DAY, abs=2) for a, p, date in late)


def test_a_restored_state_goes_on_as_if_nothing_had_happened(model: LifeRegressor) -> None:
    one, _ = lives(2, 3)
    through, before = Watch(model), Watch(model)
    for step in range(40):
        args = (np.array([0]), np.array([step * HOUR]), frames(one, step)[None], np.array([True]))
        whole = through.frame(*args)
        parts = before.frame(*args)
        if step == 20:
            after = Watch(model)
            for part in ("steps", "life"):
                for key, array in getattr(after, part).arrays().items():
                    array[...] = getattr(before, part).arrays()[key]
            before = after
    assert whole is not None
    assert parts is not None
    assert parts.life.p90[0] == whole.life.p90[0]
    assert parts.calendar.p10[0] == whole.calendar.p10[0]


def test_a_gap_keeps_the_last_value_and_a_point_that_never_spoke_is_waited_for(model: LifeRegressor) -> None:
    one, _ = lives(2, 4)
    on = Watch(model)
    silent = frames(one, 0)
    silent[3] = np.nan
    always = np.array([True])
    for step in range(3):
        assert on.frame(np.array([0]), np.array([step * HOUR]), silent[None], always) is None
    on.frame(np.array([0]), np.array([3 * HOUR]), frames(one, 0)[None], always)
    assert on.frame(np.array([0]), np.array([4 * HOUR]), silent[None], always) is not None
    assert on.frame(np.array([0]), np.array([5 * HOUR]), silent[None], always) is not None


@pytest.mark.parametrize("step", [MINUTE, 7 * MINUTE, HOUR])
def test_many_frames_at_once_are_what_single_frames_are(step: int) -> None:
    rng = np.random.default_rng(3)
    moments, machines = 200, 3
    values = rng.normal(50, 20, (moments, machines, 4))
    values[rng.random(values.shape) < 0.1] = np.nan
    running = rng.random((moments, machines)) < 0.8
    at = np.sort(rng.integers(0, 4 * HOUR, (moments, machines)), axis=0)
    rows = np.array([0, 2, 3])
    single, many = StepMeans(5, 4, step), StepMeans(5, 4, step)
    one_by_one = [(k, single.frame(rows, at[k], values[k], running[k])) for k in range(moments)]
    expected = [(k, ended) for k, ended in one_by_one if ended is not None]
    found = [
        (k + s, e)
        for s, part in ((0, slice(0, 90)), (90, slice(90, 270)))
        for k, e in many.frames(rows, at[part], values[part], running[part])
    ]
    assert [k for k, _ in found] == [k for k, _ in expected]
    for (_, a), (_, b) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.rows, b.rows)
        np.testing.assert_array_equal(a.at, b.at)
        np.testing.assert_array_equal(a.mean, b.mean)
    for key, array in single.arrays().items():
        np.testing.assert_array_equal(many.arrays()[key], array, err_msg=key)


def test_use_is_the_mean_of_whole_days_and_forgets_old_ones() -> None:
    clock, machine = UsageClock(2), np.array([1])
    for day in range(60):
        for step in range(4 if day < 30 else 8):
            low, usual, high = clock.step(machine, np.array([day * DAY + step * HOUR]))
            assert np.isnan(usual[0]) == (day < 2)
    assert (low[0], usual[0], high[0]) == pytest.approx((8.0, 8.0, 8.0))
    low, usual, high = clock.step(machine, np.array([66 * DAY]))
    assert usual[0] == pytest.approx(8 * 22 / 28)
    assert low[0] < usual[0] < high[0]
