"""Amplitudes, frequencies and phases are right where it is hardest: half-way between two bins."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidInputError
from models.vibration import integration, orders, spectra
from models.vibration.envelope import best_band, demodulate

RATE = 12_000.0
SECONDS = 4.0
T = np.arange(int(RATE * SECONDS)) / RATE
STEP = 1 / SECONDS


def tone(frequency: float, amplitude: float = 3.0, phase: float = 40.0) -> np.ndarray:
    return amplitude * np.cos(2 * np.pi * frequency * T + np.radians(phase))


def off(angle: float) -> float:
    """Degrees from zero, either way."""
    return abs((angle + 180) % 360 - 180)


HARD = [bins * STEP for bins in (20.5, 100.5, 400.5, 401.25, 8000.5, 20_000.5)]


@pytest.mark.parametrize("frequency", HARD)
def test_a_spectrum_shows_the_amplitude_within_one_per_cent_between_bins(frequency: float) -> None:
    for resolution in (None, 1.0):
        found = spectra.spectrum(tone(frequency + (0.5 if resolution else 0.0)), RATE, resolution=resolution)
        assert found.amplitude.max() == pytest.approx(3.0, rel=0.01)
        seen = found.frequency[found.amplitude.argmax()]
        assert abs(seen - frequency - (0.5 if resolution else 0.0)) <= found.step


@pytest.mark.parametrize("frequency", HARD)
@pytest.mark.parametrize("phase", [-170.0, 0.0, 95.0])
def test_a_line_is_measured_between_the_bins(frequency: float, phase: float) -> None:
    found = spectra.line(tone(frequency, phase=phase), RATE, frequency + 0.4 * STEP)
    assert found.amplitude == pytest.approx(3.0, rel=0.01)
    assert abs(found.frequency - frequency) <= 0.1 * STEP
    assert off(found.phase - phase) <= 2.0


def test_a_line_beside_others_and_in_noise_is_measured_too() -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, len(T))
    found = spectra.line(tone(100.625) + tone(103.0, 1.0) + tone(50.1, 2.0) + noise, RATE, 100.5)
    assert found.amplitude == pytest.approx(3.0, rel=0.01)
    assert off(found.phase - 40) <= 2.0


def test_scales_and_band_power_hold_for_tones_and_for_noise() -> None:
    for scale, factor in (("peak", 1.0), ("rms", 2**-0.5), ("pp", 2.0)):
        found = spectra.spectrum(tone(100.5), RATE, scale=scale)
        assert found.amplitude.max() == pytest.approx(3 * factor, rel=0.01)
        assert found.rms(90, 110) == pytest.approx(3 * 2**-0.5, rel=0.01)
    noise = np.random.default_rng(2).normal(0, 2.0, len(T))
    assert spectra.spectrum(noise, RATE, resolution=10.0, name="hann").rms(0, 6001) == pytest.approx(2.0, rel=0.03)


@pytest.mark.parametrize("frequency", [20.125, 100.125, 333.375, 900.125])
@pytest.mark.parametrize("times", [1, 2])
def test_integration_keeps_amplitude_and_phase(frequency: float, times: int) -> None:
    found = spectra.line(integration.integrate(tone(frequency), RATE, times, highpass=5.0), RATE, frequency)
    assert found.amplitude == pytest.approx(3 / (2 * np.pi * frequency) ** times, rel=0.01)
    assert off(found.phase - 40 + 90 * times) <= 2.0
    assert abs(found.frequency - frequency) <= STEP


def test_integration_is_not_drowned_by_what_lies_below_the_high_pass() -> None:
    drift = 50 * T / T[-1] + 20 * np.cos(2 * np.pi * 0.3 * T)
    clean = integration.integrate(tone(80.125), RATE, 1, highpass=10.0)
    spoilt = integration.integrate(tone(80.125) + drift, RATE, 1, highpass=10.0)
    inside = slice(int(0.5 * RATE), int(-0.5 * RATE))
    assert np.abs(spoilt - clean)[inside].max() < 0.01 * np.abs(clean).max()


def test_velocity_of_a_casing_is_rms_in_mm_per_s_between_10_and_1000_hz() -> None:
    found = spectra.spectrum(tone(100.125), RATE, name="hann")
    expected = 3 / (2 * np.pi * 100.125) / 2**0.5 * 1e3
    assert integration.band_rms(found, "m/s2", "velocity") == pytest.approx(expected, rel=0.01)
    assert integration.band_rms(found, "g", "velocity") == pytest.approx(9.80665 * expected, rel=0.01)
    assert integration.band_rms(spectra.spectrum(tone(1500), RATE, name="hann"), "m/s2", "velocity") < 0.01 * expected


def turning(start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """(turns at each sample, a tacho of one narrow pulse per turn) of a run from r/min to r/min."""
    angle = orders.angle_from_speed(np.linspace(start, end, len(T)), len(T), RATE) + 0.3
    return angle, ((angle % 1) < 0.08).astype(float) * 5


@pytest.mark.parametrize(("start", "end"), [(1490, 1490), (900, 1800), (3000, 1500)])
@pytest.mark.parametrize("order", [1.0, 2.0, 3.5, 9.5])
def test_order_tracking_keeps_amplitude_order_and_phase(start: float, end: float, order: float) -> None:
    angle, tacho = turning(start, end)
    x = 3 * np.cos(2 * np.pi * order * angle - np.radians(70)) + 0.5 * np.cos(2 * np.pi * (order + 1.7) * angle)
    known = orders.angle_from_pulses(orders.pulse_times(tacho, RATE), len(T), RATE)
    # the tacho's zero is its pulse's edge, half a pulse's rise before a whole turn at most
    found = orders.order_spectrum(x, known)
    assert found.amplitude.max() == pytest.approx(3.0, rel=0.01)
    assert abs(found.frequency[found.amplitude.argmax()] - order) <= found.step
    seen = orders.vector(x, known, order)
    assert seen.amplitude == pytest.approx(3.0, rel=0.01)
    if order == int(order):
        assert off(seen.phase - 70) <= 2.0


def test_a_synchronous_average_keeps_what_turns_with_the_shaft() -> None:
    angle, tacho = turning(1490, 1510)
    rng = np.random.default_rng(3)
    x = np.cos(2 * np.pi * 23 * angle) + rng.normal(0, 1, len(T)) + 2 * np.cos(2 * np.pi * 61.3 * T)
    known = orders.angle_from_pulses(orders.pulse_times(tacho, RATE), len(T), RATE)
    turn, turns = orders.synchronous_average(x, known, per_turn=512)
    assert turns > 95
    lines = np.abs(np.fft.rfft(turn)) / 256
    assert lines[23] == pytest.approx(1.0, rel=0.05)
    assert np.delete(lines, 23)[1:].max() < 0.15


def test_a_tacho_without_pulses_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="pulses"):
        orders.angle_from_pulses(orders.pulse_times(np.zeros(1000), RATE), 1000, RATE)


def test_the_envelope_finds_the_band_and_the_rate_of_blows_and_noise_shows_none() -> None:
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 1, len(T))
    blows = np.zeros(len(T))
    blows[(np.arange(0.01, SECONDS, 1 / 87.0) * RATE).astype(int)] = 1.0
    ring = np.exp(-900 * T[:200]) * np.sin(2 * np.pi * 3300 * T[:200])
    x = noise + 6 * np.convolve(blows, ring)[: len(T)]
    band = best_band(x, RATE)
    assert band.low < 3300 < band.high
    (found,) = demodulate(x, RATE, resolution=0.5, top=300)
    row = int(found.kurtosis.argmax())
    assert found.frequency[found.depth[row].argmax()] == pytest.approx(87.0, abs=0.5)
    assert found.depth[row].max() > 0.5
    (silent,) = demodulate(noise, RATE, resolution=0.5, top=300)
    # -ln p under noise: mean 1 in each bin, and as large as chance makes it over all bins
    surprise = silent.surprise()[:, 2:]
    assert surprise.mean() == pytest.approx(1.0, abs=0.1)
    assert surprise.max() < np.log(surprise.size) + 7
