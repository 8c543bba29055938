"""A machine type from a documentation page is watched rightly from the first day; no process, no broker, no database.

Seeds are drawn when the test runs and printed: nobody can tune a detector to them. ``STRANGER_SEED`` repeats a run.
"""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from dataclasses import dataclass, field

import pytest
import yaml

from core import quality as q
from core.condition import Change
from core.equipment import EquipmentType, PointKind
from core.registry import EquipmentEntry, EquipmentStatus, MappingProfileEntry, PointEntry, RegistrySnapshot, Tenant
from ingest.coalesce import Coalescer
from ingest.intake import Intake
from ingest.ledger import Handle
from ingest.limits import IngestLimits
from ingest.session import Inbound
from models.types import check_type, load_type
from stream_processors.pipeline.processor import Processor
from tests.judges.stranger import page
from tests.judges.stranger.gateways import ILL, TENANT, WELL, Story, tell
from tests.judges.stranger.verdict import Announced, complaints

TODAY = 1_790_000_000_000_000
"""Time of receipt by the host's clock: long after what the machines tell."""

_FIXED = os.environ.get("STRANGER_SEED")
# of one run, so that its processes (pytest -n 2) agree on what there is to test
_RUN = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(8))
SEEDS = [int(_FIXED)] if _FIXED else [_RUN.randrange(10**6) for _ in range(3)]


def registry() -> RegistrySnapshot:
    """What the page's commands register."""
    files = page.files()
    type_ = load_type(files["dekanter.yaml"])
    tenant = Tenant(1, TENANT, "Zuckerwerk Nord", publisher_clock=True)
    profiles = tuple(
        MappingProfileEntry(1, name, yaml.safe_load(files[f"{name}.yaml"])) for name in ("leitstand", "vibro")
    )
    equipment = {number: _equipment(number, key, type_) for number, key in ((1, ILL), (2, WELL))}
    return RegistrySnapshot(1, {1: tenant}, {type_.key: type_}, equipment, profiles)


def _equipment(number: int, key: str, type_: EquipmentType) -> EquipmentEntry:
    points = {
        p.key: PointEntry(number * 100 + p.column, p.key, p.definition.unit, p.definition.kind)
        for p in type_.point_instances()
    }
    return EquipmentEntry(number, 1, key, type_.key, EquipmentStatus.APPROVED, points)


class _Nobody:
    def equipment(self, *_: object) -> None: ...

    def points(self, *_: object) -> None: ...


@dataclass
class Told:
    """All that came of a story."""

    announced: list[Announced] = field(default_factory=list)
    readings: dict[tuple[str, str], dict[int, tuple[float, int]]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    taken: int = 0


def play(story: Story, snapshot: RegistrySnapshot) -> Told:
    """Messages through intake and processor, a record per step."""
    told = Told()
    coalescer = Coalescer()
    intake = Intake(snapshot, coalescer, IngestLimits(), _Nobody())
    processor = Processor(snapshot)
    named = {
        p.id: (e.key, p.key)
        for e in snapshot.equipment.values()
        for p in e.points.values()
        if p.kind is PointKind.MEASURED
    }
    number = 0
    for now, messages in story.rounds:
        for sent in messages:
            number += 1
            message = Inbound(sent.topic, sent.payload, TODAY, Handle(1, number, 1, len(sent.payload)))
            if intake.needs_new_record(message):
                _step(processor, coalescer, named, told, now)
            intake.message(message)
        _step(processor, coalescer, named, told, now)
    told.refused = Counter(
        {k.removeprefix("ingest.refused."): n for k, n in intake.totals.items() if k.startswith("ingest.refused.")}
    )
    return told


def _step(processor: Processor, coalescer: Coalescer, named: dict[int, tuple[str, str]], told: Told, now: int) -> None:
    for record, _ in coalescer.take(now):
        outcome = processor.step(record)
        batch = outcome.readings
        told.taken += len(batch)
        for point, ts, value, grade in zip(
            batch.point_id.tolist(), batch.ts.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
        ):
            told.readings.setdefault(named[point], {}).setdefault(ts, (value, grade))
        told.announced += [
            Announced(processor_key(t.equipment_id), t.component, t.condition, t.at)
            for t in outcome.transitions
            if t.announce and t.change in (Change.RAISED, Change.UNSUPPRESSED)
        ]


def processor_key(equipment_id: int) -> str:
    return {1: ILL, 2: WELL}[equipment_id]


@pytest.fixture(scope="module")
def snapshot() -> RegistrySnapshot:
    return registry()


@pytest.fixture(scope="module", params=SEEDS, ids=lambda seed: f"seed={seed}")
def played(request: pytest.FixtureRequest, snapshot: RegistrySnapshot) -> tuple[Story, Told]:
    print(f"STRANGER_SEED={request.param}")
    story = tell(request.param)
    return story, play(story, snapshot)


def test_the_page_s_type_is_right() -> None:
    assert check_type(page.files()["dekanter.yaml"]) == []


class TestAFaultAndAHealthyTwin:
    def test_the_fault_is_announced_in_time_on_its_component_and_nothing_else_is(
        self, played: tuple[Story, Told]
    ) -> None:
        story, told = played
        assert story.severe_at is not None
        assert complaints(story, told.announced) == []

    def test_every_value_sent_is_stored_in_the_point_s_own_unit_or_refused_with_its_reason(
        self, played: tuple[Story, Told]
    ) -> None:
        story, told = played
        assert told.refused == story.refused
        assert told.taken + told.refused.total() == story.sent
        assert {key: set(by_ts) for key, by_ts in told.readings.items()} == {
            key: set(by_ts) for key, by_ts in story.stored.items()
        }
        for key, by_ts in story.stored.items():
            assert {ts: told.readings[key][ts][0] for ts in by_ts} == pytest.approx(by_ts, rel=1e-9, abs=1e-9)

    def test_quality_says_what_came_late_and_what_had_no_time(self, played: tuple[Story, Told]) -> None:
        story, told = played
        late = {
            (machine, point, ts)
            for (machine, point), by_ts in told.readings.items()
            for ts, (_, grade) in by_ts.items()
            if grade & q.LATE
        }
        assert late - story.perhaps_late == story.late
        assert len(late) > 1_000
        without_time = [grade for (_, p), by in told.readings.items() if p == "motorstrom" for _, grade in by.values()]
        assert set(without_time) == {q.UNCERTAIN | q.RECEIPT_TIME}


def test_without_a_fault_nothing_is_announced(snapshot: RegistrySnapshot) -> None:
    seed = SEEDS[0] + 10**6
    story = tell(seed, cracks=False, hours=40)
    assert complaints(story, play(story, snapshot).announced) == [], f"seed {seed}"
