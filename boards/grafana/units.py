"""UCUM units as Grafana calls them. Where its list has none, the unit is a suffix as people write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from grafana_foundation_sdk.models import units

OWN: Final = frozenset(value for name, value in vars(units).items() if isinstance(value, str) and name[0].isupper())
"""Every unit of Grafana's own list."""

_KNOWN: Final[Mapping[str, str]] = {
    "": units.NoUnit,
    "1": units.NoUnit,
    "%": units.Percent,
    "A": units.Ampere,
    "bar": units.Bars,
    "Cel": units.Celsius,
    "d": units.Days,
    "deg": units.Degrees,
    "h": units.Hours,
    "Hz": units.Hertz,
    "K": units.Kelvin,
    "km": units.Kilometer,
    "km/h": units.KilometersPerHour,
    "kW": units.KiloWatt,
    "m3/s": units.CubicMetersPerSecond,
    "mbar": units.Millibars,
    "min": units.Minutes,
    "s": units.Seconds,
    "V": units.Volt,
    "{rpm}/min": units.RevolutionsPerMinute,
    "L/min": "suffix:L/min",
    "um": "suffix:µm",
    "mm/s": "suffix:mm/s",
    "K/kW": "suffix:K/kW",
}


def grafana_unit(ucum: str) -> str:
    """Raises KeyError for a unit that no board uses yet: add it above."""
    return _KNOWN[ucum]
