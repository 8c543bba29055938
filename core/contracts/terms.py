"""What a contract says, as data: who, from when, what is charged, what is guaranteed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from core.contracts.calendars import ALWAYS, Calendar


class MeterKind(StrEnum):
    COUNTER = "counter"
    """A point that counts up (engine hours, km, kWh): what it rose by."""
    STATE = "state"
    """Hours in given operating states."""
    COUNT = "count"
    """How often something happened: given states entered, or events of a kind."""
    INTEGRAL = "integral"
    """A rate per hour (kW, m3/h) summed over time between neighbouring readings."""


class GapRule(StrEnum):
    """What a gap in the data counts for. Which gaps there were, and what the rule made of them, is on the statement."""

    NOTHING = "nothing"
    """Nothing that was not seen is charged."""
    HOLD = "hold"
    """What was so before the gap is taken to last through it; a counter's rise across it counts."""
    AVERAGE = "average"
    """The gap counts as the rest of the period does on average."""


class TierMode(StrEnum):
    GRADUATED = "graduated"
    """Each tier's price for the quantity that lies in it."""
    VOLUME = "volume"
    """The price of the tier reached for the whole quantity."""


class Pool(StrEnum):
    EACH = "each"
    ALL = "all"


class GapVerdict(StrEnum):
    """What a guarantee makes of time nobody saw."""

    AVAILABLE = "available"
    UNAVAILABLE = "unavailable"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Meter:
    """Where a quantity comes from. ``resolution``: quantities are rounded to it, halves up. ``max_gap`` µs: longer
    without a reading of ``point`` (a state's or count's witness that the machine reports) is a gap.

    ``entering``: states whose entry counts; ``event``: kind of event that counts. ``factor``: counter or rate to
    ``unit`` (a counter in m read as km: 0.001).
    """

    kind: MeterKind
    unit: str
    resolution: Decimal
    point: str = ""
    states: tuple[str, ...] = ()
    entering: tuple[str, ...] = ()
    event: str = ""
    max_gap: int = 3_600_000_000
    gap: GapRule = GapRule.NOTHING
    factor: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Tier:
    """Price per unit up to this quantity; ``up_to`` None: whatever is beyond."""

    up_to: Decimal | None
    price: Decimal


@dataclass(frozen=True, slots=True)
class Fee:
    """A lease or service fee for a whole period; of a part of one by local days where ``prorated``."""

    key: str
    title: str
    amount: Decimal
    pool: Pool = Pool.EACH
    prorated: bool = True


@dataclass(frozen=True, slots=True)
class Usage:
    """A price for what was used. ``included`` costs nothing; what is left goes through the tiers; at least
    ``minimum_quantity`` is charged (at the tiers' prices) and at least ``minimum_amount``.

    ``pool``: each machine for itself, or all of the contract together. ``prorated``: tiers, what is included and
    minimums shrink with the days of a part of a period.
    """

    key: str
    title: str
    meter: Meter
    tiers: tuple[Tier, ...]
    mode: TierMode = TierMode.GRADUATED
    pool: Pool = Pool.EACH
    included: Decimal = Decimal(0)
    minimum_quantity: Decimal = Decimal(0)
    minimum_amount: Decimal = Decimal(0)
    prorated: bool = True


@dataclass(frozen=True, slots=True)
class Consequence:
    """Percent of the base per percentage point beyond the target, at most ``cap`` percent; or by ``bands``
    ((from availability in percent, percent of the base), descending; the first that is reached)."""

    per_point: Decimal = Decimal(0)
    cap: Decimal = Decimal(100)
    bands: tuple[tuple[Decimal, Decimal], ...] = ()


class AvailabilityKind(StrEnum):
    TIME = "time"
    """(required time − down) ÷ required time."""
    OUTPUT = "output"
    """Output made ÷ output possible at the agreed rate in the required time."""
    STARTS = "starts"
    """Starts of service at which the machine was there ÷ starts of service."""


@dataclass(frozen=True, slots=True)
class Availability:
    """A guarantee by the contract's own definition.

    Required time is the calendar's inside the period, less exclusions with one of ``excludes`` as cause; planned
    stops (cause ``planned``, where it is excluded) up to ``planned_hours`` a period. ``down``: states that are not
    available. ``alive``: point whose silence of more than ``max_gap`` µs is a gap. ``service_starts``: minutes after
    local midnight. ``base``: keys of the charges that bonus and damages are percentages of (empty: all of them).
    """

    key: str
    title: str
    kind: AvailabilityKind
    target: Decimal
    resolution: Decimal = Decimal("0.01")
    pool: Pool = Pool.ALL
    down: tuple[str, ...] = ()
    alive: str = ""
    max_gap: int = 3_600_000_000
    gap: GapVerdict = GapVerdict.EXCLUDED
    calendar: Calendar = ALWAYS
    excludes: tuple[str, ...] = ()
    planned_hours: Decimal | None = None
    service_starts: tuple[int, ...] = ()
    output: Meter | None = None
    rate: Decimal = Decimal(0)
    damages: Consequence = field(default_factory=Consequence)
    bonus: Consequence = field(default_factory=Consequence)
    base: tuple[str, ...] = ()


class ClockEnd(StrEnum):
    RESPONSE = "response"
    RESTORATION = "restoration"


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """How soon after an incident something has to have happened, on a clock that runs in ``calendar`` only and stands
    still during exclusions with one of ``pauses`` as cause."""

    key: str
    title: str
    until: ClockEnd
    target: Decimal
    """Hours of the clock."""
    calendar: Calendar = ALWAYS
    pauses: tuple[str, ...] = ()
    per_breach: Decimal = Decimal(0)
    per_hour: Decimal = Decimal(0)
    """For every hour begun beyond the target."""
    cap: Decimal | None = None
    """Most that all breaches of a period cost."""


@dataclass(frozen=True, slots=True)
class Version:
    """The terms from a local day on, until the next version's."""

    effective: date
    equipment: tuple[str, ...]
    fees: tuple[Fee, ...] = ()
    usage: tuple[Usage, ...] = ()
    availability: tuple[Availability, ...] = ()
    service_levels: tuple[ServiceLevel, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """``versions`` in order of their days; nothing is due before the first of them or from ``ends`` on.

    ``months``: length of a billing period.
    """

    key: str
    title: str
    currency: str
    timezone: str
    versions: tuple[Version, ...]
    ends: date | None = None
    months: int = 1
