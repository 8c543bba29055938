"""One contract for every engine: what is written is kept, rollups are what raw says, late rows correct them, reads pick
their source and keep extremes, retention deletes what it may, and nobody reads another tenant's."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import psycopg
import pytest

from core.errors import InvalidInputError
from core.quality import BAD, GOOD, LATE, UNCERTAIN
from core.time import DAY, HOUR, MINUTE, SECOND, to_datetime
from storage import retention
from storage.consistency import examine
from storage.migrate import API, WRITER
from storage.queries import load
from tests.integration.storage import contract
from tests.integration.storage.contract import Reading, disagreements, settle
from tests.integration.storage.helpers import T0, Committer, Store

pytestmark = pytest.mark.integration


def curve(point: int, start: int, step: int, count: int, seed: int = 1) -> list[Reading]:
    """A wave with noise; now and then an uncertain, a bad, a broken value."""
    rng = random.Random(seed)
    rows = []
    for n in range(count):
        value, quality = math.sin(n / 50) * 10 + rng.random(), GOOD
        if rng.random() < 0.02:
            value, quality = rng.choice([(-999.0, BAD), (5.0, UNCERTAIN), (math.nan, BAD), (math.inf, BAD)])
        rows.append((point, start + n * step + rng.randrange(1000), value, quality))
    return rows


def deliver(store: Store, rows: Sequence[Reading], stream: str = "test", size: int = 500) -> None:
    with Committer(store, stream) as c:
        for cut in range(0, len(rows), size):
            some = list(rows[cut : cut + size])
            c.commit(some, counts={"ingest.readings": len(some), "ingest.accepted": len(some)}, journal=b"j")


def test_rollups_of_every_level_are_what_raw_says(engine_store: Store) -> None:
    store = engine_store
    fast, slow, _ = store.points
    deliver(store, curve(fast, T0 + HOUR // 2, 5 * SECOND, 2000) + curve(slow, T0 - 3 * DAY, 10 * MINUTE, 900, seed=2))
    window = T0 - 3 * DAY - HOUR, T0 + 6 * DAY
    settle(store)
    assert list(disagreements(store, fast, *window)) == []
    assert list(disagreements(store, slow, *window)) == []
    # a window that cuts minutes, hours and days
    cut = T0 - DAY - 7 * MINUTE - 3 * SECOND, T0 + 2 * HOUR + 11 * MINUTE + 30 * SECOND
    assert list(disagreements(store, fast, *cut)) == []
    assert list(disagreements(store, slow, *cut)) == []


def test_permuted_doubled_and_late_readings_give_the_same_rollups(engine_store: Store) -> None:
    store = engine_store
    point = store.points[0]
    rows = curve(point, T0, 20 * SECOND, 1500)
    early, late = rows[::2], [(p, t, v, q | LATE) for p, t, v, q in rows[1::2]]
    rng = random.Random(3)
    deliver(store, early)
    settle(store)
    contract.compress(store)
    mixed = late + rng.choices(early, k=200) + rng.choices(late, k=100)
    rng.shuffle(mixed)
    deliver(store, mixed, "late", size=150)
    settle(store)
    assert list(disagreements(store, point, T0 - DAY, T0 + 2 * DAY)) == []
    assert len(store.readings()) == len(rows)


def test_rows_into_compressed_chunks_keep_identity_and_the_winner(engine_store: Store) -> None:
    store = engine_store
    point = store.points[0]
    rows = [(point, T0 + n * MINUTE, float(n), GOOD) for n in range(240)]
    deliver(store, rows)
    settle(store)
    contract.compress(store)
    with Committer(store, "again") as c:
        again = c.commit(rows)
        assert (again.stored, again.duplicates, again.conflicts) == (0, 240, 0)
        worse = c.commit([(point, T0 + 60 * MINUTE, 500.0, UNCERTAIN), (point, T0 + 61 * MINUTE, -5.0, GOOD)])
        assert (worse.stored, worse.conflicts) == (0, 2)
        better = c.commit([(point, T0 + 60 * MINUTE, 500.0, GOOD), (point, T0 + MINUTE // 2, 7.0, GOOD)])
        assert (better.stored, better.conflicts) == (1, 1)
    stored = {(t - T0) / MINUTE: v for _, t, v, _ in store.readings()}
    assert (stored[60], stored[61], stored[0.5], len(stored)) == (500.0, 61.0, 7.0, 241)
    settle(store)
    assert list(disagreements(store, point, T0, T0 + DAY)) == []


def test_a_thinned_curve_keeps_extremes_on_every_source(engine_store: Store) -> None:
    store = engine_store
    point = store.points[0]
    rows = [(point, T0 + n * MINUTE, math.sin(n / 300), GOOD) for n in range(8000)]
    rows[4321] = (point, rows[4321][1], 77.0, GOOD)
    rows[5000] = (point, rows[5000][1], -55.0, UNCERTAIN)
    rows[6000] = (point, rows[6000][1], -9999.0, BAD)
    deliver(store, rows, size=4000)
    settle(store)
    stored = {(t, v) for _, t, v, _ in store.readings()}
    with store.api(store.acme) as connection:
        for days, pixels in ((6, 4000), (6, 400), (6, 40), (60, 100), (900, 100)):
            window = {"time_from": T0 - HOUR, "time_to": T0 + days * DAY}
            found = list(load("reading").readings_thinned(connection, point_id=point, pixels=pixels, **window))
            assert 4 <= len(found) <= pixels
            assert {(t, v) for t, v, _ in found} <= stored
            assert max(v for _, v, _ in found) == 77.0
            assert min(v for _, v, _ in found) == -55.0
            assert [found[0][0], found[-1][0]] == [T0, T0 + 7999 * MINUTE]


def test_retention_deletes_by_tenant_and_kind_and_leaves_what_rollups_say(engine_store: Store) -> None:
    store = engine_store
    ours, theirs = store.points[0], store.their_points[0]
    now = store.one("SELECT servitize.to_us(now())")
    old, young = (now - 400 * DAY) // DAY * DAY, (now - 20 * DAY) // DAY * DAY
    rows = [r for p in (ours, theirs) for s in (old, young) for r in curve(p, s, 3 * MINUTE, 300, seed=p)]
    deliver(store, rows)
    settle(store)
    before = contract.asked(store, ours, old, young, "1 hour")
    assert len(before) == 15
    with psycopg.connect(store.dsn) as owner, pytest.raises(InvalidInputError, match="for longer than minute"):
        retention.set_policy(owner, "minute", 30 * DAY, tenant_id=store.acme)
    with psycopg.connect(store.dsn) as owner:
        retention.set_policy(owner, "raw", 30 * DAY, tenant_id=store.acme)
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        planned = retention.plan(connection)
        assert [(e.kind, e.tenant, e.rows) for e in planned] == [("raw", "acme", 300)]
        assert len(store.readings()) == 1200
        assert sum(e.rows for e in retention.apply(connection)) == 300
        assert retention.apply(connection) == []
    left = store.readings()
    assert {p: sum(r[0] == p for r in left) for p in (ours, theirs)} == {ours: 300, theirs: 600}
    settle(store)
    after = contract.asked(store, ours, old, young, "1 hour")
    assert all(b.agrees(a) for b, a in zip(before, after, strict=True))
    minutes = contract.asked(store, ours, old, young, "1 minute")
    assert sum(b.count for b in minutes) == 300
    with store.api(store.acme) as connection:
        window = {"point_id": ours, "time_from": old, "time_to": old + DAY, "pixels": 2000}
        assert len(list(load("reading").readings_thinned(connection, **window))) > 200
    assert examine(store.dsn).problems == ()


def test_a_piece_that_nobody_needs_goes_whole_and_a_hold_keeps_it(engine_store: Store) -> None:
    store = engine_store
    now = store.one("SELECT servitize.to_us(now())")
    old = (now - 400 * DAY) // DAY * DAY
    deliver(store, [r for p in (store.points[0], store.their_points[0]) for r in curve(p, old, MINUTE, 200, seed=p)])
    settle(store)
    pieces = store.one("SELECT count(*) FROM servitize.pieces_of('raw')")
    with psycopg.connect(store.dsn) as owner:
        retention.set_policy(owner, "raw", 30 * DAY)
        held = retention.hold(owner, store.acme, old - DAY, "contract period is open")
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        assert [e.rows for e in retention.apply(connection)] == [200]
        with psycopg.connect(store.dsn) as owner:
            retention.release(owner, held)
        assert [e.rows for e in retention.apply(connection)] == [200]
    assert store.readings() == []
    assert store.one("SELECT count(*) FROM servitize.pieces_of('raw')") == pieces - 1
    assert sum(b.count for b in contract.asked(store, store.points[0], old, now, "1 day")) == 200
    assert examine(store.dsn).problems == ()


def test_retention_never_overtakes_the_rollups(engine_store: Store) -> None:
    store = engine_store
    now = store.one("SELECT servitize.to_us(now())")
    old = (now - 400 * DAY) // DAY * DAY
    with psycopg.connect(store.dsn) as owner:
        retention.set_policy(owner, "raw", 30 * DAY)
    settle(store)
    deliver(store, curve(store.points[0], old, MINUTE, 200))
    with psycopg.connect(store.login(WRITER), autocommit=True) as connection:
        assert retention.apply(connection) == []
        settle(store)
        assert [e.rows for e in retention.apply(connection)] == [200]
    assert sum(b.count for b in contract.asked(store, store.points[0], old, now, "1 minute")) == 200


FOR_NOBODY = [
    "SELECT * FROM servitize.reading",
    "SELECT * FROM servitize.rollup_minute",
    "SELECT * FROM servitize.rollup_hour",
    "SELECT * FROM servitize.rollup_day",
    "SELECT * FROM servitize.latest_reading",
    "SELECT servitize.cover_raw(1, '-infinity', 'infinity')",
    "SELECT servitize.roll_up(1)",
]


def test_readings_and_rollups_of_others_are_out_of_reach(engine_store: Store) -> None:
    store = engine_store
    deliver(
        store,
        [(p, T0 + n * MINUTE, float(p), GOOD) for p in (store.points[0], store.their_points[0]) for n in range(200)],
    )
    settle(store)
    window = {"time_from": T0 - DAY, "time_to": T0 + DAY}
    queries = load("reading")
    with store.api(store.acme) as connection:
        assert len(list(queries.rollups(connection, point_id=store.points[0], step="1 hour", **window))) == 4
        theirs = store.their_points[0]
        assert list(queries.rollups(connection, point_id=theirs, step="1 hour", **window)) == []
        assert list(queries.readings_thinned(connection, point_id=theirs, pixels=10, **window)) == []
        for view in ("reading_visible", "rollup_hour_visible", "rollup_day_visible"):
            seen = connection.execute(f"SELECT DISTINCT point_id FROM servitize.{view}").fetchall()
            assert seen == [(store.points[0],)], view
        for attempt in FOR_NOBODY:
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(attempt)


def test_no_relation_of_readings_gives_the_api_or_public_a_right(engine_store: Store) -> None:
    found = engine_store.all(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN ('servitize', '_timescaledb_internal') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
        "AND (c.relname LIKE '%%hyper%%' OR c.relname LIKE 'reading%%' OR c.relname LIKE 'rollup%%' "
        "OR c.relname LIKE '%%_view_%%') AND c.relname NOT LIKE '%%_visible' "
        "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') "
        "AND (has_table_privilege(%s, c.oid, 'SELECT') OR has_any_column_privilege(%s, c.oid, 'SELECT'))",
        API,
        API,
    )
    assert found == []


def test_old_recordings_and_wrong_clocks_find_room(engine_store: Store) -> None:
    store = engine_store
    point = store.points[0]
    stamps = [T0 - 50 * 365 * DAY, T0 - 30 * 365 * DAY, T0 - 3 * 365 * DAY, T0, T0 + 400 * DAY]
    deliver(store, [(point, ts, 1.0, GOOD) for ts in stamps])
    settle(store)
    assert [t for _, t, _, _ in store.readings()] == stamps
    assert [b.count for b in contract.asked(store, point, stamps[0] - DAY, stamps[-1] + DAY, "1 day")] == [1] * 5
    assert store.all("SELECT * FROM servitize.partition_alarm") == []
    with psycopg.connect(store.login(WRITER)) as connection, pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute(
            "SELECT servitize.ensure_partitions(%s, %s)", (to_datetime(T0), to_datetime(T0 + 200 * 365 * DAY))
        )
