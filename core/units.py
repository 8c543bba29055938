"""UCUM units and what converts to what. Conversions are linear, so the hot path only multiplies and adds."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

from core.errors import UnitError

_ALIASES: Final = {
    "": "1",
    "-": "1",
    "bool": "1",
    "°C": "Cel",
    "degC": "Cel",
    "C": "Cel",
    "°F": "[degF]",
    "degF": "[degF]",
    "rpm": "{rpm}/min",
    "r/min": "{rpm}/min",
    "{rpm}": "{rpm}/min",
    "psi": "[psi]",
    "psig": "[psi]",
    "bar(g)": "bar",
    "barg": "bar",
    "bar(a)": "bar",
    "bara": "bar",
    "µm": "um",
    "m³/s": "m3/s",
    "m³/h": "m3/h",
    "°": "deg",
    "mph": "[mi_i]/h",
    "in/s": "[in_i]/s",
    "mil": "[mil_i]",
    "gpm": "[gal_us]/min",
    "hp": "[HP]",
}
"""How people write units, and the UCUM code meant. Gauge and absolute pressure are different points, not different
units."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """``target = source * scale + offset``."""

    scale: float
    offset: float


_SPAN: Final = 1e6
"""Two points this far apart give the slope without the rounding of the offset (273.15) in it."""

IDENTITY: Final = Conversion(1.0, 0.0)


@functools.cache
def _registry() -> Any:
    # pint and UCUM's grammar take a second to build: only processes that convert pay for it
    import pint
    import ucumvert

    del pint
    return ucumvert.PintUcumRegistry()


def canonical(unit: str) -> str:
    """The UCUM code for a unit as people write it.

    >>> canonical("°C"), canonical("rpm")
    ('Cel', '{rpm}/min')
    """
    return _ALIASES.get(unit.strip(), unit.strip())


@functools.cache
def conversion(source: str, target: str) -> Conversion:
    """How a value in ``source`` becomes one in ``target``; both UCUM or one of the usual spellings.

    Raises :class:`~core.errors.UnitError` for an unknown unit or another dimension. Example: ``[psi]`` to ``bar``
    scales by 0.0689…
    """
    source, target = canonical(source), canonical(target)
    if source == target:
        return IDENTITY
    try:
        registry = _registry()
        low = registry.Quantity(0.0, registry.from_ucum(source).units).to(registry.from_ucum(target).units).magnitude
        high = registry.Quantity(_SPAN, registry.from_ucum(source).units).to(registry.from_ucum(target).units).magnitude
    except UnitError:
        raise
    except Exception as error:  # the parser and the registry raise a zoo of their own
        raise UnitError(
            f"cannot convert {source!r} to {target!r}: {error}",
            hint="units are UCUM codes, e.g. Cel, bar, mm/s, kW, {rpm}/min",
        ) from error
    return Conversion((float(high) - float(low)) / _SPAN, float(low))


def check(unit: str) -> str:
    """The canonical UCUM code, or :class:`~core.errors.UnitError` where it is none."""
    code = canonical(unit)
    if code == "1" or (code.startswith("{") and code.endswith("}")):
        return code
    try:
        _registry().from_ucum(code)
    except Exception as error:
        raise UnitError(f"{unit!r} is no UCUM unit", hint="for example Cel, bar, mm/s, kW, {rpm}/min") from error
    return code


_SHOWN: Final = {
    "1": "",
    "Cel": "°C",
    "[degF]": "°F",
    "deg": "°",
    "um": "µm",
    "{rpm}/min": "r/min",
    "m3/s": "m³/s",
    "m3/h": "m³/h",
    "m/s2": "m/s²",
    "K/kW": "K/kW",
}


def shown_unit(ucum: str) -> str:
    """A UCUM code as people write it; annotations in braces say what is counted and are no unit.

    >>> shown_unit("Cel"), shown_unit("{rpm}/min"), shown_unit("{alarms}/d"), shown_unit("1")
    ('°C', 'r/min', '/d', '')
    """
    if ucum in _SHOWN:
        return _SHOWN[ucum]
    plain = ucum
    while "{" in plain and "}" in plain:
        before, _, rest = plain.partition("{")
        plain = before + rest.partition("}")[2]
    return _SHOWN.get(plain, plain)
