"""Examples of contracts and statements for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from services.contracts.model import TERMS

CONTRACT: Final[dict[str, Any]] = {
    "id": 3,
    "key": "ex-lease",
    "title": "Excavator by the hour",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "months": 1,
    "begins": "2026-01-01",
    "ends": None,
    "revision": 1,
    "provides": True,
    "machines": {"P-1": 7},
    "closed_to": "2026-10",
    "recorded_at": "2026-01-01T08:00:00Z",
    "document": TERMS,
}
RECORD: Final[dict[str, Any]] = {
    "id": 5,
    "kind": "exclusion",
    "equipment": "P-1",
    "starts_at": "2026-10-03T08:00:00Z",
    "ends_at": "2026-10-03T18:00:00Z",
    "responded_at": None,
    "cause": "planned",
    "reference": "WO-17",
    "recorded_at": "2026-10-01T08:00:00Z",
    "recorded_by": "api-key:5mTq0aXe",
    "withdrawn_at": None,
}
LINE: Final[dict[str, Any]] = {
    "position": 1,
    "term": "hours",
    "part": "tier 1",
    "equipment": "P-1",
    "version": "2026-01-01",
    "title": "Engine hours",
    "quantity": "86.4",
    "unit": "h",
    "price": "62.00",
    "amount": "5356.80",
    "rule": "tier 1: from 0 to 100",
}
TRACED: Final[dict[str, Any]] = {
    **LINE,
    "trace": {
        "metered": "86.4",
        "machines": {
            "P-1": {
                "quantity": "86.4",
                "kind": "counter",
                "point": "engine.hours",
                "point_id": 91,
                "readings": 4465,
                "opening": {"ts": 1790805000000000, "value": "300.0"},
                "closing": {"ts": 1793487000000000, "value": "386.4"},
                "sha256": "0b…",
            }
        },
    },
}
SUMMARY: Final[dict[str, Any]] = {
    "id": 9,
    "contract_id": 3,
    "contract": "ex-lease",
    "period": "2026-10",
    "number": 0,
    "period_from": "2026-09-30T22:00:00Z",
    "period_to": "2026-10-31T23:00:00Z",
    "revision": 1,
    "currency": "EUR",
    "total": "6556.80",
    "sha256": "5f…",
    "reason": "",
    "closed_at": "2026-11-03T09:00:00Z",
    "closed_by": "api-key:5mTq0aXe",
}
STATEMENT: Final[dict[str, Any]] = {**SUMMARY, "lines": [LINE], "results": []}
CLOSED: Final[dict[str, Any]] = {
    "items": [
        {"contract_id": 4, "statement": 17, "problem": None},
        {"contract_id": 5, "statement": None, "problem": "the period is not over"},
    ]
}
DRAFT: Final[dict[str, Any]] = {
    "contract": "ex-lease",
    "period": "2026-10",
    "currency": "EUR",
    "revision": 1,
    "lines": [TRACED],
    "total": "5356.80",
    "results": [],
    "sha256": "5f…",
    "closed": False,
}
VERIFICATION: Final[dict[str, Any]] = {"same": True, "stated": "5f…", "recomputed": "5f…", "differences": []}
FACTOR: Final[dict[str, Any]] = {
    "id": 2,
    "carrier": "diesel",
    "effective": "2026-01-01",
    "kg_per_unit": "2.66",
    "unit": "L",
    "source": "national inventory 2025",
    "recorded_at": "2026-01-01T08:00:00Z",
    "recorded_by": "api-key:5mTq0aXe",
}
FOOTPRINT: Final[dict[str, Any]] = {
    "equipment": "P-1",
    "carrier": "diesel",
    "energy": "1240.500",
    "energy_unit": "L",
    "output": "86.400",
    "output_unit": "h",
    "intensity": "14.357639",
    "co2e_kg": "3299.730",
    "co2e_per_unit": "38.191319",
    "parts": [],
}
INDICATORS: Final[dict[str, Any]] = {
    "contracts": 1,
    "machines": 1,
    "installed": 4,
    "attached_share": 0.25,
    "incidents": 2,
    "unanswered": 0,
    "response_hours": 1.5,
    "restoration_hours": 9.0,
    "corrective_closed": 5,
    "first_time_fix": 0.8,
    "first_time_fix_days": 30,
    "money": [
        {
            "currency": "EUR",
            "statements": 1,
            "corrections": 0,
            "revenue": "6556.80",
            "fixed": "1200.00",
            "damages": "0.00",
            "bonus": "0.00",
        }
    ],
}
