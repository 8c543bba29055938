"""Commands in the database: the same table as the core's, approvals by others, receipts that prove and those that do
not."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg
import pytest

from core.command import COMMAND_TRANSITIONS
from core.errors import ConflictError, ForbiddenError
from core.time import MINUTE
from storage import admin
from storage.caretaker import roll_up
from storage.errors import translated
from storage.migrate import WRITER
from storage.queries import load
from tests.integration.storage.helpers import PUMP, Committer, Store

pytestmark = pytest.mark.integration


def remote(store: Store) -> None:
    with psycopg.connect(store.login(WRITER), autocommit=True) as c:
        load("commands").reported(c, whose="acme", machine="pump-1", given='{"control_mode": "remote"}', versions="{}")


def key_of(store: Store, person: str | None, tenant: int | None = None) -> str:
    """A key made for a person, or for nobody: what the journal calls it."""
    with psycopg.connect(store.dsn) as c:
        c.execute("SET ROLE servitize_owner")
        made = admin.create_api_key(c, tenant or store.acme, "k", scopes=["operate"], person=person)
    return f"api-key:{made.prefix}"


def identities(store: Store, actor: str) -> set[str]:
    return set(store.one("SELECT ids FROM servitize.identities(%s)", actor))


def request(store: Store, who: str = "anna", kind: str = "adjust", needed: int = 1, against: str | None = None) -> int:
    with store.api(store.acme) as c, translated():
        made = load("api_commands").request_command(
            c, equipment=store.ours, key="set", title="Set", of_class=kind, parameters='{"x": 1}', conditions="[]",
            needed=needed, valid_us=600_000_000, against=against, why="test", who=who,
        )  # fmt: skip
        return int(made)


def approve(store: Store, number: int, who: str) -> str:
    with store.api(store.acme) as c, translated():
        return str(load("api_commands").approve_command(c, command=number, why="", who=who))


def platform(store: Store, name: str, **values: Any) -> Any:
    with psycopg.connect(store.login(WRITER), autocommit=True) as c:
        found = getattr(load("commands"), name)(c, **values)
        return list(found) if hasattr(found, "__next__") else found


def receipt(store: Store, number: int, happened: str, machine: str = "pump-1", whose: str = "acme") -> str:
    return str(
        platform(
            store, "receipt", command=number, whose=whose, machine=machine, happened=happened, said="", facts='{"y": 2}'
        )
    )


def state(store: Store, number: int) -> str:
    return str(store.one("SELECT state FROM servitize.command WHERE id = %s", number))


def events(store: Store, number: int) -> list[str]:
    return [
        e for (e,) in store.all("SELECT event FROM servitize.command_step WHERE command_id = %s ORDER BY id", number)
    ]


def test_the_rules_in_the_table_are_those_of_the_core(store: Store) -> None:
    rows = store.all("SELECT state, event, next_state, dispatched FROM servitize.command_rule")
    core = [(r.state.value, r.event.value, r.next_state.value, r.dispatched) for r in COMMAND_TRANSITIONS]
    assert sorted(rows, key=str) == sorted(core, key=str)


def test_asked_agreed_sent_and_done(store: Store) -> None:
    remote(store)
    number = request(store)
    with pytest.raises(ForbiddenError, match="another person"):
        approve(store, number, "anna")
    assert approve(store, number, "ben") == "approved"
    assert receipt(store, number, "done") == "disregarded"  # it never went out
    (row,) = platform(store, "to_send")
    assert row[0] == number
    assert platform(store, "dispatch", command=number, against=None)
    assert platform(store, "acknowledged", command=number) == "sent"
    assert receipt(store, number, "done", whose="bolt") == "no command of this machine"
    assert [receipt(store, number, word) for word in ("received", "started", "started", "done", "broken")] == [
        "delivered", "executing", "executing", "succeeded", "succeeded",
    ]  # fmt: skip
    assert events(store, number) == [
        "request", "consent", "approve", "disregarded", "dispatch", "acknowledged", "received", "started", "started",
        "done", "broken",
    ]  # fmt: skip
    assert store.one("SELECT result FROM servitize.command WHERE id = %s", number) == {"y": 2}
    assert store.one("SELECT count(*) FROM servitize.outbox WHERE kind = 'command'") == 5


def test_killed_between_marking_and_publishing_it_is_sent_again_and_an_early_answer_counts(store: Store) -> None:
    remote(store)
    number = request(store)
    approve(store, number, "ben")
    platform(store, "dispatch", command=number, against=None)
    (row,) = platform(store, "to_send")
    assert row[9] is True
    with store.api(store.acme) as c, pytest.raises(ConflictError), translated():
        load("api_commands").cancel_command(c, command=number, why="", who="anna")
    assert receipt(store, number, "started") == "executing"
    assert platform(store, "acknowledged", command=number) == "executing"


def test_safety_wants_two_others(store: Store) -> None:
    remote(store)
    anna, ben, cleo = (key_of(store, person) for person in ("Anna", "Ben", "Cleo"))
    number = request(store, anna, kind="safety", needed=2)
    assert approve(store, number, ben) == "requested"
    with pytest.raises(ForbiddenError):
        approve(store, number, key_of(store, "Ben"))
    assert approve(store, number, cleo) == "approved"


def test_another_key_is_not_another_person(store: Store) -> None:
    remote(store)
    number = request(store, key_of(store, "Anna Berg"))
    with pytest.raises(ForbiddenError, match="another person"):
        approve(store, number, key_of(store, " anna berg"))
    assert approve(store, number, key_of(store, None)) == "approved"
    # and the user of that name is she, too
    with psycopg.connect(store.dsn) as c:
        c.execute("SET ROLE servitize_owner")
        (user,) = c.execute(
            "WITH i AS (INSERT INTO servitize.identity_issuer (tenant_id, name, issuer, audience)"
            " VALUES (%s, 'i', 'https://i.example', 'a') RETURNING id, tenant_id)"
            " INSERT INTO servitize.app_user (tenant_id, issuer_id, subject, name)"
            " SELECT tenant_id, id, 'ab', 'Anna Berg' FROM i RETURNING id",
            (store.acme,),
        ).fetchone()  # type: ignore[misc]
    number = request(store, f"user:{user}:ab")
    with pytest.raises(ForbiddenError, match="another person"):
        approve(store, number, key_of(store, "Anna Berg"))
    # the same name at another firm is somebody else
    assert not identities(store, key_of(store, "Anna Berg", store.bolt)) & identities(store, f"user:{user}:ab")


@pytest.mark.parametrize("kind", ["start_stop", "safety"])
def test_starting_stopping_and_safety_take_people_that_are_known(store: Store, kind: str) -> None:
    remote(store)
    nobody, anna = key_of(store, None), key_of(store, "Anna")
    with pytest.raises(ForbiddenError, match="nobody knows whose key"):
        request(store, nobody, kind=kind)
    number = request(store, anna, kind=kind)
    with pytest.raises(ForbiddenError, match="nobody knows whose key"):
        approve(store, number, nobody)
    assert approve(store, number, key_of(store, "Ben")) == "approved"


def test_a_key_that_one_made_for_the_other_does_not_agree(store: Store) -> None:
    remote(store)

    def make(maker: str, prefix: str, person: str | None) -> str:
        with store.api(store.acme) as c:
            load("api_access").make_key(
                c, name="k", prefix=prefix, hash=b"h", scopes=["operate"], role="operator", expires_at=None, user=None,
                person=person, actor=maker,
            )  # fmt: skip
        return f"api-key:{prefix}"

    def refused(one: str, other: str) -> None:
        for asking, agreeing in ((one, other), (other, one)):
            with pytest.raises(ForbiddenError, match="another person"):
                approve(store, request(store, asking), agreeing)

    anna, nobody = key_of(store, "Anna"), key_of(store, None)
    refused(anna, make(anna, "hers", None))
    refused(anna, make(anna, "his", "Ben"))
    # where nobody is known, a key and those made with it are one
    child, sister = make(nobody, "child", None), make(nobody, "sister", None)
    refused(nobody, child)
    refused(sister, child)
    assert approve(store, request(store, make(nobody, "a", "Anna")), make(nobody, "b", "Ben")) == "approved"


def test_local_unknown_inhibited_and_interlocked_go_nowhere(store: Store) -> None:
    assert state(store, request(store)) == "rejected"  # nobody knows its mode
    remote(store)
    number = request(store, against="oil pressure low")
    assert (state(store, number), store.one("SELECT blocked FROM servitize.command WHERE id = %s", number)) == (
        "rejected", "oil pressure low",
    )  # fmt: skip
    waiting = request(store)
    with store.api(store.acme) as c:
        inhibit = load("api_commands").set_inhibit(c, equipment=None, why="people on it", who="ben")
    assert state(store, waiting) == "rejected"
    assert state(store, request(store)) == "rejected"
    assert state(store, request(store, kind="read", needed=0)) == "approved"
    with store.api(store.acme) as c:
        load("api_commands").lift_inhibit(c, inhibit=inhibit, who="ben")
    number = request(store)
    approve(store, number, "ben")
    platform(store, "reported", whose="acme", machine="pump-1", given='{"control_mode": "local"}', versions="{}")
    assert platform(store, "dispatch", command=number, against=None) is False
    assert state(store, number) == "rejected"


def test_it_expires_and_a_late_answer_is_still_an_answer(store: Store) -> None:
    remote(store)
    late, never = request(store), request(store)
    approve(store, late, "ben")
    platform(store, "dispatch", command=late, against=None)
    with psycopg.connect(store.dsn) as c:
        c.execute("SET ROLE servitize_owner")
        c.execute("UPDATE servitize.command SET requested_at = now() - interval '1 hour', expires_at = now()")
    assert platform(store, "expire") == 2
    assert (state(store, late), state(store, never)) == ("expired", "expired")
    assert receipt(store, late, "done") == "succeeded"
    assert receipt(store, never, "done") == "disregarded"
    assert platform(store, "expire") == 0


def test_a_twin_keeps_versions_and_shows_drift(store: Store) -> None:
    queries = load("api_commands")
    with store.api(store.acme) as c:
        wish = {"equipment": store.ours, "key": "interval", "who": "anna"}
        assert queries.desire(c, wanted="30", expected=0, **wish) == 1
        assert queries.desire(c, wanted="20", expected=1, **wish) == 2
        with pytest.raises(ConflictError), translated(), c.transaction():
            queries.desire(c, wanted="10", expected=1, **wish)
    platform(
        store, "reported", whose="acme", machine="pump-1", given=json.dumps({"interval": 30}),
        versions=json.dumps({"interval": 1}),
    )  # fmt: skip
    with store.api(store.acme) as c:
        (row,) = [r for r in queries.twin(c, equipment=store.ours) if r[0] == "interval"]
    assert (row[1], row[2], row[5], row[6], row[8]) == (20, 2, 30, 1, True)


def test_a_roll_out_goes_on_when_the_canary_is_so_and_pauses_when_a_machine_is_silent(store: Store) -> None:
    queries = load("api_rounds")
    with psycopg.connect(store.dsn) as c:
        admin.create_equipment(c, store.acme, "pump-2", PUMP)
        second = admin.equipment_id(c, store.acme, "pump-2")
    with store.api(store.acme) as c:
        number = queries.start_rollout(
            c, title="t", key="interval", wanted="30", cohorts=json.dumps([[store.ours], [second]]), patience_s=3600.0,
            watch_s=0.0, who="anna",
        )  # fmt: skip

    def rollout() -> tuple[Any, ...]:
        return tuple(store.all("SELECT state, cohort, reason FROM servitize.rollout WHERE id = %s", number)[0])

    def desired() -> list[Any]:
        return store.all("SELECT equipment_id, desired FROM servitize.twin_property WHERE key = 'interval' ORDER BY 1")

    def say(machine: str, value: int) -> None:
        platform(store, "reported", whose="acme", machine=machine, given=f'{{"interval": {value}}}', versions="{}")

    say("pump-2", 60)
    platform(store, "advance_rollouts")
    assert rollout() == ("running", 1, "")
    say("pump-1", 30)
    platform(store, "advance_rollouts")
    assert rollout() == ("running", 2, "")
    assert desired() == [(store.ours, 30), (second, 30)]
    with psycopg.connect(store.dsn) as c:
        c.execute("SET ROLE servitize_owner")
        c.execute("UPDATE servitize.rollout SET cohort_at = now() - interval '2 hours'")
    platform(store, "advance_rollouts")
    assert rollout()[0] == "paused"
    assert "have not said" in rollout()[2]
    with store.api(store.acme) as c:
        assert queries.steer_rollout(c, rollout=number, wish="roll_back", why="no", who="ben") == "rolled_back"
    assert desired() == [(store.ours, None), (second, 60)]


def test_an_inspection_compares_with_the_machines_own_past(store: Store) -> None:
    now = time.time_ns() // 1000
    with Committer(store) as c:
        past = [(p, now - n * 10 * MINUTE, 20 + (n % 7) * 0.1, 192) for p in store.points[:2] for n in range(7, 400)]
        c.commit([*past, (store.points[0], now, 95.0, 192)])
    with psycopg.connect(store.login(WRITER), autocommit=True) as c:
        roll_up(c, everything=True)
    with store.api(store.acme) as c:
        plan = load("api_rounds").plan_inspection(
            c, equipment=store.ours, title="Night round", points=["t1", "t2"], every_minutes=60.0, baseline_days=14.0,
            tolerance=4.0, max_age_minutes=10.0, capture="read_settings", channels=["de", "nde"], who="anna",
        )  # fmt: skip
    assert platform(store, "run_inspections") == 1
    assert platform(store, "run_inspections") == 0
    ((findings, points, command),) = store.all("SELECT findings, points, command_id FROM servitize.inspection_report")
    assert findings == 2
    assert "deviations from its mean" in points["t1"]["finding"]
    assert points["t2"]["finding"] == "no fresh reading"
    assert state(store, command) == "approved"
    captures = (
        "SELECT c.channels, c.requested_by FROM servitize.inspection_report r"
        " JOIN servitize.capture_request c ON c.id = r.capture_id"
    )
    assert store.all(captures) == [(["de", "nde"], "inspection")]
    assert store.one("SELECT count(*) FROM servitize.outbox WHERE kind = 'inspection'") == 1
    with store.api(store.acme) as c:
        load("api_rounds").stop_inspection(c, plan=plan)
