"""Examples of advisories and work orders for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

_EQUIPMENT: Final = {"id": 7, "key": "K-101", "name": "Compressor K-101"}
_WORK: Final[dict[str, Any]] = {
    "task": "replace-motor-bearing",
    "name": "Replace the motor's rolling bearing (de)",
    "steps": ["Lock out and tag out the drive", "Fit the new bearing by induction heater and grease it"],
    "optional_steps": [],
    "parts": [
        {
            "key": "bearing-6222-c3",
            "name": "Deep groove ball bearing 6222 C3, insulated",
            "number": "6222-M-C3-VL0241",
            "quantity": "1",
            "unit": "1",
            "price": "640",
            "lead_days": 14.0,
        }
    ],
    "lubricants": [{"key": "grease-polyurea-2", "quantity": "0.35", "unit": "kg"}],
    "skills": ["mechanic", "alignment"],
    "crew": 2,
    "minutes": 480,
    "stop": True,
    "cost": "2578",
    "failure_cost": "68000",
    "currency": "EUR",
}

ADVISORY: Final[dict[str, Any]] = {
    "id": 12,
    "equipment": _EQUIPMENT,
    "component": "motor.bearing_de",
    "failure_mode": "motor_bearing",
    "state": "open",
    "outcome": None,
    "title": "Motor bearing de: zone C, 4.9 mm/s",
    "priority": "high",
    "due_at": "2026-11-29T10:00:00Z",
    "due_rule": "7 d after a high alarm was first seen",
    "consequence": "The bearing seizes; the train stands for a week instead of a shift.",
    "work": _WORK,
    "evidence": [
        {
            "source": "alarm/motor.bearing_de/velocity/zone_c",
            "kind": "alarm",
            "title": "Motor bearing de: zone C, 4.9 mm/s",
            "at": "2026-11-22T10:00:00Z",
            "since": "2026-11-22T10:00:00Z",
            "holds": True,
            "priority": "high",
            "detail": {"alarm_id": 42, "point": "motor.bearing_de.velocity", "value": 4.9, "limit": 4.5},
        }
    ],
    "occurrences": 1,
    "opened_at": "2026-11-22T10:00:00Z",
    "deferred_until": None,
    "decided_by": None,
    "decided_at": None,
    "reason": "",
    "work_order_id": None,
    "case_id": 3,
    "changed_at": "2026-11-22T10:00:00Z",
    "revision": 1,
    "allowed": ["accept", "reject", "defer"],
}

ADVISORY_ENTRY: Final[dict[str, Any]] = {
    "id": 31,
    "at": "2026-11-22T10:00:00Z",
    "recorded_at": "2026-11-22T10:00:01Z",
    "event": "evidence",
    "actor": "evidence",
    "reason": "",
    "from_state": "resting",
    "to_state": "open",
    "priority": "high",
    "due_at": "2026-11-29T10:00:00Z",
    "announced": True,
}

DECIDED: Final[dict[str, Any]] = {
    "from_state": "open",
    "to_state": "accepted",
    "announced": False,
    "work_order_id": 5,
    "advisory": {**ADVISORY, "state": "accepted", "work_order_id": 5, "allowed": []},
}

WORK_ORDER: Final[dict[str, Any]] = {
    "id": 5,
    "equipment": _EQUIPMENT,
    "component": "motor.bearing_de",
    "kind": "corrective",
    "advisory_id": 12,
    "failure_mode": "motor_bearing",
    "title": "Replace the motor's rolling bearing (de)",
    "state": "planned",
    "priority": "high",
    "due_at": "2026-11-29T10:00:00Z",
    "work": _WORK,
    "checklist": [
        {
            "line": 0,
            "text": "Lock out and tag out the drive",
            "obligatory": True,
            "done_at": None,
            "by": None,
            "note": "",
        }
    ],
    "scheduled_start": None,
    "scheduled_end": None,
    "crew": "",
    "started_at": None,
    "done_at": None,
    "outcome": None,
    "findings": "",
    "verification": {"verdict": None, "text": "", "ran_hours": None, "needed_hours": None, "seen_until": None},
    "closed_at": None,
    "reopenings": 0,
    "approved_by": None,
    "created_by": "api-key:5mTq0aXe",
    "created_at": "2026-11-22T10:05:00Z",
    "cost": "0",
    "changed_at": "2026-11-22T10:05:00Z",
    "revision": 1,
    "allowed": ["approve", "cancel"],
}

ENTRY: Final[dict[str, Any]] = {
    "id": 3,
    "at": "2026-11-25T12:00:00Z",
    "recorded_at": "2026-11-25T12:00:01Z",
    "actor": "api-key:5mTq0aXe",
    "kind": "labour",
    "item": "mechanic",
    "quantity": "7.5",
    "unit": "h",
    "cost": "480.00",
    "note": "",
}

PHOTO: Final[dict[str, Any]] = {
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "media_type": "image/jpeg",
    "bytes": 48213,
    "note": "inner race",
    "actor": "api-key:5mTq0aXe",
    "at": "2026-11-25T12:00:00Z",
}

WORK_DETAIL: Final[dict[str, Any]] = {**WORK_ORDER, "entries": [ENTRY], "photos": [PHOTO]}

WORK_ENTRY: Final[dict[str, Any]] = {
    "id": 77,
    "at": "2026-11-22T10:05:00Z",
    "recorded_at": "2026-11-22T10:05:00Z",
    "event": "plan",
    "actor": "api-key:5mTq0aXe",
    "reason": "",
    "from_state": "planned",
    "to_state": "planned",
    "announced": True,
    "detail": {},
}

STEPPED: Final[dict[str, Any]] = {
    "from_state": "planned",
    "to_state": "approved",
    "announced": False,
    "work_order": {
        **WORK_ORDER,
        "state": "approved",
        "approved_by": "api-key:5mTq0aXe",
        "allowed": ["schedule", "start", "cancel"],
    },
}
