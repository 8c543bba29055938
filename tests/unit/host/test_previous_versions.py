"""What earlier versions left in the database when they were killed is taken over by this one.

``previous/*.json`` hold bytes that an earlier version really wrote. A file is added when a format changes, and none is
ever changed or removed: as long as it is here, who upgrades with a journal in flight loses nothing by it.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from core.telemetry import DeadLetter, EventRecord
from formats.record import MAGIC, BinaryRecordCodec, DamagedRecordError
from tests.unit.host.test_recovery import Life, Table
from tests.unit.pipeline.world import T0, Reading, of, pump

PREVIOUS = sorted((Path(__file__).parent / "previous").glob("*.json"))


def readings(second: int) -> list[Reading]:
    """What the fixtures' machines send at this second."""
    pressure = 25.0 if 20 <= second <= 41 else 8.0
    return [
        (1, "speed", second, 3000.0),
        (1, "pressure", second, pressure),
        (2, "speed", second, 3000.0),
        (2, "pressure", second, 8.0 + second * 0.01),
        *((1, f"seal{n}.t", float(second), 40.0 + n) for n in (1, 2, 3)),
    ]


def table_of(path: Path) -> tuple[Table, dict[str, list[list[object]]]]:
    left = json.loads(path.read_bytes())
    table = Table()
    table.snapshot = (23, base64.b64decode(left["state"]))
    table.journal = {24 + place: base64.b64decode(data) for place, data in enumerate(left["journal"])}
    table.next = 24 + len(table.journal)
    return table, left


@pytest.mark.parametrize("path", PREVIOUS, ids=lambda path: path.stem)
def test_an_upgrade_goes_on_where_the_killed_version_was(path: Path) -> None:
    table, left = table_of(path)
    life = Life(table, of(pump("2 s"), each=2))
    for second in range(33, 60):
        life(readings(second))
    life.crash()
    said = [[t.equipment_id, t.condition, t.at, t.change.value] for t in table.said]
    assert said == left["after"]
    assert said  # two alarms that the earlier version had raised are cleared


@pytest.mark.parametrize("path", PREVIOUS, ids=lambda path: path.stem)
def test_all_that_was_in_a_record_is_read(path: Path) -> None:
    table, _ = table_of(path)
    record = BinaryRecordCodec().decode(table.journal[32])
    assert record.events == (EventRecord(1, "start", T0, {"a": [1, None, "x"]}),)
    assert record.dead_letters == (DeadLetter("t/x", b"\x00\xff", "not-json", "why", 5, 1, None, 2),)
    assert record.counts == {"ingest.readings": 7}
    assert record.sequences == {}


def test_a_journal_of_a_newer_version_stops_the_start_and_stays() -> None:
    """Stepping over it would forget what it did to the machines' state."""
    table, _ = table_of(PREVIOUS[0])
    newer = bytearray(table.journal[30])
    assert newer[:4] == MAGIC
    newer[4] = 9
    table.journal[30] = bytes(newer)
    before = dict(table.journal)
    with pytest.raises(DamagedRecordError, match="version 9") as refusal:
        Life(table, of(pump("2 s"), each=2))
    assert "newer program" in refusal.value.hint
    assert table.journal == before
