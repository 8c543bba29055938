"""What another organisation has, by the name that a route's place gives it: whoever adds a route with a new kind of
thing in its path adds here how one is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zstandard import ZstdCompressor

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
    "command": row(
        "INSERT INTO servitize.command (equipment_id, key, title, class, needed, requested_by, expires_at)"
        " VALUES (%(equipment)s, 'x', 'X', 'adjust', 1, 'them', now() + interval '1 day') RETURNING id"
    ),
    "rollout": row(
        "INSERT INTO servitize.rollout (tenant_id, title, key, value, patience, watch, started_by)"
        " VALUES (%(tenant)s, 't', 'k', '1', '1 hour', '0', 'them') RETURNING id"
    ),
    "inspection": row(
        "INSERT INTO servitize.inspection_plan (equipment_id, title, points, every, made_by, next_at)"
        " VALUES (%(equipment)s, 't', '{vibration}', '1 day', 'them', now() + interval '1 day') RETURNING id"
    ),
    "report": row(
        "WITH p AS (INSERT INTO servitize.inspection_plan (equipment_id, title, points, every, made_by, next_at)"
        " VALUES (%(equipment)s, 't', '{vibration}', '1 day', 'them', now() + interval '1 day')"
        " RETURNING id, equipment_id)"
        " INSERT INTO servitize.inspection_report (plan_id, equipment_id, findings, points)"
        " SELECT p.id, p.equipment_id, 0, '{}' FROM p RETURNING id"
    ),
    "inhibit": row(
        "INSERT INTO servitize.emergency_inhibit (tenant_id, equipment_id, reason, set_by)"
        " VALUES (%(tenant)s, %(equipment)s, 'r', 'them') RETURNING id"
    ),
    "waveform": row(
        "INSERT INTO servitize.waveform (equipment_id, ts, hash, rate, samples, channels, purpose, retention, encoding,"
        ' data, received_at) VALUES (%(equipment)s, now(), sha256(random()::text::bytea), 1000, 64, \'[{"name": "a",'
        ' "unit": "m/s2", "scale": 1, "offset": 0}]\', \'routine\', \'routine\', \'i16\','
        f" decode('{ZstdCompressor().compress(bytes(128)).hex()}', 'hex'), now()) RETURNING id"
    ),
    "case": row(
        "INSERT INTO servitize.diagnosis_case (equipment_id, component, title, origin, state, about, opened_by)"
        " VALUES (%(equipment)s, 'bearing', %(slug)s, 'person', 'closed', now(), %(slug)s) RETURNING id"
    ),
    "view": lambda world, party: ["spectrum"],
    "plot": lambda world, party: ["a.spectrum"],
    "position": lambda world, party: [1],
    "item": row(
        "INSERT INTO servitize.item (tenant_id, kind, serial, identifier, manufacturer, designation, registered_by)"
        " VALUES (%(tenant)s, 'foreign-' || %(slug)s, 'F-1', 'https://id.example.com/' || %(slug)s || '/F-1', 'them',"
        " 'of ' || %(slug)s, 'them') ON CONFLICT (identifier) DO UPDATE SET serial = excluded.serial RETURNING id"
    ),
    "kind": lambda world, party: [f"foreign-{party.slug}"],
    "code": lambda world, party: ["D101"],
    "advisory": row(
        "INSERT INTO servitize.advisory (equipment_id, component, failure_mode, priority, changed_at)"
        " VALUES (%(equipment)s, 'bearing', %(slug)s, 'low', now())"
        " ON CONFLICT (equipment_id, component, failure_mode) DO UPDATE SET priority = 'low' RETURNING id"
    ),
    "work_order": row(
        "INSERT INTO servitize.work_order (equipment_id, component, kind, title, priority, created_by, changed_at)"
        " VALUES (%(equipment)s, 'bearing', 'inspection', %(slug)s, 'low', 'them', now()) RETURNING id"
    ),
    "line": lambda world, party: [0],
    "sha256": lambda world, party: ["0" * 64],
    "part": row(
        "INSERT INTO servitize.part (tenant_id, key, name) VALUES (%(tenant)s, 'part-of-' || %(slug)s, %(slug)s)"
        " ON CONFLICT (tenant_id, key) DO UPDATE SET name = excluded.name RETURNING key"
    ),
    "crew": row(
        "INSERT INTO servitize.crew (tenant_id, key, name, people)"
        " VALUES (%(tenant)s, 'crew-of-' || %(slug)s, %(slug)s, 1)"
        " ON CONFLICT (tenant_id, key) DO UPDATE SET name = excluded.name RETURNING key"
    ),
    "window": row(
        "INSERT INTO servitize.maintenance_window (tenant_id, starts_at, ends_at)"
        " VALUES (%(tenant)s, now() + interval '1 day', now() + interval '2 days') RETURNING id"
    ),
    "sample": row(
        "INSERT INTO servitize.oil_sample (equipment_id, component, sampled_at, figures, verdict, actor)"
        " VALUES (%(equipment)s, 'bearing', now(), '{}', '[]', 'them')"
        " ON CONFLICT (equipment_id, component, sampled_at, reference) DO NOTHING RETURNING id"
    ),
    "user": row(
        f"WITH i AS ({_ISSUER}) INSERT INTO servitize.app_user (tenant_id, issuer_id, subject, name)"
        " SELECT %(tenant)s, i.id, %(slug)s, %(slug)s FROM i"
        " ON CONFLICT (issuer_id, subject) DO UPDATE SET name = excluded.name RETURNING id"
    ),
}

_ENDPOINT = (
    "INSERT INTO servitize.notification_endpoint (tenant_id, name, kind, address)"
    " VALUES (%(tenant)s, %(slug)s, 'mqtt', %(slug)s) RETURNING id"
)
_SUBSCRIPTION = (
    "INSERT INTO servitize.subscription (tenant_id, name, endpoint_id)"
    " SELECT %(tenant)s, %(slug)s, e.id FROM e RETURNING id, endpoint_id, tenant_id"
)
FOREIGN |= {
    "endpoint": row(_ENDPOINT),
    "schedule": row(
        "INSERT INTO servitize.on_call_schedule (tenant_id, name, starts_at, shift_hours)"
        " VALUES (%(tenant)s, %(slug)s, now(), 8) RETURNING id"
    ),
    "subscription": row(f"WITH e AS ({_ENDPOINT}) {_SUBSCRIPTION}"),
    "delivery": row(
        f"WITH e AS ({_ENDPOINT}), s AS ({_SUBSCRIPTION})"
        " INSERT INTO servitize.delivery (tenant_id, subscription_id, endpoint_id, seq, kind,"
        " happened_at, payload, due_at, created_at)"
        " SELECT s.tenant_id, s.id, s.endpoint_id, 1, 'alarm', now(), '{}', now() + interval '1 year', now() FROM s"
        " RETURNING id"
    ),
}

FOREIGN["outcome"] = row(
    "INSERT INTO servitize.confirmed_outcome (equipment_id, at, verdict, source, reference, recorded_by)"
    " VALUES (%(equipment)s, now(), 'healthy', 'person', %(slug)s, %(slug)s) RETURNING id"
)

_MADE: dict[tuple[str, int, str], list[Any]] = {}


def things(world: World, party: Party, name: str) -> list[Any]:
    """The party's things of that name, made once per world."""
    place = (world.owner_dsn, party.id, name)
    if place not in _MADE:
        assert name in FOREIGN, f"tests/integration/api/foreign.py does not know how another's {name!r} is made"
        _MADE[place] = FOREIGN[name](world, party)
    return _MADE[place]
