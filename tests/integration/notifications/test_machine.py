"""The machine of notifications under any order of events, clocks, deaths and mistakes.

A short walk with every run of the tests; ``SERVITIZE_MACHINE_STEPS=100000`` walks that far.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from typing import Any

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
from psycopg.types.json import Jsonb

from core.delivery import TRANSITIONS, DeliveryEvent, DeliveryState, reduce
from core.errors import ConflictError
from tests.integration.api.conftest import World
from tests.integration.notifications.conftest import NOON

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

STEPS = int(os.environ.get("SERVITIZE_MACHINE_STEPS", "600"))
RANK = {"urgent": 1, "high": 2, "medium": 3, "low": 4}
PRIORITIES = st.sampled_from(list(RANK))
STEP = {(r.state.value, r.event.value): r.next_state.value for r in TRANSITIONS}
SETTLED = {"delivered", "dead", "cancelled"}
OPENED = Counter[str]()
"""What the walks have come across, for the report."""


def machine(world: World) -> type[RuleBasedStateMachine]:
    class Notifications(RuleBasedStateMachine):
        """The model: who should have heard of what, and where each delivery is."""

        def __init__(self) -> None:
            super().__init__()
            self.now = NOON
            self.connect()
            self.subscriptions: dict[int, dict[str, Any]] = {}
            self.events: list[tuple[int, str, str, bool]] = []
            self.looked_at = 0
            self.wanted: set[tuple[int, int]] = set()
            self.states: dict[int, str] = {}
            self.taken: list[tuple[list[int], Any]] = []

        def connect(self) -> None:
            self.c = psycopg.connect(world.owner_dsn, autocommit=True)
            self.c.execute("SET ROLE servitize_owner")

        def teardown(self) -> None:
            self.everything_arrives()
            self.c.close()

        def one(self, sql: str, *values: Any) -> Any:
            row = self.c.execute(sql.encode(), values).fetchone()
            return row[0] if row else None

        @initialize()
        def begin(self) -> None:
            names = ("delivery", "delivery_attempt", "escalation_timer", "escalation_step", "subscription")
            more = ("on_call_override", "on_call_member", "on_call_schedule", "notification_endpoint")
            self.c.execute(f"TRUNCATE {', '.join(f'servitize.{name}' for name in (*names, *more))}".encode())
            add = (
                "INSERT INTO servitize.notification_endpoint (tenant_id, name, kind, address)"
                " VALUES (%s, 'e', 'mqtt', 'e') RETURNING id"
            )
            self.endpoints = [int(self.one(add, world.a.id)) for _ in range(3)]
            self.enabled = set(self.endpoints)
            head = self.one("SELECT servitize.sequence_outbox()")
            while self.one("SELECT servitize.fan_out(%s, 1000)", self.now):
                pass
            self.looked_at = head
            self.subscribe(0, "low", None, False, "urgent", [("high", 5)])

        # -- what people do ----------------------------------------------------------------------------------------

        @rule(
            which=st.integers(0, 2),
            least=PRIORITIES,
            digest=st.sampled_from([None, None, 5, 60]),
            quiet=st.booleans(),
            through=PRIORITIES,
            steps=st.lists(st.tuples(PRIORITIES, st.integers(1, 60)), max_size=2, unique_by=lambda s: s[0]),
        )
        def subscribe(
            self, which: int, least: str, digest: int | None, quiet: bool, through: str, steps: list[tuple[str, int]]
        ) -> None:
            if len(self.subscriptions) >= 6:
                return
            endpoint = self.endpoints[which]
            hours = ("22:00", "06:00") if quiet else (None, None)
            number = self.one(
                "INSERT INTO servitize.subscription (tenant_id, name, endpoint_id, least_priority, digest_minutes,"
                " quiet_from, quiet_to, break_through) VALUES (%s, 's', %s, %s, %s, %s, %s, %s) RETURNING id",
                world.a.id, endpoint, least, digest, *hours, through,
            )  # fmt: skip
            for stage, (priority, minutes) in enumerate(steps, 1):
                self.c.execute(
                    b"INSERT INTO servitize.escalation_step VALUES (%s, %s, %s, %s, %s, NULL)",
                    [number, stage, priority, minutes, self.endpoints[(which + 1) % 3]],
                )
            self.subscriptions[number] = {"least": RANK[least]}

        @precondition(lambda self: self.subscriptions)
        @rule(data=st.data())
        def unsubscribe(self, data: st.DataObject) -> None:
            number = data.draw(st.sampled_from(sorted(self.subscriptions)))
            self.c.execute(b"UPDATE servitize.subscription SET removed_at = now() WHERE id = %s", [number])
            del self.subscriptions[number]

        @rule(which=st.integers(0, 2))
        def switch(self, which: int) -> None:
            endpoint = self.endpoints[which]
            self.enabled ^= {endpoint}
            self.c.execute(
                b"UPDATE servitize.notification_endpoint SET enabled = %s WHERE id = %s",
                [endpoint in self.enabled, endpoint],
            )

        # -- what happens ------------------------------------------------------------------------------------------

        @rule(
            priority=PRIORITIES, subject=st.integers(1, 3), is_open=st.booleans(), kind=st.sampled_from(["alarm", "x"])
        )
        def event(self, priority: str, subject: int, is_open: bool, kind: str) -> None:
            about = f"advisory/{subject}"
            body = {"title": "t", "priority": priority, "subject": about, "open": is_open}
            self.c.execute(
                b"INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload) VALUES (%s, %s, %s, %s)",
                [world.a.id, world.a.equipment, kind, Jsonb(body)],
            )
            seq = self.one("SELECT servitize.sequence_outbox()")
            self.events.append((seq, priority, kind, is_open))

        @rule(seconds=st.sampled_from([1, 30, 90, 600, 3600, 40_000]))
        def time_passes(self, seconds: int) -> None:
            self.now += timedelta(seconds=seconds)

        @rule(at_most=st.integers(1, 4))
        def fan_out(self, at_most: int) -> None:
            ahead = [event for event in self.events if event[0] > self.looked_at][:at_most]
            assert self.one("SELECT servitize.fan_out(%s, %s)", self.now, at_most) == len(ahead)
            for seq, priority, kind, _ in ahead:
                self.looked_at = seq
                for number, wants in self.subscriptions.items():
                    if kind == "alarm" and RANK[priority] <= wants["least"]:
                        self.wanted.add((number, seq))

        @rule()
        def escalate(self) -> None:
            self.one("SELECT servitize.escalate(%s, 1000)", self.now)
            overdue = "SELECT count(*) FROM servitize.escalation_timer WHERE done_at IS NULL AND due_at <= %s"
            assert self.one(overdue, self.now) == 0

        # -- who delivers --------------------------------------------------------------------------------------------

        @rule(seconds=st.sampled_from([0, 60, 600]), at_most=st.integers(1, 5))
        def take(self, seconds: int, at_most: int) -> None:
            lease = self.now + timedelta(seconds=seconds)
            rows = self.c.execute(
                b"SELECT delivery_ids, endpoint_id FROM servitize.take_deliveries(%s, %s, %s)",
                [self.now, lease, at_most],
            ).fetchall()
            for ids, endpoint in rows:
                assert endpoint in self.enabled, "sent to who is switched off"
                self.taken.append((ids, lease))
                OPENED["digests" if len(ids) > 1 else "messages"] += 1

        @precondition(lambda self: self.taken)
        @rule(data=st.data(), how=st.sampled_from(["succeed", "succeed", "fail", "give_up"]), wait=st.integers(0, 900))
        def finish(self, data: st.DataObject, how: str, wait: int) -> None:
            ids, lease = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
            due = self.now + timedelta(seconds=wait) if how == "fail" else None
            before = self.found(ids)
            did = self.one(
                "SELECT servitize.finish_deliveries(%s, %s, %s, %s, %s, 500, 'x')", ids, how, self.now, lease, due
            )
            after = self.found(ids)
            for number in ids:
                state, held = before[number]
                if state == "sending" and held == lease:
                    assert did
                    assert after[number][0] == STEP[state, how]
                else:
                    assert after[number] == before[number], "who came too late changed something"
                    OPENED["too late"] += 1

        def found(self, ids: list[int]) -> dict[int, tuple[str, Any]]:
            rows = self.c.execute(b"SELECT id, state, lease_until FROM servitize.delivery WHERE id = ANY (%s)", [ids])
            return {number: (state, lease) for number, state, lease in rows}

        @rule()
        def the_deliverer_dies(self) -> None:
            """What it had taken it never finishes; the next one has another connection and remembers nothing."""
            self.taken = []
            self.c.close()
            self.connect()
            OPENED["deaths"] += 1

        @rule(event=st.sampled_from(list(DeliveryEvent)), pick=st.integers(0, 999))
        def anything_else_is_by_the_table_or_refused(self, event: DeliveryEvent, pick: int) -> None:
            rows = self.c.execute(b"SELECT id, state FROM servitize.delivery ORDER BY id").fetchall()
            if not rows or event is DeliveryEvent.TAKE:
                return
            number, state = rows[pick % len(rows)]
            try:
                wanted = reduce(DeliveryState(state), event).value
            except ConflictError:
                wanted = None
            sql = "SELECT (servitize.step_delivery(%s, %s, %s, %s, NULL, NULL, 'x')).state"
            if wanted is None:
                with pytest.raises(psycopg.Error) as refused:
                    self.one(sql, number, event.value, self.now, self.now)
                assert refused.value.sqlstate == "SV409"
                OPENED["refused"] += 1
            else:
                assert self.one(sql, number, event.value, self.now, self.now) == wanted

        # -- what always holds ---------------------------------------------------------------------------------------

        @invariant()
        def one_intent_per_event_and_every_state_is_one(self) -> None:
            rows = self.c.execute(b"SELECT id, subscription_id, seq, stage, state FROM servitize.delivery").fetchall()
            assert {(s, q) for _, s, q, stage, _ in rows if stage == 0} == self.wanted
            assert len({(s, q, stage) for _, s, q, stage, _ in rows}) == len(rows)
            assert {state for *_, state in rows} <= {state.value for state in DeliveryState}

        @invariant()
        def one_message_at_a_time_to_an_endpoint(self) -> None:
            worst = self.one(
                "SELECT coalesce(max(n), 0) FROM (SELECT count(DISTINCT coalesce(batch, id)) AS n"
                " FROM servitize.delivery WHERE state = 'sending' GROUP BY endpoint_id) x"
            )
            assert worst <= 1

        def everything_arrives(self) -> None:
            """However it went: with a deliverer that is well nothing stays behind, and every life was by the table."""
            self.c.execute(b"UPDATE servitize.notification_endpoint SET enabled = true")
            while self.one("SELECT servitize.fan_out(%s, 1000)", self.now):
                pass
            for _ in range(400):
                self.now += timedelta(days=1)
                self.one("SELECT servitize.escalate(%s, 1000)", self.now)
                rows = self.c.execute(
                    b"SELECT delivery_ids FROM servitize.take_deliveries(%s, %s, 100)", [self.now, self.now]
                ).fetchall()
                for (ids,) in rows:
                    sql = "SELECT servitize.finish_deliveries(%s, 'succeed', %s, %s, NULL, 200, NULL)"
                    assert self.one(sql, ids, self.now, self.now)
                if not rows and not self.one("SELECT count(*) FROM servitize.delivery WHERE settled_at IS NULL"):
                    break
            assert self.one("SELECT count(*) FROM servitize.delivery WHERE settled_at IS NULL") == 0
            assert self.one("SELECT count(*) FROM servitize.escalation_timer WHERE done_at IS NULL") == 0
            lives: dict[int, str] = {}
            for number, event, start, end in self.c.execute(
                b"SELECT delivery_id, event, from_state, to_state FROM servitize.delivery_attempt"
                b" ORDER BY delivery_id, id"
            ):
                assert lives.get(number, "pending") == start
                assert STEP[start, event] == end
                lives[number] = end
                OPENED[event] += 1
            for number, state in self.c.execute(b"SELECT id, state FROM servitize.delivery"):
                assert lives[number] == state
                assert state in SETTLED

    return Notifications


def test_no_walk_leads_anywhere_it_should_not(world: World) -> None:
    length = 50 if STEPS <= 5000 else 200
    run_state_machine_as_test(
        machine(world),
        settings=settings(
            max_examples=max(1, STEPS // length),
            stateful_step_count=length,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{STEPS} steps: {dict(OPENED)}")
    assert {"succeed", "lose", "deaths", "messages"} <= OPENED.keys()
    if STEPS > 5000:
        assert {"fail", "give_up", "replay", "cancel", "digests", "too late", "refused"} <= OPENED.keys()
