"""A train by the API: five hundred codes are one trouble, a search goes step by step, who stands where, kilometres."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from boards.all import BOARDS
from boards.queries import Range, bind, fetch_now
from core import quality
from core.outcome import CommitUnit
from core.parcels import CycleRecord
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import EventRecord, StreamRecord, TelemetryBatch, Tick
from core.time import MINUTE, SECOND, to_datetime
from models.types import catalog, from_document, to_document
from services.api.settings import ApiSettings
from storage import admin, board_logins
from storage.caretaker import roll_up
from storage.writer import Writer
from stream_processors.pipeline import Processor
from tests.integration.api import conftest
from tests.integration.api.conftest import T0, World

pytestmark = pytest.mark.integration

SPAN = {"from": to_datetime(T0 - MINUTE).isoformat(), "to": (to_datetime(T0) + timedelta(hours=2)).isoformat()}


@pytest.fixture(scope="module")
def train(world: World) -> int:
    """An hour of a train: car 3 is changed, a supply fails and takes everything with it, door 5 of car 3 strokes."""
    type_ = catalog()["metro-emu-6"]
    with psycopg.connect(world.owner_dsn) as connection:
        connection.execute(b"SET ROLE servitize_owner")
        admin.publish_type(connection, type_, to_document(type_))
        number = admin.create_equipment(connection, world.a.id, "T-11", type_, name="Train 11")
    rows = world.execute("SELECT key, id FROM servitize.point WHERE equipment_id = %s", [number])
    ids = {str(key): int(point) for key, point in rows}
    world.execute("SELECT servitize.ensure_partitions(%s, %s)", [to_datetime(T0), to_datetime(T0 + 120 * MINUTE)])
    points = {
        p.key: PointEntry(ids[p.key], p.key, p.definition.unit, p.definition.kind) for p in type_.point_instances()
    }
    entry = EquipmentEntry(number, world.a.id, "T-11", type_.key, EquipmentStatus.APPROVED, points)
    processor = Processor(
        RegistrySnapshot(1, {world.a.id: Tenant(world.a.id, "a", "A")}, {type_.key: type_}, {number: entry})
    )
    writer = Writer(world.writer_dsn)
    position = writer.acquire("trains")
    for minute in range(0, 60, 2):
        at = T0 + minute * MINUTE
        values = {"train.mode": 2.0, "train.speed": 40.0, "train.odometer": 1000.0 + minute / 2}
        values["car3.vehicle"] = 613.0 if minute < 30 else 748.0
        batch = TelemetryBatch(
            np.array([ids[k] for k in values], np.int32),
            np.full(len(values), at, np.int64),
            np.array(list(values.values())),
            np.full(len(values), quality.GOOD, np.uint8),
            at,
        )
        numbers = {"mean_current": 1.1 + minute / 1000, "closing_time": 3.1, "reopenings": 0.0, "closed": 1.0}
        cycle = CycleRecord(number, "door_stroke", "car3.door5", at - 4 * SECOND, at, numbers)
        events = _storm(number, at) if minute == 40 else ()
        delay = EventRecord(number, "delay", at, {"minutes": 4, "code": "E701"})
        record = StreamRecord(
            batch, (Tick(world.a.id, at + 10 * SECOND),), (*events, delay) if minute == 42 else events, cycles=(cycle,)
        )
        outcome = processor.step(record)
        writer.commit([CommitUnit("trains", position.epoch, position.next_offset + minute // 2, record, outcome)])
    writer.close()
    return number


def _storm(number: int, at: int) -> tuple[EventRecord, ...]:
    def event(second: float, code: str, component: str) -> EventRecord:
        body = {"code": code, "component": component, "active": True, "environment": {"speed": 61.5}}
        return EventRecord(number, "trouble_code", at + round(second * SECOND), body)

    rest = [event(0.5 + 0.04 * i, "N602", f"car{1 + i % 6}") for i in range(499)]
    return (*reversed(rest), event(0.0, "E701", "car3"))


@pytest.fixture(scope="module")
def api(world: World) -> Iterator[Any]:
    """An API that reads types as the platform does."""
    with conftest.serving(ApiSettings(world.api_dsn, heartbeat=1.0), parse=from_document) as running:
        yield running.known(world.a.keys["all"])


def test_a_storm_of_codes_is_one_trouble_and_one_alarm(api: Any, world: World, train: int) -> None:
    answer = api.get("/v1/equipment/T-11/troubles", params=SPAN).json()
    (trouble,) = answer["items"]
    assert answer["complete"]
    assert trouble["reports"] == 500
    assert trouble["first_out"]["code"] == "E701"
    assert trouble["first_out"]["title"] == "Auxiliary supply lost"
    assert trouble["first_out"]["component"] == "car3"
    assert trouble["environment"] == {"speed": 61.5}
    rows = world.execute(
        "SELECT condition, announced, detail->>'advice' FROM servitize.alarm_journal"
        " WHERE equipment_id = %s AND event = 'raised' AND condition LIKE '%%/code/%%' ORDER BY condition",
        [train],
    )
    assert len(rows) == 7, "a code of a component is one condition"
    assert [row for row in rows if row[1]] == [("car3/code/E701", True, "withdraw")]


def test_a_search_by_code_shows_the_values_that_answer(api: Any, train: int) -> None:
    first = api.get("/v1/equipment/T-11/codes/D101", params={"component": "car3.door5"}).json()
    assert (first["step"], first["do"]) == ("repeats", None)
    assert {look["point"] for look in first["look"]} <= {"car3.door5.not_closed", "car3.door5.strokes"}
    leaf = api.get("/v1/equipment/T-11/codes/D101", params={"component": "car3.door5", "answers": "yes"}).json()
    assert leaf["ask"].startswith("Does the leaf")
    assert [(look["point"], look["value"]) for look in leaf["look"] if look["point"].endswith("closing_time")] == [
        ("car3.door5.closing_time", 3.1)
    ]
    end = api.get("/v1/equipment/T-11/codes/D101", params={"component": "car3.door5", "answers": "yes,no"}).json()
    assert (end["do"], end["failure_mode"]) == ("Clean the guide, look at rollers and seal.", "door_friction")
    assert api.get("/v1/equipment/T-11/codes/D101", params={"answers": "yes,no,no"}).status_code == 400
    assert api.get("/v1/equipment/T-11/codes/D101", params={"answers": "maybe"}).status_code == 422
    assert api.get("/v1/equipment/T-11/codes/Z9").status_code == 404


def test_who_stood_where(api: Any, train: int) -> None:
    answer = api.get("/v1/equipment/T-11/configuration", params=SPAN).json()
    assert [(v["place"], v["vehicle"]) for v in answer["vehicles"]] == [("car3", 613), ("car3", 748)]


def test_kilometres_between_failures_and_minutes_of_delay(api: Any, train: int) -> None:
    answer = api.get("/v1/trains", params=SPAN).json()
    (figures,) = answer["trains"]
    assert figures["equipment"]["key"] == "T-11"
    assert figures["km"] == pytest.approx(29.0)
    assert (figures["withdrawals"], figures["mdbf_km"]) == (1, pytest.approx(29.0))
    assert figures["delay_minutes"] == 4.0
    assert figures["cycles"] == 30
    assert answer["mdbf_km"] == pytest.approx(29.0)


@pytest.fixture(scope="module")
def look(world: World, train: int) -> Iterator[psycopg.Connection[Any]]:
    """As the boards look: a login of one tenant."""
    with psycopg.connect(world.owner_dsn) as connection:
        name = board_logins.put(connection, world.a.id, "look")
    with psycopg.connect(world.writer_dsn, autocommit=True) as connection:
        roll_up(connection, everything=True)
    with psycopg.connect(make_conninfo(world.owner_dsn, user=name, password="look")) as connection:
        yield connection


@pytest.mark.parametrize("board", ["train_health", "trains"])
def test_its_boards_show_it(board: str, look: psycopg.Connection[Any], train: int) -> None:
    span = Range(T0 - MINUTE, T0 + 120 * MINUTE)
    shown = {
        panel.key: fetch_now(look, panel.query, bind(panel, {"equipment": train}, span)).mappings()
        for panel in BOARDS[board].panels
    }
    if board == "trains":
        (figures,) = shown["figures"]
        assert (figures["trains"], figures["failures"], figures["delay"]) == (1, 1, 4.0)
        assert figures["mdbf"] == pytest.approx(29.0)
        (row,) = shown["trains"]
        assert (row["withdraw"], row["end_of_day"], row["odometer"]) == (1, 0, 1029.0)
        assert {cell["row"] for cell in shown["subsystems"]} >= {"door", "bearing", "brake"}
    else:
        (trouble,) = shown["troubles"]
        assert (trouble["code"], trouble["reports"], trouble["codes"]) == ("E701", 500, 7)
        assert [(v["place"], v["vehicle"]) for v in shown["configuration"]] == [("Car 3", 613), ("Car 3", 748)]
        assert shown["header"][0]["state"] == "line"
    (advice,) = shown["advice"]
    assert (advice["advice"], advice["title"]) == ("withdraw", "Car 3: Auxiliary supply lost (E701)")
