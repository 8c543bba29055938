"""What people make of the demonstration's alarms: advisories, work in every state, parts. For boards to show."""

from __future__ import annotations

import json
from typing import Any, Final

import psycopg

_PLAN: Final[dict[str, Any]] = {"name": "Replace the bearing", "steps": [], "minutes": 240, "crew": 2, "cost": "500"}
_MODES: Final = ("open", "deferred", "rejected", "planned", "scheduled", "in_progress", "done", "closed", "gone")


def work(dsn: str, tenant: int) -> None:
    """One advisory of the tenant's first machine per outcome that there is, as the API's login."""
    with psycopg.connect(dsn) as api:
        api.execute("SELECT set_config('servitize.tenant', %s, false)", (str(tenant),))
        found = api.execute(
            "SELECT e.id, k.key, servitize.timeline_now() FROM servitize.equipment e"
            " JOIN servitize.component k ON k.equipment_id = e.id"
            " WHERE e.status = 'approved' ORDER BY e.id, k.id LIMIT 1"
        ).fetchone()
        assert found is not None
        equipment, component, now = found
        api.execute("SELECT servitize.keep_part('brg', 'Bearing', '6222', '1', 99, 'EUR', 14, 2)")
        for mode in _MODES:
            _one(api, equipment, component, mode, now)


def _one(api: psycopg.Connection[Any], equipment: int, component: str, mode: str, now: Any) -> None:
    facts = {"priority": "high", "title": f"bearing: {mode}", "plan": _PLAN, "evidence": [], "due_rule": "7 d"}
    row = api.execute(
        "SELECT advisory FROM servitize.record_evidence(%s, %s, %s, %s, true,"
        " %s::jsonb || jsonb_build_object('due_at', servitize.to_us(%s + interval '7 days')))",
        (equipment, component, mode, now, json.dumps(facts), now),
    ).fetchone()
    assert row is not None
    if mode in ("open", "gone"):
        return
    if mode in ("deferred", "rejected"):
        api.execute(
            "SELECT servitize.operate_advisory(%s, %s, 'ann', 'no crew', %s + interval '3 days')",
            (row[0], "defer" if mode == "deferred" else "reject", now),
        )
        return
    accepted = api.execute("SELECT * FROM servitize.operate_advisory(%s, 'accept', 'ann')", (row[0],)).fetchone()
    assert accepted is not None
    order = accepted[3]
    ways = ["approve", "schedule", "start", "complete", "verify", "close"]
    ends = {"planned": 0, "scheduled": 2, "in_progress": 3, "done": 4, "closed": 6}
    for step in ways[: ends[mode]]:
        api.execute(
            "SELECT servitize.operate_work(%s, %s, 'bob', '', jsonb_build_object("
            "'start', servitize.to_us(%s + interval '1 day'), 'end', servitize.to_us(%s + interval '2 days')))",
            (order, step, now, now),
        )
        if step == "start":
            api.execute("SELECT servitize.enter_work(%s, 'labour', 'mechanic', 8, 'h', 512, '', 'bob')", (order,))
    if mode == "planned":
        api.execute("SELECT servitize.reserve_part('brg', %s, 3)", (order,))
