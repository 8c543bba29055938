"""Ways to what is another's, made from the catalogue of whichever database it is: whoever adds a table, a view or a
function adds probes with it."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from storage.migrate import Engine
from tests.integration.storage.helpers import Store

SECRET = 7_352_941
"""Readings of the other tenant are this plus a fraction: digits that occur nowhere else. No probe may contain
them, or it would find itself (in a list of running statements, say)."""
_TRACES = (str(SECRET), *(struct.pack(order + "d", SECRET + 0.25).hex()[:12] for order in "<>"))

_NOT_CALLED = re.compile(r"^(pg_sleep.*|pg_terminate_backend|pg_cancel_backend|repeat|[lr]pad|generate_series.*)$")
"""They wait, end the session that asks, or make gigabytes of their argument."""

_TRY = """
CREATE OR REPLACE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found text;
    more  text;
    help  text;
BEGIN
    EXECUTE statement INTO found;
    RETURN found;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS more = PG_EXCEPTION_DETAIL, help = PG_EXCEPTION_HINT;
    RETURN 'error: ' || SQLERRM || ' ' || more || ' ' || help;
END $$
"""

_PEEP = """
CREATE OR REPLACE FUNCTION pg_temp.peep(anyelement) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql
AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$
"""


def betrays(*texts: object) -> bool:
    """Whether a trace of the other tenant's readings is in any of these."""
    return any(trace in str(text) for text in texts for trace in _TRACES)


@dataclass
class Intruder:
    """A login that tries; ``seen`` is all it was ever told: answers, notices, errors, notifications."""

    connection: psycopg.Connection[Any]

    def __post_init__(self) -> None:
        self.seen: list[str] = []
        self.connection.add_notice_handler(lambda notice: self.seen.append(str(notice.message_primary)))
        self.connection.execute(_TRY)
        self.connection.execute(_PEEP)

    def tries(self, statements: Sequence[str]) -> list[str]:
        """Each in a subtransaction of its own, many in one round trip; what came of them."""
        found = []
        for start in range(0, len(statements), 200):
            some = list(statements[start : start + 200])
            rows = self.connection.execute(
                "SELECT pg_temp.try(s) FROM unnest(%s::text[]) WITH ORDINALITY AS u (s, n) ORDER BY n", (some,)
            ).fetchall()
            found += [str(text) for (text,) in rows]
        self.seen += found
        return found

    def leaks(self, statements: Sequence[str]) -> list[str]:
        """The statements that told something, by answer, error or notice."""
        told = []
        for statement, answer in zip(statements, self.tries(statements), strict=True):
            if betrays(answer):
                told.append(statement)
        if betrays(*self.seen) and not told:
            told.append("(by a notice)")
        return told


def everything_of(relations: Iterable[str]) -> list[str]:
    """Reading each, whole, as text."""
    return [f"SELECT string_agg(x::text, ' ') FROM (SELECT * FROM {name} LIMIT 20000) x" for name in relations]


def prepare(store: Store) -> None:
    """Asks the platform what is to be known beforehand: in WebAssembly nobody gets in while an intruder's transaction
    is open."""
    relations(store)
    _values(store)


def known_from_plain(store: Store) -> list[str]:
    """Schemas that are the same on every engine, and slow to go through in WebAssembly."""
    return [] if store.engine is Engine.PLAIN else ["pg_catalog", "information_schema", "pg_toast"]


@functools.cache
def relations(store: Store) -> list[str]:
    """All there are, of every schema: tables, partitions, chunks, views, materialised ones, sequences, toast. (On
    TimescaleDB without PostgreSQL's own, which the plain database has been asked.)"""
    rows = store.all(
        "SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 't') AND n.nspname !~ '^pg_(toast_)?temp' "
        "AND n.nspname <> ALL (%s::text[]) ORDER BY 1",
        known_from_plain(store),
    )
    return [name for (name,) in rows]


def with_readings(store: Store) -> list[str]:
    """What readings and rollups are stored in, by name."""
    return [
        name
        for name in relations(store)
        if re.search(r"\.(reading|rollup|latest)|hyper|chunk|_view_", name) and not name.startswith("information")
    ]


def readable(connection: psycopg.Connection[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What the login may read of ours, with columns and their types."""
    rows = connection.execute(
        "SELECT c.oid::regclass::text, array_agg(a.attname::text ORDER BY a.attnum), "
        "array_agg(a.atttypid::regtype::text ORDER BY a.attnum) "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.relnamespace = 'servitize'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') "
        "AND has_column_privilege(c.oid, a.attnum, 'SELECT') GROUP BY c.oid ORDER BY 1"
    ).fetchall()
    return [(name, list(zip(columns, types, strict=True))) for name, columns, types in rows]


def calls(store: Store, connection: psycopg.Connection[Any]) -> list[str]:
    """Every function and procedure that the login may execute, with arguments that mean the other tenant. (On
    TimescaleDB without PostgreSQL's own, which the plain database has been asked.)"""
    rows = connection.execute(
        "SELECT n.nspname, p.proname, p.prokind::text, ARRAY(SELECT t::regtype::text FROM unnest(p.proargtypes) t), "
        "p.prorettype::regtype::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE p.prokind IN ('f', 'p') AND n.nspname NOT LIKE 'pg_temp%%' AND has_function_privilege(p.oid, 'EXECUTE') "
        "AND has_schema_privilege(n.oid, 'USAGE') AND n.nspname <> ALL (%s::text[]) ORDER BY 1, 2, p.oid",
        (known_from_plain(store),),
    ).fetchall()
    values = _values(store)
    found = []
    for schema, name, kind, types, returns in rows:
        if _NOT_CALLED.match(name) or "internal" in (*types, returns) or returns in ("trigger", "event_trigger"):
            continue
        ours = schema == "servitize"
        if not ours and not any(t in values for t in types):
            continue
        for arguments in _arguments(types, values, 12 if ours else 3):
            called = f"{schema}.{_quoted(name)}({', '.join(arguments)})"
            asked = f"SELECT string_agg(x::text, ' ') FROM (SELECT * FROM {called} LIMIT 20000) x"
            found.append(f"CALL {called}" if kind == "p" else asked)
    return list(dict.fromkeys(found))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@functools.cache
def _values(store: Store) -> dict[str, list[str]]:
    """Per type what might lead somewhere."""
    point, equipment, tenant = store.their_points[0], store.theirs, store.bolt
    pieces = store.all("SELECT name FROM servitize.pieces_of('raw') ORDER BY 1")
    piece = str(pieces[0][0]) if "." in str(pieces[0][0]) else f"servitize.{pieces[0][0]}"
    numbers = [str(n) for n in (point, equipment, tenant)]
    names = ["servitize.reading", piece, "servitize.latest_reading"]
    oids = [str(store.one("SELECT %s::regclass::oid", name)) for name in names]
    queries = ["SELECT * FROM servitize.reading", "SELECT value::text FROM servitize.reading_visible"]
    texts = [f"'{text}'" for text in (*names, *queries, "raw", "reading")]
    return {
        **dict.fromkeys(("smallint", "integer", "bigint"), numbers),
        **{kind: [f"{n}::{kind}" for n in oids] for kind in ("oid", "regclass")},
        **{kind: [f"{text}::{kind}" for text in texts] for kind in ("text", "name", "cstring", "refcursor")},
        **{kind: [f"'2001-01-01'::{kind}", f"'2035-01-01'::{kind}"] for kind in ("timestamp with time zone", "date")},
        "integer[]": [f"'{{{point},{store.their_points[1]}}}'::int[]"],
        "interval": ["'1 hour'::interval", "'1 day'::interval"],
        "boolean": ["true", "false"],
        "jsonb": [f'\'{{"equipment_id": {equipment}, "point_id": {point}}}\'::jsonb'],
        "double precision": ["1e9"],
    }


def _arguments(types: Sequence[str], values: dict[str, list[str]], most: int) -> Iterator[list[str]]:
    """Combinations that differ, so many of them at most; times in order, since a window wants a start and an end."""
    for turn in range(most):
        moment, chosen = 0, []
        for place, kind in enumerate(types):
            known = values.get(kind)
            if known is None:
                chosen.append(f"NULL::{kind}" if not kind.startswith(("any", '"any')) else "NULL")
            elif kind in ("timestamp with time zone", "date"):
                chosen.append(known[moment % 2])
                moment += 1
            else:
                chosen.append(known[(turn // (place + 1) if most > 3 else turn) % len(known)])
        yield chosen


PEEPHOLES = (
    "SELECT count(*)::text FROM {relation} x WHERE pg_temp.peep(x.{column}::text)",
    "SELECT count(*)::text FROM {relation} x WHERE pg_temp.peep(x.{column}::text) AND {foreign}",
    "SELECT count(*)::text FROM {relation} x WHERE (x.{column}::text)::date IS NULL AND {foreign}",
    "SELECT max(x.{column}::text) FROM {relation} x WHERE {foreign}",
    "SELECT count(*)::text FROM {relation} x GROUP BY x.{column} HAVING pg_temp.peep(x.{column}::text) LIMIT 1",
    "SELECT count(*)::text FROM {relation} x JOIN (VALUES (1)) v (n) ON pg_temp.peep(x.{column}::text) AND v.n = 1",
    (
        "SELECT count(*)::text FROM (SELECT x.{column} c FROM {relation} x ORDER BY x.{column}::text OFFSET 0) y "
        "WHERE pg_temp.peep(y.c::text)"
    ),
)
"""Conditions, casts and orders of the asker's own on every column that can be read."""


def peeping(store: Store, tables: Iterable[tuple[str, list[tuple[str, str]]]]) -> list[str]:
    return [
        hole.format(relation=name, column=_quoted(column), foreign=_foreign(store, [c for c, _ in columns]))
        for name, columns in tables
        for column, _ in columns
        for hole in PEEPHOLES
    ]


def _foreign(store: Store, columns: Sequence[str]) -> str:
    """A condition that only rows of the other tenant meet."""
    if "point_id" in columns:
        return f"x.point_id = {store.their_points[0]}"
    if "equipment_id" in columns:
        return f"x.equipment_id = {store.theirs}"
    return f"x.tenant_id = {store.bolt}" if "tenant_id" in columns else "true"


PLANS: tuple[dict[str, str], ...] = (
    {},
    {"enable_indexscan": "off", "enable_indexonlyscan": "off", "enable_bitmapscan": "off"},
    {"enable_seqscan": "off", "enable_nestloop": "off", "enable_hashjoin": "off"},
    {"enable_seqscan": "off", "enable_indexscan": "off", "enable_indexonlyscan": "off", "enable_mergejoin": "off"},
    {"enable_nestloop": "off", "enable_mergejoin": "off", "enable_material": "off", "enable_memoize": "off"},
)
"""Whoever may set these chooses among plans."""


def told_by_plans(store: Store, connection: psycopg.Connection[Any]) -> list[str]:
    """Where EXPLAIN ANALYZE says something else of a condition that a stranger's row meets than of one that none meets.

    One thing is known and left out: where a plan without the key is forced, the tenant's points are looked up only once
    a row has met the other conditions. So it can be learnt whether there is a reading at a moment, not what it says."""
    point = store.their_points[1]
    there, nowhere = "'2024-01-01 03:20:00+00'::timestamptz", "'2024-01-01 03:20:01+00'::timestamptz"
    full, empty = "'2024-01-01 01:00:00+00'::timestamptz", "'2024-01-01 01:30:00+00'::timestamptz"
    conditions = [
        ("reading_visible", "value > 7e6", "value > 9e6", True),
        ("reading_visible", f"ts = {there}", f"ts = {nowhere}", False),
        ("latest_visible", "value > 7e6", "value > 9e6", True),
        ("latest_visible", f"ts = {there}", f"ts = {nowhere}", False),
        ("rollup_hour_visible", "max > 7e6", "max > 9e6", True),
        ("rollup_day_visible", "mean > 7e6", "mean > 9e6", True),
    ]
    if store.engine is Engine.PLAIN:  # continuous aggregates have an index by time, which counts everybody's
        conditions.append(("rollup_hour_visible", f"bucket = {full}", f"bucket = {empty}", False))
    found = []
    for view, met, unmet, estimates in conditions:
        for plan in PLANS:
            queries = [f"SELECT * FROM servitize.{view} WHERE point_id = {point} AND {c}" for c in (met, unmet)]
            if told := differences(connection, queries, plan, estimates):
                found.append(f"{view}, {met}:\n" + "\n\n".join(told))
    return found


def differences(
    connection: psycopg.Connection[Any],
    queries: Sequence[str],
    plan: dict[str, str] | None = None,
    estimates: bool = True,
    analyze: bool = True,
) -> set[str]:
    """What EXPLAIN says of the queries, where it is not the same of all; nothing where it is. Asked three times, since
    new statistics may come in between."""
    for _ in range(3):
        told = {planned(connection, query, plan, estimates, analyze) for query in queries}
        if len(told) == 1:
            return set()
    return told


def planned(
    connection: psycopg.Connection[Any],
    query: str,
    plan: dict[str, str] | None = None,
    estimates: bool = True,
    analyze: bool = True,
) -> str:
    """What EXPLAIN tells of a query: rows met, rows dropped, estimates. Without the query's own constants, and without
    costs, times and memory."""
    with connection.transaction(force_rollback=True):
        for name, value in (plan or {}).items():
            connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        options = f"COSTS {'ON' if estimates else 'OFF'}" + (", ANALYZE, TIMING OFF, SUMMARY OFF" if analyze else "")
        rows = connection.execute(f"EXPLAIN ({options}) {query}").fetchall()
    text = "\n".join(line for (line,) in rows if not re.search(r"Memory|Planning|Buffers|Sort Method", line))
    text = re.sub(r"\(cost=\S+ rows=(\d+) width=\d+\)", r"(estimate \1)", text)
    text = re.sub(r"'[^']*'::[a-z ]+|'?(7000000|9000000|-1000000000|7e6|9e6|-1e9)'?", "?", text)
    return re.sub(r"\(never executed\)", "(actual rows=1 loops=1)", text.replace("rows=1.00", "rows=1"))
