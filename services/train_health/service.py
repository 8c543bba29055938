"""Trains, out of the database and into the words of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from core.codes import CodeDef, TroubleCode
from core.equipment import EquipmentType
from core.errors import InvalidInputError, NotFoundError
from core.time import from_datetime, to_datetime
from models import codes
from services.api.database import Transaction
from services.api.state import TypeParser
from services.telemetry.model import EquipmentRef
from services.telemetry.service import finite
from services.train_health.model import (
    CodeSeen,
    Configuration,
    FleetFigures,
    GuideStep,
    Looked,
    TrainFigures,
    Trouble,
    Troubles,
    Vehicle,
)

MOST_REPORTS: Final = 20_000
"""Looked at in one answer; a storm has hundreds."""


async def type_of(db: Transaction, equipment: int, parse: TypeParser) -> EquipmentType:
    document: Mapping[str, Any] = await db.value("train_type", equipment=equipment)
    return parse(dict(document))


async def troubles(
    db: Transaction, of: EquipmentRef, parse: TypeParser, time_from: datetime, time_to: datetime
) -> Troubles:
    """Reports within the time as troubles. What is apart by the type's consequence window is a trouble of its own."""
    type_ = await type_of(db, of.id, parse)
    rows = await db.rows("train_codes", equipment=of.id, time_from=time_from, time_to=time_to, count=MOST_REPORTS + 1)
    reports = [TroubleCode.of(from_datetime(row["ts"]), row["body"]) for row in rows[:MOST_REPORTS]]
    known = codes.titles(type_)
    found = codes.troubles([r for r in reports if r is not None], type_.consequence_window)
    items = [_trouble(trouble, known) for trouble in reversed(found)]
    return Troubles(equipment=of, items=items, complete=len(rows) <= MOST_REPORTS)


def _trouble(trouble: codes.Trouble, known: Mapping[str, CodeDef]) -> Trouble:
    seen = [_seen(counted, known) for counted in trouble.codes]
    return Trouble(
        first_out=seen[0],  # troubles are built in order of time
        environment=dict(trouble.first_out.environment),
        start=to_datetime(trouble.start),
        end=to_datetime(trouble.end),
        reports=trouble.reports,
        codes=seen,
    )


def _seen(counted: codes.Counted, known: Mapping[str, CodeDef]) -> CodeSeen:
    return CodeSeen(
        code=counted.code,
        title=known[counted.code].title if counted.code in known else "",
        component=counted.component,
        first=to_datetime(counted.first),
        last=to_datetime(counted.last),
        count=counted.count,
        active=counted.active,
    )


async def guide(
    db: Transaction, of: EquipmentRef, parse: TypeParser, code: str, component: str, answers: Sequence[bool]
) -> GuideStep:
    """The step that the answers lead to, with the values that help to answer it now."""
    type_ = await type_of(db, of.id, parse)
    known = codes.titles(type_).get(code)
    if known is None:
        raise NotFoundError(f"the type {type_.key} knows no code {code!r}")
    try:
        step = codes.answered(known, answers)
    except IndexError as error:
        raise InvalidInputError(str(error), hint="give fewer answers") from None
    look: list[Looked] = []
    if step is not None:
        keys = list(codes.look_at(type_, known, step, component))
        rows = await db.rows("train_values", equipment=of.id, keys=keys)
        look = [
            Looked(
                point=row["point"],
                description=row["description"],
                unit=row["unit"],
                value=finite(row["value"]),
                ts=row["ts"],
            )
            for row in rows
        ]
    return GuideStep(
        code=known.code,
        title=known.title,
        component=component,
        priority=known.priority.value,
        advice=None if known.advice is None else known.advice.value,
        consequence=known.consequence,
        action=known.action,
        step=None if step is None else step.key,
        ask=step.ask or None if step is not None else None,
        do=step.do or None if step is not None else None,
        failure_mode=known.failure_mode if step is None else step.failure_mode,
        look=look,
    )


async def configuration(db: Transaction, of: EquipmentRef, time_from: datetime, time_to: datetime) -> Configuration:
    rows = await db.rows("train_vehicles", equipment=of.id, time_from=time_from, time_to=time_to)
    return Configuration(equipment=of, vehicles=[Vehicle.model_validate(row) for row in rows])


async def figures(db: Transaction, time_from: datetime, time_to: datetime) -> FleetFigures:
    """Kilometres between failures (EN 50126's MDBF) of each train and of the fleet."""
    trains = []
    for row in await db.rows("train_fleet", time_from=time_from, time_to=time_to):
        failures = row["withdrawals"] + row["end_of_day"]
        trains.append(
            TrainFigures(
                equipment=EquipmentRef(id=row["id"], key=row["key"], name=row["name"]),
                type=row["type"],
                km=finite(row["km"]),
                withdrawals=row["withdrawals"],
                end_of_day=row["end_of_day"],
                mdbf_km=_between(row["km"] or 0.0, failures),
                delay_minutes=row["delay_minutes"],
                cycles=row["cycles"],
            )
        )
    km = sum(train.km or 0.0 for train in trains)
    failures = sum(train.withdrawals + train.end_of_day for train in trains)
    return FleetFigures(
        trains=trains,
        km=km,
        failures=failures,
        mdbf_km=_between(km, failures),
        delay_minutes=sum(train.delay_minutes for train in trains),
    )


def _between(km: float, failures: int) -> float | None:
    return km / failures if failures else None
