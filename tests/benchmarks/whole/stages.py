"""Each stage of the ingest process by itself: CPU-seconds per million readings, without threads, broker and database.

``python -m tests.benchmarks.whole.stages``. Each figure is the least of five, since neighbours only ever add.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from core.equipment import PointKind
from core.outcome import CommitUnit, Outcome
from core.registry import EquipmentEntry, EquipmentStatus, PointEntry, RegistrySnapshot, Tenant
from core.telemetry import StreamRecord
from core.time import SECOND
from formats.native import decode_telemetry
from formats.record import BinaryRecordCodec
from ingest.coalesce import Coalescer
from ingest.intake import Intake
from ingest.ledger import Ledger
from ingest.limits import IngestLimits
from ingest.session import Inbound
from storage.latest import LatestCache
from storage.merge import gather, merge
from storage.packing import pack
from stream_processors.pipeline.processor import Processor
from tests.benchmarks.whole.load import FRAME, TENANT, Pool, Shares, key, rig, topic

START = 1_767_225_600 * SECOND


class NobodyAsks:
    """A registrar for messages whose names are all known."""

    def equipment(self, tenant: Tenant, key: str, type_key: str | None) -> None:
        raise AssertionError(key)

    def points(self, entry: EquipmentEntry, names: Iterable[str]) -> None:
        raise AssertionError(entry.key)


def registry(equipment: int, lateness: int) -> RegistrySnapshot:
    """What the database would tell of so many rigs."""
    kind = rig(lateness)
    entries = {
        number + 1: EquipmentEntry(
            number + 1,
            1,
            key(number),
            kind.key,
            EquipmentStatus.APPROVED,
            {
                point.key: PointEntry(number * FRAME + place + 1, point.key, point.definition.unit, PointKind.MEASURED)
                for place, point in enumerate(kind.point_instances())
            },
        )
        for number in range(equipment)
    }
    return RegistrySnapshot(1, {1: Tenant(1, TENANT, "Benchmark")}, {kind.key: kind}, entries)


def messages(equipment: int, count: int, rate: float, seed: int = 1) -> list[Inbound]:
    """``count`` messages of all equipment in turn, at ``rate`` readings per second; 1 % come three seconds late."""
    shares = Shares()
    pool = Pool(seed, shares.crossing)
    ledger = Ledger()
    found = []
    for number in range(count):
        rig_number = number % equipment
        at = START + int(number * FRAME / rate * SECOND)
        ts = at // 1000 - (3_000 if number % round(1 / shares.late) == 7 else 0)
        payload = b'{"ts":%d,"seq":%d' % (ts, number // equipment + 1) + pool.bodies[number % len(pool.bodies)]
        found.append(Inbound(topic(rig_number), payload, at, ledger.received(number % 65_535 + 1, 1, len(payload))))
    return found


def measure(
    equipment: int = 200, count: int = 20_000, rate: float = 50_000, lateness: int = 2 * SECOND
) -> dict[str, float]:
    """CPU-seconds per million readings by stage."""
    known = registry(equipment, lateness)
    inbound = messages(equipment, count, rate)
    readings = count * FRAME
    cost: dict[str, float] = {}

    def timed(name: str, begin: float) -> None:
        cost[name] = cost.get(name, 0.0) + (time.process_time() - begin) / readings * 1e6

    begin = time.process_time()
    for message in inbound:
        decode_telemetry(message.payload, received_at=message.received_at)
    timed("decode", begin)

    coalescer = Coalescer()
    intake = Intake(known, coalescer, IngestLimits(), NobodyAsks())
    records: list[StreamRecord] = []
    begin = time.process_time()
    for message in inbound:
        intake.message(message)
        if coalescer.due(message.received_at):
            records += [record for record, _ in coalescer.take(message.received_at)]
    timed("intake with decode", begin)

    processor = Processor(known)
    outcomes: list[Outcome] = []
    begin = time.process_time()
    for record in records:
        outcomes.append(processor.step(record))
    timed("core", begin)

    codec = BinaryRecordCodec()
    begin = time.process_time()
    journal = [codec.encode(record) for record in records]
    timed("journal record", begin)
    cost["journal bytes per reading"] = sum(map(len, journal)) / readings

    latest = LatestCache()
    units = [
        CommitUnit("bench", 1, i, r, o, j) for i, (r, o, j) in enumerate(zip(records, outcomes, journal, strict=True))
    ]
    begin = time.process_time()
    for start in range(0, len(units), 4):
        rows, _, _ = merge(gather(tuple(units[start : start + 4])))
        fast = rows.ts > latest.ts_of(rows.point_id)
        pack(rows.take(fast))
        latest.update(rows)
    timed("writer arrays", begin)
    begin = time.process_time()
    processor.snapshot()
    cost["one snapshot, ms"] = (time.process_time() - begin) * 1e3
    cost["readings per record"] = readings / len(records)
    return cost


def main() -> None:
    runs: list[dict[str, Any]] = [measure() for _ in range(5)]
    for name in runs[0]:
        print(f"{name:28s} {min(run[name] for run in runs):8.3f}")


if __name__ == "__main__":
    main()
