"""``servitize evaluate cmapss``: any folder with that naming, one regime or six; what is wrong with it is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidInputError, NotFoundError
from models.prognosis.blend import Blend
from models.prognosis.regression import LifeRegressor
from tests.unit.prognosis.wear import write_folder
from workbench.datasets import cmapss
from workbench.evaluate import cmapss_report
from workbench.evaluate.cmapss import evaluate_cmapss, figures
from workbench.evaluate.crossed import score

OWED = {"rmse", "score", "rmse_raw", "score_raw", "coverage", "width", "rmse_low", "within10_low"}


def small() -> LifeRegressor:
    blend = Blend(trees=10, boosts=20, nets=1, layers=(8,), epochs=5, rows=1500)
    return LifeRegressor(regressor=blend, folds=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wear")
    write_folder(made, "X1", machines=14, seed=1)
    return write_folder(made, "X6", machines=14, seed=2, regimes=6)


def test_the_document_has_the_figures_that_are_owed_for_each_subset(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("workbench.evaluate.cmapss.model_for_cmapss", small)
    assert cmapss_report.evaluate_cmapss_command(folder, as_json=True, plots=tmp_path) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["X1", "X6"]
    assert [found[name]["regimes"] for name in found] == [1, 6]
    for one in found.values():
        assert set(one) >= OWED
        assert one["rmse"] < 30
        assert 0 <= one["coverage"] <= 1
    assert len(list(tmp_path.glob("cmapss_X*_*.png"))) == 6


def test_a_table_for_people_and_only_the_subsets_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("workbench.evaluate.cmapss.model_for_cmapss", small)
    assert cmapss_report.evaluate_cmapss_command(folder, "X1") == 0
    shown = capsys.readouterr().out
    assert "X1" in shown
    assert "cross-validated" in shown
    assert "X6" not in shown
    with pytest.raises(InvalidInputError, match="no subset X9"):
        evaluate_cmapss(folder, ["X9"])


def test_late_costs_more_than_early():
    late, early = score(np.array([60.0, 40.0]), np.array([50.0, 50.0]))
    assert late == pytest.approx(np.e - 1)
    assert early == pytest.approx(np.exp(10 / 13) - 1)


def test_what_is_wrong_with_a_folder_is_said(folder: Path, tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"no file train_….txt"):
        cmapss.subsets(tmp_path)
    for part in ("train", "test", "RUL"):
        (tmp_path / f"{part}_X1.txt").write_bytes((folder / f"{part}_X1.txt").read_bytes())
    (tmp_path / "RUL_X1.txt").write_text("5\n7\n")
    with pytest.raises(InvalidInputError, match="2 lines for 14 units"):
        cmapss.read(tmp_path, "X1")
    (tmp_path / "RUL_X1.txt").unlink()
    with pytest.raises(NotFoundError, match=r"RUL_X1.txt"):
        cmapss.read(tmp_path, "X1")
    (tmp_path / "train_X1.txt").write_text("1 1 abc\n")
    with pytest.raises(InvalidInputError, match="no table of numbers"):
        cmapss.read(tmp_path, "X1")


@pytest.mark.slow
def test_a_small_model_already_does_well_on_the_public_data():
    """A tenth of the real one; the figures of the real one are in docs/reference/models.md."""
    named = os.environ.get("SERVITIZE_DATA")
    folder = (Path(named) if named else Path(__file__).parents[4] / "shared" / "data") / "cmapss"
    if not (folder / "train_FD001.txt").is_file():
        pytest.skip("public recordings are not here: set SERVITIZE_DATA to the folder that holds cmapss/ …")
    blend = Blend(trees=20, boosts=60, nets=0, rows=3000)
    judged = evaluate_cmapss(folder, ["FD001"], make=lambda: LifeRegressor(regressor=blend, folds=3))
    across = figures(judged["FD001"])["cross_validated"]  # the test machines are for the real one
    assert across["rmse"] < 11
    assert across["rmse_low"] < 5
    assert 0.74 <= across["coverage"] <= 0.88
