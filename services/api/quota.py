"""How much somebody may ask: a bucket that leaks evenly (GCRA), one number per asker. Time is a parameter."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

_MOST_ASKERS: Final = 10_000
"""Askers remembered at once (their numbers are 100 bytes each). Who is forgotten begins afresh, and only the quietest
are: each costs a good key."""


@dataclass(frozen=True, slots=True)
class Policy:
    """``quota`` requests in any ``window`` seconds, all at once if need be."""

    name: str
    quota: int
    window: int

    @property
    def header(self) -> str:
        """As an item of the header RateLimit-Policy."""
        return f'"{self.name}";q={self.quota};w={self.window}'


@dataclass(frozen=True, slots=True)
class Verdict:
    """``remaining`` requests may follow at once; ``full_in`` seconds until all of the quota is there again.
    ``retry_after`` seconds to wait where this one was refused, else None."""

    policy: Policy
    remaining: int
    full_in: int
    retry_after: int | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say so on every answer, allowed or refused."""
        found = {
            "RateLimit-Policy": self.policy.header,
            "RateLimit": f'"{self.policy.name}";r={self.remaining};t={self.full_in}',
        }
        if self.retry_after is not None:
            found["Retry-After"] = str(self.retry_after)
        return found


class Quotas:
    """One policy and who has used how much of it, in this process.

    Generic cell rate algorithm: of each asker only the moment is kept at which all of his quota will be there again.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._full_at: OrderedDict[object, float] = OrderedDict()

    def take(self, asker: object, now: float) -> Verdict:
        """Count one request of ``asker`` at ``now`` (seconds of a monotonic clock); a refused one counts nothing.

        >>> two = Quotas(Policy("test", 2, 60))
        >>> [two.take("me", now).retry_after for now in (0.0, 1.0, 2.0, 40.0)]
        [None, None, 28, None]
        """
        policy = self.policy
        step = policy.window / policy.quota
        full_at = max(self._full_at.get(asker, now), now)
        after = full_at + step
        wait = after - now - policy.window
        if wait > 1e-9:
            return Verdict(policy, 0, math.ceil(full_at - now), max(1, math.ceil(wait)))
        self._full_at[asker] = after
        self._full_at.move_to_end(asker)
        if len(self._full_at) > _MOST_ASKERS:
            self._full_at.popitem(last=False)
        return Verdict(policy, math.floor((policy.window - (after - now)) / step + 1e-9), math.ceil(after - now), None)
