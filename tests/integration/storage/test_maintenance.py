"""Advisories and work orders in the database do exactly what the tables say, whatever happens in whatever order.

The long form: ``SERVITIZE_MAINTENANCE_STEPS=100000 pytest tests/integration/storage/test_maintenance.py``.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from core.errors import ConflictError
from core.maintenance import (
    ADVISORY_STEPS,
    WORK_STEPS,
    AdvisoryEvent,
    AdvisoryState,
    WorkEvent,
    WorkState,
    reduce_advisory,
    reduce_work,
)
from core.time import DAY, HOUR, to_datetime
from storage.migrate import API
from tests.integration.storage.helpers import T0, Store

STEPS = int(os.environ.get("SERVITIZE_MAINTENANCE_STEPS", "600"))
pytestmark = [pytest.mark.integration, pytest.mark.timeout(300 + STEPS // 10)]
PER_EXAMPLE = 50
RANKS = ("urgent", "high", "medium", "low")
PLAN = {"name": "Replace it", "steps": ["Open", "Close"], "optional_steps": ["Look"], "renews": ["bearing1"]}


def test_the_database_has_the_same_steps_as_the_core(store: Store) -> None:
    advisory = set(store.all("SELECT state, event, next_state, announce FROM servitize.advisory_rule"))
    assert advisory == {(str(s.state), str(s.event), str(s.next_state), s.announce) for s in ADVISORY_STEPS}
    work = set(store.all("SELECT state, event, next_state, announce, ready FROM servitize.work_rule"))
    assert work == {(str(s.state), str(s.event), str(s.next_state), s.announce, s.ready) for s in WORK_STEPS}


class Clerk:
    """The API's login on behalf of ``acme``, whose timeline is told by its publisher."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = T0
        with psycopg.connect(store.dsn, autocommit=True) as owner:
            owner.execute("UPDATE servitize.tenant SET publisher_clock = true WHERE id = %s", (store.acme,))
            owner.execute(
                "INSERT INTO servitize.latest_reading VALUES (%s, %s, 1, 192, now())",
                (store.points[0], to_datetime(T0)),
            )
        self.owner = psycopg.connect(store.dsn, autocommit=True)
        self.api = self.connect()

    def connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self.store.login(API), autocommit=True)
        connection.execute("SELECT set_config('servitize.tenant', %s, false)", (str(self.store.acme),))
        return connection

    def restart(self) -> None:
        """Nothing is known but what the database knows."""
        self.api.close()
        self.api = self.connect()

    def pass_time(self, us: int) -> None:
        self.now += us
        self.owner.execute(
            "UPDATE servitize.latest_reading SET ts = %s WHERE point_id = %s",
            (to_datetime(self.now), self.store.points[0]),
        )

    def ask(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.api.execute(query, values).fetchone()
        return found

    def close(self) -> None:
        self.api.close()
        self.owner.close()


class Maintenance(RuleBasedStateMachine):
    """One advisory and all work orders it ever gets, beside a model in a few lines."""

    clerk: ClassVar[Clerk]
    modes: ClassVar[Iterator[int]] = itertools.count()
    steps: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        self.mode = f"wear-{next(self.modes)}"
        self.id: int | None = None
        self.advisory = AdvisoryState.RESTING
        self.priority = 3
        self.until: int | None = None
        self.gone: int | None = None
        self.holder: int | None = None
        self.works: dict[int, tuple[WorkState, list[bool]]] = {}

    # --- the advisory ---

    def _move(self, event: AdvisoryEvent) -> bool:
        self.advisory, announced = reduce_advisory(self.advisory, event)
        if self.advisory is not AdvisoryState.DEFERRED:
            self.until = None
        return announced

    @rule(rank=st.integers(0, 3), holds=st.booleans())
    def evidence(self, rank: int, holds: bool) -> None:
        Maintenance.steps += 1
        facts = {"priority": RANKS[rank], "title": "worn", "plan": PLAN, "due_at": self.clerk.now + DAY, "evidence": []}
        row = self.clerk.ask(
            "SELECT * FROM servitize.record_evidence(%s, 'bearing1', %s, %s, %s, %s)",
            self.clerk.store.ours, self.mode, to_datetime(self.clerk.now), holds, json.dumps(facts),
        )  # fmt: skip
        assert row is not None
        if not holds:
            if self.id is not None and self.gone is None:
                self.gone = self.clerk.now
            return
        known, self.id = self.id is not None, row[0]
        more = known and self.advisory is not AdvisoryState.RESTING and rank < self.priority
        opens = self.advisory is AdvisoryState.RESTING
        assert row[3] == self._move(AdvisoryEvent.ESCALATED if more else AdvisoryEvent.EVIDENCE)
        self.priority = rank if opens or not known else min(rank, self.priority)
        self.gone = None
        if opens:
            self.holder = None

    @precondition(lambda self: self.id is not None)
    @rule(
        command=st.sampled_from([AdvisoryEvent.ACCEPT, AdvisoryEvent.REJECT, AdvisoryEvent.DEFER]),
        hours=st.integers(-1, 48),
        why=st.sampled_from(["", "not now"]),
    )
    def decide(self, command: AdvisoryEvent, hours: int, why: str) -> None:
        Maintenance.steps += 1
        until = self.clerk.now + hours * HOUR
        makes_sense = command is AdvisoryEvent.ACCEPT or (why and (command is AdvisoryEvent.REJECT or hours > 0))
        query = "SELECT * FROM servitize.operate_advisory(%s, %s, 'ann', %s, %s)"
        values = (self.id, str(command), why, to_datetime(until))
        try:
            reduce_advisory(self.advisory, command)
        except ConflictError:
            with pytest.raises(psycopg.Error) as refused:
                self.clerk.ask(query, *values)
            assert refused.value.sqlstate in ("SV409", "SV400")
            return
        if not makes_sense:
            with pytest.raises(psycopg.Error) as refused:
                self.clerk.ask(query, *values)
            assert refused.value.sqlstate == "SV400"
            return
        row = self.clerk.ask(query, *values)
        assert row is not None
        self._move(command)
        if command is AdvisoryEvent.DEFER:
            self.until = until
        if command is AdvisoryEvent.ACCEPT:
            self.holder = row[3]
            self.works[row[3]] = (WorkState.PLANNED, [False, False])

    @rule(hours=st.integers(1, 60))
    def time_passes(self, hours: int) -> None:
        Maintenance.steps += 1
        self.clerk.pass_time(hours * HOUR)

    @rule(after_restart=st.booleans())
    def timers(self, after_restart: bool) -> None:
        Maintenance.steps += 1
        if after_restart:
            self.clerk.restart()
        self.clerk.ask("SELECT servitize.maintenance_timers()")
        now = self.clerk.now + 1
        if self.advisory is AdvisoryState.DEFERRED and self.until is not None and self.until <= now:
            self._move(AdvisoryEvent.DEFERRAL_OVER)
        waits = (AdvisoryState.OPEN, AdvisoryState.DEFERRED, AdvisoryState.REJECTED)
        if self.advisory in waits and self.gone is not None and self.gone + DAY <= now:
            self._move(AdvisoryEvent.GONE)

    # --- its work orders ---

    @precondition(lambda self: bool(self.works))
    @rule(data=st.data(), event=st.sampled_from(list(WorkEvent)), why=st.sampled_from(["", "seen"]))
    def work(self, data: st.DataObject, event: WorkEvent, why: str) -> None:
        Maintenance.steps += 1
        order = data.draw(st.sampled_from(sorted(self.works)))
        state, ticked = self.works[order]
        facts = (
            {"start": self.clerk.now + HOUR, "end": self.clerk.now + 9 * HOUR} if event is WorkEvent.SCHEDULE else {}
        )
        query, values = (
            "SELECT * FROM servitize.operate_work(%s, %s, 'bob', %s, %s)",
            (order, str(event), why, json.dumps(facts)),
        )
        needs_reason = event in (WorkEvent.CANCEL, WorkEvent.REOPEN) and not why
        try:
            following, announced = reduce_work(state, event, ready=all(ticked))
        except ConflictError:
            following = None
        if following is None or needs_reason:
            with pytest.raises(psycopg.Error) as refused:
                self.clerk.ask(query, *values)
            assert refused.value.sqlstate == ("SV409" if following is None else "SV400")
            return
        row = self.clerk.ask(query, *values)
        assert row == (str(state), str(following), announced)
        self._worked(order, event, following, ticked)

    def _worked(self, order: int, event: WorkEvent, following: WorkState, ticked: list[bool]) -> None:
        self.works[order] = (following, [False, False] if event is WorkEvent.REOPEN else ticked)
        mine = self.advisory is AdvisoryState.ACCEPTED and self.holder == order
        if event is WorkEvent.CLOSE and mine:
            self._move(AdvisoryEvent.WORK_DONE)
            self.gone = None
        elif event is WorkEvent.CANCEL and mine:
            self._move(AdvisoryEvent.WORK_CANCELLED)
            self.holder = None
        elif event is WorkEvent.REOPEN and self.advisory is not AdvisoryState.ACCEPTED:
            self._move(AdvisoryEvent.WORK_REOPENED)
            self.holder = order

    @precondition(lambda self: bool(self.works))
    @rule(data=st.data(), done=st.booleans())
    def tick(self, data: st.DataObject, done: bool) -> None:
        Maintenance.steps += 1
        order = data.draw(st.sampled_from(sorted(self.works)))
        state, ticked = self.works[order]
        line = data.draw(st.integers(0, 1))
        query = "SELECT servitize.tick_work(%s, %s, %s, 'bob', '')"
        if state is not WorkState.IN_PROGRESS:
            with pytest.raises(psycopg.Error) as refused:
                self.clerk.ask(query, order, line, done)
            assert refused.value.sqlstate == "SV409"
            return
        self.clerk.ask(query, order, line, done)
        ticked[line] = done

    @precondition(lambda self: any(state is WorkState.IN_PROGRESS for state, _ in self.works.values()))
    @rule()
    def finish(self) -> None:
        """What random ticking seldom gets to: every line ticked, completed."""
        Maintenance.steps += 1
        order = next(o for o, (state, _) in sorted(self.works.items()) if state is WorkState.IN_PROGRESS)
        for line in (0, 1):
            self.clerk.ask("SELECT servitize.tick_work(%s, %s, true, 'bob', '')", order, line)
        row = self.clerk.ask("SELECT * FROM servitize.operate_work(%s, 'complete', 'bob')", order)
        assert row == ("in_progress", "done", True)
        self._worked(order, WorkEvent.COMPLETE, WorkState.DONE, [True, True])

    @precondition(lambda self: bool(self.works))
    @rule(data=st.data(), verdict=st.sampled_from(["verified", "relapsed", "watching"]))
    def watch(self, data: st.DataObject, verdict: str) -> None:
        Maintenance.steps += 1
        order = data.draw(st.sampled_from(sorted(self.works)))
        state, ticked = self.works[order]
        row = self.clerk.ask(
            "SELECT servitize.judge_work(%s, %s, %s, 'as seen', '{}')", order, verdict, to_datetime(self.clerk.now)
        )
        assert row is not None
        if state is not WorkState.DONE or verdict == "watching":
            assert row[0] == str(state)
        elif verdict == "verified":
            self._worked(order, WorkEvent.VERIFY, WorkState.VERIFIED, ticked)
            self._worked(order, WorkEvent.CLOSE, WorkState.CLOSED, ticked)
            assert row[0] == "closed"
        else:
            self._worked(order, WorkEvent.REOPEN, WorkState.REOPENED, ticked)
            assert row[0] == "reopened"

    # --- what must hold always ---

    @invariant()
    def the_database_agrees(self) -> None:
        if not hasattr(self, "id") or self.id is None:
            return
        row = self.clerk.ask(
            "SELECT a.state, a.priority, servitize.to_us(a.deferred_until), a.work_order_id,"
            " (SELECT jsonb_object_agg(w.id, w.state) FROM servitize.work_order w WHERE w.advisory_id = a.id),"
            " (SELECT j.to_state FROM servitize.advisory_journal j WHERE j.advisory_id = a.id"
            "  ORDER BY j.id DESC LIMIT 1)"
            " FROM servitize.advisory a WHERE a.id = %s",
            self.id,
        )
        assert row is not None
        assert (row[0], row[1]) == (str(self.advisory), RANKS[self.priority])
        assert row[2] == self.until
        if self.advisory is AdvisoryState.ACCEPTED:
            assert row[3] == self.holder
        assert (row[4] or {}) == {str(order): str(state) for order, (state, _) in self.works.items()}
        assert row[5] == row[0]


@pytest.fixture
def clerk(store: Store) -> Iterator[Clerk]:
    found = Clerk(store)
    yield found
    found.close()


def test_no_order_of_things_leads_to_a_state_the_tables_do_not_know(clerk: Clerk) -> None:
    Maintenance.clerk = clerk
    run_state_machine_as_test(
        Maintenance,
        settings=settings(
            max_examples=max(1, STEPS // PER_EXAMPLE),
            stateful_step_count=PER_EXAMPLE,
            deadline=None,
            database=None,
            derandomize=STEPS < 10_000,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Maintenance.steps > 0.5 * STEPS
    print(f"{Maintenance.steps} steps")


def test_every_step_is_told_once(clerk: Clerk) -> None:
    """The outbox has one row per journalled step, loud or quiet by the table."""
    facts = json.dumps({"priority": "high", "title": "worn", "plan": PLAN, "evidence": []})
    at = to_datetime(clerk.now)
    row = clerk.ask(
        "SELECT * FROM servitize.record_evidence(%s, 'bearing1', 'm', %s, true, %s)", clerk.store.ours, at, facts
    )
    assert row is not None
    accepted = clerk.ask("SELECT * FROM servitize.operate_advisory(%s, 'accept', 'ann')", row[0])
    assert accepted is not None
    work = accepted[3]
    for event in ("approve", "start"):
        clerk.ask("SELECT * FROM servitize.operate_work(%s, %s, 'bob')", work, event)
    for line in (0, 1):
        clerk.ask("SELECT servitize.tick_work(%s, %s, true, 'bob', '')", work, line)
    clerk.ask("SELECT * FROM servitize.operate_work(%s, 'complete', 'bob')", work)
    clerk.ask("SELECT servitize.judge_work(%s, 'verified', %s, 'well for 4 h', '{}')", work, at)
    told = clerk.store.all("SELECT kind, payload->>'event' FROM servitize.outbox ORDER BY id")
    assert told == [
        ("advisory", "evidence"),
        ("work_order", "plan"),
        ("advisory_change", "accept"),
        ("work_order_change", "approve"),
        ("work_order_change", "start"),
        ("work_order", "complete"),
        ("work_order_change", "verify"),
        ("work_order", "close"),
        ("advisory", "work_done"),
    ]
    (topic, payload), *more = clerk.store.all("SELECT * FROM servitize.take_notices(10)")
    assert not more
    assert topic == "servitize/v1/acme/pump-1/event"
    said = json.loads(bytes(payload))
    assert (said["kind"], said["body"]["renewed"], said["ts"]) == ("maintenance", ["bearing1"], (clerk.now + 1) // 1000)


def test_of_another_tenant_there_is_nothing(clerk: Clerk) -> None:
    facts = json.dumps({"priority": "high", "title": "worn", "evidence": []})
    with pytest.raises(psycopg.Error) as refused:
        clerk.ask("SELECT servitize.record_evidence(%s, 'bearing1', 'm', now(), true, %s)", clerk.store.theirs, facts)
    assert refused.value.sqlstate == "SV404"
    with clerk.store.api(clerk.store.bolt) as theirs:
        made = theirs.execute(
            "SELECT servitize.plan_work(%s, 'bearing1', 'corrective', NULL, NULL, 'secret', 'low', NULL, '{}', 'x')",
            (clerk.store.theirs,),
        ).fetchone()
    assert made is not None
    for call in (
        "operate_work(%s, 'approve', 'x')",
        "tick_work(%s, 0, true, 'x', '')",
        "enter_work(%s, 'labour', 'x', 1, 'h', 1, '', 'x')",
        "keep_photo(%s, 'x', 'image/png', '', 'x')",
        "judge_work(%s, 'verified', now(), '', '{}')",
    ):
        with pytest.raises(psycopg.Error) as refused:
            clerk.ask(f"SELECT servitize.{call}", made[0])
        assert refused.value.sqlstate == "SV404", call
    assert clerk.ask("SELECT count(*) FROM servitize.work_order") == (0,)
