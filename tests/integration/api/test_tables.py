"""Every table and view, as the database role of the API: rows of another organisation are in none of them.

Tables are found in the catalogue and filled for the other organisation by their own constraints, so whoever adds one is
swept with it.
"""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from tests.integration.api.conftest import World
from tests.integration.api.foreign import FOREIGN, things

pytestmark = [pytest.mark.integration, pytest.mark.isolation]

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '',
       (SELECT f.relname FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid
         WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] LIMIT 1),
       (SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint k
         WHERE k.conrelid = c.oid AND k.contype = 'c' AND a.attnum = ANY (k.conkey))
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'servitize'::regnamespace AND c.relkind = 'r' AND c.relrowsecurity AND NOT c.relispartition
   AND a.attidentity <> 'a'
 ORDER BY c.relname, a.attnum
"""
_OWNERS = ("tenant_id", "equipment_id", "point_id")
_LITERAL = re.compile(r"'([^']+)'::text")
_BY_TYPE = {
    "integer": "1", "bigint": "1", "smallint": "1", "numeric": "1", "double precision": "1", "real": "1",
    "boolean": "false", "jsonb": "{}", "bytea": "brook", "timestamp with time zone": "2026-06-01T00:00:00Z",
    "date": "2026-06-01", "time without time zone": "06:00", "interval": "1 hour", "text[]": "{brook}",
    "integer[]": "{1}", "bigint[]": "{1}", "uuid": "6f1e0f6e-0000-4000-8000-000000000001",
}  # fmt: skip


def value(world: World, column: tuple[Any, ...], made: dict[str, Any]) -> Any:
    _, name, kind, _, _, target, checks = column
    b = world.b
    known = {"tenant": b.id, "equipment": b.equipment, "point": b.point, "equipment_type": "theirs"}
    known |= {"alarm": b.alarm, "dead_letter": b.dead_letter, "device": b.device, **made}
    if target is not None:
        return known.get(target)  # None until B has one: whoever's it would be else is not B's
    if name in _OWNERS:
        return known[name.removesuffix("_id")]
    literal = _LITERAL.search(checks or "")
    if kind in ("text", "text[]") and literal and "~" not in (checks or ""):
        return literal[1] if kind == "text" else [literal[1]]
    return _BY_TYPE.get(kind.partition("(")[0], "brook")


def fill(world: World) -> set[str]:
    """Give B something in every table; those where it could not be done."""
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for column in world.as_owner(_COLUMNS):
        tables.setdefault(column[0], []).append(column)
    made: dict[str, Any] = {}
    filled: set[str] = set()
    with psycopg.connect(world.owner_dsn, autocommit=True) as c:
        c.execute(b"SET ROLE servitize_owner")
        for _ in range(4):
            for table in sorted(tables.keys() - filled):
                if not any(column[5] or column[1] in _OWNERS for column in tables[table]):
                    continue  # rules and the like, which are everybody's
                wanted = [
                    column for column in tables[table] if (column[3] and not column[4]) or column[1] in _OWNERS[:2]
                ]
                names = ", ".join(f'"{column[1]}"' for column in wanted)
                places = ", ".join(f"%s::{column[2]}" for column in wanted)
                sql = f"INSERT INTO servitize.{table} ({names}) VALUES ({places}) RETURNING to_jsonb({table}) ->> 'id'"
                try:
                    row = c.execute(sql.encode(), [value(world, column, made) for column in wanted]).fetchone()
                except psycopg.Error:
                    continue
                filled.add(table)
                assert row is not None
                made.setdefault(table, row[0])
    return tables.keys() - filled


def readable(c: psycopg.Connection[Any]) -> list[tuple[str, list[str]]]:
    rows = c.execute(
        b"SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c"
        b" JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        b" WHERE c.relnamespace = 'servitize'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')"
        b" AND has_column_privilege('servitize_api', c.oid, a.attnum, 'SELECT') GROUP BY c.relname ORDER BY 1"
    )
    return list(rows)


def seen_by(world: World, tenant: int) -> dict[str, list[dict[str, Any]]]:
    """Rows of each relation that the API's role sees for a tenant (the newest readings are enough of those)."""
    found = {}
    with psycopg.connect(world.api_dsn) as c:
        relations = readable(c)
        c.execute(b"SELECT set_config('servitize.tenant', %s, true)", [str(tenant)])
        for name, columns in relations:
            listed = ", ".join(f'x."{column}"' for column in columns)
            rows = c.execute(f"SELECT to_jsonb(y) FROM (SELECT {listed} FROM servitize.{name} x LIMIT 3000) y".encode())
            found[name] = [row for (row,) in rows]
    return found


def test_no_table_or_view_shows_a_row_of_another(world: World) -> None:
    world.as_owner(
        "INSERT INTO servitize.equipment_type (key, tenant_id, name, version, document)"
        " VALUES ('theirs', %s, 'Brook', 1, '{}') ON CONFLICT DO NOTHING",
        [world.b.id],
    )
    for name in FOREIGN:
        things(world, world.b, name)
    empty = fill(world)
    world.execute("SELECT servitize.sequence_outbox()")
    a, b = world.a, world.b
    theirs = {"tenant_id": {b.id}, "equipment_id": {b.equipment, b.pending}, "point_id": {b.point}}
    leaks = []
    for name, rows in seen_by(world, a.id).items():
        for row in rows:
            named = any(row.get(column) in values for column, values in theirs.items())
            if named or "brook" in str(row).lower():
                leaks.append((name, row))
    assert leaks == []
    # the sweep sees what it should: B itself sees B's rows nearly everywhere
    shown = {name for name, rows in seen_by(world, b.id).items() if rows}
    every = set(seen_by(world, a.id))
    assert len(shown) >= 0.75 * len(every), f"nothing of B's in {sorted(every - shown)}; not filled: {sorted(empty)}"
