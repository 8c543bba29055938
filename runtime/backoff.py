"""When a process that died is started again: soon the first time, later each time it dies young."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 30.0
STABLE_SECONDS = 60.0
"""Who lived this long has its earlier deaths forgotten."""


@dataclass
class BackOff:
    """Delays 0.25, 0.5, 1 … 30 s. ``now`` is any monotonic clock in seconds.

    >>> backoff = BackOff()
    >>> backoff.delay(lived=1), backoff.delay(lived=1), backoff.delay(lived=100)
    (0.25, 0.5, 0.25)
    """

    deaths: int = 0

    def delay(self, lived: float) -> float:
        """Seconds to wait after a process that lived ``lived`` seconds has died."""
        if lived >= STABLE_SECONDS:
            self.deaths = 0
        self.deaths += 1
        return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(self.deaths - 1, 20)))
