"""Words of the simulators: points, planned faults, the truth, and what an advance returns.

Times are ``int`` microseconds UTC. The truth is for judges only; no detector may see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NEVER: Final = int(np.iinfo(np.int64).max)
"""``Truth.limit_at`` of a fault that never reached its stated limit."""

Kind = Literal["machine", "instrument"]


@dataclass(frozen=True, slots=True)
class PointSpec:
    """A published point: ``key`` is the name in the payload, ``component`` the maintainable item it tells about."""

    key: str
    component: str
    unit: str
    description: str
    decimals: int = 1
    """Decimals the publisher writes: the sensor's resolution."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A point with its sensor.

    ``y' = (x − y)/lag``, then ``y·(1+g) + b + N(0, σ)`` with ``σ² = sigma² + (share·y)²``, quantised to ``decimals``
    and held inside the transmitter's reach of the span ``low``–``high`` (4–20 mA: −2.5 % to +3 %; an open circuit
    reads 3.6 mA).
    """

    spec: PointSpec
    sigma: float = 0.0
    share: float = 0.0
    lag_s: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    drawable: bool = False
    """An instrument fault may be drawn on it."""
    error: float = 0.0
    """Error of a drifting or biased sensor at its stated limit, in the point's unit: 10 K, or 8 % of the span."""
    ambiguous: bool = False
    """Nothing else on the machine tells drift or bias of this sensor from a fault of the machine."""
    positive: bool = False
    """The instrument computes a magnitude: noise never makes it negative."""

    @property
    def key(self) -> str:
        return self.spec.key


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure mode: what happens, and its stated limit in words.

    ``components`` are where it may be planned; ``shows_on`` are further components that the same fault truly disturbs,
    so that a finding there is a consequence, not a mistake. ``{car}`` etc. do not occur: names are complete.
    """

    mode: str
    kind: Kind
    description: str
    limit: str
    components: tuple[str, ...] = ()
    shows_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """A fault to come: begins at ``onset``; its compressed clock reaches the stated limit after ``horizon`` µs.

    Instrument faults name the ``point``; without one ``component`` itself is taken for a point's key.
    """

    unit: int
    component: str
    mode: str
    onset: int
    horizon: int
    point: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """One line of the ground-truth log: ``severity`` 0–1 as of the last simulated instant.

    ``limit_at``: when the true state reached the stated limit; before that instant is simulated, when it is planned to;
    :data:`NEVER` if the planned instant has passed without it.
    """

    ts: int
    unit: int
    component: str
    mode: str
    severity: float
    kind: Kind
    limit_at: int
    point: str = ""


@dataclass(frozen=True, slots=True)
class Frames:
    """``values[n, units, points]`` at ``ts[n]``; NaN is not published, ``quality_bad``: the transmitter is broken."""

    ts: IntArray
    values: FloatArray
    quality_bad: BoolArray
