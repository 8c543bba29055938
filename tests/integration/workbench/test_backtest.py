"""History looked back upon says what was said in life: same rules, same pipeline, read from the tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg_pool import ConnectionPool

from core.equipment import PointKind
from core.errors import NotFoundError
from core.outcome import CommitUnit
from core.registry import RegistrySnapshot
from core.telemetry import StreamRecord, TelemetryBatch, Tick
from core.time import HOUR, SECOND, isoformat
from models.types import catalog, from_document, to_document
from simulators.contract import FaultPlan
from simulators.fleet import CompressorTrainFleet, MetroTrainFleet
from storage import admin
from storage import models as model_registry
from storage.migrate import WRITER, migrate
from storage.registry import Registry
from storage.writer import Writer
from stream_processors.pipeline import Processor
from tests.conftest import DatabaseFactory
from tests.support.logins import PASSWORDS
from workbench.backtest.command import Answer, Question, backtest_command, run
from workbench.backtest.verdict import Failure
from workbench.train.normal import Wanted, train_normal

START = 1_700_000_000 * SECOND
FLEETS = {
    "compressor-train": CompressorTrainFleet(
        [1, 2], START, 30,
        [FaultPlan(0, "lube_oil.filter", "filter_clogging", START + 2 * HOUR, 2 * HOUR),
         FaultPlan(1, "gearbox.temperature_hs", "open_circuit", START + 3 * HOUR, HOUR)],
    ),
    "metro-train-6": MetroTrainFleet(
        [3], START, 30,
        [FaultPlan(0, MetroTrainFleet.FAULTS["hot_box"].components[0], "hot_box", START + 2 * HOUR, HOUR)],
    ),
}  # fmt: skip
HOURS = 5


@pytest.fixture(scope="module")
def lived(database_factory: DatabaseFactory) -> str:
    """A database in which three machines ran for five hours, watched as they ran; the owner's DSN."""
    database = database_factory()
    migrate(database.dsn, PASSWORDS)
    with psycopg.connect(database.dsn) as connection:
        tenant = admin.create_tenant(connection, "acme", "Acme", publisher_clock=True)
        for key, fleet in FLEETS.items():
            admin.publish_type(connection, catalog()[key], to_document(catalog()[key]))
            for unit in range(fleet.units):
                admin.create_equipment(connection, tenant, f"{key}-{unit}", catalog()[key])
    with ConnectionPool(database.dsn, min_size=1, max_size=1, open=True) as pool:
        registry = Registry(pool, from_document).load()
    live(database.dsn, registry, tenant)
    return database.dsn


def live(dsn: str, registry: RegistrySnapshot, tenant: int) -> None:
    """In records of two minutes, a tick each, as a stream brings them."""
    writer = Writer(psycopg.conninfo.make_conninfo(dsn, user=WRITER, password=PASSWORDS[WRITER]))
    try:
        position = writer.acquire("life")
        processor = Processor(registry)
        for offset in range(HOURS * 30):
            batch = TelemetryBatch.concatenate([next_minutes(registry, key) for key in FLEETS], 0)
            record = StreamRecord(batch, (Tick(tenant, int(batch.ts.max())),))
            writer.commit([CommitUnit("life", position.epoch, offset, record, processor.step(record))])
    finally:
        writer.close()


def next_minutes(registry: RegistrySnapshot, type_key: str) -> TelemetryBatch:
    fleet = FLEETS[type_key]
    frames = fleet.advance(4)
    mine = sorted((e for e in registry.equipment.values() if e.type_key == type_key), key=lambda e: e.key)
    ids = np.array([[e.points[spec.key].id for spec in fleet.POINTS] for e in mine], np.int32)
    there = ~np.isnan(frames.values)
    return TelemetryBatch(
        np.broadcast_to(ids, there.shape)[there],
        np.broadcast_to(frames.ts[:, None, None], there.shape)[there],
        frames.values[there],
        np.where(frames.quality_bad, 0x08, 0xC0).astype(np.uint8)[there],
        int(frames.ts[-1]),
    )


@pytest.fixture(scope="module")
def answer(lived: str) -> Answer:
    return run(lived, Question("acme", (), None, None))


def test_it_finds_exactly_what_was_raised_in_life(lived: str, answer: Answer) -> None:
    assert len(answer.live) >= 3
    assert answer.raised == answer.live
    assert {a.component for a in answer.alarms} >= {"lube_oil.filter"}
    assert answer.equipment == 3
    with psycopg.connect(lived) as connection:
        measured = connection.execute(
            "SELECT count(*) FROM servitize.reading r JOIN servitize.point p ON p.id = r.point_id WHERE p.kind = %s",
            (PointKind.MEASURED.value,),
        ).fetchone()
    assert measured == (answer.readings,)


def test_two_processes_find_the_same(lived: str, answer: Answer) -> None:
    both = run(lived, Question("acme", (), None, None), jobs=2)
    assert (both.raised, both.alarms, both.readings) == (answer.raised, answer.alarms, answer.readings)


def test_a_part_of_it_learns_from_what_came_before(lived: str, answer: Answer) -> None:
    alarmed = min(at for equipment, _, at in answer.raised if equipment == "compressor-train-0")
    part = run(lived, Question(None, ("compressor-train-0",), alarmed - 60 * SECOND, alarmed + HOUR))
    assert part.raised == {
        r for r in answer.raised if r[0] == "compressor-train-0" and alarmed - 60 * SECOND <= r[2] < alarmed + HOUR
    }


def test_nothing_is_written(lived: str) -> None:
    def contents() -> list[tuple[int, ...]]:
        with psycopg.connect(lived) as connection:
            return [
                connection.execute(f"SELECT count(*) FROM servitize.{table}").fetchone() or ()
                for table in ("reading", "condition_transition", "alarm", "health_history", "stream_position")
            ]

    before = contents()
    run(lived, Question(None, ("metro-train-6-0",), None, None))
    assert contents() == before


def test_tighter_limits_are_tried_on_history(lived: str) -> None:
    document = dict(to_document(catalog()["compressor-train"]))
    document["limits"] = [{"key": "tight", "point": "train.speed", "high": 1, "deadband": 0, "priority": "low"}]
    types = {"compressor-train": from_document(document)}
    answer = run(lived, Question(None, ("compressor-train-0",), None, None, types=types))
    assert any(condition.endswith("/tight") for _, condition, _ in answer.raised)


def test_a_model_that_one_asks_for_speaks(lived: str, answer: Answer) -> None:
    """Learned from the same history with limits that everybody passes: it must have something to say."""
    sensors = ("compressor.journal_de.temperature", "compressor.journal_nde.temperature", "lube_oil.supply_temperature")
    sensitive = {"settle_s": 600.0, "smooth_s": 300.0, "on_s": 0.0, "calibrate": False, "t_limit": 0.3, "q_limit": 0.3}
    wanted = Wanted("compressor-train", ("train.speed",), sensors, parameters=sensitive)
    with psycopg.connect(lived) as connection:
        name, version, metrics = train_normal(connection, lived, wanted, key=b"k", actor="ada")
        assert name == "normal/compressor-train"
        assert metrics["machines"] == 2.0
        learned_from = model_registry.stored(connection, name)[0].calibration["reference"]
        assert "lube_oil.supply_temperature" in learned_from
    asked = Question(None, ("compressor-train-0",), None, None, models=((name, version),), model_key="k")
    with_model = run(lived, asked)
    own = {r for r in with_model.raised if f"/{name}" in r[1]}
    assert own
    alone = run(lived, replace(asked, models=()))
    assert with_model.raised - own == alone.raised == {r for r in answer.raised if r[0] == "compressor-train-0"}
    assert run(lived, replace(asked, models=None)).raised == alone.raised, "a candidate does not speak by itself"
    with pytest.raises(NotFoundError, match="no version 9"):
        run(lived, replace(asked, models=((name, 9),)))


def test_the_command_judges_by_known_failures(lived: str, capsys: pytest.CaptureFixture[str]) -> None:
    broke = START + 4 * HOUR + 55 * 60 * SECOND
    failures = [
        Failure("compressor-train-0", broke, "lube_oil.filter"),
        Failure("metro-train-6-0", broke, "car1.doors"),
    ]
    prices = {"missed": 100.0, "foreseen": 10.0, "false": 1.0}
    code = backtest_command(lived, Question(None, (), None, None), failures=failures, prices=prices, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert said["to"] > isoformat(broke)
    assert said["as_live"]["only_backtest"] == said["as_live"]["only_live"] == []
    verdict = said["verdict"]
    assert (verdict["failures"], verdict["foreseen"], verdict["recall"]) == (2, 1, 0.5)
    assert verdict["cost"] == 110.0 + verdict["false_alarms"]
    part = Question(None, ("compressor-train-0",), START + 4 * HOUR, None, warm_up=HOUR)
    assert backtest_command(lived, part, failures=failures) == 0
    assert "times real time" in capsys.readouterr().out


def test_what_is_not_there_is_said(lived: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="K-404"):
        run(lived, Question(None, ("K-404",), None, None))
