"""Functions without memory. Truth is a float: 1 true, 0 false, NaN unknown (Kleene's logic), so unknown never
decides."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from models.expressions.frame import FloatArray


def finite(function: Callable[..., Any]) -> Callable[..., FloatArray]:
    """The function with infinite results unknown: dividing by zero says nothing, and no memory may learn from it."""

    @functools.wraps(function)
    def run(*arguments: Any) -> FloatArray:
        result: FloatArray = function(*arguments)
        infinite = np.isinf(result)
        return np.where(infinite, np.nan, result) if infinite.any() else result

    return run


divide = finite(np.divide)
power = finite(np.power)
modulo = finite(np.mod)
exp = finite(np.exp)
log = finite(np.log)
log10 = finite(np.log10)


# heaviside(x, at_zero) is 0, at_zero or 1 by the sign of x, and hands NaN on: a comparison in two calls.


def greater(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.heaviside(np.subtract(a, b), 0.0)


def greater_equal(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.heaviside(np.subtract(a, b), 1.0)


def less(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.heaviside(np.subtract(b, a), 0.0)


def less_equal(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.heaviside(np.subtract(b, a), 1.0)


def not_equal(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.sign(np.abs(np.subtract(a, b)))


def equal(a: FloatArray, b: FloatArray) -> FloatArray:
    return 1.0 - not_equal(a, b)


def truth(a: FloatArray) -> FloatArray:
    """A number as a condition: anything but 0 is true."""
    return np.sign(np.abs(a))


def both(a: FloatArray, b: FloatArray) -> FloatArray:
    """False if either is false, else unknown if either is."""
    return np.where((a == 0.0) | (b == 0.0), 0.0, np.multiply(a, b))


def either(a: FloatArray, b: FloatArray) -> FloatArray:
    """True if either is true, else unknown if either is."""
    return np.where((a == 1.0) | (b == 1.0), 1.0, np.maximum(a, b))


def negate(a: FloatArray) -> FloatArray:
    return np.subtract(1.0, a)


def where(condition: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """``a`` where the condition is true, ``b`` where it is false, unknown where it is unknown."""
    return np.where(condition == 1.0, a, np.where(condition == 0.0, b, np.nan))


def known(x: FloatArray) -> FloatArray:
    """1 where x is known, else 0."""
    return np.where(np.isnan(x), 0.0, 1.0)


def otherwise(x: FloatArray, default: FloatArray) -> FloatArray:
    """x, or ``default`` where x is unknown."""
    return np.where(np.isnan(x), default, x)


def clip(x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """x held between low and high."""
    return np.minimum(np.maximum(x, low), high)


def sin_deg(degrees: FloatArray) -> FloatArray:
    """Sine of an angle in degrees; with :func:`cos_deg` a vibration vector's parts, which can be averaged and
    compared."""
    return np.sin(np.deg2rad(degrees))


def cos_deg(degrees: FloatArray) -> FloatArray:
    """Cosine of an angle in degrees."""
    return np.cos(np.deg2rad(degrees))


@finite
def viscosity(celsius: FloatArray, a: float = 9.531, b: float = 3.747) -> FloatArray:
    """Kinematic viscosity of an oil in cSt (ASTM D341, Walther): log10 log10(ν + 0.7) = a − b·log10(T/K); ISO VG 32 as
    it stands.

    >>> round(float(viscosity(np.float64(40.0))), 1)
    32.1
    """
    kelvin = np.add(celsius, 273.15)
    return 10.0 ** (10.0 ** (a - b * np.log10(kelvin))) - 0.7


def interpolate(x: FloatArray, xs: FloatArray, ys: FloatArray) -> FloatArray:
    """Linear between the given nodes, constant beyond the outer ones."""
    return np.interp(x, xs, ys)


@finite
def polytropic_efficiency(p1: FloatArray, p2: FloatArray, t1: FloatArray, t2: FloatArray, kappa: float) -> FloatArray:
    """(κ−1)/κ · ln(p2/p1)/ln(T2/T1) with absolute pressures and °C (ISO 5389, ideal gas)."""
    ratio = np.log(np.add(t2, 273.15) / np.add(t1, 273.15))
    return (kappa - 1.0) / kappa * np.log(np.divide(p2, p1)) / ratio
