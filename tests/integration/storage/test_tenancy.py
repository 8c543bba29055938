"""One tenant tries every way to what is another's; every right and every row policy is listed."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from core.condition import Change, HealthAssessment, StateChange
from core.errors import ConflictError, NotFoundError
from core.quality import GOOD
from core.telemetry import DeadLetter, EventRecord
from core.time import SECOND
from storage import admin
from storage.errors import translated
from storage.migrate import API, BOARD, WRITER
from storage.queries import load
from storage.secrets import split_key
from tests.integration.storage.helpers import PUMP, PUMP_DOCUMENT, T0, Committer, Store, transition

pytestmark = [pytest.mark.integration, pytest.mark.isolation]

WITHOUT_ROW_SECURITY = {"latest_reading", "migration", "reading"} | {
    f"rollup_{name}" for name in ("day", "dirty", "generation", "hour", "minute")
}
"""Readings and rollups, which API and boards have no right on, and what only the platform reads."""

API_READS = {
    "alarm",
    "alarm_journal",
    "alarm_rule",
    "audit_log",
    "capture_request",
    "case_entry",
    "case_rule",
    "case_waveform",
    "component",
    "condition_transition",
    "cycle",
    "dead_letter",
    "device",
    "diagnosis_case",
    "diagnosis_label",
    "equipment",
    "equipment_grant",
    "equipment_type",
    "event",
    "health",
    "health_history",
    "intake_tally",
    "latest_visible",
    "my_equipment",
    "outbox",
    "point",
    "reading_visible",
    "rollup_day_visible",
    "rollup_hour_visible",
    "site",
    "state_change",
    "tenant",
    "waveform",
    # the API's own migration
    "device_order",
    "equipment_owner",
    "grant_visible",
    "replay_request",
}
NOT_FOR_BOARDS = {"audit_log", "dead_letter", "device", "device_order", "outbox", "replay_request"}
EVERYBODYS = {
    "advisory_rule",
    "alarm_rule",
    "case_rule",
    "command_rule",
    "delivery_rule",
    "equipment_type",
    "role_scope",
    "work_rule",
}
"""Tables that hold nothing of anybody's."""
API_CALLS = {
    "authenticate",
    "current_tenant",
    "from_us",
    "may",
    "operate_alarm",
    "point_visible",
    "priority_rank",
    "reading_gaps",
    "readings",
    "readings_thinned",
    "rights_level",
    "rollups",
    "to_us",
    # signing in to the web board
    "board_session",
    "close_board_session",
    "open_board_session",
    "redeem_board_ticket",
    # the API's own migration
    "change_equipment",
    "commit_age",
    "end_grant",
    "expire_due_shelves",
    "fit_equipment",
    "give_grant",
    "outbox_bounds",
    "platform_figures",
    "register_device",
    "register_equipment",
    "renew_device",
    "request_replay",
    "sequence_outbox",
    "shut_device_out",
}
CALLS_OF_BOARDS = {
    "current_tenant",
    "from_us",
    "may",
    "point_visible",
    "priority_rank",
    "reading_gaps",
    "readings",
    "readings_thinned",
    "rights_level",
    "rollups",
    "to_us",
}
WHAT_BOARDS_ASK = {"figures_for_operator", "instance_keys", "limits_of", "operates_platform", "timeline_now"}
"""Boards are read by both: in Grafana by a board's login, in the web board by the API's."""
API_READS |= {"dead_letter_summary", "machine_lag"}
API_CALLS |= WHAT_BOARDS_ASK
CALLS_OF_BOARDS |= WHAT_BOARDS_ASK
OF_CONTRACTS = {
    "contract",
    "contract_machine",
    "contract_record",
    "contract_revision",
    "emission_factor",
    "statement",
    "statement_line",
}
API_READS |= OF_CONTRACTS
API_CALLS |= {
    "change_contract_record",
    "close_statement",
    "put_contract",
    "put_contract_record",
    "put_emission_factor",
}
API_READS |= {"item", "item_kind", "item_step"}
API_CALLS |= {"put_item_kind", "register_item", "take_item_step"}
API_READS |= {"command", "command_rule", "command_step", "emergency_inhibit", "site_permit", "twin_property"}
API_CALLS |= {
    "approve_command",
    "cancel_command",
    "desire",
    "give_permit",
    "lift_inhibit",
    "request_command",
    "set_inhibit",
}
API_READS |= {"inspection_plan", "inspection_report", "rollout", "rollout_member"}
API_CALLS |= {"hold_device", "hold_grant", "own_identities", "readings_packed"}
API_CALLS |= {"plan_inspection", "start_rollout", "steer_rollout", "stop_inspection"}
# access: who may come in
API_READS |= {"app_user", "identity_issuer", "request_memory", "role_scope"}
NOT_FOR_BOARDS |= {"app_user", "identity_issuer", "request_memory", "role_scope"}
API_CALLS |= {"enter_user", "hold_alarm", "hold_equipment", "issuers_for", "version_of_equipment"}
API_WRITES = {
    (table, right)
    for table in ("api_key", "app_user", "identity_issuer", "request_memory")
    for right in ("INSERT", "UPDATE")
}
"""By column, and row security holds them to the tenant's own."""
OF_NOTIFICATIONS = {
    "delivery",
    "delivery_attempt",
    "delivery_rule",
    "escalation_step",
    "escalation_timer",
    "notification_endpoint",
    "on_call_member",
    "on_call_override",
    "on_call_schedule",
    "subscription",
}
API_READS |= OF_NOTIFICATIONS
NOT_FOR_BOARDS |= OF_NOTIFICATIONS
API_CALLS |= {"define_alarm", "on_call", "quiet_until", "replay_delivery"}
API_READS |= {"alarm_definition"}
API_WRITES |= {
    (table, right)
    for table in ("notification_endpoint", "on_call_schedule", "subscription")
    for right in ("INSERT", "UPDATE")
}
REPLACED_WHOLE = {
    (table, right)
    for table in ("escalation_step", "on_call_member", "on_call_override")
    for right in ("INSERT", "DELETE")
}
"""Rows that say nothing by themselves: who changes what they belong to writes them anew."""
# diagnosis: cases and captures
API_CALLS |= {"claim_case", "file_diagnosis", "hold_case", "open_case", "request_capture", "work_case"}
# maintenance: advisories, work, stock and what learned models say
OF_MAINTENANCE = {
    "advisory",
    "advisory_journal",
    "advisory_rule",
    "crew",
    "maintenance_window",
    "oil_sample",
    "part",
    "reservation",
    "stock_movement",
    "work_entry",
    "work_journal",
    "work_order",
    "work_photo",
    "work_rule",
}
API_READS |= OF_MAINTENANCE
NOT_FOR_BOARDS |= {"work_photo"}
API_READS |= {"confirmed_outcome", "drift_notice", "model_drift", "model_score", "prognosis", "remaining_life"}
REPLACED_WHOLE |= {("crew", "DELETE"), ("maintenance_window", "DELETE")}
API_WRITES |= {("crew", "INSERT"), ("crew", "UPDATE"), ("maintenance_window", "INSERT")}
API_CALLS |= {
    "enter_work",
    "finish_news",
    "hold_advisory",
    "hold_work",
    "judge_work",
    "keep_oil_sample",
    "keep_part",
    "keep_photo",
    "maintenance_tenants",
    "maintenance_timers",
    "move_stock",
    "operate_advisory",
    "operate_work",
    "plan_work",
    "record_evidence",
    "record_outcome",
    "require_operate",
    "reserve_part",
    "take_news",
    "tenants_with_upkeep",
    "tick_work",
    "withdraw_outcome",
}
OF_VIEWS = {"my_points", "opaque"}
"""Views run functions with the rights of whoever asks; what these give is the asker's own."""
API_CALLS |= OF_VIEWS
CALLS_OF_BOARDS |= OF_VIEWS


@pytest.fixture
def world(store: Store) -> Store:
    """Both pumps with something of everything."""
    with Committer(store) as c:
        for tenant, equipment, points in (
            (store.acme, store.ours, store.points),
            (store.bolt, store.theirs, store.their_points),
        ):
            c.commit(
                [(p, T0 + n * SECOND, float(p), GOOD) for p in points for n in range(10)],
                events=[EventRecord(equipment, "error", T0, {"tenant": tenant})],
                dead_letters=[DeadLetter(f"servitize/v1/{tenant}", b"x", "not-json", "", T0, tenant, equipment)],
                states=(StateChange(equipment, T0, "loaded"),),
                health=(HealthAssessment(equipment, "", T0, 90.0),),
                transitions=(transition(equipment, Change.RAISED, T0),),
            )
    with psycopg.connect(store.dsn) as connection:
        for tenant in (store.acme, store.bolt):
            admin.create_site(connection, tenant, "north", "North")
            admin.create_api_key(connection, tenant, "k", scopes=["read"])
            admin.create_device(connection, tenant, None, f"d{tenant}", f"u{tenant}", "pw")
            admin.audit(connection, tenant, "me", "thing.done", "thing", {})
        connection.execute("SELECT servitize.sequence_outbox()")
    return store


def test_row_security_is_on_and_forced_on_every_relational_table(store: Store) -> None:
    rows = store.all(
        "SELECT relname FROM pg_class WHERE relnamespace = 'servitize'::regnamespace AND relkind IN ('r', 'p') "
        "AND NOT relispartition AND NOT (relrowsecurity AND relforcerowsecurity)"
    )
    assert {name for (name,) in rows} == WITHOUT_ROW_SECURITY


@pytest.mark.parametrize(
    ("role", "reads", "calls"),
    [(API, API_READS, API_CALLS), (BOARD, API_READS - NOT_FOR_BOARDS, CALLS_OF_BOARDS)],
)
def test_every_right_of_api_and_boards_is_one_that_was_meant(
    store: Store, role: str, reads: set[str], calls: set[str]
) -> None:
    rights = store.all(
        "SELECT c.relname, r.name FROM pg_class c, "
        "unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS r (name) "
        "WHERE c.relnamespace = 'servitize'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
        "AND has_table_privilege(%s, c.oid, r.name)",
        role,
    )
    readable = {name for name, right in rights if right == "SELECT"}
    assert readable == reads, " ".join(sorted(readable ^ reads))
    writable = {r for r in rights if r[1] != "SELECT"}
    meant = {("audit_log", "INSERT"), *REPLACED_WHOLE} if role == API else set()
    assert writable == meant, str(sorted(writable ^ meant))
    columns = store.all(
        "SELECT DISTINCT table_name, column_name, privilege_type FROM information_schema.column_privileges "
        "WHERE grantee = %s AND table_schema = 'servitize'",
        role,
    )
    beyond = {(table, right) for table, _, right in columns} - set(rights)
    meant = {("api_key", "SELECT"), *API_WRITES} if role == API else set()
    assert beyond == meant, str(sorted(beyond ^ meant))
    assert ("api_key", "hash", "SELECT") not in columns
    functions = store.all(
        "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'servitize'::regnamespace "
        "AND has_function_privilege(%s, p.oid, 'EXECUTE')",
        role,
    )
    callable_ = {name for (name,) in functions}
    assert callable_ == calls, " ".join(sorted(callable_ ^ calls))


def test_public_has_no_right_on_anything(store: Store) -> None:
    assert (
        store.all(
            "SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a "
            "WHERE c.relnamespace = 'servitize'::regnamespace AND a.grantee = 0"
        )
        == []
    )
    assert (
        store.all(
            "SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'servitize'::regnamespace "
            "AND has_function_privilege('public', p.oid, 'EXECUTE')"
        )
        == []
    )


def test_every_definer_function_has_a_fixed_search_path(store: Store) -> None:
    assert (
        store.all(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'servitize'::regnamespace AND prosecdef "
            "AND NOT coalesce(proconfig::text, '') LIKE '%%search_path=pg_catalog, pg_temp%%'"
        )
        == []
    )


def test_every_view_for_tenants_is_a_security_barrier(store: Store) -> None:
    rows = store.all(
        "SELECT relname FROM pg_class WHERE relnamespace = 'servitize'::regnamespace AND relkind = 'v' "
        "AND NOT coalesce('security_barrier=true' = ANY (reloptions), false)"
    )
    assert {name for (name,) in rows} == {"visible_equipment", "partition_alarm"}


def test_a_tenant_sees_its_own_rows_and_none_of_another(world: Store) -> None:
    owned = {
        "equipment": "id",
        "component": "equipment_id",
        "point": "equipment_id",
        "event": "equipment_id",
        "state_change": "equipment_id",
        "condition_transition": "equipment_id",
        "alarm": "equipment_id",
        "alarm_journal": "equipment_id",
        "health": "equipment_id",
        "health_history": "equipment_id",
        "outbox": "equipment_id",
        "dead_letter": "equipment_id",
        "intake_tally": "equipment_id",
        "latest_visible": "equipment_id",
    }
    for tenant, equipment in ((world.acme, world.ours), (world.bolt, world.theirs)):
        with world.api(tenant) as c:
            for table, column in owned.items():
                found = c.execute(f"SELECT DISTINCT {column} FROM servitize.{table}").fetchall()
                assert found == [(equipment,)], table
            for table in ("site", "api_key", "device", "audit_log"):
                found = c.execute(f"SELECT DISTINCT tenant_id FROM servitize.{table}").fetchall()
                assert found == [(tenant,)], table
            assert c.execute("SELECT id FROM servitize.tenant").fetchall() == [(tenant,)]


def test_without_a_tenant_nothing_is_visible(world: Store) -> None:
    with world.api(None) as c:
        for name in API_READS - EVERYBODYS:
            assert c.execute(f"SELECT count(*) FROM servitize.{name}").fetchone() == (0,), name


def test_readings_come_by_function_and_view_for_visible_points_only(world: Store) -> None:
    queries = load("reading")
    window = {"time_from": T0, "time_to": T0 + 60 * SECOND}
    with world.api(world.acme) as c:
        mine, theirs = world.points[0], world.their_points[0]
        assert len(list(queries.readings(c, point_id=mine, max_rows=None, **window))) == 10
        assert list(queries.readings(c, point_id=theirs, max_rows=None, **window)) == []
        assert list(queries.readings_thinned(c, point_id=theirs, pixels=100, **window)) == []
        assert list(queries.gaps(c, point_id=theirs, longest=SECOND, **window)) == []
        assert len(list(queries.latest(c, equipment_id=world.ours))) == 3
        assert list(queries.latest(c, equipment_id=world.theirs)) == []
        seen = c.execute("SELECT DISTINCT point_id FROM servitize.reading_visible ORDER BY 1").fetchall()
        assert [p for (p,) in seen] == sorted(world.points)


ROADS_AROUND = [
    "SELECT * FROM servitize.reading",
    "SELECT * FROM servitize.reading_default",
    "SELECT * FROM servitize.rollup_minute",
    "SELECT * FROM servitize.rollup_hour",
    "SELECT * FROM servitize.rollup_day",
    "SELECT * FROM servitize.rollup_dirty",
    "SELECT * FROM servitize.retention_policy",
    "SELECT servitize.cover(1, '-infinity', 'infinity', 3)",
    "SELECT servitize.cover_raw(1, '-infinity', 'infinity')",
    "SELECT servitize.roll_up(1)",
    "SELECT servitize.expire_piece('raw', 'reading_default')",
    "SELECT servitize.set_retention(NULL, 'raw', '1 day')",
    "SELECT servitize.retention_bounds()",
    "SELECT * FROM servitize.latest_reading",
    "SELECT * FROM servitize.visible_equipment",
    "SELECT hash FROM servitize.api_key",
    "SELECT * FROM servitize.board_login",
    "SELECT * FROM servitize.platform_operator",
    "INSERT INTO servitize.platform_operator (tenant_id) VALUES (1)",
    "SELECT servitize.apply_transitions('[]')",
    "SELECT servitize.apply_alarm_event(1, 'c', 'raised', now(), 'x', '', '{}')",
    "SELECT servitize.repair_latest()",
    "SELECT servitize.ensure_partitions(now(), now())",
    "UPDATE servitize.alarm SET state = 'normal'",
    "UPDATE servitize.api_key SET tenant_id = 2",
    "DELETE FROM servitize.audit_log",
    "SET ROLE servitize_owner",
    "SET ROLE servitize_writer",
    "CREATE TABLE servitize.mine (x int)",
    "CREATE VIEW v AS SELECT * FROM servitize.reading",
    "SELECT * FROM pg_statistic",
    "COPY servitize.reading TO STDOUT",
    "TABLE pg_authid",
]


def test_roads_around_are_closed(world: Store) -> None:
    for login in (world.login(API), board(world, world.acme)):
        with psycopg.connect(login) as connection:
            for attempt in ROADS_AROUND:
                with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute(attempt)


def test_statistics_show_no_values_of_another_tenant(world: Store) -> None:
    with psycopg.connect(world.dsn) as connection:
        connection.execute("SET ROLE servitize_owner")
        connection.execute("ANALYZE servitize.reading, servitize.event, servitize.api_key")
    with world.api(world.acme) as c:
        assert (
            c.execute(
                "SELECT * FROM pg_stats WHERE schemaname = 'servitize' AND tablename IN "
                "(SELECT relname FROM pg_class WHERE relname LIKE 'reading%%')"
            ).fetchall()
            == []
        )


def test_a_function_of_the_askers_sees_no_row_behind_the_barrier(world: Store) -> None:
    with psycopg.connect(board(world, world.acme)) as c:
        seen: list[str] = []
        c.add_notice_handler(lambda notice: seen.append(notice.message_primary or ""))
        c.execute(
            "CREATE FUNCTION pg_temp.peep(float8) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql "
            "AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$"
        )
        c.execute("SELECT * FROM servitize.reading_visible WHERE pg_temp.peep(value)").fetchall()
        assert {float(text) for text in seen} == {float(p) for p in world.points}


def board(store: Store, tenant: int) -> str:
    login = f"board_{tenant}"
    with psycopg.connect(store.dsn) as connection:
        admin.create_board_login(connection, tenant, login, "pw")
    return psycopg.conninfo.make_conninfo(store.dsn, user=login, password="pw")


def test_a_boards_tenant_comes_from_its_login_whatever_it_sets(world: Store) -> None:
    with psycopg.connect(board(world, world.acme)) as c:
        c.execute("SELECT set_config('servitize.tenant', %s, false)", (str(world.bolt),))
        assert c.execute("SELECT id FROM servitize.equipment").fetchall() == [(world.ours,)]
        assert c.execute("SELECT DISTINCT equipment_id FROM servitize.latest_visible").fetchall() == [(world.ours,)]


def test_a_grant_shows_an_equipment_while_it_lasts(world: Store) -> None:
    window = {"time_from": T0, "time_to": T0 + 60 * SECOND, "max_rows": None}
    point = world.their_points[0]
    with psycopg.connect(world.dsn) as connection:
        grant = admin.grant_equipment(connection, world.theirs, world.acme, "read")
    with world.api(world.acme) as c:
        assert c.execute(
            "SELECT rights FROM servitize.my_equipment WHERE equipment_id = %s", (world.theirs,)
        ).fetchall() == [("read",)]
        assert len(list(load("reading").readings(c, point_id=point, **window))) == 10
        assert c.execute("SELECT count(*) FROM servitize.alarm").fetchone() == (2,)
    with psycopg.connect(world.dsn) as connection:
        admin.end_grant(connection, grant)
    with world.api(world.acme) as c:
        assert list(load("reading").readings(c, point_id=point, **window)) == []


def test_a_key_opens_its_tenant_until_revoked_or_expired(store: Store) -> None:
    with psycopg.connect(store.dsn) as connection:
        key = admin.create_api_key(connection, store.acme, "k", scopes=["read", "alarms"], role="operator")
        old = admin.create_api_key(connection, store.acme, "old", scopes=["read"], expires_at=T0)

    def enter(text: str) -> Any:
        parts = split_key(text)
        assert parts is not None
        with store.api(None) as c:
            return load("admin").authenticate(c, prefix=parts[0], hash=parts[1])

    assert enter(key.text) == (key.id, store.acme, "acme", ["read", "alarms"], "operator")
    assert enter(key.text[:-1] + ("a" if key.text[-1] != "a" else "b")) is None
    assert enter(old.text) is None
    with psycopg.connect(store.dsn) as connection:
        admin.revoke_api_key(connection, key.id)
    assert enter(key.text) is None


def test_the_audit_log_only_grows(world: Store) -> None:
    for login in (world.dsn, world.login(WRITER), world.login(API)):
        for statement in ("UPDATE servitize.audit_log SET actor = 'x'", "DELETE FROM servitize.audit_log"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(login) as connection:
                connection.execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), world.api(world.acme) as c:
        load("admin").audit(
            c, tenant_id=world.bolt, actor="me", action="a.b", object="o", detail=psycopg.types.json.Jsonb({})
        )


def test_admin_says_what_is_wrong(store: Store) -> None:
    with psycopg.connect(store.dsn) as connection:
        with pytest.raises(ConflictError), connection.transaction():
            admin.create_tenant(connection, "acme", "again")
        with pytest.raises(ConflictError), connection.transaction():
            admin.create_equipment(connection, store.acme, "pump-1", PUMP)
        with pytest.raises(ConflictError, match="somebody else"), connection.transaction():
            admin.publish_type(connection, PUMP, PUMP_DOCUMENT, tenant_id=store.acme)
        with pytest.raises(NotFoundError), connection.transaction(), translated():
            admin.grant_equipment(connection, 999, store.acme, "read")
