"""Energy per unit of output and CO₂e of a machine over a time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from core.contracts.energy import EnergyTerms, Factor, footprint
from core.contracts.intervals import Span
from core.contracts.terms import GapRule, Meter, MeterKind
from core.errors import InvalidInputError, NotFoundError
from core.time import DAY, HOUR
from services.api.database import Transaction
from services.contracts import evidence, model

_RESOLUTION = Decimal("0.001")
_PER_HOUR = {"kW": "kWh", "W": "Wh", "MW": "MWh", "m3/h": "m3", "L/h": "L", "kg/h": "kg", "t/h": "t"}
"""Units of rates whose integral over hours has a unit of its own."""


async def of_machine(
    db: Transaction,
    equipment: int,
    name: str,
    carrier: str,
    energy: str,
    output: str | None,
    span: Span,
    timezone: str,
    max_gap: int = 2 * HOUR,
) -> model.Footprint:
    """``energy``, ``output``: keys of points, counters or rates per hour (told by their unit). Gaps count for nothing;
    what they were is in the trace."""
    wanted = sorted({energy, output or energy})
    rows = await db.rows("evidence_points", equipment=[equipment] * len(wanted), keys=wanted)
    found = {row["key"]: row for row in rows}
    for key in wanted:
        if key not in found:
            raise NotFoundError(f"the machine has no point {key!r}")
    rows = await db.rows("factors_of", carrier=carrier)
    factors = [Factor(row["effective"], row["kg_per_unit"], row["source"]) for row in rows]
    asked = evidence.Wanted(equipment, frozenset(wanted), frozenset(), span, max_gap + DAY)
    (machine,) = await evidence.machines(db, [asked])
    first = _meter(found[energy], max_gap)
    if rows and rows[0]["unit"] != first.unit:
        raise InvalidInputError(
            f"factors of {carrier} are per {rows[0]['unit']}, {energy} is in {first.unit}",
            hint="choose another carrier",
        )
    second = None if output is None else _meter(found[output], max_gap)
    made = footprint(EnergyTerms(first, second), machine, span, factors, timezone)
    return model.Footprint(
        equipment=name,
        carrier=carrier,
        energy=f"{made.energy:f}",
        energy_unit=first.unit,
        output=None if made.output is None else f"{made.output:f}",
        output_unit=second.unit if second else None,
        intensity=None if made.intensity is None else f"{made.intensity:f}",
        co2e_kg=f"{made.co2e_kg:f}",
        co2e_per_unit=None if made.co2e_per_unit is None else f"{made.co2e_per_unit:f}",
        parts=[dict(part) for part in made.parts],
    )


def _meter(point: dict[str, Any], max_gap: int) -> Meter:
    unit, key = point["unit"], point["key"]
    if unit in _PER_HOUR:
        return Meter(MeterKind.INTEGRAL, _PER_HOUR[unit], _RESOLUTION, key, max_gap=max_gap, gap=GapRule.NOTHING)
    return Meter(MeterKind.COUNTER, unit, _RESOLUTION, key, max_gap=max_gap, gap=GapRule.HOLD)
