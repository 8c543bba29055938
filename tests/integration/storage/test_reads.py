"""What readers get: raw or thinned curves that keep their extremes, gaps, events, dead letters; and the registry."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg_pool import ConnectionPool

from core.equipment import EquipmentType, PointDef
from core.errors import ConflictError
from core.quality import BAD, GOOD
from core.registry import EquipmentStatus, UnknownEquipmentPolicy
from core.telemetry import DeadLetter, EventRecord
from core.time import DAY, SECOND
from storage import admin
from storage.migrate import WRITER
from storage.queries import load
from storage.registry import Registry
from tests.integration.storage.helpers import PUMP, PUMP_DOCUMENT, T0, Committer, Store

pytestmark = pytest.mark.integration


def ask(store: Store, name: str, **parameters: Any) -> list[Any]:
    with store.api(store.acme) as connection:
        return list(getattr(load("reading"), name)(connection, **parameters))


@pytest.fixture
def day(store: Store) -> Store:
    """A day at 0.1 Hz of a sine with one spike up, one bad reading far away, and a hole of an hour."""
    point = store.points[0]
    rows = []
    for n in range(8640):
        if 3000 <= n < 3360:
            continue
        value, quality = math.sin(n / 500), GOOD
        if n == 1234:
            value = 50.0
        if n == 7000:
            value, quality = -999.0, BAD
        rows.append((point, T0 + n * 10 * SECOND, value, quality))
    with Committer(store) as c:
        c.commit(rows)
    return store


def test_a_thinned_curve_fits_the_pixels_and_keeps_what_an_eye_must_see(day: Store) -> None:
    point = day.points[0]
    for pixels in (4, 100, 1000):
        found = ask(day, "readings_thinned", point_id=point, time_from=T0, time_to=T0 + DAY, pixels=pixels)
        assert 3 <= len(found) <= pixels
        assert found == sorted(found)
        assert max(v for _, v, _ in found) == 50.0
        assert found[0][0] == T0
        assert found[-1][0] == T0 + 8639 * 10 * SECOND
        stored = {(t, v) for _, t, v, _ in day.readings()}
        assert {(t, v) for t, v, _ in found} <= stored


def test_where_there_are_few_readings_all_come(day: Store) -> None:
    window = {"point_id": day.points[0], "time_from": T0, "time_to": T0 + 1000 * SECOND}
    assert len(ask(day, "readings_thinned", pixels=100, **window)) == 100
    assert len(ask(day, "readings", max_rows=None, **window)) == 100
    assert len(ask(day, "readings", max_rows=7, **window)) == 7


def test_the_end_of_a_window_is_outside_it(day: Store) -> None:
    found = ask(day, "readings", point_id=day.points[0], time_from=T0, time_to=T0 + 20 * SECOND, max_rows=None)
    assert [row[0] for row in found] == [T0, T0 + 10 * SECOND]


def test_gaps_are_stretches_without_readings_open_ends_too(day: Store) -> None:
    found = ask(day, "gaps", point_id=day.points[0], time_from=T0 - DAY, time_to=T0 + DAY, longest=60 * SECOND)
    assert found == [(T0 - DAY, T0), (T0 + 29_990 * SECOND, T0 + 33_600 * SECOND)]
    assert ask(day, "gaps", point_id=day.points[1], time_from=T0, time_to=T0 + DAY, longest=SECOND) == [(T0, T0 + DAY)]


def test_events_and_numbers_missed_and_dead_letters_are_listed(store: Store) -> None:
    events = [
        EventRecord(store.ours, "error", T0, {"code": 1}),
        EventRecord(store.ours, "sequence_gap", T0 + 1, {"expected": 4, "got": 9}),
    ]
    letter = DeadLetter("t", b"x", "not-json", "detail", T0, store.acme)
    with Committer(store) as c:
        c.commit(events=events, dead_letters=[letter])
    window = {"equipment_id": store.ours, "time_from": T0, "time_to": T0 + SECOND}
    assert [r[0] for r in ask(store, "events", kind=None, max_rows=10, **window)] == ["error", "sequence_gap"]
    assert ask(store, "sequence_gaps", **window) == [(T0 + 1, {"expected": 4, "got": 9})]
    (row,) = ask(store, "dead_letters", tenant_id=None, reason=None, before_id=None, max_rows=10)
    assert row[7] == "not-json"
    with store.api(store.acme) as connection:
        assert load("reading").dead_letter(connection, id=row[0])[6] == b"x"


@pytest.fixture
def registry(store: Store) -> Any:
    documents = {"pump": PUMP}
    with ConnectionPool(store.login(WRITER), min_size=1, max_size=2, open=True) as pool:
        yield Registry(pool, lambda document: documents[document["type"]])


def test_the_registry_is_read_again_only_where_something_changed(store: Store, registry: Registry) -> None:
    first = registry.load()
    assert registry.version() == first.version
    assert registry.load() is first
    assert set(first.equipment[store.ours].points) == {"t1", "t2", "hot"}
    assert first.types["pump"] is PUMP
    registry.register_points(store.ours, ["new", "t1"])
    second = registry.load()
    assert second.version > first.version
    assert set(second.equipment[store.ours].points) == {"t1", "t2", "hot", "new"}
    assert second.equipment[store.theirs] is first.equipment[store.theirs]


def test_unknown_equipment_is_treated_as_its_tenant_wants(store: Store, registry: Registry) -> None:
    tenant = registry.load().tenants[store.acme]
    registry.register_unknown(tenant, "rejected", "pump")
    accept = dataclasses.replace(tenant, unknown_equipment=UnknownEquipmentPolicy.ACCEPT)
    pending = dataclasses.replace(tenant, unknown_equipment=UnknownEquipmentPolicy.PENDING)
    for _ in range(2):
        registry.register_unknown(accept, "accepted", "pump")
        registry.register_unknown(accept, "untyped", None)
        registry.register_unknown(pending, "pending", "pump")
    found = {e.key: e for e in registry.load().equipment.values() if e.tenant_id == store.acme}
    assert set(found) == {"pump-1", "accepted", "untyped", "pending"}
    assert found["accepted"].status is EquipmentStatus.APPROVED
    assert set(found["accepted"].points) == {"t1", "t2", "hot"}
    assert found["untyped"].status is found["pending"].status is EquipmentStatus.PENDING
    with psycopg.connect(store.dsn) as connection:
        waiting = admin.pending_equipment(connection, store.acme)
        assert [row[1] for row in waiting] == ["untyped", "pending"]
        admin.approve_equipment(connection, waiting[0][0], PUMP)
    approved = registry.load().equipment[waiting[0][0]]
    assert (approved.status, approved.type_key, len(approved.points)) == (EquipmentStatus.APPROVED, "pump", 3)


def test_a_new_document_of_a_type_reaches_the_equipment_it_has(store: Store) -> None:
    more = dataclasses.replace(PUMP, version=2, points=(*PUMP.points, PointDef("p", "bearing1", "bar")))
    with psycopg.connect(store.dsn) as connection:
        assert admin.publish_type(connection, PUMP, PUMP_DOCUMENT) is None
        assert admin.publish_type(connection, more, PUMP_DOCUMENT | {"version": 2}) == 2
    assert store.one("SELECT count(*) FROM servitize.point WHERE key = 'p' AND component_id IS NOT NULL") == 2
    assert store.one("SELECT count(*) FROM servitize.equipment_type_history") == 2


def test_a_point_with_readings_keeps_its_unit(store: Store) -> None:
    with Committer(store) as c:
        c.commit([(store.points[0], T0, 1.0, GOOD)])
    kelvin = dataclasses.replace(PUMP, points=(dataclasses.replace(PUMP.points[0], unit="K"), *PUMP.points[1:]))
    assert isinstance(kelvin, EquipmentType)
    with psycopg.connect(store.dsn) as connection, pytest.raises(ConflictError, match="cannot become 'K'"):
        admin.publish_type(connection, kelvin, PUMP_DOCUMENT | {"version": 3})


def test_times_are_exact_both_ways(store: Store) -> None:
    rng = np.random.default_rng(3)
    stamps = [*rng.integers(-2_000_000_000_000_000, 4_000_000_000_000_000, 1000).tolist(), -1, 0, 1, -1_000_001]
    assert store.all("SELECT servitize.to_us(servitize.from_us(u)) - u FROM unnest(%s::bigint[]) u", stamps) == [
        (0,)
    ] * len(stamps)
