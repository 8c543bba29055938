"""Energy per unit of output, and what its making emitted: CO₂e = energy × the emission factor of the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from core.contracts.calendars import moment
from core.contracts.evidence import Machine
from core.contracts.intervals import Span
from core.contracts.metering import meter
from core.contracts.numbers import rounded
from core.contracts.terms import Meter
from core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Factor:
    """kg CO₂e per unit of energy carrier from a local day on; ``source`` says who published it."""

    effective: date
    kg_per_unit: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class EnergyTerms:
    """Energy (e.g. kWh, or L of diesel) and output (e.g. m3 of compressed air, t moved) of a machine."""

    energy: Meter
    output: Meter | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """``intensity``: energy per unit of output, None where nothing came out. ``parts``: one per factor in force."""

    energy: Decimal
    output: Decimal | None
    intensity: Decimal | None
    co2e_kg: Decimal
    co2e_per_unit: Decimal | None
    parts: tuple[dict[str, Any], ...]


_GRAM = Decimal("0.001")
_SIX = Decimal("0.000001")


def footprint(terms: EnergyTerms, machine: Machine, span: Span, factors: Sequence[Factor], timezone: str) -> Footprint:
    """Of one machine over [from, to). ``factors`` in order of their days; raises where the first moment has none."""
    cuts = [(moment(f.effective, 0, timezone), f) for f in factors]
    if not cuts or cuts[0][0] > span[0]:
        raise InvalidInputError(
            "there is no emission factor for the beginning of this time", hint="record one with an earlier day"
        )
    parts = []
    energy = emitted = Decimal(0)
    for (start, factor), following in zip(cuts, [*(c[0] for c in cuts[1:]), span[1]], strict=True):
        low, high = max(start, span[0]), min(following, span[1])
        if low >= high:
            continue
        metered = meter(terms.energy, machine, (low, high))
        kilograms = rounded(metered.quantity * factor.kg_per_unit, _GRAM)
        energy += metered.quantity
        emitted += kilograms
        parts.append(
            {
                "from": low,
                "to": high,
                "energy": str(metered.quantity),
                "kg_per_unit": str(factor.kg_per_unit),
                "source": factor.source,
                "co2e_kg": str(kilograms),
                "trace": dict(metered.trace),
            }
        )
    made = meter(terms.output, machine, span).quantity if terms.output else None
    per = None if not made else rounded(Fraction(energy) / Fraction(made), _SIX)
    carbon = None if not made else rounded(Fraction(emitted) / Fraction(made), _SIX)
    return Footprint(energy, made, per, emitted, carbon, tuple(parts))
