"""What another protocol's message says, as if its equipment had sent native telemetry."""

from __future__ import annotations

import json
from typing import Any

from core.time import isoformat
from formats.decoded import Decoded, part
from ingest.routes import ROOT
from ingest.session import Inbound


class Translated(Inbound):
    """Decoded content under the topic that the equipment would use natively.

    Its payload is written only where a dead letter needs it: then as native telemetry, so it can be sent again.
    """

    __slots__ = ("decoded", "type_key")

    def __init__(self, tenant: str, equipment: str, decoded: Decoded, received_at: int, type_key: str | None) -> None:
        self.topic = f"{ROOT}/{tenant}/{equipment}/telemetry"
        self.decoded = decoded
        self.type_key = type_key
        self.received_at = received_at
        self.retained = False
        self.duplicate = False

    @property
    def payload(self) -> bytes:  # type: ignore[override]
        return part(_frames(self.decoded))


def _frames(decoded: Decoded) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for block in decoded.blocks:
        for row, ts in enumerate(block.ts.tolist()):
            values = {
                name: float(block.value[row, column])
                for column, name in enumerate(block.names)
                if block.present is None or block.present[row, column]
            }
            found.append({"ts": isoformat(ts), "values": values})
    found.extend(json.loads(refusal.payload) for refusal in decoded.refusals if refusal.payload is not None)
    found.extend({"ts": isoformat(text.ts), "values": {text.name: text.text}} for text in decoded.texts)
    return found
