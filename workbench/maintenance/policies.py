"""Policies, day by day: each takes the same lives and says what a year costs.

The first years are not counted: what is counted is a fleet of mixed ages, as policies leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from core.time import DAY, HOUR
from models.maintenance.calendar import Crew, Job, Window, arrange
from models.maintenance.urgency import Prognosis, urgency
from workbench.maintenance.fleet import Lives, World

YEAR: Final = 365
SETTLING: Final = 2 * YEAR
"""Days before the year that counts: ages are mixed by then."""
_P10, _P90 = -1.2816, 1.2816
"""Quantiles of the standard normal."""
_WINDOW_DAYS: Final = (0, 1, 2, 3, 4)
"""Planned windows: every weekday, a shift of eight hours with one crew, which is one bearing."""
_IN_SIGHT: Final = 6
"""Orders that the calendar arranges at once, by their dates; later ones wait their turn, as planners have them do."""


@dataclass(slots=True)
class Year:
    """What a counted year of the fleet brought."""

    failures: int = 0
    planned: int = 0
    inspections: int = 0
    stops: int = 0
    late_parts: int = 0
    warned: list[float] = field(default_factory=list)
    """Days of life left at planned replacements."""

    def cost(self, world: World) -> float:
        return (
            self.failures * world.failed
            + self.planned * world.planned
            + self.inspections * world.inspected
            + self.stops * world.stop
        )


def _renewals(world: World, lives: Lives, plan: Callable[[int, float, float], float | None], year: Year) -> Year:
    """Policies that look at nothing but the clock: ``plan(machine, begin, life)`` → day of planned replacement."""
    end = SETTLING + YEAR
    for machine in range(world.machines):
        now, n = 0.0, 0
        while now < end:
            life = float(lives.life[machine, n])
            due = plan(machine, now, life)
            fails = now + life
            counted = SETTLING <= (at := fails if due is None or due >= fails else due) < end
            if due is not None and due < fails:
                year.planned += counted
                year.stops += counted
                if counted:
                    year.warned.append(fails - due)
            else:
                year.failures += counted
            now, n = at, n + 1
    return year


def run_to_failure(world: World, lives: Lives) -> Year:
    """Nothing is planned."""
    return _renewals(world, lives, lambda machine, begin, life: None, Year())


def fixed_interval(days: float) -> Callable[[World, Lives], Year]:
    """Every machine at the same age of the calendar, whatever was replaced in between (block replacement)."""

    def policy(world: World, lives: Lives) -> Year:
        def due(machine: int, begin: float, life: float) -> float:
            # machines take turns, so that one crew can do it
            offset = days * machine / world.machines
            return float((np.floor((begin - offset) / days + 1e-9) + 1) * days + offset)

        return _renewals(world, lives, due, Year())

    return policy


def best_age(world: World, lives: Lives) -> Year:
    """At the age that renewal theory says is best, for those who know the Weibull law exactly."""
    age = world.best_age()
    return _renewals(world, lives, lambda machine, begin, life: begin + age, Year())


def foresight(world: World, lives: Lives) -> Year:
    """The bound: each failure is known from the beginning, and the part is replaced in the last window before it."""

    def last_window(machine: int, begin: float, life: float) -> float:
        day = np.floor(begin + life - 1e-6)
        while int(day) % 7 not in _WINDOW_DAYS:
            day -= 1
        return float(max(day, begin + 1e-3))

    return _renewals(world, lives, last_window, Year())


@dataclass(slots=True)
class _Order:
    machine: int
    real: bool
    due: float
    made: float
    failure: float
    earliest: float


def advisories(world: World, lives: Lives) -> Year:
    """As the service does it: alarm → advisory with its date (:mod:`models.maintenance.urgency`) → work order → the
    calendar (:mod:`models.maintenance.calendar`) in windows, with one crew and the parts there are.

    The prognosis knows how leads are distributed, not the lead of this failure. A false alarm becomes an order too;
    its crew looks, finds nothing and puts nothing in.
    """
    year, orders, rng = Year(), list[_Order](), np.random.default_rng(7)
    end = SETTLING + YEAR
    begin, number = np.zeros(world.machines), np.zeros(world.machines, int)
    next_false = [0] * world.machines
    shelf, coming = world.parts, list[float]()
    fails = begin + lives.life[np.arange(world.machines), number]
    warns = np.where(lives.lead[:, 0] > 0, fails - lives.lead[:, 0], np.inf)
    told = np.zeros(world.machines, bool)
    crews = [Crew("one", world.crew, frozenset({"mechanic"}))]

    def renew(machine: int, at: float) -> None:
        begin[machine], number[machine] = at, number[machine] + 1
        n = number[machine]
        fails[machine] = at + lives.life[machine, n]
        lead = lives.lead[machine, n]
        warns[machine] = fails[machine] - lead if lead > 0 else np.inf
        told[machine] = False
        orders[:] = [o for o in orders if o.machine != machine]

    for day in range(end):
        counted = day >= SETTLING
        shelf += sum(1 for at in coming if at <= day)
        coming = [at for at in coming if at > day]
        for machine in np.flatnonzero(fails < day + 1).tolist():
            year.failures += counted
            renew(machine, float(fails[machine]))
        for machine in np.flatnonzero((warns < day + 1) & ~told).tolist():
            told[machine] = True
            orders.append(_order(world, machine, day, float(fails[machine]), real=True, rng=rng))
        for machine in range(world.machines):
            false = lives.false_alarms[machine]
            while next_false[machine] < len(false) and false[next_false[machine]] < day + 1:
                next_false[machine] += 1
                if not any(o.machine == machine for o in orders):
                    orders.append(_order(world, machine, day, np.inf, real=False, rng=rng))
        if day % 7 not in _WINDOW_DAYS or not orders:
            continue
        free, promised = shelf, sorted(coming)
        for order in sorted(orders, key=lambda o: o.due):
            order.earliest = day if free > 0 else (promised.pop(0) if promised else day + world.delivery)
            free -= 1
        for order in _now(world, orders, day, crews):
            year.stops += counted
            if order.real:
                year.planned += counted
                if counted:
                    year.warned.append(order.failure - day)
                shelf -= 1
                coming.append(day + world.delivery)
                renew(order.machine, float(day) + 0.5)
            else:
                year.inspections += counted
                orders.remove(order)
        year.late_parts += counted * sum(o.earliest > day for o in orders)
    return year


def _order(world: World, machine: int, day: int, failure: float, *, real: bool, rng: np.random.Generator) -> _Order:
    del rng
    quantile = {
        p: world.lead * float(np.exp(world.spread * z)) for p, z in (("p10", _P10), ("p50", 0.0), ("p90", _P90))
    }
    now = day * DAY
    prognosis = Prognosis(now, *(round(quantile[p] * DAY) for p in ("p10", "p50", "p90")))
    when = urgency([{"priority": "medium", "since": now, "holds": True}], prognosis, now)
    return _Order(machine, real, when.due_at / DAY, float(day), failure, float(day))


def _now(world: World, orders: list[_Order], day: int, crews: list[Crew]) -> list[_Order]:
    """What the calendar puts into today's window, of all that is open and all windows of the next two weeks."""
    if len(orders) == 1:
        # alone it is put into the first window in which its parts are there: nothing to arrange
        return [order for order in orders if order.earliest <= day]
    days = [d for d in range(day, day + 14) if d % 7 in _WINDOW_DAYS]
    orders = sorted(orders, key=lambda order: (order.due, order.machine))[:_IN_SIGHT]
    windows = [Window(d, d * DAY + 6 * HOUR, d * DAY + 14 * HOUR) for d in days]
    jobs = [
        Job(
            id=n,
            equipment=str(order.machine),
            title="",
            minutes=round(60 * world.work_hours),
            people=world.crew,
            skills=("mechanic",),
            due_at=round(order.due * DAY),
            earliest=round(order.earliest * DAY),
            failure_cost=world.failed,
            cost=world.planned,
        )
        for n, order in enumerate(orders)
    ]
    found = arrange(jobs, windows, crews, day * DAY, world.stop)
    return [orders[p.job.id] for p in found.placed if p.window is not None and p.window.id == day]


POLICIES: Final[Mapping[str, Callable[[World, Lives], Year]]] = {
    "run to failure": run_to_failure,
    "every 365 days": fixed_interval(365.0),
    "every 180 days": fixed_interval(180.0),
    "best age": best_age,
    "advisories": advisories,
    "perfect foresight": foresight,
}
"""By name, in the order of the report."""
