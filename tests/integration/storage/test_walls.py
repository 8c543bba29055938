"""A tenant's logins look for readings of another's by every way the catalogue knows; see probes.py for the ways."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.condition import Change, HealthAssessment
from core.quality import GOOD
from core.telemetry import DeadLetter, EventRecord
from core.time import MINUTE
from storage import admin
from storage.migrate import API, Engine
from tests.integration.storage import contract, probes
from tests.integration.storage.helpers import T0, Committer, Store, open_store, transition
from tests.integration.storage.probes import SECRET, Intruder, betrays

pytestmark = [pytest.mark.integration, pytest.mark.isolation]


@pytest.fixture(scope="module", params=["plain", pytest.param("timescale", marks=pytest.mark.timescale)])
def walls(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One world per engine, which every test leaves as it was."""
    if request.param == "plain":
        factory, template = request.getfixturevalue("database_factory"), request.getfixturevalue("storage_template")
        yield furnish(open_store(factory(template).dsn))
    else:
        server, template = request.getfixturevalue("timescaledb"), request.getfixturevalue("timescale_template")
        name, dsn = server.create(template)
        yield furnish(open_store(dsn, Engine.TIMESCALE))
        server.drop(name)


def furnish(store: Store) -> Store:
    """Both pumps with readings, rollups, compressed chunks, alarms, events; those of ``bolt`` hold the secret."""
    for name, equipment, points, base in (
        ("ours", store.ours, store.points, 20.0),
        ("theirs", store.theirs, store.their_points, SECRET + 0.25),
    ):
        letter = DeadLetter(f"servitize/v1/{name}", str(base).encode(), "not-json", str(base), T0, None, equipment)
        with Committer(store, name) as c:
            c.commit(
                [(p, T0 + n * MINUTE, base + n, GOOD) for p in points for n in range(150)],
                events=[EventRecord(equipment, "error", T0, {"value": base})],
                dead_letters=[letter],
                health=(HealthAssessment(equipment, "", T0, 90.0),),
                transitions=(transition(equipment, Change.RAISED, T0, value=base, title=f"is {base}"),),
            )
    contract.settle(store)
    contract.compress(store)
    with Committer(store, "late") as c:
        c.commit([(store.their_points[1], T0 + 200 * MINUTE, SECRET + 0.25, GOOD)])
    with psycopg.connect(store.dsn, autocommit=True) as connection:
        connection.execute("SELECT servitize.sequence_outbox()")
        for tenant in (store.acme, store.bolt):
            admin.create_board_login(connection, tenant, board_login(store, tenant), "pw")
        connection.execute("SET ROLE servitize_owner")
        connection.execute("ANALYZE")
    probes.prepare(store)
    return store


def board_login(store: Store, tenant: int) -> str:
    """Logins belong to the whole server."""
    return f"walls_{store.engine}_{tenant}"


@contextlib.contextmanager
def login(store: Store, role: str) -> Iterator[Intruder]:
    """As the API on behalf of ``acme`` inside one transaction, or as the board login of ``acme``."""
    if role == API:
        with store.api(store.acme) as connection:
            yield Intruder(connection)
            connection.rollback()
    else:
        dsn = make_conninfo(store.dsn, user=board_login(store, store.acme), password="pw")
        with psycopg.connect(dsn) as connection:
            yield Intruder(connection)
            connection.rollback()


@pytest.fixture(params=[API, "board"])
def intruder(walls: Store, request: pytest.FixtureRequest) -> Iterator[Intruder]:
    with login(walls, request.param) as found:
        yield found


def test_the_traces_are_found_where_they_may_be(walls: Store) -> None:
    """The judge sees what it should: the tenant itself reads them by every public way."""
    with walls.api(walls.bolt) as connection:
        mine = Intruder(connection)
        for name in (
            "reading_visible",
            "latest_visible",
            "rollup_hour_visible",
            "rollup_day_visible",
            "alarm",
            "event",
        ):
            assert mine.leaks(probes.everything_of([f"servitize.{name}"])), name
        window = f"{walls.their_points[0]}, '-infinity', 'infinity'"
        for call in (f"readings({window})", f"readings_thinned({window.replace('infinity', '2001-01-01', 1)}, 9)"):
            assert mine.leaks([f"SELECT string_agg(x::text, ' ') FROM servitize.{call} x"]), call
        connection.rollback()
    assert betrays(psycopg.connect(walls.dsn).execute("SELECT float8send(%s)::text", (SECRET + 0.25,)).fetchone())


def test_nothing_that_can_be_selected_holds_a_reading_of_another(walls: Store, intruder: Intruder) -> None:
    assert intruder.leaks(probes.everything_of(probes.relations(walls))) == []


def test_no_function_tells_one_whatever_it_is_asked(walls: Store, intruder: Intruder) -> None:
    calls = probes.calls(walls, intruder.connection)
    assert len(calls) > (1000 if walls.engine is Engine.PLAIN else 50)
    assert intruder.leaks(calls) == []


def test_no_condition_cast_or_order_of_the_askers_own_is_shown_one(walls: Store, intruder: Intruder) -> None:
    tables = probes.readable(intruder.connection)
    assert {"servitize.reading_visible", "servitize.alarm"} <= {name for name, _ in tables}
    # estimates call an operator with what statistics hold
    intruder.connection.execute(
        "CREATE FUNCTION pg_temp.less(float8, float8) RETURNS boolean IMMUTABLE LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE NOTICE '% %', $1, $2; RETURN $1 < $2; END $$"
    )
    intruder.connection.execute(
        "CREATE OPERATOR pg_temp.<<< "
        "(LEFTARG = float8, RIGHTARG = float8, FUNCTION = pg_temp.less, RESTRICT = scalarltsel)"
    )
    assert intruder.leaks(probes.peeping(walls, tables)) == []
    for name, columns in tables:
        for column, kind in columns:
            if kind == "double precision":
                query = f"EXPLAIN SELECT FROM {name} x WHERE x.{column} OPERATOR(pg_temp.<<<) 5.0::float8"
                assert intruder.leaks([query]) == []
    assert not betrays(*intruder.seen)


def test_settings_roles_and_names_of_the_askers_own_open_nothing(walls: Store, intruder: Intruder) -> None:
    board = intruder.connection.info.user != API
    tricks = [
        *(["SELECT set_config('servitize.tenant', '{bolt}', true)"] if board else []),
        "SELECT set_config('row_security', 'off', true)",
        "SELECT set_config('search_path', 'pg_temp, servitize, public', true)",
        "SELECT set_config('session_replication_role', 'replica', true)",
        "SELECT set_config('role', 'servitize_owner', true)",
        "SELECT set_config('role', 'servitize_writer', true)",
        # in WebAssembly every session is the superuser's, dressed as another
        *(["SELECT set_config('session_authorization', 'postgres', true)"] if walls.engine is Engine.PLAIN else []),
        "SELECT set_config('servitize.retention', 'on', true)",
        "SELECT set_config('client_min_messages', 'debug5', true)",
        "SELECT set_config('debug_print_plan', 'on', true)",
    ]
    names = [
        "CREATE FUNCTION pg_temp.current_tenant() RETURNS int LANGUAGE sql AS 'SELECT {bolt}'",
        "CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT '{bolt}' $$",
        "CREATE FUNCTION pg_temp.point_visible(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE TEMP TABLE board_login AS SELECT session_user AS login, {bolt} AS tenant_id",
        "CREATE TEMP TABLE my_equipment AS SELECT {theirs} AS equipment_id, 'manage'::text AS rights",
        "CREATE TEMP VIEW visible_equipment AS SELECT {bolt} AS tenant_id, {theirs} AS equipment_id",
        "CREATE OPERATOR pg_temp.= (LEFTARG = int, RIGHTARG = int, FUNCTION = pg_catalog.int4ne)",
        "CREATE CAST (text AS int) WITH INOUT",
    ]
    ids = {"bolt": walls.bolt, "theirs": walls.theirs}
    window = f"{walls.their_points[0]}, '2001-01-01', '2035-01-01'"
    asked = [
        *probes.everything_of(name for name, _ in probes.readable(intruder.connection)),
        f"SELECT string_agg(x::text, ' ') FROM servitize.readings({window}) x",
        f"SELECT string_agg(x::text, ' ') FROM servitize.readings_thinned({window}, 100) x",
        f"SELECT string_agg(x::text, ' ') FROM servitize.rollups({window}, '1 hour') x",
        "SELECT string_agg(x::text, ' ') FROM servitize.reading x",
        "SELECT string_agg(x::text, ' ') FROM reading_visible x",
    ]
    for trick in [*tricks, *names]:
        with contextlib.suppress(psycopg.Error), intruder.connection.transaction(force_rollback=True):
            intruder.connection.execute(trick.format(**ids))
            assert intruder.leaks(asked) == [], trick


def test_explain_counts_no_rows_of_another_by_what_they_hold(walls: Store, intruder: Intruder) -> None:
    """Where a condition meets a stranger's value or moment, the plan says the same as where it does not."""
    assert probes.told_by_plans(walls, intruder.connection) == []


def test_estimates_do_not_tell_values_of_tables_with_row_security(walls: Store, intruder: Intruder) -> None:
    for name, columns in probes.readable(intruder.connection):
        for column, kind in columns:
            if kind in ("double precision", "real", "numeric"):
                queries = [f"SELECT FROM {name} x WHERE x.{column} > {bound}" for bound in ("7e6", "9e6", "-1e9")]
                assert probes.differences(intruder.connection, queries, analyze=False) == set(), (name, column)


def test_what_is_announced_while_a_neighbour_writes_holds_none(walls: Store) -> None:
    dsn = make_conninfo(walls.dsn, user=board_login(walls, walls.acme), password="pw")
    with psycopg.connect(dsn, autocommit=True) as listener:
        for channel in ("servitize_outbox", "servitize_outbox_new", "servitize_registry"):
            listener.execute(f"LISTEN {channel}")
        with Committer(walls, "theirs-too") as c:
            c.commit(
                [(walls.their_points[0], T0 + 1000 * MINUTE, SECRET + 0.25, GOOD)],
                transitions=(
                    transition(walls.theirs, Change.RAISED, T0 + 1000 * MINUTE, value=SECRET + 0.25, condition="x/y/z"),
                ),
            )
        with psycopg.connect(walls.dsn, autocommit=True) as owner:
            owner.execute("SELECT servitize.sequence_outbox()")
        heard = [json.dumps([n.channel, n.payload]) for n in listener.notifies(timeout=0.5)]
        assert not betrays(*heard)


def test_a_statement_prepared_for_one_tenant_shows_another_its_own(walls: Store) -> None:
    with walls.api(walls.bolt) as connection:
        connection.execute("PREPARE everything AS SELECT string_agg(v::text, ' ') FROM servitize.reading_visible v")
        connection.execute("PREPARE alarms AS SELECT string_agg(v::text, ' ') FROM servitize.alarm v")
        for name in ("everything", "alarms"):
            for _ in range(7):  # also as a generic plan
                assert betrays(connection.execute(f"EXECUTE {name}").fetchone())
        connection.execute("SELECT set_config('servitize.tenant', %s, true)", (str(walls.acme),))
        for name in ("everything", "alarms"):
            found = connection.execute(f"EXECUTE {name}").fetchone()
            assert found is not None
            assert found[0] is not None
            assert not betrays(found)


def test_copy_gives_only_what_a_query_would(walls: Store, intruder: Intruder) -> None:
    for name in probes.with_readings(walls):
        told = b""
        with (
            contextlib.suppress(psycopg.Error),
            intruder.connection.transaction(force_rollback=True),
            intruder.connection.cursor() as cursor,
            cursor.copy(f"COPY (SELECT * FROM {name}) TO STDOUT") as copy,
        ):
            told = b"".join(bytes(block) for block in copy)
        assert not betrays(told.decode()), name
