"""A start as the shaft's probes see it: one message a device may send, and the rotor's own critical speed in it."""

from __future__ import annotations

import numpy as np
import pytest

from core.parcels import Purpose
from core.time import SECOND
from formats.decoded import WaveformMessage
from formats.waveform import MAX_BYTES, decode_waveforms, encode_int16
from models.vibration.orders import angle_from_pulses
from models.vibration.transients import capture, compensate, critical, slow_roll
from simulators.compressor import physics
from simulators.compressor.fleet import WAVEFORMS_ABOVE
from simulators.fleet import CompressorTrainFleet

START = 1_767_225_600 * SECOND


@pytest.fixture(scope="module")
def fleet() -> CompressorTrainFleet:
    return CompressorTrainFleet([7], START, 1)


@pytest.fixture(scope="module")
def start(fleet: CompressorTrainFleet) -> WaveformMessage:
    """The first start there is; asked for every half minute, as a device would look at its speed."""
    for half_minute in range(20 * 24 * 120):
        found = fleet.run_up(START + half_minute * 30 * SECOND, 0)
        if found is not None:
            return found
    raise AssertionError("it did not start")


def test_a_start_is_one_message_that_a_device_may_send(start: WaveformMessage) -> None:
    payload = encode_int16(start)
    assert len(payload) < MAX_BYTES // 2
    decoded = decode_waveforms(payload, received_at=0)
    assert not decoded.refusals
    (back,) = decoded.waveforms
    assert back.purpose is Purpose.TRANSIENT
    assert len(back.tacho) > 1_000
    assert [c.name for c in back.channels] == ["de_x", "de_y"]


def test_the_critical_speed_and_its_amplification_are_the_rotors(start: WaveformMessage) -> None:
    samples = start.samples[0].astype(np.float64)
    seen = capture(samples, angle_from_pulses(start.tacho, len(samples), start.rate), start.rate)
    assert seen.speed[0] < 400
    assert seen.speed[-1] > WAVEFORMS_ABOVE
    found = critical(compensate(seen, slow_roll(seen, 400)))
    assert found is not None
    assert found.speed == pytest.approx(physics.SPEED_CRITICAL, rel=0.02)
    assert found.amplification == pytest.approx(1 / (2 * physics.DAMPING), rel=0.1)


def test_where_it_did_not_start_there_is_no_start(fleet: CompressorTrainFleet) -> None:
    assert fleet.run_up(START + 1800 * SECOND, 0) is None
