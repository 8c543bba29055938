"""What the writer promises: nothing twice, nothing half, the right one of two, whatever the order, and only its
holder writes."""

from __future__ import annotations

import itertools
import random

import psycopg
import pytest

from core.condition import Change, HealthAssessment, HealthReason, StateChange
from core.errors import ConflictError, FencedError, NotFoundError, ServitizeError, UnavailableError
from core.quality import BAD, GOOD, LATE, UNCERTAIN
from core.telemetry import DeadLetter, EventRecord
from core.time import DAY, SECOND
from tests.integration.storage.helpers import T0, Committer, Store, batch, transition

pytestmark = pytest.mark.integration


def test_readings_are_stored_with_their_time_value_and_quality(store: Store) -> None:
    a, b, hot = store.points
    with Committer(store) as c:
        report = c.commit([(a, T0, 1.5, GOOD), (b, T0 + 1, float("nan"), BAD)], derived=[(hot, T0, 0.0, GOOD)])
    assert (report.stored, report.duplicates, report.conflicts) == (3, 0, 0)
    stored = store.readings()
    assert stored[0] == (a, T0, 1.5, GOOD)
    assert stored[1][2] != stored[1][2]
    assert stored[2] == (hot, T0, 0.0, GOOD)


def test_a_reading_sent_twice_is_stored_once_and_counted(store: Store) -> None:
    a = store.points[0]
    rows = [(a, T0 + n * SECOND, float(n), GOOD) for n in range(100)]
    with Committer(store) as c:
        assert c.commit(rows + rows[:10]).duplicates == 10
        report = c.commit([(p, t, v, q | LATE) for p, t, v, q in rows])
        assert (report.stored, report.duplicates, report.conflicts) == (0, 100, 0)
    assert [r[3] for r in store.readings()] == [GOOD] * 100


def test_of_unequal_readings_at_one_key_the_same_one_stands_in_every_order(store: Store) -> None:
    a = store.points[0]
    rivals = [(5.0, BAD), (9.0, UNCERTAIN), (3.0, GOOD), (4.0, GOOD | LATE), (4.0, GOOD)]
    with Committer(store) as c:
        for number, order in enumerate(itertools.permutations(rivals)):
            ts = T0 + number * SECOND
            cut = number % 4 + 1
            c.commit([(a, ts, v, q) for v, q in order[:cut]])
            c.commit([(a, ts, v, q) for v, q in order[cut:]])
    assert {(r[2], r[3] & ~LATE) for r in store.readings()} == {(4.0, GOOD)}
    counted = dict(store.all("SELECT name, count FROM servitize.conservation"))
    assert counted["storage.in_measured"] == 120 * 5
    assert counted["storage.stored"] + counted["storage.duplicates"] + counted["storage.conflicts"] == 120 * 5


def test_any_order_and_any_cut_give_the_same_table(store: Store) -> None:
    rows = [(p, T0 + n * SECOND, float(n % 7), GOOD) for p in store.points for n in range(200)]
    rows += random.Random(1).choices(rows, k=100)
    tables = []
    for seed in range(3):
        with psycopg.connect(store.dsn) as owner:
            owner.execute("SET ROLE servitize_owner")
            owner.execute("TRUNCATE servitize.reading, servitize.latest_reading")
        rng = random.Random(seed)
        mixed = rng.sample(rows, len(rows))
        with Committer(store, f"s{seed}") as c:
            while mixed:
                cut = rng.randint(1, 120)
                c.commit(mixed[:cut])
                mixed = mixed[cut:]
        tables.append(store.readings())
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0]) == 600


def test_a_key_the_writer_did_not_know_of_is_found_and_nothing_is_lost(store: Store) -> None:
    a, b, _ = store.points
    with Committer(store) as c:
        c.commit([(a, T0, 1.0, GOOD)])
        with psycopg.connect(store.dsn) as other:
            other.execute(
                "INSERT INTO servitize.reading VALUES (%s, servitize.from_us(%s), 7, 192, now())", (a, T0 + SECOND)
            )
        report = c.commit([(a, T0 + SECOND, 9.0, GOOD), (b, T0, 2.0, GOOD)])
        assert (report.stored, report.duplicates, report.conflicts) == (1, 0, 1)
        assert c.commit([(a, T0 + 2 * SECOND, 1.0, GOOD)]).stored == 1
    assert [r[2] for r in store.readings()] == [1.0, 9.0, 1.0, 2.0]


def test_a_new_holder_fences_out_the_old_one(store: Store) -> None:
    a = store.points[0]
    old = Committer(store)
    old.commit([(a, T0, 1.0, GOOD)])
    new = Committer(store)
    assert new.position.epoch == old.position.epoch + 1
    assert new.position.next_offset == 1
    with pytest.raises(FencedError):
        old.commit([(a, T0 + 1, 2.0, GOOD)])
    new.commit([(a, T0 + 2, 3.0, GOOD)])
    assert [r[1] for r in store.readings()] == [T0, T0 + 2]
    old.writer.close()
    new.writer.close()


def test_units_already_stored_are_skipped_and_units_from_ahead_refused(store: Store) -> None:
    a = store.points[0]
    with Committer(store) as c:
        units = [c.unit([(a, T0 + n, 1.0, GOOD)]) for n in range(4)]
        assert c.writer.commit(units[:2]).stored == 2
        assert c.writer.commit(units[:2]).stored == 0
        with pytest.raises(ConflictError):
            c.writer.commit(units[3:])
        assert c.writer.commit(units[1:]).stored == 2


def test_a_lost_connection_loses_and_doubles_nothing(store: Store) -> None:
    a = store.points[0]
    with Committer(store) as c:
        c.commit([(a, T0, 1.0, GOOD)])
        unit = c.unit([(a, T0 + SECOND, 2.0, GOOD)], events=[EventRecord(store.ours, "start", T0, {})])
        assert c.writer._connection is not None
        c.writer._connection.close()
        for _ in range(3):
            try:
                c.writer.commit([unit])
                break
            except UnavailableError:
                continue
        assert c.writer.commit([unit]).stored == 0
    assert [r[2] for r in store.readings()] == [1.0, 2.0]
    assert store.one("SELECT value FROM servitize.latest_reading WHERE point_id = %s", a) == 2.0


def test_a_unit_that_fails_leaves_nothing_of_its_transaction(store: Store) -> None:
    a = store.points[0]
    with Committer(store) as c:
        bad = c.unit([(a, T0, 1.0, GOOD)], states=(StateChange(999_999, T0, "loaded"),), counts={"ingest.in": 1})
        with pytest.raises(NotFoundError):
            c.writer.commit([bad])
        assert store.readings() == []
        assert store.all("SELECT * FROM servitize.conservation") == []
        c.offset -= 1
        assert c.commit([(a, T0, 1.0, GOOD)]).stored == 1


def test_recovery_gets_the_newest_snapshot_and_the_journal_behind_it(store: Store) -> None:
    with Committer(store) as c:
        units = [c.unit(journal=b"record %d" % n, snapshot=b"state %d" % n if n in (2, 5) else None) for n in range(8)]
        c.writer.commit(units[:4])
        c.writer.commit(units[4:])
    position = Committer(store).position
    assert (position.snapshot, position.snapshot_offset, position.next_offset) == (b"state 5", 5, 8)
    assert list(position.journal) == [(6, b"record 6"), (7, b"record 7")]
    assert store.one("SELECT count(*) FROM servitize.stream_journal") == 2


def test_latest_is_right_after_a_clean_end_and_after_a_crash(store: Store) -> None:
    a, b, _ = store.points
    latest = "SELECT point_id, servitize.to_us(ts), value FROM servitize.latest_reading ORDER BY point_id"
    with Committer(store) as c:
        c.commit([(a, T0, 1.0, GOOD), (b, T0, 5.0, GOOD)])
        c.commit([(a, T0 + SECOND, 2.0, GOOD), (b, T0 - SECOND, 4.0, GOOD)])
    assert store.all(latest) == [(a, T0 + SECOND, 2.0), (b, T0, 5.0)]
    crashed = Committer(store)
    crashed.commit([(a, T0 + 2 * SECOND, 3.0, GOOD)])
    crashed.commit([(a, T0 + 2 * SECOND, 9.0, GOOD)])
    assert crashed.writer._connection is not None
    crashed.writer._connection.close()
    Committer(store).writer.close()
    assert store.all(latest) == [(a, T0 + 2 * SECOND, 9.0), (b, T0, 5.0)]


def test_latest_follows_within_a_second_without_a_write_per_commit(store: Store) -> None:
    a = store.points[0]
    clock = [0]
    with Committer(store, clock=lambda: clock[0]) as c:
        seen = []
        for n in range(40):
            clock[0] += SECOND // 10
            c.commit([(a, T0 + n, float(n), GOOD)])
            seen += [store.all("SELECT value FROM servitize.latest_reading")]
        c.writer.flush_latest()
        values = [rows[0][0] for rows in seen if rows]
        assert len(set(values)) <= 5
        assert all(n - rows[0][0] <= 11 for n, rows in enumerate(seen) if rows)
        clock[0] += SECOND
        c.writer.flush_latest()
        assert store.one("SELECT value FROM servitize.latest_reading") == 39.0


def test_events_are_kept_once_per_content(store: Store) -> None:
    one = EventRecord(store.ours, "error", T0, {"code": 7, "text": "a\0b"})
    same = EventRecord(store.ours, "error", T0, {"text": "a\0b", "code": 7})
    other = EventRecord(store.ours, "error", T0, {"code": 8, "share": float("nan")})
    with Committer(store) as c:
        c.commit(events=[one, same])
        c.commit(events=[same, other])
    assert store.all("SELECT body FROM servitize.event ORDER BY (body->>'code')") == [
        ({"code": 7, "text": "a␀b"},),
        ({"code": 8, "share": None},),
    ]


def test_dead_letters_are_kept_once_and_counted_and_their_payload_stays(store: Store) -> None:
    payload = b"\x00\xff not json"
    letter = DeadLetter("a/b\0c", payload, "not-json", "line 1", T0, store.acme, store.ours, 3)
    with Committer(store) as c:
        c.commit(dead_letters=[letter, letter])
        c.commit(dead_letters=[letter, DeadLetter("x", payload, "not-json", "", T0 + DAY)])
    rows = store.all("SELECT payload, count, readings, tenant_id FROM servitize.dead_letter ORDER BY id")
    assert rows == [(payload, 3, 9, store.acme), (payload, 1, 1, None)]


def test_what_goes_wrong_behind_the_readings_is_said_and_leaves_nothing(store: Store) -> None:
    """Counters, journal and latest values go out together with the commit; their errors are their own."""
    constraint = "ALTER TABLE servitize.conservation %s CONSTRAINT no_poison"
    with psycopg.connect(store.dsn) as connection:
        connection.execute((constraint % "ADD" + " CHECK (name <> 'poison')").encode())
    with Committer(store) as c:
        c.commit([(store.points[0], T0, 1.0, GOOD)])
        poison = c.unit([(store.points[0], T0 + SECOND, 2.0, GOOD)], counts={"poison": 1})
        with pytest.raises(ServitizeError, match="no_poison"):
            c.writer.commit([poison])
        assert len(store.readings()) == 1
        with psycopg.connect(store.dsn) as connection:
            connection.execute((constraint % "DROP").encode())
        c.writer.commit([poison])
    assert len(store.readings()) == 2
    assert store.one("SELECT count FROM servitize.conservation WHERE name = 'poison'") == 1


def test_gaps_and_refusals_are_tallied_per_equipment_and_a_gap_told_twice_counts_once(store: Store) -> None:
    gap = EventRecord(store.ours, "sequence_gap", T0, {"first": 4, "last": 8, "missing": 5})
    more = EventRecord(store.ours, "sequence_gap", T0 + 9, {"first": 12, "last": 12, "missing": 1})
    lies = [EventRecord(store.ours, "sequence_gap", T0 + n, {"missing": m}) for n, m in enumerate(("x", -3, None), 1)]
    letter = DeadLetter("t", b"?", "not-json", "", T0 + 7, store.acme, store.ours, 3)
    with Committer(store) as c:
        c.commit(events=[gap, EventRecord(store.ours, "error", T0, {})], dead_letters=[letter, letter])
        c.commit(events=[gap, more, *lies], dead_letters=[letter, DeadLetter("t", b"", "future", "", T0)])
    columns = "equipment_id, what, times, amount, servitize.to_us(newest_at)"
    assert store.all(f"SELECT {columns} FROM servitize.intake_tally ORDER BY what") == [
        (store.ours, "refused.not-json", 3, 9, T0 + 7),
        (store.ours, "sequence_gap", 5, 6, T0 + 9),
    ]


def test_states_and_health_are_kept_and_history_says_only_what_is_new(store: Store) -> None:
    def health(at: int, index: float) -> HealthAssessment:
        return HealthAssessment(store.ours, "bearing1", at, index, (HealthReason("c", "hot", 100 - index),))

    steps = [(0, 100.0), (1, 99.9), (2, 98.0), (3, 98.2), (700, 98.2), (701, 97.9)]
    with Committer(store) as c:
        c.commit(
            states=(StateChange(store.ours, T0, "idle"), StateChange(store.ours, T0 + 5, "loaded")),
            health=tuple(health(T0 + s * SECOND, index) for s, index in steps),
        )
        c.commit(health=(health(T0, 50.0),))
    assert store.all("SELECT state FROM servitize.state_change ORDER BY at") == [("idle",), ("loaded",)]
    assert store.one("SELECT index FROM servitize.health") == 97.9
    assert [r[0] for r in store.all("SELECT index FROM servitize.health_history ORDER BY at")] == [100.0, 98.0, 98.2]


def test_old_and_new_readings_in_one_batch_find_their_partitions(store: Store) -> None:
    a = store.points[0]
    years = [1970, 1995, 2015, 2024]
    stamps = [T0 + (year - 2024) * 365 * DAY for year in years]
    with Committer(store) as c:
        assert c.commit([(a, ts, 1.0, GOOD) for ts in stamps]).stored == 4
    assert store.all("SELECT * FROM servitize.partition_alarm") == []
    assert store.one("SELECT count(*) FROM servitize.reading_partitions() WHERE upper < '2020-01-01'") == 3


def test_what_finds_no_partition_is_kept_and_moved_where_it_belongs(store: Store) -> None:
    a = store.points[0]
    with psycopg.connect(store.dsn) as owner:
        owner.execute("INSERT INTO servitize.reading VALUES (%s, servitize.from_us(%s), 7, 192, now())", (a, T0))
    assert store.one("SELECT stray_readings FROM servitize.partition_alarm") == 1
    with Committer(store) as c:
        assert c.commit([(a, T0, 7.0, GOOD)]).duplicates == 1
    assert store.all("SELECT * FROM servitize.partition_alarm") == []
    assert len(store.readings()) == 1


def test_transitions_and_readings_come_in_the_same_transaction(store: Store) -> None:
    a = store.points[0]
    raised = transition(store.ours, Change.RAISED, T0)
    with Committer(store) as c:
        c.commit(batch([(a, T0, 91.0, GOOD)]), transitions=(raised,))
        c.commit(transitions=(raised,))
    assert store.one("SELECT count(*) FROM servitize.condition_transition") == 1
    assert store.one("SELECT state FROM servitize.alarm") == "unacknowledged"
    assert store.one("SELECT count FROM servitize.conservation WHERE name = 'storage.alarms_announced'") == 1
