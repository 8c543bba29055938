"""Answers, calendar, intervals, trends to a limit, survival."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.time import DAY
from models.prognosis.answer import NEVER, RemainingLife, Usage
from models.prognosis.calibration import ConformalByRange, coverage
from models.prognosis.survival import HazardModel, Landmarks
from models.prognosis.trend import Series, TrendToLimit

# --- the calendar ---


def test_hard_use_brings_the_date_forward_and_little_use_puts_it_off():
    life = RemainingLife.of([[100.0, 200.0, 400.0], [100.0, 1000.0, 1000.0]], "h", 1000.0)
    dates = life.calendar(Usage(5.0, 10.0, 20.0), now=0)
    assert dates.p10.tolist() == [5 * DAY, 5 * DAY]
    assert dates.p50.tolist() == [20 * DAY, NEVER]  # at the horizon: "at least"
    assert dates.p90.tolist() == [80 * DAY, NEVER]


def test_a_clock_that_stands_gives_no_date():
    life = RemainingLife.of([[1.0, 2.0, 3.0]], "h")
    assert life.calendar(Usage(0.0, 0.0, 0.0), now=0).p10.tolist() == [NEVER]


def test_usage_is_learned_from_a_counter_and_survives_its_being_set_back():
    ts = np.arange(0, 40 * DAY, DAY // 4, dtype=np.int64)
    counter = ts / DAY * 12.0
    usage = Usage.from_counter(ts, counter)
    assert usage.usual == pytest.approx(12.0)
    assert usage.low == pytest.approx(12.0)
    exchanged = np.where(ts > 30 * DAY, counter - 360.0, counter)
    assert Usage.from_counter(ts, exchanged).usual == pytest.approx(12.0, rel=0.05)
    with pytest.raises(InvalidInputError, match="less than a day"):
        Usage.from_counter(ts[:2], counter[:2])


# --- intervals ---


def test_intervals_hold_in_every_range_although_errors_grow_with_life():
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 125, 6000)
    said = np.clip(true + rng.normal(0, 1, 6000) * (2 + true / 8), 0, 125)
    machine = np.repeat(np.arange(300), 20)
    fitted = ConformalByRange(125.0).fit(said[:3000], true[:3000], machine[:3000])
    q = fitted.transform(said[3000:])
    for low, high in ((0, 40), (40, 80), (80, 110)):
        there = (said[3000:] >= low) & (said[3000:] < high)
        assert 0.74 <= coverage(q[there], true[3000:][there]) <= 0.87
    assert np.mean((q[:, 2] - q[:, 0])[said[3000:] < 20]) < np.mean((q[:, 2] - q[:, 0])[said[3000:] > 60])


def test_a_machine_with_many_rows_weighs_no_more_than_one_with_few():
    rng = np.random.default_rng(1)
    machine = np.concatenate([np.zeros(5000, int), np.arange(1, 100)])
    said = np.full(5099, 60.0)
    true = said + np.concatenate([np.full(5000, 50.0), rng.normal(0, 3, 99)])
    q = ConformalByRange(125.0).fit(said, true, machine).transform(np.array([60.0]))
    assert q[0, 2] < 70


# --- a value creeping towards its limit ---


def crossings(n: int, seed: int, bend: float = 0.0) -> tuple[list[Series], np.ndarray]:
    rng = np.random.default_rng(seed)
    series, left = [], rng.uniform(60, 300, n)
    for rest in left:
        t = np.arange(200.0)
        share = t / (200.0 + rest)
        y = 2.0 + 8.0 * (share if bend == 0 else np.expm1(bend * share) / np.expm1(bend))
        series.append(Series(t, y + rng.normal(0, 0.3, 200)))
    return series, left


def test_a_straight_trend_meets_its_limit_when_foretold():
    series, left = crossings(60, 0)
    said = TrendToLimit(10.0, horizon=2000.0).remaining(series)
    assert np.median(np.abs(said.p50 - left) / left) < 0.25
    assert np.mean((said.p10 <= left) & (left <= said.p90)) >= 0.7


def test_a_bent_trend_is_met_sooner_than_a_straight_line_would_say():
    series, left = crossings(60, 1, bend=3.0)
    said = TrendToLimit(10.0, horizon=2000.0).remaining(series)
    straight = [(10.0 - np.polyval(line, 199.0)) / line[0] for line in (np.polyfit(s.t, s.y, 1) for s in series)]
    assert np.median(np.abs(said.p50 - left)) < np.median(np.abs(np.array(straight) - left))
    assert np.mean((said.p10 <= left) & (left <= said.p90)) >= 0.6


def test_what_does_not_move_reads_at_least_the_horizon_and_what_is_over_reads_nothing():
    rng = np.random.default_rng(2)
    t = np.arange(300.0)
    said = TrendToLimit(10.0, horizon=500.0).remaining(
        [Series(t, 5 + rng.normal(0, 0.1, 300)), Series(t, 12 + 0.01 * t), Series(t[:4], t[:4])]
    )
    assert said.p50.tolist() == [500.0, 0.0, 500.0]
    assert said.p90.tolist() == [500.0, 0.0, 500.0]


def test_a_falling_value_is_the_mirror_of_a_rising_one():
    series, _ = crossings(5, 3)
    up = TrendToLimit(10.0, horizon=2000.0).remaining(series)
    down = TrendToLimit(-10.0, horizon=2000.0, rising=False).remaining([Series(s.t, -s.y) for s in series])
    assert np.allclose(up.p50, down.p50)


@settings(max_examples=15, deadline=None)
@given(st.floats(6.0, 12.0), st.floats(0.1, 3.0))
def test_a_higher_limit_is_never_met_sooner(limit: float, more: float):
    series, _ = crossings(3, 4)
    near = TrendToLimit(limit, horizon=3000.0).remaining(series)
    far = TrendToLimit(limit + more, horizon=3000.0).remaining(series)
    assert (far.p50 >= near.p50 - 1e-9).all()
    assert (far.p10 >= near.p10 - 1e-9).all()


def test_a_single_wild_reading_is_no_trend():
    t = np.arange(2000.0)
    y = 5.0 + np.random.default_rng(5).normal(0, 0.1, 2000)
    wild = y.copy()
    wild[[700, 1500]] = 1e6
    said = TrendToLimit(10.0, horizon=500.0).remaining([Series(t, y), Series(t, wild)])
    assert said.p50[0] == said.p50[1] == 500.0


# --- survival ---


def test_censoring_does_not_shorten_lives():
    """Half of the machines were looked at for a short while only: counting them as failed would halve the median."""
    rng = np.random.default_rng(6)
    life = rng.exponential(40.0, 1500)
    watched = np.where(rng.uniform(size=1500) < 0.5, rng.uniform(5, 40, 1500), 200.0)
    seen = Landmarks(np.zeros((1500, 1)), np.minimum(life, watched), life < watched)
    said = HazardModel(np.arange(0.0, 161.0, 8.0)).fit(seen).remaining(np.zeros((1, 1)))
    assert said.p50[0] == pytest.approx(40 * np.log(2), rel=0.2)
    assert said.p10[0] == pytest.approx(40 * np.log(1 / 0.9), rel=0.35)


def test_what_is_known_meanwhile_counts_and_risk_grows_with_time():
    rng = np.random.default_rng(7)
    errors, age = rng.poisson(1.0, 1200), rng.uniform(0, 100, 1200)
    life = rng.weibull(1.5, 1200) * 60.0 / (1.0 + errors) * np.exp(-age / 200.0)
    seen = Landmarks(np.column_stack([errors, age]).astype(float), np.minimum(life, 80.0), life < 80.0)
    model = HazardModel(np.arange(0.0, 81.0, 5.0)).fit(seen)
    said = model.remaining(np.array([[0.0, 10.0], [4.0, 10.0], [np.nan, 10.0]]))
    assert said.p50[1] < said.p50[0]
    assert np.isfinite(said.p50[2])
    alive = model.survival(np.array([[1.0, 20.0]]))
    assert (np.diff(alive) <= 0).all()
    assert model.risk(np.array([[1.0, 20.0]]), 10.0) <= model.risk(np.array([[1.0, 20.0]]), 40.0)


def test_without_failures_there_is_nothing_to_learn():
    seen = Landmarks(np.zeros((10, 1)), np.full(10, 5.0), np.zeros(10, bool))
    with pytest.raises(InvalidInputError, match="no failure"):
        HazardModel(np.arange(0.0, 10.0)).fit(seen)
