"""Examples of the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

_AT: Final = "2026-11-22T10:00:00Z"
ENDPOINT: Final[dict[str, Any]] = {
    "id": 4,
    "name": "Ticket system",
    "kind": "webhook",
    "address": "https://tickets.example.com/hook",
    "enabled": True,
    "disabled_reason": None,
    "former_until": None,
    "created_at": _AT,
}
NEW_ENDPOINT: Final[dict[str, Any]] = {**ENDPOINT, "secret": "whsec_…"}
SCHEDULE: Final[dict[str, Any]] = {
    "id": 1,
    "name": "Hall 2",
    "starts_at": "2026-11-23T06:00:00Z",
    "shift_hours": 168,
    "members": [4, 5],
    "overrides": [{"from": "2026-12-24T06:00:00Z", "to": "2026-12-26T06:00:00Z", "endpoint": 5}],
    "on_call_now": 4,
    "created_at": _AT,
}
SUBSCRIPTION: Final[dict[str, Any]] = {
    "id": 2,
    "name": "Night shift",
    "endpoint": 4,
    "schedule": None,
    "equipment": None,
    "kinds": ["alarm", "advisory"],
    "least_priority": "medium",
    "quiet_from": "22:00",
    "quiet_to": "06:00",
    "timezone": "Europe/Berlin",
    "break_through": "urgent",
    "digest_minutes": 60,
    "escalation": [{"stage": 1, "priority": "urgent", "after_minutes": 15, "endpoint": None, "schedule": 1}],
    "enabled": True,
    "created_at": _AT,
}
DELIVERY: Final[dict[str, Any]] = {
    "id": 77,
    "message_id": "msg_77_0",
    "subscription": "Night shift",
    "subscription_id": 2,
    "endpoint": "Ticket system",
    "endpoint_id": 4,
    "seq": 1042,
    "stage": 0,
    "kind": "alarm",
    "subject": "alarm/42",
    "priority": "high",
    "state": "delivered",
    "attempts": 2,
    "due_at": _AT,
    "created_at": _AT,
    "settled_at": _AT,
    "last_status": 204,
    "last_error": None,
}
DETAIL: Final[dict[str, Any]] = {
    **DELIVERY,
    "payload": {"alarm_id": 42, "title": "Lube-oil filter: differential pressure 0.86 bar over 0.8 bar"},
    "history": [
        {
            "at": _AT,
            "event": "take",
            "from_state": "pending",
            "to_state": "sending",
            "attempt": 1,
            "status": None,
            "detail": None,
        }
    ],
}
