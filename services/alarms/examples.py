"""Examples of alarms for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

ALARM: Final[dict[str, Any]] = {
    "id": 42,
    "equipment": {"id": 7, "key": "K-101", "name": "Compressor K-101"},
    "component": "lube_oil.filter",
    "condition": "lube_oil.filter/filter_dp_45/high",
    "state": "unacknowledged",
    "active": True,
    "latching": False,
    "priority": "high",
    "concern": "machine",
    "title": "Lube-oil filter: differential pressure 0.86 bar over 0.8 bar",
    "point": "filter_dp_45",
    "value": 0.86,
    "limit": 0.8,
    "failure_mode": "filter_clogging",
    "consequence": "Bearings starve when the filter bypasses",
    "action": "Switch to the clean filter and change the element",
    "occurrences": 1,
    "raised_at": "2026-11-22T10:00:00Z",
    "cleared_at": None,
    "acknowledged_at": None,
    "acknowledged_by": None,
    "shelf": None,
    "changed_at": "2026-11-22T10:00:00Z",
    "first_out_id": None,
    "consequences": [
        {
            "id": 43,
            "condition": "lube_oil.header/supply_pressure/low",
            "title": "Lube-oil supply pressure 1.1 bar under 1.2 bar",
            "state": "unacknowledged",
            "active": True,
            "priority": "medium",
            "raised_at": "2026-11-22T10:00:04Z",
        }
    ],
    "allowed": ["acknowledge", "shelve", "remove_from_service"],
    "detail": {},
}

ENTRY: Final[dict[str, Any]] = {
    "id": 99,
    "at": "2026-11-22T10:05:00Z",
    "recorded_at": "2026-11-22T10:05:00.012Z",
    "event": "acknowledge",
    "actor": "api-key:5mTq0aXe",
    "reason": "clean filter ordered",
    "from_state": "unacknowledged",
    "to_state": "acknowledged",
    "active": True,
    "priority": "high",
    "value": None,
    "limit": None,
    "announced": False,
    "late": False,
    "detail": {},
}

OUTCOME: Final[dict[str, Any]] = {
    "from_state": "unacknowledged",
    "to_state": "acknowledged",
    "announced": False,
    "alarm": {
        **ALARM,
        "state": "acknowledged",
        "acknowledged_at": "2026-11-22T10:05:00Z",
        "acknowledged_by": "api-key:5mTq0aXe",
        "allowed": ["shelve", "remove_from_service"],
    },
}
