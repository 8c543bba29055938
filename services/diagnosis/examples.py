"""Examples for the API's document."""

from __future__ import annotations

from typing import Any, Final

_EQUIPMENT: Final = {"id": 1, "key": "K-101", "name": "K-101"}

WAVEFORM: Final[dict[str, Any]] = {
    "id": 812,
    "equipment": _EQUIPMENT,
    "ts": "2026-03-02T10:00:00Z",
    "rate": 25600.0,
    "samples": 32768,
    "channels": [{"name": "motor_de", "unit": "m/s2", "orientation": 0.0, "gap": 11.9}],
    "speed": 10700.0,
    "load": 92.0,
    "rotation": "ccw",
    "tacho": False,
    "state": "loaded",
    "purpose": "routine",
    "retention": "routine",
    "request": "",
    "meta": {},
    "bytes": 60214,
    "received_at": "2026-03-02T10:00:02Z",
}
SAMPLES: Final[dict[str, Any]] = {
    "waveform_id": 812,
    "channel": "motor_de",
    "unit": "m/s2",
    "ts": "2026-03-02T10:00:00Z",
    "rate": 25600.0,
    "values": [0.11, -0.42, 0.3],
}
CURVE: Final[dict[str, Any]] = {
    "kind": "envelope",
    "title": "motor drive-end bearing: envelope spectrum, band 1568 to 3136 Hz",
    "x": {"title": "frequency", "unit": "Hz"},
    "y": {"title": "modulation", "unit": "%"},
    "traces": [{"name": "motor drive-end bearing", "at": 0, "x": [75.0, 76.0], "y": [36.1, 41.0]}],
    "marks": [{"x": 75.6, "label": "outer ring", "family": "BPFO"}],
    "facts": {"band_low": 1568.0, "band_high": 3136.0, "kurtosis": 4.2},
}
CAPTURE: Final[dict[str, Any]] = {
    "id": 3,
    "equipment": _EQUIPMENT,
    "channels": ["motor_de"],
    "seconds": 10.0,
    "reason": "after the alarm of today",
    "case_id": 5,
    "requested_by": "api-key:abc123",
    "requested_at": "2026-03-02T10:05:00Z",
    "expires_at": "2026-03-02T11:05:00Z",
    "sent_at": "2026-03-02T10:05:01Z",
    "waveforms": [813],
}
CASE: Final[dict[str, Any]] = {
    "id": 5,
    "equipment": _EQUIPMENT,
    "component": "motor.bearing_de",
    "component_name": "Motor bearing de",
    "title": "Motor bearing de: housing velocity changed",
    "origin": "alarm",
    "alarm_id": 41,
    "state": "concluded",
    "about": "2026-03-02T10:00:00Z",
    "opened_at": "2026-03-02T10:00:03Z",
    "opened_by": "alarm",
    "diagnosed_at": "2026-03-02T10:00:05Z",
    "diagnosis": {
        "verdict": "fault",
        "confidence": 0.97,
        "reason": "lines of the outer ring stand out in the envelope",
        "findings": [{"mode": "bearing_outer", "component": "motor.bearing_de", "confidence": 0.97}],
    },
    "pictures": ["motor_de.envelope", "motor_de.spectrum"],
    "conclusion": {
        "mode": "bearing_outer",
        "component": "motor.bearing_de",
        "text": "outer ring spalled; change at the next stop",
        "by": "api-key:abc123",
        "at": "2026-03-02T11:00:00Z",
    },
    "signed_by": None,
    "signed_at": None,
    "found": None,
    "outcome": None,
    "allowed": ["note", "conclude", "sign", "disagree", "find"],
}
SUMMARY: Final[dict[str, Any]] = {
    "id": 5,
    "equipment": _EQUIPMENT,
    "component": "motor.bearing_de",
    "component_name": "Motor bearing de",
    "title": "Motor bearing de: housing velocity changed",
    "state": "concluded",
    "about": "2026-03-02T10:00:00Z",
    "opened_at": "2026-03-02T10:00:03Z",
    "said": "Outer ring of the rolling bearing",
    "confidence": 0.97,
    "outcome": None,
}
ENTRY: Final[dict[str, Any]] = {
    "id": 17,
    "at": "2026-03-02T11:00:00Z",
    "event": "conclude",
    "actor": "api-key:abc123",
    "from_state": "open",
    "to_state": "concluded",
    "body": {"mode": "bearing_outer", "text": "outer ring spalled; change at the next stop"},
}
LABEL: Final[dict[str, Any]] = {
    "case_id": 5,
    "equipment_id": 1,
    "component": "motor.bearing_de",
    "about": "2026-03-02T10:00:00Z",
    "said_mode": "bearing_outer",
    "concluded_mode": "bearing_outer",
    "found_mode": "bearing_outer",
    "found_component": "motor.bearing_de",
    "outcome": "confirmed",
}
