"""Plans put every owed mode into a period, after the learning time and with its limit inside."""

import numpy as np
import pytest

from core.errors import InvalidInputError
from core.time import DAY, HOUR, SECOND
from simulators.fleet import CompressorTrainFleet, MetroTrainFleet
from simulators.plans import INSTRUMENT_MODES, MACHINE_MODES, draw_faults, unit_seeds

START = 1_773_619_200 * SECOND


def plan(kind, seed, units, days=7):
    return draw_faults(kind, unit_seeds(seed, units), START, days, np.random.default_rng(seed))


@pytest.mark.parametrize(("kind", "units"), [(CompressorTrainFleet, 3), (MetroTrainFleet, 1)])
@pytest.mark.parametrize("seed", range(20))
def test_every_owed_mode_once_within_the_period(kind, units, seed):
    plans = plan(kind, seed, units)
    assert sorted(p.mode for p in plans) == sorted((*MACHINE_MODES[kind.TYPE], *INSTRUMENT_MODES))
    for p in plans:
        assert p.onset >= START + 0.3 * 7 * DAY
        assert p.onset + p.horizon <= START + 7 * DAY
        if p.mode == "drift":
            assert p.horizon > 10 * HOUR
    kind(unit_seeds(seed, units), START, faults=plans)  # accepted


def test_the_same_seed_draws_the_same_plan():
    assert plan(CompressorTrainFleet, 4, 3) == plan(CompressorTrainFleet, 4, 3)
    assert plan(CompressorTrainFleet, 4, 3) != plan(CompressorTrainFleet, 5, 3)


def test_two_faults_of_a_unit_keep_apart():
    for seed in range(20):
        touched: dict[int, set[str]] = {}
        for p in plan(CompressorTrainFleet, seed, 3):
            fault = CompressorTrainFleet.FAULTS[p.mode]
            mine = {p.component, *fault.shows_on}
            assert not mine & touched.get(p.unit, set())
            touched.setdefault(p.unit, set()).update(mine)


def test_no_drift_or_bias_where_nobody_could_tell_it_from_the_machine():
    ambiguous = {channel.key for channel in CompressorTrainFleet.CHANNELS if channel.ambiguous}
    assert "lube_oil.filter.differential_pressure" in ambiguous
    for seed in range(40):
        for p in plan(CompressorTrainFleet, seed, 3):
            assert p.mode not in ("drift", "bias") or p.point not in ambiguous


def test_the_last_minutes_of_a_train_fault_fall_into_service():
    for seed in range(20):
        for p in plan(MetroTrainFleet, seed, 1):
            if p.mode == "hot_box":
                assert 7.9 <= (p.onset + p.horizon) % DAY / HOUR <= 20.1
            if p.mode in ("converter_fan", "burst_hose"):
                assert 7.9 <= p.onset % DAY / HOUR <= 20.1


def test_an_unknown_mode_is_refused():
    with pytest.raises(InvalidInputError):
        draw_faults(MetroTrainFleet, [1], START, 7, np.random.default_rng(1), machine_modes=["wiped_pad"])


def test_fleets_of_different_seeds_share_no_unit():
    assert not set(unit_seeds(1, 900)) & set(unit_seeds(2, 900))
