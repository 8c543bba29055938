"""Gear pairs: mesh frequency, sidebands, and what one tooth does once per turn.

Local defects show in the residual of the time-synchronous average, once mesh harmonics and their first sidebands are
taken out: its kurtosis (FM4, Stewart 1977; Zakrajsek 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from models.vibration.orders import synchronous_average

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gear:
    """``teeth`` on the shaft whose speed is measured, ``mate`` on the other shaft."""

    teeth: int
    mate: int

    def mesh(self, speed: float) -> float:
        """Hz at r/min of the measured shaft."""
        return self.teeth * speed / 60

    def mate_order(self) -> float:
        """Speed of the other shaft over that of this one."""
        return self.teeth / self.mate


@dataclass(frozen=True, slots=True)
class Mesh:
    """``amplitude`` of the mesh line, ``sidebands`` RMS sum of the first three pairs at the shaft's rate, their
    ``ratio``; ``fm4`` kurtosis of the residual of one turn (3 for noise)."""

    amplitude: float
    sidebands: float
    ratio: float
    fm4: float
    turns: int


def mesh(samples: NDArray[np.floating], angle: FloatArray, gear: Gear) -> Mesh:
    """What the time-synchronous average of the gear's shaft shows of the mesh; ``angle`` in turns of that shaft."""
    per_turn = int(2 ** np.ceil(np.log2(max(256, 8 * gear.teeth))))
    turn, turns = synchronous_average(samples, angle, per_turn=per_turn)
    lines = fft.rfft(turn) / per_turn * 2
    size = np.abs(lines)
    z = gear.teeth
    sides = [k for k in (z - 3, z - 2, z - 1, z + 1, z + 2, z + 3) if 0 < k < len(size)]
    side = float(np.sqrt(np.sum(size[sides] ** 2)))
    rest = lines.copy()
    for h in range(1, len(rest) // z + 1):
        rest[[k for k in (h * z - 1, h * z, h * z + 1) if k < len(rest)]] = 0
    rest[: min(4, len(rest))] = 0  # unbalance, misalignment: no matter of teeth
    residual = fft.irfft(rest, per_turn)
    power = float(np.mean(residual**2))
    fm4 = float(np.mean(residual**4)) / power**2 if power > 0 else 3.0
    top = float(size[z]) if z < len(size) else 0.0
    return Mesh(top, side, side / top if top > 0 else 0.0, fm4, turns)
