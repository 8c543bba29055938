"""What a stream says."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from services.api.moments import Moment
from services.api.parameters import Answer


class StreamItem(Answer):
    """The data of one server-sent event. Its SSE `event` is `kind`, its SSE `id` is `seq`."""

    seq: int
    kind: str = Field(description="`alarm`: people are to be told; `alarm_change`: an alarm changed quietly")
    at: Moment = Field(description="When it was recorded")
    payload: dict[str, Any]
