"""Which work in which window: a mixed-integer programme, and why it came out so. Pure.

Minimised: the expected cost of breakdowns before the work is done, plus the cost of each time a machine is stopped for
it. A breakdown is expected with a constant hazard that reaches :data:`AT_DUE` at the work's date, since that date is
where one in ten has failed. Work on one machine in one window shares one stop. Bounded by the people of each window
(all of them, and those with each skill), by the time parts take to come, and by windows that are one machine's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import scipy

from core.time import DAY, HOUR, MINUTE, isoformat

AT_DUE: Final = 0.1
_LEAVING_OUT: Final = 1_000.0
"""Besides its risk at the end: work with no known risk is still done rather than not."""
_TIME_LIMIT_S: Final = 5.0
_LATE_SHARE: Final = 0.002
"""Of the work's own cost per day after its date, for work whose breakdown costs nothing that anybody named."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work to be given a window. Times µs UTC; ``failure_cost`` and ``cost`` in one currency; ``stop``: the machine has
    to stand; ``earliest``: when its parts are there."""

    id: int
    equipment: str
    title: str
    minutes: int
    people: int = 1
    skills: tuple[str, ...] = ()
    due_at: int | None = None
    earliest: int = 0
    failure_cost: float = 0.0
    cost: float = 0.0
    stop: bool = True


@dataclass(frozen=True, slots=True)
class Window:
    """``equipment`` None: for any machine. ``stands``: it stands then anyway, so work costs no stop."""

    id: int
    start: int
    end: int
    equipment: str | None = None
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Crew:
    key: str
    people: int
    skills: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Placed:
    """A job with its window (None: none was found), what is risked until then, and why there."""

    job: Job
    window: Window | None
    risk: float
    with_jobs: tuple[int, ...]
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """``cost``: risk plus stops of the proposal; ``apart``: what it would cost if each job took its own best window
    alone, a stop each; ``proven``: nothing better exists within 1 %."""

    placed: tuple[Placed, ...]
    cost: float
    apart: float
    stops: int
    proven: bool
    load: Mapping[int, float] = field(default_factory=dict)


def expected_loss(job: Job, now: int, at: int) -> float:
    """Expected cost of a breakdown before ``at``.

    >>> round(expected_loss(Job(1, "K", "", 60, due_at=10 * DAY, failure_cost=1000.0), 0, 10 * DAY))
    100
    """
    if at <= now:
        return 0.0
    if job.due_at is None:
        return 0.0
    room = max(job.due_at - now, HOUR)
    loss = job.failure_cost * (1.0 - (1.0 - AT_DUE) ** ((at - now) / room))
    late = max(0, at - job.due_at) / DAY
    return float(loss + late * _LATE_SHARE * max(job.cost, 100.0))


def arrange(
    jobs: Sequence[Job], windows: Sequence[Window], crews: Sequence[Crew], now: int, stop_cost: float = 2_000.0
) -> Calendar:
    """The proposal. Without crews, people are no bound. Deterministic for one input."""
    windows = sorted((w for w in windows if w.end > now), key=lambda w: (w.start, w.id))
    if not jobs:
        return Calendar((), 0.0, 0.0, 0, True)
    end = max((w.end for w in windows), default=now)
    pairs = [
        (j, w) for j, job in enumerate(jobs) for w, window in enumerate(windows) if _fits(job, window, crews) is None
    ]
    stops = sorted({(jobs[j].equipment, w) for j, w in pairs if jobs[j].stop and not _stands(windows[w], jobs[j])})
    place = {stop: len(pairs) + len(jobs) + i for i, stop in enumerate(stops)}
    count = len(pairs) + len(jobs) + len(stops)
    cost = np.zeros(count)
    for k, (j, w) in enumerate(pairs):
        cost[k] = expected_loss(jobs[j], now, windows[w].start) + 1e-6 * w
    for j, job in enumerate(jobs):
        cost[len(pairs) + j] = (
            expected_loss(job, now, end) + max(_LEAVING_OUT, 2 * stop_cost) + job.failure_cost * AT_DUE
        )
    cost[len(pairs) + len(jobs) :] = stop_cost
    rows, columns, values, low, high = _constraints(jobs, windows, crews, pairs, place)
    matrix = scipy.sparse.csr_array((values, (rows, columns)), shape=(len(low), count))
    found = scipy.optimize.milp(
        cost,
        constraints=scipy.optimize.LinearConstraint(matrix, low, high),
        integrality=np.ones(count, np.int64),
        bounds=scipy.optimize.Bounds(0, 1),
        options={"time_limit": _TIME_LIMIT_S, "mip_rel_gap": 0.01},
    )
    # leaving everything out is always possible, so there is an answer unless time ran out before the first
    chosen = np.zeros(count) if found.x is None else np.round(found.x)
    where = {j: w for k, (j, w) in enumerate(pairs) if chosen[k] > 0.5}
    return _calendar(jobs, windows, crews, now, stop_cost, where, proven=found.status == 0)


def _stands(window: Window, job: Job) -> bool:
    return window.stands and window.equipment in (None, job.equipment)


def _fits(job: Job, window: Window, crews: Sequence[Crew]) -> str | None:
    """None, or why a job can never be in a window."""
    if window.equipment not in (None, job.equipment):
        return "another machine's window"
    if window.start < job.earliest:
        return f"its parts are there on {isoformat(job.earliest)[:10]}"
    if job.minutes * MINUTE > window.end - window.start:
        return f"it takes {job.minutes / 60:.1f} h, the window has {(window.end - window.start) / HOUR:.1f} h"
    if crews:
        for skill in job.skills:
            able = sum(c.people for c in crews if skill in c.skills)
            if not able:
                return f"nobody has the skill {skill}"
        if job.people > sum(c.people for c in crews):
            return f"it takes {job.people} people at once"
    return None


def _constraints(
    jobs: Sequence[Job],
    windows: Sequence[Window],
    crews: Sequence[Crew],
    pairs: Sequence[tuple[int, int]],
    place: Mapping[tuple[str, int], int],
) -> tuple[list[int], list[int], list[float], list[float], list[float]]:
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    low: list[float] = []
    high: list[float] = []

    def add(entries: Sequence[tuple[int, float]], least: float, most: float) -> None:
        for column, value in entries:
            rows.append(len(low))
            columns.append(column)
            values.append(value)
        low.append(least)
        high.append(most)

    # each job once, or left out
    for j in range(len(jobs)):
        add([*((k, 1.0) for k, (x, _) in enumerate(pairs) if x == j), (len(pairs) + j, 1.0)], 1.0, 1.0)
    # a machine that is worked on stands
    for k, (j, w) in enumerate(pairs):
        stop = place.get((jobs[j].equipment, w))
        if jobs[j].stop and stop is not None:
            add([(k, 1.0), (stop, -1.0)], -np.inf, 0.0)
    # people: person-minutes, all of them and by skill
    skills = {None, *(skill for job in jobs for skill in job.skills)} if crews else set()
    for w, window in enumerate(windows):
        for skill in sorted(skills, key=str):
            able = sum(c.people for c in crews if skill is None or skill in c.skills)
            load = [
                (k, float(jobs[j].minutes * (jobs[j].people if skill is None else 1)))
                for k, (j, x) in enumerate(pairs)
                if x == w and (skill is None or skill in jobs[j].skills)
            ]
            if load:
                add(load, -np.inf, able * (window.end - window.start) / MINUTE)
    return rows, columns, values, low, high


def _calendar(
    jobs: Sequence[Job],
    windows: Sequence[Window],
    crews: Sequence[Crew],
    now: int,
    stop_cost: float,
    where: Mapping[int, int],
    *,
    proven: bool,
) -> Calendar:
    people = sum(c.people for c in crews)
    load: dict[int, float] = {}
    for j, w in where.items():
        capacity = people * (windows[w].end - windows[w].start) / MINUTE if people else np.inf
        load[w] = load.get(w, 0.0) + jobs[j].minutes * jobs[j].people / capacity
    stopped = {(jobs[j].equipment, w) for j, w in where.items() if jobs[j].stop and not _stands(windows[w], jobs[j])}
    placed, total, apart = [], stop_cost * len(stopped), 0.0
    last = max((x.end for x in windows), default=now)
    for j, job in enumerate(jobs):
        here = where.get(j)
        window = None if here is None else windows[here]
        risk = expected_loss(job, now, last if window is None else window.start)
        mates = tuple(
            jobs[x].id for x, y in where.items() if x != j and y == here and jobs[x].equipment == job.equipment
        )
        total += risk
        options = [
            expected_loss(job, now, x.start) + (0.0 if not job.stop or _stands(x, job) else stop_cost)
            for x in windows
            if _fits(job, x, crews) is None
        ]
        apart += min(options, default=risk)
        why = _why(job, here, windows, crews, now, load, stopped, mates, stop_cost)
        placed.append(Placed(job, window, risk, mates, why))
    order = sorted(placed, key=lambda p: (p.window.start if p.window else 2**62, p.job.equipment, p.job.id))
    return Calendar(
        tuple(order), total, apart, len(stopped), proven, {windows[w].id: share for w, share in load.items()}
    )


def _why(
    job: Job,
    w: int | None,
    windows: Sequence[Window],
    crews: Sequence[Crew],
    now: int,
    load: Mapping[int, float],
    stopped: set[tuple[str, int]],
    mates: tuple[int, ...],
    stop_cost: float,
) -> tuple[str, ...]:
    """Sentences: what speaks for the window, and what for none of the earlier ones."""
    said: list[str] = []
    if w is None:
        said.append("no window was found for it")
    else:
        window = windows[w]
        risk = expected_loss(job, now, window.start)
        said.append(f"expected loss until then {risk:.0f}")
        if job.due_at is not None:
            days = (job.due_at - window.start) / DAY
            said.append(f"{days:.1f} d before its date" if days >= 0 else f"{-days:.1f} d after its date")
        if _stands(window, job) and job.stop:
            said.append("the machine stands then anyway")
        elif mates and job.stop:
            said.append(f"shares one stop with {', '.join(map(str, mates))}: saves {stop_cost:.0f}")
    for x in range(len(windows) if w is None else w):
        reason = _fits(job, windows[x], crews)
        if reason is None:
            if load.get(x, 0.0) > 0.8:
                reason = f"its people are taken ({100 * load[x]:.0f} %)"
            elif job.stop and not _stands(windows[x], job) and (job.equipment, x) not in stopped and w is not None:
                saved = expected_loss(job, now, windows[w].start) - expected_loss(job, now, windows[x].start)
                reason = f"a stop of its own there costs {stop_cost:.0f} and saves {saved:.0f}"
            else:
                reason = "costs more in all"
        elif reason == "another machine's window":
            continue
        said.append(f"not {isoformat(windows[x].start)[:10]}: {reason}")
        if len(said) > 5:
            break
    return tuple(said)
