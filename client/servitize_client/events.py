"""Server-sent events out of lines."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from servitize_client.models import Event


class Reader:
    """Feed it line by line; it gives an event where one is complete.

    >>> reader = Reader()
    >>> [reader.feed(line) for line in ("id: 7", "event: alarm", 'data: {"payload": {"x": 1}}', "")][-1]
    Event(seq=7, kind='alarm', at=None, payload={'x': 1})
    """

    def __init__(self) -> None:
        self._kind, self._id, self._data = "message", "", list[str]()

    def feed(self, line: str) -> Event | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                self._kind = value
            elif name == "id":
                self._id = value
            elif name == "data":
                self._data.append(value)
            return None
        kind, data = self._kind, self._data
        self._kind, self._data = "message", []
        if not data:
            return None
        body: dict[str, Any] = json.loads("\n".join(data))
        at = body.get("at")
        payload = body.get("payload", body)
        return Event(int(self._id or 0), kind, None if at is None else datetime.fromisoformat(at), payload)
