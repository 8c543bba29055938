"""``servitize evaluate skab|azure|ims|metropt3``: any folder with that naming; the documents that are owed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInputError, NotFoundError
from tests.unit.normal import folders
from workbench.evaluate import normal_report as report
from workbench.evaluate.episodes import Told, document, held, tally
from workbench.evaluate.ims import figures, watch

COUNTS = {"failures", "detected", "median_lead_h", "false_alarms", "unit_months"}


def document_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_skab_with_a_healthy_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = folders.skab(tmp_path / "skab")
    recording = folders.healthy(tmp_path / "long.csv")
    assert report.skab_command(folder, healthy=str(recording), as_json=True, plots=tmp_path / "plots") == 0
    found = document_of(capsys)
    owed = {"files", "f1", "far", "mar", "per_file", "events_detected", "median_delay_s", "false_episodes_per_hour"}
    assert owed <= set(found)
    assert found["files"] == 2
    assert list(found["per_file"]) == ["other/3", "valve1/0"]
    assert found["f1"] > 0.8
    assert found["events_detected"] == 2
    assert found["unseen"]["files"] == 1
    assert found["healthy"]["rows"] == 400
    assert found["healthy"]["far"] <= 0.01
    assert (tmp_path / "plots" / "skab_distance.png").is_file()
    assert report.skab_command(folder, "other") == 0
    shown = capsys.readouterr().out
    assert "other/3" in shown
    assert "valve1/0" not in shown
    assert "Conv-AE" in shown


def test_azure(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert report.azure_command(folders.azure(tmp_path), as_json=True) == 0
    found = document_of(capsys)
    for part in (found, found["unsupervised"], found["naive"]):
        assert set(part) >= COUNTS
        assert part["failures"] == 4
    assert found["detected"] == 4
    assert found["false_alarms"] <= 1
    assert found["unsupervised"]["detected"] >= 3
    assert found["naive"]["false_alarms"] == 4
    assert found["chronological"]["failures"] <= 2


def test_ims_by_a_truth_beside_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = folders.ims(tmp_path)
    assert report.ims_command(folder, as_json=True) == 0
    assert document_of(capsys)["failures"] == 0  # nobody has said which bearing failed: shown, not counted
    (folder / "test9_failed.csv").write_text("2\n", encoding="utf-8")
    assert report.ims_command(folder, as_json=True) == 0
    found = document_of(capsys)
    assert set(found) >= COUNTS
    assert (found["failures"], found["detected"], found["false_alarms"]) == (1, 1, 0)
    assert report.ims_command(folder, "test9") == 0
    assert "first alarm" in capsys.readouterr().out


def test_metropt3(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert report.metropt3_command(folders.metropt3(tmp_path), as_json=True) == 0
    found = document_of(capsys)
    assert set(found) >= {"auc", "ap", "far_at_80"}
    assert found["auc"] > 0.97
    assert found["far_at_80"] < 0.05


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path):
    for command in (report.skab_command, report.azure_command, report.ims_command, report.metropt3_command):
        with pytest.raises(NotFoundError):
            command(tmp_path)
    with pytest.raises(InvalidInputError, match="no subset valve9"):
        report.skab_command(folders.skab(tmp_path / "skab"), "valve9")
    folders.write(tmp_path / "skab" / "other" / "4.csv", [["datetime", "x", "anomaly"], ["soon", 1, 0]], ";")
    with pytest.raises(InvalidInputError, match=r"4\.csv"):
        report.skab_command(tmp_path / "skab")


def test_a_lead_counts_from_the_alarm_and_a_repair_ends_it():
    level = np.array([0, 0, 2, 2, 2, 0.6, 0, 2, 2, 2.0])
    alarm = held(level, 1.0, 0.5, breaks=[8])
    assert alarm.tolist() == [False, False, True, True, True, True, False, True, True, True]
    told = Told("m", np.arange(10.0), alarm, np.array([5.0]))
    found = tally([told], least_lead_h=2.0, window_h=4.0)
    assert found.leads == (3.0,)
    assert found.false_alarms == 1
    late = tally([told], least_lead_h=4.0, window_h=4.0)
    assert late.leads == (None,)
    assert late.false_alarms == 1
    assert document(found)["detected_95"] == [0.025, 1.0]


# --- the public recordings, where they are at hand -------------------------------------------------------------------


def recordings(name: str) -> Path:
    named = os.environ.get("SERVITIZE_DATA")
    folder = (Path(named) if named else Path(__file__).parents[4] / "shared" / "data") / name
    if not folder.is_dir():
        pytest.skip(f"public recordings are not here: set SERVITIZE_DATA to the folder that holds {name}/ …")
    return folder


@pytest.mark.slow
def test_skab_on_what_its_parameters_were_chosen_on():
    from workbench.evaluate import skab

    found = skab.figures(skab.evaluate_skab(recordings("skab"), ["valve1"]))
    assert found["f1"] >= 0.85
    assert found["far"] <= 0.10
    assert found["mar"] <= 0.21


@pytest.mark.slow
def test_ims_test_1():
    from workbench.datasets import ims

    found = figures(watch(ims.read(recordings("ims"), "test1")))
    assert (found["failures"], found["detected"], found["false_alarms"]) == (2, 2, 0)


@pytest.mark.slow
def test_metropt3_windows():
    from workbench.evaluate.metropt3 import evaluate_metropt3

    found = evaluate_metropt3(recordings("metropt3"))
    assert found["auc"] >= 0.97
    assert found["far_at_80"] <= 0.05
