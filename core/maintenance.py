"""The lives of an advisory and of a work order, as transition tables. The database reduces both by exactly these rows.

An *advisory* stands for one component and one failure mode: what is wrong, by when to act. A *work order* is what
people then do. Beside its state an advisory keeps how it ended (:class:`Outcome`), since an ended one rests until there
is new evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.errors import ConflictError


class AdvisoryState(StrEnum):
    RESTING = "resting"
    """Nothing to do: before the first evidence, after the work, or after the evidence has gone."""
    OPEN = "open"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    ACCEPTED = "accepted"
    """A work order is on its way."""


class AdvisoryEvent(StrEnum):
    EVIDENCE = "evidence"
    """Seen again, no more urgent than it was."""
    ESCALATED = "escalated"
    """Seen, and more urgent than anybody knew when they decided."""
    ACCEPT = "accept"
    REJECT = "reject"
    DEFER = "defer"
    DEFERRAL_OVER = "deferral_over"
    GONE = "gone"
    """All evidence has been away for a day."""
    WORK_DONE = "work_done"
    """Its work order was verified and closed."""
    WORK_CANCELLED = "work_cancelled"
    WORK_REOPENED = "work_reopened"
    """Its work order was taken up again after it had been closed."""


class WorkState(StrEnum):
    PLANNED = "planned"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    """People have finished; the telemetry is watched, or somebody verifies."""
    VERIFIED = "verified"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    REOPENED = "reopened"
    """The fault is still there, or came back."""


class WorkEvent(StrEnum):
    APPROVE = "approve"
    SCHEDULE = "schedule"
    UNSCHEDULE = "unschedule"
    START = "start"
    COMPLETE = "complete"
    VERIFY = "verify"
    """By telemetry that stayed well for long enough, or by a person's word."""
    CLOSE = "close"
    CANCEL = "cancel"
    REOPEN = "reopen"
    """By telemetry that showed the fault again, or by a person."""


@dataclass(frozen=True, slots=True)
class Step:
    """From ``state`` by ``event`` to ``next_state``; ``announce`` tells people.

    ``ready`` is a guard of work orders: every obligatory line of the checklist has been ticked (None: either).
    """

    state: str
    event: str
    next_state: str
    announce: bool = False
    ready: bool | None = None


def _advisory() -> tuple[Step, ...]:
    s, e = AdvisoryState, AdvisoryEvent
    return (
        Step(s.RESTING, e.EVIDENCE, s.OPEN, announce=True),
        Step(s.RESTING, e.ESCALATED, s.OPEN, announce=True),
        Step(s.OPEN, e.EVIDENCE, s.OPEN),
        Step(s.OPEN, e.ESCALATED, s.OPEN, announce=True),
        Step(s.OPEN, e.ACCEPT, s.ACCEPTED),
        Step(s.OPEN, e.REJECT, s.REJECTED),
        Step(s.OPEN, e.DEFER, s.DEFERRED),
        Step(s.OPEN, e.GONE, s.RESTING),
        # who put it off or away decided on what was known then: more of it asks again
        Step(s.DEFERRED, e.EVIDENCE, s.DEFERRED),
        Step(s.DEFERRED, e.ESCALATED, s.OPEN, announce=True),
        Step(s.DEFERRED, e.ACCEPT, s.ACCEPTED),
        Step(s.DEFERRED, e.REJECT, s.REJECTED),
        Step(s.DEFERRED, e.DEFER, s.DEFERRED),
        Step(s.DEFERRED, e.DEFERRAL_OVER, s.OPEN, announce=True),
        Step(s.DEFERRED, e.GONE, s.RESTING),
        Step(s.REJECTED, e.EVIDENCE, s.REJECTED),
        Step(s.REJECTED, e.ESCALATED, s.OPEN, announce=True),
        Step(s.REJECTED, e.ACCEPT, s.ACCEPTED),
        Step(s.REJECTED, e.GONE, s.RESTING),
        # under way: evidence may come and go until the work is done
        Step(s.ACCEPTED, e.EVIDENCE, s.ACCEPTED),
        Step(s.ACCEPTED, e.ESCALATED, s.ACCEPTED, announce=True),
        Step(s.ACCEPTED, e.WORK_DONE, s.RESTING, announce=True),
        Step(s.ACCEPTED, e.WORK_CANCELLED, s.OPEN, announce=True),
        *(Step(state, e.WORK_REOPENED, s.ACCEPTED) for state in (s.RESTING, s.OPEN, s.DEFERRED, s.REJECTED)),
    )


def _work() -> tuple[Step, ...]:
    s, e = WorkState, WorkEvent
    steps = [
        Step(s.PLANNED, e.APPROVE, s.APPROVED),
        Step(s.APPROVED, e.SCHEDULE, s.SCHEDULED, announce=True),
        Step(s.SCHEDULED, e.SCHEDULE, s.SCHEDULED, announce=True),
        Step(s.SCHEDULED, e.UNSCHEDULE, s.APPROVED, announce=True),
        Step(s.IN_PROGRESS, e.COMPLETE, s.DONE, announce=True, ready=True),
        Step(s.DONE, e.VERIFY, s.VERIFIED),
        Step(s.VERIFIED, e.CLOSE, s.CLOSED, announce=True),
        # what was approved once need not be approved again: the fault is still there
        Step(s.REOPENED, e.SCHEDULE, s.SCHEDULED, announce=True),
    ]
    steps += [Step(state, e.START, s.IN_PROGRESS) for state in (s.APPROVED, s.SCHEDULED, s.REOPENED)]
    steps += [Step(state, e.REOPEN, s.REOPENED, announce=True) for state in (s.DONE, s.VERIFIED, s.CLOSED)]
    steps += [
        Step(state, e.CANCEL, s.CANCELLED, announce=True)
        for state in (s.PLANNED, s.APPROVED, s.SCHEDULED, s.IN_PROGRESS, s.REOPENED)
    ]
    return tuple(steps)


ADVISORY_STEPS: Final = _advisory()
"""Every allowed step of an advisory."""

WORK_STEPS: Final = _work()
"""Every allowed step of a work order."""

BY_PEOPLE: Final = (AdvisoryEvent.ACCEPT, AdvisoryEvent.REJECT, AdvisoryEvent.DEFER)
"""What people may do to an advisory; everything else is what evidence, timers and work say."""


def reduce_advisory(state: AdvisoryState, event: AdvisoryEvent) -> tuple[AdvisoryState, bool]:
    """Next state, and whether to announce; :class:`~core.errors.ConflictError` where the table has no such step.

    >>> reduce_advisory(AdvisoryState.RESTING, AdvisoryEvent.EVIDENCE)
    (<AdvisoryState.OPEN: 'open'>, True)
    """
    for step in ADVISORY_STEPS:
        if step.state == state and step.event == event:
            return AdvisoryState(step.next_state), step.announce
    raise _refused("an advisory", state, event)


def reduce_work(state: WorkState, event: WorkEvent, *, ready: bool = True) -> tuple[WorkState, bool]:
    """Next state, and whether to announce; :class:`~core.errors.ConflictError` where the table has no such step.

    >>> reduce_work(WorkState.IN_PROGRESS, WorkEvent.COMPLETE)
    (<WorkState.DONE: 'done'>, True)
    """
    for step in WORK_STEPS:
        if step.state == state and step.event == event and step.ready in (None, ready):
            return WorkState(step.next_state), step.announce
    raise _refused("a work order", state, event)


def _refused(what: str, state: str, event: str) -> ConflictError:
    return ConflictError(
        f"{what} in state {state} does not allow {event}", hint="read it again; its journal shows what happened"
    )
