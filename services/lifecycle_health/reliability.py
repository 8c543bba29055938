"""How long kinds of parts last, how dependable types of machines are, machines at equal duty."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from core.errors import InvalidInputError, NotFoundError
from core.lifecycle.plan import equal_duty
from core.time import HOUR, from_datetime
from models.reliability.dependability import dependability, pareto
from models.reliability.life_data import Bounded, fit
from services.api.database import Transaction
from services.lifecycle_health import items
from services.lifecycle_health import items_model as model


async def life_of_kind(db: Transaction, kind: str, confidence: float) -> model.LifeOfKind:
    """Every life of every item of the kind: ended by failure, or not (removed in time, still running)."""
    found = await items.register(db)
    numbers = [i for i, row in found.rows.items() if row["kind"] == kind]
    if not numbers:
        raise NotFoundError("there is no part of this kind, or none is yours to see")
    times: list[float] = []
    failed: list[bool] = []
    for number in numbers:
        for life in await items.lives_of(db, found, number):
            hours = float(life.counted.get("hours", 0))
            if hours > 0:
                times.append(hours)
                failed.append(life.failed)
    try:
        made = fit(times, failed, confidence)
    except InvalidInputError as why:
        return model.LifeOfKind(
            kind=kind, failures=sum(failed), suspensions=len(failed) - sum(failed), confidence=confidence,
            beta=None, eta=None, b10=None, mean=None, meaning=str(why),
        )  # fmt: skip
    return model.LifeOfKind(
        kind=kind,
        failures=made.failures,
        suspensions=made.suspensions,
        confidence=confidence,
        beta=_bounded(made.beta),
        eta=_bounded(made.eta),
        b10=_bounded(made.b10),
        mean=made.mean,
        meaning=made.says(),
    )


def _bounded(found: Bounded) -> model.BoundedOf:
    return model.BoundedOf(value=found.value, low=found.low, high=found.high)


async def of_type(
    db: Transaction, key: str, down: list[str], low: datetime, high: datetime, confidence: float
) -> model.TypeReliability:
    """Each entry into one of the ``down`` states is a failure; how long it lasts, its restoration. Up time: in running
    states of the type."""
    machines = await db.rows("machines_of_type", type=key)
    if not machines:
        raise NotFoundError("there is no machine of this type, or none is yours to see")
    begin, end = from_datetime(low), from_datetime(high)
    up, repairs = 0.0, []
    for machine in machines:
        type_row = await db.row("type_of", equipment=machine["id"])
        running = (type_row["document"] or {}).get("running", ()) if type_row else ()
        changes = [(row["ts"], row["state"]) for row in await db.rows("states_of", equipment=machine["id"])]
        clock = items.MachineClock(changes, running)
        up += float(clock.at(end)["hours"] - clock.at(begin)["hours"])
        for n, (ts, state) in enumerate(changes):
            entered = state in down and (n == 0 or changes[n - 1][1] not in down)
            if not entered or not begin <= ts < end:
                continue
            back = next((later for later, then in changes[n + 1 :] if then not in down), end)
            repairs.append((min(back, end) - ts) / HOUR)
    found = dependability(up, repairs, confidence)
    causes = {row["key"]: float(row["times"]) for row in await db.rows("alarms_by_mode", type=key, low=low, high=high)}
    return model.TypeReliability(
        type=key,
        machines=len(machines),
        up_hours=round(up, 3),
        failures=found.failures,
        mtbf=found.mtbf,
        mtbf_low=found.mtbf_low,
        mtbf_high=found.mtbf_high,
        mttr=found.mttr,
        availability=found.availability,
        pareto=[model.ShareOf.model_validate(share) for share in pareto(causes)],
    )


async def at_equal_duty(
    db: Transaction, key: str, duty: str, metric: str, low: datetime, high: datetime, classes: int
) -> model.EqualDuty:
    """Machines by the mean of ``metric`` as if each had run the fleet's mix of ``duty``; classes of equal hours."""
    if not await db.rows("machines_of_type", type=key):
        raise NotFoundError("there is no machine of this type, or none is yours to see")
    rows = await db.rows("hourly_pairs", type=key, duty=duty, metric=metric, low=low, high=high)
    fleet = {row["machine"]: (np.array(row["duty"], np.float64), np.array(row["value"], np.float64)) for row in rows}
    duties = np.concatenate([d for d, _ in fleet.values()]) if fleet else np.empty(0)
    duties = duties[np.isfinite(duties)]
    if not duties.size:
        raise InvalidInputError(
            "no hour of this time has both points", hint="give keys of points and a time with readings"
        )
    edges = np.unique(np.quantile(duties, np.linspace(0, 1, classes + 1)))
    edges[-1] = np.nextafter(edges[-1], np.inf)
    if len(edges) < 2:
        edges = np.array([edges[0], np.nextafter(edges[0], np.inf)])
    return model.EqualDuty(
        type=key,
        duty=duty,
        metric=metric,
        machines=[
            model.ComparedOf(
                machine=c.machine,
                raw=None if not np.isfinite(c.raw) else c.raw,
                standardised=c.standardised,
                covered=c.covered,
                hours=c.hours,
            )
            for c in equal_duty(fleet, edges.tolist())
        ],
    )
