"""Formulas of the train. Units in the names or docstrings; everything broadcasts over time and units."""

from __future__ import annotations

from typing import Final

import numpy as np

from simulators.contract import BoolArray, FloatArray

CARS_TOTAL: Final = 6
P0: Final = 1.013
VOLUME: Final = 0.9
DELIVERY: Final = 1.6
PURGE: Final = 0.16
USE_PER_STOP: Final = 1.05
"""m³/min of free air during 40 s at a stop."""
LEAK_REFERENCE: Final = 8.25
"""bar(g) at which a leak's L/min are stated."""
BOX_CAPACITY: Final = 28_000.0
BOX_FRICTION: Final = 14.0
DISC_CAPACITY: Final = 15_000.0
PLATE_TAU_S: Final = 360.0
PLATE_RESISTANCE: Final = 3.5
PLATE_TRIP: Final = 95.0
CABIN_CAPACITY: Final = 800.0
"""kJ/K"""
CABIN_LOSS: Final = 2.0
"""kW/K"""
COOLING: Final = 70.0
"""kW, two units"""


def car_mass(load: FloatArray) -> FloatArray:
    """Tonnes of a car."""
    return 38.0 + 16.0 * load


def davis(v: FloatArray) -> FloatArray:
    """Running resistance of the train in kN at ``v`` m/s."""
    return 6.0 + 0.10 * v + 0.012 * v**2


def converter_loss(power_kw: FloatArray) -> FloatArray:
    """kW of heat in one converter at ``|P|`` kW."""
    return 0.025 * np.abs(power_kw) + 0.6


def box_conductance(v: FloatArray) -> FloatArray:
    """W/K from an axle box to the air."""
    return 8.0 + 0.45 * v


def box_target(v: FloatArray, s: FloatArray | float, q_w: FloatArray | float) -> FloatArray:
    """Steady rise over ambient in K at friction severity ``s`` and extra heat ``q_w``."""
    return (BOX_FRICTION * v * (1.0 + s) + q_w) / box_conductance(v)


def disc_conductance(v: FloatArray) -> FloatArray:
    """W/K from a brake disc to the air."""
    return 15.0 + 4.0 * v


def leak_coefficient(litres_per_min: FloatArray | float) -> FloatArray:
    """``Cℓ`` in m³/min per bar(a) of a leak stated at 8.25 bar(g)."""
    return np.asarray(litres_per_min) * 1e-3 / (LEAK_REFERENCE + P0)


def hot_box_severity(clock: FloatArray, running_s: float) -> FloatArray:
    """Friction severity of a hot box: 0 to 0.3, then doubling every 8 min; the limit falls on clock 1.

    The run-away takes seven doublings and real time; with a horizon under 96 min it is compressed, too.
    """
    doubling = min(480.0, running_s / 12.0) / running_s
    away = 1.0 - 7.0 * doubling
    early = 0.3 * np.clip(clock / away, 0.0, 1.0)
    return np.where(clock <= away, early, 0.3 * 2.0 ** np.minimum((clock - away) / doubling, 7.5))


def air_course(
    pressure: FloatArray,
    running: BoolArray,
    delivery: FloatArray,
    taken: FloatArray,
    leak: FloatArray,
    enabled: BoolArray,
    volume: FloatArray,
    dt_s: float = 1.0,
) -> tuple[FloatArray, BoolArray]:
    """Main reservoir with leading and second compressor: ``dp/dt = p0/V·[Qc(1−κd)·on − Q_use − Cℓ(p+p0)]``.

    ``pressure`` [units] bar(g) and ``running`` [2, units] before the first step; ``delivery`` [n, 2, units] after the
    dryer, ``taken`` and ``leak`` (Cℓ) [n, units] in m³/min, ``enabled`` [n, units]. Hysteresis: on below 7.5 (second
    7.0), off above 9.0. Returns pressure [n, units] and running [n, 2, units] after each step.
    """
    per_step = P0 / volume * dt_s / 60.0
    course = np.empty(taken.shape)
    ran = np.empty((len(taken), *running.shape), dtype=np.bool_)
    gains, losses = delivery * per_step, leak * per_step
    outflows = taken * per_step + losses * P0
    # Hysteresis makes each second depend on the one before, and there are few trains: plain floats beat arrays here.
    for unit in range(taken.shape[1]):
        p, first, second = float(pressure[unit]), bool(running[0, unit]), bool(running[1, unit])
        levels: list[float] = []
        lead: list[bool] = []
        backup: list[bool] = []
        for (one, two), outflow, loss, live in zip(
            gains[:, :, unit].tolist(),
            outflows[:, unit].tolist(),
            losses[:, unit].tolist(),
            enabled[:, unit].tolist(),
            strict=True,
        ):
            first = live and (p < 9.0 if first else p < 7.5)
            second = live and (p < 9.0 if second else p < 7.0)
            p -= outflow + loss * p
            if first:
                p += one
            if second:
                p += two
            if p < 0.0:
                p = 0.0
            levels.append(p)
            lead.append(first)
            backup.append(second)
        course[:, unit] = levels
        ran[:, 0, unit] = lead
        ran[:, 1, unit] = backup
    return course, ran
