"""The train's formulas give the figures of the model sheet."""

import numpy as np
import pytest

from simulators.metro import physics
from simulators.metro.duty import load_by_hour, speed_profile

V_SERVICE = 12.5
"""Mean speed m/s over a section with its stop."""


def drive(leak, minutes=240):
    """(duty, pressure [s]) of a new train with stops every 120 s at the load of factor 1.0, and a leak in L/min."""
    n = minutes * 60
    taken = np.where(np.arange(n) % 120 < 40, physics.USE_PER_STOP, 0.0)[:, None]
    delivery = np.zeros((n, 2, 1))
    delivery[:, 0] = physics.DELIVERY * (1.0 - physics.PURGE)
    pressure, ran = physics.air_course(
        np.array([8.0]),
        np.zeros((2, 1), dtype=bool),
        delivery,
        taken,
        np.full((n, 1), physics.leak_coefficient(leak)),
        np.ones((n, 1), dtype=bool),
        np.array([physics.VOLUME]),
    )
    return float(ran[:, 0].mean()), pressure[:, 0]


@pytest.mark.parametrize(
    ("leak", "duty", "oil"), [(15, 0.27, 45), (100, 0.33, 48), (200, 0.41, 52), (400, 0.57, 61), (600, 0.71, 69)]
)
def test_a_leak_shows_in_duty_and_oil(leak, duty, oil):
    measured, pressure = drive(leak)
    assert measured == pytest.approx(duty, abs=0.015)
    assert 30.0 + 55.0 * measured == pytest.approx(oil, abs=1.0)
    assert pressure.min() > 7.0
    assert pressure.max() < 9.05


@pytest.mark.parametrize(("leak", "fall"), [(15, 0.08), (100, 0.56), (200, 1.1), (400, 2.3), (600, 3.4)])
def test_a_parked_train_loses_pressure_by_its_leak(leak, fall):
    # The sheet states the slope at 8.25 bar(g), held for five minutes.
    slope = physics.P0 / physics.VOLUME * physics.leak_coefficient(leak) * (physics.LEAK_REFERENCE + physics.P0)
    assert float(slope) * 5.0 == pytest.approx(fall, abs=0.05)


@pytest.mark.parametrize(("s", "rise"), [(0.0, 13), (0.3, 17), (1.0, 26), (2.0, 39), (4.0, 65)])
def test_axle_box_over_ambient_in_service(s, rise):
    assert float(physics.box_target(np.array(V_SERVICE), s, 0.0)) == pytest.approx(rise, abs=0.9)


def test_a_hot_box_runs_away_within_the_hour():
    clock_of = lambda minutes: 1.0 - 7 * 8 / 2000 + minutes / 2000  # noqa: E731 - a horizon of 2000 min in service
    start = float(physics.box_target(np.array(V_SERVICE), 0.3, 0.0))
    rise, course = start, []
    conductance = float(physics.box_conductance(np.array(V_SERVICE)))
    for second in range(50 * 60):
        s = float(physics.hot_box_severity(np.array(clock_of(second / 60)), 2000 * 60.0))
        target = float(physics.box_target(np.array(V_SERVICE), s, 0.0))
        rise += conductance / physics.BOX_CAPACITY * (target - rise)
        if second % 600 == 599:
            course.append(rise - start)
    assert course[1:] == pytest.approx([3, 11, 29, 71], abs=1.2)


def test_plate_temperature_of_a_converter():
    healthy = physics.PLATE_RESISTANCE * float(physics.converter_loss(np.array(340.0)))
    assert 25.0 < healthy < 40.0  # 40–70 °C in 15–30 °C air
    assert 20.0 + 2.5 * healthy > physics.PLATE_TRIP


def test_sticking_brake_heats_its_disc_by_about_110_k():
    v = np.array([10.0, 13.0, 17.0])
    assert 600.0 * v / physics.disc_conductance(v) == pytest.approx(np.full(3, 115.0), abs=13.0)


def test_a_run_starts_and_ends_at_rest_within_the_limits():
    t = np.arange(0.0, 90.0, 0.5)
    v, a = speed_profile(t, np.full(t.shape, 85.0))
    assert v[0] == 0.0
    assert v[t >= 85.0].max() == 0.0
    assert v.max() == pytest.approx(80 / 3.6)
    assert set(np.unique(a)) == {-1.0, 0.0, 0.9}


def test_load_has_two_peaks():
    load = load_by_hour(np.arange(24.0))
    assert load[8] > 0.9
    assert load[17] > 0.85
    assert load.min() >= 0.1
    assert load[11] < 0.5
