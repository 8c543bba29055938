"""A database with a history: the demonstration's fleet, its faults and its alarms, without broker or processes.

Frames go from the simulators through the processing core into the writer, in the order in which a host would hand
them over; what devices spoil (refused values, gaps in their numbers) is put in as ingest would have counted it. Beside
the demonstration's own machines there is a train of the class that hands over records of its cycles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg_pool import ConnectionPool

from core import quality
from core.condition import Change, Concern, ConditionTransition, Priority
from core.learned import Drift, ModelScore, Prognosis
from core.outcome import CommitUnit, Outcome
from core.parcels import CycleRecord, Waveform
from core.registry import RegistrySnapshot
from core.telemetry import DeadLetter, EventRecord, StreamRecord, TelemetryBatch, Tick
from core.time import DAY, HOUR, MINUTE, SECOND
from formats.decoded import WaveformMessage
from ingest.parcels import Parcels
from models.types import catalog, from_document, to_document
from runtime.demo.plan import COMPRESSORS, EXCAVATORS, INSTRUMENT_MODES, TRAINS, TYPES, PlannedFault, plan_segment
from simulators.contract import PointSpec
from simulators.excavator.fleet import ExcavatorFleet
from simulators.fleet import CompressorTrainFleet, FaultPlan, Frames, MetroTrainFleet
from simulators.metro.emu import EventTrainFleet
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
EVENT_TRAIN = "T-11"
MACHINES = TYPES | {EVENT_TRAIN: "metro-emu-6"}
_BLOCK = 12
"""Frames in one record, per type about two thousand readings."""
_LATE = 31
"""Blocks after which the event train is there: late, since its air is looked at every ten seconds, and yet long enough
before the end to learn what its axle boxes and converters are like."""
_OFTEN = 12
"""Its frames to one of the others."""
WAVEFORMS_OF = "K-102"
"""The compressor train whose motor bearing wears, and which stops and starts again in the evening."""
MODELLED = "K-103"
"""The compressor train of which models speak: what they would have said is written down, since none is learned here."""
_TAKEN = 5
"""Blocks between two of its waveforms."""


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
            for key, type_key in MACHINES.items()
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
    storm = FaultPlan(0, "car3", "auxiliary_supply", end - HOUR, HOUR)
    compressors = CompressorTrainFleet(
        [seed * 100 + 1 + i for i in range(len(COMPRESSORS))], start, period_s, _plans(faults, COMPRESSORS),
        site_mean_c=16.0, sites=[1] * len(COMPRESSORS),
    )  # fmt: skip
    trains = MetroTrainFleet([seed * 100 + 51], start, period_s, _plans(faults, TRAINS), site_mean_c=16.0, sites=[1])
    late = start + _LATE * _BLOCK * period_s * SECOND
    events = EventTrainFleet([seed * 100 + 76], late, period_s // _OFTEN, [storm], site_mean_c=16.0, sites=[1])
    groups = [
        _Group(compressors, COMPRESSORS, ids, snapshot),
        _Group(trains, TRAINS, ids, snapshot),
        _Group(ExcavatorFleet([seed * 100 + 91], start, period_s), EXCAVATORS, ids, snapshot),
        _EventTrain(events, (EVENT_TRAIN,), ids, snapshot),
    ]
    processor = Processor(snapshot)
    played = [Played(record, processor.step(record), None) for record in _records(groups, end, history.tenant, ids)]
    last = played[-1]
    chatter = tuple(_chatter(ids["K-103"], last.record.ticks[0].at))
    learned = _learned(history, last.record.ticks[0].at)
    outcome = replace(
        last.outcome,
        transitions=(*last.outcome.transitions, *chatter),
        derived=TelemetryBatch.concatenate([last.outcome.derived, learned], last.record.ticks[0].at),
        prognoses=(*last.outcome.prognoses, *_lives(ids[MODELLED], start, end)),
        scores=(*last.outcome.scores, *_distances(ids[MODELLED], start, end)),
        drifts=(*last.outcome.drifts, *_drifts(ids[MODELLED], end)),
    )
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


def _learned(history: DemoHistory, at: int) -> TelemetryBatch:
    """What of the event train takes longer to learn than the history lasts: what its doors and compressors are like."""
    points = history.snapshot.equipment[history.equipment[EVENT_TRAIN]].points
    doors = [point.id for key, point in points.items() if key.endswith(".friction")]
    air = [point.id for key, point in points.items() if key.endswith(".delivery_share")]
    values = np.concatenate([np.linspace(0.9, 1.1, len(doors)), np.linspace(98.0, 101.0, len(air))])
    ids = np.array([*doors, *air], np.int32)
    return TelemetryBatch(
        ids, np.full(len(ids), at - MINUTE, np.int64), values, np.full(len(ids), quality.GOOD, np.uint8), at
    )


def _lives(equipment: int, start: int, end: int) -> Iterator[Prognosis]:
    """Of the filter, every ten minutes: the band closes in, and an hour of running takes an hour of it. A challenger
    says half as much."""
    for at in range(start, end, 10 * MINUTE):
        left = 900.0 - (at - start) / HOUR
        width = 0.4 - 0.2 * (at - start) / (end - start)
        for version, champion, share in ((3, True, 1.0), (4, False, 0.5)):
            p10, p50, p90 = (share * left * (1 + way * width) for way in (-1, 0, 1))
            dates = tuple(at + round(p * HOUR) for p in (p10, p50, p90))
            yield Prognosis(
                equipment, "lube_oil.filter", at, "remaining-life/compressor-train", version, champion,
                p10, p50, p90, "h", 2000.0, (dates[0], dates[1], dates[2]),
            )  # fmt: skip


def _distances(equipment: int, start: int, end: int) -> Iterator[ModelScore]:
    """From normal to its edge, by the filter's pressure more than by anything else."""
    shares = {"lube_oil.filter.differential_pressure": 0.71, "lube_oil.header_pressure": 0.18}
    for at in range(start, end, HOUR):
        distance = 0.3 + 0.6 * (at - start) / (end - start)
        yield ModelScore(
            equipment, "", at, "normal/compressor-train", 2, True, round(distance, 4), contributions=shares
        )


def _drifts(equipment: int, end: int) -> Iterator[Drift]:
    moved = {"train.ambient_temperature": 0.17}
    yield Drift(equipment, "normal/compressor-train", 2, True, end - 7 * DAY, end, 0.17, False, moved)


def _plans(faults: Sequence[PlannedFault], keys: Sequence[str]) -> list[FaultPlan]:
    return [
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


class _Fleet(Protocol):
    @property
    def POINTS(self) -> tuple[PointSpec, ...]: ...

    def advance(self, periods: int) -> Frames: ...


@dataclass(frozen=True)
class _Block:
    """What the machines of a group say in one block of time."""

    batch: TelemetryBatch
    waveforms: tuple[Waveform, ...] = ()
    cycles: tuple[CycleRecord, ...] = ()
    events: tuple[EventRecord, ...] = ()


class _Group:
    """Machines of one type, and their frames as readings."""

    def __init__(self, fleet: _Fleet, keys: Sequence[str], ids: dict[str, int], snapshot: RegistrySnapshot) -> None:
        self._fleet, self._snapshot = fleet, snapshot
        self._ids = [ids[key] for key in keys]
        self._points = np.array(
            [[snapshot.equipment[number].points[spec.key].id for spec in fleet.POINTS] for number in self._ids],
            np.int32,
        )
        self._decimals = [spec.decimals for spec in fleet.POINTS]

    def block(self, number: int) -> _Block | None:
        """The next; None where the machines are not there yet."""
        frames = self._fleet.advance(_BLOCK)
        return _Block(self._batch(frames, ~np.isnan(frames.values)), self._waveforms(frames, number))

    def _batch(self, frames: Frames, known: NDArray[np.bool_]) -> TelemetryBatch:
        values = frames.values
        shape = values.shape
        rounded = np.stack([np.round(values[..., i], d) for i, d in enumerate(self._decimals)], axis=-1)
        return TelemetryBatch(
            np.broadcast_to(self._points, shape)[known],
            np.broadcast_to(frames.ts[:, None, None], shape)[known],
            rounded[known],
            np.where(frames.quality_bad, quality.BAD | quality.SENSOR, quality.GOOD)[known].astype(np.uint8),
            int(frames.ts[-1]),
        )

    def _waveforms(self, frames: Frames, number: int) -> tuple[Waveform, ...]:
        """Of one compressor every two hours, as ingest would have taken them."""
        if number % _TAKEN or not isinstance(self._fleet, CompressorTrainFleet):
            return ()
        unit = COMPRESSORS.index(WAVEFORMS_OF)
        taken: list[WaveformMessage] = self._fleet.waveforms(frames, len(frames.ts) - 1, unit)
        entry = self._snapshot.equipment[self._ids[unit]]
        found = [Parcels(self._snapshot).waveform(entry, one)[0] for one in taken]
        return tuple(waveform for waveform in found if waveform is not None)


class _EventTrain(_Group):
    """A train that tells of its cycles. What is looked at within seconds comes with every frame, all else with every
    twelfth."""

    def __init__(
        self, fleet: EventTrainFleet, keys: Sequence[str], ids: dict[str, int], snapshot: RegistrySnapshot
    ) -> None:
        super().__init__(fleet, keys, ids, snapshot)
        self._train = fleet
        often = ("train.", ".air.", ".vehicle", "bogie1.brake_pressure")
        self._often = np.array([any(part in spec.key for part in often) for spec in fleet.POINTS])

    def block(self, number: int) -> _Block | None:
        if number < _LATE:
            return None
        frames = self._train.advance(_BLOCK * _OFTEN)
        whole = np.arange(1, len(frames.ts) + 1) % _OFTEN == 0
        batch = self._batch(frames, ~np.isnan(frames.values) & (whole[:, None, None] | self._often))
        cycles, events = [], []
        for record in self._train.records():
            said, equipment = record.message, self._ids[record.unit]
            if record.suffix == "cycle":
                after = int(np.searchsorted(batch.ts, record.ts, "right"))
                ts, end = said["ts"] * 1000, said["end"] * 1000
                cycles.append(CycleRecord(equipment, said["kind"], said["component"], ts, end, said["values"], after))
            else:
                events.append(EventRecord(equipment, said["kind"], said["ts"] * 1000, said["body"]))
        return _Block(batch, cycles=tuple(cycles), events=tuple(events))


def _records(groups: Sequence[_Group], end: int, tenant: int, ids: dict[str, int]) -> Iterator[StreamRecord]:
    number, next_spoilt = 0, START + HOUR
    while True:
        blocks = [block for block in (group.block(number) for group in groups) if block is not None]
        at = blocks[0].batch.received_at
        letters: tuple[DeadLetter, ...] = ()
        events: tuple[EventRecord, ...] = ()
        if at >= next_spoilt:
            letters, events = _spoilt(number, at, tenant, ids)
            next_spoilt += 3 * HOUR
        for i, block in enumerate(blocks):
            batch, last = block.batch, i == len(blocks) - 1
            told = (*block.events, *events) if last else block.events
            parcels = {"ingest.waveforms": len(block.waveforms), "ingest.cycles": len(block.cycles)}
            readings = len(batch) + len(told) + sum(parcels.values()) + (len(letters) if last else 0)
            counts = {"ingest.messages": 1, "ingest.readings": readings, "ingest.accepted": len(batch)}
            counts |= parcels | {"ingest.events": len(told)}
            if last and letters:
                counts |= {f"ingest.refused.{letter.reason}": letter.readings for letter in letters}
                counts |= {"ingest.sequence_gaps": 1, "ingest.sequence_missing": 3}
            yield StreamRecord(
                batch,
                # time passes when every machine of the block has spoken, or the later ones would be silent meanwhile
                ticks=(Tick(tenant, at),) if last else (),
                events=told,
                dead_letters=letters if last else (),
                counts=counts,
                waveforms=block.waveforms,
                cycles=block.cycles,
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
