"""Examples of serial numbers for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

SUMMARY: Final[dict[str, Any]] = {
    "id": 21,
    "kind": "journal-bearing",
    "serial": "B-4711",
    "identifier": "https://id.example.com/journal-bearing/B-4711",
    "manufacturer": "Example Bearings",
    "designation": "Tilting-pad journal bearing 120 mm",
    "equipment": None,
    "attributes": {},
    "registered_at": "2026-01-05T08:00:00Z",
}
_STRETCH: Final[dict[str, Any]] = {
    "from": "2026-02-01T08:00:00Z",
    "to": "2026-11-22T10:00:00Z",
    "machine": 20,
    "host": 20,
    "position": "compressor.journal_de",
    "counted": {"hours": 5310.2, "starts": 17.0, "hours:loaded": 5310.2, "hours:stopped": 1746.0},
}
_LIFE: Final[dict[str, Any]] = {
    "number": 1,
    "from": "2026-01-05T08:00:00Z",
    "to": "2026-11-22T10:00:00Z",
    "ended": None,
    "failed": False,
    "counted": _STRETCH["counted"],
    "stretches": [_STRETCH],
}
ITEM: Final[dict[str, Any]] = {
    **SUMMARY,
    "place": {"host": 20, "position": "compressor.journal_de", "machine": 20},
    "counted": _STRETCH["counted"],
    "cost": "4100.00",
    "lives": [_LIFE],
}
STEP: Final[dict[str, Any]] = {
    "id": 77,
    "at": "2026-02-01T08:00:00Z",
    "deed": "installed",
    "host": 20,
    "position": "compressor.journal_de",
    "failed": False,
    "grade": "",
    "cost": "0",
    "currency": "EUR",
    "note": "",
    "measured": {},
    "recorded_by": "api-key:5mTq0aXe",
}
STRUCTURE: Final[dict[str, Any]] = {
    "item": 20,
    "at": "2026-11-22T10:00:00Z",
    "parts": [
        {
            "depth": 0,
            "position": "compressor.journal_de",
            "item": 21,
            "kind": "journal-bearing",
            "serial": "B-4711",
            "identifier": SUMMARY["identifier"],
        }
    ],
}
LIMITS: Final[dict[str, Any]] = {
    "kind": "journal-bearing",
    "design_hours": 40000.0,
    "reuse_share": 0.5,
    "remanufacture_share": 0.9,
    "lives": 3,
    "health_good": 85.0,
    "health_poor": 50.0,
    "wear": {"clearance µm": [220.0, 260.0, 320.0]},
    "intervals": [{"key": "inspection", "title": "Inspection", "hours": 8000.0, "days": 730}],
}
ASSESSMENT: Final[dict[str, Any]] = {
    "item": 21,
    "grade": "repair",
    "reasons": [{"grade": "repair", "text": "not known: an inspection"}],
    "missing": ["an inspection"],
}
PLAN: Final[dict[str, Any]] = {
    "item": 21,
    "hours": 5310.2,
    "rate": 0.75,
    "due": [
        {
            "key": "inspection",
            "title": "Inspection",
            "at": "2027-04-20T00:00:00Z",
            "hours_left": 2689.8,
            "because": "hours",
        }
    ],
}
_BOUNDED: Final[dict[str, Any]] = {"value": 1.72, "low": 1.06, "high": 2.79}
LIFE: Final[dict[str, Any]] = {
    "kind": "journal-bearing",
    "failures": 10,
    "suspensions": 10,
    "confidence": 0.9,
    "beta": _BOUNDED,
    "eta": {"value": 606.5, "low": 443.2, "high": 829.9},
    "b10": {"value": 164.0, "low": 89.0, "high": 302.0},
    "mean": 540.7,
    "meaning": "wears out: failures become more frequent with age, so replacing in time helps",
}
RELIABILITY: Final[dict[str, Any]] = {
    "type": "compressor-train",
    "machines": 3,
    "up_hours": 5100.0,
    "failures": 2,
    "mtbf": 2550.0,
    "mtbf_low": 810.0,
    "mtbf_high": 14350.0,
    "mttr": 6.5,
    "availability": 0.9975,
    "pareto": [{"key": "filter_clogging", "weight": 4.0, "share": 0.8, "cumulated": 0.8}],
}
EQUAL_DUTY: Final[dict[str, Any]] = {
    "type": "compressor-train",
    "duty": "train.speed",
    "metric": "motor.power",
    "machines": [{"machine": "K-101", "raw": 1390.0, "standardised": 1371.0, "covered": 1.0, "hours": 400.0}],
}
NAMEPLATE: Final[dict[str, Any]] = {
    "assetAdministrationShells": [{"id": f"{SUMMARY['identifier']}/aas", "modelType": "AssetAdministrationShell"}],
    "submodels": [{"id": f"{SUMMARY['identifier']}/nameplate", "idShort": "Nameplate", "modelType": "Submodel"}],
}
