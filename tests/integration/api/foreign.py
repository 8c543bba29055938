"""What another organisation has, by the name that a route's place gives it: whoever adds a route with a new kind of
thing in its path adds here how one is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.integration.api.conftest import Party, World

Maker = Callable[[World, Party], list[Any]]


def row(sql: str) -> Maker:
    """One row of the party's, made by the platform; ``sql`` has ``%(tenant)s``, ``%(slug)s`` and ``%(equipment)s`` and
    returns its number."""

    def make(world: World, party: Party) -> list[Any]:
        known = {"tenant": party.id, "slug": party.slug, "equipment": party.equipment}
        return [world.as_owner(sql, known)[0][0]]

    return make


_ISSUER = (
    "INSERT INTO servitize.identity_issuer (tenant_id, name, issuer, audience)"
    " VALUES (%(tenant)s, %(slug)s, 'https://login.' || %(slug)s || '.test', %(slug)s)"
    " ON CONFLICT (tenant_id, issuer, audience) DO UPDATE SET name = excluded.name RETURNING id"
)

_CONTRACT = (
    "INSERT INTO servitize.contract (tenant_id, key, title, currency, timezone, begins, document)"
    " VALUES (%(tenant)s, 'foreign', 'Foreign', 'EUR', 'UTC', '2026-01-01', '{}')"
    " ON CONFLICT (tenant_id, key) DO UPDATE SET title = excluded.title RETURNING id"
)

FOREIGN: dict[str, Maker] = {
    "equipment": lambda world, party: [party.equipment, party.pending],
    "point": lambda world, party: [party.point],
    "alarm": lambda world, party: [party.alarm],
    "letter": lambda world, party: [party.dead_letter],
    "grant": lambda world, party: [party.grant],
    "device": lambda world, party: [party.device],
    "key": lambda world, party: ["theirs"],
    "key_id": row("SELECT min(id) FROM servitize.api_key WHERE tenant_id = %(tenant)s"),
    "issuer": row(_ISSUER),
    "contract": row(_CONTRACT),
    "record": row(
        f"WITH c AS ({_CONTRACT}) INSERT INTO servitize.contract_record"
        " (contract_id, kind, starts_at, ends_at, cause, reference, recorded_by)"
        " SELECT c.id, 'exclusion', now(), now() + interval '1 hour', 'planned', 'r', 'them' FROM c RETURNING id"
    ),
    "statement": row(
        f"WITH c AS ({_CONTRACT}), r AS (INSERT INTO servitize.contract_revision"
        " (contract_id, revision, document, recorded_by) SELECT c.id, 1, '{}', 'them' FROM c"
        " ON CONFLICT (contract_id, revision) DO NOTHING)"
        " INSERT INTO servitize.statement (contract_id, period, number, period_from, period_to, revision, currency,"
        " total, document, sha256, known_until, closed_by) SELECT c.id, '2026-01', 0, '2026-01-01', '2026-02-01', 1,"
        " 'EUR', 0, '{\"lines\": []}', '', '2026-02-01', 'them' FROM c RETURNING id"
    ),
    "position": lambda world, party: [1],
    "code": lambda world, party: ["D101"],
    "user": row(
        f"WITH i AS ({_ISSUER}) INSERT INTO servitize.app_user (tenant_id, issuer_id, subject, name)"
        " SELECT %(tenant)s, i.id, %(slug)s, %(slug)s FROM i"
        " ON CONFLICT (issuer_id, subject) DO UPDATE SET name = excluded.name RETURNING id"
    ),
}

_MADE: dict[tuple[str, int, str], list[Any]] = {}


def things(world: World, party: Party, name: str) -> list[Any]:
    """The party's things of that name, made once per world."""
    place = (world.owner_dsn, party.id, name)
    if place not in _MADE:
        assert name in FOREIGN, f"tests/integration/api/foreign.py does not know how another's {name!r} is made"
        _MADE[place] = FOREIGN[name](world, party)
    return _MADE[place]
