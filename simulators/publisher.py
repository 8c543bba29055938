"""From frames to the native JSON telemetry of each equipment. Pure: bytes out; the runtime sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import InvalidInputError
from simulators.contract import Frames, PointSpec


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message of one equipment at one instant; ``ts`` in µs, for pacing."""

    ts: int
    topic: str
    payload: bytes


class Publisher:
    """Messages ``{"ts": <epoch ms>, "values": {…}, "seq": n}`` on ``servitize/v1/{tenant}/{equipment}/telemetry``.

    Values are written at the sensor's resolution; a point that was not published is left out; a broken transmitter's
    value goes as ``{"v": …, "q": "bad"}``. ``seq`` counts per equipment from ``first_seq``, so that a gap shows.
    """

    def __init__(self, points: Sequence[PointSpec], tenant: str, equipment: Sequence[str], first_seq: int = 0) -> None:
        self._names = [f"{json.dumps(point.key)}:" for point in points]
        self._decimals = [point.decimals for point in points]
        self._topics = [f"servitize/v1/{tenant}/{name}/telemetry" for name in equipment]
        self._seq = [first_seq] * len(equipment)

    @property
    def seq(self) -> tuple[int, ...]:
        """The next sequence number of each equipment: what a later run continues from."""
        return tuple(self._seq)

    def messages(self, frames: Frames) -> Iterator[Message]:
        """All messages of the frames in order of time, then unit."""
        _, units, points = frames.values.shape
        if units != len(self._topics) or points != len(self._names):
            raise InvalidInputError(
                f"frames of {units} units × {points} points for {len(self._topics)} × {len(self._names)}",
                hint="give one equipment per unit, and the points of the fleet that made the frames",
            )
        published = ~np.isnan(frames.values)
        for k, ts in enumerate(frames.ts.tolist()):
            for unit, topic in enumerate(self._topics):
                values = frames.values[k, unit].tolist()
                bad = frames.quality_bad[k, unit]
                parts = [
                    f"{self._names[i]}{_number(values[i], self._decimals[i])}"
                    if not bad[i]
                    else f'{self._names[i]}{{"v":{_number(values[i], self._decimals[i])},"q":"bad"}}'
                    for i in np.flatnonzero(published[k, unit]).tolist()
                ]
                text = f'{{"ts":{ts // 1000},"values":{{{",".join(parts)}}},"seq":{self._seq[unit]}}}'
                self._seq[unit] += 1
                yield Message(ts, topic, text.encode())


def _number(value: float, decimals: int) -> str:
    # + 0.0 turns −0.0 into 0: no reader should wonder about the sign of nothing
    return str(round(value)) if decimals == 0 else repr(round(value, decimals) + 0.0)
