"""What every fleet promises: the same seed gives the same frames, however they are asked for."""

import numpy as np
import pytest

from core.errors import InvalidInputError
from core.time import DAY, HOUR, SECOND
from simulators.fleet import NEVER, CompressorTrainFleet, FaultPlan, MetroTrainFleet

START = 1_767_225_600 * SECOND  # 2026-01-01
FLEETS = [CompressorTrainFleet, MetroTrainFleet]
POINT = {
    CompressorTrainFleet: "compressor.journal_de.temperature",
    MetroTrainFleet: "car3.axle_box5.temperature",
}


@pytest.fixture(params=FLEETS, ids=lambda fleet: fleet.TYPE)
def kind(request):
    return request.param


def test_the_same_seed_gives_the_same_frames(kind):
    one, two = (kind([3, 5], START).advance(100) for _ in range(2))
    np.testing.assert_array_equal(one.ts, two.ts)
    np.testing.assert_array_equal(one.values, two.values)


def test_other_seeds_give_other_frames(kind):
    frames = kind([3, 4], START).advance(30)
    assert not np.array_equal(frames.values[:, 0], frames.values[:, 1])


@pytest.mark.parametrize("cuts", [(5, 5), (1, 2, 3, 4), (59, 1, 1, 64)])
def test_cutting_the_time_axis_changes_nothing(kind, cuts):
    plans = [FaultPlan(0, POINT[kind], mode, START + 200 * SECOND, HOUR) for mode in ("spikes",)]
    whole = kind([3], START, faults=plans).advance(sum(cuts))
    fleet = kind([3], START, faults=plans)
    parts = [fleet.advance(cut) for cut in cuts]
    np.testing.assert_array_equal(np.concatenate([part.ts for part in parts]), whole.ts)
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), whole.values)


def test_a_unit_does_not_depend_on_its_neighbours(kind):
    alone = kind([8], START).advance(70)
    together = kind([7, 8, 9], START).advance(70)
    np.testing.assert_array_equal(alone.values[:, 0], together.values[:, 1])


def test_machines_of_one_site_share_the_weather(kind):
    frames = kind([1, 2], START, sites=[9, 9]).advance(360)
    outside = frames.values[:, :, kind([1], START).column["train.ambient_temperature"]]
    if kind is CompressorTrainFleet:  # a train may be in a tunnel
        assert np.abs(outside[:, 0] - outside[:, 1]).max() < 2.5


def test_frames_come_once_per_period_after_the_start(kind):
    fleet = kind([1], START, period_s=20)
    frames = fleet.advance(3)
    assert frames.ts.tolist() == [START + k * 20 * SECOND for k in (1, 2, 3)]
    assert frames.values.shape == (3, 1, len(kind.POINTS))
    assert frames.quality_bad.shape == frames.values.shape
    assert fleet.now == frames.ts[-1]
    assert fleet.advance(0).values.shape == (0, 1, len(kind.POINTS))


def test_point_keys_are_unique_and_begin_with_their_component(kind):
    keys = [point.key for point in kind.POINTS]
    assert len(set(keys)) == len(keys)
    assert all(point.key.startswith(f"{point.component}.") for point in kind.POINTS)


def test_every_fault_names_components_that_have_points(kind):
    components = {point.component for point in kind.POINTS}
    for fault in kind.FAULTS.values():
        assert fault.limit
        assert fault.description
        assert {*fault.components, *fault.shows_on} <= components
        assert bool(fault.components) == (fault.kind == "machine")


@pytest.mark.parametrize(
    ("unit", "component", "mode", "horizon"),
    [
        (0, "compressor.rotor", "rust", HOUR),
        (4, "compressor.rotor", "lost_blade", HOUR),
        (0, "gearbox", "lost_blade", HOUR),
        (0, "compressor.rotor", "lost_blade", 0),
        (0, "train.demand", "stuck", HOUR),
    ],
)
def test_a_plan_that_cannot_be_is_refused(unit, component, mode, horizon):
    with pytest.raises(InvalidInputError) as error:
        CompressorTrainFleet([1], START, faults=[FaultPlan(unit, component, mode, START, horizon)])
    assert error.value.hint


def test_the_truth_is_known_beforehand_and_fixed_by_what_happens():
    plan = FaultPlan(0, "lube_oil.cooler", "cooler_fouling", START + HOUR, 4 * HOUR)
    fleet = CompressorTrainFleet([1], START, faults=[plan], site_mean_c=20.0)
    (before,) = fleet.truth()
    assert (before.severity, before.limit_at, before.kind) == (0.0, START + 5 * HOUR, "machine")
    fleet.advance(8 * 360)
    (after,) = fleet.truth()
    assert after.severity == 1.0
    assert START + HOUR < after.limit_at < START + 8 * HOUR


def test_a_limit_that_the_true_state_never_reaches_is_never():
    # A fan stops, but the train stays parked all night: the plate never gets warm.
    plan = FaultPlan(0, "car2.converter", "converter_fan", START + HOUR, HOUR)
    fleet = MetroTrainFleet([1], START, faults=[plan])
    fleet.advance(4 * 360)
    assert fleet.truth()[0].limit_at == NEVER


def test_the_fault_clock_stands_while_the_machine_rests():
    plan = FaultPlan(0, "car1.air_supply", "air_leak", START + 12 * HOUR, DAY)
    fleet = MetroTrainFleet([1], START, faults=[plan])
    fleet.advance(24 * 360)
    in_the_night = fleet.truth()[0].severity
    fleet.advance(4 * 360)
    assert 0.4 < in_the_night == fleet.truth()[0].severity < 1.0
