"""Run-ups and coast-downs of rotors whose critical speed, damping and run-out are known."""

from __future__ import annotations

import numpy as np
import pytest

from models.vibration import orders, transients
from models.vibration.transients import Start

RATE = 2048.0


def rotor(
    critical: float,
    damping: float,
    *,
    unbalance: float = 20.0,
    runout: complex = 0j,
    seconds: float = 30.0,
    top: float = 10_500.0,
    noise: float = 0.3,
    seed: int = 1,
    down: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """(shaft displacement µm, tacho) of a run from 300 r/min to ``top``: unbalance response, run-out, a bit of 2×."""
    rng = np.random.default_rng(seed)
    speed = np.linspace(300, top, int(RATE * seconds))
    if down:
        speed = speed[::-1]
    angle = orders.angle_from_speed(speed, len(speed), RATE)
    r = speed / critical
    response = unbalance * r**2 / (1 - r**2 + 2j * damping * r) * np.exp(-0.7j) + runout
    x = (response * np.exp(2j * np.pi * angle)).real + 1.0 * np.cos(4 * np.pi * angle)
    # a rounded pulse, as a probe over a notch gives it; its flank is at half height where a turn begins
    tacho = 5 * np.clip(np.cos(2 * np.pi * (angle - 0.125)), 0, None) ** 2
    return x + rng.normal(0, noise, len(x)), tacho


def captured(x: np.ndarray, tacho: np.ndarray) -> Start:
    angle = orders.angle_from_pulses(orders.pulse_times(tacho, RATE), len(x), RATE)
    return transients.capture(x, angle, RATE)


@pytest.mark.parametrize(
    ("critical", "damping", "down"), [(5200, 0.12, False), (4100, 0.05, True), (6000, 0.2, True), (5200, 0.08, False)]
)
def test_the_critical_speed_and_its_amplification_factor(critical: float, damping: float, down: bool) -> None:
    runout = 7.5 * np.exp(2j)
    start = captured(*rotor(critical, damping, runout=runout, down=down))
    found = transients.critical(transients.compensate(start, transients.slow_roll(start, 900)))
    assert found is not None
    assert found.speed == pytest.approx(critical, rel=0.02)
    assert found.peak_speed == pytest.approx(critical / np.sqrt(1 - 2 * damping**2), rel=0.02)
    assert found.amplification == pytest.approx(1 / (2 * damping), rel=0.10)


def test_a_slow_roll_vector_of_15_um_is_removed_to_one() -> None:
    runout = 15 / 2 * np.exp(1.1j)  # zero to peak: 15 µm peak to peak
    bent, straight = captured(*rotor(5200, 0.12, runout=runout)), captured(*rotor(5200, 0.12, noise=0.0))
    found = transients.slow_roll(bent, 900)
    assert 2 * abs(found - runout) < 1.0
    clean = transients.compensate(bent, found)
    speeds, a, b = transients.compare(clean, straight)
    assert 2 * np.abs(a - b).max() < 1.0
    assert speeds[0] < 600


def test_doubled_unbalance_since_the_reference_start_is_told() -> None:
    reference, now = captured(*rotor(5200, 0.12)), captured(*rotor(5200, 0.12, unbalance=40.0, seed=2))
    assert transients.growth(now, reference) == pytest.approx(2.0, rel=0.05)
    assert transients.growth(reference, reference) == pytest.approx(1.0)


def test_captures_follow_speed_and_time() -> None:
    x, tacho = rotor(5200, 0.12)
    start = captured(x, tacho)
    steps = np.diff(start.speed)
    assert 20 < np.median(steps) < 60
    still = orders.angle_from_speed(3000.0, int(20 * RATE), RATE)
    held = transients.capture(np.cos(2 * np.pi * still), still, RATE, step_time=2.0)
    assert 8 <= len(held.time) <= 12
    assert np.abs(held.of(1)) == pytest.approx(np.ones(len(held.time)), rel=0.01)


def test_a_rotor_that_passes_no_critical_speed_has_none() -> None:
    assert transients.critical(captured(*rotor(40_000, 0.1, top=6000))) is None


def test_a_transient_is_told_from_a_steady_run() -> None:
    assert transients.is_transient(np.linspace(1490, 1600, 100), 10.0)
    assert not transients.is_transient(1490 + np.random.default_rng(1).normal(0, 2, 100), 10.0)
