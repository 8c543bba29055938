"""What one device may send: size of a message, readings in it, and how many of both per second."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.time import SECOND
from formats.decoded import DecodeLimits


@dataclass(frozen=True, slots=True)
class IngestLimits:
    """Limits of one device (equipment). The burst is what a device may catch up with after a minute away.

    Tenants whose timeline is the publisher's (demo, replay) are not held to rates: their seconds are not ours.
    """

    message: DecodeLimits = field(default_factory=DecodeLimits)
    messages_per_second: float = 5_000
    readings_per_second: float = 100_000
    burst_seconds: float = 60
    registrations_per_minute: int = 120
    points_per_equipment: int = 2_000


class TokenBucket:
    """So many tokens a second, saved up to a burst. Time is a parameter, µs; it counts only forward."""

    __slots__ = ("_burst", "_last", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate / SECOND
        self._burst = burst
        self._tokens = burst
        self._last: int | None = None

    def take(self, amount: float, now: int) -> bool:
        """Whether there were ``amount`` tokens; if so they are gone. More than the whole burst is taken from a full
        bucket,
        which is then in debt: a single large message is limited by its size, not here."""
        if self._last is not None and now > self._last:
            self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        if self._last is None or now > self._last:
            self._last = now
        if self._tokens < min(amount, self._burst):
            return False
        self._tokens -= amount
        return True


class RateLimiter:
    """Buckets per device, made when first needed and kept as long as the device is registered."""

    def __init__(self, limits: IngestLimits) -> None:
        self._limits = limits
        self._buckets: dict[int, tuple[TokenBucket, TokenBucket]] = {}

    def message(self, equipment_id: int, now: int) -> bool:
        """Whether one more message of this device is within its rate."""
        return self._of(equipment_id)[0].take(1, now)

    def readings(self, equipment_id: int, count: int, now: int) -> bool:
        """Whether ``count`` more readings are."""
        return self._of(equipment_id)[1].take(count, now)

    def forget(self, known: set[int]) -> None:
        """Keep only the buckets of ``known`` equipment."""
        self._buckets = {key: buckets for key, buckets in self._buckets.items() if key in known}

    def _of(self, equipment_id: int) -> tuple[TokenBucket, TokenBucket]:
        buckets = self._buckets.get(equipment_id)
        if buckets is None:
            limits = self._limits
            buckets = (
                TokenBucket(limits.messages_per_second, limits.messages_per_second * limits.burst_seconds),
                TokenBucket(limits.readings_per_second, limits.readings_per_second * limits.burst_seconds),
            )
            self._buckets[equipment_id] = buckets
        return buckets
