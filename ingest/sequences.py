"""Gaps in what a device has numbered: the one loss that nothing else on the way can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_RESTART_RUN: Final = 3
"""So many consecutive lower numbers mean a device that counts anew, not stragglers."""

Mark = tuple[int, int]
"""A number and the event time (µs) of its message."""


class SequenceTracker:
    """Per equipment the highest number seen. Numbers that come again or late are no gap and close none.

    Lower numbers with later times are a device that counts anew. Lower ones with times already passed were sent
    before: a broker that fell back to its last save, or an ingest that was killed, gets them again, and taking them
    for a new count would show gaps that there are not.
    """

    def __init__(self) -> None:
        self._highest: dict[int, Mark] = {}
        self._runs: dict[int, tuple[int, int]] = {}

    def resume(self, known: Mapping[int, Mark]) -> None:
        """Go on from what was committed: a gap over our own restart is a gap."""
        self._highest.update(known)

    def highest(self, equipment_id: int) -> Mark:
        """The newest number seen and its time; of an equipment that :meth:`see` was asked about."""
        return self._highest[equipment_id]

    def see(self, equipment_id: int, number: int, ts: int) -> tuple[int, int] | None:
        """The missing numbers (first, last) between the highest seen before and ``number``; None: none is missing."""
        known = self._highest.get(equipment_id)
        if known is None or number == known[0] + 1:
            self._highest[equipment_id] = (number, ts)
            self._runs.pop(equipment_id, None)
            return None
        highest, newest = known
        if number > highest:
            self._highest[equipment_id] = (number, ts)
            self._runs.pop(equipment_id, None)
            return highest + 1, number - 1
        if ts <= newest:
            return None
        last, length = self._runs.get(equipment_id, (-2, 0))
        length = length + 1 if number == last + 1 else 1
        self._runs[equipment_id] = (number, length)
        if length >= _RESTART_RUN and number < highest:
            self._highest[equipment_id] = (number, ts)
            del self._runs[equipment_id]
        return None
