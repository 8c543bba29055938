"""Oil samples: judged when they come in, against the type's limits and the samples before; a bad one is evidence."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from core.condition import Priority
from core.errors import InvalidInputError
from core.maintenance_plan import OilDef
from core.time import DAY, from_datetime
from models.maintenance import oil as oils
from models.maintenance.urgency import merge, plan_of_work, unknown_work, urgency
from services.api.auth import Principal
from services.api.database import Row, Transaction, visible
from services.api.errors import ParameterError
from services.predictive_maintenance import service
from services.predictive_maintenance.planning_model import NewSample, OilFigure, OilSample
from services.telemetry.model import EquipmentRef

MODE: Final = "oil_condition"
_PRIORITY: Final = {"warning": Priority.MEDIUM, "alarm": Priority.HIGH}
_HISTORY: Final = 24


def sample_of(row: Row) -> OilSample:
    verdict = [OilFigure.model_validate(one) for one in row["verdict"]]
    return OilSample.model_validate(
        {
            **row,
            "equipment": EquipmentRef(id=row["equipment_id"], key=row["equipment_key"], name=row["equipment_name"]),
            "level": max((one.level for one in verdict), key=("good", "warning", "alarm").index, default="good"),
            "verdict": verdict,
        }
    )


_NO_FILTER: Final[dict[str, Any]] = dict.fromkeys(("id", "equipment", "component", "after_at", "after_id"))


async def samples(db: Transaction, count: int, **filters: Any) -> list[Row]:
    return await db.rows("oil_samples", **{**_NO_FILTER, **filters, "count": count})


async def sample(db: Transaction, number: int) -> OilSample:
    return sample_of(visible(await samples(db, 1, id=number), "oil sample"))


def _oil(known: tuple[OilDef, ...], component: str | None) -> OilDef:
    found = [one for one in known if component in (None, one.component)]
    if not found:
        raise ParameterError("the equipment's type names no oil there", pointer="/component")
    if len(found) > 1:
        places = ", ".join(one.component for one in found)
        raise ParameterError(f"there are several oils: {places}", pointer="/component")
    return found[0]


async def keep(db: Transaction, who: Principal, equipment: int, body: NewSample) -> int:
    """Judge and store a sample; its number."""
    plan, row = await service.plan_for(db, equipment)
    oil = _oil(plan.oils, body.component)
    figures = {
        name: value
        for name, value in body.model_dump().items()
        if name in ("viscosity_40", "water", "acid_number", "cleanliness", "metals") and value not in (None, {})
    }
    if not figures:
        raise ParameterError("there is no figure in it", pointer="")
    at = from_datetime(body.sampled_at)
    before = [
        (from_datetime(s["sampled_at"]), s["figures"])
        for s in reversed(await samples(db, _HISTORY, equipment=equipment, component=oil.component))
        if s["sampled_at"] < body.sampled_at
    ]
    try:
        judged = oils.judge(oil, figures, at, before)
    except InvalidInputError as error:
        raise ParameterError(f"{error}: {error.hint}", pointer="/cleanliness") from None
    made = await db.value(
        "keep_oil_sample",
        equipment=equipment,
        component=oil.component,
        sampled_at=body.sampled_at,
        laboratory=body.laboratory,
        reference=body.reference,
        figures=json.dumps(figures),
        verdict=json.dumps([asdict(one) for one in judged]),
        who=who.actor,
    )
    assert isinstance(made, int)
    if row["own"]:
        await _advise(db, equipment, oil, judged, at, made)
    return made


async def _advise(
    db: Transaction, equipment: int, oil: OilDef, judged: list[oils.Judged], at: int, number: int
) -> None:
    level = oils.worst(judged)
    bad = [one for one in judged if one.level != "good"]
    known = await db.row("advisory_of", equipment=equipment, component=oil.component, mode=MODE)
    if level == "good" and known is None:
        return
    said = "; ".join(f"{one.figure} {one.text}" for one in bad) or "all figures good"
    line: dict[str, Any] = {
        "source": f"oil/{oil.component}",
        "kind": "oil_sample",
        "title": f"Oil sample: {said}",
        "at": at,
        "since": at,
        "holds": level != "good",
        "priority": _PRIORITY[level].value if level != "good" else Priority.LOW.value,
        "sample_id": number,
        "figures": [one.figure for one in bad],
    }
    evidence = merge(known["evidence"] if known else [], line)
    facts: dict[str, Any] = {"evidence": evidence}
    if level != "good":
        plan, _ = await service.plan_for(db, equipment)
        answer = plan.answer(oil.component, MODE)
        work = (
            plan_of_work(plan, answer[0], oil.component, answer[1])
            if answer
            else {
                **unknown_work(oil.component, "Change or clean the oil, find where it comes from, sample again"),
                "minutes": 240,
            }
        )
        when = urgency(evidence, None, at)
        soonest = min((one.days_to_alarm for one in bad if one.days_to_alarm is not None), default=None)
        due, rule = when.due_at, when.rule
        if soonest is not None and at + round(soonest * DAY) < due:
            due, rule = at + round(soonest * DAY), "when the trend of the samples reaches the alarm limit"
        facts |= {
            "priority": when.priority.value,
            "title": line["title"][:300],
            "due_at": due,
            "due_rule": rule,
            "consequence": "Bearings, gears and pumps wear; varnish sticks valves.",
            "task": work["task"],
            "plan": work,
        }
    await db.row(
        "record_evidence",
        equipment=equipment,
        component=oil.component,
        mode=MODE,
        at=at,
        holds=level != "good",
        facts=json.dumps(facts),
    )
