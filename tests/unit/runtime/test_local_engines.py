"""Which PostgreSQL is taken, and what is said when none fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.local.engines import choose_engine, data_major, machine_engines
from runtime.local.errors import EngineVersionError
from runtime.local.paths import DataDirectory


def installation(directory: Path, version: str) -> Path:
    directory.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (directory / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (directory / name).chmod(0o755)
    return directory


def test_the_newest_on_path_comes_first_and_old_ones_are_left_out(tmp_path: Path) -> None:
    path = ":".join(str(installation(tmp_path / v, v)) for v in ("90.1", "14.9", "91.0"))
    found = [engine.version for engine in machine_engines({"PATH": path})]
    assert found[:2] == [(91, 0), (90, 1)]
    assert (14, 9) not in found


def test_existing_data_of_another_major_version_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "home")
    cluster = data.directory("postgres")
    (cluster / "PG_VERSION").write_text("12\n")
    assert data_major(cluster) == 12
    with pytest.raises(EngineVersionError, match="made by PostgreSQL 12") as caught:
        choose_engine(data, cluster, {"SERVITIZE_POSTGRES_BIN": str(installation(tmp_path / "bin", "90.1"))})
    assert "install PostgreSQL 12" in caught.value.hint
    assert (cluster / "PG_VERSION").read_text() == "12\n"


def test_a_named_directory_without_postgresql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineVersionError, match="SERVITIZE_POSTGRES_BIN"):
        choose_engine(DataDirectory(tmp_path), tmp_path / "postgres", {"SERVITIZE_POSTGRES_BIN": str(tmp_path)})
