"""Formulas of the compressor train. Pure; SI inside unless a name says otherwise; everything broadcasts.

Map, oil and rotor are illustrative design values of the class of machine, not of a product. Sources: ideal-gas
polytropic compression (ISO 5389), viscosity after Walther (ISO VG 32), Jeffcott rotor.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.contract import FloatArray

SPEED_DESIGN: Final = 10_728.0
"""r/min of the compressor."""
FLOW_DESIGN: Final = 12.0
HEAD_DESIGN: Final = 78_000.0
EFFICIENCY_DESIGN: Final = 0.82
KAPPA: Final = 1.4
GAS_CONSTANT: Final = 287.0
CP: Final = 1005.0
PHI_SURGE: Final = 0.70
PHI_RECYCLE: Final = PHI_SURGE / 0.90
"""The recycle valve holds the machine at a surge margin of 10 %."""
SPEED_CRITICAL: Final = 5_200.0
DAMPING: Final = 0.12
GEAR_RATIO: Final = 137 / 19
ETA_GEAR: Final = 0.98
ETA_MOTOR: Final = 0.96
COS_PHI: Final = 0.88
VOLTAGE: Final = 10_000.0
CURRENT_RATED: Final = 1.6e6 / ETA_MOTOR / (np.sqrt(3.0) * VOLTAGE * COS_PHI)
P_PUMP: Final = 4.0
P_HEADER_SET: Final = 1.5
FILTER_CLEAN: Final = 0.25
"""Clean filter Δp in bar at 45 °C and full flow."""


def head(phi: FloatArray, s: FloatArray | float, loss: FloatArray | float = 0.0) -> FloatArray:
    """Polytropic head J/kg at reduced flow ``phi = Q1/(Qd·s)`` and speed ``s = N/Nd``."""
    return HEAD_DESIGN * s**2 * (1.15 - 1.667 * (phi - PHI_SURGE) ** 2) * (1.0 - loss)


def efficiency(phi: FloatArray, loss: FloatArray | float = 0.0) -> FloatArray:
    """Polytropic efficiency."""
    return EFFICIENCY_DESIGN * (1.0 - 0.9 * (phi - 1.0) ** 2) * (1.0 - loss)


def exponent(eta: FloatArray) -> FloatArray:
    """``m = (κ−1)/(κ·ηp)``, so that ``T2/T1 = (p2/p1)^m``."""
    return (KAPPA - 1.0) / KAPPA / eta


def ratio(head_: FloatArray, m: FloatArray, t1_k: FloatArray | float) -> FloatArray:
    """Pressure ratio of a polytropic head at suction temperature ``t1_k`` (Z = 1)."""
    return (1.0 + m * head_ / (GAS_CONSTANT * t1_k)) ** (1.0 / m)


def density(p1_pa: FloatArray | float, t1_k: FloatArray | float) -> FloatArray:
    return np.asarray(p1_pa / (GAS_CONSTANT * t1_k))


THROTTLE_DESIGN: Final = float(
    density(1e5, 303.15)
    * FLOW_DESIGN
    / np.sqrt(1e5 * (ratio(head(np.array(1.0), 1.0), exponent(np.array(0.82)), 303.15) - 1))
)
"""``u`` of ``ṁ_out = u·√(p2−p1)`` that gives φ = 1 at design speed, 30 °C and 1 bar(a)."""


def operating_flow(
    u: FloatArray, s: FloatArray, t1_k: FloatArray, p1_pa: FloatArray, head_loss: FloatArray | float = 0.0
) -> FloatArray:
    """Reduced flow φ at which the machine delivers what the process takes: ``ρ1·Qd·s·φ = u·√(p2−p1)``.

    Quasi-steady and outside surge; damped fixed point, six rounds reach 1e-4 over the whole map.
    """
    supply = density(p1_pa, t1_k) * FLOW_DESIGN * s
    phi = np.full(np.broadcast(u, s).shape, 0.95)
    for _ in range(6):
        m = exponent(efficiency(phi))
        rise = p1_pa * (ratio(head(phi, s, head_loss), m, t1_k) - 1.0)
        phi = np.clip(0.25 * phi + 0.75 * u * np.sqrt(np.maximum(rise, 0.0)) / supply, 0.4, 1.35)
    return phi


def surge_margin(phi: FloatArray) -> FloatArray:
    """``100·(φ − φs)/φ`` %."""
    return 100.0 * (phi - PHI_SURGE) / phi


def viscosity(t_c: FloatArray) -> FloatArray:
    """Kinematic viscosity of VG 32 oil in cSt (Walther, constants such that it is 32.0 at 40 °C)."""
    return 10.0 ** (10.0 ** (9.531867 - 3.747 * np.log10(t_c + 273.15))) - 0.7


VISCOSITY_45: Final = float(viscosity(np.array(45.0)))


def filter_dp(clogging: FloatArray | float, t_c: FloatArray, flow: FloatArray | float = 1.0) -> FloatArray:
    """Lube-oil filter Δp in bar: ``0.25·ν(T)/ν(45)·q/q0/(1−c)²``."""
    return FILTER_CLEAN * viscosity(t_c) / VISCOSITY_45 * flow / (1.0 - clogging) ** 2


def header_pressure(dp: FloatArray, pump: FloatArray | float = P_PUMP) -> FloatArray:
    """Header pressure in bar(g): the regulator holds 1.5 until it is wide open."""
    return np.minimum(P_HEADER_SET, np.maximum(pump - dp - 0.3, 0.0))


CLOGGING_LIMIT: Final = 1.0 - float(np.sqrt(FILTER_CLEAN / (P_PUMP - 0.3 - 1.0)))
"""Share of the filter clogged at which the shaft-driven pump alone holds 1.0 bar(g) at 45 °C: 0.696."""


def unbalance_response(r: FloatArray | float) -> NDArray[np.complex128]:
    """Complex µm pp per µm of unbalance at ``r = N/Nc``: ``2r²/(1−r²+2jζr)``; the angle is minus the lag."""
    return np.asarray(2.0 * r**2 / (1.0 - r**2 + 2j * DAMPING * r))


def housing_velocity(
    v0: FloatArray, transmission: FloatArray | float, f_hz: FloatArray, d_um: FloatArray
) -> FloatArray:
    """mm/s RMS of the housing from a shaft motion of ``d_um`` µm pp at ``f_hz``."""
    shaft = transmission * 2.0 * np.pi * f_hz * d_um * 1e-3 / (2.0 * np.sqrt(2.0))
    return np.asarray(np.sqrt(v0**2 + shaft**2))
