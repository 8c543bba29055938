"""The compressor train's formulas give the figures of the model sheet."""

import numpy as np
import pytest

from simulators.compressor import physics

T_30 = 303.15


def stage(phi, s, t1_k=T_30, p1=1e5):
    """(pressure ratio, T2 °C, mass flow kg/s, gas power MW) at one map point."""
    phi = np.array(phi)
    m = physics.exponent(physics.efficiency(phi))
    ratio = physics.ratio(physics.head(phi, s), m, t1_k)
    t2 = t1_k * ratio**m
    mass = physics.density(p1, t1_k) * physics.FLOW_DESIGN * s * phi
    return float(ratio), float(t2 - 273.15), float(mass), float(mass * physics.CP * (t2 - t1_k) / 1e6)


def test_design_point_of_the_map():
    ratio, t2, mass, power = stage(1.0, 1.0)
    assert (round(ratio, 2), round(t2), round(mass, 1), round(power, 2)) == (2.18, 125, 13.8, 1.31)


def test_the_surge_line_has_the_highest_head():
    assert round(stage(0.7, 1.0)[0], 2) == 2.39


def test_eighty_percent_speed():
    ratio, _, _, power = stage(1.0, 0.8)
    assert (round(ratio, 2), round(power, 2)) == (1.69, 0.67)


def test_weather_alone_moves_power_by_eleven_percent():
    ratio, _, _, power = stage(1.0, 1.0, t1_k=273.15)
    assert (round(ratio, 2), round(power, 2)) == (2.35, 1.46)


def test_the_operating_flow_balances_machine_and_process():
    u = np.linspace(0.86, 1.0, 5) * physics.THROTTLE_DESIGN
    s = np.linspace(0.85, 1.0, 5)
    phi = physics.operating_flow(u, s, np.full(5, 290.0), np.full(5, 1.01e5))
    rise = 1.01e5 * (physics.ratio(physics.head(phi, s), physics.exponent(physics.efficiency(phi)), 290.0) - 1)
    delivered = physics.density(1.01e5, 290.0) * physics.FLOW_DESIGN * s * phi
    assert delivered == pytest.approx(u * np.sqrt(rise), rel=1e-3)


def test_viscosity_of_vg_32():
    assert physics.viscosity(np.array([30.0, 40.0, 50.0, 60.0])) == pytest.approx([50.6, 32.0, 21.5, 15.2], abs=0.06)


def test_filter_pressure_difference_by_clogging_and_by_cold():
    at_45 = physics.filter_dp(np.array([0.0, 0.3, 0.5, 0.6]), np.array(45.0))
    assert at_45 == pytest.approx([0.25, 0.51, 1.0, 1.56], abs=0.005)
    assert float(physics.filter_dp(0.0, np.array(25.0))) == pytest.approx(0.63, abs=0.005)


def test_the_regulator_hides_clogging_until_it_is_wide_open():
    half, limit = physics.filter_dp(np.array([0.5, physics.CLOGGING_LIMIT]), np.array(45.0))
    assert float(physics.header_pressure(half)) == 1.5
    assert float(physics.header_pressure(limit)) == pytest.approx(1.0)


def test_balance_grade_at_speed_and_at_the_critical():
    grade_2_5 = 2.5e3 / (2 * np.pi * physics.SPEED_DESIGN / 60)  # µm
    assert round(grade_2_5, 1) == 2.2
    at_speed = grade_2_5 * abs(physics.unbalance_response(physics.SPEED_DESIGN / physics.SPEED_CRITICAL))
    at_critical = grade_2_5 * abs(physics.unbalance_response(1.0))
    assert (round(float(at_speed), 1), round(float(at_critical), 1)) == (5.8, 18.5)
    lag = [-np.rad2deg(np.angle(physics.unbalance_response(r))) for r in (0.01, 1.0, 10_728 / 5_200)]
    assert lag == pytest.approx([0.1, 90.0, 171.0], abs=0.6)
