"""A long healthy recording, made by our own simulator: a compressor train that nothing is wrong with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np

from core.time import from_datetime
from models.normal.behaviour import History
from simulators.fleet import CompressorTrainFleet
from simulators.plans import unit_seeds

SETTINGS: Final = ("train.speed", "train.demand", "train.ambient_temperature")
"""How it is driven, and the weather."""
_NO_SENSOR: Final = ("running_hours", "_phase", "standby_pump", "recycle_valve_position", "pulsation")
"""Counters, angles, switches: not what a mean and a spread describe."""
_SPEED_LOADED: Final = 8000.0
_RECYCLE: Final = 20.0
_BLOCK: Final = 600


def healthy_train(rows: int = 8000, period_s: int = 60, seed: int = 1) -> History:
    """``rows`` rows under load, a row per ``period_s``: stops, ramps and recycle are left out, as on the stream."""
    fleet = CompressorTrainFleet(unit_seeds(seed, 1), from_datetime(datetime(2026, 4, 12, tzinfo=UTC)), period_s, [])
    names = [spec.key for spec in fleet.POINTS]
    settings = [names.index(key) for key in SETTINGS]
    speed, recycle = names.index("train.speed"), names.index("process.recycle_valve_position")
    sensors = [i for i, key in enumerate(names) if i not in settings and not any(part in key for part in _NO_SENSOR)]
    ts, values, have = [], [], 0
    while have < rows:
        frames = fleet.advance(_BLOCK)
        now = frames.values[:, 0]
        with np.errstate(invalid="ignore"):
            loaded = (now[:, speed] >= _SPEED_LOADED) & (now[:, recycle] <= _RECYCLE)
        ts.append(frames.ts[loaded])
        values.append(now[loaded])
        have += int(loaded.sum())
    table = np.concatenate(values)[:rows]
    return History(np.concatenate(ts)[:rows], table[:, settings], table[:, sensors])
