"""A database with a history: the demonstration's fleet, its faults and its alarms, without broker or processes.

Frames go from the simulators through the processing core into the writer, in the order in which a host would hand
them over; what devices spoil (refused values, gaps in their numbers) is put in as ingest would have counted it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import psycopg
from psycopg_pool import ConnectionPool

from core import quality
from core.condition import Change, Concern, ConditionTransition, Priority
from core.outcome import CommitUnit, Outcome
from core.registry import RegistrySnapshot
from core.telemetry import DeadLetter, EventRecord, StreamRecord, TelemetryBatch, Tick
from core.time import HOUR, MINUTE, SECOND
from models.types import catalog, from_document, to_document
from runtime.demo.plan import COMPRESSORS, INSTRUMENT_MODES, TRAINS, TYPES, PlannedFault, plan_segment
from simulators.fleet import CompressorTrainFleet, FaultPlan, Frames, MetroTrainFleet
from storage import admin, board_logins
from storage.registry import Registry
from storage.writer import Writer
from stream_processors.pipeline.processor import Processor

START = 1_770_008_400 * SECOND
"""2026-02-02T05:00:00Z: a fixed morning, so that every run has the same rows."""
TENANT = "demo"
OTHER = "elsewhere"
HOURS = 17.0
"""Long enough to learn in, to fail in and to be told of; ends in the evening, with the train in service."""
_BLOCK = 12
"""Frames in one record, per type about two thousand readings."""


@dataclass(frozen=True)
class DemoHistory:
    """Ids of what :func:`install` made."""

    tenant: int
    other: int
    equipment: dict[str, int]
    snapshot: RegistrySnapshot


@dataclass(frozen=True)
class Played:
    """One record of the stream, what the core made of it, and at the end its state."""

    record: StreamRecord
    outcome: Outcome
    state: bytes | None


def install(dsn: str) -> DemoHistory:
    """Types, tenants and machines in a migrated database (``dsn``: its owner). The demonstration's tenant runs the
    platform; another one owns a machine of the same key."""
    with psycopg.connect(dsn) as connection:
        types = catalog()
        for type_ in types.values():
            admin.publish_type(connection, type_, to_document(type_))
        tenant = admin.create_tenant(connection, TENANT, "Demonstration", publisher_clock=True)
        other = admin.create_tenant(connection, OTHER, "Somebody else")
        site = admin.create_site(connection, tenant, "site-1", "Demonstration site")
        ids = {
            key: admin.create_equipment(connection, tenant, key, types[type_key], site_id=site)
            for key, type_key in TYPES.items()
        }
        admin.create_equipment(connection, other, "K-101", types["compressor-train"])
        board_logins.operates(connection, tenant, yes=True)
    with ConnectionPool(dsn, min_size=1, max_size=1) as pool:
        return DemoHistory(tenant, other, ids, Registry(pool, from_document).load())


def play(history: DemoHistory, *, hours: float = HOURS, period_s: int = 120, seed: int = 1) -> list[Played]:
    """What the machines of a history do. The first ten hours are without faults, while baselines are learned."""
    start, end = START, START + round(hours * HOUR)
    faults = plan_segment(seed, 1, start, end, period_s, learned=False).faults
    ids, snapshot = history.equipment, history.snapshot
    groups = [
        _Group(CompressorTrainFleet, COMPRESSORS, seed * 100 + 1, start, period_s, faults, ids, snapshot),
        _Group(MetroTrainFleet, TRAINS, seed * 100 + 51, start, period_s, faults, ids, snapshot),
    ]
    processor = Processor(snapshot)
    played = [Played(record, processor.step(record), None) for record in _records(groups, end, history.tenant, ids)]
    last = played[-1]
    chatter = tuple(_chatter(ids["K-103"], last.record.ticks[0].at))
    outcome = replace(last.outcome, transitions=(*last.outcome.transitions, *chatter))
    return [*played[:-1], Played(last.record, outcome, processor.snapshot())]


def store(dsn: str, writer_dsn: str, api_dsn: str, history: DemoHistory, played: Sequence[Played]) -> None:
    """Into the database, as one stream; then two alarms are acknowledged."""
    writer = Writer(writer_dsn)
    try:
        position = writer.acquire("embedded")
        for offset, one in enumerate(played, position.next_offset):
            writer.commit([CommitUnit("embedded", position.epoch, offset, one.record, one.outcome, None, one.state)])
    finally:
        writer.close()
    with psycopg.connect(api_dsn) as connection:
        connection.execute("SELECT set_config('servitize.tenant', %s, true)", (str(history.tenant),))
        alarms = connection.execute("SELECT id FROM servitize.alarm WHERE active ORDER BY id LIMIT 2").fetchall()
        for (alarm,) in alarms:
            connection.execute("SELECT servitize.operate_alarm(%s, 'acknowledge', 'somebody')", (alarm,))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET ROLE servitize_owner")
        connection.execute("SELECT servitize.sequence_outbox()")
        connection.execute("ANALYZE")


def _chatter(equipment: int, at: int) -> Iterator[ConditionTransition]:
    """An alarm without deadband and delay, on noise."""
    for n in range(4):
        for change, delay in ((Change.RAISED, 0), (Change.CLEARED, 8)):
            yield ConditionTransition(
                equipment,
                component="process",
                condition="process/discharge_pulsation/high",
                change=change,
                at=at - MINUTE + (15 * n + delay) * SECOND,
                priority=Priority.LOW,
                concern=Concern.MACHINE,
                title="discharge pulsation high",
                point="process.discharge_pulsation",
                value=0.21,
                limit=0.2,
            )


class _Group:
    """Machines of one type, and their frames as readings."""

    def __init__(
        self,
        fleet_type: type[CompressorTrainFleet] | type[MetroTrainFleet],
        keys: Sequence[str],
        first_seed: int,
        start: int,
        period_s: int,
        faults: Sequence[PlannedFault],
        ids: dict[str, int],
        snapshot: RegistrySnapshot,
    ) -> None:
        plans = [
            FaultPlan(
                keys.index(fault.equipment),
                fault.place,
                fault.mode,
                fault.onset,
                fault.horizon,
                fault.place if fault.mode in INSTRUMENT_MODES else "",
            )
            for fault in faults
            if fault.equipment in keys
        ]
        seeds = [first_seed + i for i in range(len(keys))]
        self._fleet = fleet_type(seeds, start, period_s, plans, site_mean_c=16.0, sites=[1] * len(keys))
        self._points = np.array(
            [[snapshot.equipment[ids[key]].points[spec.key].id for spec in fleet_type.POINTS] for key in keys], np.int32
        )
        self._decimals = [spec.decimals for spec in fleet_type.POINTS]

    def advance(self) -> Frames:
        return self._fleet.advance(_BLOCK)

    def batch(self, frames: Frames) -> TelemetryBatch:
        values = frames.values
        shape = values.shape
        known = ~np.isnan(values)
        rounded = np.stack([np.round(values[..., i], d) for i, d in enumerate(self._decimals)], axis=-1)
        return TelemetryBatch(
            np.broadcast_to(self._points, shape)[known],
            np.broadcast_to(frames.ts[:, None, None], shape)[known],
            rounded[known],
            np.where(frames.quality_bad, quality.BAD | quality.SENSOR, quality.GOOD)[known].astype(np.uint8),
            int(frames.ts[-1]),
        )


def _records(groups: Sequence[_Group], end: int, tenant: int, ids: dict[str, int]) -> Iterator[StreamRecord]:
    number, next_spoilt = 0, START + HOUR
    while True:
        frames = [group.advance() for group in groups]
        at = int(frames[0].ts[-1])
        batches = [group.batch(frame) for group, frame in zip(groups, frames, strict=True)]
        letters: tuple[DeadLetter, ...] = ()
        events: tuple[EventRecord, ...] = ()
        if at >= next_spoilt:
            letters, events = _spoilt(number, at, tenant, ids)
            next_spoilt += 3 * HOUR
        for i, batch in enumerate(batches):
            last = i == len(batches) - 1
            readings = len(batch) + (len(letters) + len(events) if last else 0)
            counts = {"ingest.messages": 1, "ingest.readings": readings, "ingest.accepted": len(batch)}
            if last and letters:
                counts |= {f"ingest.refused.{letter.reason}": letter.readings for letter in letters}
                counts |= {"ingest.events": len(events), "ingest.sequence_gaps": 1, "ingest.sequence_missing": 3}
            yield StreamRecord(
                batch,
                # time passes when every machine of the block has spoken, or the later ones would be silent meanwhile
                ticks=(Tick(tenant, at),) if last else (),
                events=events if last else (),
                dead_letters=letters if last else (),
                counts=counts,
            )
        number += 1
        if at >= end:
            return


def _spoilt(
    number: int, at: int, tenant: int, ids: dict[str, int]
) -> tuple[tuple[DeadLetter, ...], tuple[EventRecord, ...]]:
    """A value nobody knows, and a message that never came."""
    reason, payload = (
        ("unknown-point", b'{"values":{"oil.colour":3}}'),
        ("not-a-number", b'{"values":{"train.speed":"fast"}}'),
    )[number // 36 % 2]
    letter = DeadLetter(f"servitize/v1/{TENANT}/K-101/telemetry", payload, reason, reason, at, tenant, ids["K-101"])
    gap = EventRecord(ids["T-01"], "sequence_gap", at - MINUTE, {"missing": 3, "after": number})
    return (letter,), (gap,)
