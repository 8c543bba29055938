"""The life of an alarm in the database: the rules of core.alarm, whoever moves it, journalled and announced."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import psycopg
import pytest

from core.alarm import TRANSITIONS, AlarmEvent, AlarmState, reduce
from core.condition import Change, Priority
from core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from core.time import SECOND, to_datetime
from storage import admin
from storage.caretaker import Caretaker
from storage.errors import translated
from storage.migrate import WRITER
from storage.queries import load
from tests.integration.storage.helpers import T0, Committer, Store, transition

pytestmark = pytest.mark.integration

NOW = 4_000_000_000 * SECOND


def host_clock() -> int:
    return time.time_ns() // 1000


def tell(store: Store, *transitions: Any, stream: str = "test") -> None:
    with Committer(store, stream) as c:
        c.commit(transitions=transitions)


def operate(
    store: Store, command: str, *, tenant: int | None = None, until: int | None = None, why: str = "why"
) -> Any:
    alarm = store.one("SELECT id FROM servitize.alarm ORDER BY id LIMIT 1")
    with translated(), store.api(tenant or store.acme) as connection:
        return load("caretaker").operate(
            connection,
            alarm_id=alarm,
            command=command,
            actor="anna",
            reason=why,
            until=None if until is None else to_datetime(until),
        )


def expire(store: Store, now: int) -> int:
    with psycopg.connect(store.login(WRITER)) as connection:
        return int(load("caretaker").expire_shelves(connection, now=to_datetime(now)))


def outbox(store: Store) -> list[Any]:
    return store.all("SELECT kind, payload->>'event', payload->>'state' FROM servitize.outbox ORDER BY id")


def state(store: Store) -> Any:
    return store.one("SELECT state FROM servitize.alarm ORDER BY id LIMIT 1")


def test_the_rules_in_the_table_are_those_of_the_core(store: Store) -> None:
    rows = store.all("SELECT state, event, next_state, active, latching, announce FROM servitize.alarm_rule")
    core = [(r.state.value, r.event.value, r.next_state.value, r.active, r.latching, r.announce) for r in TRANSITIONS]
    assert sorted(rows, key=str) == sorted(core, key=str)


def test_the_ring_raised_acknowledged_cleared_is_journalled_with_who_when_and_why(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0))
    assert operate(store, "acknowledge") == ("unacknowledged", "acknowledged", False)
    tell(store, transition(store.ours, Change.CLEARED, T0 + 60 * SECOND, value=70.0))
    journal = store.all(
        'SELECT event, actor, reason, from_state, to_state, value, "limit", announced, recorded_at IS NOT NULL '
        "FROM servitize.alarm_journal ORDER BY id"
    )
    assert journal == [
        ("raised", "processor", "", "normal", "unacknowledged", 91.0, 80.0, True, True),
        ("acknowledge", "anna", "why", "unacknowledged", "acknowledged", None, None, False, True),
        ("cleared", "processor", "", "acknowledged", "normal", 70.0, 80.0, False, True),
    ]
    assert outbox(store) == [
        ("alarm", "raised", "unacknowledged"),
        ("alarm_change", "acknowledge", "acknowledged"),
        ("alarm_change", "cleared", "normal"),
    ]
    row = store.all(
        "SELECT servitize.to_us(raised_at), servitize.to_us(cleared_at), acknowledged_by, occurrences, active FROM "
        "servitize.alarm"
    )
    assert row == [(T0, T0 + 60 * SECOND, "anna", 1, False)]


def test_what_a_processor_repeats_changes_nothing(store: Store) -> None:
    told = [transition(store.ours, Change.RAISED, T0), transition(store.ours, Change.CLEARED, T0 + SECOND)]
    tell(store, *told)
    operate(store, "acknowledge")
    before = store.all("SELECT * FROM servitize.alarm"), store.all("SELECT * FROM servitize.alarm_journal")
    tell(store, *told, stream="another")
    assert (store.all("SELECT * FROM servitize.alarm"), store.all("SELECT * FROM servitize.alarm_journal")) == before


def test_an_acknowledgement_and_a_processor_at_the_same_moment_both_count(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0))
    with Committer(store) as c:
        threads = [threading.Thread(target=operate, args=(store, "acknowledge"))]
        threads += [
            threading.Thread(
                target=c.commit, kwargs={"transitions": (transition(store.ours, Change.CLEARED, T0 + SECOND),)}
            )
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert state(store) == "normal"
    assert store.one("SELECT count(*) FROM servitize.alarm_journal") == 3


def test_a_step_that_the_rules_do_not_know_is_refused_and_leaves_no_trace(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0))
    with pytest.raises(ConflictError, match="does not allow unshelve"):
        operate(store, "unshelve")
    with pytest.raises(InvalidInputError):
        operate(store, "raised")
    with pytest.raises(InvalidInputError, match="reason"):
        operate(store, "shelve", until=NOW, why="")
    with pytest.raises(InvalidInputError, match="end in the future"):
        operate(store, "shelve", until=T0)
    assert store.one("SELECT count(*) FROM servitize.alarm_journal") == 1


def test_a_shelf_ends_by_its_timer_and_the_alarm_speaks_again_if_it_still_stands(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0))
    operate(store, "shelve", until=NOW)
    assert expire(store, NOW - 1) == 0
    assert expire(store, NOW) == 1
    assert expire(store, NOW + SECOND) == 0
    assert state(store) == "unacknowledged"
    assert outbox(store)[-1] == ("alarm", "shelf_expired", "unacknowledged")
    assert store.one("SELECT shelved_until FROM servitize.alarm") is None


def test_a_shelved_alarm_follows_its_condition_in_silence(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0))
    operate(store, "shelve", until=NOW)
    tell(store, transition(store.ours, Change.CLEARED, T0 + SECOND))
    assert state(store) == "shelved"
    expire(store, NOW)
    assert state(store) == "normal"
    assert [kind for kind, *_ in outbox(store)] == ["alarm", "alarm_change", "alarm_change"]


def test_unshelved_by_hand_it_is_silent_unless_it_became_more_urgent(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0, priority=Priority.LOW))
    operate(store, "shelve", until=NOW)
    assert operate(store, "unshelve") == ("shelved", "acknowledged", False)
    operate(store, "shelve", until=NOW)
    tell(store, transition(store.ours, Change.RAISED, T0 + SECOND, priority=Priority.URGENT))
    assert operate(store, "unshelve") == ("shelved", "acknowledged", True)


def test_latching_alarms_wait_for_acknowledgement_and_reset(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0, detail={"latching": True}))
    tell(store, transition(store.ours, Change.CLEARED, T0 + SECOND))
    assert state(store) == "latched_unacknowledged"
    operate(store, "acknowledge")
    assert operate(store, "reset")[1] == "normal"


def test_consequences_are_journalled_under_their_first_out_and_not_announced(store: Store) -> None:
    told = [transition(store.ours, Change.RAISED, T0)]
    told += [
        transition(store.ours, Change.RAISED, T0 + n, f"c{n}", first_out="bearing1/t1/high", announce=False)
        for n in range(1, 15)
    ]
    tell(store, *told)
    assert [kind for kind, *_ in outbox(store)].count("alarm") == 1
    assert store.one("SELECT count(*) FROM servitize.alarm_journal WHERE first_out = 'bearing1/t1/high'") == 14
    assert store.one("SELECT count(*) FROM servitize.alarm WHERE state = 'unacknowledged'") == 15


def test_a_late_crossing_already_disproved_is_journalled_at_its_time_and_reopens_nothing(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0), transition(store.ours, Change.CLEARED, T0 + 9 * SECOND))
    tell(store, transition(store.ours, Change.RAISED, T0 + 20, late=True, announce=False))
    assert state(store) == "returned_unacknowledged"
    assert store.all(
        "SELECT servitize.to_us(at), late, from_state = to_state FROM servitize.alarm_journal ORDER BY id DESC LIMIT 1"
    ) == [(T0 + 20, True, True)]
    tell(store, transition(store.ours, Change.RAISED, T0 + 30, late=True))
    assert state(store) == "unacknowledged"


def test_another_tenant_cannot_see_that_there_is_an_alarm_and_a_reader_cannot_work_it(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0))
    with pytest.raises(NotFoundError):
        operate(store, "acknowledge", tenant=store.bolt)
    with psycopg.connect(store.dsn) as connection:
        grant = admin.grant_equipment(connection, store.ours, store.bolt, "read")
    with pytest.raises(ForbiddenError):
        operate(store, "acknowledge", tenant=store.bolt)
    with psycopg.connect(store.dsn) as connection:
        admin.end_grant(connection, grant)
        admin.grant_equipment(connection, store.ours, store.bolt, "operate")
    assert operate(store, "acknowledge", tenant=store.bolt)[1] == "acknowledged"


def test_the_journal_cannot_be_changed_even_by_its_owner(store: Store) -> None:
    tell(store, transition(store.ours, Change.RAISED, T0))
    for statement in (
        "UPDATE servitize.alarm_journal SET actor = 'nobody'",
        "DELETE FROM servitize.alarm_journal",
        "TRUNCATE servitize.alarm_journal",
    ):
        with psycopg.connect(store.dsn) as connection:
            connection.execute("SET ROLE servitize_owner")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_random_lives_follow_the_core_step_by_step(store: Store) -> None:
    rng = random.Random(7)
    current, active = AlarmState.NORMAL, False
    commands = ["acknowledge", "shelve", "unshelve", "remove_from_service", "return_to_service", "reset"]
    tell(store, transition(store.ours, Change.CLEARED, T0))
    with Committer(store) as c:
        for step in range(1, 100):
            event = rng.choice([*list(Change), *commands])
            try:
                expected = reduce(current, active, AlarmEvent(event))
            except ConflictError:
                with pytest.raises(ConflictError):
                    operate(store, event, until=NOW)
                continue
            if isinstance(event, Change):
                c.commit(transitions=(transition(store.ours, event, T0 + step),))
            else:
                operate(store, event, until=NOW)
            current, active = expected[:2]
            assert store.all("SELECT state, active FROM servitize.alarm") == [(current.value, active)]


def test_the_outbox_is_numbered_once_committed_and_a_cursor_misses_nothing(store: Store) -> None:
    heads: list[int] = []
    caretaker = Caretaker(store.login(WRITER), host_clock, heads.append)
    slow = psycopg.connect(store.dsn)
    insert = "INSERT INTO servitize.outbox (tenant_id, kind, payload) VALUES (%s, 'x', '{}')"
    slow.execute(insert, (store.acme,))
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        connection.execute(insert, (store.acme,))
        connection.execute(insert, (store.bolt,))
        caretaker.round(connection)
        with store.api(store.acme) as api:
            seen = list(load("reading").outbox(api, after=0, max_rows=10))
        slow.commit()
        caretaker.round(connection)
        with store.api(store.acme) as api:
            later = list(load("reading").outbox(api, after=seen[-1][0], max_rows=10))
    assert [row[0] for row in seen] == [1]
    assert [row[0] for row in later] == [3]
    assert heads == [2, 3]
    slow.close()


def test_the_caretaker_numbers_within_a_moment_of_the_commit(store: Store) -> None:
    arrived = threading.Event()
    with Caretaker(store.login(WRITER), host_clock, lambda head: arrived.set() if head else None):
        tell(store, transition(store.ours, Change.RAISED, T0))
        assert arrived.wait(10)
