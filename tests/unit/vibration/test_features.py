"""Features are what the record's sines and blows say, and the same ones however many of them are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInputError
from models.vibration.bearings import bearing
from models.vibration.envelope import demodulate
from models.vibration.feature_names import FEATURES
from models.vibration.features import features
from models.vibration.gears import Gear

RATE = 12_000.0
T = np.arange(48_000) / RATE
RNG = np.random.default_rng(11)


def bearing_signal() -> np.ndarray:
    """Blows at BPFO of a 6205 at 1797 r/min on a resonance at 3 kHz, the shaft's own line, and noise."""
    blows = np.zeros(len(T))
    times = np.arange(0.01, T[-1], 1 / bearing("6205").lines(1797.0)["BPFO"])
    blows[(times * RATE).astype(int)] = 1.0
    ring = np.exp(-900 * T[:200]) * np.sin(2 * np.pi * 3000 * T[:200])
    return np.convolve(blows, ring)[: len(T)] + 0.1 * np.sin(2 * np.pi * 29.95 * T) + RNG.normal(0, 0.05, len(T))


def test_a_sine_of_acceleration_in_every_quantity() -> None:
    found = features(10 * np.sin(2 * np.pi * 80 * T) + 4, RATE, unit="m/s2", speed=4800.0)
    assert found["mean"] == pytest.approx(4.0, rel=1e-6)
    assert found["rms"] == found["acceleration_rms"] == pytest.approx(10 / np.sqrt(2), rel=1e-4)
    assert found["peak"] == found["acceleration_peak"] == pytest.approx(10.0, rel=1e-3)
    assert found["peak_to_peak"] == pytest.approx(20.0, rel=1e-3)
    assert found["crest"] == pytest.approx(np.sqrt(2), rel=1e-3)
    assert found["kurtosis"] == pytest.approx(1.5, rel=1e-3)
    velocity = 1e3 * 10 / (2 * np.pi * 80)
    assert found["velocity_rms"] == pytest.approx(velocity / np.sqrt(2), rel=0.01)
    assert found["velocity_peak"] == pytest.approx(velocity, rel=0.02)
    assert found["displacement_pp"] == pytest.approx(2e3 * velocity / (2 * np.pi * 80), rel=0.03)
    assert found["x1_amplitude"] == pytest.approx(10.0, rel=0.01)
    assert found["band_1"] == pytest.approx(10 / np.sqrt(2), rel=0.01)
    assert found["band_4"] < 1e-3


@pytest.mark.parametrize("hertz", [23.0, 80.0, 300.0])
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5])
@pytest.mark.parametrize(("rate", "samples"), [(12_000.0, 48_000), (25_600.0, 16_384)])
def test_where_a_record_begins_does_not_swing_its_integrals(
    hertz: float, phase: float, rate: float, samples: int
) -> None:
    x = np.sin(2 * np.pi * hertz * np.arange(samples) / rate + phase)
    found = features(x, rate, unit="m/s2", wanted=("velocity_peak", "displacement_pp"))
    gain = 1 / np.sqrt(1 + (10 / hertz) ** 8)
    assert found["velocity_peak"] == pytest.approx(1e3 * gain / (2 * np.pi * hertz), rel=0.01)
    assert found["displacement_pp"] == pytest.approx(2e6 * gain / (2 * np.pi * hertz) ** 2, rel=0.04)


def test_asked_for_one_by_one_they_are_the_same() -> None:
    x, gear = bearing_signal(), Gear(20, 40)
    tacho = np.sin(2 * np.pi * 29.95 * T)
    told: dict[str, Any] = {"unit": "g", "speed": 1797.0, "tacho": tacho, "bearing": bearing("6205"), "gear": gear}
    whole = features(x, RATE, **told)
    assert set(whole) == set(FEATURES)
    for name, value in whole.items():
        assert features(x, RATE, wanted=(name,), **told)[name] == value
    cheap = features(x, RATE, wanted=("kurtosis", "crest"), **told)
    assert not {"bpfo", "band_1", "velocity_peak"} & set(cheap)


@pytest.mark.parametrize("unit", ["mm/s", "um"])
def test_one_by_one_of_velocity_and_displacement_too(unit: str) -> None:
    x = bearing_signal()
    whole = features(x, RATE, unit=unit, speed=1797.0)
    for name, value in whole.items():
        assert features(x, RATE, unit=unit, speed=1797.0, wanted=(name,))[name] == value


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_24_bits_are_enough_for_the_envelope_in_any_unit(size: float) -> None:
    x = size * (bearing_signal() + 5 * np.sin(2 * np.pi * 50 * T))
    (exact,), (quick,) = (demodulate(x, RATE, resolution=0.5, top=200.0, exact=e) for e in (True, False))
    assert quick.kurtosis == pytest.approx(exact.kurtosis, rel=1e-3, abs=1e-4)
    assert quick.power == pytest.approx(exact.power, rel=1e-4)
    assert quick.depth == pytest.approx(exact.depth, abs=1e-4)
    found = features(x, RATE, speed=1797.0, bearing=bearing("6205"))
    assert found["bpfo"] > 0.5 > found["bpfi"]


def test_bands_side_by_side_are_what_each_is_alone() -> None:
    x = bearing_signal()
    (together,) = demodulate(x, RATE, resolution=0.5, top=200.0)
    for row in range(0, len(together.bands), 5):
        (alone,) = demodulate(x, RATE, resolution=0.5, top=200.0, bands=(together.bands[row],))
        assert alone.kurtosis[0] == pytest.approx(together.kurtosis[row], rel=1e-9)
        assert alone.depth[0] == pytest.approx(together.depth[row], abs=1e-9)


def test_silence_is_zero_and_no_defect() -> None:
    found = features(np.zeros(1024), RATE, speed=1797.0, bearing=bearing("6205"))
    assert found["rms"] == found["bpfo"] == found["envelope_rms"] == 0.0
    assert "crest" not in found


def test_what_cannot_have_features_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="too few"):
        features(np.zeros(255), RATE)
    with pytest.raises(InvalidInputError, match="no numbers"):
        features(np.full(1024, np.nan), RATE)
