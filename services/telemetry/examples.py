"""Examples of telemetry for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

EQUIPMENT: Final = {"id": 7, "key": "K-101", "name": "Compressor K-101"}
READING: Final = {"ts": "2026-11-22T10:00:00Z", "value": 0.86, "quality": "good"}
POINT: Final[dict[str, Any]] = {
    "id": 311,
    "key": "filter_dp",
    "equipment": EQUIPMENT,
    "component": "lube_oil.filter",
    "unit": "bar",
    "kind": "measured",
    "description": "Differential pressure over the lube-oil filter",
    "range_low": 0.0,
    "range_high": 5.0,
    "latest": READING,
}
LATEST: Final[dict[str, Any]] = {
    "equipment": EQUIPMENT,
    "items": [
        {
            **READING,
            "point_id": 311,
            "point": "filter_dp",
            "component": "lube_oil.filter",
            "unit": "bar",
            "kind": "measured",
            "received_at": "2026-11-22T10:00:00.2Z",
        }
    ],
}
READINGS: Final[dict[str, Any]] = {
    "point_id": 311,
    "point": "filter_dp",
    "unit": "bar",
    "from": "2026-11-22T09:00:00Z",
    "to": "2026-11-22T10:00:00Z",
    "thinned": False,
    "items": [
        {"ts": "2026-11-22T09:00:00Z", "value": 0.41, "quality": "good"},
        {"ts": "2026-11-22T09:00:10Z", "value": None, "quality": "bad (sensor)"},
    ],
    "next": None,
}
GAPS: Final[dict[str, Any]] = {
    "point_id": 311,
    "longer_than_seconds": 300.0,
    "from": "2026-11-22T09:00:00Z",
    "to": "2026-11-22T10:00:00Z",
    "items": [{"from": "2026-11-22T09:10:00Z", "to": "2026-11-22T09:17:30Z", "seconds": 450.0}],
    "next": None,
}
EVENT: Final[dict[str, Any]] = {
    "equipment": EQUIPMENT,
    "kind": "maintenance",
    "ts": "2026-11-22T08:00:00Z",
    "body": {"text": "filter element changed"},
    "received_at": "2026-11-22T08:00:01Z",
}
DEAD_LETTER: Final[dict[str, Any]] = {
    "id": 5,
    "topic": "servitize/v1/acme/K-101/telemetry",
    "equipment": "K-101",
    "reason": "unknown-point",
    "detail": "the type compressor-train has no point 'temp'",
    "count": 12,
    "readings": 12,
    "first_seen": "2026-11-22T09:58:00Z",
    "last_seen": "2026-11-22T10:00:00Z",
    "bytes": 14,
    "whole": True,
    "replay_requested_at": None,
    "replayed_at": None,
}
INTAKE: Final[dict[str, Any]] = {
    "equipment": EQUIPMENT,
    "last_received_at": "2026-11-22T10:00:01Z",
    "sequence": {
        "gaps": 2,
        "missing": 15,
        "newest_at": "2026-11-22T09:41:10Z",
        "recent": [{"ts": "2026-11-22T09:41:10Z", "first": 4711, "last": 4722, "missing": 12}],
    },
    "refused": [{"reason": "unknown-point", "times": 3, "readings": 3, "newest_at": "2026-11-21T17:02:00Z"}],
    "limits": {
        "messages_per_second": 5000.0,
        "readings_per_second": 100000.0,
        "burst_seconds": 60.0,
        "message_bytes": 262144,
        "message_readings": 10000,
        "points": 2000,
    },
}
