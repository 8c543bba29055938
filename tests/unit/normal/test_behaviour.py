"""Normal behaviour: what moves is named, weather and load are not; the stream may be cut anywhere."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInputError
from models import packing
from models.normal.behaviour import History, NormalBehaviour, Scores
from models.normal.operating import OperatingPoint
from models.normal.products import product
from tests.unit.normal.machines import SENSORS, STEP, machine, model, moved

SINCE = 500


@pytest.fixture(scope="module")
def fitted() -> NormalBehaviour:
    return model().fit([machine(seed) for seed in range(4)])


@pytest.fixture(scope="module")
def stranger() -> History:
    """A machine that was not learned from."""
    return machine(99)


def frames(
    fitted: NormalBehaviour, histories: list[History], cuts: list[int], scored: np.ndarray | None = None
) -> tuple[list[Scores], dict[str, np.ndarray]]:
    """A fleet scored frame by frame; at ``cuts`` the state goes through a dump into a new one."""
    state = fitted.start(len(histories))
    rows = np.arange(len(histories))
    said = []
    for k in range(len(histories[0])):
        if k in cuts:
            image = state.dump()
            state = fitted.start(len(histories))
            state.load(image)
        at = np.array([h.ts[k] for h in histories])
        settings, sensors = (np.stack([getattr(h, name)[k] for h in histories]) for name in ("settings", "sensors"))
        said.append(fitted.step(state, rows, at, settings, sensors, None if scored is None else scored[k]))
    return said, state.dump()


def test_a_healthy_machine_that_nobody_has_seen_is_left_in_peace(fitted: NormalBehaviour, stranger: History):
    scores = fitted.run(stranger)
    assert scores.ready.mean() > 0.95
    assert not scores.alarm.any()
    assert scores.cold[0] != scores.cold[0]
    assert scores.cold[100] > 0.5
    assert scores.cold[-1] == 0.0


@pytest.mark.parametrize(("column", "sign"), [(0, -1.0), (1, 1.0), (2, -1.0), (3, 1.0), (4, -1.0)])
def test_the_sensor_that_moved_is_named_with_its_direction_and_the_instrument_suspected(
    fitted: NormalBehaviour, stranger: History, column: int, sign: float
):
    by = sign * [4.0, 4.0, 4.0, 6.0, 0.2][column]
    scores = fitted.run(moved(stranger, column, by, SINCE))
    late = SINCE + 100
    assert not scores.alarm[:SINCE].any()
    assert scores.alarm[late:].all()
    assert scores.contribution[late].argmax() == column
    assert scores.contribution[late].sum() == pytest.approx(1.0)
    assert np.sign(scores.against[late, column]) == sign
    assert scores.residual[late, column] == pytest.approx(by, rel=0.4)
    assert scores.instrument[late] == column
    said = fitted.words(scores, late)
    assert said.startswith(SENSORS[column])
    assert ("above" if sign > 0 else "below") in said
    assert "suspect the instrument" in said


def test_where_the_physics_moves_no_instrument_is_suspected(fitted: NormalBehaviour, stranger: History):
    hot = moved(moved(moved(stranger, 0, 6.0, SINCE), 1, 3.0, SINCE), 3, 8.0, SINCE)
    scores = fitted.run(hot)
    assert scores.alarm[SINCE + 100 :].all()
    assert (scores.instrument[SINCE + 100 :] == -1).all()


def test_a_stuck_channel_is_an_instrument(fitted: NormalBehaviour, stranger: History):
    sensors = stranger.sensors.copy()
    sensors[SINCE:, 3] = sensors[SINCE, 3]
    scores = fitted.run(History(stranger.ts, stranger.settings, sensors))
    found = scores.alarm[SINCE:]
    assert found.any()
    suspects = scores.instrument[SINCE:][found]
    assert (suspects == 3).mean() > 0.9


def test_units_and_zero_points_do_not_matter(fitted: NormalBehaviour, stranger: History):
    factor, zero = np.array([1.8, 1.8, 1.8, 0.001, 1e5]), np.array([32.0, 32.0, 32.0, 0.0, -7.0])

    def told(h: History) -> History:
        return History(h.ts, 60.0 * h.settings, h.sensors * factor + zero)

    other = model().fit([told(machine(seed)) for seed in range(4)])
    faulty = moved(stranger, 1, 3.0, SINCE)
    one, two = fitted.run(faulty), other.run(told(faulty))
    assert np.allclose(one.distance, two.distance, rtol=1e-5, equal_nan=True)
    assert np.allclose(one.residual * factor, two.residual, rtol=1e-5, atol=1e-9, equal_nan=True)
    assert (one.alarm == two.alarm).all()


def test_any_cut_of_the_stream_and_any_company_gives_the_same_bits(fitted: NormalBehaviour):
    fleet = [moved(machine(20 + i, 160), i % 5, 4.0, 80) for i in range(40)]
    whole, end = frames(fitted, fleet, [])
    cut, end_cut = frames(fitted, fleet, [1, 77, 120])
    few, _ = frames(fitted, fleet[7:10], [])
    for a, b, c in zip(whole, cut, few, strict=True):
        for name in ("distance", "against", "residual", "contribution", "alarm", "instrument"):
            x = getattr(a, name)
            assert np.array_equal(x, getattr(b, name), equal_nan=x.dtype.kind == "f")
            assert np.array_equal(x[7:10], getattr(c, name), equal_nan=x.dtype.kind == "f")
    assert all(np.array_equal(end[name], end_cut[name]) for name in end)


def test_a_row_of_a_product_does_not_depend_on_its_company():
    rng = np.random.default_rng(0)
    x, matrix = rng.normal(size=(101, 37)), rng.normal(size=(37, 37))
    whole = product(x, matrix)
    assert np.allclose(whole, x @ matrix)
    for first, end in ((0, 1), (3, 35), (50, 101), (99, 100)):
        assert np.array_equal(product(x[first:end], matrix), whole[first:end])


def test_what_comes_late_or_twice_changes_nothing(fitted: NormalBehaviour, stranger: History):
    state, row = fitted.start(1), np.zeros(1, np.intp)
    for k in range(100):
        fitted.step(state, row, stranger.ts[k : k + 1], stranger.settings[k : k + 1], stranger.sensors[k : k + 1])
    before = state.dump()
    again = fitted.step(state, row, stranger.ts[50:51], stranger.settings[50:51], stranger.sensors[50:51] + 100)
    assert not again.ready[0]
    assert all(np.array_equal(before[name], now) for name, now in state.dump().items())


def test_a_missing_sensor_is_done_without_and_the_others_still_speak(fitted: NormalBehaviour, stranger: History):
    faulty = moved(stranger, 1, 4.0, SINCE)
    faulty.sensors[:, 3] = np.nan
    scores = fitted.run(faulty)
    assert not scores.alarm[:SINCE].any()
    assert scores.alarm[SINCE + 100 :].all()
    assert (scores.contribution[SINCE + 100 :].argmax(1) == 1).all()
    assert np.isnan(scores.against[SINCE + 100, 3])
    faulty.sensors[:, 1:] = np.nan
    assert not fitted.run(faulty).ready.any()


def test_nothing_is_said_in_other_states_nor_before_it_has_settled(fitted: NormalBehaviour, stranger: History):
    part = stranger.part(slice(0, 200))
    scored = np.ones((200, 1), np.bool_)
    scored[100:110] = False
    said, _ = frames(fitted, [part], [], scored)
    ready = np.array([s.ready[0] for s in said])
    assert not ready[:30].any()
    assert ready[31:100].all()
    assert not ready[100:140].any()
    assert ready[141:].all()


def test_an_operating_point_far_outside_what_was_seen_is_foreign(fitted: NormalBehaviour, stranger: History):
    foreign = History(stranger.ts[:200], stranger.settings[:200] + 5.0, stranger.sensors[:200])
    assert not fitted.run(foreign).ready.any()


def test_how_far_outside_is_the_model_s_to_say(stranger: History):
    strict = model(beyond=0.0).fit([machine(seed) for seed in range(4)])
    outside = strict.operating_.high_[0] + 0.01
    state, row = strict.start(1), np.zeros(1, np.intp)
    for k in range(60):
        said = strict.step(state, row, stranger.ts[k : k + 1], np.array([[outside]]), stranger.sensors[k : k + 1])
        assert not said.ready.any()


def test_what_two_settings_do_together_is_expected():
    rng = np.random.default_rng(8)
    settings = rng.uniform(0.0, 1.0, (2000, 2))
    both = 10.0 * settings[:, :1] * settings[:, 1:] + rng.normal(0, 0.01, (2000, 1))
    fitted = OperatingPoint().fit(settings, both)
    assert np.abs(fitted.expected(settings) - both).max() < 0.1


def slowly(history: History, column: int, per_row: float, since: int) -> History:
    sensors = history.sensors.copy()
    sensors[since:, column] += per_row * np.arange(len(history) - since)
    return History(history.ts, history.settings, sensors)


LONG = [machine(seed, 1000) for seed in range(4)]


@pytest.fixture(scope="module")
def each() -> NormalBehaviour:
    return model(calibrate=True, each_limit=5.0).fit(LONG)


def test_one_sensor_that_leaves_the_others_is_told_before_all_of_them_together_say_so(
    each: NormalBehaviour, stranger: History
):
    together = model(calibrate=True).fit(LONG)
    assert not each.run(stranger).alarm.any()
    drifts = slowly(stranger, 2, 0.02, 400)
    late, scores = together.run(drifts), each.run(drifts)
    assert scores.alarm[400:].sum() > 1.2 * late.alarm[400:].sum()
    assert (scores.instrument[scores.alarm][:50] == 2).all()


def test_two_sensors_that_leave_the_others_are_no_instrument(each: NormalBehaviour, stranger: History):
    scores = each.run(moved(moved(stranger, 2, 6.0, SINCE), 4, 0.3, SINCE))
    assert scores.alarm[SINCE + 100 :].all()
    assert (scores.instrument[SINCE + 100 :] == -1).all()


def test_limits_of_one_sensor_need_histories_that_show_how_far_it_strays():
    short = model(calibrate=True, each_limit=5.0).fit([machine(seed, 200) for seed in range(4)])
    assert np.isinf(short.each_limits_).all()


def test_nothing_is_said_until_what_is_slow_has_followed_the_load(stranger: History):
    calm = model(calm_s=200.0, calm=0.2).fit([machine(seed) for seed in range(4)])
    part = stranger.part(slice(0, 240))
    steps = np.flatnonzero(np.abs(np.diff(part.settings[:, 0])) > 0.2 * calm.setting_scale_[0]) + 1
    ready = calm.run(part).ready
    assert steps.size
    for k in steps.tolist():
        assert not ready[k : k + 20].any()
    settled = np.array([k for k in range(40, 240) if not any(0 <= k - step < 25 for step in steps.tolist())])
    assert ready[settled].all()


def test_the_baseline_follows_while_healthy_is_frozen_in_alarm_and_forgotten_after_a_repair(
    fitted: NormalBehaviour, stranger: History
):
    state, row = fitted.start(1), np.zeros(1, np.intp)

    def go(history: History, first: int, end: int, frozen: bool = False) -> Scores:
        scores = Scores.nothing(1, 5)
        for k in range(first, end):
            now = slice(k, k + 1)
            scores = fitted.step(
                state, row, history.ts[now], history.settings[now], history.sensors[now], None, np.array([frozen])
            )
        return scores

    go(stranger, 0, 350)
    learned = state.baseline.copy()
    go(stranger, 350, 380, frozen=True)
    assert np.array_equal(state.baseline, learned)
    go(stranger, 380, 410)
    assert not np.array_equal(state.baseline, learned)
    shifted = moved(stranger, 0, 6.0, 410)
    alarmed = go(shifted, 410, 480)
    assert alarmed.alarm[0]
    stood = state.baseline.copy()
    go(shifted, 480, 510)
    assert np.array_equal(state.baseline, stood)
    fitted.adopt(state, row)  # it was a new sensor: as it reads now it is right
    assert not go(shifted, 510, 640).alarm[0]
    fitted.reset(state, row)
    assert go(stranger, 640, 690).cold[0] > 0.5


def test_part_of_a_fleet_can_move_to_another_process(fitted: NormalBehaviour):
    fleet = [machine(40 + i, 200) for i in range(4)]
    _, end = frames(fitted, fleet, [])
    state = fitted.start(4)
    state.load(end)
    moved_to = fitted.start(2)
    moved_to.put(np.array([1, 0]), state.take(np.array([3, 2])))
    assert np.array_equal(moved_to.baseline[1], state.baseline[3])


def test_a_model_is_packed_without_pickle_and_says_the_same(fitted: NormalBehaviour, stranger: History):
    again = packing.load(packing.dump(fitted))
    part = moved(stranger, 2, 4.0, 100).part(slice(0, 200))
    assert np.array_equal(fitted.run(part).distance, again.run(part).distance, equal_nan=True)
    assert again.sensors == fitted.sensors


def test_any_regressor_of_scikit_learn_may_know_the_operating_point(stranger: History):
    from sklearn.linear_model import LinearRegression

    fitted = model(regressor=LinearRegression()).fit([machine(s) for s in range(3)])
    scores = fitted.run(moved(stranger, 0, 8.0, SINCE))
    assert not scores.alarm[:SINCE].any()
    assert scores.alarm[SINCE + 100 :].all()


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (History(np.arange(5), np.empty((5, 0)), np.ones((5, 2))), "no history has 30 rows"),
        (History(np.arange(50)[::-1], np.empty((50, 0)), np.ones((50, 2))), "not in order of time"),
        (History(np.arange(50), np.empty((40, 0)), np.ones((50, 2))), "differ in length"),
        (History(np.arange(50) * STEP, np.empty((50, 0)), np.ones((50, 2))), "no sensor moves"),
    ],
)
def test_what_is_wrong_with_a_history_is_said(history: History, message: str):
    with pytest.raises(InvalidInputError, match=message):
        NormalBehaviour().fit([history])
