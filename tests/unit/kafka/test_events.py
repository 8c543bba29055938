"""Events for others: what is published is what the schema says, and no schema takes back what it once promised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from storage.cluster import OutboxRow
from stream_processors.kafka.events import publish
from stream_processors.kafka.topics import ADVISORIES, ALARMS

PUBLISHED = Path(__file__).parent / "published"
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "events"
NAMES = sorted(path.stem for path in PUBLISHED.glob("*.json"))
PAYLOAD = {
    "alarm_id": 7,
    "journal_id": 70,
    "equipment_id": 1,
    "equipment": "K-101",
    "condition": "motor/temperature/high",
    "component": "motor",
    "event": "raised",
    "from_state": "normal",
    "state": "unacknowledged",
    "active": True,
    "at": 1_770_026_400_000_000,
    "actor": "processor",
    "reason": "",
    "priority": "high",
    "concern": "machine",
    "title": "too hot",
    "point": "temperature",
    "value": 95.5,
    "limit": 90.0,
    "failure_mode": None,
    "consequence": "",
    "action": "",
    "first_out": None,
    "late": False,
}


def schema(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"{name}.json").read_text()))


def row(kind: str, payload: dict[str, Any], equipment: str | None = "K-101") -> OutboxRow:
    return OutboxRow(42, kind, "acme", equipment, payload, 1_770_026_401_000_000)


@pytest.mark.parametrize("kind", ["alarm", "alarm_change"])
def test_an_alarm_is_what_its_schema_says(kind: str) -> None:
    message = publish(row(kind, PAYLOAD))
    assert (message.topic, message.key, message.seq) == (ALARMS, b"acme/K-101", 42)
    document = json.loads(message.value)
    jsonschema.validate(document, schema(REFERENCE, "alarm.v1"))
    assert document["at"] == "2026-02-02T10:00:00Z"
    assert document["announced"] is (kind == "alarm")


def test_anything_else_is_an_advisory() -> None:
    message = publish(row("case_opened", {"case": 3}, None))
    assert (message.topic, message.key) == (ADVISORIES, b"acme")
    jsonschema.validate(json.loads(message.value), schema(REFERENCE, "advisory.v1"))


@pytest.mark.parametrize("name", NAMES)
def test_a_version_only_ever_gets_members_added(name: str) -> None:
    then, now = schema(PUBLISHED, name), schema(REFERENCE, name)
    assert now["additionalProperties"] is True
    assert set(then["required"]) <= set(now["required"])
    for member, what in then["properties"].items():
        assert {k: v for k, v in now["properties"][member].items() if k != "description"} == {
            k: v for k, v in what.items() if k != "description"
        }, member
