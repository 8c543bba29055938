"""The board's Bode plot: the newest start in the range, a vector over the speed of the same second."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from boards.all import BOARDS
from boards.queries import Range, bind, fetch_now
from core.outcome import CommitUnit
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import StreamRecord, TelemetryBatch
from core.time import HOUR, SECOND
from models.types import catalog
from storage import admin, board_logins
from storage.migrate import WRITER
from storage.writer import Writer
from stream_processors.pipeline import Processor
from tests.integration.storage.conftest import storage_template, store  # noqa: F401 - fixtures
from tests.integration.storage.helpers import Store

pytestmark = [pytest.mark.boards, pytest.mark.integration]

START = 1_767_225_600 * SECOND
CRITICAL, DAMPING = 5_200.0, 0.12


def speeds() -> Any:
    """r/min, once a second: slow roll, two starts of which the second is the one to be seen, running."""
    up = np.linspace(300, 8_800, 90)
    down = np.linspace(8_800, 0, 60)
    return np.concatenate(
        [np.full(60, 300.0), up, np.full(120, 8_800.0), down, np.full(120, 300.0), up, np.full(120, 8_800.0)]
    )


def test_the_newest_start_over_its_speed(store: Store) -> None:  # noqa: F811
    type_ = catalog()["compressor-train"]
    with psycopg.connect(store.dsn) as connection:
        admin.publish_type(connection, type_, {"type": type_.key, "name": type_.name})
        number = admin.create_equipment(connection, store.acme, "K-1", type_)
        rows = connection.execute("SELECT key, id, unit FROM servitize.point WHERE equipment_id = %s", (number,))
        kinds = {p.key: p.definition.kind for p in type_.point_instances()}
        points = {key: PointEntry(point, key, unit, kinds[key]) for key, point, unit in rows}
        login = board_logins.put(connection, store.acme, "look")
    entry = EquipmentEntry(number, store.acme, "K-1", type_.key, EquipmentStatus.APPROVED, points)
    tenant = Tenant(store.acme, "acme", "Acme", future_bound=10**15)
    processor = Processor(RegistrySnapshot(1, {tenant.id: tenant}, {type_.key: type_}, {number: entry}))
    speed = speeds()
    first = np.arange(len(speed)) < 300
    response = (speed / CRITICAL) ** 2 / (1 - (speed / CRITICAL) ** 2 + 2j * DAMPING * speed / CRITICAL)
    values = {
        "train.speed": speed,
        # the start before was five times as bad, and is not shown
        "compressor.rotor.de_x_1x": np.where(first, 50.0, 10.0) * np.abs(response),
        "compressor.rotor.de_x_phase": np.degrees(-np.angle(response)) % 360,
        "process.recycle_valve_position": np.full(len(speed), 100.0),
    }
    ids = np.array([points[name].id for name in values], np.int32)
    ts = START + np.arange(len(speed)) * SECOND
    batch = TelemetryBatch(
        np.tile(ids, len(ts)),
        np.repeat(ts, len(ids)),
        np.stack(list(values.values()), axis=1).ravel(),
        np.full(len(ids) * len(ts), 192, np.uint8),
        int(ts[-1]),
    )
    record = StreamRecord(batch)
    writer = Writer(store.login(WRITER))
    position = writer.acquire("bode")
    writer.commit([CommitUnit("bode", position.epoch, position.next_offset, record, processor.step(record))])
    writer.close()

    board, span = BOARDS["diagnosis"], Range(START - HOUR, START + HOUR)
    seen = {}
    with psycopg.connect(make_conninfo(store.dsn, user=login, password="look")) as connection:
        for key in ("bode_amplitude", "bode_phase"):
            panel = board.panel(key)
            found = fetch_now(connection, panel.query, bind(panel, {"equipment": number, "case": None}, span))
            assert found.columns == ("series", "x", "y")
            seen[key] = np.array([(x, y) for _, x, y in found.rows])
    speed_seen, amplitude = seen["bode_amplitude"].T
    assert len(speed_seen) > 60
    assert (np.diff(speed_seen) >= 0).all()
    top = int(amplitude.argmax())
    assert speed_seen[top] == pytest.approx(CRITICAL / np.sqrt(1 - 2 * DAMPING**2), abs=100)
    assert amplitude[top] == pytest.approx(10 / (2 * DAMPING), rel=0.05)
    lag = np.interp([4_000, CRITICAL, 6_800], *seen["bode_phase"].T)
    assert lag[0] < 40
    assert lag[1] == pytest.approx(90, abs=5)
    assert lag[2] > 140
