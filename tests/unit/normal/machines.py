"""Healthy machines to learn from: a load that all sensors feel, a heat that some share, noise of their own."""

from __future__ import annotations

import numpy as np

from models.normal.behaviour import History, NormalBehaviour

STEP = 10_000_000
"""µs between rows."""
SENSORS = ("bearing_a", "bearing_b", "oil", "current", "pressure")
UNITS = ("Cel", "Cel", "Cel", "A", "bar")
_BY_LOAD = np.array([30.0, 28.0, 12.0, 80.0, 2.0])
_BY_HEAT = np.array([4.0, 4.0, 4.0, 0.0, 0.0])
_NOISE = np.array([0.3, 0.3, 0.2, 0.8, 0.02])
_AT_REST = np.array([40.0, 40.0, 38.0, 10.0, 1.0])


def machine(seed: int, rows: int = 800) -> History:
    """Settings: load, with steps. A slow heat (weather) that nobody measures moves the three temperatures together."""
    rng = np.random.default_rng(seed)
    load = np.repeat(rng.uniform(0.5, 1.0, rows // 60 + 1), 60)[:rows]
    heat = np.sin(2 * np.pi * (np.arange(rows) / 250 + rng.uniform()))
    own = rng.normal(0.0, [1.0, 1.0, 1.0, 2.0, 0.05])
    sensors = _AT_REST + own + np.outer(load, _BY_LOAD) + np.outer(heat, _BY_HEAT) + rng.normal(0, _NOISE, (rows, 5))
    return History((np.arange(rows) + 1) * STEP, load[:, None], sensors)


def model(**changed: object) -> NormalBehaviour:
    """Unfitted, with times that suit :func:`machine`."""
    given = {
        "smooth_s": 120.0,
        "settle_s": 300.0,
        "learn_s": 2000.0,
        "recentre_s": 4000.0,
        "calibrate": False,
        "t_limit": 7.0,
        "q_limit": 7.0,
        **changed,
    }
    return NormalBehaviour(SENSORS, ("load",), UNITS, **given)  # type: ignore[arg-type]


def moved(history: History, column: int, by: float, since: int) -> History:
    sensors = history.sensors.copy()
    sensors[since:, column] += by
    return History(history.ts, history.settings, sensors)
