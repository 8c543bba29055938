"""What runs beside the requests: alarms become evidence of advisories, timers run out, repairs are watched.

Everything it needs to know stands in the database (how far it has come, when what is due), so it may be stopped at any
moment, and any number of processes may run it: of one tenant's news one takes each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.condition import Concern
from core.maintenance_plan import MaintenancePlan
from core.time import DAY, HOUR
from models.maintenance.plan import plan_of
from models.maintenance.urgency import Prognosis, advised_mode, merge, mode_of, plan_of_work, unknown_work, urgency
from models.maintenance.verification import Seen, judge
from services.api.database import Transaction
from services.api.state import AppState
from services.predictive_maintenance import preventive

INTERVAL: Final = 1.0
"""Seconds between looks for news: an advisory follows its alarm within about that."""
TIMERS_EVERY: Final = 2
"""Looks between rounds of timers and watches."""
PREVENTIVE_EVERY: Final = 300
"""Looks between rounds over all machines for what comes due by itself; such dates are days away."""
_AT_ONCE: Final = 200


class Follower:
    """Keeps nothing but parsed types."""

    def __init__(self) -> None:
        self._plans: dict[tuple[str, int], MaintenancePlan] = {}

    async def round(self, state: AppState, number: int) -> int:
        """Look after every tenant that has something; how many events were worked on."""
        timers = number % TIMERS_EVERY == 0
        async with state.database.transaction() as db:
            tenants = [row["id"] for row in await db.rows("maintenance_tenants", timers=timers)]
        done = 0
        for tenant in tenants:
            async with state.database.of_tenant(tenant) as db:
                done += await self.news(db)
            if timers:
                async with state.database.of_tenant(tenant) as db:
                    await db.value("maintenance_timers")
                async with state.database.of_tenant(tenant) as db:
                    await watch(db)
        return done

    async def news(self, db: Transaction) -> int:
        """Make evidence of what alarms of one tenant did, in their order."""
        bounds = await db.row("take_news")
        if bounds is None:
            return 0
        rows = await db.rows("maintenance_news", after=bounds["after"], upto=bounds["upto"], count=_AT_ONCE)
        for row in rows:
            if tells(row["payload"]):
                await self._evidence(db, row["equipment_id"], row["payload"])
        upto = rows[-1]["seq"] if len(rows) == _AT_ONCE else bounds["upto"]
        await db.value("finish_news", upto=upto)
        return len(rows)

    async def _evidence(self, db: Transaction, equipment: int, said: Mapping[str, Any]) -> None:
        component = said["component"]
        plan = await self._plan(db, equipment)
        told = mode_of(said["failure_mode"], said["condition"])
        mode = advised_mode(plan, component, told) if said["concern"] == Concern.MACHINE else told
        known = await db.row("advisory_of", equipment=equipment, component=component, mode=mode)
        if not said["active"] and known is None:
            return
        evidence = merge(known["evidence"] if known else [], line_of(said))
        holds = any(line["holds"] for line in evidence)
        facts: dict[str, Any] = {"evidence": evidence}
        if holds:
            prognosis = await _prognosis(db, equipment, component, said["at"])
            facts |= self.advice(plan, said, component, mode, evidence, prognosis)
        await db.row(
            "record_evidence",
            equipment=equipment,
            component=component,
            mode=mode,
            at=said["at"],
            holds=holds,
            facts=json.dumps(facts),
        )

    @staticmethod
    def advice(
        plan: MaintenancePlan,
        said: Mapping[str, Any],
        component: str,
        mode: str,
        evidence: list[dict[str, Any]],
        prognosis: Prognosis | None,
    ) -> dict[str, Any]:
        """What an advisory says of its evidence."""
        when = urgency(evidence, prognosis, said["at"])
        holding = [line for line in evidence if line["holds"]]
        foremost = min(
            holding, key=lambda line: (("urgent", "high", "medium", "low").index(line["priority"]), -line["at"])
        )
        answer = plan.answer(component, mode) if said["concern"] == Concern.MACHINE else None
        work = (
            plan_of_work(plan, answer[0], component, answer[1]) if answer else unknown_work(component, said["action"])
        )
        return {
            "priority": when.priority.value,
            "title": foremost["title"],
            "due_at": when.due_at,
            "due_rule": when.rule,
            "consequence": work["consequence"] or foremost["consequence"],
            "task": work["task"],
            "plan": work,
        }

    async def _plan(self, db: Transaction, equipment: int) -> MaintenancePlan:
        row = await db.row("plan_of_equipment", equipment=equipment)
        if row is None or row["type_key"] is None:
            return MaintenancePlan()
        key = (row["type_key"], row["revision"])
        if key not in self._plans:
            self._plans[key] = plan_of({"maintenance": row["maintenance"], "components": row["components"] or ()})
        return self._plans[key]


def tells(said: Mapping[str, Any]) -> bool:
    """Is an alarm evidence of something to be done? What follows from another is said by that one; a line that is down
    is no machine's illness."""
    return said["concern"] != Concern.CONNECTION and not (said.get("first_out") and said["active"])


def line_of(said: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm's event as a line of evidence."""
    return {
        "source": f"alarm/{said['condition']}",
        "kind": "alarm",
        "title": said["title"],
        "at": said["at"],
        "since": said["at"],
        "holds": said["active"],
        "priority": said["priority"],
        "consequence": said.get("consequence", ""),
        "alarm_id": said["alarm_id"],
        "point": said.get("point"),
        "value": said.get("value"),
        "limit": said.get("limit"),
    }


async def _prognosis(db: Transaction, equipment: int, component: str, at: int) -> Prognosis | None:
    row = await db.row("prognosis_of", equipment=equipment, component=component)
    if row is None or at - row["at"] > 7 * DAY:
        return None
    return Prognosis(row["at"], row["p10"], row["p50"], row["p90"])


async def watch(db: Transaction) -> None:
    """Judge the repairs of one tenant by what has been seen since."""
    for row in await db.rows("work_to_watch"):
        plan = row["plan"]
        needed = round(float(plan.get("watch_hours", 4.0)) * HOUR)
        patience = round(float(plan.get("patience_days", 14.0)) * DAY)
        upto = row["upto"] or row["done_at"]
        seen = Seen(row["done_at"], max(upto, row["done_at"]), row["ran"], tuple((c, at) for c, at in row["holds"]))
        verdict, text = judge(seen, needed, patience)
        await db.value(
            "judge_work",
            work=row["id"],
            verdict=verdict.value,
            at=seen.upto,
            why=text,
            seen=json.dumps(
                {
                    "verdict": verdict.value,
                    "text": text,
                    "ran_hours": round(seen.ran / HOUR, 2),
                    "needed_hours": needed / HOUR,
                    "seen_until": seen.upto,
                }
            ),
        )


async def look_ahead(state: AppState) -> None:
    """Work orders for what comes due by itself, of all tenants' machines."""
    async with state.database.transaction() as db:
        tenants = [row["id"] for row in await db.rows("tenants_with_machines")]
    for tenant in tenants:
        async with state.database.of_tenant(tenant) as db:
            machines = [row["id"] for row in await db.rows("own_equipment")]
        for machine in machines:
            async with state.database.of_tenant(tenant) as db:
                await preventive.plan_due(db, machine, preventive.AHEAD_DAYS, preventive.ACTOR)


async def follow(state: AppState, progress: Callable[[], None]) -> None:
    """Until cancelled; raises what the database raises, to be started again."""
    follower, number = Follower(), 0
    while True:
        while await follower.round(state, number) >= _AT_ONCE:
            pass
        if number % PREVENTIVE_EVERY == PREVENTIVE_EVERY - 1:
            await look_ahead(state)
        progress()
        number += 1
        await asyncio.sleep(INTERVAL)
