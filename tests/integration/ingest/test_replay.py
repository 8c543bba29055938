"""Recordings through the real broker: what is in the files is in the tables, however and however often it comes."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.ingest.conftest import System, readings
from tests.support.conservation import accounted
from workbench.replay.command import Summary, replay_command

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SENSORS = 8


def replay(system: System, files: list[Path], profile: str, **options: Any) -> Summary:
    with psycopg.connect(system.dsn) as connection:
        return replay_command(files, profile, connection=connection, mqtt=system.mqtt_as("replay"), **options)


def cells_in(folder: Path) -> int:
    """Sensor cells, counted without any of our code."""
    count = 0
    for path in folder.rglob("*.csv"):
        with path.open(newline="") as file:
            count += (
                sum(1 for row in csv.reader(file, delimiter=";") for cell in row[1 : 1 + SENSORS] if cell) - SENSORS
            )
    return count


def stored(system: System) -> int:
    return int(
        system.one(
            "SELECT count(*) FROM servitize.reading r JOIN servitize.point p ON p.id = r.point_id"
            " WHERE p.kind = 'measured'"
        )
    )


def settled(system: System, messages: int) -> None:
    system.settle(lambda: system.counts().get("ingest.messages", 0) >= messages, 240)


@pytest.mark.timeout(900)
def test_all_of_skab_at_full_speed_twice_and_shuffled(system: System, recordings: Path) -> None:
    folder, process = recordings / "skab", system.start()
    owed = cells_in(folder)
    assert owed == 149_424 or os.environ.get("SERVITIZE_DATA")

    first = replay(system, [folder], "skab")
    settled(system, first.messages + first.clock)
    assert (first.cells, stored(system)) == (owed, owed)
    assert system.one("SELECT count(*) FROM servitize.dead_letter") == 0
    once = readings(system)

    again = replay(system, [folder], "skab")
    settled(system, 2 * (first.messages + first.clock))
    assert again.cells == owed
    assert readings(system) == once

    shuffled = replay(system, [folder], "skab", shuffle=7)
    total = 2 * (first.messages + first.clock) + shuffled.messages + shuffled.clock
    settled(system, total)
    assert readings(system) == once
    assert system.one("SELECT count(*) FROM servitize.dead_letter") == 0
    assert system.stop(process) == 0, system.log()
    assert not accounted(system.counts())


@pytest.mark.timeout(600)
def test_shuffled_into_an_empty_database_the_same_readings(system: System, recordings: Path) -> None:
    process = system.start()
    files = [recordings / "skab" / "valve2"]
    summary = replay(system, files, "skab", shuffle=3)
    settled(system, summary.messages + summary.clock)
    found = readings(system)
    assert len(found) == cells_in(files[0])
    exact = {}
    with (files[0] / "0.csv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            exact[row["datetime"]] = float(row["Voltage"])
    voltages = [row[3] for row in found if row[:2] == ("skab-valve2-0", "voltage")]
    assert voltages == list(exact.values())
    system.stop(process)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("profile", "path", "equipment", "per_row", "limit"),
    [
        ("azure_pdm", "azure_pdm", 12, 4, 2_400),
        ("wind_scada", "wind_scada", 1, 4, 2_000),
        ("metropt3", "metropt3/first_1000_rows.csv", 1, 15, None),
    ],
)
def test_the_other_recordings(
    system: System, recordings: Path, profile: str, path: str, equipment: int, per_row: int, limit: int | None
) -> None:
    process = system.start()
    summary = replay(system, [recordings / path], profile, limit=limit)
    settled(system, summary.messages + summary.clock)
    assert stored(system) == summary.cells == (limit or 1_000) * per_row
    assert system.one("SELECT count(*) FROM servitize.dead_letter") == 0
    assert summary.equipment == equipment
    events = "SELECT count(*) FROM servitize.event WHERE kind IN ('error', 'maintenance', 'failure')"
    assert system.one(events) == summary.events
    assert (summary.events > 0) == (profile == "azure_pdm")
    assert system.stop(process) == 0, system.log()
    assert not accounted(system.counts())
