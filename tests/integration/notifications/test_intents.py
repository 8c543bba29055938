"""Who is told of what, when: quiet hours, digests, escalation, and one intent per event."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from core.delivery import TRANSITIONS
from core.time import SECOND
from tests.integration.api.conftest import T0
from tests.integration.notifications.conftest import NOON, Book, at

pytestmark = pytest.mark.integration

MINUTE = timedelta(minutes=1)


def test_the_rules_in_the_database_are_those_of_the_core(book: Book) -> None:
    rows = book.world.execute("SELECT state, event, next_state FROM servitize.delivery_rule")
    assert set(rows) == {(r.state.value, r.event.value, r.next_state.value) for r in TRANSITIONS}


def test_one_intent_per_event_and_subscription_however_often_it_is_looked_at(book: Book) -> None:
    endpoint = book.endpoint("https://a.example")
    one, other = book.subscribe(endpoint), book.subscribe(endpoint)
    seqs = [book.event() for _ in range(3)]
    assert book.fan_out() == 3
    assert book.fan_out() == 0
    rows = book.world.execute("SELECT subscription_id, seq FROM servitize.delivery ORDER BY 1, 2")
    assert rows == [(s, n) for s in (one, other) for n in seqs]


def test_priority_kind_and_equipment_choose(book: Book) -> None:
    endpoint = book.endpoint("https://a.example")
    book.subscribe(endpoint, least_priority="high")
    book.subscribe(endpoint, kinds=["work_order"])
    book.subscribe(endpoint, equipment_id=book.world.a.pending)
    book.subscribe(endpoint, enabled=False)
    loud, quiet = book.event("urgent"), book.event("medium")
    work, pending = book.event("low", "work_order"), book.event("low", equipment=book.world.a.pending)
    book.fan_out()
    assert [seq for seq, *_ in book.deliveries()] == [loud, work, pending]
    assert quiet


def test_another_organisation_hears_of_what_it_sees_and_no_more(book: Book) -> None:
    partner, b = book.world.partner.id, book.world.b.id
    for tenant in (partner, b):
        book.subscribe(book.endpoint("https://p.example", tenant=tenant), tenant=tenant)
    book.event()
    shared = book.event(equipment=book.world.a.pending)  # the partner may read this one
    book.fan_out()
    assert book.world.execute("SELECT tenant_id, seq FROM servitize.delivery") == [(partner, shared)]


def test_drift_of_a_model_is_told_to_who_manages_the_machine_and_not_to_who_uses_it(book: Book) -> None:
    partner = book.world.partner.id  # may read this machine
    for tenant in (book.world.a.id, partner, book.world.b.id):
        book.subscribe(book.endpoint("https://d.example", tenant=tenant), tenant=tenant, kinds=["model_drift", "alarm"])
    for days, index in ((14, 0.4), (7, 0.5), (0, 0.1)):
        book.world.as_owner(
            "INSERT INTO servitize.model_drift (equipment_id, model, version, at, since, champion, index, drifted,"
            " points) VALUES (%s, 'normal/told', 1, %s, %s, true, %s, %s, %s)",
            [
                book.world.a.pending, NOON - timedelta(days=days), NOON - timedelta(days=days + 7), index, index > 0.25,
                Jsonb({"temperature": index}),
            ],
        )  # fmt: skip
    book.world.execute("SELECT servitize.sequence_outbox()")
    book.fan_out()
    rows = book.world.execute(
        "SELECT tenant_id, kind, payload->>'event', (payload->>'open')::boolean FROM servitize.delivery ORDER BY seq"
    )
    assert rows == [
        (book.world.a.id, "model_drift", "drifted", True), (book.world.a.id, "model_drift", "over", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("clock", "due"),
    [
        ("12:00", "12:00"),
        ("21:59", "21:59"),
        ("22:00", "06:00+1"),
        ("23:30", "06:00+1"),
        ("00:30", "06:00"),
        ("05:59", "06:00"),
        ("06:00", "06:00"),
    ],
)
def test_quiet_hours_hold_back_by_local_time(book: Book, clock: str, due: str) -> None:
    book.subscribe(book.endpoint("https://a.example"), quiet_from="22:00", quiet_to="06:00", timezone="Asia/Tokyo")
    hours, minutes = map(int, clock.split(":"))
    local = NOON.replace(hour=hours, minute=minutes)
    book.event("high")
    book.event("urgent")
    book.fan_out(local - timedelta(hours=9))
    (_, _, _, held), (_, _, _, urgent) = book.deliveries()
    text, _, days = due.partition("+")
    hours, minutes = map(int, text.split(":"))
    wanted = local.replace(hour=hours, minute=minutes) + timedelta(days=int(days or 0)) - timedelta(hours=9)
    assert held == wanted
    assert urgent == local - timedelta(hours=9)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_quiet_hours_end_where_clocks_are_changed(book: Book, day: str) -> None:
    """02:30 is not there in spring and is there twice in autumn: either way it ends once, after the beginning."""
    (ends,) = book.world.as_owner(
        "SELECT servitize.quiet_until('23:00', '02:30', 'Europe/Berlin', (%s || ' 00:10 Europe/Berlin')::timestamptz)",
        [day],
    )[0]
    assert timedelta(hours=1) < ends - NOON.fromisoformat(f"{day}T00:10:00+00:00") < timedelta(hours=3)


def test_a_digest_is_one_message_and_stays_it(book: Book) -> None:
    book.subscribe(book.endpoint("https://a.example"), digest_minutes=60)
    seqs = [book.event() for _ in range(3)]
    urgent = book.event("urgent")
    book.fan_out(at(60))
    (first,) = book.take(at(60))
    assert [e["seq"] for e in first["events"]] == [urgent]
    assert book.finish(first, "succeed", at(61), at(120))
    assert book.take(at(3599)) == []
    (batch,) = book.take(at(3600))
    assert [e["seq"] for e in batch["events"]] == seqs
    assert book.finish(batch, "fail", at(3601), at(3660), at(3700))
    late = book.event()  # would be in the next digest
    book.fan_out(at(3650))
    (again,) = book.take(at(3700))
    assert (again["batch"], again["delivery_ids"], again["attempt"]) == (batch["batch"], batch["delivery_ids"], 2)
    book.finish(again, "succeed", at(3701), at(3760))
    (following,) = book.take(at(7200))
    assert [e["seq"] for e in following["events"]] == [late]


def test_one_message_at_a_time_to_an_endpoint_and_in_order(book: Book) -> None:
    slow, quick = book.endpoint("https://slow.example"), book.endpoint("https://quick.example")
    book.subscribe(slow)
    book.subscribe(quick)
    seqs = [book.event() for _ in range(3)]
    book.fan_out()
    order: dict[int, list[int]] = {slow: [], quick: []}
    for second in range(1, 4):
        for taken in book.take(at(second), seconds=60):
            order[taken["endpoint_id"]].append(taken["events"][0]["seq"])
            if taken["endpoint_id"] == quick:
                book.finish(taken, "succeed", at(second), at(second + 60))
    assert order == {slow: seqs[:1], quick: seqs}


class TestEscalation:
    @pytest.fixture
    def called(self, book: Book) -> int:
        """A subscription that escalates: after 5 min to somebody, after 15 to who is on call."""
        boss, night = book.endpoint("boss@example.com", "email"), book.endpoint("night@example.com", "email")
        schedule = book.world.as_owner(
            "INSERT INTO servitize.on_call_schedule (tenant_id, name, starts_at, shift_hours)"
            " VALUES (%s, 's', %s, 12) RETURNING id",
            [book.world.a.id, NOON],
        )[0][0]
        for position, endpoint in enumerate((boss, night)):
            book.world.as_owner(
                "INSERT INTO servitize.on_call_member VALUES (%s, %s, %s)", [schedule, position, endpoint]
            )
        number = book.subscribe(book.endpoint("https://a.example"))
        steps: tuple[tuple[int, int, int | None, int | None], ...] = ((1, 5, boss, None), (2, 15, None, schedule))
        for stage, minutes, whom, on_call in steps:
            book.world.as_owner(
                "INSERT INTO servitize.escalation_step VALUES (%s, %s, 'high', %s, %s, %s)",
                [number, stage, minutes, whom, on_call],
            )
        return number

    def told(self, book: Book) -> list[tuple[int, str]]:
        return book.world.execute(
            "SELECT d.stage, e.address FROM servitize.delivery d"
            " JOIN servitize.notification_endpoint e ON e.id = d.endpoint_id WHERE d.stage > 0 ORDER BY d.stage"
        )

    def test_by_age_to_who_is_on_call_then(self, book: Book, called: int) -> None:
        book.event("high", subject="alarm/999999", open=True)
        book.event("low", subject="alarm/999998", open=True)  # nothing is said of low ones
        book.fan_out()
        assert book.escalate(at(299)) == 0
        assert book.escalate(at(300)) == 1
        assert book.escalate(at(301)) == 0
        assert book.escalate(at(15 * 60)) == 1
        assert self.told(book) == [(1, "boss@example.com"), (2, "boss@example.com")]

    def test_shifts_and_overrides(self, book: Book, called: int) -> None:
        schedule = book.world.execute("SELECT max(id) FROM servitize.on_call_schedule")[0][0]
        rows = [at(h * 3600) for h in (-1, 0, 11.9, 12, 24)]
        found = [
            book.world.as_owner(
                "SELECT e.address FROM servitize.on_call(%s, %s) o (id)"
                " LEFT JOIN servitize.notification_endpoint e ON e.id = o.id",
                [schedule, moment],
            )[0][0]
            for moment in rows
        ]
        boss, night = "boss@example.com", "night@example.com"
        assert found == [None, boss, boss, night, boss]
        book.world.as_owner(
            "INSERT INTO servitize.on_call_override SELECT %s, %s, %s, id FROM servitize.notification_endpoint"
            " WHERE address = %s",
            [schedule, at(0), at(3600), night],
        )
        book.event("high", subject="alarm/999999", open=True)
        book.fan_out()
        book.escalate(at(15 * 60))
        assert self.told(book) == [(1, boss), (2, night)]

    def test_not_after_somebody_has_looked(self, book: Book, called: int) -> None:
        book.event("high", subject="advisory/1", open=True)
        book.fan_out()
        book.escalate(at(300))
        book.event("high", kind="advisory_change", subject="advisory/1", open=False)
        book.fan_out(at(400))
        assert book.escalate(at(3600)) == 0
        assert [stage for stage, _ in self.told(book)] == [1]

    def test_a_real_alarm_from_raising_to_acknowledging(self, book: Book, called: int) -> None:
        world = book.world
        world.transition(world.a.equipment, "seal/leakage/high", "raised", T0 + 4000 * SECOND)
        alarm = world.alarm_id(world.a.equipment, "seal/leakage/high")
        world.execute("SELECT servitize.sequence_outbox()")
        book.fan_out()
        book.escalate(at(300))
        with psycopg.connect(world.api_dsn) as connection:
            connection.execute("SELECT set_config('servitize.tenant', %s, true)", [str(world.a.id)])
            connection.execute("SELECT servitize.operate_alarm(%s, 'acknowledge', 'me', '', NULL)", [alarm])
        # even before the event of it has been looked at
        assert book.escalate(at(3600)) == 0
        assert [stage for stage, _ in self.told(book)] == [1]
        outcomes = world.execute("SELECT stage, outcome FROM servitize.escalation_timer ORDER BY stage")
        assert outcomes == [(1, "told"), (2, "closed")]


def test_what_is_for_a_removed_endpoint_is_cancelled_and_for_a_silenced_one_waits(book: Book) -> None:
    gone, silent = book.endpoint("https://gone.example"), book.endpoint("https://silent.example")
    book.subscribe(gone)
    book.subscribe(silent)
    book.event()
    book.fan_out()
    book.world.as_owner("UPDATE servitize.notification_endpoint SET removed_at = now() WHERE id = %s", [gone])
    book.world.as_owner("UPDATE servitize.notification_endpoint SET enabled = false WHERE id = %s", [silent])
    assert book.take(at(60)) == []
    assert book.states() == {"cancelled": 1, "pending": 1}
    book.world.as_owner("UPDATE servitize.notification_endpoint SET enabled = true WHERE id = %s", [silent])
    assert len(book.take(at(61))) == 1


def test_a_time_zone_that_is_none_is_refused_when_it_is_written(book: Book) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        book.subscribe(book.endpoint("https://a.example"), timezone="Mars/Olympus")
