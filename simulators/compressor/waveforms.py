"""What the train's vibration sensors would hand over as waveforms: two accelerometers, and the drive-end shaft probes.

Housing signals at 25.6 kHz: 1x and 2x of the motor, the gear mesh with its sidebands, twice the line, noise, and with a
spall of the motor's drive-end bearing impacts that ring a resonance, at the defect's rate as a random walk (the cage
slips; it does not jitter about a clock). Shaft probes at 5.12 kHz: the very vectors that are published as points; and
the same probes through a whole start, slower sampled, as a transient.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.parcels import Channel, Purpose
from formats.decoded import WaveformMessage
from simulators.compressor import physics
from simulators.contract import FloatArray

HOUSING_RATE: Final = 25_600.0
HOUSING_SAMPLES: Final = 65_536
PROBE_RATE: Final = 5_120.0
PROBE_SAMPLES: Final = 5_120
RUN_UP_RATE: Final = 1_280.0
"""Eight samples a turn at the highest speed of a start."""
TEETH: Final = 137
"""Of the wheel on the motor's shaft; the pinion has 19."""
LINE_HZ: Final = 50.0

ELEMENTS, ELEMENT_DIAMETER, PITCH_DIAMETER = 8, 41.275, 175.0
"""The motor's drive-end bearing: deep-groove ball bearing 6322."""

_RESONANCE_HZ: Final = 3_150.0
_DAMPING: Final = 0.045
_SLIP: Final = 0.01
_IMPACT: Final = 22.0
"""m/s² of an impact at severity 1."""
_NOISE: Final = 0.45
_SECOND: Final = 1_000_000


def outer_race_hz(shaft_hz: float) -> float:
    """BPFO of the motor's drive-end bearing."""
    return ELEMENTS * shaft_hz / 2.0 * (1.0 - ELEMENT_DIAMETER / PITCH_DIAMETER)


def impacts(rate: float, n: int, hz: float, rng: np.random.Generator) -> FloatArray:
    """Unit impulses at ``hz`` as a random walk, each rung out: ``e^(−ζωt)·sin(ωt)``, [n]."""
    count = int(n / rate * hz * 1.2) + 3
    steps = (1.0 + _SLIP * rng.standard_normal(count)) / hz
    at = np.cumsum(steps) - rng.uniform(0.0, 1.0) / hz
    places = np.rint(at[at >= 0.0] * rate).astype(np.intp)
    pulses = np.zeros(n)
    np.add.at(pulses, places[places < n], 1.0)
    omega = 2.0 * np.pi * _RESONANCE_HZ
    t = np.arange(int(6.0 / (_DAMPING * omega) * rate)) / rate
    ringing = np.exp(-_DAMPING * omega * t) * np.sin(omega * t)
    return np.convolve(pulses, ringing)[:n]


def housing(ts: int, speed: float, load: float, severity: float, rng: np.random.Generator) -> WaveformMessage:
    """Accelerometers ``motor_de`` and ``gear`` (m/s²), ending at ``ts`` µs; ``speed`` r/min of the compressor, ``load``
    as a share of design, ``severity`` of the spall 0–1."""
    n, rate = HOUSING_SAMPLES, HOUSING_RATE
    t = np.arange(n) / rate
    motor_hz = speed / 60.0 / physics.GEAR_RATIO
    turn = 2.0 * np.pi * motor_hz * t + rng.uniform(0.0, 2.0 * np.pi)
    mesh = (0.6 + 0.9 * load) * (1.0 + 0.1 * np.cos(turn)) * np.cos(TEETH * turn)
    mesh += 0.3 * np.cos(2.0 * TEETH * turn + 1.0)
    electric = 0.12 * np.cos(4.0 * np.pi * LINE_HZ * t + rng.uniform(0.0, 2.0 * np.pi))
    turning = 0.14 * np.cos(turn) + 0.05 * np.cos(2.0 * turn + 0.7)
    motor = turning + electric + 0.25 * mesh + _NOISE * rng.standard_normal(n)
    if severity > 0.0:
        # later the edges wear round: impacts grow less than the spall, and noise grows with it
        motor += _IMPACT * severity / (1.0 + severity) * impacts(rate, n, outer_race_hz(motor_hz), rng)
        motor += 2.0 * severity**2 * rng.standard_normal(n)
    gear = mesh + 0.4 * turning + 0.6 * _NOISE * rng.standard_normal(n)
    channels = Channel("motor_de", "m/s2", 0.0, 11.9), Channel("gear", "m/s2", 90.0, 12.1)
    return _message(ts, rate, channels, np.stack([motor, gear]), speed, load)


def shaft(
    ts: int, speed: float, load: float, once: NDArray[np.complex128], twice: float, gaps: FloatArray, seed: int
) -> WaveformMessage:
    """Probes ``de_x`` and ``de_y`` (µm) with a tacho, ending at ``ts`` µs. ``once``: 1x vectors [2], µm peak to peak,
    angle minus the lag; ``twice`` µm peak to peak; ``gaps`` V [2]."""
    n, rate = PROBE_SAMPLES, PROBE_RATE
    rng = np.random.Generator(np.random.SFC64(seed))
    hz = speed / 60.0
    begin = rng.uniform(0.0, 1.0)
    angle = 2.0 * np.pi * (hz * np.arange(n) / rate + begin)
    pulses = (np.arange(np.ceil(begin), np.floor(begin + hz * n / rate) + 1) - begin) / hz
    moved = [
        0.5 * np.abs(once[i]) * np.cos(angle + np.angle(once[i]))
        + 0.5 * twice * np.cos(2.0 * angle + 0.4 - 0.5 * np.pi * i)
        + 0.6 * rng.standard_normal(n)
        for i in range(2)
    ]
    channels = Channel("de_x", "um", 45.0, float(gaps[0])), Channel("de_y", "um", -45.0, float(gaps[1]))
    return _message(ts, rate, channels, np.stack(moved), speed, load, pulses)


def run_up(
    ts: int, t: FloatArray, speed: FloatArray, once: NDArray[np.complex128], twice: float, gaps: FloatArray, seed: int
) -> WaveformMessage:
    """Probes ``de_x`` and ``de_y`` (µm) with a tacho through a start that ends at ``ts`` µs: ``speed`` r/min [k] and 1x
    vectors ``once`` [k, 2] (as in :func:`shaft`) at seconds ``t`` [k], evenly spaced."""
    rng = np.random.Generator(np.random.SFC64(seed))
    n = int((t[-1] - t[0]) * RUN_UP_RATE)
    moments = t[-1] - (n - np.arange(n)) / RUN_UP_RATE
    hz = np.interp(moments, t, speed) / 60.0
    turns = rng.uniform(0.0, 1.0) + np.cumsum(hz) / RUN_UP_RATE
    angle = 2.0 * np.pi * turns
    marks = np.arange(np.ceil(turns[0]), np.floor(turns[-1]) + 1)
    pulses = np.interp(marks, turns, np.arange(n) / RUN_UP_RATE)
    moved = []
    for i in range(2):
        vector = np.interp(moments, t, once[:, i].real) + 1j * np.interp(moments, t, once[:, i].imag)
        moved.append(
            0.5 * (vector.real * np.cos(angle) - vector.imag * np.sin(angle))
            + 0.5 * twice * np.cos(2.0 * angle + 0.4 - 0.5 * np.pi * i)
            + 0.6 * rng.standard_normal(n)
        )
    channels = Channel("de_x", "um", 45.0, float(gaps[0])), Channel("de_y", "um", -45.0, float(gaps[1]))
    # a pulse is known to a microsecond; more digits would only swell the message
    return replace(
        _message(ts, RUN_UP_RATE, channels, np.stack(moved), float("nan"), float("nan"), np.round(pulses, 6)),
        purpose=Purpose.TRANSIENT,
    )


def _message(
    ts: int,
    rate: float,
    channels: tuple[Channel, ...],
    samples: FloatArray,
    speed: float,
    load: float,
    tacho: FloatArray | None = None,
) -> WaveformMessage:
    start = ts - round(samples.shape[1] * _SECOND / rate)
    return WaveformMessage(
        start,
        rate,
        channels,
        samples.astype(np.float32),
        speed,
        np.empty(0) if tacho is None else tacho,
        round(100.0 * load, 1),
        "ccw",
    )
