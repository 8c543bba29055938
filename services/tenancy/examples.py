"""Examples of registration for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

ME: Final[dict[str, Any]] = {
    "tenant": {"key": "acme", "name": "Acme Compressors"},
    "role": "operator",
    "scopes": ["operate", "read"],
    "api_key": {
        "prefix": "5f2a90c17be4",
        "name": "control room",
        "scopes": ["read", "operate"],
        "role": "operator",
        "expires_at": None,
    },
}
SITE: Final[dict[str, Any]] = {"key": "north", "name": "North works", "timezone": "Europe/Berlin", "equipment": 3}
TYPE: Final[dict[str, Any]] = {
    "key": "compressor-train",
    "name": "Motor–gearbox–centrifugal compressor train",
    "version": 1,
    "revision": 2,
}
EQUIPMENT: Final[dict[str, Any]] = {
    "id": 7,
    "key": "K-101",
    "name": "Compressor K-101",
    "serial": "TC-2231",
    "type": "compressor-train",
    "site": "north",
    "tenant": "acme",
    "rights": "manage",
    "status": "approved",
    "state": "loaded",
    "state_since": "2026-11-20T06:12:00Z",
    "health": 82.5,
    "last_reading_at": "2026-11-22T10:00:00Z",
    "alarms": {"urgent": 0, "high": 1, "medium": 0, "low": 0},
}
TREE: Final[dict[str, Any]] = {
    **EQUIPMENT,
    "commissioned_at": None,
    "registered_at": "2026-01-05T08:00:00Z",
    "attributes": {},
    "components": [
        {
            "key": "lube_oil.filter",
            "name": "Lube-oil filter",
            "criticality": 3.0,
            "health": 61.0,
            "points": [
                {
                    "id": 311,
                    "key": "filter_dp",
                    "unit": "bar",
                    "kind": "measured",
                    "description": "Differential pressure over the lube-oil filter",
                }
            ],
        }
    ],
    "points": [],
}
DEVICE: Final[dict[str, Any]] = {
    "id": 3,
    "client_id": "acme-K-101",
    "username": "acme-K-101",
    "equipment": "K-101",
    "edge_node": None,
    "created_at": "2026-11-22T10:00:00Z",
    "rotated_at": None,
    "revoked_at": None,
    "pending": False,
    "note": None,
    "last_received_at": "2026-11-22T10:00:01Z",
    "missing_messages": 15,
    "refused_readings": 3,
}
NEW_DEVICE: Final[dict[str, Any]] = {**DEVICE, "pending": True, "password": "mXb1k0c1-2oP8Q…"}
GRANT: Final[dict[str, Any]] = {
    "id": 9,
    "equipment_id": 7,
    "equipment": "K-101",
    "owner": "acme",
    "tenant": "service-partner",
    "rights": "operate",
    "given": True,
    "valid_from": "2026-11-22T10:00:00Z",
    "valid_until": "2027-11-22T10:00:00Z",
}
