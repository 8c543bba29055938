"""What is said: one event, or a digest of several, in the form its channel wants. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, Final

from services.api.moments import render

_ORDER: Final = ("urgent", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one endpoint: ``id`` is the same for every attempt, ``events`` are in order of their numbers."""

    id: str
    tenant: str
    kind: str
    address: str
    events: Sequence[Mapping[str, Any]]


def _moment(us: int) -> str:
    return render(datetime.fromtimestamp(us / 1_000_000, UTC))


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    found = {"seq": event["seq"], "type": event["kind"], "timestamp": _moment(event["at"]), "data": event["payload"]}
    return found if not event["stage"] else {**found, "escalation": event["stage"]}


def body(message: Message) -> bytes:
    """JSON: the event itself, or ``type`` ``digest`` with ``events``."""
    events = [_event(event) for event in message.events]
    document: dict[str, Any] = (
        events[0]
        if len(events) == 1
        else {"type": "digest", "timestamp": events[-1]["timestamp"], "count": len(events), "events": events}
    )
    document = {"id": message.id, "tenant": message.tenant, **document}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _line(event: Mapping[str, Any]) -> str:
    payload = event["payload"]
    title = str(payload.get("title") or f"{event['kind']} {payload.get('event', '')}".strip())
    words = [str(payload.get(name) or "") for name in ("priority", "equipment")]
    return ", ".join([title, *(word for word in words if word)])


def subject(message: Message) -> str:
    """One line for a person; never a line break, since it stands in a header."""
    first = message.events[0]
    if len(message.events) > 1:
        ranks = [e["payload"].get("priority") for e in message.events]
        counts = [f"{ranks.count(word)} {word}" for word in _ORDER if word in ranks]
        text = f"{len(message.events)} notifications" + (f" ({', '.join(counts)})" if counts else "")
    else:
        text = ("Nobody has acknowledged: " if first["stage"] else "") + _line(first)
    return "".join(c if c.isprintable() else " " for c in text)[:200]


def mail(message: Message, sender: str) -> EmailMessage:
    """The same as plain text, with what to do."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, message.address, subject(message)
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2].rstrip('>') or 'servitize'}>"
    mail["Auto-Submitted"] = "auto-generated"
    lines: list[str] = []
    for event in message.events:
        payload = event["payload"]
        lines += [f"{_moment(event['at'])}  {_line(event)}"]
        for name, label in (("consequence", "If nothing is done"), ("action", "What to do"), ("reason", "Reason")):
            if payload.get(name):
                lines.append(f"  {label}: {payload[name]}")
        lines.append("")
    mail.set_content("\n".join(lines))
    return mail
