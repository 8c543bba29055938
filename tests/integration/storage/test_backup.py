"""A backup taken while readings and alarms pour in is one moment: restored, its ledger agrees with itself."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from core.errors import ConflictError, InvalidInputError, ServitizeError
from core.outcome import CommitUnit
from core.telemetry import DeadLetter, EventRecord, StreamRecord, TelemetryBatch
from formats.record import BinaryRecordCodec
from runtime.backup import make_backup, restore_backup
from runtime.bootstrap import KEPT_SECRETS
from runtime.local.access import AccessBook, DeviceCredential
from runtime.local.accounts import service_account
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from runtime.steps import StepDone, Steps
from storage.consistency import examine
from storage.migrate import WRITER, migrate
from storage.writer import Writer
from stream_processors.pipeline import Processor
from tests.conftest import clean_environ, short_directory
from tests.faults.fleet import FRAME, TENANT, Run, point_ids, press

pytestmark = pytest.mark.integration

FAST = {"fsync": "off", "full_page_writes": "off", "max_connections": "30"}


class Instance:
    """A data directory with a database of its own, as `servitize up` would leave it."""

    def __init__(self, root: Path) -> None:
        self.data = DataDirectory(root, service_account(clean_environ()))

    def database(self) -> LocalPostgres:
        return LocalPostgres(self.data, settings=FAST, environ=clean_environ())


@pytest.fixture
def make_instance() -> Iterator[Any]:
    import shutil

    made: list[Path] = []

    def make() -> Instance:
        made.append(short_directory())
        return Instance(made[-1])

    yield make
    for root in made:
        shutil.rmtree(root, ignore_errors=True)


def record_of(run: Run, ids: NDArray[np.int32], second: int) -> StreamRecord:
    """What all machines send in one second: readings, and of one machine a gap in its numbering and a refusal."""
    batch = TelemetryBatch(
        ids.ravel(),
        np.repeat(np.array([run.ts(second, m) for m in range(10)], np.int64), FRAME),
        run.values[second].ravel(),
        np.full(ids.size, 0xC0, np.uint8),
        0,
    )
    gap = EventRecord(1, "sequence_gap", run.ts(second, 0), {"first": second, "last": second, "missing": 1})
    letter = DeadLetter("t", str(second).encode(), "unknown-point", "", 0, 1, 1)
    counts = {"ingest.readings": len(batch) + 1, "ingest.accepted": len(batch), "ingest.refused.unknown-point": 1}
    return StreamRecord(batch, events=(gap,), dead_letters=(letter,), counts=counts)


class Traffic:
    """Commits a run unit by unit until told to stop, with journal and now and then a snapshot."""

    def __init__(self, dsn: str, registry: Any) -> None:
        self.run = Run(3, machines=10, seconds=4_000)
        self._dsn, self._registry = dsn, registry
        self._stop = threading.Event()
        self.committed = 0
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        writer, codec, processor = Writer(self._dsn), BinaryRecordCodec(), Processor(self._registry)
        position, ids = writer.acquire("embedded"), point_ids(self._registry, 10)
        offset = position.next_offset
        for second in range(self.run.seconds):
            if self._stop.is_set():
                break
            record = record_of(self.run, ids, second)
            batch = record.batch
            outcome = processor.step(record)
            state = processor.snapshot() if second % 20 == 19 else None
            unit = CommitUnit("embedded", position.epoch, offset, record, outcome, codec.encode(record), state)
            writer.commit([unit])
            offset += 1
            self.committed += len(batch)
        writer.close()


def registry_of(dsn: str) -> Any:
    from psycopg_pool import ConnectionPool

    from models.types import from_document
    from storage.registry import Registry

    with ConnectionPool(dsn, min_size=1, max_size=1, open=True) as pool:
        return Registry(pool, from_document).load()


def populate(postgres: LocalPostgres) -> None:
    from models.types import to_document
    from storage import admin

    migrate(postgres.dsn(), {WRITER: postgres.password(WRITER), "servitize_api": postgres.password("servitize_api")})
    type_ = press()
    with psycopg.connect(postgres.dsn()) as connection:
        admin.publish_type(connection, type_, to_document(type_))
        tenant = admin.create_tenant(connection, TENANT, "Acme")
        for machine in range(10):
            admin.create_equipment(connection, tenant, f"press-{machine}", type_)


def steps(into: list[StepDone] | None = None) -> Steps:
    return Steps((into if into is not None else []).append)


@pytest.mark.slow
def test_a_backup_under_load_restores_to_a_consistent_state(
    make_instance: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make_instance(), make_instance()
    file = tmp_path / "monday.backup"
    with one.data, one.database() as postgres:
        populate(postgres)
        one.data.write_private(one.data.directory("secrets") / f"api-key-{TENANT}", "sv_key")
        kept = {name: one.data.secret(name) for name in KEPT_SECRETS}
        AccessBook(one.data).put([DeviceCredential("press-7", "press-7", "open-sesame-7731", ("a/#",), ())])
        monkeypatch.setattr("runtime.backup._owner_dsn", _given(postgres.dsn()))
        with Traffic(postgres.dsn(WRITER), registry_of(postgres.dsn(WRITER))) as traffic:
            while traffic.committed < 20_000:
                time.sleep(0.02)
            before = traffic.committed
            done = make_backup(one.data, file, steps(), lambda text: None)
            after = traffic.committed
        monkeypatch.undo()
        assert before <= done.readings  # at least what was there when it began …
        assert after > before  # … while more came
        assert file.stat().st_mode & 0o777 == 0o600
        assert b"open-sesame" not in file.read_bytes()
    told: list[StepDone] = []
    restored = restore_backup(two.data, file, force=False, steps=steps(told), say=lambda text: None)
    print(
        f"backup of {done.readings} readings: {done.bytes} bytes in {done.seconds} s, restored in {restored.seconds} s"
    )
    assert restored.bytes == done.bytes
    assert restored.problems == ()
    assert restored.readings >= done.readings  # derived ones too
    assert [step.name for step in told] == ["check", "database", "tables", "consistency", "access"]
    with two.data, two.database() as postgres:
        assert examine(postgres.dsn()).holds
        _goes_on(postgres, traffic.run)
    assert AccessBook(two.data).entries()["press-7"].matches("open-sesame-7731")
    assert (two.data.root / "secrets" / f"api-key-{TENANT}").read_text() == "sv_key"
    assert {name: two.data.secret(name) for name in KEPT_SECRETS} == kept  # devices' passwords can be derived again

    with pytest.raises(ConflictError, match="in use"):
        restore_backup(two.data, file, force=False, steps=steps(), say=lambda text: None)
    again = restore_backup(two.data, file, force=True, steps=steps(), say=lambda text: None)
    assert (again.readings, again.problems) == (restored.readings, ())

    broken = tmp_path / "broken.backup"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    broken.write_bytes(content)
    with pytest.raises(ServitizeError):
        restore_backup(two.data, broken, force=True, steps=steps(), say=lambda text: None)
    with two.data, two.database() as postgres:  # what was there before is there still
        assert examine(postgres.dsn()).readings == restored.readings


def _given(dsn: str) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def owner(data: DataDirectory) -> Iterator[str]:
        yield dsn

    return owner


def _goes_on(postgres: LocalPostgres, run: Run) -> None:
    """The restored stream continues where the backup's moment was: snapshot and journal are of that moment. What the
    broker delivers again of the time before it is recognised, what is new is stored, and everything still agrees."""
    registry = registry_of(postgres.dsn(WRITER))
    writer = Writer(postgres.dsn(WRITER))
    position = writer.acquire("embedded")
    assert position.snapshot is not None
    processor = Processor.restore(position.snapshot, registry)
    codec, ids = BinaryRecordCodec(), point_ids(registry, 10)
    transitions = [t for _, data in position.journal for t in processor.step(codec.decode(data)).transitions]
    before = examine(postgres.dsn())
    place = position.next_offset
    assert 20 <= place < run.seconds - 20
    for offset, second in enumerate(range(place - 20, place + 20), place):
        record = record_of(run, ids, second)
        unit = CommitUnit("embedded", position.epoch, offset, record, processor.step(record), codec.encode(record))
        report = writer.commit([unit])
        if second < place:  # delivered again
            assert (report.stored, report.conflicts) == (0, 0)
        else:
            assert report.stored >= ids.size
    writer.close()
    after = examine(postgres.dsn())
    assert after.problems == ()
    assert after.counters["storage.duplicates"] - before.counters.get("storage.duplicates", 0) == 20 * ids.size
    with psycopg.connect(postgres.dsn()) as connection:
        known = {
            (row[0], row[1], row[2])
            for row in connection.execute(
                "SELECT equipment_id, condition, servitize.to_us(at) FROM servitize.condition_transition"
            )
        }
        doubled = connection.execute(
            "SELECT count(*) - count(DISTINCT (point_id, ts)) FROM servitize.reading"
        ).fetchone()
    assert doubled == (0,)
    assert {(t.equipment_id, t.condition, t.at) for t in transitions} <= known


@pytest.mark.parametrize(
    ("manifest", "what"),
    [
        (None, "no backup of servitize"),
        ({"format": "other", "version": 1}, "backup of version 1"),
        ({"format": "servitize-backup", "version": 9}, "backup of version 9"),
        ({"format": "servitize-backup", "version": 1, "migrations": [["9999_later", "x"]]}, "newer version"),
        ({"format": "servitize-backup", "version": 1, "migrations": [["0001_tenants", "x"]]}, "another text"),
    ],
)
def test_what_this_version_cannot_restore_is_refused_first(
    make_instance: Any, tmp_path: Path, manifest: Any, what: str
) -> None:
    file, content = tmp_path / "some.backup", io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("readme", "hello")
        if manifest is not None:
            archive.writestr("manifest.json", json.dumps(manifest))
    file.write_bytes(content.getvalue())
    with pytest.raises((InvalidInputError, ConflictError), match=what):
        restore_backup(make_instance().data, file, force=True, steps=steps(), say=lambda text: None)
