"""What leaves for others: alarms and advisories as JSON, each with the name of its schema (docs/reference/events).

A schema of version 1 only ever gets members added; whoever reads it ignores what it does not know. ``seq`` is the
number of the event in this installation: it grows by one, and an event that comes twice comes with the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from core.time import isoformat
from storage.cluster import OutboxRow
from stream_processors.kafka.topics import ADVISORIES, ALARMS

ALARM: Final = "alarm.v1"
ADVISORY: Final = "advisory.v1"
_ALARM_KINDS: Final = frozenset({"alarm", "alarm_change"})
_ALARM_MEMBERS: Final = (
    *("alarm_id", "condition", "component", "event", "from_state", "state", "active", "actor", "reason", "priority"),
    *("concern", "title", "point", "value", "limit", "failure_mode", "consequence", "action", "first_out", "late"),
)


@dataclass(frozen=True, slots=True)
class Published:
    """A message for ``topic`` (without prefix); events of one equipment have one key, so they stay in order."""

    topic: str
    key: bytes
    value: bytes
    seq: int


def publish(row: OutboxRow) -> Published:
    """The message of one event."""
    key = row.tenant if row.equipment is None else f"{row.tenant}/{row.equipment}"
    alarm = row.kind in _ALARM_KINDS
    document = _alarm(row) if alarm else _advisory(row)
    return Published(ALARMS if alarm else ADVISORIES, key.encode(), orjson.dumps(document), row.seq)


def _head(schema: str, row: OutboxRow) -> dict[str, Any]:
    return {
        "schema": schema,
        "seq": row.seq,
        "kind": row.kind,
        "tenant": row.tenant,
        "equipment": row.equipment,
        "recorded_at": isoformat(row.created_at),
    }


def _alarm(row: OutboxRow) -> dict[str, Any]:
    said = row.payload
    return {
        **_head(ALARM, row),
        "announced": row.kind == "alarm",
        "at": isoformat(int(said["at"])),
        **{name: said.get(name) for name in _ALARM_MEMBERS},
    }


def _advisory(row: OutboxRow) -> dict[str, Any]:
    return {**_head(ADVISORY, row), "body": row.payload}
