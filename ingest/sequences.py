"""Gaps in what a device has numbered: the one loss that nothing else on the way can show."""

from __future__ import annotations

from typing import Final

_RESTART_RUN: Final = 3
"""So many consecutive lower numbers mean a device that counts anew, not stragglers."""


class SequenceTracker:
    """Per equipment the highest number seen. Numbers that come again or late are no gap and close none."""

    def __init__(self) -> None:
        self._highest: dict[int, int] = {}
        self._runs: dict[int, tuple[int, int]] = {}

    def see(self, equipment_id: int, number: int) -> tuple[int, int] | None:
        """The missing numbers (first, last) between the highest seen before and ``number``; None: none is missing."""
        highest = self._highest.get(equipment_id)
        if highest is None or number == highest + 1:
            self._highest[equipment_id] = number
            self._runs.pop(equipment_id, None)
            return None
        if number > highest:
            self._highest[equipment_id] = number
            self._runs.pop(equipment_id, None)
            return highest + 1, number - 1
        last, length = self._runs.get(equipment_id, (-2, 0))
        length = length + 1 if number == last + 1 else 1
        self._runs[equipment_id] = (number, length)
        if length >= _RESTART_RUN and number < highest:
            self._highest[equipment_id] = number
            del self._runs[equipment_id]
        return None
