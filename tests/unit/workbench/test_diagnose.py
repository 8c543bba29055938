"""Recordings as people have them are read, judged and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat, wavfile
from typer.testing import CliRunner

from core.errors import InvalidInputError
from models.vibration.bearings import bearing, catalogue, from_multiples
from runtime.cli.app import app
from workbench.diagnose import files
from workbench.evaluate.bearings import evaluate_bearings, figures, read_name

RATE = 12_000
X = np.random.default_rng(1).normal(0, 0.1, 4 * RATE)


def struck(order: float, *, rpm: float = 1797.0, seconds: float = 5.0, seed: int = 2) -> np.ndarray:
    """Blows at an order of the shaft, ringing at 3 kHz, in noise."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    blows = np.zeros(n)
    rate = order * rpm / 60 * 0.995
    times = np.cumsum((1 + rng.normal(0, 0.004, int(seconds * rate) + 5)) / rate)
    blows[(times[times < seconds] * RATE).astype(int)] = 1.0
    t = np.arange(300) / RATE
    ring = np.exp(-800 * t) * np.sin(2 * np.pi * 3000 * t)
    return np.convolve(blows, ring)[:n] + rng.normal(0, 0.08, n)


@pytest.mark.parametrize(
    ("name", "truth", "speed", "rate", "end"),
    [
        ("1797_IR_7_DE12.npz", "IR", 1797, 12_000, "DE"),
        ("1772_OR@12_21_DE12.npz", "OR", 1772, 12_000, "DE"),
        ("1750_B_14_FE12.npz", "B", 1750, 12_000, "FE"),
        ("1797_Normal.npz", "normal", 1797, 48_000, ""),
        ("1730_IR_21_DE48.npz", "IR", 1730, 48_000, "DE"),
        ("OuterRaceFault_3.mat", "OR", None, None, ""),
        ("InnerRaceFault_vload_1.mat", "IR", None, None, ""),
        ("baseline_2.mat", "normal", None, None, ""),
        ("pump.csv", "", None, None, ""),
    ],
)
def test_names_say_what_is_true(name: str, truth: str, speed: float | None, rate: float | None, end: str) -> None:
    found = read_name(Path(name))
    assert (found.truth, found.end) == (truth, end)
    for told, wanted in ((found.speed, speed), (found.rate, rate)):
        assert told == wanted if wanted is not None else np.isnan(told)


def test_files_of_all_kinds_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", DE=X.astype(np.float32), FE=X.astype(np.float32), rate=np.array(12_000))
    t = np.arange(len(X)) / RATE
    np.savetxt(tmp_path / "b.csv", np.stack([t, X], axis=1), delimiter=",", header="time,x", comments="", fmt="%.9f")
    np.savetxt(tmp_path / "c.txt", X[:500], fmt="%.6f")
    wavfile.write(tmp_path / "d.wav", RATE, (X * 10_000).astype(np.int16))
    savemat(tmp_path / "e.mat", {"bearing": {"gs": X[:, None], "sr": 48_828.0, "rate": 25.0, "load": 270.0}})
    savemat(tmp_path / "f.mat", {"X097_DE_time": X[:, None], "X097_FE_time": X[:, None], "X097RPM": 1796})
    read = {path.name[0]: files.read(path) for path in sorted(tmp_path.iterdir())}
    assert list(read["a"].channels) == ["DE", "FE"]
    assert read["a"].rate == RATE
    assert list(read["b"].channels) == ["x"]
    assert read["b"].rate == pytest.approx(RATE, rel=1e-4)
    assert len(read["c"].channels["column_1"]) == 500
    assert read["d"].rate == RATE
    assert np.std(read["d"].channels["channel_1"]) == pytest.approx(0.1 * 10_000 / 32_767, rel=0.05)
    assert (read["e"].rate, read["e"].speed) == (48_828.0, 1500.0)
    assert read["f"].speed == 1796
    assert read["f"].channel("FE")[0] == "X097_FE_time"


def test_what_is_no_recording_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("x\n1\n2\n")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "broken.wav").write_bytes(b"RIFFnothing")
    (tmp_path / "picture.gif").write_bytes(b"GIF")
    for path in tmp_path.iterdir():
        with pytest.raises(InvalidInputError):
            files.read(path)


def test_bearings_are_judged_by_their_names(tmp_path: Path) -> None:
    known = bearing("6205").multiples
    for name, order in (("1797_IR_7_DE12", known["BPFI"]), ("1797_OR@6_7_DE12", known["BPFO"])):
        np.savez(tmp_path / f"{name}.npz", DE=struck(order).astype(np.float32))
    noise = np.random.default_rng(3).normal(0, 0.1, 3 * 48_000).astype(np.float32)
    np.savez(tmp_path / "1797_Normal.npz", DE=noise)
    outer = struck(bearing("NICE").multiples["BPFO"], rpm=1500)[:, None]
    savemat(tmp_path / "OuterRaceFault_1.mat", {"bearing": {"gs": outer, "sr": float(RATE), "rate": 25.0}})
    found = figures(evaluate_bearings(tmp_path))
    assert {key: found[key] for key in ("records", "decided", "right", "wrong", "normal_flagged")} == {
        "records": 4, "decided": 3, "right": 3, "wrong": 0, "normal_flagged": 0,
    }  # fmt: skip
    assert [row["said"] for row in found["per_record"]] == ["IR", "none", "OR", "OR"]
    wrong = figures(evaluate_bearings(tmp_path, given=from_multiples("w", {"IR": 5.96, "OR": 3.95, "B": 4.29})))
    assert (wrong["decided"], wrong["normal_flagged"]) == (0, 0)


def test_the_commands(tmp_path: Path) -> None:
    path = tmp_path / "1797_IR_7_DE12.npz"
    np.savez(path, DE=struck(bearing("6205").multiples["BPFI"]).astype(np.float32))
    runner = CliRunner()
    picture = tmp_path / "picture.svg"
    done = runner.invoke(app, ["diagnose", str(path), "--bearing", "6205", "--plot", str(picture), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["decided"] == ["bearing_inner"]
    assert said["findings"][0]["evidence"][0]["sentence"]
    assert picture.read_text().startswith("<?xml")
    told = runner.invoke(app, ["diagnose", str(path), "--multiples", "IR=5.415,OR=3.585,B=4.714,FTF=0.398"])
    assert "inner-ring defect" in told.stdout
    judged = runner.invoke(app, ["evaluate", "bearings", "--data", str(tmp_path), "--channel", "DE", "--json"])
    assert judged.exit_code == 0, judged.output
    assert json.loads(judged.stdout)["right"] == 1


def test_the_catalogue_knows_common_bearings_however_they_are_written() -> None:
    assert len(catalogue()) > 70
    for spelling in ("6205", "SKF 6205-2RS1/C3", "6205ZZ", "FAG 6205"):
        assert bearing(spelling).multiples["BPFO"] == pytest.approx(3.585, abs=0.001)
    assert bearing("6203").multiples["BPFI"] == pytest.approx(4.9469, abs=0.001)
    # multiples printed with BSF where twice BSF is meant
    halved = from_multiples("x", {"IR": 5.415, "OR": 3.585, "B": 2.357, "FTF": 0.398})
    assert halved.multiples["BSF2"] == pytest.approx(4.714)
    with pytest.raises(InvalidInputError):
        from_multiples("x", {"XY": 1.0})
