"""A thousand waveforms of 16,384 samples from bytes to tables: decoded, named, featured, stored.

``python -m pytest tests/benchmarks/bench_waveforms.py -s``. Processor time is this process's; the database's comes on
top of the wall time only.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import psycopg

from core.outcome import CommitUnit
from core.parcels import Channel
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.time import SECOND
from formats.decoded import WaveformMessage
from formats.waveform import encode_int16
from ingest.coalesce import Coalescer
from ingest.intake import Intake
from ingest.ledger import Ledger
from ingest.limits import IngestLimits
from ingest.session import Inbound
from models.types import catalog
from storage import admin
from storage.migrate import WRITER
from storage.writer import Writer
from stream_processors.pipeline import Processor
from tests.integration.storage.helpers import Store

WAVEFORMS = 1_000
SAMPLES = 16_384
RATE = 25_600.0
START = 1_767_225_600 * SECOND


class _Nobody:
    def equipment(self, *_: object) -> None: ...

    def points(self, *_: object) -> None: ...


def test_a_thousand_waveforms(durable_store: Store) -> None:
    type_ = catalog()["compressor-train"]
    with psycopg.connect(durable_store.dsn) as connection:
        admin.publish_type(connection, type_, {"type": type_.key, "name": type_.name})
        number = admin.create_equipment(connection, durable_store.acme, "K-1", type_)
        rows = connection.execute("SELECT key, id, unit FROM servitize.point WHERE equipment_id = %s", (number,))
        kinds = {p.key: p.definition.kind for p in type_.point_instances()}
        points = {key: PointEntry(point, key, unit, kinds[key]) for key, point, unit in rows}
    entry = EquipmentEntry(number, durable_store.acme, "K-1", type_.key, EquipmentStatus.APPROVED, points)
    tenant = Tenant(durable_store.acme, "acme", "Acme", future_bound=10**15)
    registry = RegistrySnapshot(1, {tenant.id: tenant}, {type_.key: type_}, {number: entry})
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (1, SAMPLES + WAVEFORMS)).astype(np.float32)
    channels = (Channel("motor_de", "m/s2"),)
    payloads = [
        encode_int16(
            WaveformMessage(START + n * SECOND, RATE, channels, noise[:, n : n + SAMPLES], speed=10_700.0, load=90.0)
        )
        for n in range(WAVEFORMS)
    ]
    coalescer, ledger = Coalescer(), Ledger()
    ledger.new_connection()
    intake = Intake(registry, coalescer, IngestLimits(), _Nobody())
    processor, writer = Processor(registry), Writer(durable_store.login(WRITER))
    position = writer.acquire("bench")
    offset, featured = position.next_offset, 0
    cpu, begin = time.process_time(), time.perf_counter()
    for n, payload in enumerate(payloads):
        handle = ledger.received(n + 1, 1, len(payload))
        intake.message(Inbound("servitize/v1/acme/K-1/waveform", payload, START + n * SECOND, handle))
        if coalescer.due(START + n * SECOND) or n == WAVEFORMS - 1:
            for record, _ in coalescer.take(START + n * SECOND):
                outcome = processor.step(record)
                featured += len(outcome.derived)
                writer.commit([CommitUnit("bench", position.epoch, offset, record, outcome)])
                offset += 1
    wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    writer.close()
    stored = durable_store.one("SELECT count(*) FROM servitize.waveform")
    size = durable_store.one("SELECT sum(length(data)) FROM servitize.waveform")
    assert stored == WAVEFORMS
    figures = {
        "waveforms": stored,
        "samples": SAMPLES,
        "features": featured,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "bytes_per_sample": round(float(size) / (stored * SAMPLES), 2),
    }
    Path("build").mkdir(exist_ok=True)
    Path("build/bench-waveforms.json").write_text(json.dumps(figures, indent=1))
    print(figures)
