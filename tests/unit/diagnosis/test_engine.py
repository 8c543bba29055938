"""What the engine makes of single circumstances: a baseline, a third of the speed, an unknown line, a bad tacho."""

from __future__ import annotations

import numpy as np
import pytest

from models.diagnosis import Channel, Diagnosis, Machine, Record, diagnose
from models.diagnosis.knowledge import modes, types
from models.vibration.channels import bias, gap, health, tacho

RATE, RPM = 6400.0, 1485.0
FR = RPM / 60
T = np.arange(int(6 * RATE)) / RATE
NOISE = np.random.default_rng(1).normal(0, 0.05, len(T))


def casing(lines: dict[float, float]) -> np.ndarray:
    """Acceleration in m/s² of lines: Hz -> velocity in mm/s RMS."""
    return NOISE + sum(v * 1e-3 * 2**0.5 * 2 * np.pi * f * np.cos(2 * np.pi * f * T + f) for f, v in lines.items())


def said(lines: dict[float, float], **machine: object) -> Diagnosis:
    record = Record(RATE, (Channel("x", casing(lines), "m/s2", "radial", "de"),), RPM)
    return diagnose(record, Machine("m", **machine))  # type: ignore[arg-type]


def test_a_small_1x_is_healthy_and_a_large_one_is_unbalance() -> None:
    assert said({FR: 0.5}).verdict == "healthy"
    assert [f.mode for f in said({FR: 4.0}).decided] == ["unbalance"]


def test_a_change_since_the_baseline_counts_in_zone_a_too() -> None:
    amplitude = 0.3e-3 * 2**0.5 * 2 * np.pi * FR  # 0.3 mm/s RMS as m/s² zero to peak, as features tell it
    assert not said({FR: 1.2}).decided
    changed = said({FR: 1.35}, baseline={"x": {"x1_amplitude": amplitude}})
    assert [f.mode for f in changed.decided] == ["unbalance"]
    same = 1.2e-3 * 2**0.5 * 2 * np.pi * FR
    assert not said({FR: 1.2}, baseline={"x": {"x1_amplitude": same}}).decided


def test_twice_the_line_frequency_is_told_from_twice_the_shaft() -> None:
    motor = {"line_frequency": 50.0, "poles": 4}
    assert [f.mode for f in said({FR: 0.3, 100.0: 3.0}, **motor).decided] == ["electrical"]
    assert [f.mode for f in said({FR: 0.8, 2 * FR: 3.0, 3 * FR: 0.3}, **motor).decided] == ["misalignment"]


def test_a_line_of_nobody_is_not_given_a_name() -> None:
    found = said({FR: 0.3, 41.7: 3.0})
    assert found.abstained
    assert found.unexplained[0].found == pytest.approx(41.7, abs=0.3)


def test_a_mode_that_the_machine_cannot_have_is_not_spoken_of() -> None:
    assert not said({FR: 4.0}, modes=("misalignment",)).decided


def test_severity_is_told_with_its_zone() -> None:
    found = said({FR: 4.0}, group=2, foundation="rigid")
    assert found.severity["x"]["zone"] == "C"
    assert found.severity["x"]["velocity_rms"] == pytest.approx(4.0, rel=0.02)


def test_every_mode_has_its_words_and_every_class_of_machine_its_modes() -> None:
    for mode in modes().values():
        assert mode.symptoms
        assert mode.confirm
        assert mode.refute
        assert mode.action
    assert {mode for keys in types().values() for mode in keys} <= set(modes())


def test_channels_tell_what_is_wrong_with_them() -> None:
    x = casing({FR: 2.0})
    assert health("x", x, RATE) == []
    stuck = x.copy()
    stuck[1000:4000] = stuck[1000]
    broken = {
        "flat": np.zeros(len(x)),
        "clipping": np.clip(x, -0.3, 0.3),
        "interrupted": stuck,
        "not_a_number": np.where(np.arange(len(x)) % 50 == 0, np.nan, x),
    }
    for fault, samples in broken.items():
        assert [found.fault for found in health("x", samples, RATE)] == [fault]
    assert gap("x", -10.0) is None
    assert bias("x", 11.0) is None
    assert bias("x", 23.5) is not None


def test_a_tacho_is_believed_only_if_its_pulses_are_all_there() -> None:
    pulses = ((FR * T % 1) < 0.1).astype(float) * 5
    assert tacho(pulses, RATE, RPM) is None
    lost = pulses.copy()
    lost[8000:12_000] = 0
    assert tacho(lost, RATE, RPM) is not None
    assert tacho(np.zeros(len(T)), RATE, RPM) is not None
    assert tacho(pulses, RATE, 2000.0) is not None
